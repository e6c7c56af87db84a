// SPDX-License-Identifier: Apache-2.0
//
// The whole state of the core, and what its files do for each other. Files are split by event:
// sched_on_*.c take events in, sched_activate.c and sched_assign.c are the policy, sched_emit.c
// gives actions out.
//
// A job that cannot go on is *doomed* where that is found, and ended when the event is over, so
// that nobody's job vanishes under his hands. When memory is out the job at work is doomed.

#ifndef TSI_SCHED_STATE_H
#define TSI_SCHED_STATE_H

#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "scheduler/core/sched.h"
#include "scheduler/core/sched_chunk.h"
#include "scheduler/core/sched_job.h"
#include "scheduler/core/sched_peer.h"
#include "scheduler/core/sched_ready.h"
#include "scheduler/core/sched_walk.h"

enum {
    // Records of one action.
    TSI_SCHED_BATCH = 2048,
    // Workers that were turned away for lack of memory and have not been told.
    TSI_SCHED_TURNED_AWAY_MAX = 64,
    // Submissions that were turned down and have not been told.
    TSI_SCHED_REFUSED_MAX = 64,
};

// A task that is tried again after a pause.
struct tsi_sched_retry {
    uint64_t due_ns;
    uint32_t job;
    uint32_t task;
    uint32_t rank;
};

// A chunk on its way from a draining worker to another.
struct tsi_sched_copy {
    tsi_key key;
    uint32_t from; // peers
    uint32_t to;
    uint64_t due_ns; // when to give it up
    uint64_t bytes;
};

// A lost worker of which the driver is to be told.
struct tsi_sched_drop {
    uint32_t peer;
    const char *text; // a constant
};

// A submission that there was no memory for, or that came from nobody: what is left to be told.
struct tsi_sched_refused {
    uint32_t client;
    uint32_t job;
    uint64_t token;
    const struct tsi_program *program;
    int steps_left; // of JOB_ACCEPTED, JOB_ENDED, JOB_DROPPED
};

// What the last action pointed to, given back at the next call.
struct tsi_sched_told {
    bool is_worker;
    uint32_t slot;
};

struct tsi_sched {
    struct tsi_sched_config config;
    uint64_t now_ns;
    bool was_called;

    struct tsi_map peers; // slot of a worker, or its complement of 64 bits for a client's index
    TSI_VEC(struct tsi_sched_worker *) workers; // by slot
    TSI_VEC(struct tsi_sched_client) clients;   // in order of joining
    TSI_VEC(struct tsi_sched_job *) jobs;       // by slot; NULL: free
    struct tsi_map job_slots;                   // by identity
    uint32_t last_job;                          // slot of one that is looked up often
    uint32_t next_job;
    uint32_t worker_count;
    uint32_t threads;
    uint64_t memory_bytes; // of all workers, saturated
    uint64_t memory_max;   // of the largest

    struct tsi_sched_stripes stripes;
    struct tsi_sched_heap loose;
    uint32_t next_ticket;
    uint32_t rank_now;  // the highest of those that were given to workers
    uint64_t queued;    // tasks in QUEUED
    bool steals_pay;    // no steal was found not to pay in this run of the policy
    uint64_t stealable; // places in heaps and owned stripes, stale ones included

    struct tsi_sched_sets sets;
    struct tsi_sched_cells cells[TSI_SCHED_CELL_SIZES];
    TSI_VEC(uint64_t) scores; // by slot; all zero between uses

    TSI_VEC(uint64_t) hungry;   // slots that may take more, one bit each
    TSI_VEC(uint64_t) starving; // of those found nothing to take
    TSI_VEC(uint64_t) outbox;   // slots whose batches hold something
    TSI_VEC(struct tsi_sched_retry) retries;
    uint64_t retry_due_ns;
    TSI_VEC(struct tsi_sched_copy) copies;
    TSI_VEC(struct tsi_sched_drop) drops;
    TSI_VEC(uint64_t) release_stack; // keys of tasks that lost a claim
    uint64_t liveness_due_ns;
    uint64_t timer_due_ns; // nothing is due by the time alone before
    uint64_t refused_due_ns;
    uint64_t balance_due_ns;    // 0: nothing is due
    uint64_t balance_looked_ns; // when loads were compared last
    uint32_t crowded_age;       // times that `crowded` was taken as it was
    bool crowded;
    uint32_t turn;  // the client whose jobs were activated last
    bool restoring; // workers still tell what they hold: nothing is activated
    bool policy_due;
    bool settle_due;
    bool drain_due;
    bool emit_due; // some job or worker has something to tell

