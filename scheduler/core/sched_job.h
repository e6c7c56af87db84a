// SPDX-License-Identifier: Apache-2.0
//
// Jobs: a submitted program with the records of its tasks.

#ifndef TSI_SCHED_JOB_H
#define TSI_SCHED_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/check.h"
#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "engine/program/mirror.h"
#include "engine/program/program.h"
#include "scheduler/core/sched_task.h"

struct tsi_sched;

#define TSI_SCHED_NO_TARGET UINT8_C(0xFF)

// Tasks that share one counter of active tasks, by which sweeps skip what is not active.
enum { TSI_SCHED_BLOCK = 1024 };

// One use of an operation's chunks: input `input` of operation `op`.
struct tsi_sched_edge {
    uint16_t op;
    uint8_t input;
    bool is_identity; // chunk c is used by chunk c alone
};

// What the scheduler keeps for each operation.
struct tsi_sched_op {
    uint32_t base;
    uint32_t count;
    uint32_t edge_first; // its users
    uint32_t edge_count;
    uint32_t input_first; // of `inputs` of the job: whether input i is an identity
    uint8_t work;
    uint8_t target_mode;  // or TSI_SCHED_NO_TARGET
    bool is_even;         // all chunks are taken to have bytes_max
    bool shrinks;         // a task makes much less of its inputs
    bool all_wanted;      // every task will be demanded
    bool is_measured;     // duration_us is not only from the cost model
    uint32_t duration_us; // of its tasks, averaged; from the cost model at first
    uint32_t kept_slot;   // of the job that made the chunks, if KEPT
    uint64_t bytes_max;
    uint64_t workspace;
    struct tsi_mirror mirror; // none if its tasks do not shrink
};

// A task to be visited. Rank TSI_SCHED_RANK_NEW: it gets the next one; otherwise it, and what it
// needs, get this one.
struct tsi_sched_visit {
    uint32_t task;
    uint32_t rank;
    bool is_ranked;
};

// The targets of one operation, activated from first to last.
struct tsi_sched_cursor {
    uint32_t op;
    uint32_t next; // chunk
    uint32_t count;
};

// A task of another job that waits for a kept chunk of this one.
struct tsi_sched_waiter {
    uint32_t source; // task of this job
    uint32_t job;
    uint32_t task;
};

// How a worker died while it ran a task.
struct tsi_sched_death {
    uint32_t task;
    char *text;
};

// How long stripes of an operation are, for so many workers; all zero is no answer.
struct tsi_sched_stripe_length {
    uint32_t op;
    uint32_t workers;
    size_t length;
};

struct tsi_sched_job {
    uint32_t id;
    uint32_t slot;
    uint32_t client; // its peer
    uint64_t token;
    bool detached;
    bool restored; // from the journal of a scheduler before
    bool away;     // its client is gone and may come back: nothing is opened, and it does not end
    const struct tsi_program *program;

    struct tsi_sched_op *ops;
    struct tsi_sched_edge *edges;
    bool *identity_inputs;
    uint32_t last_op;     // the operation that was looked up last
    uint32_t open_stripe; // takes more tasks, or TSI_STRIPE_NONE; it may have an owner already
    struct tsi_sched_stripe_length stripe_length; // that was asked for last
    uint32_t next_rank;                           // of the next task that is opened
    uint32_t placed_task; // the last one with a mirror image that found a place,
    uint32_t placed_slot; // and whose that is; TSI_SLOT_NONE: nobody's

    struct tsi_sched_task *tasks;
    uint64_t *retired;   // one bit a task: nobody will need it, unless a chunk is lost
    uint64_t *opened;    // likewise: a target that was demanded before
    uint64_t *satisfied; // likewise: a target of which nothing more is wanted
    uint32_t *active;    // tasks of each block that are not RELEASED
    uint64_t counts[TSI_TASK_STATES];
    uint64_t *answers; // of sched_want.c; NULL if every task is wanted
    bool disturbed;    // something was lost, so claims are counted one by one

    TSI_VEC(struct tsi_sched_visit) stack;
    struct tsi_sched_cursor *cursors;
    uint32_t cursor_count;
    uint32_t cursors_open;
    uint64_t targets_total;
    uint64_t targets_done;   // taken, kept, or run
    uint64_t targets_active; // demanded and not there yet
    uint64_t deliver_bytes;  // opened and not taken
    uint64_t deliver_count;
    TSI_VEC(uint32_t) ready; // targets to report
    size_t ready_sent;

    struct tsi_map attempts;       // trouble of tasks
    struct tsi_map fetch_failures; // by task and slot of the holder: reports
    TSI_VEC(struct tsi_sched_death) deaths;
    TSI_VEC(struct tsi_sched_waiter) waiters;
    uint32_t refs; // jobs that use kept chunks of this one

