// SPDX-License-Identifier: Apache-2.0
//
// A tile is seen as few axes, each kept or folded: neighbours of one kind are one axis. Then the
// two innermost axes are what a kernel takes:
//
//   … folded, kept     down: rows are folded into consecutive accumulators
//   … kept, folded     across: each row is folded into its accumulator, if these are consecutive
//   otherwise          one row at a time
//
// Rows of a few elements would cost more to begin and to end than to fold. They are transposed
// first, and folded down.
//
// and the others are looped over. Accumulators of a chunk are in C order of its kept axes, so those
// of the last kept axis are always consecutive. Every accumulator gets its elements in the C order
// of the tiles and, inside a tile, of the elements; both follow from the sizes of the loop chunk,
// not from where memory lies.
//
// argmin and argmax tell an index that must grow by a fixed step along an axis of the tile. Folded
// neighbours where it does not are kept apart.

#include "engine/exec/tile_fold.h"

// Columns from which rows are folded across.
#define LONG_ROW 16

static bool
tells_index(const struct tsi_tile_reduce *reduce)
{
    return reduce->reduction == TSI_REDUCE_ARGMIN || reduce->reduction == TSI_REDUCE_ARGMAX;
}

int64_t
tsi_tile_fold_count(const struct tsi_run *run)
{
    int64_t count = 1;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        count *= (run->op->tile.reduce.axes >> i & 1) != 0 ? 1 : run->size[i];
    }
    return count;
}

static bool
is_folded(const struct tsi_tile_fold *fold, int axis)
{
    const int box = fold->tiling->box[fold->reach.first[axis]];
    return (fold->axes >> fold->tiling->axis[box] & 1) != 0;
}

// Whether a tile may have several rows to fold across; an axis of the box has several indices.
static bool
may_fold_rows(const struct tsi_tile_fold *fold)
{
    return fold->reach.ndim > 1 && is_folded(fold, fold->reach.ndim - 1);
}

tess_status
tsi_tile_fold_make(struct tsi_run *run, const struct tsi_tiling *tiling, void *memory,
                   struct tsi_tile_fold *fold)
{
    const struct tsi_tile_reduce *const reduce = &run->op->tile.reduce;
    const bool is_told = tells_index(reduce);
    const struct tsi_acc_layout layout =
        tsi_acc_layout((enum tsi_reduction)reduce->reduction, (tess_dtype)reduce->dtype);
    int64_t step[TESS_NDIM_MAX];
    int64_t count = 1;
    fold->kernel = &run->kernel->reduction[reduce->reduction][reduce->dtype];
    fold->linear = &run->kernel->linear[reduce->dtype];
    fold->tiling = tiling;
    fold->axes = reduce->axes;
    fold->element_bytes = (int64_t)tess_dtype_bytes((tess_dtype)reduce->dtype);
    fold->first = 0;
    fold->has_call = false;
    if (fold->kernel->down == NULL || fold->kernel->across == NULL) {
        return tsi_run_internal(run, "there is no such reduction");
    }
    for (int i = run->op->loop.ndim - 1; i >= 0; i--) {
        const bool is_folded = (reduce->axes >> i & 1) != 0;
        fold->acc_step[i] = is_folded ? 0 : count;
        fold->order_step[i] = is_folded && is_told ? reduce->order[i] : 0;
        fold->first += fold->order_step[i] * run->start[i];
        step[i] = is_folded ? fold->order_step[i] : count;
        count *= is_folded ? 1 : run->size[i];
    }
    fold->accumulators = count;
    fold->turned = NULL;
    if (tiling != NULL) {
        tsi_reach_make(tiling, step, reduce->axes, &fold->reach);
    }
    if (tiling != NULL && may_fold_rows(fold)) {
        const size_t bytes = (size_t)(tiling->elements * fold->element_bytes);
        const tess_status status = tsi_run_take(run, bytes, &fold->turned);
        if (status != TESS_OK) {
            return status;
        }
    }
    tsi_run_planes(&layout, count, memory, fold->planes);
    for (int i = 0; i < TSI_ACC_PLANES_MAX; i++) {
        fold->plane_bytes[i] = i < layout.planes ? tess_dtype_bytes(layout.dtype[i]) : 0;
    }
    fold->kernel->start(count, fold->planes);
    return TESS_OK;
}

// One call of a kernel: rows × columns elements at `x`, folded into accumulators from `acc` on.
static void
fold_rows(const struct tsi_tile_fold *fold, tsi_kernel_fold *kernel, int64_t rows, int64_t columns,
          const unsigned char *x, int64_t acc, const struct tsi_fold_index *index)
{
    void *planes[TSI_ACC_PLANES_MAX];
    for (int i = 0; i < TSI_ACC_PLANES_MAX; i++) {
        planes[i] = fold->plane_bytes[i] == 0
                        ? NULL
                        : (unsigned char *)fold->planes[i] + (size_t)acc * fold->plane_bytes[i];
    }
    kernel(rows, columns, x, planes, index);
}

