// SPDX-License-Identifier: Apache-2.0
//
// Jobs whose chunks stay with the workers for this session: those that it keeps, and detached ones
// of other sessions that it asks for. A detached job may fail after it was attached to, when nobody
// waits for it; then the reason is kept with it, and whoever uses its chunks gets that.

#include <stdio.h>

#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "engine/runtime/remote.h"

static struct tsi_remote_kept *
find_kept(const struct tsi_remote *remote, uint32_t number)
{
    for (size_t i = 0; i < remote->kept.count; i++) {
        if (remote->kept.items[i].number == number) {
            return &remote->kept.items[i];
        }
    }
    return NULL;
}

bool
tsi_remote_keeps(const struct tsi_remote *remote, uint32_t number)
{
    return find_kept(remote, number) != NULL;
}

bool
tsi_remote_keep(struct tsi_remote *remote, uint32_t number, uint64_t token)
{
    return tsi_remote_keeps(remote, number) ||
           tsi_vec_push(&remote->kept, ((struct tsi_remote_kept){number, token, NULL}));
}

void
tsi_remote_forget(struct tsi_remote *remote, uint32_t number)
{
    struct tsi_remote_kept *kept = find_kept(remote, number);
    if (kept != NULL) {
        tsi_free(kept->error);
        *kept = tsi_vec_last(&remote->kept);
        remote->kept.count--;
    }
}

// A job that a scheduler does not know any more has no number there.
static struct tsi_remote_kept *
find_ended(const struct tsi_remote *remote, const struct tsi_message *message)
{
    for (size_t i = 0; i < remote->kept.count; i++) {
        struct tsi_remote_kept *kept = &remote->kept.items[i];
        if (message->job_ended.job == TSI_JOB_NONE ? kept->token == message->job_ended.token
                                                   : kept->number == message->job_ended.job) {
            return kept;
        }
    }
    return NULL;
}

void
tsi_remote_kept_failed(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tsi_remote_kept *kept = find_ended(remote, message);
    if (kept == NULL || message->job_ended.status == TESS_OK || kept->error != NULL) {
        return;
    }
    // Without memory for it the scheduler says that there is no such job.
    kept->error = tsi_alloc(sizeof *kept->error);
    if (kept->error != NULL) {
        tsi_error_set(kept->error, message->job_ended.status, "%s", message->job_ended.text);
    }
}

const struct tsi_error *
tsi_remote_kept_error(const struct tsi_remote *remote, const struct tsi_program *program)
{
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        const struct tsi_remote_kept *kept =
            op->work == TSI_WORK_KEPT ? find_kept(remote, (uint32_t)op->kept.job) : NULL;
        if (kept != NULL && kept->error != NULL) {
            return kept->error;
        }
    }
    return NULL;
}

static void
ask(struct tsi_remote *remote, uint64_t token)
{
    struct tsi_message message = {.type = TSI_MESSAGE_ATTACH, .claim = {.token = token}};
    tsi_remote_send(remote, &message); // while there is no scheduler, it is sent when one is back
}

void
tsi_remote_attach(struct tsi_remote *remote, struct tess_future *future, uint64_t token)
{
    const struct tsi_remote_attach wanted = {token, future};
    if (remote->lost || !tsi_vec_push(&remote->attaches, wanted)) {
        tsi_future_end(future, remote->lost ? TESS_ECONNECT : TESS_ENOMEM,
                       remote->lost ? "the scheduler is gone" : "out of memory");
        tsi_future_unref(future);
        return;
    }
    ask(remote, token);
}

void
tsi_remote_attach_again(struct tsi_remote *remote)
{
    for (size_t i = 0; i < remote->attaches.count; i++) {
        ask(remote, remote->attaches.items[i].token);
    }
}

// Takes one that was asked for off the list; NULL if there is none.
static struct tess_future *
take(struct tsi_remote *remote, uint64_t token)
{
    for (size_t i = 0; i < remote->attaches.count; i++) {
        struct tess_future *future = remote->attaches.items[i].future;
        if (remote->attaches.items[i].token == token) {
            remote->attaches.items[i] = tsi_vec_last(&remote->attaches);
            remote->attaches.count--;
            return future;
        }
    }
    return NULL;
}

void
tsi_remote_attach_fail(struct tsi_remote *remote, tess_status status, const char *text)
{
    while (remote->attaches.count > 0) {
        struct tess_future *future = take(remote, remote->attaches.items[0].token);
        tsi_future_end(future, status, text);
        tsi_future_unref(future);
    }
}

void
tsi_remote_attached(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tess_future *future = take(remote, message->program.token);
    if (future == NULL) {
        return;
    }
    tess_status status = tsi_program_decode(message->program.bytes, message->program.count,
                                            &future->plan.program, &error);
    if (status == TESS_OK &&
        !tsi_remote_keep(remote, message->program.job, message->program.token)) {
        status = tsi_error_set(&error, TESS_ENOMEM, "out of memory");
    }
    tsi_future_set_job(future, message->program.job);
    tsi_future_end(future, status, error.text);
    tsi_future_unref(future);
}

bool
tsi_remote_not_attached(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tess_future *future =
        message->job_ended.job == TSI_JOB_NONE ? take(remote, message->job_ended.token) : NULL;
    if (future == NULL) {
        return false;
    }
    tsi_future_end(
        future, message->job_ended.status != TESS_OK ? message->job_ended.status : TESS_EPROTOCOL,
        message->job_ended.text);
    tsi_future_unref(future);
    return true;
}
