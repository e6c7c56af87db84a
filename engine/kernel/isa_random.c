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
// rejection of an integer.

#include <math.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/isa_lanes.h"
#include "engine/kernel/philox.h"

typedef tsi_vector_u64 bits64;
typedef tsi_vector_f64 real64;

#define WIDTH TSI_VECTOR_F64
// Registers of blocks that are made side by side.
#define GROUP 2

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

// The four words of a block in the lower halves of lanes.
struct words {
    bits64 word[4];
};

// Makes GROUP registers of blocks side by side: the rounds of one wait for each other, so that
// another fills the gaps.
TSI_LANES_INLINE void
philox(struct words group[GROUP], const bits64 block[GROUP], const struct recipe *recipe)
{
    const bits64 multiplier_0 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0);
    const bits64 multiplier_1 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_1);
    bits64 c[GROUP][4];
    for (int g = 0; g < GROUP; g++) {
        c[g][0] = block[g];
        c[g][1] = block[g] >> 32;
        c[g][2] = recipe->stream;
        c[g][3] = tsi_lanes_all(0);
    }
#pragma GCC unroll 10
    for (int round = 0; round < TSI_PHILOX_ROUNDS; round++) {
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            const bits64 p0 = tsi_lanes_multiply_words(c[g][0], multiplier_0);
            const bits64 p1 = tsi_lanes_multiply_words(c[g][2], multiplier_1);
            c[g][0] = (p1 >> 32) ^ (c[g][1] ^ recipe->key[round][0]);
            c[g][1] = p1;
            c[g][2] = (p0 >> 32) ^ (c[g][3] ^ recipe->key[round][1]);
            c[g][3] = p0;
        }
    }
    for (int g = 0; g < GROUP; g++) {
        group[g] = (struct words){{c[g][0], c[g][1], c[g][2], c[g][3]}};
    }
}

// What the two elements of each block become.
struct pair {
    bits64 even;
    bits64 odd;
};

// 2^20 + high·2^−32 and 1/2 + (low >> 11)·2^−53 are floats whose bits are written down at once: the
// integer is the end of the significand. Their difference from what was added is exact.
#define HIGH_ONE UINT64_C(0x4130000000000000)
#define HIGH_BIAS 0x1p20
#define LOW_ONE UINT64_C(0x3FE0000000000000)
#define LOW_BIAS 0.5

TSI_LANES_INLINE real64
real_of_high(bits64 high)
{
    return (real64)(high | HIGH_ONE);
}

TSI_LANES_INLINE real64
real_of_low(bits64 low)
{
    return (real64)(((low << 32) >> 43) | LOW_ONE);
}

// The upper 53 of 64 bits as a number in [0, 1).
TSI_LANES_INLINE real64
unit(bits64 low, bits64 high)
{
    return (real_of_high(high & TSI_LANES_LOW_WORD) - (HIGH_BIAS + LOW_BIAS)) + real_of_low(low);
}

// −2 ln u for 2^−53 <= u <= 1, within 2 ulp: u = 2^k·m with m between √½ and √2, and ln m is an odd
// polynomial in (m − 1)/(m + 1).
TSI_LANES_INLINE real64
minus_two_log(real64 u)
{
    const uint64_t root_half = UINT64_C(0x3FE6A09E667F3BCD);
    const uint64_t one = UINT64_C(0x3FF0000000000000);
    const bits64 shifted = (bits64)u + (one - root_half);
    const real64 exponent = (real64)((shifted >> 52) | UINT64_C(0x4330000000000000));
    const real64 k = exponent - (0x1p52 + 1023.0);
    const real64 m = (real64)((shifted & UINT64_C(0x000FFFFFFFFFFFFF)) + root_half);
    const real64 f = m - 1.0;
    const real64 s = f / (f + 2.0);
    const real64 z = s * s;
    const real64 z2 = z * z;
    const real64 p01 = z * 0x1.99999999952d7p-2 + 0x1.5555555555558p-1;
    const real64 p23 = z * 0x1.c71c62e3f11e6p-3 + 0x1.2492492df281ap-2;
    const real64 p45 = z * 0x1.39fe51a7c18f9p-3 + 0x1.7462b51cb66b1p-3;
    const real64 p = ((z2 * 0x1.2b5900de53b32p-3 + p45) * z2 + p23) * z2 + p01;
    // ln m = f − s·(f − p·z), where the first f is exact and the rest is small.
    const real64 minus_log = s * (f - p * z) - f;
    return k * -0x1.62e42fefa39efp+0 + (minus_log + minus_log);
}