// Rows of few columns, folded as few rows of many columns.
static void
fold_turned(const struct tsi_tile_fold *fold, int64_t rows, int64_t columns, const unsigned char *x,
            int64_t acc, const struct tsi_fold_index *index)
{
    const int64_t bytes = fold->element_bytes;
    const struct tsi_fold_index turned = {.first = index->first, .row_step = index->column_step};
    if (columns > 1) {
        tsi_kernel_copy(columns, rows, (size_t)bytes, fold->turned, rows * bytes, bytes, x, bytes,
                        columns * bytes);
        x = fold->turned;
    }
    fold_rows(fold, fold->kernel->down, columns, rows, x, acc, &turned);
}

static void
find_rows(const struct tsi_tile_fold *fold, const struct tsi_tile_at *at,
          struct tsi_tile_call *call)
{
    const struct tsi_reach *const reach = &fold->reach;
    const int last = reach->ndim - 1;
    *call = (struct tsi_tile_call){
        .kernel = fold->kernel->across, .rows = 1, .columns = 1, .is_across = true};
    if (last < 0) {
        return;
    }
    call->columns = tsi_reach_size(fold->tiling, reach, at, last);
    call->outer = (uint8_t)last;
    if (is_folded(fold, last)) {
        call->column_step = reach->step[last];
        if (last > 0 && !is_folded(fold, last - 1) && reach->step[last - 1] == 1) {
            call->rows = tsi_reach_size(fold->tiling, reach, at, last - 1);
            call->outer = (uint8_t)(last - 1);
        }
        call->is_turned = call->rows > 1 && call->columns < LONG_ROW;
        return;
    }
    call->is_across = false;
    call->kernel = fold->kernel->down;
    if (last > 0 && is_folded(fold, last - 1)) {
        call->rows = tsi_reach_size(fold->tiling, reach, at, last - 1);
        call->row_step = reach->step[last - 1];
        call->outer = (uint8_t)(last - 1);
    }
}

static __attribute__((noinline)) void
find_call(struct tsi_tile_fold *fold, const struct tsi_tile_at *at)
{
    struct tsi_tile_call *const call = &fold->call;
    find_rows(fold, at, call);
    call->column_bytes = call->columns * fold->element_bytes;
    if (call->outer == 0 && !call->is_turned) {
        call->linear = call->is_across ? fold->linear->across : fold->linear->down;
    }
    fold->has_call = true;
    fold->call_shape = at->shape;
}

static inline const struct tsi_tile_call *
call_for(struct tsi_tile_fold *fold, const struct tsi_tile_at *at)
{
    if (!fold->has_call || fold->call_shape != at->shape) {
        find_call(fold, at);
    }
    return &fold->call;
}

void
tsi_tile_fold_take(struct tsi_tile_fold *fold, const struct tsi_tile_at *at, const void *x)
{
    const struct tsi_reach *const reach = &fold->reach;
    int64_t size[TESS_NDIM_MAX];
    int64_t place[TESS_NDIM_MAX];
    const struct tsi_tile_call call = *call_for(fold, at);
    for (int i = 0; i < call.outer; i++) {
        size[i] = tsi_reach_size(fold->tiling, reach, at, i);
        place[i] = 0;
    }
    int64_t acc = tsi_tiling_offset(fold->tiling, at, fold->acc_step);
    struct tsi_fold_index index = {
        .first = fold->first + tsi_tiling_offset(fold->tiling, at, fold->order_step),
        .row_step = call.row_step,
        .column_step = call.column_step,
    };
    const unsigned char *from = x;
    const int64_t taken = call.rows * call.columns * fold->element_bytes;
    for (;;) {
        if (call.is_turned) {
            fold_turned(fold, call.rows, call.columns, from, acc, &index);
        } else {
            fold_rows(fold, call.kernel, call.rows, call.columns, from, acc, &index);
        }
        from += taken;
        int i = call.outer - 1;
        for (; i >= 0; i--) {
            int64_t *const moved = is_folded(fold, i) ? &index.first : &acc;
            *moved += reach->step[i];
            if (++place[i] < size[i]) {
                break;
            }
            *moved -= reach->step[i] * size[i];
            place[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

// Places terms of which some may have rows; false if no kernel takes such rows.
static bool
place_rows(const struct tsi_tile_fold *fold, struct tsi_tile_terms *terms)
{
    const struct tsi_reach *const reach = &fold->reach;
    const bool has_rows = terms->has_rows[0] || terms->has_rows[1];
    for (int k = 0; k < 2; k++) {
        if (!terms->has_rows[k]) {
            terms->term[k].step = fold->call.column_bytes;
        }
    }
    return !has_rows || (reach->ndim == 2 && reach->first[1] == terms->split);
}

bool
tsi_tile_fold_terms(struct tsi_tile_fold *fold, const struct tsi_tile_at *at,
                    struct tsi_tile_terms *terms)
{
    const struct tsi_tile_call *const call = call_for(fold, at);
    if (call->linear == NULL) {
        return false;
    }
    if (terms->split < 0) {
        terms->term[0].step = call->column_bytes;
        terms->term[1].step = call->column_bytes;
    } else if (!place_rows(fold, terms)) {
        return false;
    }
    call->linear(call->rows, call->columns, terms->term,
                 (double *)fold->planes[0] + tsi_tiling_offset(fold->tiling, at, fold->acc_step));
    return true;
}
