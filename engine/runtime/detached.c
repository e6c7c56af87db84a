// SPDX-License-Identifier: Apache-2.0
//
// Computes that outlive their session. The one that submits keeps nothing but a name, which is the
// token under which the scheduler knows the job. Whoever gives that name gets the program back, and
// from it the array: the program's target says shape, dtype and cut, and its chunks are kept under
// the job's number.

#include <stdio.h>
#include <string.h>

#include "engine/graph/node.h"
#include "engine/runtime/compute.h"

static void
format_id(uint64_t token, char id[TESS_DETACHED_ID_BYTES])
{
    snprintf(id, TESS_DETACHED_ID_BYTES, "%016llx", (unsigned long long)token);
}

// Only what format_id() writes.
static bool
parse_id(const char *id, uint64_t *token)
{
    uint64_t value = 0;
    int length = 0;
    for (; id[length] != '\0' && length < TESS_DETACHED_ID_BYTES; length++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, id[length]);
        if (digit == NULL) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *token = value;
    return length == TESS_DETACHED_ID_BYTES - 1;
}

// What of a program is this session's alone; NULL if nothing is.
static const char *
find_ties(const struct tsi_program *program)
{
    for (int i = 0; i < program->op_count; i++) {
        if (program->ops[i].work == TSI_WORK_HELD) {
            return "it reads memory of this process, which may be gone";
        }
        if (program->ops[i].work == TSI_WORK_KEPT) {
            return "it uses chunks that are kept for this session, which may be gone";
        }
    }
    return NULL;
}

tess_status(tess_detach)(tess_array *x, char id[TESS_DETACHED_ID_BYTES])
{
    struct tess_future *future = NULL;
    if (id == NULL) {
        return TESS_EINVAL;
    }
    id[0] = '\0';
    tess_status status = tsi_compute_check("detach", x);
    if (status != TESS_OK) {
        return status;
    }
    if (x->session->backend->attach == NULL) {
        return tsi_compute_fail(x->session, TESS_EINVAL, "detach",
                                "an embedded session ends with its process; a compute that goes on "
                                "without it needs a scheduler");
    }
    const struct tsi_plan_target target = {.array = x, .mode = TSI_TARGET_KEEP};
    status = tsi_compute_plan("detach", &target, 1, &future);
    if (status != TESS_OK || future == NULL) {
        return status;
    }
    const char *ties = find_ties(future->plan.program);
    if (ties != NULL) {
        tsi_future_drop(future);
        return tsi_compute_fail(x->session, TESS_EINVAL, "detach", ties);
    }
    future->detached = true;
    tsi_compute_start(future);
    status = tsi_future_finish(future, -1);
    if (status == TESS_OK) {
        format_id(future->token, id);
    }
    tsi_future_drop(future);
    return status;
}

// The array that the first target of a program keeps.
static struct tess_array *
make_array(struct tess_session *session, const struct tess_future *future, uint64_t token)
{
    const struct tsi_program *program = future->plan.program;
    if (program->target_count == 0 || program->targets[0].mode != TSI_TARGET_KEEP) {
        return tsi_node_fail(session, TESS_EINVAL, "attach", "the compute keeps no array");
    }
    const struct tsi_chunk_op *op = &program->ops[program->targets[0].op];
    const struct tess_array draft = {.kind = TSI_NODE_ATTACHED,
                                     .name = "attach",
                                     .dtype = (tess_dtype)op->dtype,
                                     .grid = op->array,
                                     .token = token};
    struct tess_array *array = tsi_node_make(session, &draft);
    if (array->status == TESS_OK) {
        array->kept_job = future->job;
        array->kept_base = op->task_base;
        array->kept = true;
    }
    return array;
}

tess_array *(tess_attach)(tess_session *session, const char *id)
{
    uint64_t token;
    struct tess_array *bad = tsi_node_bad_session(session, "attach");
    if (bad != NULL) {
        return bad;
    }
    if (id == NULL || !parse_id(id, &token)) {
        return tsi_node_fail(session, TESS_EINVAL, "attach",
                             "'%.40s' is no name of a detached compute", id != NULL ? id : "NULL");
    }
    if (session->backend->attach == NULL) {
        return tsi_node_fail(session, TESS_EINVAL, "attach",
                             "%s: an embedded session has no detached computes", id);
    }
    struct tess_future *future = tsi_future_new(session, 0);
    if (future == NULL) {
        return tsi_node_fail(session, TESS_ENOMEM, "attach", "out of memory");
    }
    future->reported = true; // it is no compute of which a report tells
    session->backend->attach(session->backend, tsi_future_ref(future), token);
    const tess_status status = tsi_future_finish(future, -1);
    struct tess_array *array = status == TESS_OK ? make_array(session, future, token)
                                                 : tsi_node_fail(session, status, "attach",
                                                                 "%s: %s", id, future->error.text);
    tsi_future_drop(future);
    return array;
}
