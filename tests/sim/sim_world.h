// SPDX-License-Identifier: Apache-2.0
//
// A simulated cluster: the real scheduler core, real worker cores and models of clients, in virtual
// time, under faults, all drawn from one seed.
//
// Everything that takes time is an event in one heap, ordered by time and then by number. Links are
// as sockets are: messages arrive in order after any delay, or the link ends and a tail of them is
// lost. Kernels are replaced by a hash of the task and the values of its inputs in order, so that a
// wrong, missing, repeated or stale input shows. A serial oracle knows the value of every task.

#ifndef TSI_SIM_WORLD_H
#define TSI_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/clock.h"
#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "scheduler/core/sched.h"
#include "scheduler/wire/journal.h"
#include "tests/sim/sim_program.h"
#include "tests/sim/sim_random.h"
#include "worker/core/worker.h"

struct search;
struct sim_extent;
struct sim_world;
struct sim_worker;
struct sim_client;

// What may go wrong in this run.
struct sim_faults {
    bool crash;         // workers die and are seen to
    bool silent;        // workers die unseen
    bool restart;       // those that died come back, empty
    bool freeze;        // workers stop for a while
    bool late;          // workers join late
    bool drain;         // workers want to leave
    bool kernel_io;     // tasks fail at first
    bool kernel_poison; // tasks fail always
    bool kernel_kill;   // tasks kill their worker
    bool kernel_memory; // tasks have no memory now and then
    bool fetch;         // fetches fail
    bool tight;         // workers have little memory
    bool disk;          // disks are full, and lose chunks
    bool squeeze;       // the memory that a worker may take shrinks for a while
    bool vanish;        // clients go away
    bool cancel;        // clients cancel
    bool partition;     // links, or one direction of them, stand still for a while
    bool stall;         // the scheduler stands still for a while
    bool clock;         // clocks jump, forward and back
    bool corrupt;       // records with broken fields
    bool rebirth;       // the scheduler dies and is started again with its journal
    bool none;
};

struct sim_config {
    uint64_t seed;
    bool verbose;
    int big_workers; // 0: a random run
    int64_t big_tasks;
    // Two workers, one client, four tasks; `search` makes the choices.
    bool is_tiny;
    struct search *search;
};

// How often a task fails; the two largest numbers stand for ever.
enum { SIM_KILLS = UINT8_MAX - 1, SIM_FAILS = UINT8_MAX };

// One submitted program, as the world knows it.
struct sim_job {
    struct tsi_program *program;
    uint64_t uid;
    uint64_t *values;          // of all tasks, from the oracle
    uint8_t *failures_left;    // of each task
    uint32_t *executed;        // of each task, how often
    uint32_t *assigned_to;     // of each task, the peer that it is given to
    uint64_t *paused_at;       // of each task that failed, one more than the mishaps so far
    uint32_t *comebacks;       // of each task, how often from a pause in which there was a mishap
    uint8_t *taken;            // of each target
    struct sim_client *client; // who has it; NULL: nobody, if it is detached
    struct sim_client *submitter;
    uint64_t token;
    uint32_t number;     // 0 until its client knows it
    uint32_t journalled; // the same, 0 until it was submitted; only with a journal
    uint64_t *adopted;   // of each task, when a worker offered it: one more than the mishaps so far
    uint64_t adopted_at; // the step of the last offer
    tess_status last_status;
    uint32_t issued; // the same number, 0 until a worker is sent the program
    int refs;        // of the program: the scheduler and workers
    bool is_poisoned;
    bool is_hurt; // a task ran that cannot succeed
    bool cancelled;
    bool ended;
    bool ended_early; // its client had all before the scheduler told of the end
    bool is_told;     // of all targets, as far as the scheduler knew; then `costs` are the job's
    struct tsi_job_costs costs;
    bool released;
    bool lost; // its kept chunks were gone when its client came back
    bool dropped;
    bool keeps;
    tess_status status;
    bool detached;
    bool named; // it is detached, and accepted, so others may have heard of it
    // Of the observer in sim_detached.c.
    uint32_t core_number; // of a detached one: as `number`, known when the scheduler knows it
    uint32_t attached;    // the peer that the daemon lets have it
    uint32_t owner;       // the peer whose it is for the core
    bool is_made;
    bool has_failed;
    bool is_returned;
    uint64_t unowned_ns;  // since when nobody has its result; 0: somebody has, or there is none
    tess_status went;     // in this step, with this reason; TESS_OK: it did not
    tess_status given_up; // for this reason, and is there as long as a job reads it
};

