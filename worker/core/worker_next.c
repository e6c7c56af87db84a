// SPDX-License-Identifier: Apache-2.0
//
// When a chunk is needed next.
//
// Of tasks that are here it is known: they run by rank. Later ones follow from the program. The
// scheduler goes through the targets in order, so the tasks of an operation come about in the order
// of their chunks, each operation at its own pace; the highest chunk that was assigned here tells
// how far one is. A chunk whose next user is far ahead of that, as a part of the operation, is
// needed late; one whose users are all behind, or that has none, such as a kept one, is needed last
// of all. It is a guess, on which only time depends.

#include "worker/core/worker_state.h"

enum { USERS_LOOKED_AT = 64 };

// Later than all tasks that are here: from here on by distance, up to UINT64_MAX for never.
#define LATER (UINT64_MAX - UINT32_MAX)

// How far ahead, as a part of the operation in 1/2³², the next task of `op` is that reads `chunk`
// of `source` by `input`; UINT32_MAX if there is none.
static uint32_t
distance_by(const struct tsi_chunk_op *op, const struct tsi_input *input,
            const struct tsi_chunk_op *source, int64_t chunk, int64_t frontier)
{
    struct tsi_chunk_set users = tsi_index_map_users(&input->map, &op->loop, &source->array, chunk);
    int64_t user = 0;
    int64_t next = INT64_MAX;
    for (int i = 0; i < USERS_LOOKED_AT && tsi_chunk_set_next(&users, &user); i++) {
        if (user >= frontier && user < next) {
            next = user;
        }
    }
    if (next == INT64_MAX || op->task_count == 0) {
        return UINT32_MAX;
    }
    const double part = (double)(next - frontier) / (double)op->task_count;
    return part < 1 ? (uint32_t)(part * (double)UINT32_MAX) : UINT32_MAX;
}

// The same over all operations of a job that read `chunk` of operation `source`.
static uint32_t
distance_in(const struct tsi_worker_job *job, int source, int64_t chunk)
{
    const struct tsi_program *program = job->program;
    uint32_t least = UINT32_MAX;
    for (int i = source + 1; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        for (int k = 0; k < op->input_count; k++) {
            if (op->inputs[k].op == source) {
                const uint32_t distance = distance_by(op, &op->inputs[k], &program->ops[source],
                                                      chunk, job->needs[i].frontier);
                least = distance < least ? distance : least;
            }
        }
    }
    return least;
}

// The same over the operations of `job` that stand for the kept chunks of another job.
static uint32_t
distance_as_kept(const struct tsi_worker_job *job, tsi_key key)
{
    const struct tsi_program *program = job->program;
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        const uint32_t chunk = tsi_key_task(key) - op->kept.base;
        if (op->work == TSI_WORK_KEPT && op->kept.job == tsi_key_job(key) &&
            chunk < op->task_count) {
            const uint32_t distance = distance_in(job, i, chunk);
            least = distance < least ? distance : least;
        }
    }
    return least;
}

static bool
is_delivered(const struct tsi_program *program, int op)
{
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].op == op && program->targets[i].mode == TSI_TARGET_DELIVER) {
            return true;
        }
    }
    return false;
}

static uint64_t
later(const struct tsi_worker *worker, const struct tsi_worker_chunk *chunk)
{
    uint32_t least = UINT32_MAX;
    const struct tsi_program *program = chunk->job->program;
    const uint32_t task = tsi_key_task(chunk->key);
    if (program != NULL && task < program->task_count) {
        const int op = tsi_program_op_of(program, task);
        if (is_delivered(program, op)) {
            return LATER; // the client takes it as soon as it can
        }
        least = distance_in(chunk->job, op, (int64_t)(task - program->ops[op].task_base));
    }
    for (const struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        if (job != chunk->job && job->program != NULL) {
            const uint32_t distance = distance_as_kept(job, chunk->key);
            least = distance < least ? distance : least;
        }
    }
    return LATER + least;
}

uint64_t
tsi_worker_next_use(const struct tsi_worker *worker, const struct tsi_worker_chunk *chunk)
{
    // Else tasks here and peers that want the same room in turn could keep it from each other.
    if (chunk->demanded && chunk->state == TSI_WORKER_HELD &&
        worker->now_ns < chunk->stays_until_ns) {
        return 0;
    }
    uint64_t first = UINT64_MAX;
    for (const struct tsi_worker_input *use = chunk->users; use != NULL; use = use->next) {
        const uint64_t priority = tsi_worker_task_priority(use->task);
        first = priority < first ? priority : first;
    }
    if (first < LATER) {
        return first;
    }
    return chunk->demanded ? LATER : later(worker, chunk);
}