    uint64_t tasks_total;
    uint64_t tasks_done;
    uint64_t tasks_run;
    uint64_t peak_bytes;                   // of workers that left, and of all once it has ended
    uint64_t peak_bytes_measured;          // as workers reported it
    TSI_VEC(struct tsi_worker_peak) peaks; // each worker's, likewise; the names are the job's
    size_t peaks_left;                     // of them, the first: of workers that left
    uint64_t progress_ns;                  // when the last report was
    uint64_t progress_done;
    int progress_workers; // −1: none was made
    bool fits_checked;

    // The end. `doomed`: to be ended as soon as nobody is at work on it.
    bool doomed;
    bool ended;
    bool released;       // by its client
    uint64_t expires_ns; // detached, ended, and nobody has it: when it is given up; 0: it is not
    bool dropping;       // nothing is left but to tell
    bool accept_due;
    bool end_due;
    uint32_t drop_slot; // the next worker to be told
    tess_status status;
    char text[TSI_ERROR_TEXT_MAX];
};

// The job of an identity; NULL if there is none that may still do something.
struct tsi_sched_job *tsi_sched_job_find(const struct tsi_sched *sched, uint32_t id);

// Makes the record of a program; NULL when memory is out.
struct tsi_sched_job *tsi_sched_job_new(const struct tsi_program *program);
void tsi_sched_job_free(struct tsi_sched_job *job);

// The operation of a task: the search, and the one that was found last if it is that.
uint32_t tsi_sched_job_find_op(struct tsi_sched_job *job, uint32_t task);

static inline uint32_t
tsi_sched_job_op(struct tsi_sched_job *job, uint32_t task)
{
    const struct tsi_sched_op *last = &job->ops[job->last_op];
    return task - last->base < last->count ? job->last_op : tsi_sched_job_find_op(job, task);
}

// Bytes of the chunk of `task`, as the ledger counts them.
uint64_t tsi_sched_job_bytes(const struct tsi_sched_job *job, uint32_t op, uint32_t task);

// Whether the tasks of an operation run; held and kept chunks only come to be there.
static inline bool
tsi_sched_op_runs(const struct tsi_sched_op *op)
{
    return op->work != TSI_WORK_HELD && op->work != TSI_WORK_KEPT;
}

static inline bool
tsi_sched_job_is_retired(const struct tsi_sched_job *job, uint32_t task)
{
    return (job->retired[task / 64] >> (task % 64) & 1) != 0;
}

static inline bool
tsi_sched_job_is_opened(const struct tsi_sched_job *job, uint32_t task)
{
    return (job->opened[task / 64] >> (task % 64) & 1) != 0;
}

static inline bool
tsi_sched_job_is_satisfied(const struct tsi_sched_job *job, uint32_t task)
{
    return (job->satisfied[task / 64] >> (task % 64) & 1) != 0;
}

// Gives the records of tasks back to the system when a whole block of them is retired.
void tsi_sched_job_set_retired(struct tsi_sched_job *job, uint32_t task, bool retired);

// Changes the state of a task of operation `op`. The one place that does.
static inline void
tsi_sched_job_move(struct tsi_sched_job *job, uint32_t op, uint32_t task, enum tsi_task_state to)
{
    struct tsi_sched_task *record = &job->tasks[task];
    const enum tsi_task_state from = tsi_sched_task_state(record);
    TSI_CHECK(tsi_sched_task_may_move(from, to));
    TSI_CHECK(to != TSI_TASK_QUEUED || tsi_sched_task_count(record) == 0);
    if (from == TSI_TASK_RELEASED) {
        job->active[task / TSI_SCHED_BLOCK]++;
    }
    if (to == TSI_TASK_RELEASED) {
        job->active[task / TSI_SCHED_BLOCK]--;
        record->where = 0;
        record->link = 0;
        record->users_left = 0;
        tsi_sched_task_set_count(record, 0);
    }
    if (job->ops[op].target_mode != TSI_SCHED_NO_TARGET) {
        job->targets_active += tsi_sched_task_is_pending(to) ? 1 : 0;
        job->targets_active -= tsi_sched_task_is_pending(from) ? 1 : 0;
    }
    job->counts[from]--;
    job->counts[to]++;
    record->bits = (record->bits & ~UINT32_C(0xFF)) | (uint32_t)to;
}

// Marks the job to be ended with a status and a message; the first mark stays.
void tsi_sched_job_doom(struct tsi_sched *sched, struct tsi_sched_job *job, tess_status status,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
void tsi_sched_job_doom_memory(struct tsi_sched *sched, struct tsi_sched_job *job);

// Writes "mean at main.c:7, chunk (0, 3)" for messages.
void tsi_sched_job_place(struct tsi_sched_job *job, uint32_t task, char *out, size_t bytes);

// Ends the jobs that are doomed or complete; true if one was taken off the books, and workers are
// to be told. Nobody may be at work on a job.
bool tsi_sched_job_settle(struct tsi_sched *sched);

// Progress of targets.
void tsi_sched_target_reached(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                              uint32_t task);
void tsi_sched_target_satisfied(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                                uint32_t task);
// A holder of the chunk of `task` has it no more, others have: who was told of the former has to
// know.
void tsi_sched_target_moved(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                            uint32_t task);

#endif