// What a worker was given and has not reported.
struct sim_attempt {
    struct sim_job *job;
    uint32_t task;
    uint32_t sequence;
};

// One peer number: a link between the scheduler and a worker or client.
struct sim_link {
    struct sim_worker *worker;
    struct sim_client *client;
    bool dead;        // cut: what was sent to the peer is lost
    bool closed;      // the scheduler's side is closed
    bool drained;     // the worker was told that it may leave
    uint64_t to_time; // of the last arrival, so that order holds
    uint64_t to_cut;  // nothing arrives before
    uint64_t from_cut;
    uint64_t heard_ns; // when something came last, by the time that the scheduler was awake
    uint64_t opened_ns;
    uint64_t from_time;
    uint32_t from_sent;
    uint32_t from_arrived;
    uint32_t from_limit; // when dead: later ones are lost
    uint32_t to_sent;
    uint32_t to_arrived;
    // Of the observer in sim_book.c.
    uint32_t last_sequence;
    TSI_VEC(struct sim_attempt) live;
    struct tsi_map may_hold; // keys of chunks
};

enum sim_mail_kind {
    SIM_MAIL_TO_SCHED,
    SIM_MAIL_TO_WORKER,
    SIM_MAIL_TO_CLIENT,
    SIM_MAIL_DISCONNECT, // to a worker or client
    SIM_MAIL_GO,         // to a worker: it is drained
};

struct sim_mail {
    enum sim_mail_kind kind;
    uint32_t peer;
    uint32_t index;                // among those that the peer sent
    uint64_t token;                // of the job, where the event does not tell
    struct tsi_worker_offer offer; // of a worker that joins
    struct tsi_sched_event to_sched;
    struct tsi_worker_event to_worker;
    struct tsi_sched_action to_client;
    void *blocks[4]; // freed with the mail
};

enum sim_event_kind {
    SIM_MAIL,
    SIM_RUN_END,
    SIM_FETCH_SERVE,
    SIM_FETCH_ANSWER,
    SIM_HEARTBEAT,
    SIM_TICK,
    SIM_FAULT,
    SIM_HEAL,
    SIM_JOIN,
    SIM_CLIENT_ACT,
    SIM_CLIENT_FETCHED,
    SIM_SCHED_CRASH,
    SIM_SCHED_RESTORED,
    SIM_PARTED,
    SIM_DISK_END,
    SIM_SQUEEZE_END,
};

struct sim_fetch {
    struct sim_worker *worker;
    uint32_t epoch; // of the worker when it asked
    tsi_key key;
    uint32_t peer;
    bool found;
};

struct sim_event {
    uint64_t time;
    uint64_t number;
    enum sim_event_kind kind;
    struct sim_mail *mail;
    struct sim_worker *worker;
    struct sim_client *client;
    struct sim_fetch fetch;
    struct sim_job *job;
    uint32_t run;
    uint32_t task;
    uint32_t epoch;
    uint32_t life;                   // of the worker
    bool is_write;                   // of a chunk to disk
    const struct sim_extent *extent; // on disk
};

// A place in the heap, with what it is ordered by, so that sifting reads nothing else.
struct sim_place {
    uint64_t time;
    uint64_t number;
    struct sim_event *event;
};

// The worker's chunks are these.
struct sim_handle {
    struct sim_worker *owner;
    tsi_key key;
    uint64_t value;
    uint64_t bytes;
};

struct sim_run {
    bool busy;
    bool cancelled;
    bool kills;
    struct sim_job *job;
    uint32_t task;
    uint64_t value;
    uint64_t bytes;
    tess_status status;
    uint64_t number;  // of the event that ends it
    uint64_t started; // in this step; 0: for a scheduler that was dead already
};

struct sim_worker {
    struct sim_world *world;
    int id;
    uint32_t peer; // TSI_PEER_NONE: not connected
    bool alive;
    bool draining;
    uint64_t frozen_until;
    int64_t skew_ns;    // what its clock is ahead
    uint64_t cut_until; // nobody can fetch from it
    uint32_t epoch;     // of its fetches: rises when they are forgotten
    int threads;
    int runs_ahead;
    uint32_t run_count;
    uint64_t memory_bytes;
    uint64_t limit_bytes; // what of that it may take now
    uint64_t most_bytes;  // that it may still have, from before that was lowered
    int spills_max;
    uint64_t spill_bytes;
    uint32_t life; // how often the core was made anew
    struct tsi_worker *core;
    struct sim_run *runs;
    TSI_VEC(uint32_t) left; // peers of which it knows that they left
    uint32_t peers_from;    // it knows no peers that left before this number of leaves
};

