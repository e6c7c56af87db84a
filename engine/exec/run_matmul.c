// SPDX-License-Identifier: Apache-2.0
//
// One block product: for each batch index of the loop chunk, a matrix of (i, k) times one of (k,
// j). Where the loop chunk has several chunks of the inner axis k, their products are added up one
// after the other, each chunk seen where it is.
//
// The kernel takes matrices with rows or with columns of consecutive elements. A block whose view
// is neither, such as a slice with a step or a big-endian file, is packed first.

#include <string.h>

#include "engine/exec/box.h"
#include "engine/exec/operand.h"

// Whether every element of the view is at a whole number of elements from the first.
static bool
is_even(const struct tsi_run *run, const struct tsi_operand *view)
{
    const int64_t bytes = (int64_t)view->bytes;
    if ((uintptr_t)view->data % view->bytes != 0) {
        return false;
    }
    for (int i = 0; i < run->op->loop.ndim; i++) {
        if (view->stride[i] % bytes != 0) {
            return false;
        }
    }
    return true;
}

// The view's matrix over loop axes `rows` and `columns`; false if the kernel cannot take it.
static bool
find_matrix(const struct tsi_run *run, const struct tsi_operand *view, int rows, int columns,
            struct tsi_kernel_matrix *matrix)
{
    const int64_t bytes = (int64_t)view->bytes;
    const int64_t row_count = run->size[rows];
    const int64_t column_count = run->size[columns];
    if (view->swapped || !is_even(run, view)) {
        return false;
    }
    const int64_t row_step = row_count == 1 ? column_count : view->stride[rows] / bytes;
    const int64_t column_step = column_count == 1 ? row_count : view->stride[columns] / bytes;
    if ((column_count == 1 || column_step == 1) && row_step >= column_count) {
        *matrix = (struct tsi_kernel_matrix){view->data, row_step, false};
        return true;
    }
    if ((row_count == 1 || row_step == 1) && column_step >= row_count) {
        *matrix = (struct tsi_kernel_matrix){view->data, column_step, true};
        return true;
    }
    return false;
}

// An operand while the inner axis is gone through part by part.
struct factor {
    int input;
    int rows; // loop axes of its matrix
    int columns;
    bool is_whole;           // the view is that of all of the inner axis
    int64_t viewed;          // index of the inner axis that the view begins with
    int64_t end;             // the first index that is not in the present chunk
    size_t chunk;            // the present one of task->chunks
    int step;                // to the next one: the operand may run backward
    struct tsi_operand view; // what was bound
    struct tsi_operand part; // what is multiplied: a part of the view, or packed
    struct tsi_kernel_matrix matrix;
};

static int
inner_axis(const struct tsi_run *run)
{
    return run->op->loop.ndim - 1;
}

static bool
runs_backward(const struct tsi_index_map *map, int axis)
{
    for (int i = 0; i < map->ndim; i++) {
        if (map->axis[i].axis == axis) {
            return map->axis[i].stride < 0;
        }
    }
    return false;
}

// What is in several chunks for other reasons than the inner axis is gathered as a whole.
static tess_status
begin_factor(struct tsi_run *run, struct factor *factor)
{
    const struct tsi_input *const from = &run->op->inputs[factor->input];
    const int inner = inner_axis(run);
    const int64_t reach = from->map.is_explicit ? 0 : tsi_operand_reach(run, factor->input, inner);
    factor->viewed = run->start[inner];
    factor->is_whole = reach == 0 || reach == run->size[inner];
    if (factor->is_whole) {
        factor->end = run->start[inner] + run->size[inner];
        return tsi_operand_bind(run, factor->input, &factor->view);
    }
    const struct tsi_grid *const source = &run->task->program->ops[from->op].array;
    const struct tsi_chunk_set set =
        tsi_index_map_deps(&from->map, &run->op->loop, source, run->task->chunk);
    const size_t count = (size_t)tsi_chunk_set_count(&set);
    const bool is_backward = runs_backward(&from->map, inner);
    factor->end = run->start[inner] + reach;
    factor->chunk = run->next_chunk + (is_backward ? count - 1 : 0);
    factor->step = is_backward ? -1 : 1;
    run->next_chunk += count;
    return TESS_OK;
}

// Goes on to the chunk that holds the first index of the rest, if the present one is at its end.
static void
advance_factor(struct tsi_run *run, struct factor *factor)
{
    const int inner = inner_axis(run);
    if (factor->end == run->start[inner]) {
        factor->chunk += (size_t)factor->step;
        factor->end += tsi_operand_reach(run, factor->input, inner);
    }
}

// The matrix of the part that the run's loop chunk is cut to at present.
static tess_status
take_part(struct tsi_run *run, struct factor *factor)
{
    const int inner = inner_axis(run);
    tess_status status = TESS_OK;
    if (!factor->is_whole) {
        const size_t next = run->next_chunk;
        run->next_chunk = factor->chunk;
        status = tsi_operand_bind(run, factor->input, &factor->view);
        run->next_chunk = next;
        factor->viewed = run->start[inner];
    }
    factor->part = factor->view;
    if (status != TESS_OK) {
        return status;
    }
    factor->part.data += (run->start[inner] - factor->viewed) * factor->part.stride[inner];
    if (find_matrix(run, &factor->part, factor->rows, factor->columns, &factor->matrix)) {
        return TESS_OK;
    }
    status = tsi_operand_pack(run, &factor->part);
    if (status == TESS_OK &&
        !find_matrix(run, &factor->part, factor->rows, factor->columns, &factor->matrix)) {
        status = tsi_run_internal(run, "an operand does not vary along its own axes");
    }
    return status;
}

