// SPDX-License-Identifier: Apache-2.0
//
// The worker daemon: one thread that waits for messages, ends of tasks, chunks and signals; tasks
// run on the threads of the pool.

#include "worker/daemon/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/machine.h"
#include "engine/base/pages.h"
#include "engine/base/signals.h"
#include "tessera/version.h"

enum {
    SOCKETS_MAX = 1024, // of peers that are polled at once
    FIXED_ITEMS = 8,
    RETRY_MS = 200, // between tries to find a scheduler
};

// The silence after a hello after which the log says whose answer is waited for.
#define ANSWER_NS (2 * TSI_SECOND)

// How long a worker that drains waits while nothing moves.
#define DRAIN_PATIENCE_NS (60 * TSI_SECOND)

// Whoever signals all processes of a service reaches the worker directly and through its nanny:
// that is one wish, not a second one.
#define SAME_SIGNAL_NS (300 * TSI_MILLISECOND)

static void
take_signals(struct tsi_worker_loop *loop)
{
    int number;
    while ((number = tsi_signals_next()) != 0) {
        if (loop->draining && tsi_clock_ns() < loop->draining_since_ns + SAME_SIGNAL_NS) {
            continue;
        }
        if (loop->draining || loop->peer == 0) {
            loop->stopping = true;
            continue;
        }
        struct tsi_message message = {.type = TSI_MESSAGE_DRAINING};
        tsi_log(TSI_LOG_INFO, "draining", "signal=%d", number);
        loop->draining = true;
        loop->draining_since_ns = tsi_clock_ns();
        tsi_link_send(loop, &message);
    }
}

static void
choose_name(struct tsi_worker_loop *loop)
{
    char host[64] = "worker";
    if (loop->options->name[0] != '\0') {
        snprintf(loop->name, sizeof loop->name, "%s", loop->options->name);
        return;
    }
    gethostname(host, sizeof host - 1);
    snprintf(loop->name, sizeof loop->name, "%s-%ld", host, (long)getpid());
}

static tess_status
start(struct tsi_worker_loop *loop, struct tsi_error *error)
{
    const struct tsi_worker_options *options = loop->options;
    if (options->local_directory[0] != '\0' && chdir(options->local_directory) != 0) {
        return tsi_error_set(error, TESS_EIO, "cannot work in %s: %s", options->local_directory,
                             strerror(errno));
    }
    loop->threads = options->threads > 0 ? options->threads : tsi_machine_processors();
    loop->threads = loop->threads < TSI_THREADS_MAX ? loop->threads : TSI_THREADS_MAX;
    tsi_room_prepare();
    if (tsi_room_find(&loop->room, options->memory_bytes, loop->threads, error) != TESS_OK) {
        return error->status;
    }
    tsi_pages_expect((int64_t)loop->room.pages_bytes);
    // Without shared memory chunks are sent; that is only slower.
    if (loop->room.has_addresses) {
        (void)tsi_pages_share(loop->room.pages_bytes);
    }
    loop->alone_since_ns = tsi_clock_ns();
    loop->signals = tsi_signals_open();
    choose_name(loop);
    tsi_net_host_identity(loop->host, sizeof loop->host);
    const struct tsi_worker_config config = {
        .threads = loop->threads,
        .runs_ahead = TSI_RUNS_AHEAD,
        .memory_bytes = loop->room.chunk_bytes,
        .spills_max = options->spill_bytes > 0 ? TSI_SPILL_RUNS : 0,
        .spill_bytes = options->spill_bytes,
    };
    if (tsi_worker_loop_spill_open(loop, error) != TESS_OK ||
        tsi_worker_loop_record(loop, &config, error) != TESS_OK) {
        return error->status;
    }
    loop->core = tsi_worker_new(&config);
    loop->files = tsi_files_new(options->allow_path_count > 0 ? options->allow_paths : NULL,
                                options->allow_path_count);
    loop->pool = loop->files != NULL ? tsi_pool_new(loop->threads, loop->files) : NULL;
    return loop->core != NULL && loop->pool != NULL && loop->signals >= 0
               ? TESS_OK
               : tsi_error_set(error, TESS_ENOMEM, "out of memory or threads");
}

static int
wait_ms(const struct tsi_worker_loop *loop, uint64_t now)
{
    if (loop->socket == NULL) {
        return RETRY_MS;
    }
    uint64_t until = loop->peer != 0 ? loop->next_heartbeat_ns : loop->next_look_ns;
    const uint64_t fetches = tsi_fetcher_deadline(loop->fetcher);
    const uint64_t answers = tsi_server_deadline(loop->server);
    until = fetches < until ? fetches : until;
    until = answers < until ? answers : until;
    return until <= now ? 0 : (int)((until - now + TSI_MILLISECOND - 1) / TSI_MILLISECOND);
}

