// SPDX-License-Identifier: Apache-2.0
//
// All instruction sets give the same bits: every kernel of every table against the baseline table,
// over lengths around the widths of registers and starts that no register is aligned to. The choice
// of a table.

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/acc.h"
#include "engine/kernel/kernel.h"
#include "tests/support/kernel_case.h"

#define COUNT 4400
#define LENGTHS 76

// Lengths 0 to 70, and some that are long.
static int64_t
length_of(int which)
{
    static const int64_t longer[LENGTHS - 71] = {127, 1000, 2047, 2049, 4321};
    return which <= 70 ? which : longer[which - 71];
}

static uint64_t memory[3][COUNT];
static uint64_t expected[COUNT];
static uint64_t got[COUNT];

static char *
start_of(uint64_t *buffer, tess_dtype dtype, int64_t shift)
{
    return (char *)buffer + (size_t)shift * tess_dtype_bytes(dtype);
}

// Compares `count` elements, and that nothing after them was written.
static void
check_same(tess_dtype dtype, int64_t count, int64_t shift, const char *isa, const char *what)
{
    const size_t bytes = tess_dtype_bytes(dtype);
    const char *x = start_of(expected, dtype, shift);
    const char *y = start_of(got, dtype, shift);
    for (int64_t i = 0; i < count; i++) {
        cr_assert(kernel_case_same(dtype, x + (size_t)i * bytes, y + (size_t)i * bytes),
                  "%s %s of %s: element %lld of %lld", isa, what, tess_dtype_name(dtype),
                  (long long)i, (long long)count);
    }
    const char *end = (const char *)expected + sizeof(expected);
    const size_t used = (size_t)count * bytes;
    cr_assert(memcmp(x + used, y + used, (size_t)(end - x) - used) == 0,
              "%s %s of %s wrote beyond %lld", isa, what, tess_dtype_name(dtype), (long long)count);
}

static void
forget_results(void)
{
    memset(expected, 0x5A, sizeof(expected));
    memset(got, 0x5A, sizeof(got));
}

static void
check_map(const struct tsi_kernel_table *table, enum tsi_op op, tess_dtype dtype)
{
    tsi_kernel_map *const base = tsi_kernel_of(0)->map[op][dtype];
    const tess_dtype first = op == TSI_OP_WHERE ? TESS_BOOL : dtype;
    const tess_dtype result = tsi_op_result_dtype(op, dtype);
    const int arity = tsi_op_row(op)->arity;
    for (int k = 0; k < 3; k++) {
        kernel_case_fill(KERNEL_VALUES_ANY, k == 0 ? first : dtype, COUNT, memory[k],
                         (uint64_t)k + 3);
    }
    for (int which = 0; which < LENGTHS; which++) {
        const int64_t count = length_of(which);
        const int64_t shift = which % 5;
        const void *a = start_of(memory[0], first, shift);
        const void *b = arity > 1 ? start_of(memory[1], dtype, 1) : NULL;
        const void *c = arity > 2 ? start_of(memory[2], dtype, 3) : NULL;
        forget_results();
        base(count, start_of(expected, result, shift), a, b, c);
        table->map[op][dtype](count, start_of(got, result, shift), a, b, c);
        check_same(result, count, shift, table->isa, tsi_op_row(op)->name);
    }
}

static void
check_cast(const struct tsi_kernel_table *table, tess_dtype from, tess_dtype to)
{
    kernel_case_fill(KERNEL_VALUES_ANY, from, COUNT, memory[0], 9);
    for (int which = 0; which < LENGTHS; which++) {
        const int64_t count = length_of(which);
        const int64_t shift = which % 3;
        const void *in = start_of(memory[0], from, shift);
        forget_results();
        tsi_kernel_of(0)->cast[from][to](count, start_of(expected, to, shift), in);
        table->cast[from][to](count, start_of(got, to, shift), in);
        check_same(to, count, shift, table->isa, tess_dtype_name(from));
    }
}

