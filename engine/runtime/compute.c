// SPDX-License-Identifier: Apache-2.0
//
// The public calls that run expressions. Each is: check the arguments, plan, give the plan to the
// session's backend, wait.

#include "tessera/compute.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/file_name.h"
#include "engine/base/memory.h"
#include "engine/base/site.h"
#include "engine/plan/explain.h"
#include "engine/program/codec.h"
#include "engine/runtime/compute.h"

#define GATHER_PART 16

// A future that failed before it started, for when there is no memory for one; its functions know
// it.
static struct tess_future no_memory = {
    .refs = 1u << 30,
    .event_fd = -1,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .ended_cond = PTHREAD_COND_INITIALIZER,
    .ended = true,
    .status = TESS_ENOMEM,
    .reported = true,
};

tess_status
tsi_compute_fail(struct tess_session *session, tess_status status, const char *call,
                 const char *text)
{
    char whole[TSI_ERROR_TEXT_MAX];
    const char *site = tsi_site_now();
    snprintf(whole, sizeof whole, site != NULL ? "%s: %s (at %s)" : "%s: %s", call, text, site);
    if (session != NULL) {
        tsi_session_fail(session, status, whole);
    }
    return status;
}

tess_status
tsi_compute_check(const char *call, const struct tess_array *x)
{
    if (x == NULL) {
        return TESS_EINVAL;
    }
    if (x->status != TESS_OK) {
        return x->session == NULL ? x->status : tsi_session_fail(x->session, x->status, x->error);
    }
    if (x->session->status != TESS_OK) {
        return tsi_compute_fail(x->session, x->session->status, call, "the session cannot be used");
    }
    return TESS_OK;
}

static tess_status
check_arrays(const char *call, struct tess_array *const *arrays, int count)
{
    if (arrays == NULL || count <= 0) {
        return TESS_EINVAL;
    }
    for (int i = 0; i < count; i++) {
        const tess_status status = tsi_compute_check(call, arrays[i]);
        if (status != TESS_OK) {
            return status;
        }
        if (arrays[i]->session != arrays[0]->session) {
            return tsi_compute_fail(arrays[0]->session, TESS_ESESSION, call,
                                    "arrays of different sessions");
        }
    }
    return TESS_OK;
}

static tess_status
check_output(const char *call, const struct tess_array *x, const void *out, size_t bytes)
{
    char text[256];
    const size_t needed = tess_array_bytes(x);
    if (bytes < needed) {
        char shape[TSI_SHAPE_TEXT_MAX];
        const tess_shape size = tess_array_shape(x);
        snprintf(text, sizeof text,
                 "%s of shape %.100s and dtype %s needs %zu bytes, the buffer has %zu", x->name,
                 tsi_text_shape(shape, size.ndim, size.size), tess_dtype_name(x->dtype), needed,
                 bytes);
        return tsi_compute_fail(x->session, TESS_EBUFFER, call, text);
    }
    return out == NULL && needed > 0
               ? tsi_compute_fail(x->session, TESS_EINVAL, call, "the buffer is NULL")
               : TESS_OK;
}

// Says how much one task may read only to write longer runs of a file: a part of the memory.
static void
note_room(struct tess_session *session)
{
    const uint64_t part = session->backend->memory(session->backend) / GATHER_PART;
    session->gather_bytes = part < session->gather_bytes_max ? part : session->gather_bytes_max;
}

tess_status
tsi_compute_plan(const char *call, const struct tsi_plan_target *targets, int count,
                 struct tess_future **future)
{
    struct tess_session *session = targets[0].array->session;
    struct tess_future *fresh = tsi_future_new(session, count);
    struct tsi_error error = {.status = TESS_OK};
    if (fresh == NULL) {
        return tsi_compute_fail(session, TESS_ENOMEM, call, "out of memory");
    }
    note_room(session);
    const tess_status status = tsi_plan_make(targets, count, &fresh->plan, &error);
    if (status != TESS_OK) {
        tsi_future_drop(fresh);
        return tsi_compute_fail(session, status, call, error.text);
    }
    fresh->progress.tasks_total = fresh->plan.program->task_count;
    fresh->kept_base = fresh->plan.program->ops[fresh->plan.target_ops[0]].task_base;
    *future = fresh;
    return TESS_OK;
}