    struct tsi_sched_told told;
    struct tsi_sched_refused refused[TSI_SCHED_REFUSED_MAX];
    uint32_t refused_count;
    TSI_VEC(struct tsi_sched_ready) ready_items;
    uint32_t turned_away[TSI_SCHED_TURNED_AWAY_MAX];
    uint32_t turned_away_count;

    uint64_t duration_us; // of all tasks, averaged, in 1/16
    uint64_t tasks_done;
    uint64_t tasks_assigned;
    uint64_t stale_reports;
    uint64_t workers_lost;
};

static inline void
tsi_sched_bits_set(uint64_t *words, uint32_t bit)
{
    words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void
tsi_sched_bits_clear(uint64_t *words, uint32_t bit)
{
    words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

// The first bit that is set from `from` on, TSI_SLOT_NONE if there is none.
uint32_t tsi_sched_bits_next(const uint64_t *words, size_t count, uint32_t from);

// sched_peer.c

// Adds up what all workers have.
void tsi_sched_peer_sum(struct tsi_sched *sched);

// sched_wake.c: who may take tasks

// The worker may be able to take more than before.
void tsi_sched_wake(struct tsi_sched *sched, uint32_t slot);
// There is something that any worker may take.
void tsi_sched_wake_all(struct tsi_sched *sched);

// sched_activate.c

// Makes the claims on a task that is RELEASED, and opens it if it is a target; false if there are
// none: nobody needs it.
bool tsi_sched_activate_claim(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                              uint32_t task);
// Demands a task: it, and all that it needs, will be made. False when memory is out.
bool tsi_sched_activate_demand(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                               uint32_t rank, bool is_ranked);
// Visits a task that came back from a worker, and makes it loose if it is ready.
void tsi_sched_activate_again(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                              uint32_t rank);
// Visits tasks from the job's stack, a turn's worth and until so many are ready; false if there was
// none.
bool tsi_sched_activate_visit_some(struct tsi_sched *sched, struct tsi_sched_job *job,
                                   uint64_t queued_max);
// A kept chunk of `job` is there: those who wait for it go on.
void tsi_sched_activate_waiters(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task);
// Readies what waits for a chunk that is there now, and what makes little of it, with rank `rank`.
void tsi_sched_activate_users(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                              uint32_t task, uint32_t rank);

// sched_turn.c

// Opens as many targets and visits as many tasks as the reserve of ready tasks asks for; false if
// there was nothing to do.
bool tsi_sched_turn_run(struct tsi_sched *sched);

// sched_assign.c

// Gives ready tasks to workers; false if none was given.
bool tsi_sched_assign_run(struct tsi_sched *sched);
// Takes waiting tasks back from workers that have more than they need while others have nothing.
void tsi_sched_assign_balance(struct tsi_sched *sched);
// Asks a worker for all that it has not started.
void tsi_sched_assign_retract_all(struct tsi_sched *sched, struct tsi_sched_worker *worker);

// sched_hold.c: claims, and when chunks are freed

// How many claims there are on a task, counted anew.
uint64_t tsi_sched_hold_claims(struct tsi_sched_job *job, uint32_t op, uint32_t task);
// Takes one claim from `task`, and whatever follows from it.
void tsi_sched_hold_drop(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task);
// Frees a chunk that was just made and on which there is no claim.
void tsi_sched_hold_unwanted(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                             uint32_t task);
// Nobody needs `task`, which was not made, or not again: it is as if it were done.
void tsi_sched_hold_retire(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                           uint32_t task);
// Takes the claims of `task` on its inputs, or gives them back to those that are active.
void tsi_sched_hold_drop_inputs(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                                uint32_t task);
void tsi_sched_hold_restore_inputs(struct tsi_sched_job *job, uint32_t op, uint32_t task);

// sched_lost.c

// Ends an attempt: the worker's ledger is as if it had never been, the task goes to state `to`.
void tsi_sched_lost_attempt(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                            uint32_t attempt, enum tsi_task_state to);
// A chunk that has no holder any more.
void tsi_sched_lost_chunk(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task);
// A worker says that it has chunks no more.
void tsi_sched_on_dropped(struct tsi_sched *sched, const struct tsi_sched_event *event);
// The worker is gone, with all that it had. `text` says how, for messages; NULL if it went cleanly.
void tsi_sched_lost_worker(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                           const char *text);

// sched_on_restore.c

// The client took a target in an earlier life of the scheduler.
void tsi_sched_job_note_taken(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task);

// sched_on_job.c

// Adds the record of a job to the books, and what it keeps of others; false when memory is out.
bool tsi_sched_job_add(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t client,
                       uint32_t number);
// Writes down that a program goes back at once.
void tsi_sched_job_turn_down(struct tsi_sched *sched, uint32_t client, uint32_t job, uint64_t token,
                             const struct tsi_program *program);

// sched_on_*.c

void tsi_sched_on_worker_joined(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_worker_draining(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_worker_left(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_client_joined(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_client_left(struct tsi_sched *sched, const struct tsi_sched_event *event);
// The jobs of a client that left are not waited for any more.
void tsi_sched_on_lease_over(struct tsi_sched *sched, uint32_t peer);
void tsi_sched_on_job_submitted(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_job_cancelled(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_job_released(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_targets_taken(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_tasks_done(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_attempt_ended(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_copied(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_job_restored(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_restored(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_job_claimed(struct tsi_sched *sched, const struct tsi_sched_event *event);
void tsi_sched_on_worker_holds(struct tsi_sched *sched, const struct tsi_sched_event *event);
// What is due by the time alone.
void tsi_sched_on_timer(struct tsi_sched *sched);
uint64_t tsi_sched_timer_deadline(const struct tsi_sched *sched);
// Sets the time. Time that the core slept through is not counted as silence of workers.
void tsi_sched_timer_advance(struct tsi_sched *sched, uint64_t now_ns);
// Whether there is progress to tell of a job, and when that may be.
bool tsi_sched_timer_has_progress(const struct tsi_sched *sched, const struct tsi_sched_job *job);
uint64_t tsi_sched_timer_progress_ns(const struct tsi_sched_job *job);

// sched_drain.c

// Goes on with the workers that want to leave.
void tsi_sched_drain_run(struct tsi_sched *sched);
// Gives up copies that take too long.
void tsi_sched_drain_timeout(struct tsi_sched *sched);
// Forgets the copies to and from a worker that is gone.
void tsi_sched_drain_forget(struct tsi_sched *sched, uint32_t peer);

// Forgets the copies of a job's chunks.
void tsi_sched_drain_forget_job(struct tsi_sched *sched, uint32_t job);
// Whether a report is about a copy that failed; it is tried again later.
bool tsi_sched_drain_failed(struct tsi_sched *sched, const struct tsi_sched_worker *worker,
                            const struct tsi_attempt *end);

// sched_result.c

// A detached job has ended, or its client has left: if nobody has its result, its time begins.
void tsi_sched_result_wait(struct tsi_sched *sched, struct tsi_sched_job *job);
// Gives up the results whose time is over, and tells when the next one's is; UINT64_MAX: never.
void tsi_sched_result_timer(struct tsi_sched *sched);
uint64_t tsi_sched_result_deadline(const struct tsi_sched *sched);

// sched_peak.c

// Notes what a worker has and was promised, after either rose.
void tsi_sched_peak_note(struct tsi_sched_worker *worker);
// From now on a worker may have more than the books know.
void tsi_sched_peak_doubt(struct tsi_sched_worker *worker);
// The peaks of the jobs that a worker knows start to be counted apart from those of later jobs.
void tsi_sched_peak_fold(struct tsi_sched_worker *worker);
// Notes what a worker says that it took since it knows a job.
void tsi_sched_peak_measured(struct tsi_sched_worker *worker, struct tsi_sched_job *job,
                             uint64_t bytes);
// Frees what is noted of each worker.
void tsi_sched_peak_forget(struct tsi_sched_job *job);
// Adds up for `job`, or for all jobs that `worker` knows, what workers were given at most.
void tsi_sched_peak_of_job(struct tsi_sched *sched, struct tsi_sched_job *job);
void tsi_sched_peak_of_worker(struct tsi_sched *sched, const struct tsi_sched_worker *worker);

// sched_emit.c

// The next thing to tell; false if there is nothing.
bool tsi_sched_emit(struct tsi_sched *sched, struct tsi_sched_action *action);
// Gives back what the last action pointed to.
void tsi_sched_emit_done(struct tsi_sched *sched);

// sched_fit.c

// Whether the largest task of the job fits the largest worker; dooms the job if it does not.
bool tsi_sched_fit_check(struct tsi_sched *sched, struct tsi_sched_job *job);

#endif
