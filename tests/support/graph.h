// SPDX-License-Identifier: Apache-2.0
//
// What the tests of expressions share. Sessions here have no backend: they only hold nodes.

#ifndef TESS_TEST_GRAPH_H
#define TESS_TEST_GRAPH_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/graph/node.h"
#include "engine/graph/session.h"
#include "tessera.h"
#include "tests/support/eval.h"

// An assertion that costs nothing where it holds. Criterion tells its runner of each of its own,
// which is most of the time of a test that looks at many nodes.
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            cr_assert_fail("%s", #condition);                                                      \
        }                                                                                          \
    } while (0)

// Fails unless `x` failed with `status` and a message that has all of `pieces`, which ends with
// NULL.
static inline void
expect_failed(tess_array *x, tess_status status, const char *const *pieces)
{
    cr_assert(x != NULL);
    cr_assert_eq(tess_array_status(x), status, "%s: %s", tess_status_name(tess_array_status(x)),
                 tess_array_error(x));
    for (int i = 0; pieces[i] != NULL; i++) {
        cr_assert(strstr(tess_array_error(x), pieces[i]) != NULL, "\"%s\" has no \"%s\"",
                  tess_array_error(x), pieces[i]);
    }
    cr_assert_eq(tess_array_dtype(x), TESS_NONE);
    cr_assert_eq(tess_array_shape(x).ndim, 0);
    cr_assert_eq(tess_array_count(x), 0);
    cr_assert_eq(tess_array_bytes(x), 0);
    cr_assert_eq(tess_array_chunks_total(x), 0);
    cr_assert_eq(tess_array_chunk_count(x, 0), 0);
}

// The message has to name the pieces and the place of the call.
#define EXPECT_FAILED(x, status, ...)                                                              \
    expect_failed((x), (status), (const char *const[]){__VA_ARGS__, "(at ", __FILE__, NULL})

static inline void
expect_sound(tess_array *x, tess_dtype dtype, tess_shape shape)
{
    cr_assert_eq(tess_array_status(x), TESS_OK, "%s", tess_array_error(x));
    cr_assert_str_eq(tess_array_error(x), "");
    cr_assert_eq(tess_array_dtype(x), dtype, "%s, not %s", tess_dtype_name(tess_array_dtype(x)),
                 tess_dtype_name(dtype));
    cr_assert_eq(tess_array_shape(x).ndim, shape.ndim, "%d axes, not %d", tess_array_shape(x).ndim,
                 shape.ndim);
    int64_t count = 1;
    for (int i = 0; i < shape.ndim; i++) {
        REQUIRE(tess_array_shape(x).size[i] == shape.size[i]);
        count *= shape.size[i];
    }
    cr_assert_eq(tess_array_count(x), count);
    cr_assert_eq(tess_array_bytes(x), (size_t)count * tess_dtype_bytes(dtype));
}

// Fails unless `axis` of `x` has chunks of just these sizes.
static inline void
expect_chunks(tess_array *x, int axis, int64_t count, const int64_t *sizes)
{
    cr_assert_eq(tess_array_status(x), TESS_OK, "%s", tess_array_error(x));
    cr_assert_eq(tess_array_chunk_count(x, axis), count,
                 "axis %d: %" PRId64 " chunks, not %" PRId64, axis, tess_array_chunk_count(x, axis),
                 count);
    for (int64_t i = 0; i < count; i++) {
        cr_assert_eq(tess_array_chunk_size(x, axis, i), sizes[i],
                     "axis %d: chunk %" PRId64 " has %" PRId64 ", not %" PRId64, axis, i,
                     tess_array_chunk_size(x, axis, i), sizes[i]);
    }
    cr_assert_eq(tess_array_chunk_size(x, axis, count), 0);
    cr_assert_eq(tess_array_chunk_size(x, axis, -1), 0);
}

#define EXPECT_CHUNKS(x, axis, ...)                                                                \
    expect_chunks((x), (axis), (int64_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),      \
                  (const int64_t[]){__VA_ARGS__})

