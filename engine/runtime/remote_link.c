// SPDX-License-Identifier: Apache-2.0
//
// The client's connection to its scheduler, and what happens when that dies.
//
// If the scheduler kept a journal, the next one may go on with the jobs: the client closes its
// sockets, looks where the user said that the scheduler is, and greets whoever is there until its
// patience is over. Then it says which jobs are its, and what of them it has already, so that
// nothing is sent twice; a job that had not been accepted is submitted again under the same name.
// A scheduler with a lower epoch than one that was obeyed before is an older one that still runs,
// and is not obeyed.

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/machine.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/net/interface.h"
#include "engine/program/codec.h"
#include "engine/runtime/remote.h"
#include "tessera/version.h"

// Between tries to reach the scheduler, and how long an answer to the greeting may take before the
// connection file is looked at again.
#define PAUSE_NS (200 * TSI_MILLISECOND)
#define ANSWER_NS (2 * TSI_SECOND)

enum { TAKEN_BATCH = 512 };

tess_status
tsi_remote_open_sockets(struct tsi_remote *remote, struct tsi_error *error)
{
    char host[TSI_WIRE_ENDPOINT_MAX];
    char address[TSI_WIRE_ENDPOINT_MAX];
    tsi_address_towards(remote->where, host, sizeof host);
    const tess_status status =
        tsi_net_data_address(remote->where, host, address, sizeof address, error);
    remote->net = status == TESS_OK ? tsi_net_new(&remote->connection, NULL, error) : NULL;
    if (remote->net == NULL) {
        return error->status;
    }
    // Without shared memory chunks are sent; that is only slower.
    (void)tsi_pages_share(tsi_machine_chunk_bytes());
    remote->server =
        tsi_server_new(remote->net, address, tsi_remote_lookup, remote, remote->endpoint, error);
    remote->fetcher = tsi_fetcher_new(remote->net, tsi_remote_fetched, remote);
    remote->socket = remote->server == NULL
                         ? NULL
                         : tsi_net_connect(remote->net, TSI_NET_CONTROL, remote->where,
                                           remote->connection.scheduler_public, error);
    remote->monitor =
        remote->socket == NULL ? NULL : tsi_net_monitor(remote->net, remote->socket, error);
    if (remote->fetcher == NULL || remote->wake_fd < 0) {
        return tsi_error_set(error, TESS_ENOMEM, "session: out of memory");
    }
    return remote->monitor != NULL ? TESS_OK : error->status;
}

void
tsi_remote_close_sockets(struct tsi_remote *remote, int linger_ms)
{
    tsi_later_clear(&remote->later);
    tsi_net_unwatch(remote->socket, remote->monitor);
    tsi_net_close(remote->socket, linger_ms);
    tsi_server_free(remote->server);
    tsi_fetcher_free(remote->fetcher);
    tsi_net_free(remote->net);
    remote->monitor = remote->socket = NULL;
    remote->server = NULL;
    remote->fetcher = NULL;
    remote->net = NULL;
}

void
tsi_remote_say_hello(struct tsi_remote *remote)
{
    tsi_net_host_identity(remote->host, sizeof remote->host);
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .epoch = remote->epoch_obeyed,
                                .hello = {.role = TSI_ROLE_CLIENT,
                                          .name = "client",
                                          .library = tess_version(),
                                          .endpoint = remote->endpoint,
                                          .host = remote->host,
                                          .pid = (uint32_t)getpid()}};
    remote->hello_ns = tsi_clock_ns();
    if (tsi_message_encode(&hello, &remote->out)) {
        tsi_net_send(remote->socket, NULL, remote->out.bytes, remote->out.count);
    }
}

// What the old scheduler and its workers said of a job does not hold any more.
static void
forget_places(struct tsi_remote_job *job)
{
    tsi_vec_clear(&job->wanted);
    tsi_vec_clear(&job->taken);
    job->wanted_taken = 0;
    job->failures = 0;
    job->ask_again_ns = 0;
    job->workerless_since_ns = 0;
}

void
tsi_remote_part(struct tsi_remote *remote, const char *why)
{
    if (!remote->may_return) {
        tsi_remote_lose(remote, why);
        return;
    }
    tsi_remote_close_sockets(remote, 0);
    remote->peer = 0;
    remote->next_try_ns = tsi_clock_ns() + PAUSE_NS;
    if (remote->parted_ns == 0) {
        remote->parted_ns = tsi_clock_ns();
        snprintf(remote->parted_why, sizeof remote->parted_why, "%s", why);
    }
    for (size_t i = 0; i < remote->jobs.count; i++) {
        forget_places(remote->jobs.items[i]);
    }
    remote->bytes_fetching = 0;
    remote->chunks_fetching = 0;
    pthread_mutex_lock(&remote->lock);
    remote->worker_threads = 0;
    remote->worker_bytes = 0;
    pthread_mutex_unlock(&remote->lock);
}

