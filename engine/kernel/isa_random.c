// SPDX-License-Identifier: Apache-2.0
//
// Random sources: runs of the numbers of isa_draw.h.
//
// Runs of stride 1 use both elements of a block. All others, and the ends of runs, make the block
// of each element and take its half, by the same arithmetic, so that an element has the same bits
// in every run.
//
// Everything is inlined into one loop per source. No branch depends on random bits but the rare
// rejection of an integer.

#include "engine/kernel/isa_draw.h"

#define WIDTH TSI_VECTOR_F64

static struct tsi_kernel_index
index_after(struct tsi_kernel_index index, int64_t t)
{
    const uint64_t first = (uint64_t)index.first + (uint64_t)t * (uint64_t)index.stride;
    return (struct tsi_kernel_index){(int64_t)first, index.stride};
}

// Any run: a block for each element.
TSI_LANES_INLINE void
generate_each(enum tsi_source source, int64_t count, uint64_t *out, struct tsi_kernel_index index,
              const struct tsi_draw_recipe *recipe)
{
    for (int64_t t = 0; t < count; t += TSI_DRAW_GROUP * WIDTH) {
        const int64_t now = count - t < TSI_DRAW_GROUP * WIDTH ? count - t : TSI_DRAW_GROUP * WIDTH;
        const int registers = tsi_draw_count((now + WIDTH - 1) / WIDTH);
        uint64_t element[TSI_DRAW_GROUP * WIDTH];
        tsi_vector_u64 at[TSI_DRAW_GROUP];
        tsi_vector_u64 block[TSI_DRAW_GROUP];
        tsi_vector_u64 mine[TSI_DRAW_GROUP];
        struct tsi_draw_pairs pairs;
        for (int l = 0; l < registers * WIDTH; l++) {
            element[l] = (uint64_t)index_after(index, t + l).first;
        }
        __builtin_memcpy(at, element, sizeof(at));
        for (int g = 0; g < registers; g++) {
            block[g] = at[g] >> 1;
        }
        tsi_draw_any(block, registers, recipe, &pairs);
        tsi_draw_elements(source, recipe, registers, &pairs);
        for (int g = 0; g < registers; g++) {
            mine[g] = tsi_lanes_choose(at[g] << 63, pairs.even[g], pairs.odd[g]);
        }
        __builtin_memcpy(out + t, mine, (size_t)now * sizeof(*out));
    }
}

// Elements that a group of blocks makes.
#define SPAN (2 * TSI_DRAW_GROUP * WIDTH)

// Runs of stride 1 whose blocks, and those of a group around each end, have the same upper half:
// both elements of each block. A group that the run has a part of is made aside.
TSI_LANES_INLINE void
generate_near(enum tsi_source source, int64_t count, uint64_t *out, int64_t first,
              const struct tsi_draw_recipe *recipe)
{
    const uint64_t from = (uint64_t)first >> 1;
    const struct tsi_draw_start start = tsi_draw_start_of(from, recipe);
    uint64_t aside[SPAN];
    tsi_vector_u64 product[TSI_DRAW_GROUP];
    for (int g = 0; g < TSI_DRAW_GROUP; g++) {
        const tsi_vector_u64 block =
            (tsi_vector_u64)TSI_LANES_ORDER + (from + (uint64_t)(g * WIDTH));
        product[g] = tsi_lanes_multiply_words(block, tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0));
    }
    for (int64_t t = -(first & 1); t < count; t += SPAN) {
        const bool is_whole = t >= 0 && count - t >= SPAN;
        const int registers = tsi_draw_count((count - t + 2 * WIDTH - 1) / (2 * WIDTH));
        uint64_t *const to = is_whole ? out + t : aside;
        struct tsi_draw_pairs pairs;
        tsi_draw_near(product, (uint64_t)TSI_DRAW_GROUP * WIDTH * TSI_PHILOX_MULTIPLIER_0,
                      registers, &start, recipe, &pairs);
        tsi_draw_elements(source, recipe, registers, &pairs);
        for (int g = 0; g < registers; g++) {
            const tsi_vector_u64 before = TSI_LANES_LOW(pairs.even[g], pairs.odd[g]);
            const tsi_vector_u64 after = TSI_LANES_HIGH(pairs.even[g], pairs.odd[g]);
            __builtin_memcpy(to + g * 2 * WIDTH, &before, sizeof(before));
            __builtin_memcpy(to + g * 2 * WIDTH + WIDTH, &after, sizeof(after));
        }
        if (!is_whole) {
            const int64_t skip = t < 0 ? 1 : 0;
            const int64_t end = count - t < SPAN ? count - t : SPAN;
            __builtin_memcpy(out + t + skip, aside + skip, (size_t)(end - skip) * sizeof(*out));
        }
    }
}

static bool
is_near(int64_t count, struct tsi_kernel_index index)
{
    const uint64_t from = (uint64_t)index.first >> 1;
    const uint64_t end = from + (uint64_t)(count / 2 + SPAN);
    return index.stride == 1 && from >> 32 == end >> 32;
}

// The 64 bits of an element at an attempt; the first one is 0.
static uint64_t
attempt_bits(uint64_t element, uint32_t attempt, const struct tsi_source_params *params)
{
    const uint64_t block = element >> 1;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), params->stream, attempt};
    const uint32_t key[2] = {(uint32_t)params->seed, (uint32_t)(params->seed >> 32)};
    uint32_t word[4];
    tsi_philox4x32(counter, key, word);
    const int half = (int)(element & 1) * 2;
    return word[half] | (uint64_t)word[half + 1] << 32;
}

