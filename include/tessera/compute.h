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

// Computes `x` and writes it to an NPY file at `path`. Tasks write parts of it, each its own, into
// a file beside it that takes the name when all is written, so `path` never holds half an array. A
// part is a chunk, or goes through several that are neighbours, where that makes longer runs of the
// file: then it has the bytes of a chunk, or 1 MiB if that is more, and the chunks that it reads
// take 1/16 of the memory for chunks, 64 MiB at most, or twice that where parts do not end where
// chunks do. `path` must name the same directory on every worker. A file or a link of that name is
// replaced; a directory or a device is not: TESS_EIO.
TESS_NODISCARD TESS_API tess_status tess_save_npy(tess_array *x, const char *path);

// Characters of the name of a detached compute, with the zero at the end.
#define TESS_DETACHED_ID_BYTES 17

// Starts to compute `x`, keeps its chunks in the cluster, and returns when the scheduler has taken
// the compute down. It goes on when this session is closed or its process dies, however it dies.
// `id` becomes its name, for tess_attach() in any session of the same scheduler.
//
// The result is kept until somebody attaches and gives it back, and without that for the time and
// up to the number of bytes that the scheduler was started with (--result-lease, an hour, and
// --result-limit, 16 GiB; beyond that the oldest results go first). The time counts from the end of
// the compute, or from when the last session left that had submitted it or attached to it. The
// compute survives its scheduler if that keeps a journal, and is lost with it if not.
//
// Fails with TESS_EINVAL, and `id` is "", in an embedded session, and if `x` needs memory of this
// process (tess_from_memory()) or chunks that are kept for this session (tess_persist(),
// tess_attach()); with TESS_ELIMIT if the result is larger than the scheduler keeps.
TESS_NODISCARD TESS_API tess_status tess_detach(tess_array *x, char id[TESS_DETACHED_ID_BYTES]);

// The array that tess_detach() named `id`, with its shape, dtype and chunks, whether it is computed
// already or not: computes that use it wait for its chunks. It is this session's from now on, like
// one that tess_persist() keeps: tess_release() gives it back, and ends the computing if it still
// goes on. When the session is closed without that, the result waits for others again. To attach
// twice in one session gives the same array.
//
// A failed array with TESS_EACCESS while another session that has attached is there; with
// TESS_EINVAL if `id` is no such name, or nothing is known of it: it was given back, or the
// scheduler was started again without its journal; with TESS_ETIMEOUT or TESS_ELIMIT if the result
// was not kept any longer, by time or by bytes; with its own status and message if the compute has
// failed. The scheduler remembers the last 1,024 computes that are gone.
TESS_API tess_array *tess_attach(tess_session *session, const char *id);

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
// the session's process a compute in which it is, on any worker, fails with TESS_EINTERNAL. The
// number that tess_explain() gives is a forecast for all workers together, from the program alone.
typedef struct tess_report {
    uint64_t tasks;
    uint64_t elapsed_ns;
    uint64_t program_bytes; // sent to the scheduler; 0 in the embedded runtime
    uint64_t peak_bytes_predicted;
    uint64_t peak_bytes_measured;
    int workers; // of which tess_session_worker_report() tells
} tess_report;

// The report of the compute that was last seen to end in `session`, by a call that waits or by
// tess_future_poll(). All zero before the first, and for NULL.
TESS_API tess_report tess_session_report(const tess_session *session);

// The two peaks of one worker in that compute. A worker that was lost has its line too, of which
// measured is what it had told by then; if it came back, that is another line. `name` is the one
// that its operator gave it, else it is made of its machine's name and its process number;
// "embedded" is the embedded runtime. Valid until the report is replaced or the session is closed.
typedef struct tess_worker_report {
    const char *name;
    uint64_t peak_bytes_predicted;
    uint64_t peak_bytes_measured;
} tess_worker_report;

// Worker `index` of the report: 0 and more, below its `workers`. Beyond these, and for NULL, the
// name is "" and the rest zero.
TESS_API tess_worker_report tess_session_worker_report(const tess_session *session, int index);

TESS_END

#define tess_compute(...) TESS_SITED_STATUS((tess_compute)(__VA_ARGS__))
#define tess_compute_many(...) TESS_SITED_STATUS((tess_compute_many)(__VA_ARGS__))
#define tess_submit(...) TESS_SITED(tess_future, (tess_submit)(__VA_ARGS__))
#define tess_persist(...) TESS_SITED_STATUS((tess_persist)(__VA_ARGS__))
#define tess_detach(...) TESS_SITED_STATUS((tess_detach)(__VA_ARGS__))
#define tess_attach(...) TESS_SITED_ARRAY((tess_attach)(__VA_ARGS__))
#define tess_save_npy(...) TESS_SITED_STATUS((tess_save_npy)(__VA_ARGS__))

#endif
