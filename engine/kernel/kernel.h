// SPDX-License-Identifier: Apache-2.0
//
// Kernels: the loops over elements. Each is a free function over contiguous runs, one per operation
// and element type, compiled once per instruction set; a table of them is chosen when the first is
// asked for.
//
// The same arguments give the same bits on every instruction set: no fused multiply-add that
// another set has not, tails by the same lane arithmetic as the body, sums in a fixed number of
// virtual lanes. Kernels do not allocate, do not fail and keep no state. Runs may be empty.
// Elements of a run are aligned to their own size only. `out` may be the same run as an operand
// whose elements are as large as its own, and overlaps none otherwise. What is not promised is the
// sign and payload of a NaN.

#ifndef TSI_KERNEL_KERNEL_H
#define TSI_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/acc.h"
#include "engine/base/dtype.h"
#include "engine/base/op.h"
#include "engine/base/source.h"

// out[i] = op(a[i], b[i], c[i]); an operand beyond the arity of the operation is NULL. All operands
// have the type that the kernel was asked for, but the condition of `where`, which is bool.
typedef void tsi_kernel_map(int64_t count, void *out, const void *a, const void *b, const void *c);

// out[i] = a[i]·scale_a + b[i]·scale_b of floats, each operation rounded to their type.
typedef void tsi_kernel_combine(int64_t count, void *out, const void *a, double scale_a,
                                const void *b, double scale_b);

// out[i] = (type of out) in[i]
typedef void tsi_kernel_cast(int64_t count, void *out, const void *in);

// The parameters of a source that depends on an element's index in the logical array. Element t of
// the run has the index first + t·stride (a two's complement sum, never out of the logical array).
struct tsi_kernel_index {
    int64_t first;
    int64_t stride;
};

typedef void tsi_kernel_source(int64_t count, void *out, struct tsi_kernel_index index,
                               const struct tsi_source_params *params);

// Where the elements of a tile lie in the order of folding: element (i, j) has the index
// first + i·row_step + j·column_step. Only argmin and argmax look at it.
struct tsi_fold_index {
    int64_t first;
    int64_t row_step;
    int64_t column_step;
};

// Folds the tile x[rows][columns] into accumulators; planes[k] is plane k (acc.h).
//
// down:   accumulator j takes x[0][j], x[1][j], … in this order
// across: accumulator i takes row i
typedef void tsi_kernel_fold(int64_t rows, int64_t columns, const void *x, void *const *planes,
                             const struct tsi_fold_index *index);

// Sets `count` accumulators to those of nothing.
typedef void tsi_kernel_fold_start(int64_t count, void *const *planes);

// Accumulator i of `planes` takes accumulator i of `other`, whose elements come after its own.
typedef void tsi_kernel_fold_merge(int64_t count, void *const *planes, const void *const *other);

// The results of `count` accumulators, of type tsi_reduction_result_dtype(); `folded` is how many
// elements each of them took.
typedef void tsi_kernel_fold_finish(int64_t count, void *out, const void *const *planes,
                                    double folded, double ddof);

struct tsi_kernel_reduction {
    tsi_kernel_fold *down;
    tsi_kernel_fold *across;
    tsi_kernel_fold_start *start;
    tsi_kernel_fold_merge *merge;
    tsi_kernel_fold_finish *finish;
};

// Rows of floats, each dense and aligned to its elements; `step` is their distance in bytes. What
// lies `ahead` bytes further on is needed next, and is asked of memory meanwhile; 0 for nothing.
struct tsi_kernel_term {
    const void *data;
    int64_t step;
    int64_t ahead;
    double scale;
    bool is_square; // each element by itself, instead of by the scale
};

// Folds sums of terms[0]·scale + terms[1]·scale, or of the first alone if the second has no data,
// into the accumulators of a sum or mean; either no term is a square, or all are. The bits are
// those of `combine`, or of products and their sum, and of the sum's fold.
typedef void tsi_kernel_fold_linear(int64_t rows, int64_t columns,
                                    const struct tsi_kernel_term *terms, double *acc);

struct tsi_kernel_linear {
    tsi_kernel_fold_linear *down;
    tsi_kernel_fold_linear *across;
};

// The most columns of a call of a tsi_kernel_fold_drawn.
#define TSI_KERNEL_DRAWN_COLUMNS 1024

// Adds rows of a source of float64, which are not stored, to the accumulators of a sum or mean:
// accumulator j takes the elements of the indices first + j, first + row_step + j, … in this order.
// The bits are those of the source and of the sum's `down`.
typedef void tsi_kernel_fold_drawn(int64_t rows, int64_t columns, int64_t first, int64_t row_step,
                                   const struct tsi_source_params *params, double *acc);

