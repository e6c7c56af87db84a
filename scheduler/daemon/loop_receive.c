// SPDX-License-Identifier: Apache-2.0
//
// Messages to events. What a frame says is checked here only as far as the core does not: who it is
// from, and whether that one may say such a thing. Frames that break a rule are dropped and
// counted.

#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "scheduler/daemon/loop.h"

enum { MESSAGES_PER_TURN = 1000 };

void
tsi_loop_event(struct tsi_loop *loop, struct tsi_sched_event *event)
{
    event->now_ns = tsi_clock_ns();
    tsi_recorder_event(loop->recorder, event);
    tsi_sched_step(loop->sched, event);
}

void
tsi_loop_refuse_job(struct tsi_loop *loop, uint32_t peer, uint64_t token, tess_status status,
                    const char *text)
{
    struct tsi_member *member = tsi_members_by_peer(loop, peer);
    struct tsi_message message = {
        .type = TSI_MESSAGE_JOB_ENDED,
        .job_ended = {.job = TSI_JOB_NONE, .token = token, .status = status, .text = text}};
    if (member != NULL) {
        tsi_loop_send(loop, member, &message);
    }
}

static void
refuse_job(struct tsi_loop *loop, const struct tsi_member *member, uint64_t token,
           tess_status status, const char *text)
{
    tsi_loop_refuse_job(loop, member->peer, token, status, text);
}

static struct tsi_daemon_job *
keep_job(struct tsi_loop *loop, const struct tsi_message *message)
{
    struct tsi_daemon_job *job = tsi_calloc(1, sizeof *job);
    unsigned char *bytes = tsi_alloc(message->submit.count + 1);
    if (job == NULL || bytes == NULL || !tsi_vec_push(&loop->jobs, job)) {
        tsi_free(job);
        tsi_free(bytes);
        return NULL;
    }
    memcpy(bytes, message->submit.bytes, message->submit.count);
    job->bytes = bytes;
    job->count = message->submit.count;
    job->token = message->submit.token;
    job->detached = message->submit.detached;
    return job;
}

struct tsi_daemon_job *
tsi_loop_job_by_token(const struct tsi_loop *loop, uint64_t token)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i]->token == token) {
            return loop->jobs.items[i];
        }
    }
    return NULL;
}

static struct tsi_daemon_job *
job_by_number(const struct tsi_loop *loop, uint32_t number)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i]->number == number) {
            return loop->jobs.items[i];
        }
    }
    return NULL;
}

// A client that has not heard how its job ended.
static void
tell_past(struct tsi_loop *loop, const struct tsi_member *member, uint64_t token)
{
    for (size_t i = 0; i < loop->past.count; i++) {
        const struct tsi_past_job *past = &loop->past.items[i];
        if (past->token != token) {
            continue;
        }
        const bool is_lost = past->status == TESS_OK && past->kept;
        refuse_job(loop, member, token, is_lost ? TESS_ELOST : past->status,
                   is_lost ? "compute: the chunks that the job kept were given back, since its "
                             "client did not come back in time"
                           : tess_status_text(past->status));
        return;
    }
    refuse_job(loop, member, token, TESS_ECONNECT,
               "compute: the scheduler was started again and does not know the job: it has no "
               "journal, or another one");
}

// The job is the member's from here on; it hears all that there is to tell of it. One that is sent
// again after its submission is not attached to its client by that.
static void
claim(struct tsi_loop *loop, struct tsi_member *member, uint64_t token, bool is_attached)
{
    // What happened before in this turn may have ended the job: then that is what there is to tell.
    tsi_loop_act(loop);
    struct tsi_daemon_job *job = tsi_loop_job_by_token(loop, token);
    if (job == NULL) {
        tell_past(loop, member, token);
        return;
    }
    // While its session was away, after a restart, another one may have attached to it.
    if (tsi_detached_is_gone(loop, member, job) ||
        (is_attached && tsi_detached_is_taken(loop, member, job))) {
        return;
    }
    tsi_log(TSI_LOG_INFO, "job claimed", "job=%u client=%u", job->number, member->peer);
    job->client = member->peer;
    job->attached = is_attached ? member->peer : 0;
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_CLAIMED, .peer = member->peer};
    event.job.job = job->number;
    if (!job->pending) {
        tsi_loop_event(loop, &event);
    }
}

void
tsi_loop_admit_job(struct tsi_loop *loop, struct tsi_daemon_job *job)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_SUBMITTED, .peer = job->client};
    event.job_submitted.token = job->token;
    event.job_submitted.program = job->program;
    event.job_submitted.detached = job->detached;
    event.job_submitted.job = job->number;
    tsi_loop_event(loop, &event);
}

