// SPDX-License-Identifier: Apache-2.0
//
// Element-wise operations: one constructor for all of them, that brings the operands to the shape
// and cut of the result and to the type in which the operation computes.

#include "tessera/elementwise.h"

#include <inttypes.h>

#include "engine/graph/broadcast.h"
#include "engine/graph/cast.h"
#include "engine/graph/node.h"
#include "engine/graph/view.h"

enum { OPERANDS_MAX = 3 };

// The operands that decide the dtype: the condition of `where` does not.
static int
first_value(enum tsi_op op)
{
    return tsi_op_row(op)->compute == TSI_COMPUTE_WHERE ? 1 : 0;
}

static struct tess_array *
refuse_dtype(enum tsi_op op, struct tess_array *const *operands, int count, tess_dtype met)
{
    char text[TSI_OPERANDS_TEXT_MAX];
    return tsi_node_fail(operands[0]->session, TESS_EDTYPE, tsi_op_row(op)->name,
                         "%s: not defined for %s", tsi_broadcast_text(text, operands, count),
                         tess_dtype_name(met));
}

// A failed array if a weak integer is among the operands that `dtype` does not hold.
static struct tess_array *
refuse_weak(enum tsi_op op, struct tess_array *const *operands, int count, tess_dtype dtype)
{
    for (int i = first_value(op); i < count; i++) {
        int64_t value = 0;
        if (!tsi_cast_holds(operands[i], dtype, &value)) {
            char text[TSI_OPERANDS_TEXT_MAX];
            return tsi_node_fail(operands[0]->session, TESS_EOVERFLOW, tsi_op_row(op)->name,
                                 "%s: the scalar %" PRId64 " is out of the range of %s",
                                 tsi_broadcast_text(text, operands, count), value,
                                 tess_dtype_name(dtype));
        }
    }
    return NULL;
}

static bool
all_weak(struct tess_array *const *operands, int count)
{
    for (int i = 0; i < count; i++) {
        if (!operands[i]->weak) {
            return false;
        }
    }
    return true;
}

// Fills the operands of `*draft`; the failed array of one that could not be brought to it, or NULL.
static struct tess_array *
bring(struct tess_array *draft, struct tess_array *const *operands, tess_dtype compute)
{
    for (int i = 0; i < draft->operand_count; i++) {
        const tess_dtype dtype = i < first_value(draft->op) ? TESS_BOOL : compute;
        struct tess_array *x = tsi_cast_to(operands[i], dtype);
        if (x->status == TESS_OK) {
            x = tsi_view_repeat(x, &draft->grid, "broadcast_to");
        }
        if (x->status != TESS_OK) {
            return x;
        }
        draft->operand[i] = x;
    }
    return NULL;
}

static struct tess_array *
make(enum tsi_op op, struct tess_array *const *operands, int count, const struct tsi_grid *grid)
{
    struct tess_session *session = operands[0]->session;
    const char *name = tsi_op_row(op)->name;
    const tess_dtype met = tsi_cast_meet(operands + first_value(op), count - first_value(op));
    const tess_dtype compute = tsi_op_compute_dtype(op, met);
    if (compute == TESS_NONE) {
        return refuse_dtype(op, operands, count, met);
    }
    struct tess_array draft = {
        .name = name,
        .kind = TSI_NODE_MAP,
        .dtype = tsi_op_result_dtype(op, compute),
        .weak = all_weak(operands, count),
        .grid = *grid,
        .operand_count = count,
        .op = op,
    };
    struct tess_array *failed = tsi_node_too_large(session, grid, compute, name);
    if (failed == NULL) {
        failed = refuse_weak(op, operands, count, compute);
    }
    if (failed == NULL) {
        failed = bring(&draft, operands, compute);
    }
    return failed != NULL ? failed : tsi_node_make(session, &draft);
}

static struct tess_array *
map(enum tsi_op op, struct tess_array *const *operands)
{
    const char *name = tsi_op_row(op)->name;
    const int count = tsi_op_row(op)->arity;
    struct tess_array *bad = tsi_node_bad(operands, count, name);
    if (bad != NULL) {
        return bad;
    }
    struct tsi_grid grid;
    struct tsi_error error;
    if (tsi_broadcast_grid(operands, count, 0, &grid, &error) != TESS_OK) {
        char text[TSI_OPERANDS_TEXT_MAX];
        return tsi_node_fail(operands[0]->session, TESS_ESHAPE, name, "%s: %s",
                             tsi_broadcast_text(text, operands, count), error.text);
    }
    return make(op, operands, count, &grid);
}

static struct tess_array *
map_one(enum tsi_op op, struct tess_array *x)
{
    return map(op, (struct tess_array *[OPERANDS_MAX]){x});
}

static struct tess_array *
map_two(enum tsi_op op, struct tess_array *x, struct tess_array *y)
{
    return map(op, (struct tess_array *[OPERANDS_MAX]){x, y});
}

tess_array *(tess_add)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_ADD, x, y);
}

tess_array *(tess_subtract)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_SUBTRACT, x, y);
}

tess_array *(tess_multiply)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_MULTIPLY, x, y);
}

tess_array *(tess_divide)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_DIVIDE, x, y);
}

tess_array *(tess_power)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_POWER, x, y);
}

tess_array *(tess_minimum)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_MINIMUM, x, y);
}

tess_array *(tess_maximum)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_MAXIMUM, x, y);
}

tess_array *(tess_negative)(tess_array *x)
{
    return map_one(TSI_OP_NEGATIVE, x);
}

tess_array *(tess_abs)(tess_array *x)
{
    return map_one(TSI_OP_ABS, x);
}

tess_array *(tess_sqrt)(tess_array *x)
{
    return map_one(TSI_OP_SQRT, x);
}

tess_array *(tess_exp)(tess_array *x)
{
    return map_one(TSI_OP_EXP, x);
}

tess_array *(tess_log)(tess_array *x)
{
    return map_one(TSI_OP_LOG, x);
}

tess_array *(tess_sin)(tess_array *x)
{
    return map_one(TSI_OP_SIN, x);
}

tess_array *(tess_cos)(tess_array *x)
{
    return map_one(TSI_OP_COS, x);
}

tess_array *(tess_equal)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_EQUAL, x, y);
}

tess_array *(tess_not_equal)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_NOT_EQUAL, x, y);
}

tess_array *(tess_less)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_LESS, x, y);
}

tess_array *(tess_less_equal)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_LESS_EQUAL, x, y);
}

tess_array *(tess_greater)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_GREATER, x, y);
}

tess_array *(tess_greater_equal)(tess_array *x, tess_array *y)
{
    return map_two(TSI_OP_GREATER_EQUAL, x, y);
}

tess_array *(tess_where)(tess_array *condition, tess_array *x, tess_array *y)
{
    return map(TSI_OP_WHERE, (struct tess_array *[OPERANDS_MAX]){condition, x, y});
}

tess_array *(tess_cast)(tess_array *x, tess_dtype dtype)
{
    struct tess_array *bad = tsi_node_bad(&x, 1, "cast");
    if (bad != NULL) {
        return bad;
    }
    if (!tsi_dtype_is_valid((int)dtype)) {
        char text[TSI_OPERANDS_TEXT_MAX];
        return tsi_node_fail(x->session, TESS_EDTYPE, "cast", "%s: %d is no dtype",
                             tsi_broadcast_text(text, &x, 1), (int)dtype);
    }
    struct tess_array *failed = tsi_node_too_large(x->session, &x->grid, dtype, "cast");
    return failed != NULL ? failed : tsi_cast_to(x, dtype);
}
