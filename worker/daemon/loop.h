// SPDX-License-Identifier: Apache-2.0
//
// The worker daemon's parts: loop.c starts, waits and ends, link.c keeps the connection to the
// scheduler, loop_receive.c turns messages into events of the core, loop_act.c carries out its
// actions.

#ifndef TSI_WORKER_DAEMON_LOOP_H
#define TSI_WORKER_DAEMON_LOOP_H

#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "engine/io/spill.h"
#include "engine/net/transfer.h"
#include "scheduler/record/recorder.h"
#include "worker/core/worker.h"
#include "worker/daemon/options.h"
#include "worker/daemon/pool.h"
#include "worker/daemon/room.h"

struct tsi_worker_loop {
    const struct tsi_worker_options *options;
    char name[TSI_WIRE_NAME_MAX + 1];
    char host[TSI_WIRE_NAME_MAX + 1]; // identity
    int threads;
    struct tsi_room room;    // what it may take
    struct tsi_spill *spill; // NULL: off
    int spill_fd;            // readable when something was written or read
    int signals;
    struct tsi_worker *core;
    struct tsi_recorder *recorder; // NULL: nothing is recorded
    struct tsi_files *files;
    struct tsi_pool *pool;
    struct tsi_map programs; // by their address: as which peer the worker got them
    struct tsi_arena scratch;
    struct tsi_wire_buf out;
    TSI_VEC(struct tsi_completion) completions; // scratch

    // The connection to one scheduler; all NULL or 0 while there is none.
    struct tsi_connection connection;
    struct tsi_net *net;
    void *socket;
    void *monitor;
    struct tsi_server *server;
    struct tsi_fetcher *fetcher;
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    uint32_t peer; // 0 until WELCOME
    uint64_t heartbeat_ns;
    uint64_t next_heartbeat_ns;
    uint64_t next_look_ns; // at the connection file, until WELCOME
    uint64_t heard_ns;

    uint32_t epoch_obeyed;  // the highest one
    bool may_return;        // the scheduler keeps a journal
    uint64_t keep_until_ns; // chunks, for a scheduler that comes back; 0: there are none to keep
    uint64_t pause_ns;      // between tries to reach a scheduler
    uint64_t next_try_ns;
    uint64_t alone_since_ns; // without a scheduler
    bool told_waiting;       // that there is none
    uint64_t draining_since_ns;
    bool draining;           // told the scheduler that it wants to go
    uint64_t drain_until_ns; // unless something changes in what it has
    size_t drain_left;       // assignments and chunks, as last seen
    uint64_t borrowed;       // chunks that others lent
    uint64_t damaged;        // chunks that did not fit their checksums
    uint64_t bad_frames;     // on the data socket
    bool stopping;
    int exit_code;
};

int tsi_worker_loop_run(const struct tsi_worker_options *options);

// link.c: connects and says hello. Fails if the connection file is not there yet, or the sockets
// cannot be made; then it is tried again later.
tess_status tsi_link_open(struct tsi_worker_loop *loop, struct tsi_error *error);
// Forgets the scheduler and everything it said.
void tsi_link_close(struct tsi_worker_loop *loop, int linger_ms);
// The scheduler is lost: what another one may want is kept for a while.
void tsi_link_part(struct tsi_worker_loop *loop);
void tsi_link_watch_grace(struct tsi_worker_loop *loop, uint64_t now);
// Takes the scheduler's welcome; false if it is an older one than was obeyed before.
bool tsi_link_welcome(struct tsi_worker_loop *loop, const struct tsi_message *message);
void tsi_link_send_held(struct tsi_worker_loop *loop, const struct tsi_worker_offer *offer);
void tsi_link_send(struct tsi_worker_loop *loop, struct tsi_message *message);
// Whether the scheduler has been silent for so long that it must be gone.
bool tsi_link_is_lost(const struct tsi_worker_loop *loop, uint64_t now);
// Whether the scheduler has not answered the hello and the connection file tells of another one by
// now: the file that a scheduler leaves when it is killed names an address at which nobody is.
bool tsi_link_is_stale(struct tsi_worker_loop *loop, uint64_t now);

// loop.c: keeps memory free for what tasks of the program need that is no chunk.
void tsi_worker_loop_reserve(struct tsi_worker_loop *loop, const struct tsi_program *program);

// loop_receive.c
void tsi_worker_loop_receive(struct tsi_worker_loop *loop);
void tsi_worker_loop_event(struct tsi_worker_loop *loop, struct tsi_worker_event *event);
void tsi_worker_loop_fetched(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk,
                             const char *text);
struct tsi_buf *tsi_worker_loop_lookup(void *context, tsi_key key, const char **text);

// loop_record.c: all that changes the core goes through here, to be recorded on the way.
tess_status tsi_worker_loop_record(struct tsi_worker_loop *loop,
                                   const struct tsi_worker_config *config, struct tsi_error *error);
void tsi_worker_loop_record_close(struct tsi_worker_loop *loop);
bool tsi_worker_loop_step(struct tsi_worker_loop *loop, const struct tsi_worker_event *event);
bool tsi_worker_loop_poll(struct tsi_worker_loop *loop, struct tsi_worker_action *action);
bool tsi_worker_loop_demand(struct tsi_worker_loop *loop, tsi_key key);
void tsi_worker_loop_served(struct tsi_worker_loop *loop, tsi_key key);
bool tsi_worker_loop_offer(struct tsi_worker_loop *loop, struct tsi_worker_offer *offer);

// loop_spill.c: carries chunks to the disk and back.
tess_status tsi_worker_loop_spill_open(struct tsi_worker_loop *loop, struct tsi_error *error);
void tsi_worker_loop_spill_close(struct tsi_worker_loop *loop); // when the core is there
void tsi_worker_loop_spill(struct tsi_worker_loop *loop, const struct tsi_worker_action *action);
void tsi_worker_loop_load(struct tsi_worker_loop *loop, const struct tsi_worker_action *action);
// Feeds what was written and read to the core.
void tsi_worker_loop_spilled(struct tsi_worker_loop *loop);

// loop_act.c
void tsi_worker_loop_act(struct tsi_worker_loop *loop);
// Feeds the ends of runs to the core.
void tsi_worker_loop_collect(struct tsi_worker_loop *loop);

#define TSI_WORKER_EXIT_NO_SCHEDULER 3
#define TSI_WORKER_EXIT_REFUSED 4

#endif
