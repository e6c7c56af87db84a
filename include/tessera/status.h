// SPDX-License-Identifier: Apache-2.0
//
// What a call can report, and how failed expressions behave.
//
// Two kinds of call report in two ways:
//
// - A call that builds an expression returns an array, never NULL. If it cannot, the array that it
//   returns is a *failed array*: it holds a status and a message, has no axes and no elements, and
//   may be given to any other call. A call with a failed operand returns that same operand, so the
//   first mistake is the one that is reported; of two failed operands the leftmost is returned.
// - A call that does something (compute, persist, save) returns a status. If its array had failed,
//   it returns the status of that array. An expression that was good stays good when running it
//   failed, and may be computed again.
//
// The message of a failed array is tess_array_error(). The message of the last call that failed in
// a session is tess_session_error(). Messages name the operation, the shapes of its operands and
// the place in the program's source, and stay valid until the session is closed.
//
// If the environment variable TESSERA_ERROR is `trap`, the process stops with SIGTRAP at the moment
// that an error is found, so that a debugger shows the guilty line.

#ifndef TESSERA_STATUS_H
#define TESSERA_STATUS_H

#include "tessera/export.h"

// Name, text. Rows are appended, never moved: the numbers travel between processes.
#define TESS_STATUS_MAP(ROW)                                                                       \
    ROW(OK, "success")                                                                             \
    ROW(RUNNING, "not finished yet")                                                               \
    ROW(EINVAL, "invalid argument")                                                                \
    ROW(ESHAPE, "shapes do not fit")                                                               \
    ROW(EAXIS, "no such axis")                                                                     \
    ROW(EDTYPE, "wrong element type")                                                              \
    ROW(ECHUNKS, "chunks do not fit the shape")                                                    \
    ROW(EINDEX, "index out of range")                                                              \
    ROW(EOVERFLOW, "size too large")                                                               \
    ROW(EBUFFER, "output buffer too small")                                                        \
    ROW(ENOMEM, "out of memory")                                                                   \
    ROW(EMEMLIMIT, "does not fit the memory limit")                                                \
    ROW(EIO, "input or output failed")                                                             \
    ROW(EFORMAT, "malformed file")                                                                 \
    ROW(ESESSION, "arrays of different sessions")                                                  \
    ROW(ECLOSED, "session is closed")                                                              \
    ROW(ECONNECT, "no connection to the scheduler")                                                \
    ROW(EVERSION, "versions do not fit")                                                           \
    ROW(EPROTOCOL, "malformed message")                                                            \
    ROW(EWORKERS, "no workers")                                                                    \
    ROW(ELOST, "a worker was lost")                                                                \
    ROW(ETIMEOUT, "timed out")                                                                     \
    ROW(ECANCELLED, "cancelled")                                                                   \
    ROW(ELIMIT, "limit exceeded")                                                                  \
    ROW(EACCESS, "not permitted")                                                                  \
    ROW(EINTERNAL, "internal error")

typedef enum tess_status {
#define TESS_STATUS_ROW(name, text) TESS_##name,
    TESS_STATUS_MAP(TESS_STATUS_ROW)
#undef TESS_STATUS_ROW
        TESS_STATUS_COUNT
} tess_status;

TESS_BEGIN

// The text of `status`, such as "shapes do not fit". A number that is no status gives
// "unknown status".
TESS_API const char *tess_status_text(tess_status status);

// The name of `status` as it is written in a program, such as "TESS_ESHAPE".
TESS_API const char *tess_status_name(tess_status status);

TESS_END

#endif
