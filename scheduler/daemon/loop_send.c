// SPDX-License-Identifier: Apache-2.0
//
// Actions to messages. Sending never blocks; a member that cannot be reached, or for which more
// waits than may, leaves in the next probe, and what was meant for it is given to others by the
// core then.

#include <errno.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "scheduler/daemon/loop.h"

#define STRANGERS_BYTES_MAX ((uint64_t)1 << 20)

// Larger programs are not copied once more to be sent together with tasks.
#define PROGRAM_BYTES_LATER ((size_t)1 << 16)

// Puts the message into `out`; false, with errno set, if it cannot be.
static bool
encode(struct tsi_loop *loop, struct tsi_message *message)
{
    message->epoch = loop->connection.epoch;
    if (!tsi_message_encode(message, &loop->out)) {
        tsi_log(TSI_LOG_ERROR, "cannot send", "%s: out of memory or too large",
                tsi_message_name(message->type));
        errno = ENOMEM;
        return false;
    }
    return true;
}

void
tsi_loop_send_stranger(struct tsi_loop *loop, const struct tsi_route *route,
                       struct tsi_message *message)
{
    if (tsi_outbox_bytes(loop->strangers) < STRANGERS_BYTES_MAX) {
        (void)(encode(loop, message) && tsi_outbox_send(loop->strangers, loop->socket, route,
                                                        loop->out.bytes, loop->out.count));
    }
}

// The member cannot be told: errno says why.
static void
give_up(struct tsi_loop *loop, struct tsi_member *member)
{
    member->leaves_by = errno == EHOSTUNREACH ? "its connection broke"
                        : errno == EAGAIN     ? "it does not read what is sent to it"
                                              : "out of memory for a message to it";
    member->leaves_ns = tsi_clock_ns();
    loop->next_heartbeat_ns = 0; // probe soon
}

// Sends what was kept back for the member and, if `last` is not NULL, that after it, in few
// messages of the transport, each of which wakes the threads on its way once.
static void
send_all(struct tsi_loop *loop, struct tsi_member *member, const unsigned char *last,
         size_t last_count)
{
    const size_t bytes_all = member->later.bytes.count + last_count;
    const struct tsi_route *route = &member->route;
    struct tsi_later_parts parts = tsi_later_parts(&member->later, last, last_count);
    if (bytes_all > 0 && member->leaves_by == NULL &&
        !tsi_outbox_has_room(member->outbox, bytes_all)) {
        errno = EAGAIN;
        give_up(loop, member);
    }
    while (member->leaves_by == NULL && tsi_later_next_part(&parts)) {
        if (!tsi_outbox_send_part(member->outbox, loop->socket, route, parts.bytes, parts.count,
                                  parts.more)) {
            give_up(loop, member);
        }
        route = parts.more ? NULL : &member->route;
    }
    tsi_later_clear(&member->later);
}

void
tsi_loop_flush(struct tsi_loop *loop)
{
    for (size_t i = 0; i < loop->members.count; i++) {
        send_all(loop, loop->members.items[i], NULL, 0);
    }
    loop->later_due_ns = 0;
}

void
tsi_loop_send(struct tsi_loop *loop, struct tsi_member *member, struct tsi_message *message)
{
    message->peer = member->peer;
    if (member->leaves_by != NULL) {
        return;
    }
    if (encode(loop, message)) {
        send_all(loop, member, loop->out.bytes, loop->out.count);
    } else {
        give_up(loop, member);
    }
}

void
tsi_loop_send_later(struct tsi_loop *loop, struct tsi_member *member, struct tsi_message *message)
{
    message->peer = member->peer;
    if (member->leaves_by != NULL) {
        return;
    }
    if (!encode(loop, message)) {
        give_up(loop, member);
    } else if (!tsi_later_put(&member->later, loop->out.bytes, loop->out.count, tsi_clock_ns())) {
        tsi_loop_send(loop, member, message);
    } else if (loop->later_due_ns == 0 || member->later.due_ns < loop->later_due_ns) {
        loop->later_due_ns = member->later.due_ns;
    }
}

struct tsi_daemon_job *
tsi_loop_job(const struct tsi_loop *loop, const struct tsi_program *program)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i]->program == program) {
            return loop->jobs.items[i];
        }
    }
    return NULL;
}

void
tsi_loop_free_job(struct tsi_loop *loop, struct tsi_daemon_job *job)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i] == job) {
            loop->jobs.items[i] = tsi_vec_last(&loop->jobs);
            loop->jobs.count--;
            break;
        }
    }
    tsi_program_free(job->program);
    tsi_vec_fini(&job->taken);
    tsi_free(job->bytes);
    tsi_free(job->end_text);
    tsi_free(job);
}

