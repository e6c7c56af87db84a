// SPDX-License-Identifier: Apache-2.0
//
// The session's side of the remote runtime. Sockets belong to one thread of our own; the session's thread
// puts commands into a list and wakes it.

#include "engine/runtime/remote.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/net/interface.h"
#include "engine/program/codec.h"

#define DEFAULT_TIMEOUT_MS 10000

static bool
post(struct tsi_remote *remote, const struct tsi_remote_command *command)
{
    pthread_mutex_lock(&remote->lock);
    const bool ok = tsi_vec_push(&remote->commands, *command);
    pthread_mutex_unlock(&remote->lock);
    (void)!write(remote->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    return ok;
}

static void
fail_future(struct tess_future *future, const struct tsi_error *error)
{
    tsi_future_end(future, error->status, error->text);
    tsi_future_unref(future);
}

static void
remote_submit(struct tsi_backend *backend, struct tess_future *future)
{
    struct tsi_remote *remote = (struct tsi_remote *)backend;
    struct tsi_remote_command command = {.wish = TSI_REMOTE_SUBMIT, .future = future};
    struct tsi_error error = {.status = TESS_OK};
    if (tsi_program_encode(future->plan.program, &command.bytes, &command.count, &error) != TESS_OK) {
        fail_future(future, &error);
        return;
    }
    future->report.program_bytes = command.count;
    if (!post(remote, &command)) {
        tsi_error_set(&error, TESS_ENOMEM, "compute: out of memory");
        tsi_free(command.bytes);
        fail_future(future, &error);
    }
}

static void
remote_cancel(struct tsi_backend *backend, struct tess_future *future)
{
    const struct tsi_remote_command command = {.wish = TSI_REMOTE_CANCEL, .future = future};
    post((struct tsi_remote *)backend, &command);
}

static void
remote_release(struct tsi_backend *backend, uint64_t job)
{
    const struct tsi_remote_command command = {.wish = TSI_REMOTE_RELEASE, .job = (uint32_t)job};
    post((struct tsi_remote *)backend, &command);
}

static int
remote_threads(struct tsi_backend *backend)
{
    struct tsi_remote *remote = (struct tsi_remote *)backend;
    pthread_mutex_lock(&remote->lock);
    const int threads = remote->worker_threads;
    pthread_mutex_unlock(&remote->lock);
    return threads > 0 ? threads : 1;
}

static void
remote_free(struct tsi_remote *remote)
{
    tsi_net_unwatch(remote->socket, remote->monitor);
    tsi_net_close(remote->socket, 1000);
    tsi_server_free(remote->server);
    tsi_fetcher_free(remote->fetcher);
    tsi_net_free(remote->net);
    if (remote->wake_fd >= 0) {
        close(remote->wake_fd);
    }
    tsi_buf_unref(remote->served);
    tsi_vec_fini(&remote->commands);
    tsi_vec_fini(&remote->jobs);
    tsi_arena_fini(&remote->scratch);
    tsi_wire_buf_fini(&remote->out);
    pthread_cond_destroy(&remote->settled_cond);
    pthread_mutex_destroy(&remote->lock);
    tsi_free(remote);
}

static void
remote_close(struct tsi_backend *backend)
{
    struct tsi_remote *remote = (struct tsi_remote *)backend;
    const struct tsi_remote_command command = {.wish = TSI_REMOTE_CLOSE};
    while (!post(remote, &command)) {
        nanosleep(&(struct timespec){.tv_nsec = (long)TSI_MILLISECOND}, NULL);
    }
    pthread_join(remote->thread, NULL);
    remote_free(remote);
}

static tess_status
open_sockets(struct tsi_remote *remote, struct tsi_error *error)
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

// Waits for the scheduler's answer. The thread goes on either way; the caller closes the backend if there
// was none.
static tess_status
wait_for_welcome(struct tsi_remote *remote, int64_t timeout_ms, struct tsi_error *error)
{
    const uint64_t end = tsi_clock_ns() + (uint64_t)timeout_ms * TSI_MILLISECOND;
    const struct timespec until = {.tv_sec = (time_t)(end / TSI_SECOND),
                                   .tv_nsec = (long)(end % TSI_SECOND)};
    pthread_mutex_lock(&remote->lock);
    int result = 0;
    while (remote->settled == TESS_RUNNING && result != ETIMEDOUT) {
        result = timeout_ms < 0
                     ? pthread_cond_wait(&remote->settled_cond, &remote->lock)
                     : pthread_cond_timedwait(&remote->settled_cond, &remote->lock, &until);
    }
    const tess_status status = remote->settled;
    const struct tsi_error refusal = remote->refusal;
    pthread_mutex_unlock(&remote->lock);
    if (status == TESS_RUNNING) {
        return tsi_error_set(error, TESS_ECONNECT,
                             "session: no scheduler answers at %s within %.1f seconds; is "
                             "tessera-scheduler running there?",
                             remote->where, (double)timeout_ms / 1000.0);
    }
    return status == TESS_OK ? TESS_OK : tsi_error_set(error, status, "session: %s", refusal.text);
}

static struct tsi_remote *
remote_new(void)
{
    struct tsi_remote *remote = tsi_calloc(1, sizeof *remote);
    if (remote == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&remote->lock, NULL);
    pthread_cond_init(&remote->settled_cond, &attributes);
    pthread_condattr_destroy(&attributes);
    remote->backend = (struct tsi_backend){remote_submit, remote_cancel, remote_release,
                                           remote_threads, remote_close};
    remote->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    remote->settled = TESS_RUNNING;
    remote->next_token = 1;
    return remote;
}

struct tsi_backend *
tsi_remote_open(const char *where, const struct tess_session_options *options,
                struct tsi_error *error)
{
    const int64_t timeout_ms =
        options->connect_timeout_ms == 0 ? DEFAULT_TIMEOUT_MS : options->connect_timeout_ms;
    const int64_t worker_ms =
        options->worker_timeout_ms == 0 ? DEFAULT_TIMEOUT_MS : options->worker_timeout_ms;
    const uint64_t deadline =
        timeout_ms < 0 ? UINT64_MAX : tsi_clock_ns() + (uint64_t)timeout_ms * TSI_MILLISECOND;
    struct tsi_remote *remote = remote_new();
    if (remote == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "session: out of memory");
        return NULL;
    }
    tess_status status = tsi_connection_find(where, deadline, NULL, &remote->connection, error);
    snprintf(remote->where, sizeof remote->where, "%s", remote->connection.address);
    remote->worker_timeout_ns = worker_ms < 0 ? -1 : worker_ms * (int64_t)TSI_MILLISECOND;
    if (status == TESS_OK) {
        status = open_sockets(remote, error);
    }
    if (status != TESS_OK) {
        tsi_error_prefix(error, "session");
        remote_free(remote);
        return NULL;
    }
    if (pthread_create(&remote->thread, NULL, tsi_remote_thread, remote) != 0) {
        tsi_error_set(error, TESS_ENOMEM, "session: cannot start a thread");
        remote_free(remote);
        return NULL;
    }
    if (wait_for_welcome(remote, timeout_ms, error) != TESS_OK) {
        remote_close(&remote->backend);
        return NULL;
    }
    return &remote->backend;
}
