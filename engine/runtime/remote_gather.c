// SPDX-License-Identifier: Apache-2.0
//
// Chunks between the caller's memory and the workers. Target chunks come inside READY if they are
// small, else they are pulled from the worker that has them, a bounded number of bytes at once, to
// their places, or copied there; then the scheduler is told, so that the worker's copy can go.
// Arrays in the caller's memory are served chunk by chunk to workers that ask.

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/runtime/remote.h"
#include "engine/runtime/scatter.h"

// Bytes of target chunks that may be under way at once; one chunk may be larger.
#define FETCHING_BYTES_MAX ((uint64_t)256 << 20)
#define TAKEN_BATCH 512

// Fetches of one job that may fail before it does, those that may for a wrong checksum, and the
// pause after each.
#define FAILURES_MAX 300
#define DAMAGES_MAX 8
#define PAUSE_NS (100 * TSI_MILLISECOND)

struct tsi_helper *
tsi_remote_helper(struct tsi_remote *remote, uint64_t bytes)
{
    if (bytes < TSI_SCATTER_HELPED_BYTES) {
        return NULL;
    }
    if (remote->helper == NULL && remote->has_processors) {
        remote->helper = tsi_helper_new();
    }
    return remote->helper;
}

static bool
deliver(struct tsi_remote *remote, struct tsi_remote_job *job, uint32_t task, const void *data,
        uint64_t bytes)
{
    const struct tsi_program *program = job->future->plan.program;
    if (task >= program->task_count) {
        return false;
    }
    const int op = tsi_program_op_of(program, task);
    return tsi_future_deliver(job->future, op, task - program->ops[op].task_base, data,
                              (size_t)bytes, tsi_remote_helper(remote, bytes));
}

static void
fail_job(struct tsi_remote *remote, struct tsi_remote_job *job, tess_status status,
         const char *text)
{
    struct tsi_message message = {.type = TSI_MESSAGE_CANCEL, .job = {.job = job->number}};
    tsi_remote_send(remote, &message);
    tsi_remote_end_job(remote, job, status, text);
}

// Whether nothing that the scheduler could say of the job is waited for any more.
static bool
has_all(const struct tsi_remote_job *job)
{
    return job->left == 0 && job->is_told && job->only_delivers;
}

