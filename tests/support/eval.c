// SPDX-License-Identifier: Apache-2.0
//
// Every node becomes a dense array of values, operands first. A value is an int64, an uint64 or a
// double together with its dtype, and always one that an element of this dtype can be: what is
// computed in the wide type is narrowed to the dtype at once.

#include "tests/support/eval.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph/node.h"
#include "engine/graph/session.h"
#include "engine/kernel/kernel.h"
#include "tests/support/eval_value.h"

// Dense arrays by the id of their node.
struct memo {
    uint64_t count;
    struct test_value **values;
};

static bool evaluate(struct memo *memo, const struct tess_array *x);

static int64_t
size_of(const struct tess_array *x, int axis)
{
    return x->grid.axis[axis].size;
}

// The place on each axis of element `at` in C order.
static void
place_of(const struct tess_array *x, int64_t at, int64_t place[TESS_NDIM_MAX])
{
    for (int i = x->grid.ndim - 1; i >= 0; i--) {
        place[i] = at % size_of(x, i);
        at /= size_of(x, i);
    }
}

static int64_t
offset_of(const struct tess_array *x, const int64_t place[TESS_NDIM_MAX])
{
    int64_t at = 0;
    for (int i = 0; i < x->grid.ndim; i++) {
        at = at * size_of(x, i) + place[i];
    }
    return at;
}

static struct test_value
source_element(const struct tess_array *x, int64_t index)
{
    const struct tsi_source_params *params = &x->source.params;
    const bool is_integer = test_value_is_integer(x->dtype);
    unsigned char element[8] = {0};
    switch (x->source.source) {
    case TSI_SOURCE_ARANGE:
        if (is_integer) {
            return test_value_of_bits(x->dtype, (uint64_t)params->ia +
                                                    (uint64_t)index * (uint64_t)params->ib);
        }
        return test_value_of_f64(x->dtype, params->a + (double)index * params->b);
    case TSI_SOURCE_LINSPACE:
        return test_value_of_f64(
            x->dtype, index == params->ia ? params->b : params->a + (double)index * params->c);
    case TSI_SOURCE_EYE:
        return test_value_of_f64(x->dtype, index == params->ia ? 1 : 0);
    default:
        tsi_kernel()->source[x->source.source][x->dtype](
            1, element, (struct tsi_kernel_index){index, 1}, params);
        return test_value_read(x->dtype, element);
    }
}

static void
eval_source(const struct tess_array *x, int64_t count, struct test_value *out)
{
    int64_t place[TESS_NDIM_MAX];
    for (int64_t at = 0; at < count; at++) {
        int64_t index = x->source.first;
        place_of(x, at, place);
        for (int i = 0; i < x->grid.ndim; i++) {
            index += x->source.step[i] * place[i];
        }
        out[at] = source_element(x, index);
    }
}

static void
eval_memory(const struct tess_array *x, int64_t count, struct test_value *out)
{
    int64_t place[TESS_NDIM_MAX];
    for (int64_t at = 0; at < count; at++) {
        const unsigned char *element = x->memory.data;
        place_of(x, at, place);
        for (int i = 0; i < x->grid.ndim; i++) {
            element += x->memory.stride[i] * place[i];
        }
        out[at] = test_value_read(x->dtype, element);
    }
}

static bool
eval_file(const struct tess_array *x, int64_t count, struct test_value *out)
{
    const struct tsi_npy_header *header = &x->file.header;
    const size_t bytes = tess_dtype_bytes(x->dtype);
    bool ok = true;
    FILE *file = fopen(x->file.path, "rb");
    if (file == NULL) {
        return false;
    }
    int64_t place[TESS_NDIM_MAX];
    for (int64_t at = 0; at < count && ok; at++) {
        int64_t offset = at;
        if (header->fortran_order) {
            offset = 0;
            place_of(x, at, place);
            for (int i = x->grid.ndim - 1; i >= 0; i--) {
                offset = offset * size_of(x, i) + place[i];
            }
        }
        unsigned char element[8];
        ok = fseek(file, (long)(header->data_offset + offset * (int64_t)bytes), SEEK_SET) == 0 &&
             fread(element, bytes, 1, file) == 1;
        for (size_t i = 0; header->swapped && i < bytes / 2; i++) {
            const unsigned char low = element[i];
            element[i] = element[bytes - 1 - i];
            element[bytes - 1 - i] = low;
        }
        out[at] = ok ? test_value_read(x->dtype, element) : out[at];
    }
    fclose(file);
    return ok;
}

static void
eval_view(const struct tess_array *x, const struct test_value *operand, int64_t count,
          struct test_value *out)
{
    const struct tsi_node_view *view = &x->view;
    const struct tess_array *from = x->operand[0];
    int64_t place[TESS_NDIM_MAX];
    int64_t read[TESS_NDIM_MAX];
    for (int64_t at = 0; at < count; at++) {
        place_of(x, at, place);
        for (int a = 0; a < from->grid.ndim; a++) {
            const int64_t moved = view->axis[a] < 0 ? 0 : view->stride[a] * place[view->axis[a]];
            read[a] = view->offset[a] + moved;
        }
        out[at] = operand[offset_of(from, read)];
    }
}

