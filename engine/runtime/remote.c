// SPDX-License-Identifier: Apache-2.0
//
// The session's side of the remote runtime. Sockets belong to one thread of our own; the session's
// thread puts commands into a list and wakes it.

#include "engine/runtime/remote.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/machine.h"
#include "engine/base/memory.h"
#include "engine/net/interface.h"
#include "engine/program/codec.h"

#define DEFAULT_TIMEOUT_MS 10000
#define RETURN_TIMEOUT_MS 60000

// Between looks at the connection file while the scheduler does not answer.
#define LOOK_NS (200 * TSI_MILLISECOND)

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
    if (tsi_program_encode(future->plan.program, &command.bytes, &command.count, &error) !=
        TESS_OK) {
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

static void
remote_attach(struct tsi_backend *backend, struct tess_future *future, uint64_t token)
{
    const struct tsi_remote_command command = {
        .wish = TSI_REMOTE_ATTACH, .future = future, .token = token};
    if (!post((struct tsi_remote *)backend, &command)) {
        const struct tsi_error error = {TESS_ENOMEM, "out of memory"};
        fail_future(future, &error);
    }
}

static int
remote_threads(struct tsi_backend *backend)
{
    struct tsi_remote *remote = (struct tsi_remote *)backend;
    pthread_mutex_lock(&remote->lock);
    const uint32_t threads = remote->worker_threads;
    pthread_mutex_unlock(&remote->lock);
    return threads > 0 && threads < INT_MAX ? (int)threads : 1;
}

static uint64_t
remote_memory(struct tsi_backend *backend)
{
    struct tsi_remote *remote = (struct tsi_remote *)backend;
    pthread_mutex_lock(&remote->lock);
    const uint64_t bytes = remote->worker_bytes;
    pthread_mutex_unlock(&remote->lock);
    return bytes;
}

static void
remote_free(struct tsi_remote *remote)
{
    tsi_remote_close_sockets(remote, remote->peer != 0 && !remote->lost ? 1000 : 0);
    if (remote->wake_fd >= 0) {
        close(remote->wake_fd);
    }
    while (remote->copies.count > 0) {
        tsi_remote_drop_copies(remote, tsi_key_job(tsi_vec_last(&remote->copies).key));
    }
    tsi_vec_fini(&remote->copies);
    tsi_helper_free(remote->helper);
    tsi_vec_fini(&remote->commands);
    tsi_vec_fini(&remote->jobs);
    while (remote->kept.count > 0) {
        tsi_remote_forget(remote, remote->kept.items[0].number);
    }
    tsi_vec_fini(&remote->kept);
    tsi_vec_fini(&remote->attaches);
    tsi_free(remote->place);
    tsi_arena_fini(&remote->scratch);
    tsi_wire_buf_fini(&remote->out);
    tsi_later_fini(&remote->later);
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
    remote->has_processors = tsi_machine_processors() > 1;
    remote->backend = (struct tsi_backend){.submit = remote_submit,
                                           .cancel = remote_cancel,
                                           .release = remote_release,
                                           .attach = remote_attach,
                                           .threads = remote_threads,
                                           .memory = remote_memory,
                                           .close = remote_close,
                                           .may_look = remote->has_processors};
    remote->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    remote->settled = TESS_RUNNING;
    return remote;
}

static bool
is_insecure(const struct tess_session_options *options)
{
    const char *word = getenv("TESSERA_INSECURE");
    return options->insecure != 0 || (word != NULL && strcmp(word, "1") == 0);
}

// A client of the scheduler that `connection` tells of, which has said hello; NULL if it cannot
// start.
static struct tsi_remote *
start(const struct tsi_connection *connection, const char *place,
      const struct tess_session_options *options, struct tsi_error *error)
{
    const int64_t worker_timeout_ms =
        options->worker_timeout_ms == 0 ? DEFAULT_TIMEOUT_MS : options->worker_timeout_ms;
    const int64_t return_timeout_ms =
        options->scheduler_timeout_ms == 0 ? RETURN_TIMEOUT_MS : options->scheduler_timeout_ms;
    struct tsi_remote *remote = remote_new();
    if (remote == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "session: out of memory");
        return NULL;
    }
    remote->connection = *connection;
    snprintf(remote->where, sizeof remote->where, "%s", connection->address);
    remote->worker_timeout_ns =
        worker_timeout_ms < 0 ? -1 : worker_timeout_ms * (int64_t)TSI_MILLISECOND;
    remote->return_timeout_ns =
        return_timeout_ms < 0 ? -1 : return_timeout_ms * (int64_t)TSI_MILLISECOND;
    remote->insecure = is_insecure(options);
    remote->place = tsi_strdup(place);
    tess_status status = remote->place != NULL ? tsi_remote_open_sockets(remote, error)
                                               : tsi_error_set(error, TESS_ENOMEM, "out of memory");
    if (status != TESS_OK) {
        tsi_error_prefix(error, "session");
    } else if (pthread_create(&remote->thread, NULL, tsi_remote_thread, remote) != 0) {
        status = tsi_error_set(error, TESS_ENOMEM, "session: cannot start a thread");
    }
    if (status != TESS_OK) {
        remote_free(remote);
        return NULL;
    }
    return remote;
}

