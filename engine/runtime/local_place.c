// SPDX-License-Identifier: Apache-2.0
//
// Chunks that tasks make in the caller's memory, where they go, instead of in memory of their own
// from which they are copied. The caller's memory is ours until the future ends. So such a chunk
// pins its job: the future ends only when nobody has the chunk any more, be it a task that runs, a
// user of the chunk, or a thread that writes it to disk. Tasks that cannot be stopped between tiles
// do not do so, for a cancelled job would wait for them.
//
// A chunk that is a run there is as any other. One that lies in parts of rows is made there only by
// tasks that store elements one by one (tsi_exec_takes_strides()), and only if no task reads it;
// before it is written to disk it is made a run.

#include "engine/runtime/local.h"

#include "engine/base/memory.h"
#include "engine/runtime/scatter.h"

// Smaller chunks are copied sooner than their places are found.
#define PLACED_BYTES_MIN ((size_t)64 << 10)

// A chunk in parts of rows.
struct apart {
    struct tsi_local_job *job;
    const struct tsi_grid *grid; // of the job's program
    int64_t chunk;
    size_t item_bytes;
    void *array;
};

// By whoever drops the last reference, with the lock or without; the next pump looks.
static void
unpin(void *owner)
{
    struct tsi_local_job *job = owner;
    atomic_fetch_sub_explicit(&job->pins, 1, memory_order_release);
}

static void
unpin_apart(void *owner)
{
    struct apart *apart = owner;
    struct tsi_local_job *job = apart->job;
    tsi_free(apart);
    unpin(job);
}

static bool
is_read(const struct tsi_program *program, int op)
{
    for (int i = op + 1; i < program->op_count; i++) {
        for (int k = 0; k < program->ops[i].input_count; k++) {
            if (program->ops[i].inputs[k].op == op) {
                return true;
            }
        }
    }
    return false;
}

// A buffer over the place of a chunk in parts of rows of `array`; NULL if there is no memory.
static struct tsi_buf *
wrap_apart(struct tsi_local_job *job, struct tsi_attempt_slot *slot, size_t bytes, void *array)
{
    const struct tsi_chunk_op *made = &job->plan.program->ops[slot->op];
    const size_t item_bytes = tess_dtype_bytes((tess_dtype)made->dtype);
    struct apart *apart = tsi_alloc(sizeof *apart);
    if (apart == NULL) {
        return NULL;
    }
    *apart = (struct apart){job, &made->array, slot->chunk, item_bytes, array};
    void *place = tsi_scatter_place(&made->array, slot->chunk, item_bytes, array);
    struct tsi_buf *buf = tsi_buf_wrap(place, bytes, unpin_apart, apart);
    if (buf == NULL) {
        tsi_free(apart);
        return NULL;
    }
    tsi_scatter_strides(&made->array, item_bytes, slot->place_strides);
    slot->is_apart = true;
    return buf;
}

void
tsi_local_place(struct tsi_local_job *job, struct tsi_attempt_slot *slot)
{
    const struct tsi_program *program = job->plan.program;
    const struct tsi_chunk_op *made = &program->ops[slot->op];
    const size_t bytes = slot->output_bytes;
    if (bytes < PLACED_BYTES_MIN || job->future == NULL || job->ends ||
        made->work != TSI_WORK_TILE || made->is_planes) {
        return;
    }
    void *array = tsi_future_place(job->future, slot->op);
    if (array == NULL) {
        return;
    }
    if (tsi_chunk_is_run(&made->array, slot->chunk)) {
        const size_t item_bytes = tess_dtype_bytes((tess_dtype)made->dtype);
        void *place = tsi_scatter_place(&made->array, slot->chunk, item_bytes, array);
        slot->place = tsi_buf_wrap(place, bytes, unpin, job);
    } else if (tsi_exec_takes_strides(program, slot->op) && !is_read(program, slot->op)) {
        slot->place = wrap_apart(job, slot, bytes, array);
    }
    if (slot->place != NULL) {
        atomic_fetch_add_explicit(&job->pins, 1, memory_order_relaxed);
    }
}

struct tsi_buf *
tsi_local_run_of(struct tsi_buf *chunk)
{
    if (chunk->on_free != unpin_apart) {
        return tsi_buf_ref(chunk);
    }
    const struct apart *apart = chunk->owner;
    struct tsi_buf *run = tsi_buf_new(chunk->bytes);
    if (run != NULL) {
        int64_t strides[TESS_NDIM_MAX];
        tsi_scatter_strides(apart->grid, apart->item_bytes, strides);
        tsi_gather_chunk(apart->grid, apart->chunk, apart->item_bytes, apart->array, strides,
                         run->data, NULL);
    }
    return run;
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
