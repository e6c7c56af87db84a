// SPDX-License-Identifier: Apache-2.0
//
// The scheduler daemon: one thread that waits for messages, signals and the core's deadline.
//
// A turn takes in what has arrived, then carries out what the core wants, so that many small
// messages become few large ones.

#include "scheduler/daemon/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/file_name.h"
#include "engine/base/memory.h"
#include "engine/base/signals.h"
#include "engine/net/interface.h"
#include "scheduler/record/record.h"
#include "tessera/version.h"

// Until the second probe after a connection broke.
#define PROBE_PAUSE_NS (2 * TSI_MILLISECOND)

#define HEARTBEAT_MIN_NS (20 * TSI_MILLISECOND)
#define HEARTBEAT_MAX_NS (1 * TSI_SECOND)

// An address of the internet; nothing is sent to it, only the way there is asked for.
#define ANYWHERE "tcp://192.0.2.1:9"

static void
take_signals(struct tsi_loop *loop)
{
    int number;
    while ((number = tsi_signals_next()) != 0) {
        if (loop->draining) {
            tsi_log(TSI_LOG_WARNING, "stopping", "second signal");
            loop->stopping = true;
        } else {
            tsi_log(TSI_LOG_INFO, "draining", "signal=%d", number);
            loop->draining = true;
        }
    }
}

// An epoch is higher than that of every scheduler before: the seconds of the clock, or one more
// than what the connection file or the journal says.
static uint32_t
next_epoch(const char *path, uint32_t journal_epoch)
{
    struct tsi_connection before;
    const uint32_t now = (uint32_t)(tsi_clock_wall_ns() / TSI_SECOND);
    uint32_t highest = journal_epoch;
    if (tsi_connection_read(path, &before, NULL) == TESS_OK) {
        highest = before.epoch > highest ? before.epoch : highest;
        explicit_bzero(&before, sizeof before);
    }
    return now > highest ? now : highest + 1;
}

static tess_status
choose_address(struct tsi_loop *loop, char *address, size_t bytes, struct tsi_error *error)
{
    char directory[TSI_WIRE_ENDPOINT_MAX];
    if (loop->options->address[0] != '\0') {
        snprintf(address, bytes, "%s", loop->options->address);
        return TESS_OK;
    }
    const tess_status status = tsi_connection_directory(directory, sizeof directory, error);
    snprintf(address, bytes, "ipc://%s/s%ld", directory, (long)getpid());
    return status;
}

// What is written to the connection file for a socket that listens at all addresses of the machine:
// the one at which others most likely reach it.
static void
name_wildcard(struct tsi_connection *connection)
{
    char host[TSI_WIRE_ENDPOINT_MAX];
    char reachable[TSI_WIRE_ENDPOINT_MAX];
    const char *port = strrchr(connection->address, ':');
    tsi_address_host(connection->address, host, sizeof host);
    if (strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0) {
        return;
    }
    tsi_address_towards(ANYWHERE, reachable, sizeof reachable);
    char address[TSI_WIRE_ENDPOINT_MAX];
    const int length = snprintf(address, sizeof address, "tcp://%s%s", reachable, port);
    if (length > 0 && (size_t)length < sizeof address) {
        memcpy(connection->address, address, (size_t)length + 1);
    }
}

static tess_status
listen_at_address(struct tsi_loop *loop, struct tsi_error *error)
{
    char address[TSI_WIRE_ENDPOINT_MAX];
    char secret[TSI_KEY_TEXT] = "";
    struct tsi_connection *connection = &loop->connection;
    tess_status status = choose_address(loop, address, sizeof address, error);
    const bool wants_keys = strncmp(address, "tcp://", 6) == 0 && !loop->options->insecure;
    connection->insecure = strncmp(address, "tcp://", 6) == 0 && !wants_keys;
    if (status == TESS_OK && wants_keys) {
        status = tsi_net_make_keys(connection, secret, error);
    }
    if (status != TESS_OK) {
        return status;
    }
    loop->net = tsi_net_new(connection, secret, error);
    memset(secret, 0, sizeof secret);
    loop->socket = loop->net == NULL
                       ? NULL
                       : tsi_net_bind(loop->net, TSI_NET_CONTROL, address, connection->address,
                                      sizeof connection->address, error);
    if (loop->socket != NULL) {
        name_wildcard(connection);
    }
    loop->monitor = loop->socket == NULL ? NULL : tsi_net_monitor(loop->net, loop->socket, error);
    return loop->monitor != NULL ? TESS_OK : error->status;
}

