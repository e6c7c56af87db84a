// SPDX-License-Identifier: Apache-2.0
//
// Making nodes and failed arrays.
//
// A sound node is complete when it enters the table of its session, and a node that could not be
// made leaves no trace in it: the session stays usable after any failure. Failed arrays are in no
// table. Two of them belong to no session, so that there is an answer even for NULL and without
// memory.

#include "engine/graph/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/site.h"
#include "engine/base/text.h"
#include "engine/graph/intern.h"
#include "engine/graph/session.h"

static struct tess_array array_of_null = {
    .status = TESS_EINVAL,
    .error = "the array or its session is NULL",
    .site = "",
    .name = "",
};

static struct tess_array array_of_no_memory = {
    .status = TESS_ENOMEM,
    .error = "out of memory",
    .site = "",
    .name = "",
};

// A failed array with a message that is kept already.
static struct tess_array *
new_failed(struct tess_session *session, tess_status status, const char *name, const char *error)
{
    struct tess_array *node = tsi_arena_alloc(&session->arena, sizeof *node);
    if (node == NULL) {
        return &array_of_no_memory;
    }
    const char *site = tsi_site_now();
    node->session = session;
    node->status = status;
    node->error = error;
    node->site = site != NULL ? site : "";
    node->name = name;
    return node;
}

// "name: …" in `text`, and the place of the call behind it, which is there even if the rest is cut.
static void __attribute__((format(printf, 3, 0)))
format_message(char text[TSI_ERROR_TEXT_MAX], const char *name, const char *format,
               va_list arguments)
{
    enum { SITE_MAX = TSI_ERROR_TEXT_MAX / 2 };
    char place[SITE_MAX] = "";
    const char *site = tsi_site_now();
    if (site != NULL && site[0] != '\0') {
        snprintf(place, sizeof place, " (at %.*s)", SITE_MAX - 8, site);
    }
    const size_t place_bytes = strlen(place) + 1;
    const size_t room = TSI_ERROR_TEXT_MAX - place_bytes + 1;
    const int head = snprintf(text, room, "%.64s: ", name);
    vsnprintf(text + head, room - (size_t)head, format, arguments);
    memcpy(text + strlen(text), place, place_bytes);
}

struct tess_array *
tsi_node_fail(struct tess_session *session, tess_status status, const char *name,
              const char *format, ...)
{
    char text[TSI_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    format_message(text, name, format, arguments);
    va_end(arguments);
    tsi_session_fail(session, status, text);
    if (session == NULL) {
        return &array_of_null;
    }
    if (status == TESS_ENOMEM) {
        return &array_of_no_memory;
    }
    return new_failed(session, status, name, session->error);
}

struct tess_array *
tsi_node_bad_session(struct tess_session *session, const char *name)
{
    if (session == NULL) {
        return tsi_node_fail(NULL, TESS_EINVAL, name, "the session is NULL");
    }
    if (session->status == TESS_OK) {
        return NULL;
    }
    // The session that stands for no memory is shared; nothing is made in it.
    if (session->status == TESS_ENOMEM) {
        return &array_of_no_memory;
    }
    const bool has_text = session->error[0] != '\0';
    return new_failed(session, session->status, name,
                      has_text ? session->error : tess_status_text(session->status));
}

// The session to tell of a NULL operand: that of the first operand that has one.
static struct tess_session *
first_session(struct tess_array *const *operands, int count)
{
    for (int i = 0; i < count; i++) {
        if (operands[i] != NULL && operands[i]->session != NULL) {
            return operands[i]->session;
        }
    }
    return NULL;
}

struct tess_array *
tsi_node_bad(struct tess_array *const *operands, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (operands[i] == NULL) {
            return tsi_node_fail(first_session(operands, count), TESS_EINVAL, name,
                                 "operand %d is NULL", i);
        }
        if (operands[i]->status != TESS_OK) {
            return operands[i];
        }
    }
    struct tess_session *session = operands[0]->session;
    for (int i = 1; i < count; i++) {
        if (operands[i]->session != session) {
            return tsi_node_fail(session, TESS_ESESSION, name,
                                 "operands 0 and %d belong to different sessions", i);
        }
    }
    return tsi_node_bad_session(session, name);
}

