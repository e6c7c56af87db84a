// SPDX-License-Identifier: Apache-2.0
//
// What the files of the worker's core share: its records and what they do to each other.
//
// A *job* record is there as long as anything of the job is. A *chunk* record is there for each
// chunk that is held, on its way, or waited for. A *task* record is an assignment from its arrival
// until its report was taken by the driver.
//
// Memory that a step may need is reserved before the step changes anything; from there on nothing
// can fail. Hence the calls named reserve, and pushes without checks elsewhere.

#ifndef TSI_WORKER_STATE_H
#define TSI_WORKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/map.h"
#include "engine/base/table.h"
#include "engine/base/vec.h"
#include "engine/program/mirror.h"
#include "worker/core/worker.h"
#include "worker/core/worker_pool.h"
#include "worker/core/worker_queue.h"

// Completions of one report.
enum { TSI_WORKER_BATCH = 256 };

enum { TSI_WORKER_TEXT_MAX = 256 };

struct tsi_worker_chunk;
struct tsi_worker_task;

// What a task of an operation takes, found when the first one starts.
struct tsi_worker_needs {
    uint64_t workspace;  // UINT64_MAX: not asked for yet
    uint64_t cost_ns;    // how long it is expected to take
    uint64_t even_bytes; // of each output; UINT64_MAX: not all have the same
    int64_t frontier;    // no task of this chunk number or a higher one was assigned here
    struct tsi_mirror mirror;
    bool is_short;
};

// `detached`: dropped, and not known by its number any more; what is left of it are running tasks
// and chunks that running tasks use.
struct tsi_worker_job {
    struct tsi_worker_job *next;
    struct tsi_worker_job *previous;
    uint32_t number;
    bool detached;
    const struct tsi_program *program; // NULL: none came, or it was given back
    uint64_t token;                    // of the program
    struct tsi_worker_needs *needs;    // of each operation
    uint64_t *drops;                   // a bit of each task; NULL: none is set (worker_cheap.c)
    struct tsi_worker_chunk *chunks;
    struct tsi_worker_task *tasks;
    size_t running;
    bool tells_others;   // some chunk of another job is known by this one
    uint64_t peak_bytes; // counted since the program came, to the last call of fold_peaks()
};

enum tsi_worker_chunk_state {
    TSI_WORKER_NOWHERE, // not held and not on its way
    TSI_WORKER_QUEUED,  // for a fetch
    TSI_WORKER_FETCHING,
    TSI_WORKER_HELD,    // in memory
    TSI_WORKER_ON_DISK, // there alone, and not asked for
};

// What the disk does with a chunk.
enum tsi_worker_io { TSI_WORKER_NO_IO, TSI_WORKER_WRITING, TSI_WORKER_READING };

// One use of a chunk by a task. Until the task starts it is in the chunk's list of users, and
// `task` is set.
struct tsi_worker_input {
    struct tsi_worker_chunk *chunk;
    struct tsi_worker_task *task;
    struct tsi_worker_input *next;
    struct tsi_worker_input *previous;
};

struct tsi_worker_chunk {
    struct tsi_worker_entry entry; // in the queue of fetches
    tsi_key key;
    struct tsi_worker_job *job;
    struct tsi_worker_chunk *next; // of the job
    struct tsi_worker_chunk *previous;
    struct tsi_worker_input *users; // by tasks that have not started
    void *handle;
    void *extent;       // what is on disk of it; NULL: nothing
    size_t resident_at; // its place in the list of those that take memory
    uint32_t spill_run;
    uint32_t locks; // uses by tasks that run, and by outputs not reported yet: it stays in memory
    enum tsi_worker_io io;
    bool leaving;            // from memory, as soon as it is written
    bool demanded;           // by a peer, through the driver, which has not got it yet
    uint64_t stays_until_ns; // in memory, if it was read for a peer
    uint64_t bytes;          // what is expected, until it is held
    uint64_t counted;        // of them, in the worker's bytes_counted
    uint32_t pins;           // uses by tasks, and by completions not reported yet
    uint32_t peer;           // to fetch it from
    uint32_t tries;          // fetches that failed since a task last named a peer
    // Another job, whose completions alone tell that this chunk is here; TSI_JOB_NONE: none.
    uint32_t known_by;
    enum tsi_worker_chunk_state state;
    bool mapped;    // found by its key
    bool known;     // the scheduler was told, or will be, that it is here: stays without pins
    bool told;      // it was made here, and known since by the completion of that task
    bool doubtful;  // the scheduler may not know of it, until it asks for it
    bool freed;     // by the scheduler, since it was last asked for
    bool unclaimed; // came before the assignment that it is for
    bool copying;   // COPIED is owed
};