static void
send_program(struct tsi_loop *loop, struct tsi_member *member,
             const struct tsi_sched_action *action)
{
    const struct tsi_daemon_job *job = tsi_loop_job(loop, action->program.program);
    if (job != NULL) {
        struct tsi_message message = {
            .type = TSI_MESSAGE_PROGRAM,
            .program = {
                .job = action->job, .token = job->token, .bytes = job->bytes, .count = job->count}};
        // The first tasks of the job follow at once.
        if (job->count <= PROGRAM_BYTES_LATER) {
            tsi_loop_send_later(loop, member, &message);
        } else {
            tsi_loop_send(loop, member, &message);
        }
    }
}

static void
send_ready(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_sched_action *action)
{
    enum { BATCH = 512 };
    struct tsi_ready_item items[BATCH];
    size_t sent = 0;
    while (sent < action->ready.count) {
        size_t count = 0;
        while (count < BATCH && sent < action->ready.count) {
            const struct tsi_sched_ready *item = &action->ready.items[sent++];
            items[count++] =
                (struct tsi_ready_item){item->task, item->peer, item->bytes, item->data};
        }
        struct tsi_message message = {
            .type = TSI_MESSAGE_READY,
            .ready = {.job = action->job,
                      .is_last = action->ready.is_last && sent == action->ready.count,
                      .costs = action->ready.costs,
                      .items = items,
                      .count = count}};
        tsi_loop_send(loop, member, &message);
    }
}

static void
log_end(const struct tsi_sched_action *action)
{
    tsi_log(action->ended.status == TESS_OK ? TSI_LOG_INFO : TSI_LOG_WARNING, "job ended",
            "job=%u client=%u status=%s tasks=%llu %s", action->job, action->peer,
            tess_status_name(action->ended.status),
            (unsigned long long)action->ended.costs.tasks_run,
            action->ended.text != NULL ? action->ended.text : "");
}

static const struct tsi_program *
program_of(const struct tsi_loop *loop, uint32_t number)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i]->number == number) {
            return loop->jobs.items[i]->program;
        }
    }
    return NULL;
}

// Whether all chunks of the job together are so small that nobody misses their memory for a moment.
// The next job may need that of others at once, and have to take fresh pages for it, which costs
// many times what a message does.
static bool
is_small(const struct tsi_program *program)
{
    const uint64_t bytes_max = 65536;
    uint64_t bytes = 0;
    for (int i = 0; program != NULL && i < program->op_count; i++) {
        const uint64_t chunk = tsi_chunk_op_bytes_max(&program->ops[i]);
        if (chunk > bytes_max || program->ops[i].task_count > bytes_max) {
            return false;
        }
        bytes += chunk * program->ops[i].task_count;
    }
    return program != NULL && bytes <= bytes_max;
}

// Whether the job is nothing but chunks that its client has taken when it ends well: then it knew
// of the end before.
static bool
only_delivers(const struct tsi_loop *loop, uint32_t number)
{
    const struct tsi_program *program = program_of(loop, number);
    bool only = program != NULL;
    for (int i = 0; only && i < program->target_count; i++) {
        only = program->targets[i].mode == TSI_TARGET_DELIVER;
    }
    return only;
}

static void
send_ended(struct tsi_loop *loop, struct tsi_member *member, const struct tsi_sched_action *action)
{
    struct tsi_message message = {.type = TSI_MESSAGE_JOB_ENDED,
                                  .job_ended = {.job = action->job,
                                                .status = action->ended.status,
                                                .text = action->ended.text,
                                                .costs = action->ended.costs}};
    if (action->ended.status == TESS_OK && only_delivers(loop, action->job) &&
        is_small(program_of(loop, action->job))) {
        tsi_loop_send_later(loop, member, &message);
    } else {
        tsi_loop_send(loop, member, &message);
    }
}

// Workers that ask a client for its memory are sent away until it knows the job's number.
static void
send_accepted(struct tsi_loop *loop, struct tsi_member *member, struct tsi_message *message)
{
    const struct tsi_daemon_job *job = tsi_loop_job_by_token(loop, message->accepted.token);
    if (job != NULL && is_small(job->program)) {
        tsi_loop_send_later(loop, member, message);
    } else {
        tsi_loop_send(loop, member, message);
    }
}

static void
act_for_client(struct tsi_loop *loop, struct tsi_member *member,
               const struct tsi_sched_action *action)
{
    struct tsi_message message = {.type = TSI_MESSAGE_NONE};
    switch (action->kind) {
    case TSI_SCHED_JOB_ACCEPTED:
        message.type = TSI_MESSAGE_ACCEPTED;
        message.accepted.token = action->accepted.token;
        message.accepted.job = action->job;
        send_accepted(loop, member, &message);
        break;
    case TSI_SCHED_TARGETS_READY:
        send_ready(loop, member, action);
        break;
    case TSI_SCHED_JOB_PROGRESS:
        message.type = TSI_MESSAGE_PROGRESS;
        message.progress.job = action->job;
        message.progress.done = action->progress.tasks_done;
        message.progress.total = action->progress.tasks_total;
        message.progress.workers = (uint32_t)action->progress.workers;
        tsi_loop_send(loop, member, &message);
        break;
    case TSI_SCHED_JOB_ENDED:
        send_ended(loop, member, action);
        break;
    default:
        break;
    }
}