// Runs that are shorter than what the others prepare: element by element, the same arithmetic in
// scalars.
static void
uniform_few(int64_t count, double *out, struct tsi_kernel_index index,
            const struct tsi_source_params *params)
{
    const bool is_finite = isfinite(params->b - params->a);
    const double part = is_finite ? 1.0 : 0.5;
    const double scale = is_finite ? 1.0 : 2.0;
    const double low = params->a * part;
    const double width = params->b * part - low;
    for (int64_t t = 0; t < count; t++) {
        const uint64_t bits = attempt_bits((uint64_t)index_after(index, t).first, 0, params);
        const double u = (double)(bits & ~UINT64_C(0x7FF)) * 0x1p-64;
        const double x = (low + width * u) * scale;
        out[t] = x >= params->b ? nextafter(params->b, params->a) : x;
    }
}

#define GENERATE(name, source)                                                                     \
    static void name(int64_t count, void *out, struct tsi_kernel_index index,                      \
                     const struct tsi_source_params *params)                                       \
    {                                                                                              \
        const struct tsi_draw_recipe recipe = tsi_draw_recipe_of(source, params);                  \
        if (is_near(count, index)) {                                                               \
            generate_near(source, count, out, index.first, &recipe);                               \
        } else {                                                                                   \
            generate_each(source, count, out, index, &recipe);                                     \
        }                                                                                          \
    }

GENERATE(normal_f64, TSI_SOURCE_NORMAL)
GENERATE(uniform_many, TSI_SOURCE_UNIFORM)
GENERATE(bits, TSI_SOURCE_INTEGERS)

enum { FEW = 4 };

static void
uniform_f64(int64_t count, void *out, struct tsi_kernel_index index,
            const struct tsi_source_params *params)
{
    if (count <= FEW) {
        uniform_few(count, out, index, params);
    } else {
        uniform_many(count, out, index, params);
    }
}

tsi_kernel_source *
TSI_ISA_NAME(tsi_isa_random_f64)(enum tsi_source source)
{
    return source == TSI_SOURCE_NORMAL ? normal_f64 : uniform_f64;
}

// Elements that wait on the stack for their last step.
#define BLOCK 512

static void
normal_f32(int64_t count, void *out, struct tsi_kernel_index index,
           const struct tsi_source_params *params)
{
    double wide[BLOCK];
    for (int64_t t = 0; t < count; t += BLOCK) {
        const int64_t now = count - t < BLOCK ? count - t : BLOCK;
        normal_f64(now, wide, index_after(index, t), params);
        TSI_ISA_NAME(tsi_isa_cast_f64)(TESS_F32)(now, (float *)out + t, wide);
    }
}

// Lemire's product: the upper half of bits·bound is below `bound`, and all values are as likely
// where the lower halves below 2^64 mod bound are thrown away. `spare` is that remainder.
TSI_LANES_INLINE uint64_t
below(uint64_t bound, uint64_t spare, uint64_t bits, uint64_t element,
      const struct tsi_source_params *params)
{
    __extension__ typedef unsigned __int128 product_of_64;
    product_of_64 product = (product_of_64)bits * bound;
    for (uint32_t attempt = 1; (uint64_t)product < spare; attempt++) {
        product = (product_of_64)attempt_bits(element, attempt, params) * bound;
    }
    return (uint64_t)(product >> 64);
}

#define INTEGERS(NAME, suffix, T, U)                                                               \
    static void integers_##suffix(int64_t count, void *out, struct tsi_kernel_index index,         \
                                  const struct tsi_source_params *params)                          \
    {                                                                                              \
        T *r = out;                                                                                \
        uint64_t drawn[BLOCK];                                                                     \
        const uint64_t bound = (uint64_t)params->ib;                                               \
        const uint64_t spare = bound == 0 ? 0 : (0 - bound) % bound;                               \
        for (int64_t t = 0; t < count; t += BLOCK) {                                               \
            const int64_t now = count - t < BLOCK ? count - t : BLOCK;                             \
            const struct tsi_kernel_index from = index_after(index, t);                            \
            bits(now, drawn, from, params);                                                        \
            for (int64_t l = 0; l < now; l++) {                                                    \
                const uint64_t element = (uint64_t)index_after(from, l).first;                     \
                const uint64_t x =                                                                 \
                    bound == 0 ? drawn[l] : below(bound, spare, drawn[l], element, params);        \
                r[t + l] = (T)((uint64_t)params->ia + x);                                          \
            }                                                                                      \
        }                                                                                          \
    }

TSI_FOR_INTEGER(INTEGERS)

#define SET(NAME, suffix, T, U) table->source[TSI_SOURCE_INTEGERS][TESS_##NAME] = integers_##suffix;

void
TSI_ISA_NAME(tsi_isa_fill_random)(struct tsi_kernel_table *table)
{
    TSI_FOR_INTEGER(SET)
    table->source[TSI_SOURCE_NORMAL][TESS_F64] = normal_f64;
    table->source[TSI_SOURCE_NORMAL][TESS_F32] = normal_f32;
    table->source[TSI_SOURCE_UNIFORM][TESS_F64] = uniform_f64;
}
