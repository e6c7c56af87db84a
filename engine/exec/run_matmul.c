// SPDX-License-Identifier: Apache-2.0
//
// One block product: for each batch index of the loop chunk, a matrix of (i, k) times one of (k,
// j).
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

static tess_status
bind_matrix(struct tsi_run *run, int input, int rows, int columns, struct tsi_operand *view,
            struct tsi_kernel_matrix *matrix)
{
    tess_status status = tsi_operand_bind(run, input, view);
    if (status != TESS_OK || run->elements == 0 || find_matrix(run, view, rows, columns, matrix)) {
        return status;
    }
    status = tsi_operand_pack(run, view);
    if (status == TESS_OK && !find_matrix(run, view, rows, columns, matrix)) {
        status = tsi_run_internal(run, "an operand does not vary along its own axes");
    }
    return status;
}

// Multiplies batch after batch into `out`; a and b are those of the first batch.
static tess_status
multiply(struct tsi_run *run, const struct tsi_operand *a, const struct tsi_operand *b,
         const struct tsi_kernel_matrix matrix[2], unsigned char *out)
{
    const int batch = run->op->loop.ndim - 3;
    const int64_t *const size = run->size;
    const size_t product = (size_t)(size[batch] * size[batch + 1]) * a->bytes;
    const unsigned char *at_a = matrix[0].data;
    const unsigned char *at_b = matrix[1].data;
    int64_t place[TESS_NDIM_MAX] = {0};
    for (;;) {
        const tess_status status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        tsi_kernel_matmul((tess_dtype)run->op->dtype, size[batch], size[batch + 1], size[batch + 2],
                          (struct tsi_kernel_matrix){at_a, matrix[0].step, matrix[0].transposed},
                          (struct tsi_kernel_matrix){at_b, matrix[1].step, matrix[1].transposed},
                          out);
        out += product;
        int i = batch - 1;
        for (; i >= 0; i--) {
            at_a += a->stride[i];
            at_b += b->stride[i];
            if (++place[i] < size[i]) {
                break;
            }
            at_a -= a->stride[i] * size[i];
            at_b -= b->stride[i] * size[i];
            place[i] = 0;
        }
        if (i < 0) {
            return TESS_OK;
        }
    }
}

// The product in `out`, in C order of batch, i and j; zeros where k has no elements.
static tess_status
make_product(struct tsi_run *run, int64_t count, unsigned char *out)
{
    const int i = run->op->loop.ndim - 3;
    struct tsi_operand a;
    struct tsi_operand b;
    struct tsi_kernel_matrix matrix[2];
    if (run->elements == 0) {
        memset(out, 0, (size_t)count * tess_dtype_bytes((tess_dtype)run->op->dtype));
        return TESS_OK;
    }
    tess_status status = bind_matrix(run, 0, i, i + 2, &a, &matrix[0]);
    if (status == TESS_OK) {
        status = bind_matrix(run, 1, i + 2, i + 1, &b, &matrix[1]);
    }
    return status != TESS_OK ? status : multiply(run, &a, &b, matrix, out);
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