struct turn {
    real64 cosine;
    real64 sine;
};

// cos 2πv and sin 2πv for the v in [0, 1) of the upper 53 of 64 bits, within 2 ulp. v is cut into
// the nearest quarter q/4 and a rest |d| <= 1/8, both exact, from the bits themselves: after an
// eighth of a turn is added, the two upper bits are q and the others d + 1/8.
TSI_LANES_INLINE struct turn
turn_of(bits64 low, bits64 high)
{
    const bits64 q = high + (UINT64_C(1) << 29);
    const bits64 rest = q & UINT64_C(0x3FFFFFFF);
    const real64 d = (real_of_high(rest) - (HIGH_BIAS + 0.125 + LOW_BIAS)) + real_of_low(low);
    const real64 y = d * d;
    const real64 y2 = y * y;
    const real64 s12 = y * 0x1.466bc6775a476p+6 - 0x1.4abbce625be52p+5;
    const real64 s34 = y * 0x1.50783208843ebp+5 - 0x1.32d2cce500387p+6;
    const real64 s56 = y * 0x1.e4a9d9166f052p+1 - 0x1.e3027dea82bd7p+3;
    const real64 s = d * (((s56 * y2 + s34) * y2 + s12) * y + 0x1.921fb54442d18p+2);
    const real64 c12 = y * 0x1.03c1f081b5ac0p+6 - 0x1.3bd3cc9be45dep+4;
    const real64 c34 = y * 0x1.e1f5068688d5bp+5 - 0x1.55d3c7e3cb241p+6;
    const real64 c56 = y * 0x1.f9ce245cada0bp+2 - 0x1.a6d1eef479be1p+4;
    const real64 c7 = tsi_lanes_all_f64(-0x1.b2f3eb054afcdp+0);
    const real64 c = (((c7 * y2 + c56) * y2 + c34) * y2 + c12) * y + 1.0;

    // Odd quarters swap the two; the cosine is negative in quarters 1 and 2, the sine in 2 and 3.
    const bits64 sign = tsi_lanes_all(UINT64_C(1) << 63);
    const bits64 odd = q << 33;
    const bits64 sine_sign = q << 32;
    const bits64 cosine = tsi_lanes_choose(odd, (bits64)c, (bits64)s) ^ ((odd ^ sine_sign) & sign);
    const bits64 sine = tsi_lanes_choose(odd, (bits64)s, (bits64)c) ^ (sine_sign & sign);
    return (struct turn){(real64)cosine, (real64)sine};
}

// Box and Muller: the radius from u = (the upper 53 bits of half 0, plus 1)·2^−53 in (0, 1], the
// angle from half 1.
TSI_LANES_INLINE struct pair
pair_of_normals(struct words block, const struct recipe *recipe)
{
    const real64 high = real_of_high(block.word[1] & TSI_LANES_LOW_WORD) - (HIGH_BIAS + LOW_BIAS);
    const real64 u = high + (real64)((bits64)real_of_low(block.word[0]) + 1);
    const real64 radius = tsi_lanes_sqrt(minus_two_log(u));
    const struct turn angle = turn_of(block.word[2], block.word[3]);
    return (struct pair){(bits64)(recipe->low + recipe->width * (radius * angle.cosine)),
                         (bits64)(recipe->low + recipe->width * (radius * angle.sine))};
}

// What rounding lifts to the end of the range or beyond becomes the number before the end.
TSI_LANES_INLINE real64
into_range(real64 u, const struct recipe *recipe)
{
    const real64 x = (recipe->low + recipe->width * u) * recipe->scale;
    return (real64)tsi_lanes_choose((bits64)(x >= recipe->high), (bits64)x,
                                    (bits64)recipe->below_high);
}