void
tsi_compute_start(struct tess_future *future)
{
    future->backend = future->session->backend;
    future->backend->submit(future->backend, tsi_future_ref(future));
}

// Plans and starts. `*future` is set if the result is TESS_OK.
static tess_status
start(const char *call, const struct tsi_plan_target *targets, int count,
      const struct tsi_future_output *outputs, struct tess_future **future)
{
    const tess_status status = tsi_compute_plan(call, targets, count, future);
    if (status != TESS_OK) {
        return status;
    }
    for (int i = 0; i < count && outputs != NULL; i++) {
        (*future)->outputs[i] = outputs[i];
    }
    tsi_compute_start(*future);
    return TESS_OK;
}

static tess_status
finish(struct tess_future *future)
{
    const tess_status status = tsi_future_finish(future, -1);
    tsi_future_drop(future);
    return status;
}

static tess_status
start_compute(const char *call, struct tess_array *const *arrays, void *const *outs,
              const size_t *bytes, int count, struct tess_future **future)
{
    tess_status status = check_arrays(call, arrays, count);
    if (status != TESS_OK) {
        return status;
    }
    struct tess_session *session = arrays[0]->session;
    if (outs == NULL || bytes == NULL) {
        return tsi_compute_fail(session, TESS_EINVAL, call, "the list of buffers is NULL");
    }
    struct tsi_plan_target *targets = tsi_calloc((size_t)count, sizeof *targets);
    struct tsi_future_output *outputs = tsi_calloc((size_t)count, sizeof *outputs);
    if (targets == NULL || outputs == NULL) {
        tsi_free(targets);
        tsi_free(outputs);
        return tsi_compute_fail(session, TESS_ENOMEM, call, "out of memory");
    }
    for (int i = 0; i < count && status == TESS_OK; i++) {
        targets[i] = (struct tsi_plan_target){.array = arrays[i], .mode = TSI_TARGET_DELIVER};
        outputs[i] = (struct tsi_future_output){outs[i], bytes[i]};
        status = check_output(call, arrays[i], outs[i], bytes[i]);
    }
    if (status == TESS_OK) {
        status = start(call, targets, count, outputs, future);
    }
    tsi_free(targets);
    tsi_free(outputs);
    return status;
}

tess_status(tess_compute_many)(tess_array *const *arrays, void *const *outs, const size_t *bytes,
                               int count)
{
    struct tess_future *future = NULL;
    const tess_status status = start_compute("compute", arrays, outs, bytes, count, &future);
    return status != TESS_OK ? status : finish(future);
}

tess_status(tess_compute)(tess_array *x, void *out, size_t out_bytes)
{
    return (tess_compute_many)(&x, &out, &out_bytes, 1);
}

tess_future *(tess_submit)(tess_array *const *arrays, void *const *outs, const size_t *bytes,
                           int count)
{
    struct tess_future *future = NULL;
    const tess_status status = start_compute("submit", arrays, outs, bytes, count, &future);
    if (status == TESS_OK) {
        return future;
    }
    struct tess_session *session =
        arrays != NULL && count > 0 && arrays[0] != NULL ? arrays[0]->session : NULL;
    future = tsi_future_new(session, 0);
    if (future == NULL) {
        return &no_memory;
    }
    tsi_future_end(future, status, session != NULL ? session->error : "submit: no arrays");
    future->reported = true;
    return future;
}

tess_status(tess_persist)(tess_array *x)
{
    struct tess_future *future = NULL;
    tess_status status = tsi_compute_check("persist", x);
    if (status != TESS_OK || x->kept) {
        return status;
    }
    const struct tsi_plan_target target = {.array = x, .mode = TSI_TARGET_KEEP};
    status = start("persist", &target, 1, NULL, &future);
    if (status != TESS_OK) {
        return status;
    }
    status = tsi_future_finish(future, -1);
    if (status == TESS_OK) {
        x->kept_job = future->job;
        x->kept_base = future->kept_base;
        x->kept = true;
    }
    tsi_future_drop(future);
    return status;
}