// Waits for anything to happen, and takes in what happened to signals, tasks and chunks.
static void
wait_for_events(struct tsi_worker_loop *loop)
{
    static zmq_pollitem_t items[FIXED_ITEMS + SOCKETS_MAX];
    void *sockets[SOCKETS_MAX];
    int count = 0;
    items[count++] = (zmq_pollitem_t){.fd = loop->signals, .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.fd = tsi_pool_fd(loop->pool), .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.fd = loop->spill_fd, .events = ZMQ_POLLIN};
    if (loop->socket != NULL) {
        items[count++] = (zmq_pollitem_t){.socket = loop->socket, .events = ZMQ_POLLIN};
        items[count++] = (zmq_pollitem_t){.socket = loop->monitor, .events = ZMQ_POLLIN};
        items[count++] =
            (zmq_pollitem_t){.socket = tsi_server_socket(loop->server), .events = ZMQ_POLLIN};
        items[count++] = (zmq_pollitem_t){.fd = tsi_server_fd(loop->server), .events = ZMQ_POLLIN};
        items[count++] =
            (zmq_pollitem_t){.fd = tsi_fetcher_fd(loop->fetcher), .events = ZMQ_POLLIN};
        const int peers = tsi_fetcher_sockets(loop->fetcher, sockets, SOCKETS_MAX);
        for (int i = 0; i < peers; i++) {
            items[count++] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
        }
    }
    zmq_poll(items, count, wait_ms(loop, tsi_clock_ns()));
    take_signals(loop);
    tsi_worker_loop_collect(loop);
    tsi_worker_loop_spilled(loop);
    if (loop->socket != NULL && items[4].revents != 0 && tsi_net_broke(loop->monitor)) {
        tsi_log(loop->peer != 0 ? TSI_LOG_WARNING : TSI_LOG_DEBUG, "connection broke",
                "scheduler=%s", loop->connection.address);
        loop->heard_ns = 0;
    }
}

static void
beat(struct tsi_worker_loop *loop, uint64_t now)
{
    if (now >= loop->next_heartbeat_ns) {
        struct tsi_message message = {.type = TSI_MESSAGE_HEARTBEAT};
        loop->next_heartbeat_ns = now + loop->heartbeat_ns;
        tsi_link_send(loop, &message);
    }
}

// Whether it is no use to try again. The keys of an address that were in a file once are there
// again with the next scheduler.
static bool
is_final(const struct tsi_worker_loop *loop, tess_status status)
{
    const bool may_come = status == TESS_ECONNECT || status == TESS_EIO ||
                          (status == TESS_EACCESS && loop->epoch_obeyed != 0);
    return status != TESS_OK && !may_come;
}

static void
tell_limit(struct tsi_worker_loop *loop)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_LIMITED};
    event.limited.memory_bytes = loop->room.chunk_bytes_now;
    tsi_worker_loop_event(loop, &event);
}

void
tsi_worker_loop_reserve(struct tsi_worker_loop *loop, const struct tsi_program *program)
{
    if (tsi_room_reserve(&loop->room, tsi_program_library_bytes(program), loop->threads)) {
        tsi_log(TSI_LOG_INFO, "memory reserved for products", "bytes=%llu memory=%llu",
                (unsigned long long)loop->room.library_bytes,
                (unsigned long long)loop->room.chunk_bytes_now);
        tell_limit(loop);
    }
}

// The limits of a process and of its control groups can be changed while it runs.
static void
watch_limit(struct tsi_worker_loop *loop, uint64_t now)
{
    const uint64_t before = loop->room.limit_bytes;
    if (!tsi_room_watch(&loop->room, loop->options->memory_bytes, now)) {
        return;
    }
    tsi_log(TSI_LOG_WARNING, "memory limit changed", "from=%llu to=%llu",
            (unsigned long long)before, (unsigned long long)loop->room.limit_bytes);
    tell_limit(loop);
}

// Tries to find a scheduler; gives up after the death timeout.
static void
look_for_scheduler(struct tsi_worker_loop *loop, uint64_t now)
{
    struct tsi_error error = {.status = TESS_OK};
    const uint64_t patience = loop->options->death_timeout_ns;
    tsi_worker_loop_act(loop); // runs from before end
    tsi_link_watch_grace(loop, now);
    if (patience != 0 && now > loop->alone_since_ns + patience) {
        tsi_log(TSI_LOG_ERROR, "no scheduler", "none came within the death timeout");
        loop->stopping = true;
        loop->exit_code = TSI_WORKER_EXIT_NO_SCHEDULER;
        return;
    }
    if (now < loop->next_try_ns) {
        return;
    }
    const tess_status status = tsi_link_open(loop, &error);
    if (status != TESS_OK && !is_final(loop, status) && !loop->told_waiting) {
        tsi_log(TSI_LOG_INFO, "waiting for a scheduler", "%s", error.text);
        loop->told_waiting = true;
    }
    if (is_final(loop, status)) {
        tsi_log(TSI_LOG_ERROR, "cannot connect", "%s", error.text);
        loop->stopping = true;
        loop->exit_code = EXIT_FAILURE;
    }
}