static inline void
expect_view(const struct tess_array *x)
{
    const struct tess_array *from = x->operand[0];
    bool is_same = tsi_grid_equal(&x->grid, &from->grid);
    uint32_t named = 0;
    bool repeats = false;
    for (int a = 0; a < from->grid.ndim; a++) {
        const int axis = x->view.axis[a];
        REQUIRE(axis >= -1 && axis < x->grid.ndim);
        const int64_t size = axis < 0 ? 1 : x->grid.axis[axis].size;
        const int64_t last = x->view.offset[a] + (size > 0 ? size - 1 : 0) * x->view.stride[a];
        REQUIRE(size > 1 || x->view.stride[a] == 1);
        REQUIRE(size > 0 || x->view.offset[a] == 0);
        REQUIRE(tsi_node_count(x) == 0 ||
                (x->view.offset[a] >= 0 && x->view.offset[a] < from->grid.axis[a].size &&
                 last >= 0 && last < from->grid.axis[a].size));
        REQUIRE(axis < 0 || (named >> axis & 1) == 0);
        named |= axis < 0 ? 0 : UINT32_C(1) << axis;
        is_same = is_same && axis == a && x->view.offset[a] == 0 && x->view.stride[a] == 1;
    }
    for (int i = 0; i < x->grid.ndim; i++) {
        repeats = repeats || (x->grid.axis[i].size > 1 && (named >> i & 1) == 0);
    }
    REQUIRE(!is_same);
    REQUIRE(from->kind != TSI_NODE_VIEW && from->kind != TSI_NODE_CONST);
    REQUIRE(from->kind != TSI_NODE_SOURCE || repeats);
    REQUIRE(x->dtype == from->dtype);
}

static inline void
expect_operand(const struct tess_array *x, int i)
{
    const struct tess_array *from = x->operand[i];
    REQUIRE(from->status == TESS_OK);
    REQUIRE(from->session == x->session && from->id < x->id);
    REQUIRE(!from->weak);
    if (x->kind == TSI_NODE_MAP) {
        REQUIRE(tsi_grid_equal(&from->grid, &x->grid));
        REQUIRE(from->dtype == x->operand[x->operand_count - 1]->dtype ||
                (x->op == TSI_OP_WHERE && i == 0 && from->dtype == TESS_BOOL));
    } else if (x->kind == TSI_NODE_MATMUL) {
        REQUIRE(from->dtype == x->dtype && from->grid.ndim == x->grid.ndim);
        for (int a = 0; a < x->grid.ndim - 2; a++) {
            REQUIRE(tsi_axis_equal(&from->grid.axis[a], &x->grid.axis[a]));
        }
    }
}

// Fails unless all nodes of `session` keep the rules of node.h. Not for a `.fini`, whose assertions
// do not count.
static inline void
expect_rules(const struct tess_session *session)
{
    size_t cursor = 0;
    uint64_t key = 0;
    uint64_t value = 0;
    REQUIRE(session->interned.count == session->next_id);
    while (tsi_map_next(&session->interned, &cursor, &key, &value)) {
        const struct tess_array *x = (const struct tess_array *)(uintptr_t)value;
        REQUIRE(x->session == session && x->status == TESS_OK && x->id < session->next_id);
        REQUIRE(tsi_dtype_is_valid((int)x->dtype));
        for (int a = 0; a < x->grid.ndim; a++) {
            REQUIRE(tsi_axis_is_valid(&x->grid.axis[a]));
        }
        for (int i = 0; i < x->operand_count; i++) {
            expect_operand(x, i);
        }
        if (x->kind == TSI_NODE_VIEW) {
            expect_view(x);
        }
        REQUIRE(x->kind != TSI_NODE_CAST ||
                (x->operand[0]->kind != TSI_NODE_CONST && x->operand[0]->dtype != x->dtype));
        REQUIRE(!x->weak || x->grid.ndim == 0);
    }
}

#endif
