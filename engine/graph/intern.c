// SPDX-License-Identifier: Apache-2.0
//
// A node is written down as a short row of numbers. The row is hashed and the row is compared, so
// the two cannot disagree about what belongs to a node. Only what has no bound, the boundaries of a
// grid and a path, is in the row as a hash and compared apart.
//
// Different nodes with one hash take the keys that follow it. Nodes never leave a session, so a
// search may stop at the first key that is free.

#include "engine/graph/intern.h"

#include <string.h>

enum {
    AXIS_WORDS = 5,
    PARAMETER_WORDS = 3 * TESS_NDIM_MAX,
    WORDS_MAX = 16 + AXIS_WORDS * TESS_NDIM_MAX + PARAMETER_WORDS,
};

struct description {
    int count;
    uint64_t words[WORDS_MAX];
};

static uint64_t
mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static void
put(struct description *row, uint64_t word)
{
    row->words[row->count++] = word;
}

static void
put_each(struct description *row, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++) {
        put(row, (uint64_t)values[i]);
    }
}

static void
put_f64(struct description *row, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    put(row, bits);
}

static uint64_t
hash_bounds(const struct tsi_axis *axis)
{
    uint64_t hash = 1;
    for (int64_t i = 0; i <= axis->count; i++) {
        hash = mix(hash, (uint64_t)axis->bounds[i]);
    }
    return hash;
}

static void
put_axis(struct description *row, const struct tsi_axis *axis)
{
    put(row, (uint64_t)axis->size);
    put(row, (uint64_t)axis->count);
    if (axis->bounds != NULL) {
        put(row, hash_bounds(axis));
        return;
    }
    // With one or two chunks the first says all; `step` then may be anything.
    put(row, (uint64_t)axis->first);
    put(row, axis->count > 2 ? (uint64_t)axis->step : 0);
}

static void
put_source(struct description *row, const struct tsi_node_source *source, int ndim)
{
    put(row, (uint64_t)source->source);
    put(row, (uint64_t)source->first);
    put_each(row, source->step, ndim);
    put_f64(row, source->params.a);
    put_f64(row, source->params.b);
    put_f64(row, source->params.c);
    put(row, (uint64_t)source->params.ia);
    put(row, (uint64_t)source->params.ib);
    put(row, source->params.seed);
    put(row, source->params.stream);
}

static void
put_view(struct description *row, const struct tsi_node_view *view, int operand_ndim)
{
    for (int a = 0; a < operand_ndim; a++) {
        put(row, (uint64_t)view->axis[a]);
        put(row, (uint64_t)view->offset[a]);
        put(row, (uint64_t)view->stride[a]);
    }
}

static void
put_file(struct description *row, const char *path, const struct tsi_npy_header *header)
{
    uint64_t hash = 1;
    for (const char *c = path; *c != '\0'; c++) {
        hash = mix(hash, (unsigned char)*c);
    }
    put(row, hash);
    put(row, header->swapped);
    put(row, header->fortran_order);
    put(row, (uint64_t)header->data_offset);
    put(row, (uint64_t)header->data_bytes);
}

static void
put_reduce(struct description *row, const struct tsi_node_reduce *reduce)
{
    put(row, (uint64_t)reduce->reduction);
    put(row, reduce->axes);
    put(row, reduce->keepdims);
    put_f64(row, reduce->ddof);
}

static void
put_parameters(struct description *row, const struct tess_array *node)
{
    switch (node->kind) {
    case TSI_NODE_CONST:
        put(row, node->constant.bits);
        break;
    case TSI_NODE_SOURCE:
        put_source(row, &node->source, node->grid.ndim);
        break;
    case TSI_NODE_MEMORY:
        put(row, (uint64_t)(uintptr_t)node->memory.data);
        put_each(row, node->memory.stride, node->grid.ndim);
        break;
    case TSI_NODE_FILE:
        put_file(row, node->file.path, &node->file.header);
        break;
    case TSI_NODE_ATTACHED:
        put(row, node->token);
        break;
    case TSI_NODE_MAP:
        put(row, (uint64_t)node->op);
        break;
    case TSI_NODE_VIEW:
        put_view(row, &node->view, node->operand[0]->grid.ndim);
        break;
    case TSI_NODE_REDUCE:
        put_reduce(row, &node->reduce);
        break;
    case TSI_NODE_CAST:
    case TSI_NODE_MATMUL:
        break;
    }
}

static void
describe(const struct tess_array *node, struct description *row)
{
    row->count = 0;
    put(row, (uint64_t)node->kind);
    put(row, (uint64_t)node->dtype);
    put(row, node->weak);
    put(row, (uint64_t)node->grid.ndim);
    for (int i = 0; i < node->grid.ndim; i++) {
        put_axis(row, &node->grid.axis[i]);
    }
    for (int i = 0; i < node->operand_count; i++) {
        put(row, node->operand[i]->id);
    }
    put_parameters(row, node);
}

static uint64_t
hash_row(const struct description *row)
{
    uint64_t hash = (uint64_t)row->count;
    for (int i = 0; i < row->count; i++) {
        hash = mix(hash, row->words[i]);
    }
    return hash;
}

static bool
is_equal(const struct tess_array *node, const struct tess_array *draft,
         const struct description *draft_row)
{
    struct description row;
    describe(node, &row);
    if (row.count != draft_row->count ||
        memcmp(row.words, draft_row->words, (size_t)row.count * sizeof row.words[0]) != 0) {
        return false;
    }
    if (node->kind == TSI_NODE_FILE && strcmp(node->file.path, draft->file.path) != 0) {
        return false;
    }
    return tsi_grid_equal(&node->grid, &draft->grid);
}

struct tess_array *
tsi_intern_find(const struct tess_session *session, const struct tess_array *draft, uint64_t *key)
{
    struct description row;
    describe(draft, &row);
    *key = hash_row(&row);
    for (;; ++*key) {
        const uint64_t *found = tsi_map_get(&session->interned, *key);
        if (found == NULL) {
            return NULL;
        }
        struct tess_array *node = (struct tess_array *)(uintptr_t)*found;
        if (is_equal(node, draft, &row)) {
            return node;
        }
    }
}