// c[m][n] = a[m][k] · b[k][n], row after row, or with `add` what c held plus that. The step of a is
// the distance of its rows in elements, or of its columns if it is transposed (then it is stored
// [k][m]); likewise b. k = 0 gives zeros, or with `add` leaves c as it is.
struct tsi_kernel_matrix {
    const void *data;
    int64_t step;
    bool transposed;
};
typedef void tsi_kernel_product(int64_t m, int64_t n, int64_t k, const struct tsi_kernel_matrix *a,
                                const struct tsi_kernel_matrix *b, bool add, void *c);

// out[i][j] = in[j][i] for rows × columns elements of `out`. Rows are dense; steps are the
// distances of rows in bytes. Neither is aligned. The two do not overlap. What lies `ahead` bytes
// beyond `in` is transposed next, and is asked of memory meanwhile; 0 for nothing.
typedef void tsi_kernel_transpose(int64_t rows, int64_t columns, void *out, int64_t out_step,
                                  const void *in, int64_t in_step, int64_t ahead);

struct tsi_kernel_table {
    const char *isa; // "baseline", "avx2", "avx512"
    // By the type that tsi_op_compute_dtype() gives; NULL where the operation is not defined.
    tsi_kernel_map *map[TSI_OP_COUNT][TESS_DTYPE_COUNT];
    tsi_kernel_combine *combine[TESS_DTYPE_COUNT];             // NULL but for floats
    tsi_kernel_cast *cast[TESS_DTYPE_COUNT][TESS_DTYPE_COUNT]; // [from][to]
    tsi_kernel_source *source[TSI_SOURCE_COUNT][TESS_DTYPE_COUNT];
    struct tsi_kernel_reduction reduction[TSI_REDUCE_COUNT][TESS_DTYPE_COUNT];
    struct tsi_kernel_linear linear[TESS_DTYPE_COUNT]; // NULL but for floats
    tsi_kernel_fold_drawn *drawn[TSI_SOURCE_COUNT];    // NULL but for normals and uniforms
    tsi_kernel_product *product[TESS_DTYPE_COUNT];
    tsi_kernel_transpose *transpose[4]; // of elements of 1, 2, 4, 8 bytes
};

// The best table that the processor supports, or the one that the environment variable TESSERA_ISA
// names, if the processor supports it. Thread-safe; the same for the whole life of the process.
const struct tsi_kernel_table *tsi_kernel(void);

// All tables that the processor supports, baseline first; NULL beyond the last. For tests and
// benches.
const struct tsi_kernel_table *tsi_kernel_of(int index);

// Fills `count` elements of `bytes` (1, 2, 4, 8) each with the value in the first bytes of
// `scalar`.
void tsi_kernel_fill(int64_t count, void *out, size_t bytes, struct tsi_scalar scalar);

// Copies rows × columns elements of `bytes` (1, 2, 4, 8) each; steps are in bytes and of any sign,
// 0 to repeat. Blocked so that transposes stay in cache. `out` is not aligned more than its
// elements are, and `in` not at all.
void tsi_kernel_copy(int64_t rows, int64_t columns, size_t bytes, void *out, int64_t out_row_step,
                     int64_t out_column_step, const void *in, int64_t in_row_step,
                     int64_t in_column_step);

// Asks memory for `bytes` that lie `ahead` bytes beyond `from`, which may be nowhere.
void tsi_kernel_ask(const void *from, int64_t ahead, int64_t bytes);

// A copy to dense rows of `out`, one after the other. What lies `ahead` bytes beyond `in` is
// copied next, and is asked of memory meanwhile.
void tsi_kernel_load(int64_t rows, int64_t columns, size_t bytes, void *out, const void *in,
                     int64_t in_row_step, int64_t in_column_step, int64_t ahead);

// As memcpy, for bytes that nobody is going to read soon: past the caches.
void tsi_kernel_stream(size_t bytes, void *out, const void *in);

// As tsi_kernel_copy(), for what nobody is going to read soon. Columns of `out` are dense.
void tsi_kernel_copy_past(int64_t rows, int64_t columns, size_t bytes, void *out,
                          int64_t out_row_step, const void *in, int64_t in_row_step,
                          int64_t in_column_step);

// Reverses the bytes of each of `count` elements in place; bytes 1 does nothing.
void tsi_kernel_swap(int64_t count, void *data, size_t bytes);

// A tsi_kernel_product of every dtype; floats by OpenBLAS if it is installed, whose bits depend on
// the processor. Never uses more than the calling thread, unless the environment says so with
// OPENBLAS_NUM_THREADS.
void tsi_kernel_matmul(tess_dtype dtype, int64_t m, int64_t n, int64_t k,
                       struct tsi_kernel_matrix a, struct tsi_kernel_matrix b, bool add, void *c);

#endif
