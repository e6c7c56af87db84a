// SPDX-License-Identifier: Apache-2.0
//
// Random sources; docs/random.md says which bits an element takes and what becomes of them.
//
// A block of Philox serves two elements, 2b and 2b + 1, from its two halves of 64 bits. Blocks are
// made a register at a time, one in each lane of 64 bits, whose upper half holds rubbish: the
// product of two 32-bit numbers is exact in 64 bits and looks at the lower halves alone. Runs of
// stride 1 use both elements of a block. All others, and the ends of runs, make the block of each
// element and take its half, by the same arithmetic, so that an element has the same bits in every
// run.
//
// Everything is inlined into one loop per source. No branch depends on random bits but the rare
// rejection of an integer. Each step is written for GROUP registers side by side: the steps of one
// wait for each other, and those of the others fill the gaps. A processor looks ahead some hundred
// instructions, which is less than a block takes from counter to number.

#include <math.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/isa_lanes.h"
#include "engine/kernel/philox.h"

typedef tsi_vector_u64 bits64;
typedef tsi_vector_f64 real64;

#define WIDTH TSI_VECTOR_F64
// Registers of blocks that are made side by side: as many as the set has registers for.
#if defined(TSI_ISA_avx512)
#define GROUP 4
#else
#define GROUP 2
#endif

// What is the same for all elements of a run, computed before its loop: the keys of the rounds, and
// how a number is put into its range.
struct recipe {
    bits64 key[TSI_PHILOX_ROUNDS][2];
    bits64 stream;
    real64 low;
    real64 width;
    real64 scale;
    real64 high;
    real64 below_high;
};

// The four words of GROUP registers of blocks, in the lower halves of lanes.
struct words {
    bits64 word[4][GROUP];
};

// The two halves of each block, and what its two elements become.
struct pairs {
    bits64 even[GROUP];
    bits64 odd[GROUP];
};

// The rounds from `first` on. The last one puts the words of a half into one lane: a product has
// both of them, in the wrong order.
TSI_LANES_INLINE void
philox_rounds(struct words *words, int first, const struct recipe *recipe, struct pairs *halves)
{
    const bits64 multiplier_0 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0);
    const bits64 multiplier_1 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_1);
    const bits64(*const key)[2] = recipe->key;
    const int last = TSI_PHILOX_ROUNDS - 1;
    bits64(*const c)[GROUP] = words->word;
#pragma GCC unroll 10
    for (int round = first; round < last; round++) {
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            const bits64 p0 = tsi_lanes_multiply_words(c[0][g], multiplier_0);
            const bits64 p1 = tsi_lanes_multiply_words(c[2][g], multiplier_1);
            c[0][g] = tsi_lanes_xor(tsi_lanes_upper(p1), c[1][g], key[round][0]);
            c[1][g] = p1;
            c[2][g] = tsi_lanes_xor(tsi_lanes_upper(p0), c[3][g], key[round][1]);
            c[3][g] = p0;
        }
    }
#pragma GCC unroll 4
    for (int g = 0; g < GROUP; g++) {
        const bits64 p0 = tsi_lanes_multiply_words(c[0][g], multiplier_0);
        const bits64 p1 = tsi_lanes_multiply_words(c[2][g], multiplier_1);
        halves->even[g] = tsi_lanes_xor_lower(tsi_lanes_swap(p1), c[1][g], key[last][0]);
        halves->odd[g] = tsi_lanes_xor_lower(tsi_lanes_swap(p0), c[3][g], key[last][1]);
    }
}

// The blocks with these counters.
TSI_LANES_INLINE void
philox(const bits64 block[GROUP], const struct recipe *recipe, struct pairs *halves)
{
    struct words words;
    for (int g = 0; g < GROUP; g++) {
        words.word[0][g] = block[g];
        words.word[1][g] = block[g] >> 32;
        words.word[2][g] = recipe->stream;
        words.word[3][g] = tsi_lanes_all(0);
    }
    philox_rounds(&words, 0, recipe, halves);
}

// What the first three rounds have in common for all blocks with the same upper half of the
// counter.
struct start {
    bits64 word_2_round_0; // what is added to the upper half of a product
    bits64 word_0_round_1;
    bits64 word_2_round_1;
    bits64 word_2_round_2;
};