enum tsi_worker_task_state {
    TSI_WORKER_NEEDS_INPUTS,
    TSI_WORKER_READY,
    TSI_WORKER_RUNNING,
    TSI_WORKER_DONE,  // to be reported
    TSI_WORKER_ENDED, // to be reported
};

struct tsi_worker_task {
    struct tsi_worker_entry entry; // in the queue of ready tasks
    struct tsi_worker_job *job;
    struct tsi_worker_task *next; // of the job
    struct tsi_worker_task *previous;
    struct tsi_worker_task *next_report;
    TSI_VEC(struct tsi_worker_input) inputs; // stays with the record for its next use
    size_t missing;                          // inputs that are not held
    uint32_t task;
    uint32_t sequence;
    uint32_t rank;
    uint32_t run;
    int op;
    int64_t chunk;
    enum tsi_worker_task_state state;
    bool orphan; // runs for a scheduler that is gone
    uint64_t output_bytes;
    uint64_t reserved; // while it runs: output and workspace
    bool is_short;
    bool is_along;                   // runs at once with the one that was started before it
    struct tsi_worker_chunk *output; // once it is done
    struct tsi_completion completion;
    struct tsi_attempt end;
    char *text; // of `end`
};

// Tasks to report, oldest first.
struct tsi_worker_reports {
    struct tsi_worker_task *first;
    struct tsi_worker_task *last;
    size_t count;
};

// A chunk that could leave memory, and when it is needed next.
struct tsi_worker_victim {
    struct tsi_worker_chunk *chunk;
    uint64_t next_use;
};

struct tsi_worker_lost_copy {
    tsi_key key;
    uint32_t peer;
};

struct tsi_worker {
    int threads;
    size_t run_count;               // threads and runs ahead
    size_t long_count;              // tasks that run and are not short
    size_t along_count;             // that run along with others and take no thread of their own
    struct tsi_worker_task *leader; // started last, so that another may run along; or NULL
    uint64_t memory_bytes;
    bool is_over; // the limit was changed, and more may be taken than that since
    size_t fetches_max;

    struct tsi_worker_pool job_pool;
    struct tsi_worker_pool chunk_pool;
    struct tsi_worker_pool task_pool;
    struct tsi_map jobs;             // by number
    struct tsi_worker_job *last_job; // the one that was looked up last, or NULL
    struct tsi_table chunks;         // by key
    struct tsi_table sequences;      // assignments that have not started
    struct tsi_worker_job *job_list;
    struct tsi_worker_queue ready;
    struct tsi_worker_queue fetches;
    uint64_t fetch_order;

    struct tsi_worker_task **runs; // by run; NULL: free
    uint32_t *free_runs;
    size_t free_run_count;
    bool *cancels; // by run: CANCEL_RUN is owed
    size_t cancel_count;

    // What the driver is to be told.
    struct tsi_worker_reports done;
    struct tsi_worker_reports ended;
    TSI_VEC(void *) releases;
    TSI_VEC(const struct tsi_program *) programs;
    TSI_VEC(tsi_key) copied;
    TSI_VEC(struct tsi_worker_lost_copy) lost_copies;
    size_t copying_count; // chunks whose COPIED is owed

    // What is offered to a scheduler that was joined, and what orphans made since.
    bool offered;
    TSI_VEC(struct tsi_holding) holdings;
    TSI_VEC(struct tsi_task_range) ranges;
    TSI_VEC(tsi_key) late;
    struct tsi_holding late_holding;
    struct tsi_task_range late_range;

    // What the last action points to.
    struct tsi_worker_done batch[TSI_WORKER_BATCH];
    struct tsi_worker_chunk *batch_outputs[TSI_WORKER_BATCH];
    size_t batch_count;
    struct tsi_worker_task *told; // its end was told
    bool copied_told;
    TSI_VEC(void *) input_handles;
    TSI_VEC(tsi_key) input_keys;
    TSI_VEC(tsi_key) scratch;

    // Spilling.
    size_t spills_max;
    uint64_t spill_limit;
    struct tsi_worker_chunk **spill_runs;        // by run; NULL: free
    size_t spill_run_count;                      // that are busy
    TSI_VEC(struct tsi_worker_chunk *) resident; // chunks in memory that take some
    TSI_VEC(struct tsi_worker_chunk *) spills;   // to be written
    TSI_VEC(struct tsi_worker_victim) victims;   // scratch
    TSI_VEC(void *) extents;                     // to give back
    TSI_VEC(tsi_key) dropped;                    // to tell
    bool dropped_told;
    size_t extent_count; // that chunks have, or will have
    uint64_t bytes_spilled;
    uint64_t bytes_leaving;
    bool spill_failed; // and was not tried again
    tess_status spill_status;
    char spill_text[TSI_WORKER_TEXT_MAX];
    uint64_t spills_done;
    uint64_t loads_done;
    uint64_t chunks_lost;
    uint64_t chunks_dropped;

