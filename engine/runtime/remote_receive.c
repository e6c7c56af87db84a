// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler says to a client.

#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/runtime/remote.h"

enum { MESSAGES_PER_TURN = 1000 };

// Puts the message into `out`; false if there is nobody to send it to, or no memory.
static bool
encode(struct tsi_remote *remote, struct tsi_message *message)
{
    message->epoch = remote->connection.epoch;
    message->peer = remote->peer;
    return remote->peer != 0 && !remote->lost && tsi_message_encode(message, &remote->out);
}

// A part without memory is an empty one, which the scheduler drops.
static void
send_part(struct tsi_remote *remote, const unsigned char *bytes, size_t count, bool more)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size(&frame, count) == 0) {
        memcpy(zmq_msg_data(&frame), bytes, count);
    } else {
        zmq_msg_init(&frame);
    }
    tsi_net_send_part(remote->socket, NULL, &frame, more);
}

// Sends what was kept back and, if `last` is not NULL, that after it, in few messages of the
// transport.
static void
send_all(struct tsi_remote *remote, const unsigned char *last, size_t last_count)
{
    struct tsi_later_parts parts = tsi_later_parts(&remote->later, last, last_count);
    while (tsi_later_next_part(&parts)) {
        send_part(remote, parts.bytes, parts.count, parts.more);
    }
    tsi_later_clear(&remote->later);
}

void
tsi_remote_flush(struct tsi_remote *remote)
{
    if (remote->peer == 0) {
        tsi_later_clear(&remote->later);
        return;
    }
    send_all(remote, NULL, 0);
}

void
tsi_remote_send(struct tsi_remote *remote, struct tsi_message *message)
{
    if (encode(remote, message)) {
        send_all(remote, remote->out.bytes, remote->out.count);
    }
}

void
tsi_remote_send_later(struct tsi_remote *remote, struct tsi_message *message)
{
    if (encode(remote, message) &&
        !tsi_later_put(&remote->later, remote->out.bytes, remote->out.count, tsi_clock_ns())) {
        tsi_remote_send(remote, message);
    }
}

struct tsi_remote_job *
tsi_remote_job(const struct tsi_remote *remote, uint32_t number)
{
    for (size_t i = 0; i < remote->jobs.count; i++) {
        if (number != TSI_JOB_NONE && remote->jobs.items[i]->number == number) {
            return remote->jobs.items[i];
        }
    }
    return NULL;
}

bool
tsi_remote_awaits_number(const struct tsi_remote *remote)
{
    bool awaits = false;
    for (size_t i = 0; i < remote->jobs.count; i++) {
        awaits = awaits || remote->jobs.items[i]->number == 0;
    }
    return awaits;
}

static struct tsi_remote_job *
job_by_token(const struct tsi_remote *remote, uint64_t token)
{
    for (size_t i = 0; i < remote->jobs.count; i++) {
        if (remote->jobs.items[i]->token == token) {
            return remote->jobs.items[i];
        }
    }
    return NULL;
}

void
tsi_remote_end_job(struct tsi_remote *remote, struct tsi_remote_job *job, tess_status status,
                   const char *text)
{
    for (size_t i = 0; i < remote->jobs.count; i++) {
        if (remote->jobs.items[i] == job) {
            remote->jobs.items[i] = tsi_vec_last(&remote->jobs);
            remote->jobs.count--;
            break;
        }
    }
    if (job->number != 0) {
        tsi_remote_drop_copies(remote, job->number);
        tsi_remote_give_up_fetches(remote, job->number);
    }
    tsi_future_end(job->future, status, text);
    tsi_future_unref(job->future);
    tsi_vec_fini(&job->wanted);
    tsi_vec_fini(&job->taken);
    tsi_free(job->delivered);
    tsi_free(job);
}

void
tsi_remote_lose(struct tsi_remote *remote, const char *why)
{
    char text[TSI_ERROR_TEXT_MAX];
    remote->lost = true;
    snprintf(text, sizeof text, "compute: the scheduler at %s is gone: %s", remote->where, why);
    while (remote->jobs.count > 0) {
        tsi_remote_end_job(remote, tsi_vec_last(&remote->jobs), TESS_ECONNECT, text);
    }
    tsi_remote_attach_fail(remote, TESS_ECONNECT, text);
}

static void
settle(struct tsi_remote *remote, tess_status status, const char *text)
{
    pthread_mutex_lock(&remote->lock);
    if (remote->settled == TESS_RUNNING) {
        remote->settled = status;
        tsi_error_set(&remote->refusal, status, "%s", text);
        pthread_cond_broadcast(&remote->settled_cond);
    }
    pthread_mutex_unlock(&remote->lock);
}

// Chunks that stay with the workers after the end of the job. Without memory for the note, they are
// given back if the scheduler dies.
static void
note_kept(struct tsi_remote *remote, const struct tsi_remote_job *job)
{
    const struct tsi_program *program = job->future->plan.program;
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].mode == TSI_TARGET_KEEP) {
            (void)tsi_remote_keep(remote, job->number, job->token);
            return;
        }
    }
}

static void
accepted(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tsi_remote_job *job = job_by_token(remote, message->accepted.token);
    struct tsi_message cancel = {.type = TSI_MESSAGE_CANCEL, .job = {.job = message->accepted.job}};
    if (job == NULL) {
        if (!tsi_remote_keeps(remote, message->accepted.job)) {
            tsi_remote_send(remote, &cancel);
        }
        return;
    }
    job->number = message->accepted.job;
    tsi_future_set_job(job->future, job->number);
    if (job->future->detached) {
        job->future->token = job->token;
        tsi_remote_end_job(remote, job, TESS_OK, NULL);
        return;
    }
    if (job->cancelled) {
        tsi_remote_send(remote, &cancel);
    }
    tsi_remote_retell(remote, job);
}