static void
submit(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_message *message)
{
    struct tsi_error error;
    struct tsi_program *program = NULL;
    if (tsi_loop_job_by_token(loop, message->submit.token) != NULL) {
        claim(loop, member, message->submit.token, false); // it was sent before, and is sent again
        return;
    }
    if (loop->draining) {
        refuse_job(loop, member, message->submit.token, TESS_ECONNECT,
                   "the scheduler is shutting down and takes no more jobs");
        return;
    }
    if (tsi_program_decode(message->submit.bytes, message->submit.count, &program, &error) !=
        TESS_OK) {
        tsi_error_prefix(&error, "the scheduler cannot read the program");
        refuse_job(loop, member, message->submit.token, error.status, error.text);
        return;
    }
    if (tsi_detached_is_too_large(loop, member, message, program)) {
        tsi_program_free(program);
        return;
    }
    struct tsi_daemon_job *job = keep_job(loop, message);
    if (job == NULL) {
        tsi_program_free(program);
        refuse_job(loop, member, message->submit.token, TESS_ENOMEM,
                   "the scheduler is out of memory");
        return;
    }
    job->program = program;
    job->client = member->peer;
    job->number = loop->next_job++;
    job->pending = loop->has_journal;
    if (!job->pending) {
        tsi_loop_admit_job(loop, job);
    }
}

static void
taken(struct tsi_loop *loop, const struct tsi_member *member, const struct tsi_message *message)
{
    struct tsi_daemon_job *job = job_by_number(loop, message->taken.job);
    struct tsi_sched_event event = {.kind = TSI_SCHED_TARGETS_TAKEN, .peer = member->peer};
    event.targets_taken.job = message->taken.job;
    event.targets_taken.tasks = message->taken.tasks;
    event.targets_taken.count = message->taken.count;
    if (job != NULL && job->client == member->peer) {
        tsi_journal_note_taken(loop, job, message->taken.tasks, message->taken.count);
    }
    tsi_loop_event(loop, &event);
}

// False if a client may not send this.
static bool
from_client(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_message *message)
{
    struct tsi_sched_event event = {.peer = member->peer};
    switch (message->type) {
    case TSI_MESSAGE_SUBMIT:
        submit(loop, member, message);
        return true;
    case TSI_MESSAGE_CLAIM:
        claim(loop, member, message->claim.token, true);
        return true;
    case TSI_MESSAGE_ATTACH:
        tsi_detached_attach(loop, member, message->claim.token);
        return true;
    case TSI_MESSAGE_CANCEL:
        event.kind = TSI_SCHED_JOB_CANCELLED;
        event.job.job = message->job.job;
        break;
    case TSI_MESSAGE_RELEASE:
        event.kind = TSI_SCHED_JOB_RELEASED;
        event.job.job = message->job.job;
        break;
    case TSI_MESSAGE_TAKEN:
        taken(loop, member, message);
        return true;
    default:
        return false;
    }
    tsi_loop_event(loop, &event);
    return true;
}

// What a worker has of earlier jobs. It drops those that are not known.
static void
holds(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_message *message)
{
    const struct tsi_task_range *ranges = message->holds.ranges;
    for (size_t i = 0; i < message->holds.count; i++) {
        const struct tsi_holding *holding = &message->holds.items[i];
        const struct tsi_daemon_job *job = job_by_number(loop, holding->job);
        struct tsi_sched_event event = {.kind = TSI_SCHED_WORKER_HOLDS, .peer = member->peer};
        event.holds.job = holding->job;
        event.holds.ranges = ranges;
        event.holds.count = holding->range_count;
        ranges += holding->range_count;
        if (job != NULL && !job->pending && job->token == holding->token) {
            tsi_loop_event(loop, &event);
        } else {
            struct tsi_message drop = {.type = TSI_MESSAGE_DROP_JOB, .job = {.job = holding->job}};
            tsi_loop_send(loop, member, &drop);
        }
    }
    if (message->holds.count > 0) {
        tsi_log(TSI_LOG_INFO, "worker holds chunks", "peer=%u jobs=%zu ranges=%zu", member->peer,
                message->holds.count, message->holds.range_count);
    }
}

// False if a worker may not send this.
static bool
from_worker(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_message *message)
{
    struct tsi_sched_event event = {.peer = member->peer};
    switch (message->type) {
    case TSI_MESSAGE_DONE:
        event.kind = TSI_SCHED_TASKS_DONE;
        event.done.items = message->done.items;
        event.done.count = message->done.count;
        break;
    case TSI_MESSAGE_ENDED:
        event.kind = TSI_SCHED_ATTEMPT_ENDED;
        event.attempt = message->ended;
        break;
    case TSI_MESSAGE_COPIED:
        event.kind = TSI_SCHED_COPIED;
        event.copied.keys = message->keys.keys;
        event.copied.count = message->keys.count;
        break;
    case TSI_MESSAGE_DROPPED:
        event.kind = TSI_SCHED_DROPPED;
        event.dropped.keys = message->keys.keys;
        event.dropped.count = message->keys.count;
        break;
    case TSI_MESSAGE_HOLDS:
        holds(loop, member, message);
        return true;
    case TSI_MESSAGE_DRAINING:
        event.kind = TSI_SCHED_WORKER_DRAINING;
        tsi_log(TSI_LOG_INFO, "worker drains", "peer=%u name=%s", member->peer, member->name);
        break;
    default:
        return false;
    }
    tsi_loop_event(loop, &event);
    return true;
}