    size_t assignments;
    size_t held_count;
    size_t fetching_count;
    uint64_t bytes_held;
    uint64_t bytes_reserved;
    uint64_t bytes_fetching;
    uint64_t now_ns; // of the last poll
    uint64_t bytes_peak;
    uint64_t bytes_counted; // of what the scheduler knows or has asked for
    uint64_t counted_peak;  // since a program last came
    uint64_t programs_live; // given by the driver and not given back
};

// worker_job.c

struct tsi_worker_job *tsi_worker_job_find(const struct tsi_worker *worker, uint32_t number);
// Finds or makes the record; NULL when memory is out.
struct tsi_worker_job *tsi_worker_job_add(struct tsi_worker *worker, uint32_t number);
// Gives back what a job does not need any more, and the record if nothing is left of it.
void tsi_worker_job_settle(struct tsi_worker *worker, struct tsi_worker_job *job);
// Drops all of the job but what runs.
void tsi_worker_job_drop(struct tsi_worker *worker, struct tsi_worker_job *job);
// What a task of operation `op` needs, at most.
const struct tsi_worker_needs *tsi_worker_job_needs(struct tsi_worker_job *job, int op);

// worker_chunk.c

struct tsi_worker_chunk *tsi_worker_chunk_find(const struct tsi_worker *worker, tsi_key key);
// Finds or makes the record; NULL when memory is out.
struct tsi_worker_chunk *tsi_worker_chunk_add(struct tsi_worker *worker, tsi_key key);
// Takes the record away if nothing needs it, with its handle if it is held.
void tsi_worker_chunk_settle(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
void tsi_worker_chunk_unpin(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// A completion of a task of `user` tells the scheduler that the chunk is here.
void tsi_worker_chunk_know(struct tsi_worker_chunk *chunk, struct tsi_worker_job *user);
// The scheduler may have missed that; it is told once more.
void tsi_worker_chunk_tell_again(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Sees to it that the chunk is held or on its way. `location` may be NULL. False if nobody has it.
bool tsi_worker_chunk_want(struct tsi_worker *worker, struct tsi_worker_chunk *chunk,
                           uint64_t priority, const struct tsi_location *location);
// In memory or on disk.
static inline bool
tsi_worker_chunk_is_here(const struct tsi_worker_chunk *chunk)
{
    return chunk->state == TSI_WORKER_HELD || chunk->extent != NULL;
}

// Counts the chunk's bytes, or not any more, after something of it changed.
void tsi_worker_chunk_count(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Room for one more handle to be given back; false when memory is out.
bool tsi_worker_chunk_reserve_release(struct tsi_worker *worker);
// The chunk is here, reserved by the call above; wakes who waits for it.
void tsi_worker_chunk_arrived(struct tsi_worker *worker, struct tsi_worker_chunk *chunk,
                              void *handle, uint64_t bytes);
// A fetch failed: it is tried again, or the chunk is lost.
void tsi_worker_chunk_failed(struct tsi_worker *worker, struct tsi_worker_chunk *chunk,
                             const char *text);
// The chunk cannot be had from its peer; ends who waits for it. `text` may be NULL.
void tsi_worker_chunk_lost(struct tsi_worker *worker, struct tsi_worker_chunk *chunk,
                           const char *text);
void tsi_worker_chunk_free(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Takes the chunk out of the queue or off its way.
void tsi_worker_chunk_stop(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// The same if nobody waits for it any more; what the disk reads it still gives.
void tsi_worker_chunk_call_off(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Takes the key from the record; it goes when the last task that uses it has ended.
void tsi_worker_chunk_detach(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Lets go of a chunk that a task ran with, or that was reported.
void tsi_worker_chunk_unlock(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Asks for a chunk that is on disk; `priority` as of tasks.
void tsi_worker_chunk_load(struct tsi_worker *worker, struct tsi_worker_chunk *chunk,
                           uint64_t priority);
// The next chunk to fetch or to read, started; NULL if none may be now.
struct tsi_worker_chunk *tsi_worker_chunk_next_fetch(struct tsi_worker *worker);

// worker_assign.c

// Takes a batch of assignments in; false when memory is out, and none was taken.
bool tsi_worker_assign_batch(struct tsi_worker *worker, const struct tsi_assignment *items,
                             size_t count, const struct tsi_location *locations,
                             size_t location_count);

// worker_task.c

// All inputs are there.
void tsi_worker_task_make_ready(struct tsi_worker *worker, struct tsi_worker_task *task);
// Takes a task that has not started out of everything but its job.
void tsi_worker_task_withdraw(struct tsi_worker *worker, struct tsi_worker_task *task);
// Makes it a task to be reported; `text` may be NULL.
void tsi_worker_task_end(struct tsi_worker *worker, struct tsi_worker_task *task,
                         enum tsi_attempt_end end, tess_status status, const char *text);
void tsi_worker_task_retract(struct tsi_worker *worker, uint32_t sequence);
// When it runs: lower is earlier.
uint64_t tsi_worker_task_priority(const struct tsi_worker_task *task);
// An input is in memory no more.
void tsi_worker_task_input_left(struct tsi_worker *worker, struct tsi_worker_task *task);
// An input came.
void tsi_worker_task_input_arrived(struct tsi_worker *worker, struct tsi_worker_task *task);
// Input `key` cannot be had from `peer`: the task ends.
void tsi_worker_task_input_lost(struct tsi_worker *worker, struct tsi_worker_task *task,
                                tsi_key key, uint32_t peer, const char *text);
// Ends a task that does not run without a word, for its job is gone.
void tsi_worker_task_drop(struct tsi_worker *worker, struct tsi_worker_task *task);
// The next task to run, started and on a run; NULL if none may start now.
struct tsi_worker_task *tsi_worker_task_start(struct tsi_worker *worker);
// A run ended; false when memory is out, and nothing changed.
bool tsi_worker_task_executed(struct tsi_worker *worker, const struct tsi_worker_event *event);
// The oldest report, NULL if there is none.
struct tsi_worker_task *tsi_worker_task_report(struct tsi_worker_reports *reports);
// The record is not needed any more.
void tsi_worker_task_recycle(struct tsi_worker *worker, struct tsi_worker_task *task);

// worker_part.c

// The scheduler is gone: keeps what the next one may want.
void tsi_worker_part(struct tsi_worker *worker);
// The output of an orphan is held: it stays, to be offered. False when memory for that is out.
bool tsi_worker_task_orphaned(struct tsi_worker *worker, struct tsi_worker_task *task,
                              struct tsi_worker_chunk *output);
// An attempt to make a chunk ended without one: if it is here all the same, it is offered.
void tsi_worker_offer_again(struct tsi_worker *worker, tsi_key key);
bool tsi_worker_tell_late(struct tsi_worker *worker, struct tsi_worker_action *action);
// worker_spill.c

// Whether `bytes` more fit in memory. If not, chunks that are needed later than `priority` start to
// leave it.
bool tsi_worker_spill_room(struct tsi_worker *worker, uint64_t bytes, uint64_t priority);
// Makes chunks leave as long as more memory is taken than may be.
void tsi_worker_spill_shed(struct tsi_worker *worker);
// A chunk is in memory now, or no more.
void tsi_worker_spill_enter(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
void tsi_worker_spill_leave(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Gives the chunk's room on disk back, if it has some.
void tsi_worker_spill_forget(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// A chunk that is about to leave stays.
void tsi_worker_spill_stay(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);
// Starts to write the next chunk; NULL if there is none, or no run is free.
struct tsi_worker_chunk *tsi_worker_spill_next(struct tsi_worker *worker);
// Takes a free run for reading the chunk.
void tsi_worker_spill_read(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);

// The chunk cannot be read back: it is as if it had never come, and the scheduler is told.
void tsi_worker_spill_lose(struct tsi_worker *worker, struct tsi_worker_chunk *chunk,
                           const char *text);
// What was written or read; false when memory is out, and nothing changed.
bool tsi_worker_spill_written(struct tsi_worker *worker, const struct tsi_worker_event *event);
bool tsi_worker_spill_loaded(struct tsi_worker *worker, const struct tsi_worker_event *event);

// worker_cheap.c

// Lets a chunk that may leave memory go for good, for it is cheaper to make again than to write,
// and tells the scheduler. False if it is not such a chunk; nothing changed then.
bool tsi_worker_cheap_drop(struct tsi_worker *worker, struct tsi_worker_chunk *chunk);

// worker_stuck.c

// Whether nothing can go on for want of memory; then something was given back.
bool tsi_worker_stuck_relieve(struct tsi_worker *worker);

// worker_next.c

// When a chunk will be needed: the priority of the first task that waits with it, or later than all
// of those, by how far ahead its users are in their operations.
uint64_t tsi_worker_next_use(const struct tsi_worker *worker, const struct tsi_worker_chunk *chunk);

// worker_tell.c

// Lets go of what the last action pointed to.
void tsi_worker_tell_settle(struct tsi_worker *worker);
// The report of the task was told, or nobody wants to hear it.
void tsi_worker_tell_end(struct tsi_worker *worker, struct tsi_worker_task *task);
// Memory was taken.
void tsi_worker_tell_peak(struct tsi_worker *worker);

#endif