static void
check_source(const struct tsi_kernel_table *table, enum tsi_source source, tess_dtype dtype)
{
    struct tsi_source_params params = {-1.25, 3.5, 0.125, 40, 1000, 0x123456789ABCDEF0, 7};
    params.ib = source == TSI_SOURCE_INTEGERS ? (int64_t)UINT64_C(0xC000000000000000) : 3;
    for (int which = 0; which < LENGTHS; which++) {
        const int64_t count = length_of(which);
        const struct tsi_kernel_index index = {which * INT64_C(0x30000001),
                                               which % 4 == 3 ? -(int64_t)(which % 7) : 1};
        const struct tsi_kernel_index backward = {INT64_C(1) << 40, index.stride};
        const struct tsi_kernel_index from = index.stride == 1 ? index : backward;
        const int64_t shift = which % 3;
        forget_results();
        tsi_kernel_of(0)->source[source][dtype](count, start_of(expected, dtype, shift), from,
                                                &params);
        table->source[source][dtype](count, start_of(got, dtype, shift), from, &params);
        check_same(dtype, count, shift, table->isa, "source");
    }
}

// The accumulators of folding the same tile twice, and their results.
static void
check_fold(const struct tsi_kernel_table *table, enum tsi_reduction reduction, tess_dtype dtype,
           int64_t rows, int64_t columns, bool is_down)
{
    const struct tsi_acc_layout layout = tsi_acc_layout(reduction, dtype);
    const tess_dtype result = tsi_reduction_result_dtype(reduction, dtype);
    const int64_t kept = is_down ? columns : rows;
    const struct tsi_fold_index index = {1000, 3, -2};
    static uint64_t planes[3][TSI_ACC_PLANES_MAX][COUNT];
    void *plane[3][TSI_ACC_PLANES_MAX];
    const struct tsi_kernel_table *tables[2] = {tsi_kernel_of(0), table};
    for (int k = 0; k < 3 * TSI_ACC_PLANES_MAX; k++) {
        plane[k / TSI_ACC_PLANES_MAX][k % TSI_ACC_PLANES_MAX] =
            planes[k / TSI_ACC_PLANES_MAX][k % TSI_ACC_PLANES_MAX];
    }
    for (int t = 0; t < 2; t++) {
        const struct tsi_kernel_reduction *kernel = &tables[t]->reduction[reduction][dtype];
        const void *x = start_of(memory[0], dtype, 1);
        kernel->start(kept, plane[t]);
        (is_down ? kernel->down : kernel->across)(rows, columns, x, plane[t], &index);
        (is_down ? kernel->down : kernel->across)(rows, columns, x, plane[t], &index);
    }
    for (int k = 0; k < layout.planes; k++) {
        forget_results();
        const size_t bytes = (size_t)kept * tess_dtype_bytes(layout.dtype[k]);
        memcpy(expected, plane[0][k], bytes);
        memcpy(got, plane[1][k], bytes);
        memcpy(plane[2][k], plane[0][k], bytes);
        check_same(layout.dtype[k], kept, 0, table->isa, tsi_reduction_name(reduction));
    }
    forget_results();
    for (int t = 0; t < 2; t++) {
        const struct tsi_kernel_reduction *kernel = &tables[t]->reduction[reduction][dtype];
        kernel->merge(kept, plane[t], (const void *const *)plane[2]);
        kernel->finish(kept, t == 0 ? expected : got, (const void *const *)plane[t],
                       2.0 * (double)(is_down ? rows : columns), 1.0);
    }
    check_same(result, kept, 0, table->isa, tsi_reduction_name(reduction));
}

static void
check_reduction(const struct tsi_kernel_table *table, enum tsi_reduction reduction,
                tess_dtype dtype)
{
    for (int values = KERNEL_VALUES_ANY; values <= KERNEL_VALUES_FINITE; values++) {
        kernel_case_fill((enum kernel_values)values, dtype, COUNT, memory[0], 4);
        for (int which = 1; which < LENGTHS; which++) {
            const int64_t length = length_of(which);
            const int64_t others = which <= 70 ? 1 + which % 6 : 1;
            check_fold(table, reduction, dtype, others, length, true);
            check_fold(table, reduction, dtype, others, length, false);
            check_fold(table, reduction, dtype, length, others, true);
            check_fold(table, reduction, dtype, length, others, false);
        }
    }
}

Test(kernel_isa, element_wise_kernels_give_the_same_bits)
{
    const struct tsi_kernel_table *table;
    for (int t = 1; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int op = 0; op < TSI_OP_COUNT; op++) {
            for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
                if (table->map[op][dtype] != NULL) {
                    check_map(table, (enum tsi_op)op, (tess_dtype)dtype);
                }
            }
        }
    }
}

