// SPDX-License-Identifier: Apache-2.0
//
// All that changes the core: events, polls, and what peers and schedulers ask for between them. It
// is recorded on the way if that was asked for, so that the same can be fed to a core again.

#include "engine/base/clock.h"
#include "scheduler/record/record.h"
#include "worker/daemon/loop.h"

tess_status
tsi_worker_loop_record(struct tsi_worker_loop *loop, const struct tsi_worker_config *config,
                       struct tsi_error *error)
{
    const struct tsi_record first = {.type = TSI_RECORD_WORKER, .worker = *config};
    if (loop->options->record_file[0] == '\0') {
        return TESS_OK;
    }
    loop->recorder = tsi_recorder_open(loop->options->record_file, &first, error);
    return loop->recorder != NULL ? TESS_OK : error->status;
}

void
tsi_worker_loop_record_close(struct tsi_worker_loop *loop)
{
    tsi_recorder_close(loop->recorder, loop->core != NULL && loop->recorder != NULL
                                           ? tsi_worker_digest(loop->core)
                                           : 0);
    loop->recorder = NULL;
}

bool
tsi_worker_loop_step(struct tsi_worker_loop *loop, const struct tsi_worker_event *event)
{
    if (loop->recorder != NULL) {
        tsi_recorder_put(loop->recorder,
                         &(struct tsi_record){.type = TSI_RECORD_TOLD, .told = *event});
    }
    return tsi_worker_step(loop->core, event);
}

static void
note_poll(struct tsi_worker_loop *loop, uint64_t now, const struct tsi_worker_action *action)
{
    struct tsi_record record = {.type = TSI_RECORD_POLL, .now_ns = now};
    record.hash = action != NULL ? tsi_record_worker_hash(action) : 0;
    tsi_recorder_put(loop->recorder, &record);
    if (tsi_recorder_wants_digest(loop->recorder)) {
        record =
            (struct tsi_record){.type = TSI_RECORD_DIGEST, .hash = tsi_worker_digest(loop->core)};
        tsi_recorder_put(loop->recorder, &record);
    }
}

bool
tsi_worker_loop_poll(struct tsi_worker_loop *loop, struct tsi_worker_action *action)
{
    const uint64_t now = tsi_clock_ns();
    const bool any = tsi_worker_poll(loop->core, now, action);
    if (loop->recorder != NULL) {
        note_poll(loop, now, any ? action : NULL);
    }
    return any;
}

static void
note_call(struct tsi_worker_loop *loop, enum tsi_record_type type, tsi_key key, uint64_t hash)
{
    if (loop->recorder != NULL) {
        tsi_recorder_put(loop->recorder,
                         &(struct tsi_record){.type = type, .key = key, .hash = hash});
    }
}

bool
tsi_worker_loop_demand(struct tsi_worker_loop *loop, tsi_key key)
{
    const bool is_there = tsi_worker_chunk_demand(loop->core, key);
    note_call(loop, TSI_RECORD_DEMAND, key, is_there ? 1 : 0);
    return is_there;
}

void
tsi_worker_loop_served(struct tsi_worker_loop *loop, tsi_key key)
{
    tsi_worker_chunk_served(loop->core, key);
    note_call(loop, TSI_RECORD_SERVED, key, 0);
}

bool
tsi_worker_loop_offer(struct tsi_worker_loop *loop, struct tsi_worker_offer *offer)
{
    const bool is_made = tsi_worker_offer(loop->core, offer);
    note_call(loop, TSI_RECORD_OFFER, 0, is_made ? tsi_record_worker_hash_offer(offer) : 0);
    return is_made;
}