static struct start
start_of(uint64_t block, const struct recipe *recipe)
{
    const bits64 p1 = recipe->stream * TSI_PHILOX_MULTIPLIER_1;
    const bits64 word_0 = (p1 >> 32) ^ (block >> 32) ^ recipe->key[0][0];
    const bits64 p0 = (word_0 & TSI_LANES_LOW_WORD) * TSI_PHILOX_MULTIPLIER_0;
    return (struct start){
        .word_2_round_0 = recipe->key[0][1],
        .word_0_round_1 = p1 ^ recipe->key[1][0],
        .word_2_round_1 = (p0 >> 32) ^ recipe->key[1][1],
        .word_2_round_2 = p0 ^ recipe->key[2][1],
    };
}

// The same as philox(), for blocks with the upper half that `start` was made for. first[g] is the
// first round's product of their lower half, which grows with it by additions.
TSI_LANES_INLINE void
philox_near(const bits64 first[GROUP], const struct start *start, const struct recipe *recipe,
            struct pairs *halves)
{
    const bits64 multiplier_0 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0);
    const bits64 multiplier_1 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_1);
    struct words words;
    bits64(*const c)[GROUP] = words.word;
    for (int g = 0; g < GROUP; g++) {
        const bits64 word_2 = tsi_lanes_upper(first[g]) ^ start->word_2_round_0;
        const bits64 second = tsi_lanes_multiply_words(word_2, multiplier_1);
        const bits64 next_0 = tsi_lanes_upper(second) ^ start->word_0_round_1;
        const bits64 next_2 = first[g] ^ start->word_2_round_1;
        const bits64 p0 = tsi_lanes_multiply_words(next_0, multiplier_0);
        const bits64 p1 = tsi_lanes_multiply_words(next_2, multiplier_1);
        c[0][g] = tsi_lanes_xor(tsi_lanes_upper(p1), second, recipe->key[2][0]);
        c[1][g] = p1;
        c[2][g] = tsi_lanes_upper(p0) ^ start->word_2_round_2;
        c[3][g] = p0;
    }
    philox_rounds(&words, 3, recipe, halves);
}

// √(−ln u) for u = (h0 | 1)·2^−64: h0 | 1 = 2^k·m with m between 3/4 and 3/2, and ln m is an odd
// polynomial in (m − 1)/(m + 1).
TSI_LANES_INLINE void
radii(const bits64 h0[GROUP], real64 radius[GROUP])
{
    static const double term[] = {0x1.3854b4302c840p-3,
                                  0x1.7474c91772d9ep-3,
                                  0x1.c71c0211da23fp-3,
                                  0x1.249249b0f98adp-2,
                                  0x1.99999998f2956p-2,
                                  0x1.555555555576ep-1,
                                  2.0};
    const real64 ln_2 = tsi_lanes_all_f64(-0x1.62e42fefa39efp-1);
    real64 k[GROUP];
    real64 s[GROUP];
    real64 z[GROUP];
    real64 p[GROUP];
    for (int g = 0; g < GROUP; g++) {
        real64 m;
        k[g] = tsi_lanes_split(tsi_lanes_real(h0[g] | 1), 64, &m);
        s[g] = (m - 1.0) / (m + 1.0);
    }
    for (int g = 0; g < GROUP; g++) {
        z[g] = s[g] * s[g];
        p[g] = tsi_lanes_all_f64(0x1.3ab09759a6085p-3);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < sizeof(term) / sizeof(*term); i++) {
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            p[g] = tsi_lanes_fma_near(p[g], z[g], tsi_lanes_all_f64(term[i]));
        }
    }
    for (int g = 0; g < GROUP; g++) {
        radius[g] = tsi_lanes_sqrt(tsi_lanes_fma(k[g], ln_2, -(s[g] * p[g])));
    }
}

