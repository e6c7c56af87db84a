// SPDX-License-Identifier: Apache-2.0
//
// What is done when tasks wait here and nothing can go on for want of memory: nothing runs, nothing
// is on its way, nothing can leave. That is where chunks cannot be written, because spilling is
// off, its limit is reached or the disk is full; or where a task is too large.
//
// What was read for peers that may never come for it may leave first.
//
// Tasks are given back then, those that run last first, since what was fetched for them goes with
// them. The last one that is left has all of the memory that can be had. If it does not suffice it
// is refused, or fails with the error of the disk if there was one. The worker lives on.

#include <stdio.h>

#include "engine/base/text.h"
#include "worker/core/worker_state.h"

static bool
waits(const struct tsi_worker_task *task)
{
    return task->state == TSI_WORKER_NEEDS_INPUTS || task->state == TSI_WORKER_READY;
}

// The task that would run last of all that have not started; counts them.
static struct tsi_worker_task *
last_task(const struct tsi_worker *worker, size_t *count)
{
    struct tsi_worker_task *last = NULL;
    *count = 0;
    for (const struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        for (struct tsi_worker_task *task = job->tasks; task != NULL; task = task->next) {
            if (!waits(task)) {
                continue;
            }
            ++*count;
            if (last == NULL || tsi_worker_task_priority(task) > tsi_worker_task_priority(last)) {
                last = task;
            }
        }
    }
    return last;
}

static void
give_back(struct tsi_worker *worker, struct tsi_worker_task *task, bool is_only)
{
    char text[TSI_WORKER_TEXT_MAX];
    char held[TSI_BYTES_TEXT_MAX];
    char limit[TSI_BYTES_TEXT_MAX];
    tsi_worker_task_withdraw(worker, task);
    const bool has_failed = worker->spill_failed;
    if (is_only && has_failed && worker->spill_status == TESS_EIO) {
        worker->spill_failed = false; // the next one may try again
        tsi_worker_task_end(worker, task, TSI_ATTEMPT_FAILED, TESS_EIO, worker->spill_text);
        return;
    }
    snprintf(text, sizeof text, "%s are held of at most %s, and %s",
             tsi_text_bytes(held, worker->bytes_held), tsi_text_bytes(limit, worker->memory_bytes),
             has_failed                ? worker->spill_text
             : worker->spills_max == 0 ? "spilling is off"
                                       : "no more may be spilled");
    worker->spill_failed = has_failed && !is_only;
    tsi_worker_task_end(worker, task, TSI_ATTEMPT_REFUSED, TESS_EMEMLIMIT, text);
}

// Gives up what is queued for no task: a copy, or what a peer asked for. The peer would ask for
// ever for what is on disk and never gets room in memory, so that is given up for good.
static void
give_up_fetch(struct tsi_worker *worker)
{
    struct tsi_worker_entry *entry = tsi_worker_queue_first(&worker->fetches);
    struct tsi_worker_chunk *chunk = (struct tsi_worker_chunk *)(void *)entry;
    if (chunk->extent != NULL) {
        tsi_worker_spill_lose(worker, chunk, "there is no memory to read it back");
    } else {
        tsi_worker_chunk_lost(worker, chunk, "there is no memory for it");
    }
}

// Lets chunks leave that were read for peers; false if there are none.
static bool
let_demanded_go(const struct tsi_worker *worker)
{
    bool any = false;
    for (size_t i = 0; i < worker->resident.count; i++) {
        any = any || worker->resident.items[i]->demanded;
        worker->resident.items[i]->demanded = false;
    }
    return any;
}

bool
tsi_worker_stuck_relieve(struct tsi_worker *worker)
{
    const bool is_busy = worker->free_run_count < worker->run_count || worker->fetching_count > 0 ||
                         worker->spill_run_count > 0 || worker->spills.count > 0;
    const bool has_work =
        tsi_worker_queue_count(&worker->ready) > 0 || tsi_worker_queue_count(&worker->fetches) > 0;
    if (is_busy || !has_work) {
        return false;
    }
    if (let_demanded_go(worker)) {
        return true;
    }
    size_t count = 0;
    struct tsi_worker_task *last = last_task(worker, &count);
    if (last != NULL) {
        give_back(worker, last, count == 1);
    } else {
        give_up_fetch(worker);
    }
    return true;
}
