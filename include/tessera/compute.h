// SPDX-License-Identifier: Apache-2.0
//
// Running expressions: results into memory, chunks kept where they are, files.
//
// A call returns the status of the array if it has failed. Otherwise it can return TESS_ENOMEM or
// TESS_EMEMLIMIT where memory does not suffice, TESS_EIO where a file fails, TESS_EWORKERS where
// the scheduler has no worker within the session's time, TESS_ELOST or TESS_ECONNECT where
// processes went away, TESS_ECANCELLED where it was cancelled. The message is tess_session_error().
// The arrays stay as they were, and may be computed again.

#ifndef TESSERA_COMPUTE_H
#define TESSERA_COMPUTE_H

#include "tessera/array.h"

// A compute that is under way.
typedef struct tess_future tess_future;

TESS_BEGIN

// Computes `x` and writes it to `out` in C order, in its own dtype. `out_bytes` is the size of
// `out`; fails with TESS_EBUFFER, and writes nothing, if it is less than tess_array_bytes(x).
TESS_NODISCARD TESS_API tess_status tess_compute(tess_array *x, void *out, size_t out_bytes);

// Computes `count` arrays of one session at once, so that what they share is computed once. Array i
// goes to outs[i] of bytes[i] bytes.
TESS_NODISCARD TESS_API tess_status tess_compute_many(tess_array *const *arrays, void *const *outs,
                                                      const size_t *bytes, int count);

// Starts to compute and returns at once. `outs` must stay valid until the future is done or freed.
// Never returns NULL: a compute that could not start is a future that has failed. The session must
// be used by one thread at a time as ever; the computing goes on meanwhile on others.
TESS_API tess_future *tess_submit(tess_array *const *arrays, void *const *outs, const size_t *bytes,
                                  int count);

// TESS_RUNNING, or how the compute ended. Does not wait.
TESS_API tess_status tess_future_poll(tess_future *future);

// Waits until the compute has ended, `timeout_ms` at most (negative: without limit), and returns as
// tess_future_poll() does.
TESS_NODISCARD TESS_API tess_status tess_future_wait(tess_future *future, int64_t timeout_ms);

// How far it has come.
TESS_API tess_progress tess_future_progress(const tess_future *future);

// Asks the compute to stop. It ends soon, with TESS_ECANCELLED unless it had ended before.
TESS_API void tess_future_cancel(tess_future *future);

// A file descriptor that becomes readable when the compute has ended, for poll() and its like; −1
// if there is none. It belongs to the future.
TESS_API int tess_future_fd(const tess_future *future);

// Cancels the compute if it still runs, waits until nothing writes to its outputs any more, and
// frees the future. Accepts NULL.
TESS_API void tess_future_free(tess_future *future);

// Computes `x` and keeps its chunks in the session's process or in the cluster. Later computes that
// use `x` start from them. Waits until all are there.
TESS_NODISCARD TESS_API tess_status tess_persist(tess_array *x);

// Gives the chunks that tess_persist() keeps of `x` back; later computes compute it again. An array
// of which none are kept is left as it is.
TESS_API void tess_release(tess_array *x);

// Computes `x` and writes it to an NPY file at `path`. Workers write chunk by chunk, each its own,
// into a file beside it that takes the name when all is written, so `path` never holds half an
// array. It must name the same directory on every worker.
TESS_NODISCARD TESS_API tess_status tess_save_npy(tess_array *x, const char *path);

// How `x` would be computed, as text: the operations after fusion with their chunks, tasks, bytes
// moved and the peak of memory to expect. Valid until the session is closed. For a failed array it
// is the error.
TESS_API const char *tess_explain(tess_array *x);

// How a compute ran: tasks that were run, repeats included, and two peaks of chunk memory, each of
// the worker that had most (the embedded runtime is one worker).
//
// Predicted is what the scheduler had promised the worker at most at any moment of the compute: the
// chunks that it holds, for whatever compute, and the missing inputs, the output and the workspace
// of each task that it was given. It is known when a task is admitted, before anything of it is
// allocated. Measured is what the worker's own ledger of that same memory came to. Measured is
// never more than predicted; with TESSERA_CHECK_MEMORY set to anything but 0 in the environment of
// the session's process a compute in which it is fails with TESS_EINTERNAL. The number that
// tess_explain() gives is a forecast for all workers together, from the program alone.
typedef struct tess_report {
    uint64_t tasks;
    uint64_t elapsed_ns;
    uint64_t program_bytes; // sent to the scheduler; 0 in the embedded runtime
    uint64_t peak_bytes_predicted;
    uint64_t peak_bytes_measured;
} tess_report;

// The report of the compute that was last seen to end in `session`, by a call that waits or by
// tess_future_poll(). All zero before the first, and for NULL.
TESS_API tess_report tess_session_report(const tess_session *session);

TESS_END

#define tess_compute(...) TESS_SITED_STATUS((tess_compute)(__VA_ARGS__))
#define tess_compute_many(...) TESS_SITED_STATUS((tess_compute_many)(__VA_ARGS__))
#define tess_submit(...) TESS_SITED(tess_future, (tess_submit)(__VA_ARGS__))
#define tess_persist(...) TESS_SITED_STATUS((tess_persist)(__VA_ARGS__))
#define tess_save_npy(...) TESS_SITED_STATUS((tess_save_npy)(__VA_ARGS__))

#endif