// The place in the result of what is folded from `place` of the operand.
static int64_t
result_of(const struct tess_array *x, const int64_t place[TESS_NDIM_MAX])
{
    int64_t kept[TESS_NDIM_MAX];
    int ndim = 0;
    for (int i = 0; i < x->operand[0]->grid.ndim; i++) {
        const bool is_folded = (x->reduce.axes >> i & 1) != 0;
        if (!is_folded || x->reduce.keepdims) {
            kept[ndim++] = is_folded ? 0 : place[i];
        }
    }
    return offset_of(x, kept);
}

// Of each element of the result in turn, gathers what is folded into it.
static bool
eval_reduce(const struct tess_array *x, const struct test_value *operand, int64_t count,
            struct test_value *out)
{
    const struct tess_array *from = x->operand[0];
    const int64_t total = tsi_node_count(from);
    struct test_value *gathered = calloc((size_t)total + 1, sizeof *gathered);
    int64_t place[TESS_NDIM_MAX];
    if (gathered == NULL) {
        return false;
    }
    for (int64_t result = 0; result < count; result++) {
        int64_t found = 0;
        for (int64_t at = 0; at < total; at++) {
            place_of(from, at, place);
            if (result_of(x, place) == result) {
                gathered[found++] = operand[at];
            }
        }
        out[result] =
            test_value_fold(x->reduce.reduction, x->dtype, gathered, found, x->reduce.ddof);
    }
    free(gathered);
    return true;
}

static void
eval_matmul(const struct tess_array *x, const struct test_value *left,
            const struct test_value *right, int64_t count, struct test_value *out)
{
    const int ndim = x->grid.ndim;
    const int64_t inner = size_of(x->operand[0], ndim - 1);
    int64_t place[TESS_NDIM_MAX];
    int64_t a[TESS_NDIM_MAX];
    int64_t b[TESS_NDIM_MAX];
    for (int64_t at = 0; at < count; at++) {
        place_of(x, at, place);
        memcpy(a, place, sizeof a);
        memcpy(b, place, sizeof b);
        struct test_sum sum = {0};
        for (int64_t k = 0; k < inner; k++) {
            a[ndim - 1] = k;
            b[ndim - 2] = k;
            test_value_add_product(&sum, left[offset_of(x->operand[0], a)],
                                   right[offset_of(x->operand[1], b)]);
        }
        out[at] = test_value_of_sum(x->dtype, &sum);
    }
}

static void
eval_elements(const struct tess_array *x, struct test_value *const operands[3], int64_t count,
              struct test_value *out)
{
    for (int64_t at = 0; at < count; at++) {
        struct test_value element[3] = {{0}};
        for (int i = 0; i < x->operand_count; i++) {
            element[i] = operands[i][at];
        }
        out[at] = x->kind == TSI_NODE_CAST ? test_value_cast(element[0], x->dtype)
                                           : test_value_map(x->op, element);
    }
}

static bool
eval_node(const struct tess_array *x, struct test_value *const operands[3], int64_t count,
          struct test_value *out)
{
    switch (x->kind) {
    case TSI_NODE_CONST:
        for (int64_t at = 0; at < count; at++) {
            out[at] = test_value_read(x->dtype, &x->constant);
        }
        return true;
    case TSI_NODE_SOURCE:
        eval_source(x, count, out);
        return true;
    case TSI_NODE_MEMORY:
        eval_memory(x, count, out);
        return true;
    case TSI_NODE_FILE:
        return eval_file(x, count, out);
    case TSI_NODE_ATTACHED:
        return false; // what it is, only the cluster knows
    case TSI_NODE_MAP:
    case TSI_NODE_CAST:
        eval_elements(x, operands, count, out);
        return true;
    case TSI_NODE_VIEW:
        eval_view(x, operands[0], count, out);
        return true;
    case TSI_NODE_REDUCE:
        return eval_reduce(x, operands[0], count, out);
    case TSI_NODE_MATMUL:
        eval_matmul(x, operands[0], operands[1], count, out);
        return true;
    }
    return false;
}

static bool
evaluate(struct memo *memo, const struct tess_array *x)
{
    if (memo->values[x->id] != NULL) {
        return true;
    }
    struct test_value *operands[3] = {NULL};
    for (int i = 0; i < x->operand_count; i++) {
        if (!evaluate(memo, x->operand[i])) {
            return false;
        }
        operands[i] = memo->values[x->operand[i]->id];
    }
    const int64_t count = tsi_node_count(x);
    memo->values[x->id] = calloc((size_t)count + 1, sizeof **memo->values);
    return memo->values[x->id] != NULL && eval_node(x, operands, count, memo->values[x->id]);
}

bool
test_eval(struct tess_array *x, void *out)
{
    if (tess_array_status(x) != TESS_OK) {
        return false;
    }
    struct memo memo = {.count = x->id + 1};
    memo.values = calloc(memo.count, sizeof *memo.values);
    const bool ok = memo.values != NULL && evaluate(&memo, x);
    const size_t bytes = tess_dtype_bytes(x->dtype);
    for (int64_t at = 0; ok && at < tsi_node_count(x); at++) {
        test_value_write(memo.values[x->id][at], (unsigned char *)out + (size_t)at * bytes);
    }
    for (uint64_t i = 0; memo.values != NULL && i < memo.count; i++) {
        free(memo.values[i]);
    }
    free(memo.values);
    return ok;
}
