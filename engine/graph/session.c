// SPDX-License-Identifier: Apache-2.0
//
// The part of a session that expressions need: where they live, and where failures are recorded.
//
// Messages are kept in the arena, since a program may hold on to any of them until the session is
// closed. Recording a failure never fails: where memory is out, the text of the status stands for
// the message.

#include "engine/graph/session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

// Runs of a file are long enough with less than this together, whatever memory there is.
#define GATHER_BYTES_MAX ((uint64_t)64 << 20)

bool
tsi_session_init(struct tess_session *session, const struct tess_session_options *options)
{
    memset(session, 0, sizeof *session);
    tsi_arena_init(&session->arena);
    session->status = TESS_OK;
    session->error = "";
    session->options.seed = TESS_SEED_DEFAULT;
    if (options != NULL) {
        // A program that was built with an older header knows fewer fields.
        const size_t known = options->struct_bytes;
        const size_t ours = sizeof session->options;
        memcpy(&session->options, options, known < ours ? known : ours);
    }
    session->options.struct_bytes = sizeof session->options;
    session->gather_bytes_max = GATHER_BYTES_MAX;
    return true;
}

void
tsi_session_fini(struct tess_session *session)
{
    tsi_map_fini(&session->interned);
    tsi_free(session->worker_reports);
    tsi_arena_fini(&session->arena);
}

static void
stop_if_asked(void)
{
    const char *mode = getenv("TESSERA_ERROR");
    if (mode != NULL && strcmp(mode, "trap") == 0) {
        raise(SIGTRAP);
    }
}

tess_status
tsi_session_fail(struct tess_session *session, tess_status status, const char *text)
{
    if (session != NULL) {
        const char *copy = tsi_arena_strdup(&session->arena, text);
        session->error = copy != NULL ? copy : tess_status_text(status);
        if (session->options.on_error != NULL) {
            session->options.on_error(session->options.on_error_user, status, session->error);
        }
    }
    stop_if_asked();
    return status;
}

const char *
tess_session_error(const tess_session *session)
{
    return session != NULL ? session->error : "the session is NULL";
}

tess_status
tess_session_status(const tess_session *session)
{
    return session != NULL ? session->status : TESS_EINVAL;
}

tess_report
tess_session_report(const tess_session *session)
{
    return session != NULL ? session->report : (tess_report){0};
}

tess_worker_report
tess_session_worker_report(const tess_session *session, int index)
{
    const bool is_there = session != NULL && index >= 0 && index < session->report.workers;
    return is_there ? session->worker_reports[index] : (tess_worker_report){.name = ""};
}