struct sim_client {
    struct sim_world *world;
    int id;
    uint32_t peer;
    bool joined;
    bool vanished;
    bool left;
    int jobs_left;
    int jobs_open;
};

enum { SIM_TRACE_LINES = 50, SIM_TRACE_CHARS = 200 };

struct sim_world {
    struct sim_config config;
    struct sim_random random;
    struct sim_faults faults;
    uint64_t now;
    uint64_t step;
    uint64_t digest;
    uint64_t fault_end;
    uint64_t task_ns;       // mean time of a task
    uint64_t net_ns;        // mean delay of a message
    uint64_t stalled_until; // of the scheduler
    uint64_t stalled_ns;    // in all, as far as it can notice that
    int64_t skew_ns;        // what its clock is ahead
    bool is_jump_unseen;    // its clock jumped forward and it was not called since
    bool quiet;             // no more faults
    bool is_replay;         // of a path that was checked before
    bool early; // a worker asked a client for a chunk of a job that it had not heard of yet
    TSI_VEC(struct sim_place) heap;
    uint64_t event_number;
    struct tsi_sched *sched;
    struct tsi_sched_config sched_config;
    uint64_t tick_time;
    TSI_VEC(struct sim_link) links; // by peer number
    TSI_VEC(struct sim_worker *) workers;
    TSI_VEC(struct sim_client *) clients;
    TSI_VEC(struct sim_job *) jobs;
    TSI_VEC(uint32_t) gone; // peers that left, in order
    struct sim_random restart_random;
    struct sim_random detach_random;
    bool detaches;
    uint32_t detach_asks; // how often of 1,000 times a client asks for a job that is free
    bool is_restoring;    // the scheduler, which has not gone on yet
    uint64_t sched_ns;    // the time that it was told last
    struct tsi_put journal;
    size_t journal_synced;
    uint32_t last_job;
    uint64_t rebirths;
    bool is_mute;       // more events come before the scheduler says anything
    uint64_t adoptions; // chunks that were offered and taken over
    size_t handles;
    size_t extents;
    uint64_t drops; // chunks that workers said they had no more
    size_t mails;
    uint64_t losses;         // workers that died or were lost
    uint64_t leaves;         // workers that left as they wanted to, with what nobody could take
    uint64_t fetch_failures; // reported
    uint64_t executions;
    uint64_t steps_sched;
    uint64_t steps_worker;
    char trace[SIM_TRACE_LINES][SIM_TRACE_CHARS];
    uint64_t trace_count;
};

// sim_events.c