static void
tell_taken(struct tsi_remote *remote, struct tsi_remote_job *job)
{
    if (job->taken.count > 0) {
        struct tsi_message message = {
            .type = TSI_MESSAGE_TAKEN,
            .taken = {.job = job->number, .tasks = job->taken.items, .count = job->taken.count}};
        // The memory of what was fetched may be needed for the next compute.
        if (has_all(job) && !job->has_fetched) {
            tsi_remote_send_later(remote, &message);
        } else {
            tsi_remote_send(remote, &message);
        }
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
    if ((job->delivered[task / 64] >> task % 64 & 1) == 0) {
        job->delivered[task / 64] |= UINT64_C(1) << task % 64;
        job->left--;
    }
    if (!tsi_vec_push(&job->taken, task)) {
        fail_job(remote, job, TESS_ENOMEM, "compute: out of memory while gathering the result");
        return false;
    }
    return true;
}

// A chunk that is reported again has been made anew: where it was before does not count any more.
static void
forget_wanted(struct tsi_remote_job *job, uint32_t task)
{
    if (job->failures == 0) {
        return;
    }
    size_t kept = job->wanted_taken;
    for (size_t i = job->wanted_taken; i < job->wanted.count; i++) {
        if (job->wanted.items[i].task != task) {
            job->wanted.items[kept++] = job->wanted.items[i];
        }
    }
    job->wanted.count = kept;
}

void
tsi_remote_ready(struct tsi_remote *remote, struct tsi_remote_job *job,
                 const struct tsi_message *message)
{
    job->is_told = message->ready.is_last;
    if (job->is_told) {
        tsi_future_set_costs(job->future, &message->ready.costs);
    }
    for (size_t i = 0; i < message->ready.count; i++) {
        const struct tsi_ready_item *item = &message->ready.items[i];
        if (item->data != NULL) {
            if (!deliver(remote, job, item->task, item->data, item->bytes)) {
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
        forget_wanted(job, item->task);
        if (!tsi_vec_push(&job->wanted, chunk)) {
            fail_job(remote, job, TESS_ENOMEM, "compute: out of memory while gathering the result");
            return;
        }
    }
}

// Where a chunk can land at once: its place in the caller's memory, if it is a run there. NULL: it
// has to be copied there.
static void *
place_of(const struct tsi_remote_job *job, const struct tsi_remote_chunk *chunk)
{
    const struct tsi_program *program = job->future->plan.program;
    if (chunk->task >= program->task_count) {
        return NULL;
    }
    const int op = tsi_program_op_of(program, chunk->task);
    const struct tsi_chunk_op *made = &program->ops[op];
    const int64_t index = chunk->task - made->task_base;
    void *array = tsi_future_place(job->future, op);
    if (array == NULL || !tsi_chunk_is_run(&made->array, index) ||
        tsi_chunk_op_bytes(made, index) != chunk->bytes) {
        return NULL;
    }
    return tsi_scatter_place(&made->array, index, tess_dtype_bytes((tess_dtype)made->dtype), array);
}

// Asks for chunks of `job` as far as the bytes under way allow. False if that is as far as it goes.
static bool
ask_for_chunks(struct tsi_remote *remote, struct tsi_remote_job *job)
{
    if (tsi_clock_ns() < job->ask_again_ns) {
        return true;
    }
    while (job->wanted_taken < job->wanted.count) {
        const struct tsi_remote_chunk *chunk = &job->wanted.items[job->wanted_taken];
        if (remote->bytes_fetching > 0 &&
            remote->bytes_fetching + chunk->bytes > FETCHING_BYTES_MAX) {
            return false;
        }
        if (!tsi_fetcher_start(remote->fetcher, tsi_key_of(job->number, chunk->task), chunk->peer,
                               chunk->bytes, place_of(job, chunk))) {
            return false;
        }
        job->has_fetched = true;
        remote->bytes_fetching += chunk->bytes;
        remote->chunks_fetching++;
        job->wanted_taken++;
    }
    tsi_vec_clear(&job->wanted);
    job->wanted_taken = 0;
    return true;
}

void
tsi_remote_gather(struct tsi_remote *remote)
{
    for (size_t i = remote->jobs.count; i-- > 0;) {
        struct tsi_remote_job *job = remote->jobs.items[i];
        tell_taken(remote, job);
        if (has_all(job)) {
            tsi_remote_end_job(remote, job, TESS_OK, NULL);
        }
    }
    for (size_t i = 0; i < remote->jobs.count; i++) {
        if (!ask_for_chunks(remote, remote->jobs.items[i])) {
            return;
        }
    }
}

// Whether it was a wrong checksum for which a fetch failed just now.
static bool
was_damaged(struct tsi_remote *remote)
{
    const uint64_t before = remote->damaged;
    remote->damaged = tsi_fetcher_damaged(remote->fetcher);
    return remote->damaged > before;
}

// A chunk that could not be fetched is asked for again after a pause. If its worker is gone, the
// scheduler has it made again and says where; a worker that lives but has lost it fails the job in
// the end.
static void
fetch_failed(struct tsi_remote *remote, struct tsi_remote_job *job, uint32_t task, uint32_t peer,
             const char *why)
{
    const struct tsi_program *program = job->future->plan.program;
    const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task)];
    const struct tsi_remote_chunk chunk = {task, peer,
                                           tsi_chunk_op_bytes(op, task - op->task_base)};
    job->failures++;
    job->damages += was_damaged(remote) ? 1 : 0;
    if (job->failures > FAILURES_MAX || job->damages > DAMAGES_MAX ||
        !tsi_vec_push(&job->wanted, chunk)) {
        char text[TSI_ERROR_TEXT_MAX];
        char place[256];
        tsi_chunk_op_place(op, place, sizeof place);
        snprintf(text, sizeof text,
                 "%s: a chunk of the result cannot be fetched from its worker: %s", place, why);
        fail_job(remote, job, job->damages > DAMAGES_MAX ? TESS_EIO : TESS_ELOST, text);
        return;
    }
    job->ask_again_ns = tsi_clock_ns() + PAUSE_NS;
}

static void
fetch_done(struct tsi_remote *remote, struct tsi_remote_job *job, uint32_t task,
           const struct tsi_buf *chunk)
{
    const bool is_wanted = deliver(remote, job, task, chunk->data, chunk->bytes);
    if (!tsi_buf_is_sound(chunk)) {
        fail_job(remote, job, TESS_ELOST,
                 "compute: the worker took a chunk of the result back while it was read");
    } else if (!is_wanted) {
        fail_job(remote, job, TESS_EPROTOCOL,
                 "compute: a worker sent a result that was not asked for");
    } else {
        note_taken(remote, job, task);
    }
}

// The size of a chunk that failed is known as long as its job is there. What ended jobs leave over
// is put right when nothing is under way.
static void
count_fetched(struct tsi_remote *remote, const struct tsi_remote_job *job, uint32_t task,
              const struct tsi_buf *chunk)
{
    uint64_t bytes = chunk != NULL ? chunk->bytes : 0;
    if (chunk == NULL && job != NULL) {
        const struct tsi_program *program = job->future->plan.program;
        const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task)];
        bytes = tsi_chunk_op_bytes(op, task - op->task_base);
    }
    remote->chunks_fetching--;
    remote->bytes_fetching -= bytes < remote->bytes_fetching ? bytes : remote->bytes_fetching;
    remote->bytes_fetching = remote->chunks_fetching > 0 ? remote->bytes_fetching : 0;
}