static void
give_up(struct tsi_remote *remote, uint64_t now)
{
    char why[TSI_ERROR_TEXT_MAX / 2];
    snprintf(why, sizeof why, "%s, and it did not come back within %.1f seconds",
             remote->parted_why, (double)(now - remote->parted_ns) / (double)TSI_SECOND);
    tsi_remote_close_sockets(remote, 0);
    remote->parted_ns = 0;
    tsi_remote_lose(remote, why);
}

void
tsi_remote_seek(struct tsi_remote *remote, uint64_t now)
{
    struct tsi_error error;
    if (remote->parted_ns == 0) {
        return;
    }
    if (remote->return_timeout_ns >= 0 &&
        now > remote->parted_ns + (uint64_t)remote->return_timeout_ns) {
        give_up(remote, now);
        return;
    }
    if (now < remote->next_try_ns ||
        (remote->socket != NULL && now < remote->hello_ns + ANSWER_NS)) {
        return;
    }
    tsi_remote_close_sockets(remote, 0);
    remote->next_try_ns = now + PAUSE_NS;
    struct tsi_connection found;
    if (tsi_connection_find(remote->place, remote->insecure, 0, NULL, &found, NULL) != TESS_OK) {
        return;
    }
    remote->connection = found;
    explicit_bzero(&found, sizeof found);
    snprintf(remote->where, sizeof remote->where, "%s", remote->connection.address);
    if (tsi_remote_open_sockets(remote, &error) == TESS_OK) {
        tsi_remote_say_hello(remote);
    } else {
        tsi_remote_close_sockets(remote, 0);
    }
}

void
tsi_remote_submit(struct tsi_remote *remote, struct tsi_remote_job *job)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_message message = {
        .type = TSI_MESSAGE_SUBMIT,
        .submit = {.token = job->token, .detached = job->future->detached}};
    unsigned char *bytes = NULL;
    if (tsi_program_encode(job->future->plan.program, &bytes, &message.submit.count, &error) !=
        TESS_OK) {
        tsi_remote_end_job(remote, job, error.status, error.text);
        return;
    }
    message.submit.bytes = bytes;
    tsi_remote_send(remote, &message);
    tsi_free(bytes);
}

static void
claim(struct tsi_remote *remote, uint64_t token)
{
    struct tsi_message message = {.type = TSI_MESSAGE_CLAIM, .claim = {.token = token}};
    tsi_remote_send(remote, &message);
}

bool
tsi_remote_welcomed(struct tsi_remote *remote, const struct tsi_message *message)
{
    if (message->epoch < remote->epoch_obeyed) {
        tsi_remote_part(remote, "an older scheduler has its place");
        return false;
    }
    remote->peer = message->welcome.peer;
    remote->connection.epoch = remote->epoch_obeyed = message->epoch;
    remote->may_return = message->welcome.keeps_journal;
    if (remote->parted_ns == 0) {
        return true;
    }
    remote->parted_ns = 0;
    for (size_t i = 0; i < remote->kept.count; i++) {
        claim(remote, remote->kept.items[i].token);
    }
    tsi_remote_attach_again(remote);
    // A job that cannot be sent again ends and leaves the list.
    for (size_t i = remote->jobs.count; i-- > 0;) {
        struct tsi_remote_job *job = remote->jobs.items[i];
        if (job->number != 0) {
            claim(remote, job->token);
        } else {
            tsi_remote_submit(remote, job);
        }
    }
    return true;
}

// The tasks of which the chunks are delivered, from `*task` on, as many as a message takes.
static size_t
next_delivered(const struct tsi_remote_job *job, uint32_t *task, uint32_t tasks[TAKEN_BATCH])
{
    const uint32_t count = job->future->plan.program->task_count;
    size_t found = 0;
    for (; *task < count && found < TAKEN_BATCH; ++*task) {
        if ((job->delivered[*task / 64] >> *task % 64 & 1) != 0) {
            tasks[found++] = *task;
        }
    }
    return found;
}

void
tsi_remote_retell(struct tsi_remote *remote, struct tsi_remote_job *job)
{
    uint32_t tasks[TAKEN_BATCH];
    uint32_t task = 0;
    size_t count = next_delivered(job, &task, tasks);
    while (count > 0) {
        struct tsi_message message = {
            .type = TSI_MESSAGE_TAKEN,
            .taken = {.job = job->number, .tasks = tasks, .count = count}};
        tsi_remote_send(remote, &message);
        count = next_delivered(job, &task, tasks);
    }
}
