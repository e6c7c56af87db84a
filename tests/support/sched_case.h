// SPDX-License-Identifier: Apache-2.0
//
// A scheduler core under test: short ways to feed events, the actions of one poll round in a list,
// and a crew of workers that do what they are told and look whether it makes sense.
//
//     struct sched_case c;
//     sched_case_init(&c, NULL);
//     uint32_t client = sched_case_client(&c);
//     uint32_t worker = sched_case_worker(&c, 2, 0);
//     uint32_t job = sched_case_submit(&c, client, program);
//     sched_case_poll(&c);
//     … look at c.actions …
//     sched_case_fini(&c);
//
// After every call to the core its invariants are checked.

#ifndef TSI_SUPPORT_SCHED_CASE_H
#define TSI_SUPPORT_SCHED_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "scheduler/core/sched.h"

enum {
    SCHED_CASE_WORKERS_MAX = 64,
    SCHED_CASE_PROGRAMS_MAX = 64,
};

// A worker of the crew.
struct sched_case_worker {
    uint32_t peer;
    bool gone;
    struct tsi_map store;                 // keys that it holds
    struct tsi_map programs;              // jobs whose program it has
    TSI_VEC(struct tsi_assignment) tasks; // not done, in order of their coming
    TSI_VEC(tsi_key) copies;              // to be made
};

struct sched_case {
    struct tsi_sched *sched;
    uint64_t now_ns;
    uint32_t next_peer;
    uint32_t client; // the first one that joined
    bool shallow;    // for large programs: leave the deep checks out

    struct tsi_arena arena; // what `actions` point to
    TSI_VEC(struct tsi_sched_action) actions;

    struct tsi_program *programs[SCHED_CASE_PROGRAMS_MAX]; // by job; here until the end
    bool dropped[SCHED_CASE_PROGRAMS_MAX];
    uint32_t jobs_seen;
    int programs_dropped;
    struct sched_case_worker workers[SCHED_CASE_WORKERS_MAX];
    int worker_count;
    bool had_losses;      // a worker left
    bool inline_data;     // the crew sends small outputs with its reports
    uint32_t duration_us; // of every task
    struct tsi_map runs;  // how often each key was run
    uint64_t run_count;
    struct tsi_map delivered; // how often each key was reported ready
    uint64_t frees;
    tess_status ended; // of the job that ended last; TESS_RUNNING: none
    uint32_t ended_job;
    char ended_text[TSI_ERROR_TEXT_MAX];
};

// `config` NULL: the default, with nobody watched for silence.
void sched_case_init(struct sched_case *c, const struct tsi_sched_config *config);
// Frees it; every program must have come back but `left` of them.
void sched_case_fini(struct sched_case *c, int left);

void sched_case_feed(struct sched_case *c, struct tsi_sched_event event);
// Takes all actions out.
void sched_case_poll(struct sched_case *c);
// Moves the time on, by steps that a driver would make.
void sched_case_wait(struct sched_case *c, uint64_t ns);

// A member of the crew joins; `memory_bytes` 0: no limit.
uint32_t sched_case_worker(struct sched_case *c, int threads, uint64_t memory_bytes);
uint32_t sched_case_client(struct sched_case *c);
// Submits a program, which the case frees at its end. Returns the job's number, which is known
// only at the next poll, where JOB_ACCEPTED is looked for.
uint32_t sched_case_submit(struct sched_case *c, uint32_t client, struct tsi_program *program);
uint32_t sched_case_submit_detached(struct sched_case *c, uint32_t client,
                                    struct tsi_program *program);
void sched_case_cancel(struct sched_case *c, uint32_t client, uint32_t job);
void sched_case_release(struct sched_case *c, uint32_t client, uint32_t job);
void sched_case_take(struct sched_case *c, uint32_t client, uint32_t job, uint32_t task);
void sched_case_leave(struct sched_case *c, uint32_t worker, bool clean, const char *text);
void sched_case_client_leave(struct sched_case *c, uint32_t client);
// An event of a client about a job that the core is told of by its number alone.
void sched_case_about(struct sched_case *c, enum tsi_sched_event_kind kind, uint32_t client,
                      uint32_t job);
void sched_case_drain(struct sched_case *c, uint32_t worker);
void sched_case_done(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task);
void sched_case_done_with(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task,
                          const void *data, uint64_t bytes);
void sched_case_end(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task,
                    enum tsi_attempt_end end, tess_status status, const char *text);
void sched_case_fetch_failed(struct sched_case *c, uint32_t worker,
                             const struct tsi_assignment *task, tsi_key input, uint32_t from);

// Of the last poll: how many actions of a kind there are, and the nth of them, which must be there.
size_t sched_case_count(const struct sched_case *c, enum tsi_sched_action_kind kind);
const struct tsi_sched_action *sched_case_action(const struct sched_case *c,
                                                 enum tsi_sched_action_kind kind, size_t n);
// How many assignments a worker got in the last poll, and the one of a task, or NULL.
size_t sched_case_assigned(const struct sched_case *c, uint32_t worker);
const struct tsi_assignment *sched_case_assignment(const struct sched_case *c, uint32_t worker,
                                                   uint32_t task);
// The location that an assignment of the last poll has for a key, NULL if none.
const struct tsi_location *sched_case_location(const struct sched_case *c, uint32_t worker,
                                               uint32_t task, tsi_key key);
// Whether a worker was told in the last poll to free a key.
bool sched_case_freed(const struct sched_case *c, uint32_t worker, tsi_key key);

// The crew: what the last poll said is done. Each worker finishes up to `tasks` tasks; targets that
// are ready are taken at once if `take`. False if nothing was left to do.
bool sched_case_work(struct sched_case *c, size_t tasks, bool take);
// Until nothing is left to do.
void sched_case_play(struct sched_case *c);
// Polls, and lets the crew hear what it is told, without finishing anything.
void sched_case_hear(struct sched_case *c);

// How the driver heard in the last poll that a job is gone; TESS_RUNNING: it did not.
tess_status sched_case_gone(const struct sched_case *c, uint32_t job);

struct sched_case_worker *sched_case_crew(struct sched_case *c, uint32_t peer);
bool sched_case_holds(struct sched_case *c, uint32_t peer, tsi_key key);
uint64_t sched_case_runs(const struct sched_case *c, uint32_t job, uint32_t task);

#endif
