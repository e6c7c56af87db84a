// SPDX-License-Identifier: Apache-2.0
//
// Who runs the computes of a session: the threads of this process (local.c) or a scheduler daemon
// (remote.c). Nothing above this header knows which.

#ifndef TSI_RUNTIME_BACKEND_H
#define TSI_RUNTIME_BACKEND_H

#include "engine/runtime/future.h"

// The first member of each backend's own struct. The calls come from the session's thread; a
// backend reports from threads of its own through future.h.
struct tsi_backend {
    // Starts `future`, whose plan and outputs are filled. The backend takes the reference that is
    // given to it, and ends the future with tsi_future_end(), at once if it cannot start.
    void (*submit)(struct tsi_backend *backend, struct tess_future *future);

    // Asks a started future to end. It may have ended already.
    void (*cancel)(struct tsi_backend *backend, struct tess_future *future);

    // Gives the kept chunks of an ended job back.
    void (*release)(struct tsi_backend *backend, uint64_t job);

    // Finds a detached job by its token and ends `future`, to which it gives a reference: with the
    // job's number and its program as the plan's. NULL where there are no detached jobs.
    void (*attach)(struct tsi_backend *backend, struct tess_future *future, uint64_t token);

    // Threads for estimates: of this process, or of all workers as far as known.
    int (*threads)(struct tsi_backend *backend);

    // Bytes that chunks may take in this process, or at the worker that has least; 0: not known.
    uint64_t (*memory)(struct tsi_backend *backend);

    bool is_local; // what is in the caller's memory need not be brought to where it is computed

    // Cancels what runs, ends all futures, and frees the backend.
    void (*close)(struct tsi_backend *backend);

    // Whether a caller that waits may look for the end before it sleeps: where other processes do
    // the work, and there is more than one processor. The next two are the session's thread's.
    bool may_look;
    int asleep;      // computes to be waited for asleep after the last one that was looked for
    int asleep_left; // of these, still to come
};

// Backends, or NULL with the reason in `error`. `session_options` is complete.
struct tsi_backend *tsi_local_open(const struct tess_session_options *options,
                                   struct tsi_error *error);
struct tsi_backend *tsi_remote_open(const char *where, const struct tess_session_options *options,
                                    struct tsi_error *error);

#endif