void
tess_release(tess_array *x)
{
    if (x != NULL && x->kept && x->session->status == TESS_OK) {
        x->kept = false;
        x->session->backend->release(x->session->backend, x->kept_job);
    }
}

// The absolute form of `path`, whose directory must exist; in `out` of PATH_MAX characters.
static bool
absolute_path(const char *path, char *out)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const size_t length = slash != NULL ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory || *name == '\0') {
        errno = *name == '\0' ? EISDIR : ENAMETOOLONG;
        return false;
    }
    memcpy(directory, path, length);
    directory[length] = '\0';
    const char *parent = slash == NULL ? "." : length == 0 ? "/" : directory;
    char resolved[PATH_MAX];
    if (realpath(parent, resolved) == NULL) {
        return false;
    }
    const int written =
        snprintf(out, PATH_MAX, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name);
    errno = ENAMETOOLONG;
    return written > 0 && written < PATH_MAX;
}

tess_status(tess_save_npy)(tess_array *x, const char *path)
{
    struct tess_future *future = NULL;
    char whole[PATH_MAX];
    char temporary[PATH_MAX + 64];
    char text[TSI_ERROR_TEXT_MAX];
    const tess_status status = tsi_compute_check("save_npy", x);
    if (status != TESS_OK) {
        return status;
    }
    if (path == NULL) {
        return tsi_compute_fail(x->session, TESS_EINVAL, "save_npy", "the path is NULL");
    }
    if (!absolute_path(path, whole)) {
        snprintf(text, sizeof text, "%.700s: %s", path, strerror(errno));
        return tsi_compute_fail(x->session, TESS_EIO, "save_npy", text);
    }
    if (!tsi_file_name_is_free(AT_FDCWD, whole)) {
        snprintf(text, sizeof text, "cannot replace %.700s: it is no file", path);
        return tsi_compute_fail(x->session, TESS_EIO, "save_npy", text);
    }
    snprintf(temporary, sizeof temporary, "%s.%ld-%llx.part", whole, (long)getpid(),
             (unsigned long long)tsi_clock_wall_ns());
    const struct tsi_plan_target target = {
        .array = x, .mode = TSI_TARGET_RUN, .path = whole, .temporary = temporary};
    const tess_status started = start("save_npy", &target, 1, NULL, &future);
    const tess_status ended = started != TESS_OK ? started : finish(future);
    if (ended != TESS_OK) {
        unlink(temporary);
    }
    return ended;
}

static const char *
keep_text(struct tess_session *session, const struct tsi_text *text)
{
    const char *kept = tsi_arena_strdup(&session->arena, tsi_text_chars(text));
    return kept != NULL && !text->failed ? kept : "explain: out of memory";
}

const char *
tess_explain(tess_array *x)
{
    struct tsi_plan plan = {0};
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_text text = {0};
    unsigned char *bytes = NULL;
    size_t count = 0;
    const tess_status status = tsi_compute_check("explain", x);
    if (status != TESS_OK) {
        return tess_array_status(x) != TESS_OK ? tess_array_error(x) : x->session->error;
    }
    const struct tsi_plan_target target = {.array = x, .mode = TSI_TARGET_DELIVER};
    if (tsi_plan_make(&target, 1, &plan, &error) == TESS_OK &&
        tsi_program_encode(plan.program, &bytes, &count, &error) == TESS_OK) {
        tsi_explain(plan.program, x->session->backend->threads(x->session->backend), count, &text);
    } else {
        tsi_text_add(&text, "explain: %s", error.text);
    }
    const char *kept = keep_text(x->session, &text);
    tsi_free(bytes);
    tsi_text_fini(&text);
    tsi_plan_fini(&plan);
    return kept;
}
