// SPDX-License-Identifier: Apache-2.0
//
// Opens and closes sessions: chooses the backend by the name that the user gave.

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/runtime/backend.h"

// What tess_session_open() returns when there is no memory for a session.
static struct tess_session no_memory = {.status = TESS_ENOMEM, .error = "session: out of memory"};

static bool
is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

static void
open_backend(struct tess_session *session, const char *where)
{
    struct tsi_error error = {.status = TESS_OK};
    if (!is_set(where)) {
        where = getenv("TESSERA_SCHEDULER");
    }
    session->backend = !is_set(where) || strcmp(where, "embedded") == 0
                           ? tsi_local_open(&session->options, &error)
                           : tsi_remote_open(where, &session->options, &error);
    if (session->backend == NULL) {
        session->status = error.status;
        tsi_session_fail(session, error.status, error.text);
        return;
    }
    session->is_local = session->backend->is_local;
}

tess_session *
tess_session_open_with(const char *where, const tess_session_options *options)
{
    struct tess_session *session = tsi_calloc(1, sizeof *session);
    if (session == NULL || !tsi_session_init(session, options)) {
        tsi_free(session);
        return &no_memory;
    }
    open_backend(session, where);
    return session;
}

tess_session *
tess_session_open(const char *where)
{
    return tess_session_open_with(where, NULL);
}

void
tess_session_close(tess_session *session)
{
    if (session == NULL || session == &no_memory) {
        return;
    }
    if (session->backend != NULL) {
        session->backend->close(session->backend);
    }
    tsi_future_orphan_all(session);
    tsi_session_fini(session);
    tsi_free(session);
}
