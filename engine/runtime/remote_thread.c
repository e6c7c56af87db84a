// SPDX-License-Identifier: Apache-2.0
//
// The thread that owns the sockets: waits for commands, messages and chunks, and carries them out.

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/runtime/remote.h"

enum {
    FIXED_ITEMS = 6,
    SOCKETS_MAX = 1024, // of workers that are polled at once
    TURN_MS_MAX = 200,  // to look at timeouts
};

#define HEARTBEAT_NS (1 * TSI_SECOND)

// A scheduler that is silent for so long is gone; it sends a sign of life every second.
#define SILENCE_NS (15 * TSI_SECOND)

// Counts the chunks that the job is to deliver.
static void
count_targets(struct tsi_remote_job *job, const struct tsi_program *program)
{
    job->only_delivers = true;
    for (int i = 0; i < program->target_count; i++) {
        const bool delivers = program->targets[i].mode == TSI_TARGET_DELIVER;
        job->only_delivers = job->only_delivers && delivers;
        job->left += delivers ? program->ops[program->targets[i].op].task_count : 0;
    }
}

static struct tsi_remote_job *
new_job(struct tsi_remote *remote, struct tess_future *future)
{
    struct tsi_remote_job *job = tsi_calloc(1, sizeof *job);
    if (job == NULL || !tsi_vec_push(&remote->jobs, job)) {
        tsi_free(job);
        return NULL;
    }
    // The name of the job for ever, whoever the scheduler is: nobody may have the same.
    if (getrandom(&job->token, sizeof job->token, 0) != (ssize_t)sizeof job->token) {
        job->token = tsi_clock_wall_ns() ^ (uint64_t)getpid() << 40 ^ (uintptr_t)job;
    }
    job->future = future;
    job->delivered =
        tsi_calloc((size_t)future->plan.program->task_count / 64 + 1, sizeof *job->delivered);
    if (job->delivered == NULL) {
        remote->jobs.count--;
        tsi_free(job);
        return NULL;
    }
    count_targets(job, future->plan.program);
    job->started_ns = tsi_clock_ns();
    job->workerless_since_ns = future->detached ? 0 : job->started_ns;
    return job;
}

static void
submit(struct tsi_remote *remote, const struct tsi_remote_command *command)
{
    const struct tsi_error *error = tsi_remote_kept_error(remote, command->future->plan.program);
    if (error != NULL && !remote->lost) {
        tsi_future_end(command->future, error->status, error->text);
        tsi_future_unref(command->future);
        return;
    }
    struct tsi_remote_job *job = remote->lost ? NULL : new_job(remote, command->future);
    if (job == NULL) {
        tsi_future_end(command->future, remote->lost ? TESS_ECONNECT : TESS_ENOMEM,
                       remote->lost ? "compute: the scheduler is gone" : "compute: out of memory");
        tsi_future_unref(command->future);
        return;
    }
    struct tsi_message message = {.type = TSI_MESSAGE_SUBMIT,
                                  .submit = {.token = job->token,
                                             .detached = command->future->detached,
                                             .bytes = command->bytes,
                                             .count = command->count}};
    tsi_remote_send(remote, &message); // while there is no scheduler, it is sent when one is back
}

static void
cancel(struct tsi_remote *remote, const struct tess_future *future)
{
    for (size_t i = 0; i < remote->jobs.count; i++) {
        struct tsi_remote_job *job = remote->jobs.items[i];
        if (job->future == future && !job->cancelled) {
            struct tsi_message message = {.type = TSI_MESSAGE_CANCEL, .job = {.job = job->number}};
            job->cancelled = true;
            if (remote->parted_ns != 0) {
                // Nobody claims it when the scheduler comes back.
                tsi_remote_end_job(remote, job, TESS_ECANCELLED, "compute: cancelled");
            } else if (job->number != 0) {
                tsi_remote_send(remote, &message);
            }
            return;
        }
    }
}

static void
obey(struct tsi_remote *remote, struct tsi_remote_command *command)
{
    struct tsi_message message = {.type = TSI_MESSAGE_RELEASE, .job = {.job = command->job}};
    switch (command->wish) {
    case TSI_REMOTE_SUBMIT:
        submit(remote, command);
        break;
    case TSI_REMOTE_ATTACH:
        tsi_remote_attach(remote, command->future, command->token);
        break;
    case TSI_REMOTE_CANCEL:
        cancel(remote, command->future);
        break;
    case TSI_REMOTE_RELEASE:
        tsi_remote_forget(remote, command->job);
        tsi_remote_send(remote, &message);
        break;
    case TSI_REMOTE_CLOSE:
        remote->closing = true;
        break;
    }
    tsi_free(command->bytes);
}

// Until the scheduler has answered the hello there is nobody to send a command to, but closing is
// heard.
static bool
next_command(struct tsi_remote *remote, struct tsi_remote_command *command)
{
    const bool is_settled =
        remote->peer != 0 || remote->lost || remote->closing || remote->parted_ns != 0;
    pthread_mutex_lock(&remote->lock);
    const bool found = remote->commands.count > 0 &&
                       (is_settled || remote->commands.items[0].wish == TSI_REMOTE_CLOSE);
    if (found) {
        *command = remote->commands.items[0];
        remote->commands.count--;
        memmove(&remote->commands.items[0], &remote->commands.items[1],
                remote->commands.count * sizeof *command);
    }
    pthread_mutex_unlock(&remote->lock);
    return found;
}