// Others may have no room for what the worker holds. It waits for them only as long as something
// moves.
static void
watch_drain(struct tsi_worker_loop *loop, uint64_t now)
{
    const struct tsi_worker_stats stats = tsi_worker_stats(loop->core);
    const size_t left = stats.assignments + stats.chunks;
    if (!loop->draining || loop->stopping) {
        return;
    }
    if (loop->drain_until_ns == 0 || left != loop->drain_left || stats.running > 0) {
        loop->drain_left = left;
        loop->drain_until_ns = now + DRAIN_PATIENCE_NS;
    } else if (now > loop->drain_until_ns) {
        tsi_log(TSI_LOG_WARNING, "drain given up", "nobody takes the %zu chunks that are left",
                stats.chunks);
        loop->stopping = true;
    }
}

// A hello to an address where nobody listens gets no error, only no answer.
static void
tell_waiting(struct tsi_worker_loop *loop, uint64_t now)
{
    if (loop->peer == 0 && !loop->told_waiting && now > loop->heard_ns + ANSWER_NS) {
        tsi_log(TSI_LOG_INFO, "waiting for a scheduler", "none answers at %s",
                loop->connection.address);
        loop->told_waiting = true;
    }
}

// Whether it is no use to wait for the answer to the hello any longer.
static bool
gave_up_waiting(struct tsi_worker_loop *loop, uint64_t now)
{
    const uint64_t patience = loop->options->death_timeout_ns;
    return (patience != 0 && now > loop->alone_since_ns + patience) || tsi_link_is_stale(loop, now);
}

static void
turn(struct tsi_worker_loop *loop)
{
    wait_for_events(loop);
    const uint64_t now = tsi_clock_ns();
    if (loop->socket == NULL) {
        look_for_scheduler(loop, now);
        return;
    }
    tsi_worker_loop_receive(loop);
    tsi_server_turn(loop->server);
    tsi_fetcher_turn(loop->fetcher, now);
    watch_limit(loop, now);
    tsi_worker_loop_act(loop);
    beat(loop, now);
    watch_drain(loop, now);
    tsi_link_watch_grace(loop, now);
    tell_waiting(loop, now);
    if (loop->heard_ns == 0 || tsi_link_is_lost(loop, now)) {
        // One that was never joined is tried again in silence.
        tsi_log(loop->peer != 0 ? TSI_LOG_WARNING : TSI_LOG_DEBUG, "scheduler lost", "scheduler=%s",
                loop->connection.address);
        loop->alone_since_ns = loop->peer != 0 ? now : loop->alone_since_ns;
        tsi_link_part(loop);
        loop->stopping = loop->stopping || loop->draining;
    } else if (loop->peer == 0 && gave_up_waiting(loop, now)) {
        loop->next_try_ns = 0;
        tsi_link_part(loop);
    }
}

static void
release_chunk(void *context, void *handle)
{
    (void)context;
    tsi_buf_unref(handle);
}

static void
release_program(void *context, const struct tsi_program *program)
{
    (void)context;
    tsi_program_free((struct tsi_program *)(uintptr_t)program);
}

static void
finish(struct tsi_worker_loop *loop)
{
    struct tsi_message goodbye = {.type = TSI_MESSAGE_GOODBYE};
    tsi_link_send(loop, &goodbye);
    // The core is told first, and cancels what runs; the threads read chunks and programs of the
    // core until they have ended.
    tsi_link_close(loop, 1000);
    tsi_pool_free(loop->pool);
    tsi_worker_loop_record_close(loop);
    tsi_worker_loop_spill_close(loop);
    if (loop->core != NULL) {
        tsi_worker_free(loop->core, release_chunk, release_program, NULL);
    }
    tsi_files_free(loop->files);
    tsi_vec_fini(&loop->completions);
    tsi_map_fini(&loop->programs);
    tsi_arena_fini(&loop->scratch);
    tsi_wire_buf_fini(&loop->out);
}

int
tsi_worker_loop_run(const struct tsi_worker_options *options)
{
    struct tsi_worker_loop loop = {.options = options, .signals = -1, .spill_fd = -1};
    struct tsi_error error = {.status = TESS_OK};
    bool has_run = false;
    if (start(&loop, &error) != TESS_OK) {
        tsi_log(TSI_LOG_ERROR, "cannot start", "%s", error.text);
        loop.exit_code = EXIT_FAILURE;
    } else {
        tsi_log(TSI_LOG_INFO, "worker started",
                "version=%s name=%s threads=%d limit=%llu memory=%llu", tess_version(), loop.name,
                loop.threads, (unsigned long long)loop.room.limit_bytes,
                (unsigned long long)loop.room.chunk_bytes);
        while (!loop.stopping) {
            turn(&loop);
        }
        has_run = true;
    }
    finish(&loop);
    if (has_run) {
        tsi_log(TSI_LOG_INFO, "worker ended", "name=%s borrowed=%llu damaged=%llu bad_frames=%llu",
                loop.name, (unsigned long long)loop.borrowed, (unsigned long long)loop.damaged,
                (unsigned long long)loop.bad_frames);
    }
    return loop.exit_code;
}