// Adds an event after `delay`; the caller fills in the rest.
struct sim_event *sim_at(struct sim_world *world, uint64_t time, enum sim_event_kind kind);
// Takes the first event out; NULL if there is none. The caller frees it.
struct sim_event *sim_pop(struct sim_world *world);
// Puts an event back to a later time, in its old order.
void sim_postpone(struct sim_world *world, struct sim_event *event, uint64_t time);
void sim_trace(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void sim_fail(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Makes an abort of a core show the trace of `world`.
void sim_watch(const struct sim_world *world);
// A random delay around `mean`.
uint64_t sim_delay(struct sim_world *world, uint64_t mean);
void *sim_alloc(size_t bytes); // zeroed; aborts when memory is out

// sim_job.c

struct sim_job *sim_job_new(struct sim_world *world, struct sim_client *client,
                            struct tsi_program *program);
void sim_job_free(struct sim_job *job);
struct sim_job *sim_job_by_number(const struct sim_world *world, uint32_t number);
struct sim_job *sim_job_by_program(struct sim_world *world, const struct tsi_program *program);
// What the oracle says of a chunk.
uint64_t sim_job_value(struct sim_world *world, tsi_key key);
// The value of a task, from those of its inputs in order.
uint64_t sim_job_compute(const struct sim_job *job, uint32_t task, const uint64_t *inputs,
                         size_t count);
// The key of the chunk of a task; of a kept one that of the job that made it.
tsi_key sim_job_key(const struct sim_job *job, uint32_t task);
// The keys of the inputs of a task, in order.
size_t sim_job_inputs(const struct sim_job *job, int op, int64_t chunk, tsi_key *keys, size_t room);
bool sim_job_is_target(const struct sim_job *job, uint32_t task, enum tsi_target_mode mode);
// One user of the program less.
void sim_job_unref(struct sim_world *world, struct sim_job *job);
// Values as bytes, for small chunks that travel in messages.
void sim_value_write(uint64_t value, void *bytes, size_t count);
bool sim_value_matches(uint64_t value, const void *bytes, size_t count);

// sim_net.c

uint32_t sim_link_open(struct sim_world *world, struct sim_worker *worker,
                       struct sim_client *client);
struct sim_mail *sim_mail_new(struct sim_world *world, enum sim_mail_kind kind, uint32_t peer);
void sim_mail_free(struct sim_world *world, struct sim_mail *mail);
void *sim_mail_copy(struct sim_mail *mail, const void *items, size_t bytes);
void sim_mail_send(struct sim_world *world, struct sim_mail *mail);
void sim_mail_arrive(struct sim_world *world, struct sim_event *event);
// The peer's end dies; a tail of what it sent is lost. With `seen`, the scheduler is told later.
void sim_link_kill(struct sim_world *world, uint32_t peer, bool seen, bool clean);
// The scheduler's side closes: the peer is told, and the other workers.
void sim_link_close(struct sim_world *world, uint32_t peer);

// sim_book.c

// The observer's checks of an action of the scheduler, and of an event before it is taken in.
void sim_book_action(struct sim_world *world, const struct tsi_sched_action *action);
void sim_book_event(struct sim_world *world, const struct tsi_sched_event *event);
// When the scheduler has nothing more to say.
void sim_book_check(struct sim_world *world);
// When a worker has nothing more to do.
void sim_book_compare(const struct sim_worker *worker);
// A worker is dropped for its silence.
void sim_book_lost(struct sim_world *world, uint32_t peer);
// A worker that wants to leave is told that it may.
void sim_book_drained(struct sim_world *world, uint32_t peer);
// How long the scheduler may stand still without being able to notice.
uint64_t sim_book_grain(const struct sim_world *world);
// A link was closed, a task made.
void sim_book_closed(struct sim_link *link);
void sim_book_executed(struct sim_world *world, struct sim_job *job, uint32_t task);

// sim_sched.c

void sim_sched_feed(struct sim_world *world, const struct tsi_sched_event *event);
void sim_sched_tick(struct sim_world *world);

// sim_worker.c

struct sim_worker *sim_worker_new(struct sim_world *world);
void sim_worker_free(struct sim_worker *worker);
void sim_worker_join(struct sim_worker *worker);
void sim_worker_crash(struct sim_worker *worker, bool seen);
void sim_worker_feed(struct sim_worker *worker, const struct tsi_worker_event *event);
void sim_worker_disconnected(struct sim_worker *worker);
void sim_worker_leave(struct sim_worker *worker);
// Carries out what the core wants.
void sim_worker_poll(struct sim_worker *worker);
// Whether the worker has the chunk on its disk, which it will read then.
bool sim_worker_demand(struct sim_worker *worker, tsi_key key);
void sim_worker_run_end(struct sim_worker *worker, const struct sim_event *event);
void sim_worker_heartbeat(struct sim_worker *worker);
// The memory that it may take is another from now on.
void sim_worker_limit(struct sim_worker *worker, uint64_t memory_bytes);
void sim_worker_drop_mail(struct sim_world *world, struct sim_mail *mail);

// sim_disk.c

void sim_disk_spill(struct sim_worker *worker, const struct tsi_worker_action *action);
void sim_disk_load(struct sim_worker *worker, const struct tsi_worker_action *action);
void sim_disk_release(void *context, void *extent);
void sim_disk_end(const struct sim_event *event);

// sim_fetch.c

void sim_fetch_start(struct sim_worker *worker, tsi_key key, uint32_t peer);
void sim_fetch_serve(struct sim_world *world, struct sim_event *event);
void sim_fetch_answer(struct sim_world *world, const struct sim_event *event);

// sim_client.c

struct sim_client *sim_client_new(struct sim_world *world, int jobs);
void sim_client_act(struct sim_client *client);
void sim_client_receive(struct sim_client *client, const struct tsi_sched_action *action);
void sim_client_fetched(struct sim_world *world, const struct sim_event *event);
void sim_client_vanish(struct sim_client *client);

// Whether something that happened in this run explains the failure of a job.
bool sim_client_explains(const struct sim_world *world, const struct sim_job *job,
                         tess_status status);

// sim_detached.c

void sim_detached_draw(struct sim_world *world);
// More clients, that leave results to others.
void sim_detached_populate(struct sim_world *world);
// Whether the next program is to be detached, which it then may be or not.
bool sim_detached_wants(struct sim_world *world);
void sim_detached_submit(struct sim_world *world, struct sim_job *job);
// Whether some of these arrays are kept by detached jobs.
bool sim_detached_has_any(struct sim_world *world, const struct sim_kept *kept, int count);
// Its client has it no more.
void sim_detached_leave(struct sim_job *job);
void sim_detached_accepted(struct sim_client *client, struct sim_job *job);
void sim_detached_act(struct sim_client *client);
// Whether a claim is of a job that another client has.
bool sim_detached_is_refused(struct sim_world *world, const struct sim_mail *mail);
// Whether the result of a job that the scheduler has cannot be claimed any more, and why.
bool sim_detached_is_gone(struct sim_world *world, const struct sim_job *job, tess_status *why);
// The observer, before an event, with each action, and when there is none left.
void sim_detached_event(struct sim_world *world, const struct tsi_sched_event *event);
void sim_detached_action(struct sim_world *world, const struct tsi_sched_action *action);
void sim_detached_check(struct sim_world *world);
void sim_detached_restart(struct sim_world *world);

// sim_corrupt.c

// Feeds a core a record with broken fields.
void sim_corrupt_sched(struct sim_world *world);
void sim_corrupt_worker(struct sim_worker *worker);

// sim_fault.c

void sim_fault_draw(struct sim_world *world);
// A worker dies of its task and is started again.
void sim_fault_kill(struct sim_worker *worker);
void sim_fault_happen(struct sim_world *world);
// A worker may take all of its memory again.
void sim_fault_relax(const struct sim_event *event);
void sim_fault_heal(struct sim_world *world);

// sim_restart.c

// Draws whether the scheduler dies, and when.
void sim_restart_draw(struct sim_world *world);
void sim_restart_crash(struct sim_world *world);
void sim_restart_restored(struct sim_world *world, const struct sim_event *event);
void sim_restart_parted(const struct sim_event *event);
// What the scheduler writes into its journal before an event, and of an action.
void sim_restart_event(struct sim_world *world, struct tsi_sched_event *event);
void sim_restart_action(struct sim_world *world, const struct tsi_sched_action *action);
void sim_restart_offer(struct sim_worker *worker, struct sim_mail *mail);
void sim_restart_send_held(struct sim_worker *worker, const struct tsi_holding *holding,
                           const struct tsi_task_range *ranges);
void sim_restart_claim(struct sim_client *client, struct sim_job *job);
// False if the message is answered without the core.
bool sim_restart_arrives(struct sim_world *world, struct sim_mail *mail);
// A worker says that it has a chunk no more: it, and what it is made of, may be made again as far
// as nobody has that.
void sim_restart_dropped(struct sim_world *world, tsi_key key);
// A task was made that was begun in step `started`.
void sim_restart_executed(struct sim_world *world, const struct sim_job *job, uint32_t task,
                          uint64_t started);

// sim_run.c

// Runs one simulation; its digest. A failure ends the process.
uint64_t sim_run(const struct sim_config *config);
// The same in steps: the cluster before its first event, one event (true if it is used up), whether
// all is over, and the end; with `is_over` everything must have been given back.
struct sim_world *sim_open(const struct sim_config *config);
bool sim_handle(struct sim_world *world, struct sim_event *event);
bool sim_is_finished(const struct sim_world *world);
void sim_close(struct sim_world *world, bool is_over);

// sim_state.c: of the tiny case

uint64_t sim_state_hash(const struct sim_world *world);
// The number, below 64, of the link and direction of a message.
size_t sim_state_way(const struct sim_mail *mail);
// Whether the event changes nothing any more.
bool sim_state_is_void(const struct sim_world *world, const struct sim_event *event);

// sim_exhaust.c

// Runs all interleavings of a tiny case. A failure ends the process.
void sim_exhaust(void);
// Runs the one that `choices`, numbers with commas, lead to, as sim_exhaust_tell() printed them.
void sim_exhaust_path(const char *choices, bool verbose);
void sim_exhaust_tell(const struct search *search);
// One of `count` possibilities: drawn, or the one whose turn it is if all are tried.
uint64_t sim_choose(struct sim_world *world, uint64_t count);

// sim_replay.c

// Whether a core does what a recording says that one did; prints what it finds.
bool sim_replay(const char *path, bool verbose);

#endif