void
tsi_remote_give_up_fetches(struct tsi_remote *remote, uint32_t job)
{
    uint64_t bytes = 0;
    const size_t count =
        remote->fetcher != NULL ? tsi_fetcher_give_up(remote->fetcher, job, &bytes) : 0;
    remote->chunks_fetching -= count;
    remote->bytes_fetching -= bytes < remote->bytes_fetching ? bytes : remote->bytes_fetching;
}

void
tsi_remote_fetched(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk,
                   const char *text)
{
    struct tsi_remote *remote = context;
    struct tsi_remote_job *job = tsi_remote_job(remote, tsi_key_job(key));
    count_fetched(remote, job, tsi_key_task(key), chunk);
    if (job != NULL && chunk != NULL) {
        fetch_done(remote, job, tsi_key_task(key), chunk);
    } else if (job != NULL) {
        fetch_failed(remote, job, tsi_key_task(key), peer, text);
    }
    tsi_buf_unref(chunk);
}

struct tsi_buf *
tsi_remote_lookup(void *context, tsi_key key, const char **text)
{
    struct tsi_remote *remote = context;
    const struct tsi_remote_job *job = tsi_remote_job(remote, tsi_key_job(key));
    const uint32_t task = tsi_key_task(key);
    *text = "the client does not hold this chunk";
    // A worker may hear of a job before its client does, and ask for what belongs to it.
    if (job == NULL && tsi_remote_awaits_number(remote)) {
        *text = tsi_server_later;
        return NULL;
    }
    if (job == NULL || task >= job->future->plan.program->task_count) {
        return NULL;
    }
    const struct tsi_program *program = job->future->plan.program;
    const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task)];
    if (op->work != TSI_WORK_HELD) {
        return NULL;
    }
    struct tsi_buf *chunk =
        tsi_remote_held(remote, key, op, job->future->plan.held[op->held.array]);
    if (chunk == NULL) {
        *text = "the client is out of memory";
    }
    return chunk;
}