static tess_status
write_pid(struct tsi_loop *loop, struct tsi_error *error)
{
    const char *path = loop->options->pid_file;
    if (path[0] == '\0') {
        return TESS_OK;
    }
    // It is removed at the end.
    if (!tsi_file_name_is_free(AT_FDCWD, path)) {
        return tsi_error_set(error, TESS_EIO,
                             "cannot write the process number to %s: it is no file", path);
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return tsi_error_set(error, TESS_EIO, "cannot write the process number to %s: %s", path,
                             strerror(errno));
    }
    loop->has_pid_file = true;
    const bool ok = fprintf(file, "%ld\n", (long)getpid()) > 0;
    if (fclose(file) != 0 || !ok) {
        return tsi_error_set(error, TESS_EIO, "cannot write the process number to %s", path);
    }
    return TESS_OK;
}

// Several signs of life must fit into the silence that means the end of a worker.
static uint64_t
choose_heartbeat(uint64_t worker_ttl_ns)
{
    const uint64_t fits = worker_ttl_ns / 5;
    return fits < HEARTBEAT_MIN_NS   ? HEARTBEAT_MIN_NS
           : fits < HEARTBEAT_MAX_NS ? fits
                                     : HEARTBEAT_MAX_NS;
}

static tess_status
start(struct tsi_loop *loop, struct tsi_error *error)
{
    struct tsi_sched_config config = tsi_sched_config_default();
    config.lost_ns = loop->options->worker_ttl_ns;
    config.suspect_ns = config.lost_ns / 3;
    // Without a journal a client whose connection broke has given its jobs up.
    config.result_lease_ns = loop->options->result_lease_ns;
    config.result_bytes_max = loop->options->result_bytes_max;
    config.client_lease_ns = loop->options->journal[0] != '\0' ? loop->options->client_lease_ns : 0;
    loop->heartbeat_ns = choose_heartbeat(config.lost_ns);
    loop->next_peer = 1;
    loop->signals = tsi_signals_open();
    loop->sched = tsi_sched_new(&config);
    loop->strangers = tsi_outbox_new();
    if (loop->sched == NULL || loop->strangers == NULL || loop->signals < 0) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory");
    }
    if (loop->options->record_file[0] != '\0') {
        const struct tsi_record first = {.type = TSI_RECORD_CONFIG, .config = config};
        loop->recorder = tsi_recorder_open(loop->options->record_file, &first, error);
        if (loop->recorder == NULL) {
            return error->status;
        }
    }
    tess_status status = TESS_OK;
    if (loop->options->connection_file[0] != '\0') {
        snprintf(loop->connection_path, sizeof loop->connection_path, "%s",
                 loop->options->connection_file);
    } else {
        status =
            tsi_connection_default_path(loop->connection_path, sizeof loop->connection_path, error);
    }
    if (status == TESS_OK) {
        status = tsi_predecessor_check(loop->connection_path, error);
    }
    if (status == TESS_OK) {
        status = tsi_journal_open(loop, error);
    }
    loop->connection.epoch = next_epoch(loop->connection_path, loop->restored.epoch);
    loop->connection.pid = getpid();
    if (status == TESS_OK) {
        status = listen_at_address(loop, error);
    }
    if (status == TESS_OK) {
        status = tsi_journal_begin(loop, error);
    }
    if (status == TESS_OK) {
        status = tsi_connection_write(loop->connection_path, &loop->connection, error);
    }
    return status == TESS_OK ? write_pid(loop, error) : status;
}

static int
wait_ms(const struct tsi_loop *loop, uint64_t now)
{
    uint64_t until = tsi_sched_deadline(loop->sched);
    const uint64_t journal = tsi_journal_deadline(loop);
    until = loop->next_heartbeat_ns < until ? loop->next_heartbeat_ns : until;
    until = journal < until ? journal : until;
    until = loop->later_due_ns != 0 && loop->later_due_ns < until ? loop->later_due_ns : until;
    return until <= now ? 0 : (int)((until - now + TSI_MILLISECOND - 1) / TSI_MILLISECOND);
}

static void
wait_for_events(struct tsi_loop *loop)
{
    zmq_pollitem_t items[] = {
        {.socket = loop->socket, .events = ZMQ_POLLIN},
        {.socket = loop->monitor, .events = ZMQ_POLLIN},
        {.fd = loop->signals, .events = ZMQ_POLLIN},
    };
    zmq_poll(items, 3, wait_ms(loop, tsi_clock_ns()));
    // What a peer said before its connection broke is heard first: the probe follows the messages.
    if (items[1].revents != 0 && tsi_net_broke(loop->monitor)) {
        loop->next_heartbeat_ns = 0;
        loop->probe_pause_ns = PROBE_PAUSE_NS;
    }
    if (items[2].revents != 0) {
        take_signals(loop);
    }
}

static void
watch_idleness(struct tsi_loop *loop, uint64_t now)
{
    if (tsi_sched_stats(loop->sched).jobs > 0 || loop->options->idle_timeout_ns == 0) {
        loop->idle_since_ns = now;
    } else if (now - loop->idle_since_ns >= loop->options->idle_timeout_ns) {
        tsi_log(TSI_LOG_INFO, "stopping", "no work for the idle timeout");
        loop->stopping = true;
    }
}

