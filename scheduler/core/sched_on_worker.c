// SPDX-License-Identifier: Apache-2.0
//
// Workers come, want to leave, and go.

#include "scheduler/core/sched_state.h"

void
tsi_sched_on_worker_joined(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    if (event->peer == TSI_PEER_NONE || tsi_map_get(&sched->peers, event->peer) != NULL) {
        sched->stale_reports++;
        return;
    }
    struct tsi_sched_worker *worker =
        tsi_sched_peer_add_worker(sched, event->peer, event->worker_joined.name);
    if (worker == NULL) {
        if (sched->turned_away_count < TSI_SCHED_TURNED_AWAY_MAX) {
            sched->turned_away[sched->turned_away_count++] = event->peer;
        }
        return;
    }
    const int threads = event->worker_joined.threads;
    const uint64_t memory_bytes = event->worker_joined.memory_bytes;
    worker->threads = threads < 1 ? 1 : threads;
    worker->memory_bytes = memory_bytes == 0 ? UINT64_MAX : memory_bytes;
    worker->spill_bytes = event->worker_joined.spill_bytes;
    worker->heard_ns = sched->now_ns;
    tsi_sched_peer_sum(sched);
    tsi_sched_wake(sched, worker->slot);
    tsi_sched_ready_resteer(sched);
    sched->drain_due = true;
}

void
tsi_sched_on_worker_draining(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    if (worker == NULL || worker->draining) {
        sched->stale_reports++;
        return;
    }
    worker->draining = true;
    tsi_sched_ready_disown(sched, worker);
    tsi_sched_assign_retract_all(sched, worker);
    sched->drain_due = true;
}

void
tsi_sched_on_worker_left(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    if (worker == NULL) {
        sched->stale_reports++;
        return;
    }
    const char *text = event->worker_left.text;
    if (!event->worker_left.clean) {
        sched->workers_lost++;
        text = text == NULL ? "for an unknown reason" : text;
    }
    tsi_sched_lost_worker(sched, worker, event->worker_left.clean ? NULL : text);
}