static void
take_commands(struct tsi_remote *remote)
{
    uint64_t count;
    struct tsi_remote_command command;
    (void)!read(remote->wake_fd, &count, sizeof count);
    while (next_command(remote, &command)) {
        obey(remote, &command);
    }
}

static int
wait_ms(const struct tsi_remote *remote, uint64_t now)
{
    if (remote->socket == NULL) {
        return TURN_MS_MAX;
    }
    const uint64_t fetches = tsi_fetcher_deadline(remote->fetcher);
    const uint64_t answers = tsi_server_deadline(remote->server);
    uint64_t until = now + TURN_MS_MAX * TSI_MILLISECOND;
    until = fetches < until ? fetches : until;
    until = answers < until ? answers : until;
    until =
        remote->later.due_ns != 0 && remote->later.due_ns < until ? remote->later.due_ns : until;
    return until <= now ? 0 : (int)((until - now + TSI_MILLISECOND - 1) / TSI_MILLISECOND);
}

static void
wait_for_events(struct tsi_remote *remote)
{
    zmq_pollitem_t items[FIXED_ITEMS + SOCKETS_MAX];
    void *sockets[SOCKETS_MAX];
    int count = 0;
    items[count++] = (zmq_pollitem_t){.fd = remote->wake_fd, .events = ZMQ_POLLIN};
    if (remote->socket == NULL) {
        zmq_poll(items, count, TURN_MS_MAX);
        return;
    }
    items[count++] = (zmq_pollitem_t){.socket = remote->monitor, .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.socket = remote->socket, .events = ZMQ_POLLIN};
    items[count++] =
        (zmq_pollitem_t){.socket = tsi_server_socket(remote->server), .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.fd = tsi_server_fd(remote->server), .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.fd = tsi_fetcher_fd(remote->fetcher), .events = ZMQ_POLLIN};
    const int peers = tsi_fetcher_sockets(remote->fetcher, sockets, SOCKETS_MAX);
    for (int i = 0; i < peers; i++) {
        items[count++] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
    }
    zmq_poll(items, count, wait_ms(remote, tsi_clock_ns()));
    // A connection that never was there is tried again by the transport; one that was is the
    // scheduler's end, once what it had said before is heard.
    remote->broke = items[1].revents != 0 && tsi_net_broke(remote->monitor) && remote->peer != 0;
}

static void
watch_time(struct tsi_remote *remote, uint64_t now)
{
    if (remote->later.due_ns != 0 && now >= remote->later.due_ns) {
        tsi_remote_flush(remote);
    }
    if (remote->peer != 0 && now > remote->heard_ns + SILENCE_NS) {
        tsi_remote_part(remote, "it is silent");
    }
    if (now >= remote->next_heartbeat_ns && remote->peer != 0 && !remote->lost) {
        struct tsi_message message = {.type = TSI_MESSAGE_HEARTBEAT};
        remote->next_heartbeat_ns = now + HEARTBEAT_NS;
        tsi_remote_send(remote, &message);
    }
    for (size_t i = remote->jobs.count; i-- > 0;) {
        struct tsi_remote_job *job = remote->jobs.items[i];
        if (remote->worker_timeout_ns < 0 || job->workerless_since_ns == 0 ||
            now < job->workerless_since_ns + (uint64_t)remote->worker_timeout_ns) {
            continue;
        }
        char text[TSI_ERROR_TEXT_MAX];
        struct tsi_message message = {.type = TSI_MESSAGE_CANCEL, .job = {.job = job->number}};
        snprintf(
            text, sizeof text,
            "compute: the scheduler at %s has had no workers for %.1f seconds; start some with "
            "tessera-worker",
            remote->where, (double)(now - job->workerless_since_ns) / (double)TSI_SECOND);
        tsi_remote_send(remote, &message);
        tsi_remote_end_job(remote, job, TESS_EWORKERS, text);
    }
}

static void
close_down(struct tsi_remote *remote)
{
    struct tsi_message goodbye = {.type = TSI_MESSAGE_GOODBYE};
    struct tsi_remote_command command;
    while (next_command(remote, &command)) {
        if (command.wish == TSI_REMOTE_SUBMIT || command.wish == TSI_REMOTE_ATTACH) {
            tsi_future_end(command.future, TESS_ECLOSED, "compute: the session was closed");
            tsi_future_unref(command.future);
            tsi_free(command.bytes);
        }
    }
    tsi_remote_attach_fail(remote, TESS_ECLOSED, "the session was closed");
    while (remote->jobs.count > 0) {
        struct tsi_remote_job *job = tsi_vec_last(&remote->jobs);
        tsi_remote_end_job(remote, job, TESS_ECLOSED, "compute: the session was closed");
    }
    tsi_remote_send(remote, &goodbye);
}

void *
tsi_remote_thread(void *argument)
{
    struct tsi_remote *remote = argument;
    remote->heard_ns = tsi_clock_ns();
    tsi_remote_say_hello(remote);
    while (!remote->closing) {
        wait_for_events(remote);
        take_commands(remote);
        if (remote->socket != NULL) {
            tsi_remote_receive(remote);
        }
        if (remote->broke) {
            remote->broke = false;
            tsi_remote_part(remote, "its connection broke");
        }
        tsi_remote_seek(remote, tsi_clock_ns());
        if (remote->socket != NULL) {
            tsi_server_turn(remote->server);
            tsi_fetcher_turn(remote->fetcher, tsi_clock_ns());
            tsi_remote_gather(remote);
        }
        watch_time(remote, tsi_clock_ns());
    }
    close_down(remote);
    return NULL;
}
