// SPDX-License-Identifier: Apache-2.0
//
// Futures: one submitted compute, shared by the session's thread, which waits for it, and the
// threads of a backend, which bring its results.

#ifndef TSI_RUNTIME_FUTURE_H
#define TSI_RUNTIME_FUTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/base/error.h"
#include "engine/base/helper.h"
#include "engine/graph/session.h"
#include "engine/plan/plan.h"
#include "engine/program/exchange.h"

// Where the chunks of one target go: `out` is the whole array in C order, NULL if it is not
// delivered.
struct tsi_future_output {
    void *out;
    size_t bytes;
};

struct tess_future {
    atomic_uint refs;             // one of the session's thread, one of the backend while it runs
    struct tess_session *session; // NULL once it is closed; like the next three, the user thread's
    struct tsi_backend *backend;  // NULL if it never started, or has been closed
    struct tess_future *next;     // in the session's list
    struct tess_future *previous;
    struct tsi_plan plan;
    bool plan_taken; // the backend frees the plan, after the future's end
    int target_count;
    struct tsi_future_output *outputs; // by target
    uint32_t kept_base;                // of the first target: its task of chunk 0
    void *backend_data;                // the backend's own, while it runs
    bool detached;                     // it ends when the scheduler has it
    uint64_t token;                    // of the job, where it is detached
    int event_fd;
    bool reported; // its failure has been recorded in the session

    pthread_mutex_t lock; // of all that follows
    pthread_cond_t ended_cond;
    atomic_bool ended;  // set under the lock; may be looked at without it
    tess_status status; // TESS_RUNNING until it has ended
    struct tsi_error error;
    uint64_t started_ns;
    uint64_t job; // once accepted
    struct tess_progress progress;
    struct tess_report report;
    struct tess_worker_report *worker_reports; // as in the session
};

// A future with one reference, not started, in the list of `session`, which may be NULL; NULL when
// memory is out.
struct tess_future *tsi_future_new(struct tess_session *session, int target_count);
struct tess_future *tsi_future_ref(struct tess_future *future);
void tsi_future_unref(struct tess_future *future); // accepts NULL

// Gives up the reference of the session's thread.
void tsi_future_drop(struct tess_future *future);

// Makes the futures that the user still has live on without `session`, whose backend is closed.
void tsi_future_orphan_all(struct tess_session *session);

// Ends the future. Only the first call has an effect. `text` may be NULL if `status` is TESS_OK.
void tsi_future_end(struct tess_future *future, tess_status status, const char *text);

void tsi_future_set_job(struct tess_future *future, uint64_t job);
void tsi_future_set_progress(struct tess_future *future, uint64_t done, uint64_t total,
                             int workers);
void tsi_future_set_costs(struct tess_future *future, const struct tsi_job_costs *costs);

// The caller's memory for the whole array that target operation `op` makes, if it goes there and
// nowhere else, and its elements are aligned there; else NULL.
void *tsi_future_place(const struct tess_future *future, int op);

// Copies chunk `chunk` of target operation `op` into the outputs of all targets that are this
// operation. `data` is the chunk in C order, `bytes` long; nothing is copied if it is in its place.
// False if the size is not that of the chunk. May be called for different chunks from several
// threads at once, with a helper each, or NULL.
bool tsi_future_deliver(struct tess_future *future, int op, int64_t chunk, const void *data,
                        size_t bytes, struct tsi_helper *helper);

// Waits as tess_future_wait(), calls the progress callback, and records a failure in the session.
tess_status tsi_future_finish(struct tess_future *future, int64_t timeout_ms);

#endif