// Multiplies batch after batch into `out`, adding to what is there if `add`.
static tess_status
multiply(struct tsi_run *run, const struct factor factors[2], bool add, unsigned char *out)
{
    const struct factor *const a = &factors[0];
    const struct factor *const b = &factors[1];
    const int batch = run->op->loop.ndim - 3;
    const int64_t *const size = run->size;
    const size_t product = (size_t)(size[batch] * size[batch + 1]) * a->part.bytes;
    struct tsi_kernel_matrix x = a->matrix;
    struct tsi_kernel_matrix y = b->matrix;
    int64_t place[TESS_NDIM_MAX] = {0};
    for (;;) {
        const tess_status status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        tsi_kernel_matmul((tess_dtype)run->op->dtype, size[batch], size[batch + 1], size[batch + 2],
                          x, y, add, out);
        out += product;
        int i = batch - 1;
        for (; i >= 0; i--) {
            x.data = (const unsigned char *)x.data + a->part.stride[i];
            y.data = (const unsigned char *)y.data + b->part.stride[i];
            if (++place[i] < size[i]) {
                break;
            }
            x.data = (const unsigned char *)x.data - a->part.stride[i] * size[i];
            y.data = (const unsigned char *)y.data - b->part.stride[i] * size[i];
            place[i] = 0;
        }
        if (i < 0) {
            return TESS_OK;
        }
    }
}

// Adds up the products of the parts in their order, whatever the chunks of the inner axis are
// grouped to. The run's loop chunk is cut to the part meanwhile.
static tess_status
multiply_parts(struct tsi_run *run, struct factor factors[2], unsigned char *out)
{
    const int inner = inner_axis(run);
    const int64_t start = run->start[inner];
    const int64_t size = run->size[inner];
    const int64_t end = start + size;
    const struct tsi_scratch_mark mark = tsi_scratch_mark(run->scratch);
    tess_status status = TESS_OK;
    while (status == TESS_OK && run->start[inner] < end) {
        run->size[inner] = end - run->start[inner];
        advance_factor(run, &factors[0]);
        advance_factor(run, &factors[1]);
        const int64_t stop = factors[0].end < factors[1].end ? factors[0].end : factors[1].end;
        run->size[inner] = stop - run->start[inner];
        status = take_part(run, &factors[0]);
        if (status == TESS_OK) {
            status = take_part(run, &factors[1]);
        }
        if (status == TESS_OK) {
            status = multiply(run, factors, run->start[inner] > start, out);
        }
        tsi_scratch_rewind(run->scratch, mark);
        run->start[inner] = stop;
    }
    run->start[inner] = start;
    run->size[inner] = size;
    return status;
}

// The product in `out`, in C order of batch, i and j; zeros where k has no elements.
static tess_status
make_product(struct tsi_run *run, int64_t count, unsigned char *out)
{
    const int i = run->op->loop.ndim - 3;
    struct factor factors[2] = {
        {.input = 0, .rows = i, .columns = i + 2},
        {.input = 1, .rows = i + 2, .columns = i + 1},
    };
    if (run->elements == 0) {
        memset(out, 0, (size_t)count * tess_dtype_bytes((tess_dtype)run->op->dtype));
        return TESS_OK;
    }
    tess_status status = begin_factor(run, &factors[0]);
    if (status == TESS_OK) {
        status = begin_factor(run, &factors[1]);
    }
    return status != TESS_OK ? status : multiply_parts(run, factors, out);
}

tess_status
tsi_run_matmul(struct tsi_run *run)
{
    const struct tsi_chunk_op *const op = run->op;
    const tess_dtype dtype = (tess_dtype)op->dtype;
    void *product = run->task->out;
    int64_t count = 1;
    if (op->loop.ndim < 3 || op->input_count != 2) {
        return tsi_run_internal(run, "it is no product of two matrices");
    }
    for (int i = 0; i < op->loop.ndim - 1; i++) {
        count *= run->size[i];
    }
    if (op->matmul.finish) {
        return make_product(run, count, product);
    }
    // SUM and ANY have one plane, so that its elements are all of the output.
    const struct tsi_acc_layout layout = tsi_acc_layout(op->plane_reduction, dtype);
    if (layout.dtype[0] == dtype) {
        return make_product(run, count, product);
    }
    tsi_kernel_cast *const cast = run->kernel->cast[dtype][layout.dtype[0]];
    if (cast == NULL) {
        return tsi_run_internal(run, "there is no such cast of a product");
    }
    tess_status status = tsi_run_take(run, (size_t)count * tess_dtype_bytes(dtype), &product);
    if (status == TESS_OK) {
        status = make_product(run, count, product);
    }
    if (status == TESS_OK) {
        cast(count, run->task->out, product);
    }
    return status;
}
