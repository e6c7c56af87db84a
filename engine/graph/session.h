// SPDX-License-Identifier: Apache-2.0
//
// The inside of a session, as far as expressions need it. The runtime opens and closes sessions and
// hangs its backend in.

#ifndef TSI_GRAPH_SESSION_H
#define TSI_GRAPH_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/map.h"
#include "tessera/compute.h"
#include "tessera/session.h"

struct tsi_backend; // engine/runtime/backend.h

struct tess_session {
    struct tsi_arena arena;  // nodes, messages, paths
    struct tsi_map interned; // hash of a node → node
    struct tess_session_options options;
    tess_status status;   // not TESS_OK: failed or closed
    const char *error;    // the last message, "" if none
    uint64_t next_id;     // of nodes
    uint32_t next_stream; // of random arrays
    // What one task may read of other tasks' chunks only to write longer runs of a file: as there
    // is room when a compute is planned, but no more than the second one.
    uint64_t gather_bytes;
    uint64_t gather_bytes_max;
    bool is_local; // the caller's memory is read where it is
    struct tsi_backend *backend;
    struct tess_future *futures; // that the user has not freed, of the runtime
    struct tess_report report;
    struct tess_worker_report *worker_reports; // of the same compute; each name follows in memory
};

// Prepares `session` for expressions; false when memory is out. The fields of the runtime stay
// zero.
bool tsi_session_init(struct tess_session *session, const struct tess_session_options *options);
void tsi_session_fini(struct tess_session *session);

// Records a failure as the session's last: keeps a copy of `text`, calls the error callback, stops
// in the debugger if TESSERA_ERROR is `trap`. Returns `status`.
tess_status tsi_session_fail(struct tess_session *session, tess_status status, const char *text);

#endif