Test(kernel_isa, casts_give_the_same_bits)
{
    const struct tsi_kernel_table *table;
    for (int t = 1; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int from = TESS_BOOL; from < TESS_DTYPE_COUNT; from++) {
            for (int to = TESS_BOOL; to < TESS_DTYPE_COUNT; to++) {
                check_cast(table, (tess_dtype)from, (tess_dtype)to);
            }
        }
    }
}

Test(kernel_isa, sources_give_the_same_bits)
{
    const struct tsi_kernel_table *table;
    for (int t = 1; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int source = 0; source < TSI_SOURCE_COUNT; source++) {
            for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
                if (table->source[source][dtype] != NULL) {
                    check_source(table, (enum tsi_source)source, (tess_dtype)dtype);
                }
            }
        }
    }
}

Test(kernel_isa, reductions_give_the_same_bits)
{
    const struct tsi_kernel_table *table;
    for (int t = 1; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int reduction = 0; reduction < TSI_REDUCE_COUNT; reduction++) {
            for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
                check_reduction(table, (enum tsi_reduction)reduction, (tess_dtype)dtype);
            }
        }
    }
}

Test(kernel_isa, combinations_are_products_and_a_sum)
{
    static uint64_t part[2][COUNT];
    static uint64_t scale[COUNT];
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int type = TESS_F32; type <= TESS_F64; type++) {
            const tess_dtype dtype = (tess_dtype)type;
            const double scales[2] = {dtype == TESS_F32 ? (double)0.3F : 0.3, -7.0};
            kernel_case_fill(KERNEL_VALUES_ANY, dtype, COUNT, memory[0], 7);
            kernel_case_fill(KERNEL_VALUES_ANY, dtype, COUNT, memory[1], 8);
            forget_results();
            for (int k = 0; k < 2; k++) {
                for (int64_t i = 0; i < 1000; i++) {
                    if (dtype == TESS_F32) {
                        ((float *)scale)[i] = (float)scales[k];
                    } else {
                        ((double *)scale)[i] = scales[k];
                    }
                }
                table->map[TSI_OP_MULTIPLY][dtype](1000, part[k], memory[k], scale, NULL);
            }
            table->map[TSI_OP_ADD][dtype](1000, expected, part[0], part[1], NULL);
            table->combine[dtype](1000, got, memory[0], scales[0], memory[1], scales[1]);
            check_same(dtype, 1000, 0, table->isa, "combine");
        }
    }
}

Test(kernel_isa, products_give_the_same_bits)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {7, 61, 40}, {30, 33, 130}, {5, 130, 33}};
    const struct tsi_kernel_table *table;
    for (int t = 1; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
            kernel_case_fill(KERNEL_VALUES_FINITE, (tess_dtype)dtype, COUNT, memory[0], 5);
            kernel_case_fill(KERNEL_VALUES_FINITE, (tess_dtype)dtype, COUNT, memory[1], 6);
            for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
                const int64_t *size = sizes[s];
                const struct tsi_kernel_matrix a = {memory[0], size[2], false};
                const struct tsi_kernel_matrix b = {memory[1], size[2], true};
                forget_results();
                tsi_kernel_of(0)->product[dtype](size[0], size[1], size[2], &a, &b, false,
                                                 expected);
                table->product[dtype](size[0], size[1], size[2], &a, &b, false, got);
                check_same((tess_dtype)dtype, size[0] * size[1], 0, table->isa, "product");
            }
        }
    }
}

Test(kernel_isa, the_environment_chooses_a_table)
{
    (void)setenv("TESSERA_ISA", "baseline", 1);
    cr_assert(tsi_kernel() == tsi_kernel_of(0));
    (void)setenv("TESSERA_ISA", "avx2", 1);
    cr_assert(tsi_kernel() == tsi_kernel_of(0), "the choice is made once");
}

Test(kernel_isa, an_unknown_name_chooses_the_best_table)
{
    (void)setenv("TESSERA_ISA", "abacus", 1);
    int last = 0;
    while (tsi_kernel_of(last + 1) != NULL) {
        last++;
    }
    cr_assert(tsi_kernel() == tsi_kernel_of(last));
    cr_assert(strcmp(tsi_kernel_of(0)->isa, "baseline") == 0);
    cr_assert(tsi_kernel_of(-1) == NULL);
}
