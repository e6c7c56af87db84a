// SPDX-License-Identifier: Apache-2.0
//
// Chunks that are dropped, and made again where they are needed, instead of written to disk.
//
// That is worth it where a chunk is made from nothing, such as random numbers, in less time than it
// takes to write it and to read it back. To the scheduler it is a chunk that was lost: whoever
// needs it waits for it, and it is made again by the rank of the first of them.
//
//   - Nobody here waits for such a chunk, so that what is dropped is needed later than all that
//     was assigned to this worker.
//   - The scheduler knows of it by the completion of the task that made it here, which was told
//     before. So it hears of the loss later, and does not take the chunk for one that is here.
//   - A worker drops a chunk once. When it is made here again it is written like others. So tasks
//     that need the same room in turn cannot have it made over and over.

#include "engine/base/memory.h"
#include "worker/core/worker_state.h"

// How fast a disk is guessed to be, both ways: one byte a nanosecond.
#define DISK_NS_PER_BYTE 1

static bool
is_target(const struct tsi_program *program, int op)
{
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].op == op) {
            return true;
        }
    }
    return false;
}

// Whether the tasks of `op` read nothing and write nothing else, and nobody but tasks of the job
// wants what they make.
static bool
is_made_from_nothing(const struct tsi_program *program, int op)
{
    const struct tsi_chunk_op *chunk_op = &program->ops[op];
    return chunk_op->work == TSI_WORK_TILE && chunk_op->input_count == 0 &&
           chunk_op->tile.sink != TSI_SINK_WRITE && !is_target(program, op);
}

static bool
is_cheap(const struct tsi_worker_chunk *chunk)
{
    struct tsi_worker_job *job = chunk->job;
    const uint32_t task = tsi_key_task(chunk->key);
    if (job->program == NULL || task >= job->program->task_count) {
        return false;
    }
    const int op = tsi_program_op_of(job->program, task);
    const uint64_t disk_ns = 2 * DISK_NS_PER_BYTE * chunk->bytes;
    return is_made_from_nothing(job->program, op) &&
           tsi_worker_job_needs(job, op)->cost_ns < disk_ns;
}

// Whether the chunk is dropped for the first time; notes that it is. False when memory is out.
static bool
note_drop(struct tsi_worker_job *job, uint32_t task)
{
    const uint32_t bits = 64;
    if (job->drops == NULL) {
        job->drops = tsi_calloc(job->program->task_count / bits + 1, sizeof *job->drops);
    }
    const uint64_t bit = UINT64_C(1) << task % bits;
    if (job->drops == NULL || (job->drops[task / bits] & bit) != 0) {
        return false;
    }
    job->drops[task / bits] |= bit;
    return true;
}

bool
tsi_worker_cheap_drop(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    const bool is_free = chunk->pins == 0 && chunk->users == NULL && !chunk->copying &&
                         !chunk->demanded && chunk->extent == NULL;
    const bool is_told = chunk->told && chunk->known && !chunk->doubtful && !chunk->freed;
    if (!is_free || !is_told || !is_cheap(chunk) || !tsi_vec_reserve(&worker->dropped, 1) ||
        !note_drop(chunk->job, tsi_key_task(chunk->key))) {
        return false;
    }
    (void)tsi_vec_push(&worker->dropped, chunk->key);
    worker->chunks_dropped++;
    chunk->known = false;
    tsi_worker_chunk_settle(worker, chunk);
    return true;
}
