// SPDX-License-Identifier: Apache-2.0
//
// Chunks that tasks make in the caller's memory, where they go, instead of in memory of their own
// from which they are copied. The caller's memory is ours until the future ends. So such a chunk
// pins its job: the future ends only when nobody has the chunk any more, be it a task that runs, a
// user of the chunk, or a thread that writes it to disk. Tasks that cannot be stopped between tiles
// do not do so, for a cancelled job would wait for them.

#include "engine/runtime/local.h"

// Smaller chunks are copied sooner than their places are found.
#define PLACED_BYTES_MIN ((size_t)64 << 10)

// By whoever drops the last reference, with the lock or without; the next pump looks.
static void
unpin(void *owner)
{
    struct tsi_local_job *job = owner;
    atomic_fetch_sub_explicit(&job->pins, 1, memory_order_release);
}

struct tsi_buf *
tsi_local_place(struct tsi_local_job *job, int op, int64_t chunk, size_t bytes)
{
    const struct tsi_chunk_op *made = &job->plan.program->ops[op];
    if (job->future == NULL || job->ends || made->work != TSI_WORK_TILE || made->is_planes ||
        bytes < PLACED_BYTES_MIN) {
        return NULL;
    }
    void *place = tsi_future_place(job->future, op, chunk);
    struct tsi_buf *buf = place == NULL ? NULL : tsi_buf_wrap(place, bytes, unpin, job);
    if (buf != NULL) {
        atomic_fetch_add_explicit(&job->pins, 1, memory_order_relaxed);
    }
    return buf;
}

// A job that could be settled by now; `*left` if there are others that still cannot.
static struct tsi_local_job *
find_unpinned(struct tsi_local *local, bool *left)
{
    size_t cursor = 0;
    uint64_t key;
    uint64_t value;
    *left = false;
    while (tsi_map_next(&local->jobs_by_token, &cursor, &key, &value)) {
        struct tsi_local_job *job = (struct tsi_local_job *)(uintptr_t)value;
        if (job->waits_for_pins) {
            if (atomic_load_explicit(&job->pins, memory_order_acquire) == 0) {
                return job;
            }
            *left = true;
        }
    }
    return NULL;
}

void
tsi_local_settle_unpinned(struct tsi_local *local)
{
    struct tsi_local_job *job;
    while (local->some_wait_for_pins &&
           (job = find_unpinned(local, &local->some_wait_for_pins)) != NULL) {
        local->some_wait_for_pins = true;
        tsi_local_settle_job(local, job);
    }
}