// The first message of a connection, or one that is not understood.
static bool
from_stranger(struct tsi_loop *loop, const struct tsi_route *route,
              const struct tsi_message *message, const struct tsi_error *error)
{
    if (error->status == TESS_EVERSION && message->type == TSI_MESSAGE_HELLO) {
        struct tsi_message refusal = {.type = TSI_MESSAGE_REFUSE,
                                      .refuse = {.status = TESS_EVERSION, .text = error->text}};
        tsi_log(TSI_LOG_WARNING, "refused", "%s", error->text);
        tsi_loop_send_stranger(loop, route, &refusal);
        return true;
    }
    if (error->status == TESS_OK && message->type == TSI_MESSAGE_OBITUARY) {
        tsi_members_bury(loop, &message->obituary);
        return true;
    }
    if (error->status != TESS_OK || message->type != TSI_MESSAGE_HELLO) {
        return false;
    }
    // It would not obey this scheduler. Whether there really is a newer one is for the connection
    // file to say, which is read at each probe: nobody's word alone ends a scheduler.
    if (message->epoch > loop->connection.epoch) {
        struct tsi_message refusal = {
            .type = TSI_MESSAGE_REFUSE,
            .refuse = {.status = TESS_ELOST, .text = "this scheduler has a lower epoch"}};
        tsi_loop_send_stranger(loop, route, &refusal);
        return true;
    }
    tsi_members_join(loop, route, &message->hello);
    return true;
}

static bool
from_member(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_message *message)
{
    if (message->epoch != loop->connection.epoch || message->peer != member->peer) {
        return false;
    }
    tsi_members_confirm(loop, member);
    if (message->type == TSI_MESSAGE_GOODBYE) {
        tsi_members_leave(loop, member, true, "goodbye");
        return true;
    }
    if (member->role == TSI_ROLE_WORKER) {
        struct tsi_sched_event heard = {.kind = TSI_SCHED_WORKER_HEARD, .peer = member->peer};
        tsi_loop_event(loop, &heard);
    }
    if (message->type == TSI_MESSAGE_HEARTBEAT) {
        return true;
    }
    return member->role == TSI_ROLE_WORKER ? from_worker(loop, member, message)
                                           : from_client(loop, member, message);
}

// What was damaged was left out by the decoder, and will be fetched.
static void
count_damage(struct tsi_loop *loop, const struct tsi_message *message)
{
    if (message->damaged > 0) {
        loop->damaged += message->damaged;
        tsi_log(TSI_LOG_WARNING, "damaged chunks", "type=%s peer=%u count=%u",
                tsi_message_name(message->type), message->peer, message->damaged);
    }
}

// Every frame is told at the level of debugging; warnings become fewer the more there are.
static void
drop_frame(struct tsi_loop *loop, const struct tsi_message *message, const char *why)
{
    const uint64_t count = ++loop->bad_frames;
    const bool is_power = (count & (count - 1)) == 0;
    tsi_log(is_power ? TSI_LOG_WARNING : TSI_LOG_DEBUG, "dropped a frame",
            "type=%s peer=%u bad_frames=%llu %s", tsi_message_name(message->type), message->peer,
            (unsigned long long)count, why);
}

static void
take_frame(struct tsi_loop *loop, const struct tsi_route *route, zmq_msg_t *frame)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_message message;
    const tess_status status = tsi_message_decode(zmq_msg_data(frame), zmq_msg_size(frame),
                                                  &loop->scratch, &message, &error);
    error.status = status;
    count_damage(loop, &message);
    struct tsi_member *member =
        tsi_net_is_own_route(route) ? tsi_members_by_route(loop, route) : NULL;
    const bool is_new = member == NULL || message.type == TSI_MESSAGE_HELLO;
    const bool ok = tsi_net_is_own_route(route) &&
                    (is_new ? from_stranger(loop, route, &message, &error)
                            : status == TESS_OK && from_member(loop, member, &message));
    if (!ok) {
        drop_frame(loop, &message, status != TESS_OK ? error.text : "out of place");
        member = tsi_net_is_own_route(route) ? tsi_members_by_route(loop, route) : NULL;
        if (member != NULL && status != TESS_OK) {
            tsi_members_count_bad(loop, member);
        }
    }
}

void
tsi_loop_receive(struct tsi_loop *loop)
{
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        struct tsi_route route;
        zmq_msg_t frames[TSI_NET_FRAMES_MAX];
        const int count = tsi_net_receive(loop->socket, &route, frames, TSI_NET_FRAMES_MAX);
        if (count == 0) {
            return;
        }
        for (int k = 0; k < count; k++) {
            take_frame(loop, &route, &frames[k]);
        }
        tsi_net_close_frames(frames, count);
    }
}
