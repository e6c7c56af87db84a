// SPDX-License-Identifier: Apache-2.0
//
// The embedded runtime's parts: local.c opens and closes it and takes the session's calls,
// local_pump.c carries actions of one core to the other, local_thread.c is what its threads do.

#ifndef TSI_RUNTIME_LOCAL_H
#define TSI_RUNTIME_LOCAL_H

#include <pthread.h>

#include "engine/base/buf.h"
#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "engine/exec/attempt.h"
#include "engine/io/spill.h"
#include "engine/runtime/backend.h"
#include "scheduler/core/sched.h"
#include "worker/core/worker.h"

// One submitted program. It lives until both cores have given the program back.
struct tsi_local_job {
    uint64_t token;
    uint32_t number;            // once accepted
    struct tess_future *future; // NULL once it has ended
    struct tsi_plan plan;       // taken over from the future, which may go first
    bool held_by_sched;
    bool held_by_worker;
    atomic_int pins;     // threads that copy its results just now, chunks in the caller's memory
    bool ends;           // when there are none, with this
    bool waits_for_pins; // to be settled then
    struct tsi_error ending;
};

// A target chunk to copy into the caller's memory.
struct tsi_local_delivery {
    struct tsi_local_job *job; // may be gone: `number` tells
    uint32_t number;
    uint32_t task;
    struct tsi_buf *chunk; // a reference of its own
};

struct tsi_local {
    struct tsi_backend backend;
    int thread_count;
    pthread_t threads[TSI_THREADS_MAX];

    struct tsi_attempts attempts; // started under the lock, executed without it
    atomic_int idle;              // threads that wait for `work`; changed under the lock

    pthread_mutex_t lock; // of all that follows
    pthread_cond_t work;  // something to run, to deliver or to end
    bool closing;
    int long_runs;         // tasks started and not told of that are expected to take long
    uint64_t each_ns;      // how long one of the others takes, rather too much than too little
    uint64_t now_ns;       // when the clock was read last
    uint64_t armed_ns;     // when the first of them wakes up by itself; UINT64_MAX: not known
    uint64_t memory_bytes; // that chunks may take
    bool joined;           // the scheduler's core knows the worker
    uint64_t spill_bytes;  // that they may take on disk besides
    bool worker_failed;    // the worker's core had no memory for an event
    struct tsi_sched *sched;
    struct tsi_worker *worker;
    struct tsi_spill *spill; // NULL: off
    uint64_t next_token;
    struct tsi_map jobs_by_token;                  // → struct tsi_local_job *
    struct tsi_map jobs_by_number;                 // likewise
    struct tsi_local_job *last_job;                // the one that was looked up last, or NULL
    TSI_VEC(struct tsi_local_delivery) deliveries; // to take from the back
    TSI_VEC(tsi_key) awaited;                      // targets that are being read back
    bool some_wait_for_pins;                       // jobs, to be settled when they have none
};

// local_pump.c: moves actions between the cores until both have none. The lock is held.
void tsi_local_pump(struct tsi_local *local);
// Whether what waits in the ring is so little that one thread alone is done with it sooner.
bool tsi_local_is_little(const struct tsi_local *local);
// Threads that do not wait for work.
size_t tsi_local_awake(const struct tsi_local *local);
void tsi_local_sched_event(struct tsi_local *local, struct tsi_sched_event *event);
struct tsi_local_job *tsi_local_job(struct tsi_local *local, uint32_t number);

// Ends the job with this; the first end counts. tsi_local_fail_job() also tells the scheduler's
// core, and ends it for want of memory.
void tsi_local_end_job(struct tsi_local *local, struct tsi_local_job *job, tess_status status,
                       const char *text);
void tsi_local_fail_job(struct tsi_local *local, struct tsi_local_job *job, const char *text);

// A target chunk becomes work for the threads, now or when it was read back; false when memory is
// out.
bool tsi_local_deliver(struct tsi_local *local, struct tsi_local_job *job, uint32_t task);

// local_place.c: gives the task of a slot the place in the caller's memory where its chunk goes, if
// it can be made there. What could not be settled for such chunks. And a chunk as one run, with one
// reference: itself, or a copy of what lies in parts of the caller's rows; NULL when memory is out.
void tsi_local_place(struct tsi_local_job *job, struct tsi_attempt_slot *slot);
void tsi_local_settle_unpinned(struct tsi_local *local);
struct tsi_buf *tsi_local_run_of(struct tsi_buf *chunk);

// local_spill.c: carries chunks to the disk and back.
bool tsi_local_spill_open(struct tsi_local *local, const struct tess_session_options *options);
void tsi_local_spill_close(struct tsi_local *local); // the lock is not held
void tsi_local_spill(struct tsi_local *local, const struct tsi_worker_action *action);
void tsi_local_load(struct tsi_local *local, const struct tsi_worker_action *action);

// local_recover.c: feeds the worker's core. What it has no memory for is lost; then the worker has
// to be renewed.
void tsi_local_worker_event(struct tsi_local *local, struct tsi_worker_event *event);

// Fails all jobs, and lets the worker join the scheduler again with nothing in its hands.
void tsi_local_renew_worker(struct tsi_local *local);

// Lets the worker join if it has not; there may be no memory for that.
void tsi_local_join_worker(struct tsi_local *local);

// Ends the job's future, and frees the job once nobody has its program; both only when nothing pins
// the job, so that nothing touches the caller's memory after the end.
void tsi_local_settle_job(struct tsi_local *local, struct tsi_local_job *job);

// Frees a job that neither core knows any more, and what its tasks may have left of a file.
void tsi_local_free_job(struct tsi_local_job *job);

// The numbers by which the cores know the one worker and the one client.
#define TSI_LOCAL_WORKER UINT32_C(1)
#define TSI_LOCAL_CLIENT UINT32_C(2)

// local_thread.c: what each thread runs; `argument` is the struct tsi_local.
void *tsi_local_thread(void *argument);

#endif