static void
act_for_worker(struct tsi_loop *loop, struct tsi_member *member,
               const struct tsi_sched_action *action)
{
    struct tsi_message message = {.type = TSI_MESSAGE_NONE};
    switch (action->kind) {
    case TSI_SCHED_SEND_PROGRAM:
        send_program(loop, member, action);
        return;
    case TSI_SCHED_ASSIGN:
        message.type = TSI_MESSAGE_ASSIGN;
        message.assign.items = action->assign.items;
        message.assign.count = action->assign.count;
        message.assign.locations = action->assign.locations;
        message.assign.location_count = action->assign.location_count;
        break;
    case TSI_SCHED_RETRACT:
        message.type = TSI_MESSAGE_RETRACT;
        message.retract.sequences = action->retract.sequences;
        message.retract.count = action->retract.count;
        break;
    case TSI_SCHED_FREE:
        message.type = TSI_MESSAGE_FREE;
        message.keys.keys = action->free.keys;
        message.keys.count = action->free.count;
        break;
    case TSI_SCHED_COPY:
        message.type = TSI_MESSAGE_COPY;
        message.copy.locations = action->copy.locations;
        message.copy.count = action->copy.count;
        break;
    case TSI_SCHED_DROP_JOB:
        message.type = TSI_MESSAGE_DROP_JOB;
        message.job.job = action->job;
        if (is_small(program_of(loop, action->job))) {
            tsi_loop_send_later(loop, member, &message);
            return;
        }
        break;
    case TSI_SCHED_WORKER_DRAINED:
        message.type = TSI_MESSAGE_DRAINED;
        break;
    default:
        return;
    }
    tsi_loop_send(loop, member, &message);
}

// The core gave the worker up: it is told, in case it still hears, and forgotten.
static void
drop_worker(struct tsi_loop *loop, struct tsi_member *member, const char *text)
{
    struct tsi_message message = {.type = TSI_MESSAGE_REFUSE,
                                  .refuse = {.status = TESS_ELOST, .text = text}};
    tsi_loop_send(loop, member, &message);
    tsi_members_leave(loop, member, false, text);
}

// Notes what becomes of a job, whether its client is still there or not.
static void
follow_job(struct tsi_loop *loop, const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        struct tsi_daemon_job *job = loop->jobs.items[i];
        if (action->kind == TSI_SCHED_JOB_ENDED && job->number == action->job && !job->ended) {
            job->ended = true;
            log_end(action);
            tsi_detached_note_end(job, action->ended.status, action->ended.text);
            if (action->ended.status == TESS_OK) {
                tsi_journal_note_ended(loop, job);
            }
        }
    }
    if (action->kind == TSI_SCHED_JOB_DROPPED) {
        tsi_log(TSI_LOG_DEBUG, "job dropped", "job=%u", action->job);
    }
}

static void
act(struct tsi_loop *loop, const struct tsi_sched_action *action)
{
    follow_job(loop, action);
    if (action->kind == TSI_SCHED_JOB_DROPPED) {
        struct tsi_daemon_job *job = tsi_loop_job(loop, action->program.program);
        if (job != NULL) {
            tsi_journal_note_dropped(loop, job, action->program.status);
            tsi_loop_free_job(loop, job);
        }
        return;
    }
    struct tsi_member *member = tsi_members_by_peer(loop, action->peer);
    if (member == NULL) {
        return;
    }
    if (action->kind == TSI_SCHED_DROP_WORKER) {
        drop_worker(loop, member, action->drop_worker.text);
    } else if (member->role == TSI_ROLE_WORKER) {
        act_for_worker(loop, member, action);
    } else {
        act_for_client(loop, member, action);
    }
}

static bool
poll_core(struct tsi_loop *loop, struct tsi_sched_action *action)
{
    const uint64_t now = tsi_clock_ns();
    const bool any = tsi_sched_poll(loop->sched, now, action);
    tsi_recorder_poll(loop->recorder, loop->sched, now, any ? action : NULL);
    return any;
}

void
tsi_loop_act(struct tsi_loop *loop)
{
    struct tsi_sched_action action;
    while (poll_core(loop, &action)) {
        act(loop, &action);
    }
    tsi_recorder_flush(loop->recorder);
}
