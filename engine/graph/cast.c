// SPDX-License-Identifier: Apache-2.0
//
// A constant is converted at once, so that a weak scalar costs nothing when it meets an array. All
// other conversions are nodes.

#include "engine/graph/cast.h"

// The value of an element of a signed integer type.
static int64_t
signed_value(tess_dtype dtype, struct tsi_scalar scalar)
{
    switch (dtype) {
    case TESS_I8:
        return (int8_t)(uint8_t)scalar.bits;
    case TESS_I16:
        return (int16_t)(uint16_t)scalar.bits;
    case TESS_I32:
        return (int32_t)(uint32_t)scalar.bits;
    default:
        return (int64_t)scalar.bits;
    }
}

static struct tsi_scalar
convert(struct tsi_scalar scalar, tess_dtype from, tess_dtype to)
{
    switch (tsi_dtype_kind(from)) {
    case TSI_KIND_FLOAT:
        return tsi_scalar_from_f64(to, tsi_scalar_to_f64(from, scalar));
    case TSI_KIND_SIGNED:
        return tsi_scalar_from_i64(to, signed_value(from, scalar));
    default:
        return tsi_scalar_from_u64(to, scalar.bits);
    }
}

struct tess_array *
tsi_cast_strong(struct tess_array *x)
{
    if (x->status != TESS_OK || !x->weak) {
        return x;
    }
    struct tess_array draft = *x;
    draft.weak = false;
    return tsi_node_make(x->session, &draft);
}

struct tess_array *
tsi_cast_to(struct tess_array *x, tess_dtype dtype)
{
    x = tsi_cast_strong(x);
    if (x->status != TESS_OK || x->dtype == dtype) {
        return x;
    }
    if (x->kind == TSI_NODE_CONST) {
        struct tess_array draft = *x;
        draft.dtype = dtype;
        draft.constant = convert(x->constant, x->dtype, dtype);
        return tsi_node_make(x->session, &draft);
    }
    const struct tess_array draft = {
        .name = "cast",
        .kind = TSI_NODE_CAST,
        .dtype = dtype,
        .grid = x->grid,
        .operand_count = 1,
        .operand = {x},
    };
    return tsi_node_make(x->session, &draft);
}

// Where operands meet of which either all are weak or none is; TESS_NONE if there are none.
static tess_dtype
meet_of(struct tess_array *const *operands, int count, bool weak)
{
    tess_dtype met = TESS_NONE;
    for (int i = 0; i < count; i++) {
        if (operands[i]->weak == weak) {
            const tess_dtype dtype = operands[i]->dtype;
            met = met == TESS_NONE ? dtype : tess_dtype_promote(met, dtype);
        }
    }
    return met;
}

// bool < integer < float.
static int
rank_of(tess_dtype dtype)
{
    switch (tsi_dtype_kind(dtype)) {
    case TSI_KIND_BOOL:
        return 0;
    case TSI_KIND_FLOAT:
        return 2;
    default:
        return 1;
    }
}

tess_dtype
tsi_cast_meet(struct tess_array *const *operands, int count)
{
    const tess_dtype strong = meet_of(operands, count, false);
    const tess_dtype weak = meet_of(operands, count, true);
    if (strong == TESS_NONE) {
        return weak;
    }
    if (weak == TESS_NONE || rank_of(weak) <= rank_of(strong)) {
        return strong;
    }
    return weak;
}

bool
tsi_cast_holds(const struct tess_array *x, tess_dtype dtype, int64_t *value)
{
    const enum tsi_dtype_kind kind = tsi_dtype_kind(dtype);
    const bool is_weak_integer =
        x->weak && x->kind == TSI_NODE_CONST && tsi_dtype_kind(x->dtype) == TSI_KIND_SIGNED;
    if (!is_weak_integer || (kind != TSI_KIND_SIGNED && kind != TSI_KIND_UNSIGNED)) {
        return true;
    }
    *value = signed_value(x->dtype, x->constant);
    const struct tsi_scalar kept = tsi_scalar_from_i64(dtype, *value);
    if (kind == TSI_KIND_UNSIGNED) {
        return *value >= 0 && kept.bits == (uint64_t)*value;
    }
    return signed_value(dtype, kept) == *value;
}