// √2·sin(π/2·d) and √2·cos(π/2·d) for d = (the lower 52 bits of h1)·2^−52 − 1/2.
TSI_LANES_INLINE void
legs(const bits64 h1[GROUP], real64 sine[GROUP], real64 cosine[GROUP])
{
    static const double term[][2] = {
        {-0x1.5588a73e88afep-18, -0x1.2af4fef117b67p-15},
        {0x1.dbd6f6b8a9057p-13, 0x1.54cb87d9e2ba0p-10},
        {-0x1.b1e9f34807cbep-8, -0x1.e36ab0b7320b9p-6},
        {0x1.cda106381dcb8p-4, 0x1.6f5a49b291b06p-2},
        {-0x1.d3ba5c1c5f465p-1, -0x1.bea5b6072b211p+0},
        {0x1.1c5831add62e4p+1, 0x1.6a09e667f3bcdp+0},
    };
    real64 d[GROUP];
    real64 y[GROUP];
    for (int g = 0; g < GROUP; g++) {
        d[g] = tsi_lanes_one_to_two(h1[g]) - 1.5;
        y[g] = d[g] * d[g];
        sine[g] = tsi_lanes_all_f64(0x1.5634879bdf5c2p-24);
        cosine[g] = tsi_lanes_all_f64(0x1.6181bbd88978fp-21);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < sizeof(term) / sizeof(*term); i++) {
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            sine[g] = tsi_lanes_fma_near(sine[g], y[g], tsi_lanes_all_f64(term[i][0]));
            cosine[g] = tsi_lanes_fma_near(cosine[g], y[g], tsi_lanes_all_f64(term[i][1]));
        }
    }
    for (int g = 0; g < GROUP; g++) {
        sine[g] *= d[g];
    }
}

// Box and Muller. The angle is within an eighth of a turn of an axis: bit 62 of h1 says of which
// one, and bit 63 on which side of the other.
TSI_LANES_INLINE void
normals(const struct recipe *recipe, struct pairs *pairs)
{
    real64 radius[GROUP];
    real64 sine[GROUP];
    real64 cosine[GROUP];
    radii(pairs->even, radius);
    legs(pairs->odd, sine, cosine);
    for (int g = 0; g < GROUP; g++) {
        const bits64 h1 = pairs->odd[g];
        const real64 r = radius[g] * recipe->width;
        const bits64 a = (bits64)tsi_lanes_fma(r, tsi_lanes_flip(cosine[g], h1), recipe->low);
        const bits64 b = (bits64)tsi_lanes_fma(r, sine[g], recipe->low);
        pairs->even[g] = tsi_lanes_choose_by(h1, 62, a, b);
        pairs->odd[g] = tsi_lanes_choose_by(h1, 62, b, a);
    }
}

// (The upper 53 of 64 bits)·2^−53. What rounding lifts to the end of the range or beyond becomes
// the number before the end.
TSI_LANES_INLINE bits64
uniform(bits64 half, const struct recipe *recipe)
{
    const real64 u = tsi_lanes_real(half & ~UINT64_C(0x7FF)) * 0x1p-64;
    const real64 x = (recipe->low + recipe->width * u) * recipe->scale;
    return tsi_lanes_choose((bits64)(x >= recipe->high), (bits64)x, (bits64)recipe->below_high);
}

// Makes elements of halves, in place.
TSI_LANES_INLINE void
make_elements(enum tsi_source source, const struct recipe *recipe, struct pairs *pairs)
{
    if (source == TSI_SOURCE_NORMAL) {
        normals(recipe, pairs);
    } else if (source == TSI_SOURCE_UNIFORM) {
        for (int g = 0; g < GROUP; g++) {
            pairs->even[g] = uniform(pairs->even[g], recipe);
            pairs->odd[g] = uniform(pairs->odd[g], recipe);
        }
    }
}

// Where b − a overflows, half of it is taken and doubled again, which changes no bit of the others.
static void
set_range(struct recipe *recipe, double a, double b)
{
    const double part = isfinite(b - a) ? 1.0 : 0.5;
    recipe->low = tsi_lanes_all_f64(a * part);
    recipe->width = tsi_lanes_all_f64(b * part - a * part);
    recipe->scale = tsi_lanes_all_f64(1.0 / part);
    recipe->high = tsi_lanes_all_f64(b);
    recipe->below_high = tsi_lanes_all_f64(nextafter(b, a));
}

static struct recipe
recipe_of(enum tsi_source source, const struct tsi_source_params *params)
{
    struct recipe recipe = {.stream = tsi_lanes_all(params->stream)};
    uint32_t key_0 = (uint32_t)params->seed;
    uint32_t key_1 = (uint32_t)(params->seed >> 32);
    for (int round = 0; round < TSI_PHILOX_ROUNDS; round++) {
        recipe.key[round][0] = tsi_lanes_all(key_0);
        recipe.key[round][1] = tsi_lanes_all(key_1);
        key_0 += TSI_PHILOX_WEYL_0;
        key_1 += TSI_PHILOX_WEYL_1;
    }
    if (source == TSI_SOURCE_UNIFORM) {
        set_range(&recipe, params->a, params->b);
    } else {
        recipe.low = tsi_lanes_all_f64(params->a);
        recipe.width = tsi_lanes_all_f64(params->b);
    }
    return recipe;
}

