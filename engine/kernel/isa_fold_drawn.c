// SPDX-License-Identifier: Apache-2.0
//
// Sums down random numbers that are never stored. The registers of a group are of as many rows, at
// the same columns: their accumulators are loaded and stored once for all of them, and no register
// is wasted but at the end of the rows.
//
// The two elements of a block are neighbours in a row. Meanwhile their accumulators are apart, so
// that numbers are added as they come out of the transform.

#include "engine/kernel/isa_draw.h"

#define WIDTH TSI_VECTOR_F64
#define COLUMNS TSI_KERNEL_DRAWN_COLUMNS
// Blocks of a row of all columns that begins at an odd index, in whole registers.
#define BLOCKS (COLUMNS / 2 + WIDTH)

struct sums {
    double even[BLOCKS];
    double odd[BLOCKS];
};

// Takes apart `count` sums of elements of which the first is the `skip`th of its block, or puts
// them together again.
static void
part_sums(int64_t skip, int64_t count, const double *acc, struct sums *sums)
{
    double together[2 * BLOCKS];
    __builtin_memset(sums, 0, sizeof(*sums));
    together[0] = 0.0;
    together[skip + count] = 0.0;
    __builtin_memcpy(together + skip, acc, (size_t)count * sizeof(*acc));
    for (int64_t k = 0; k < (skip + count + 1) / 2; k++) {
        sums->even[k] = together[2 * k];
        sums->odd[k] = together[2 * k + 1];
    }
}

static void
join_sums(int64_t skip, int64_t count, const struct sums *sums, double *acc)
{
    double together[2 * BLOCKS];
    for (int64_t k = 0; k < (skip + count + 1) / 2; k++) {
        together[2 * k] = sums->even[k];
        together[2 * k + 1] = sums->odd[k];
    }
    __builtin_memcpy(acc, together + skip, (size_t)count * sizeof(*acc));
}

// At most a group of rows, in whole TSI_DRAW_SIDE, whose blocks have the same upper half; `block`
// is the first one's first.
TSI_LANES_INLINE void
add_rows(enum tsi_source source, int count, uint64_t block, uint64_t step, int64_t blocks,
         const struct tsi_draw_recipe *recipe, struct sums *sums)
{
    const struct tsi_draw_start start = tsi_draw_start_of(block, recipe);
    tsi_vector_u64 product[TSI_DRAW_GROUP];
    uint64_t lane[WIDTH];
    for (int l = 0; l < WIDTH; l++) {
        lane[l] = block + (uint64_t)l;
    }
    for (int g = 0; g < count; g++) {
        __builtin_memcpy(&product[g], lane, sizeof(lane));
        product[g] = tsi_lanes_multiply_words(product[g] + (uint64_t)g * step,
                                              tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0));
    }
    for (int64_t k = 0; k < blocks; k += WIDTH) {
        tsi_vector_f64 even = tsi_isa_load_f64(sums->even + k);
        tsi_vector_f64 odd = tsi_isa_load_f64(sums->odd + k);
        struct tsi_draw_pairs pairs;
        tsi_draw_near(product, (uint64_t)WIDTH * TSI_PHILOX_MULTIPLIER_0, count, &start, recipe,
                      &pairs);
        tsi_draw_elements(source, recipe, count, &pairs);
        for (int g = 0; g < count; g++) {
            even += (tsi_vector_f64)pairs.even[g];
            odd += (tsi_vector_f64)pairs.odd[g];
        }
        tsi_isa_store_f64(sums->even + k, even);
        tsi_isa_store_f64(sums->odd + k, odd);
    }
}

// Whether the blocks of all rows, and of a register beyond each, have the same upper half.
static bool
is_near(int64_t rows, int64_t columns, int64_t first, int64_t row_step)
{
    const uint64_t last = (uint64_t)first + (uint64_t)(rows - 1) * (uint64_t)row_step;
    const uint64_t low = row_step < 0 ? last : (uint64_t)first;
    const uint64_t high = row_step < 0 ? (uint64_t)first : last;
    return low >> 33 == (high + (uint64_t)columns + 2 * WIDTH) >> 33;
}

// Rows of which no group is left, or that begin at odd and at even indices in turn.
static void
add_stored(enum tsi_source source, int64_t rows, int64_t columns, struct tsi_kernel_index index,
           int64_t row_step, const struct tsi_source_params *params, double *acc)
{
    double row[COLUMNS];
    for (int64_t i = 0; i < rows; i++) {
        TSI_ISA_NAME(tsi_isa_random_f64)(source)(columns, row, index, params);
        for (int64_t j = 0; j < columns; j++) {
            acc[j] += row[j];
        }
        index.first = (int64_t)((uint64_t)index.first + (uint64_t)row_step);
    }
}

#define DRAWN(name, source)                                                                        \
    static void name(int64_t rows, int64_t columns, int64_t first, int64_t row_step,               \
                     const struct tsi_source_params *params, double *acc)                          \
    {                                                                                              \
        struct sums sums;                                                                          \
        struct tsi_kernel_index rest = {first, 1};                                                 \
        int64_t i = 0;                                                                             \
        if (rows >= TSI_DRAW_SIDE && row_step % 2 == 0 &&                                          \
            is_near(rows, columns, first, row_step)) {                                             \
            const struct tsi_draw_recipe recipe = tsi_draw_recipe_of(source, params);              \
            const int64_t skip = first & 1;                                                        \
            part_sums(skip, columns, acc, &sums);                                                  \
            for (int count; i + TSI_DRAW_SIDE <= rows; i += count) {                               \
                count = tsi_draw_count(rows - i - (TSI_DRAW_SIDE - 1));                            \
                add_rows(source, count, (uint64_t)(first + i * row_step) >> 1,                     \
                         (uint64_t)(row_step / 2), (skip + columns + 1) / 2, &recipe, &sums);      \
            }                                                                                      \
            join_sums(skip, columns, &sums, acc);                                                  \
            rest.first = (int64_t)((uint64_t)first + (uint64_t)i * (uint64_t)row_step);            \
        }                                                                                          \
        add_stored(source, rows - i, columns, rest, row_step, params, acc);                        \
    }

DRAWN(drawn_normal, TSI_SOURCE_NORMAL)
DRAWN(drawn_uniform, TSI_SOURCE_UNIFORM)

void
TSI_ISA_NAME(tsi_isa_fill_fold_drawn)(struct tsi_kernel_table *table)
{
    table->drawn[TSI_SOURCE_NORMAL] = drawn_normal;
    table->drawn[TSI_SOURCE_UNIFORM] = drawn_uniform;
}