TSI_LANES_INLINE struct pair
pair_of_uniforms(struct words block, const struct recipe *recipe)
{
    const real64 even = unit(block.word[0], block.word[1]);
    const real64 odd = unit(block.word[2], block.word[3]);
    return (struct pair){(bits64)into_range(even, recipe), (bits64)into_range(odd, recipe)};
}

TSI_LANES_INLINE struct pair
pair_of_bits(struct words block)
{
    return (struct pair){(block.word[0] & TSI_LANES_LOW_WORD) | (block.word[1] << 32),
                         (block.word[2] & TSI_LANES_LOW_WORD) | (block.word[3] << 32)};
}

TSI_LANES_INLINE struct pair
pair_of(enum tsi_source source, struct words words, const struct recipe *recipe)
{
    switch (source) {
    case TSI_SOURCE_NORMAL:
        return pair_of_normals(words, recipe);
    case TSI_SOURCE_UNIFORM:
        return pair_of_uniforms(words, recipe);
    default:
        return pair_of_bits(words);
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
        struct words words[GROUP];
        for (int l = 0; l < GROUP * WIDTH; l++) {
            element[l] = (uint64_t)index_after(index, t + l).first;
        }
        __builtin_memcpy(at, element, sizeof(at));
        for (int g = 0; g < GROUP; g++) {
            block[g] = at[g] >> 1;
        }
        philox(words, block, recipe);
        for (int g = 0; g < GROUP; g++) {
            const struct pair both = pair_of(source, words[g], recipe);
            mine[g] = tsi_lanes_choose(at[g] << 63, both.even, both.odd);
        }
        __builtin_memcpy(out + t, mine, (size_t)now * sizeof(*out));
    }
}

// Runs of stride 1 from an even index on: both elements of each block. Returns how many were made.
TSI_LANES_INLINE int64_t
generate_pairs(enum tsi_source source, int64_t count, uint64_t *out, int64_t first,
               const struct recipe *recipe)
{
    int64_t t = 0;
    bits64 block[GROUP];
    for (int g = 0; g < GROUP; g++) {
        block[g] = (bits64)TSI_LANES_ORDER + (((uint64_t)first >> 1) + (uint64_t)(g * WIDTH));
    }
    for (; t + GROUP * 2 * WIDTH <= count; t += GROUP * 2 * WIDTH) {
        struct words words[GROUP];
        philox(words, block, recipe);
        for (int g = 0; g < GROUP; g++) {
            const struct pair both = pair_of(source, words[g], recipe);
            const bits64 before = TSI_LANES_LOW(both.even, both.odd);
            const bits64 after = TSI_LANES_HIGH(both.even, both.odd);
            __builtin_memcpy(out + t + g * 2 * WIDTH, &before, sizeof(before));
            __builtin_memcpy(out + t + g * 2 * WIDTH + WIDTH, &after, sizeof(after));
            block[g] += GROUP * WIDTH;
        }
    }
    return t;
}

#define GENERATE(name, source)                                                                     \
    static void name##_each(int64_t count, uint64_t *out, struct tsi_kernel_index index,           \
                            const struct recipe *recipe)                                           \
    {                                                                                              \
        generate_each(source, count, out, index, recipe);                                          \
    }                                                                                              \
    static void name(int64_t count, void *out, struct tsi_kernel_index index,                      \
                     const struct tsi_source_params *params)                                       \
    {                                                                                              \
        const struct recipe recipe = recipe_of(source, params);                                    \
        int64_t t = 0;                                                                             \
        if (index.stride == 1 && count > 0) {                                                      \
            t = index.first & 1;                                                                   \
            name##_each(t, out, index, &recipe);                                                   \
            t += generate_pairs(source, count - t, (uint64_t *)out + t, index.first + t, &recipe); \
        }                                                                                          \
        name##_each(count - t, (uint64_t *)out + t, index_after(index, t), &recipe);               \
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