static struct tsi_kernel_index
index_after(struct tsi_kernel_index index, int64_t t)
{
    const uint64_t first = (uint64_t)index.first + (uint64_t)t * (uint64_t)index.stride;
    return (struct tsi_kernel_index){(int64_t)first, index.stride};
}

// Any run: a block for each element.
TSI_LANES_INLINE void
generate_each(enum tsi_source source, int64_t count, uint64_t *out, struct tsi_kernel_index index,
              const struct recipe *recipe)
{
    for (int64_t t = 0; t < count; t += GROUP * WIDTH) {
        const int64_t now = count - t < GROUP * WIDTH ? count - t : GROUP * WIDTH;
        uint64_t element[GROUP * WIDTH];
        bits64 at[GROUP];
        bits64 block[GROUP];
        bits64 mine[GROUP];
        struct pairs pairs;
        for (int l = 0; l < GROUP * WIDTH; l++) {
            element[l] = (uint64_t)index_after(index, t + l).first;
        }
        __builtin_memcpy(at, element, sizeof(at));
        for (int g = 0; g < GROUP; g++) {
            block[g] = at[g] >> 1;
        }
        philox(block, recipe, &pairs);
        make_elements(source, recipe, &pairs);
        for (int g = 0; g < GROUP; g++) {
            mine[g] = tsi_lanes_choose(at[g] << 63, pairs.even[g], pairs.odd[g]);
        }
        __builtin_memcpy(out + t, mine, (size_t)now * sizeof(*out));
    }
}

// Elements that a group of blocks makes.
#define SPAN (2 * GROUP * WIDTH)

// Runs of stride 1 whose blocks, and those of a group around each end, have the same upper half:
// both elements of each block. A group that the run has a part of is made aside.
TSI_LANES_INLINE void
generate_near(enum tsi_source source, int64_t count, uint64_t *out, int64_t first,
              const struct recipe *recipe)
{
    const uint64_t from = (uint64_t)first >> 1;
    const struct start start = start_of(from, recipe);
    uint64_t aside[SPAN];
    bits64 product[GROUP];
    for (int g = 0; g < GROUP; g++) {
        const bits64 block = (bits64)TSI_LANES_ORDER + (from + (uint64_t)(g * WIDTH));
        product[g] = tsi_lanes_multiply_words(block, tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0));
    }
    for (int64_t t = -(first & 1); t < count; t += SPAN) {
        const bool is_whole = t >= 0 && count - t >= SPAN;
        uint64_t *const to = is_whole ? out + t : aside;
        struct pairs pairs;
        philox_near(product, &start, recipe, &pairs);
        make_elements(source, recipe, &pairs);
        for (int g = 0; g < GROUP; g++) {
            const bits64 before = TSI_LANES_LOW(pairs.even[g], pairs.odd[g]);
            const bits64 after = TSI_LANES_HIGH(pairs.even[g], pairs.odd[g]);
            __builtin_memcpy(to + g * 2 * WIDTH, &before, sizeof(before));
            __builtin_memcpy(to + g * 2 * WIDTH + WIDTH, &after, sizeof(after));
            product[g] += (uint64_t)GROUP * WIDTH * TSI_PHILOX_MULTIPLIER_0;
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

#define GENERATE(name, source)                                                                     \
    static void name(int64_t count, void *out, struct tsi_kernel_index index,                      \
                     const struct tsi_source_params *params)                                       \
    {                                                                                              \
        const struct recipe recipe = recipe_of(source, params);                                    \
        if (is_near(count, index)) {                                                               \
            generate_near(source, count, out, index.first, &recipe);                               \
        } else {                                                                                   \
            generate_each(source, count, out, index, &recipe);                                     \
        }                                                                                          \
    }

GENERATE(normal_f64, TSI_SOURCE_NORMAL)
GENERATE(uniform_f64, TSI_SOURCE_UNIFORM)
GENERATE(bits, TSI_SOURCE_INTEGERS)

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

// The 64 bits of an element at a later attempt.
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
