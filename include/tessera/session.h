// SPDX-License-Identifier: Apache-2.0
//
// Sessions: where expressions live and where they run.
//
// A session owns every array that is made in it; arrays have no free of their own, so calls nest.
// Closing the session frees them all. A session is used by one thread at a time.

#ifndef TESSERA_SESSION_H
#define TESSERA_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "tessera/export.h"
#include "tessera/status.h"

typedef struct tess_session tess_session;

// How far a compute has come.
typedef struct tess_progress {
    uint64_t tasks_done;
    uint64_t tasks_total;
    uint64_t elapsed_ns;
    int workers; // 1 in the embedded runtime
} tess_progress;

// What tess_session_open_with() may be told. Start from TESS_SESSION_OPTIONS_INIT, so that
// `struct_bytes` says which fields the program knows and the rest keep their defaults.
typedef struct tess_session_options {
    size_t struct_bytes;

    // Threads of the embedded runtime. 0: as many as the processors this process may use.
    int threads;

    // Bytes that chunks may take in the embedded runtime, freed memory that waits for the next
    // chunk included. Code, stacks, records, a workspace of 512 KiB a thread and what OpenBLAS
    // keeps are beside it. 0, or more than that: what the machine, its control groups and its
    // resource limits leave.
    uint64_t memory_limit_bytes;

    // The seed of all random arrays of the session. The same seed gives the same arrays.
    uint64_t seed;

    // How long to wait for a scheduler to answer, and for a first worker to be there, before the
    // call fails. 0: 10 seconds. Negative: for ever.
    int64_t connect_timeout_ms;
    int64_t worker_timeout_ms;

    // Called about ten times a second while tess_compute() and its like wait, and once at the end,
    // on the thread that waits.
    void (*on_progress)(void *user, const tess_progress *progress);
    void *on_progress_user;

    // Called at the moment an error is found, before the failing call returns. `text` is the
    // message. It must not call into the session.
    void (*on_error)(void *user, tess_status status, const char *text);
    void *on_error_user;

    // Where chunks of the embedded runtime go that its memory has no room for, in a file without a
    // name that is gone when the session is closed. NULL: the directory that the environment
    // variable TMPDIR names, else /var/tmp. The string is not needed after the call.
    const char *spill_directory;

    // Bytes that they may take there. 0: no limit but the disk's. Negative: none go there, and what
    // does not fit the memory fails with TESS_EMEMLIMIT.
    int64_t spill_limit_bytes;

    // How long computes wait for a scheduler that is gone and keeps a journal, so that it may come
    // back and go on with them. 0: 60 seconds. Negative: for ever. Without a journal they fail at
    // once.
    int64_t scheduler_timeout_ms;

    // Not 0: a scheduler at a tcp address may be one that was started with --insecure. Without
    // that, an address whose keys are in no connection file is refused with TESS_EACCESS. The
    // environment variable TESSERA_INSECURE says the same if it is 1. A connection file needs
    // neither: it carries the keys, or that there are none.
    int insecure;
} tess_session_options;

#define TESS_SEED_DEFAULT 0

#ifdef __cplusplus
#define TESS_SESSION_OPTIONS_INIT (tess_session_options_of(sizeof(tess_session_options)))
extern "C++" inline tess_session_options
tess_session_options_of(size_t struct_bytes)
{
    tess_session_options options = {};
    options.struct_bytes = struct_bytes;
    return options;
}
#else
#define TESS_SESSION_OPTIONS_INIT                                                                  \
    ((tess_session_options){.struct_bytes = sizeof(tess_session_options)})
#endif

TESS_BEGIN

// Opens a session. `where` says who runs its computes:
//
// - NULL: the scheduler that the environment variable TESSERA_SCHEDULER names, in one of the forms
//   below; where it is not set or empty, the threads of this process;
// - "embedded": the threads of this process, whatever the environment says;
// - an address, "ipc://path", or "tcp://host:port" of a scheduler whose keys are in the default
//   connection file or that is insecure (see the options);
// - anything else: the path of a scheduler's connection file.
//
// Never returns NULL. If the scheduler cannot be reached, or memory runs out, the session is
// failed: every array made in it is a failed array with the same error, and tess_session_error()
// tells it.
TESS_API tess_session *tess_session_open(const char *where);

// The same with options; NULL gives the defaults.
TESS_API tess_session *tess_session_open_with(const char *where,
                                              const tess_session_options *options);

// Cancels what is running, frees all arrays of the session and what they keep. Accepts NULL.
TESS_API void tess_session_close(tess_session *session);

// The message of the last call that failed in `session`, the empty string if none did. It stays
// valid until the session is closed. For NULL it says that the session is NULL.
TESS_API const char *tess_session_error(const tess_session *session);

// The status of a session: TESS_OK if it is usable, otherwise why it is not.
TESS_API tess_status tess_session_status(const tess_session *session);

// The place of the call being made, kept for error messages and plans. The macros that wrap the
// expression calls use these three; a program needs them only to wrap calls of its own.
TESS_API void tess_site_enter(const char *site);
TESS_API void *tess_site_leave(void *result);
TESS_API tess_status tess_site_leave_status(tess_status status);

TESS_END

#ifdef __cplusplus
extern "C++" template <class Result>
inline Result *
tess_site_leave_as(Result *result)
{
    return static_cast<Result *>(tess_site_leave(result));
}
#define TESS_SITED(type, call) (tess_site_enter(TESS_HERE), tess_site_leave_as<type>(call))
#else
#define TESS_SITED(type, call) (tess_site_enter(TESS_HERE), (type *)tess_site_leave(call))
#endif
#define TESS_SITED_ARRAY(call) TESS_SITED(tess_array, call)
#define TESS_SITED_STATUS(call) (tess_site_enter(TESS_HERE), tess_site_leave_status(call))

#endif