static void
progress(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tsi_remote_job *job = tsi_remote_job(remote, message->progress.job);
    if (job == NULL) {
        return;
    }
    tsi_future_set_progress(job->future, message->progress.done, message->progress.total,
                            (int)message->progress.workers);
    if (message->progress.workers > 0) {
        job->workerless_since_ns = 0;
    } else if (job->workerless_since_ns == 0) {
        job->workerless_since_ns = tsi_clock_ns();
    }
}

static void
job_ended(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tsi_remote_job *job = message->job_ended.job != TSI_JOB_NONE
                                     ? tsi_remote_job(remote, message->job_ended.job)
                                     : job_by_token(remote, message->job_ended.token);
    if (job == NULL) {
        if (!tsi_remote_not_attached(remote, message)) {
            tsi_remote_kept_failed(remote, message);
        }
        return;
    }
    tsi_future_set_costs(job->future, &message->job_ended.costs);
    tess_status status = message->job_ended.status;
    const char *text = message->job_ended.text;
    if (status == TESS_OK) {
        note_kept(remote, job);
    } else if (status != TESS_ECANCELLED) {
        // It may have been submitted before it was heard that what it uses is not to be had.
        const struct tsi_error *error = tsi_remote_kept_error(remote, job->future->plan.program);
        status = error != NULL ? error->status : status;
        text = error != NULL ? error->text : text;
    }
    tsi_remote_end_job(remote, job, status, text);
}

// The least memory of all workers that came since this process joined the scheduler.
static void
note_memory(struct tsi_remote *remote, uint64_t bytes)
{
    if (remote->worker_bytes == 0 || bytes < remote->worker_bytes) {
        remote->worker_bytes = bytes;
    }
}

static void
take_news(struct tsi_remote *remote, const struct tsi_peer_news *news)
{
    pthread_mutex_lock(&remote->lock);
    remote->worker_threads += news->is_there ? news->threads : 0u - news->threads;
    if (news->is_there && news->threads > 0) {
        note_memory(remote, news->memory_bytes);
    }
    pthread_mutex_unlock(&remote->lock);
    if (news->is_there) {
        tsi_fetcher_peer(remote->fetcher, news->peer, news->endpoint,
                         strcmp(news->host, remote->host) == 0);
    } else {
        tsi_fetcher_peer_gone(remote->fetcher, news->peer);
    }
}

static void
take_message(struct tsi_remote *remote, const struct tsi_message *message)
{
    struct tsi_remote_job *job;
    switch (message->type) {
    case TSI_MESSAGE_ACCEPTED:
        accepted(remote, message);
        break;
    case TSI_MESSAGE_PROGRAM:
        tsi_remote_attached(remote, message);
        break;
    case TSI_MESSAGE_READY:
        job = tsi_remote_job(remote, message->ready.job);
        if (job != NULL) {
            job->workerless_since_ns = 0;
            tsi_remote_ready(remote, job, message);
        }
        break;
    case TSI_MESSAGE_PROGRESS:
        progress(remote, message);
        break;
    case TSI_MESSAGE_JOB_ENDED:
        job_ended(remote, message);
        break;
    case TSI_MESSAGE_PEER:
        take_news(remote, &message->news);
        break;
    case TSI_MESSAGE_GOODBYE:
        tsi_remote_part(remote, "it was stopped");
        break;
    default:
        break;
    }
}

static void
take_any(struct tsi_remote *remote, const struct tsi_message *message)
{
    remote->heard_ns = tsi_clock_ns();
    if (message->type == TSI_MESSAGE_WELCOME && remote->peer == 0) {
        if (!tsi_remote_welcomed(remote, message)) {
            return;
        }
        struct tsi_message heartbeat = {.type = TSI_MESSAGE_HEARTBEAT};
        tsi_remote_send(remote, &heartbeat); // whoever knows its number is a member
        settle(remote, TESS_OK, "");
    } else if (message->type == TSI_MESSAGE_REFUSE && message->refuse.status == TESS_ELOST &&
               remote->may_return) {
        tsi_remote_part(remote, message->refuse.text);
    } else if (message->type == TSI_MESSAGE_REFUSE) {
        settle(remote, message->refuse.status, message->refuse.text);
        tsi_remote_lose(remote, message->refuse.text);
    } else if (remote->peer != 0 && message->peer == remote->peer &&
               message->epoch == remote->connection.epoch) {
        take_message(remote, message);
    }
}

static void
take_frame(struct tsi_remote *remote, zmq_msg_t *frame)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_message message;
    const tess_status status = tsi_message_decode(zmq_msg_data(frame), zmq_msg_size(frame),
                                                  &remote->scratch, &message, &error);
    if (status == TESS_OK || (status == TESS_EVERSION && message.type == TSI_MESSAGE_REFUSE)) {
        take_any(remote, &message);
    }
}

void
tsi_remote_receive(struct tsi_remote *remote)
{
    for (int i = 0; i < MESSAGES_PER_TURN && remote->socket != NULL && !remote->lost; i++) {
        zmq_msg_t frames[TSI_NET_FRAMES_MAX];
        const int count = tsi_net_receive(remote->socket, NULL, frames, TSI_NET_FRAMES_MAX);
        if (count == 0) {
            return;
        }
        for (int k = 0; k < count && remote->socket != NULL && !remote->lost; k++) {
            take_frame(remote, &frames[k]);
        }
        tsi_net_close_frames(frames, count);
    }
}