// Waits for the scheduler's answer until `until_ns`. TESS_RUNNING: there was none.
static tess_status
wait_for_answer(struct tsi_remote *remote, uint64_t until_ns, struct tsi_error *error)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / TSI_SECOND),
                                   .tv_nsec = (long)(until_ns % TSI_SECOND)};
    int result = 0;
    pthread_mutex_lock(&remote->lock);
    while (remote->settled == TESS_RUNNING && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&remote->settled_cond, &remote->lock, &until);
    }
    const tess_status status = remote->settled;
    if (status != TESS_OK && status != TESS_RUNNING) {
        tsi_error_set(error, status, "session: %s", remote->refusal.text);
    }
    pthread_mutex_unlock(&remote->lock);
    return status;
}

static tess_status
fail_silent(const struct tsi_remote *remote, int64_t timeout_ms, struct tsi_error *error)
{
    return tsi_error_set(error, TESS_ECONNECT,
                         "session: no scheduler answers at %s within %.1f seconds; is "
                         "tessera-scheduler running there%s",
                         remote->where, (double)timeout_ms / 1000.0,
                         remote->connection.insecure ? ", without keys as this session?" : "?");
}

// Whether the user's word leads to another scheduler than `connection` does, and to which: the file
// that a scheduler leaves when it is killed names an address at which nobody is.
static bool
has_moved(const struct tsi_remote *remote, struct tsi_connection *connection)
{
    struct tsi_connection found;
    if (tsi_connection_find(remote->place, remote->insecure, 0, NULL, &found, NULL) != TESS_OK ||
        (found.epoch == connection->epoch && strcmp(found.address, connection->address) == 0)) {
        return false;
    }
    *connection = found;
    return true;
}

// Waits until the scheduler has answered, the time is over, or the connection file has changed:
// then `connection` is the new one, and the answer is TESS_RUNNING.
static tess_status
wait_for_scheduler(struct tsi_remote *remote, int64_t timeout_ms, uint64_t deadline,
                   struct tsi_connection *connection, struct tsi_error *error)
{
    for (;;) {
        const uint64_t now = tsi_clock_ns();
        const uint64_t look = now + LOOK_NS;
        const tess_status status =
            wait_for_answer(remote, look < deadline ? look : deadline, error);
        if (status != TESS_RUNNING) {
            return status;
        }
        if (now >= deadline) {
            return fail_silent(remote, timeout_ms, error);
        }
        if (has_moved(remote, connection)) {
            return TESS_RUNNING;
        }
    }
}

struct tsi_backend *
tsi_remote_open(const char *where, const struct tess_session_options *options,
                struct tsi_error *error)
{
    const int64_t timeout_ms =
        options->connect_timeout_ms == 0 ? DEFAULT_TIMEOUT_MS : options->connect_timeout_ms;
    const uint64_t deadline =
        timeout_ms < 0 ? UINT64_MAX : tsi_clock_ns() + (uint64_t)timeout_ms * TSI_MILLISECOND;
    struct tsi_connection connection;
    tess_status status =
        tsi_connection_find(where, is_insecure(options), deadline, NULL, &connection, error);
    if (status != TESS_OK) {
        tsi_error_prefix(error, "session");
        return NULL;
    }
    struct tsi_remote *remote;
    do {
        remote = start(&connection, where, options, error);
        status = remote != NULL
                     ? wait_for_scheduler(remote, timeout_ms, deadline, &connection, error)
                     : error->status;
        if (remote != NULL && status != TESS_OK) {
            remote_close(&remote->backend);
        }
    } while (status == TESS_RUNNING);
    explicit_bzero(&connection, sizeof connection);
    return status == TESS_OK ? &remote->backend : NULL;
}