// Jobs that ended but whose chunks are kept do not run: a client may keep them for ever. Nor do
// those whose client is away; they are in the journal.
static bool
has_running_jobs(const struct tsi_loop *loop)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        const struct tsi_daemon_job *job = loop->jobs.items[i];
        if (!job->ended && (job->detached || tsi_members_by_peer(loop, job->client) != NULL)) {
            return true;
        }
    }
    return false;
}

// Until the next probe. The news of a broken connection may come before the route to the peer is
// gone, and until then sending to it succeeds: several probes follow, in growing distances.
static uint64_t
choose_pause(struct tsi_loop *loop)
{
    const uint64_t pause = loop->probe_pause_ns;
    if (pause == 0 || pause >= loop->heartbeat_ns) {
        loop->probe_pause_ns = 0;
        return loop->heartbeat_ns;
    }
    loop->probe_pause_ns = 2 * pause;
    return pause;
}

static void
turn(struct tsi_loop *loop)
{
    wait_for_events(loop);
    tsi_loop_receive(loop);
    tsi_journal_admit(loop);
    const uint64_t now = tsi_clock_ns();
    if (now >= loop->next_heartbeat_ns) {
        loop->next_heartbeat_ns = now + choose_pause(loop);
        tsi_members_probe(loop);
        loop->superseded = loop->superseded || tsi_predecessor_has_lost(loop);
    }
    tsi_journal_turn(loop, now);
    if (now >= tsi_sched_deadline(loop->sched)) {
        struct tsi_sched_event event = {.kind = TSI_SCHED_TICK};
        tsi_loop_event(loop, &event);
    }
    tsi_loop_act(loop);
    if (loop->later_due_ns != 0 && now >= loop->later_due_ns) {
        tsi_loop_flush(loop);
    }
    watch_idleness(loop, now);
}

// Removes the connection file if it is still this scheduler's.
static void
remove_connection_file(const struct tsi_loop *loop)
{
    struct tsi_connection now;
    if (tsi_connection_read(loop->connection_path, &now, NULL) == TESS_OK &&
        now.epoch == loop->connection.epoch && now.pid == loop->connection.pid) {
        unlink(loop->connection_path);
    }
}

static void
finish(struct tsi_loop *loop)
{
    struct tsi_message goodbye = {.type = TSI_MESSAGE_GOODBYE};
    for (size_t i = 0; i < loop->members.count; i++) {
        tsi_loop_send(loop, loop->members.items[i], &goodbye);
    }
    if (loop->connection_path[0] != '\0') {
        remove_connection_file(loop);
    }
    if (loop->has_pid_file) {
        unlink(loop->options->pid_file);
    }
    tsi_net_unwatch(loop->socket, loop->monitor);
    tsi_net_close(loop->socket, 1000);
    tsi_members_free(loop);
    tsi_recorder_close(loop->recorder, loop->recorder != NULL ? tsi_sched_digest(loop->sched) : 0);
    tsi_sched_free(loop->sched);
    while (loop->jobs.count > 0) {
        tsi_loop_free_job(loop, tsi_vec_last(&loop->jobs));
    }
    tsi_vec_fini(&loop->jobs);
    tsi_past_forget(loop);
    tsi_journal_close(loop);
    tsi_arena_fini(&loop->scratch);
    tsi_wire_buf_fini(&loop->out);
    tsi_outbox_free(loop->strangers);
    tsi_net_free(loop->net);
}

int
tsi_loop_run(const struct tsi_scheduler_options *options)
{
    struct tsi_loop loop = {.options = options};
    struct tsi_error error = {.status = TESS_OK};
    int exit_code = EXIT_SUCCESS;
    if (start(&loop, &error) != TESS_OK) {
        tsi_log(TSI_LOG_ERROR, "cannot start", "%s", error.text);
        exit_code = EXIT_FAILURE;
    } else {
        tsi_log(TSI_LOG_INFO, "scheduler started",
                "version=%s address=%s epoch=%u file=%s security=%s", tess_version(),
                loop.connection.address, loop.connection.epoch, loop.connection_path,
                loop.connection.has_keys ? "curve" : "none");
        loop.idle_since_ns = tsi_clock_ns();
        while (!loop.stopping && !loop.superseded && !(loop.draining && !has_running_jobs(&loop))) {
            turn(&loop);
        }
        exit_code = loop.superseded ? EXIT_FAILURE : EXIT_SUCCESS;
        const struct tsi_sched_stats stats = tsi_sched_stats(loop.sched);
        tsi_log(TSI_LOG_INFO, "scheduler ended",
                "tasks=%llu workers_lost=%llu bad_frames=%llu damaged=%llu",
                (unsigned long long)stats.tasks_done, (unsigned long long)stats.workers_lost,
                (unsigned long long)loop.bad_frames, (unsigned long long)loop.damaged);
    }
    finish(&loop);
    return exit_code;
}