// Sizes of 0 count as 1: then strides fit int64 too, and so does every part of the array.
static bool
fits_bytes(const struct tsi_grid *grid, tess_dtype dtype)
{
    int64_t bytes = (int64_t)tess_dtype_bytes(dtype);
    for (int i = 0; i < grid->ndim; i++) {
        const int64_t size = grid->axis[i].size;
        if (!tsi_mul_i64(bytes, size > 0 ? size : 1, &bytes)) {
            return false;
        }
    }
    return true;
}

struct tess_array *
tsi_node_too_large(struct tess_session *session, const struct tsi_grid *grid, tess_dtype dtype,
                   const char *name)
{
    char text[TSI_SHAPE_TEXT_MAX];
    const struct tess_shape shape = tsi_grid_shape(grid);
    tsi_text_shape(text, shape.ndim, shape.size);
    if (!fits_bytes(grid, dtype)) {
        return tsi_node_fail(session, TESS_EOVERFLOW, name,
                             "%s: the bytes in %s do not fit 64 bits", text,
                             tess_dtype_name(dtype));
    }
    if (tsi_grid_chunk_count(grid) < 0) {
        return tsi_node_fail(session, TESS_EOVERFLOW, name,
                             "%s: the number of chunks does not fit 64 bits", text);
    }
    return NULL;
}

// The boundaries of operands are in the arena for good, and are shared; others are copied.
static bool
keep_bounds(struct tsi_arena *arena, struct tess_array *node)
{
    for (int i = 0; i < node->grid.ndim; i++) {
        struct tsi_axis *axis = &node->grid.axis[i];
        bool is_kept = axis->bounds == NULL;
        for (int k = 0; k < node->operand_count && !is_kept; k++) {
            const struct tsi_grid *grid = &node->operand[k]->grid;
            for (int a = 0; a < grid->ndim && !is_kept; a++) {
                is_kept = grid->axis[a].bounds == axis->bounds;
            }
        }
        if (!is_kept) {
            const size_t bytes = ((size_t)axis->count + 1) * sizeof *axis->bounds;
            axis->bounds = tsi_arena_copy(arena, axis->bounds, bytes);
            if (axis->bounds == NULL) {
                return false;
            }
        }
    }
    return true;
}

// A node as `*draft` says; NULL when memory is out.
static struct tess_array *
new_node(struct tess_session *session, const struct tess_array *draft)
{
    struct tess_array *node = tsi_arena_copy(&session->arena, draft, sizeof *draft);
    if (node == NULL || !keep_bounds(&session->arena, node)) {
        return NULL;
    }
    if (node->kind == TSI_NODE_FILE) {
        node->file.path = tsi_arena_strdup(&session->arena, draft->file.path);
        if (node->file.path == NULL) {
            return NULL;
        }
    }
    const char *site = tsi_site_now();
    node->session = session;
    node->status = TESS_OK;
    node->error = "";
    node->site = site != NULL ? site : "";
    node->id = session->next_id;
    node->kept = false;
    return node;
}

struct tess_array *
tsi_node_make(struct tess_session *session, const struct tess_array *draft)
{
    struct tess_array *failed =
        tsi_node_too_large(session, &draft->grid, draft->dtype, draft->name);
    if (failed != NULL) {
        return failed;
    }
    uint64_t key = 0;
    struct tess_array *equal = tsi_intern_find(session, draft, &key);
    if (equal != NULL) {
        return equal;
    }
    struct tess_array *node = new_node(session, draft);
    if (node == NULL || !tsi_map_put(&session->interned, key, (uint64_t)(uintptr_t)node)) {
        return tsi_node_fail(session, TESS_ENOMEM, draft->name, "out of memory");
    }
    session->next_id++;
    return node;
}

int64_t
tsi_node_count(const struct tess_array *x)
{
    return tsi_grid_element_count(&x->grid);
}
