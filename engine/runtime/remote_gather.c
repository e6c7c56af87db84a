// SPDX-License-Identifier: Apache-2.0
//
// Chunks between the caller's memory and the workers. Target chunks come inside READY if they are small,
// else they are pulled from the worker that has them, a bounded number of bytes at once, and copied to
// their place; then the scheduler is told, so that the worker's copy can go. Arrays in the caller's memory
// are served chunk by chunk to workers that ask.

#include <string.h>

#include "engine/base/memory.h"
#include "engine/runtime/remote.h"
#include "engine/runtime/scatter.h"

// Bytes of target chunks that may be under way at once; one chunk may be larger.
#define FETCHING_BYTES_MAX ((uint64_t)256 << 20)
#define TAKEN_BATCH 512

static bool
deliver(struct tsi_remote_job *job, uint32_t task, const void *data, uint64_t bytes)
{
    const struct tsi_program *program = job->future->plan.program;
    if (task >= program->task_count) {
        return false;
    }
    const int op = tsi_program_op_of(program, task);
    return tsi_future_deliver(job->future, op, task - program->ops[op].task_base, data,
                              (size_t)bytes);
}

static void
fail_job(struct tsi_remote *remote, struct tsi_remote_job *job, tess_status status, const char *text)
{
    struct tsi_message message = {.type = TSI_MESSAGE_CANCEL, .job = {.job = job->number}};
    tsi_remote_send(remote, &message);
    tsi_remote_end_job(remote, job, status, text);
}

static void
tell_taken(struct tsi_remote *remote, struct tsi_remote_job *job)
{
    if (job->taken.count > 0) {
        struct tsi_message message = {.type = TSI_MESSAGE_TAKEN,
                                      .taken = {.job = job->number,
                                                .tasks = job->taken.items,
                                                .count = job->taken.count}};
        tsi_remote_send(remote, &message);
        tsi_vec_clear(&job->taken);
    }
}

// Takes a delivered chunk down as taken; false if the job has been ended for want of memory.
static bool
note_taken(struct tsi_remote *remote, struct tsi_remote_job *job, uint32_t task)
{
    if (job->taken.count >= TAKEN_BATCH) {
        tell_taken(remote, job);
    }
    if (!tsi_vec_push(&job->taken, task)) {
        fail_job(remote, job, TESS_ENOMEM, "compute: out of memory while gathering the result");
        return false;
    }
    return true;
}

void
tsi_remote_ready(struct tsi_remote *remote, struct tsi_remote_job *job,
                 const struct tsi_message *message)
{
    for (size_t i = 0; i < message->ready.count; i++) {
        const struct tsi_ready_item *item = &message->ready.items[i];
        if (item->data != NULL) {
            if (!deliver(job, item->task, item->data, item->bytes)) {
                fail_job(remote, job, TESS_EPROTOCOL,
                         "compute: the scheduler sent a result that was not asked for");
                return;
            }
            if (!note_taken(remote, job, item->task)) {
                return;
            }
            continue;
        }
        const struct tsi_remote_chunk chunk = {item->task, item->peer, item->bytes};
        if (!tsi_vec_push(&job->wanted, chunk)) {
            fail_job(remote, job, TESS_ENOMEM, "compute: out of memory while gathering the result");
            return;
        }
    }
}

// Asks for chunks of `job` as far as the bytes under way allow. False if that is as far as it goes.
static bool
ask_for_chunks(struct tsi_remote *remote, struct tsi_remote_job *job)
{
    while (job->wanted_taken < job->wanted.count) {
        const struct tsi_remote_chunk *chunk = &job->wanted.items[job->wanted_taken];
        if (remote->bytes_fetching > 0 &&
            remote->bytes_fetching + chunk->bytes > FETCHING_BYTES_MAX) {
            return false;
        }
        if (!tsi_fetcher_start(remote->fetcher, tsi_key_of(job->number, chunk->task), chunk->peer,
                               chunk->bytes)) {
            return false;
        }
        remote->bytes_fetching += chunk->bytes;
        job->wanted_taken++;
    }
    tsi_vec_clear(&job->wanted);
    job->wanted_taken = 0;
    return true;
}

void
tsi_remote_gather(struct tsi_remote *remote)
{
    for (size_t i = 0; i < remote->jobs.count; i++) {
        tell_taken(remote, remote->jobs.items[i]);
    }
    for (size_t i = 0; i < remote->jobs.count; i++) {
        if (!ask_for_chunks(remote, remote->jobs.items[i])) {
            return;
        }
    }
}

// A chunk that could not be fetched is lost with its worker: the scheduler makes it again and reports it
// as ready again.
void
tsi_remote_fetched(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk,
                   const char *text)
{
    struct tsi_remote *remote = context;
    struct tsi_remote_job *job = tsi_remote_job(remote, tsi_key_job(key));
    (void)peer;
    (void)text;
    const uint64_t bytes = chunk != NULL ? chunk->bytes : 0;
    remote->bytes_fetching -= bytes < remote->bytes_fetching ? bytes : remote->bytes_fetching;
    if (job != NULL && chunk != NULL) {
        if (!deliver(job, tsi_key_task(key), chunk->data, chunk->bytes)) {
            fail_job(remote, job, TESS_EPROTOCOL,
                     "compute: a worker sent a result that was not asked for");
        } else {
            note_taken(remote, job, tsi_key_task(key));
        }
    }
    tsi_buf_unref(chunk);
}

// Copies a chunk of the caller's memory, which may have any strides.
static struct tsi_buf *
copy_held(const struct tsi_chunk_op *op, int64_t chunk, const struct tess_array *array)
{
    struct tsi_buf *copy = tsi_buf_new(tsi_chunk_op_bytes(op, chunk));
    if (copy != NULL) {
        tsi_gather_chunk(&array->grid, chunk, tess_dtype_bytes(array->dtype), array->memory.data,
                         array->memory.stride, copy->data);
    }
    return copy;
}

struct tsi_buf *
tsi_remote_lookup(void *context, tsi_key key, const char **text)
{
    const struct tsi_remote *remote = context;
    const struct tsi_remote_job *job = tsi_remote_job(remote, tsi_key_job(key));
    const uint32_t task = tsi_key_task(key);
    *text = "the client does not hold this chunk";
    if (job == NULL || task >= job->future->plan.program->task_count) {
        return NULL;
    }
    const struct tsi_program *program = job->future->plan.program;
    const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task)];
    if (op->work != TSI_WORK_HELD) {
        return NULL;
    }
    struct tsi_buf *chunk = copy_held(op, task - op->task_base,
                                      job->future->plan.held[op->held.array]);
    if (chunk == NULL) {
        *text = "the client is out of memory";
    }
    return chunk;
}
