// SPDX-License-Identifier: Apache-2.0
//
// Random numbers in registers; docs/random.md says which bits an element takes and what becomes of
// them.
//
// A block of Philox serves two elements, 2b and 2b + 1, from its two halves of 64 bits. Blocks are
// made a register at a time, one in each lane of 64 bits, whose upper half holds rubbish: the
// product of two 32-bit numbers is exact in 64 bits and looks at the lower halves alone.
//
// No branch depends on random bits. Each step is written for TSI_DRAW_SIDE registers side by side:
// the steps of one wait for each other, and those of the others fill the gaps. A processor looks
// ahead some hundred instructions, which is less than a block takes from counter to number; so a
// group of TSI_DRAW_GROUP registers goes through each part of the way before the next one begins,
// and the processor sees many short ways beside each other.

#ifndef TSI_KERNEL_ISA_DRAW_H
#define TSI_KERNEL_ISA_DRAW_H

#include <math.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/isa_lanes.h"
#include "engine/kernel/philox.h"

// Registers side by side, as many as the set has registers for, and in a group. With 32 registers
// the two are the same, and nothing between two parts is stored.
#if defined(TSI_ISA_avx512)
#define TSI_DRAW_SIDE 4
#define TSI_DRAW_GROUP 4
#elif defined(TSI_ISA_avx2)
#define TSI_DRAW_SIDE 3
#define TSI_DRAW_GROUP 12
#else
#define TSI_DRAW_SIDE 2
#define TSI_DRAW_GROUP 2
#endif

// What is the same for all elements of a run, computed before its loop: the keys of the rounds, and
// how a number is put into its range.
struct tsi_draw_recipe {
    tsi_vector_u64 key[TSI_PHILOX_ROUNDS][2];
    tsi_vector_u64 stream;
    tsi_vector_f64 low;
    tsi_vector_f64 width;
    tsi_vector_f64 scale;
    tsi_vector_f64 high;
    tsi_vector_f64 below_high;
};

// The four words of TSI_DRAW_SIDE registers of blocks, in the lower halves of lanes.
struct tsi_draw_words {
    tsi_vector_u64 word[4][TSI_DRAW_SIDE];
};

// The two halves of each block, and what its two elements become.
struct tsi_draw_pairs {
    tsi_vector_u64 even[TSI_DRAW_GROUP];
    tsi_vector_u64 odd[TSI_DRAW_GROUP];
};

// How many registers of a group are made where `wanted` are, at least one: some more, but no more
// than a group.
TSI_LANES_INLINE int
tsi_draw_count(int64_t wanted)
{
    const bool is_part = TSI_DRAW_GROUP > TSI_DRAW_SIDE && wanted < TSI_DRAW_GROUP;
    return is_part ? ((int)wanted + TSI_DRAW_SIDE - 1) / TSI_DRAW_SIDE * TSI_DRAW_SIDE
                   : TSI_DRAW_GROUP;
}

// Where the loop over the registers of a group ends. For a group of one TSI_DRAW_SIDE it is a
// constant from the start, so that gcc drops the loop before it chooses registers, and copies none.
TSI_LANES_INLINE int
tsi_draw_end(int count)
{
    return TSI_DRAW_GROUP > TSI_DRAW_SIDE ? count : TSI_DRAW_SIDE;
}

// One round. Without a three-way exclusive or, the keys are taken in first and all is done in
// place, in the order in which it stands here: 16 registers are then enough for three side by side,
// which they are not where gcc mixes rounds.
TSI_LANES_INLINE void
tsi_draw_round(struct tsi_draw_words *words, const tsi_vector_u64 key[2])
{
    const tsi_vector_u64 multiplier_0 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0);
    const tsi_vector_u64 multiplier_1 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_1);
    tsi_vector_u64(*const c)[TSI_DRAW_SIDE] = words->word;
#if defined(TSI_ISA_avx512)
#pragma GCC unroll 4
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        const tsi_vector_u64 p0 = tsi_lanes_multiply_words(c[0][g], multiplier_0);
        const tsi_vector_u64 p1 = tsi_lanes_multiply_words(c[2][g], multiplier_1);
        c[0][g] = tsi_lanes_xor(tsi_lanes_upper(p1), c[1][g], key[0]);
        c[1][g] = p1;
        c[2][g] = tsi_lanes_xor(tsi_lanes_upper(p0), c[3][g], key[1]);
        c[3][g] = p0;
    }
#else
#pragma GCC unroll 4
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        c[1][g] = tsi_lanes_keep(c[1][g] ^ key[0]);
        c[3][g] = tsi_lanes_keep(c[3][g] ^ key[1]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        c[0][g] = tsi_lanes_keep(tsi_lanes_multiply_words(c[0][g], multiplier_0));
        c[2][g] = tsi_lanes_keep(tsi_lanes_multiply_words(c[2][g], multiplier_1));
    }
#pragma GCC unroll 4
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        const tsi_vector_u64 p0 = c[0][g];
        const tsi_vector_u64 p1 = c[2][g];
        c[0][g] = tsi_lanes_keep(tsi_lanes_upper(p1) ^ c[1][g]);
        c[1][g] = p1;
        c[2][g] = tsi_lanes_keep(tsi_lanes_upper(p0) ^ c[3][g]);
        c[3][g] = p0;
    }
#endif
}

// The rounds from `first` on, for the registers of the group from `at` on. The last one puts the
// words of a half into one lane: a product has both of them, in the wrong order.
TSI_LANES_INLINE void
tsi_draw_rounds(struct tsi_draw_words *words, int first, const struct tsi_draw_recipe *recipe,
                int at, struct tsi_draw_pairs *halves)
{
    const tsi_vector_u64 multiplier_0 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0);
    const tsi_vector_u64 multiplier_1 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_1);
    const int last = TSI_PHILOX_ROUNDS - 1;
    tsi_vector_u64(*const c)[TSI_DRAW_SIDE] = words->word;
#pragma GCC unroll 10
    for (int round = first; round < last; round++) {
        tsi_draw_round(words, recipe->key[round]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        const tsi_vector_u64 p0 = tsi_lanes_multiply_words(c[0][g], multiplier_0);
        const tsi_vector_u64 p1 = tsi_lanes_multiply_words(c[2][g], multiplier_1);
        halves->even[at + g] =
            tsi_lanes_xor_lower(tsi_lanes_swap(p1), c[1][g], recipe->key[last][0]);
        halves->odd[at + g] =
            tsi_lanes_xor_lower(tsi_lanes_swap(p0), c[3][g], recipe->key[last][1]);
    }
}

// The blocks with these counters, in the first `count` registers of a group.
TSI_LANES_INLINE void
tsi_draw_any(const tsi_vector_u64 block[TSI_DRAW_GROUP], int count,
             const struct tsi_draw_recipe *recipe, struct tsi_draw_pairs *halves)
{
    for (int at = 0; at < tsi_draw_end(count); at += TSI_DRAW_SIDE) {
        struct tsi_draw_words words;
        for (int g = 0; g < TSI_DRAW_SIDE; g++) {
            words.word[0][g] = block[at + g];
            words.word[1][g] = block[at + g] >> 32;
            words.word[2][g] = recipe->stream;
            words.word[3][g] = tsi_lanes_all(0);
        }
        tsi_draw_rounds(&words, 0, recipe, at, halves);
    }
}

// What the first three rounds have in common for all blocks with the same upper half of the
// counter.
struct tsi_draw_start {
    tsi_vector_u64 word_2_round_0; // what is added to the upper half of a product
    tsi_vector_u64 word_0_round_1;
    tsi_vector_u64 word_2_round_1;
    tsi_vector_u64 word_2_round_2;
};

static struct tsi_draw_start
tsi_draw_start_of(uint64_t block, const struct tsi_draw_recipe *recipe)
{
    const tsi_vector_u64 p1 = recipe->stream * TSI_PHILOX_MULTIPLIER_1;
    const tsi_vector_u64 word_0 = (p1 >> 32) ^ (block >> 32) ^ recipe->key[0][0];
    const tsi_vector_u64 p0 = (word_0 & TSI_LANES_LOW_WORD) * TSI_PHILOX_MULTIPLIER_0;
    return (struct tsi_draw_start){
        .word_2_round_0 = recipe->key[0][1],
        .word_0_round_1 = p1 ^ recipe->key[1][0],
        .word_2_round_1 = (p0 >> 32) ^ recipe->key[1][1],
        .word_2_round_2 = p0 ^ recipe->key[2][1],
    };
}

// The first three rounds of blocks with the upper half that `start` was made for. first[g] is the
// first round's product of their lower half, which grows with it by additions.
TSI_LANES_INLINE void
tsi_draw_begin(const tsi_vector_u64 first[TSI_DRAW_SIDE], const struct tsi_draw_start *start,
               const struct tsi_draw_recipe *recipe, struct tsi_draw_words *words)
{
    const tsi_vector_u64 multiplier_0 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_0);
    const tsi_vector_u64 multiplier_1 = tsi_lanes_all(TSI_PHILOX_MULTIPLIER_1);
    tsi_vector_u64(*const c)[TSI_DRAW_SIDE] = words->word;
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        const tsi_vector_u64 word_2 = tsi_lanes_upper(first[g]) ^ start->word_2_round_0;
        const tsi_vector_u64 second = tsi_lanes_multiply_words(word_2, multiplier_1);
        const tsi_vector_u64 next_0 = tsi_lanes_upper(second) ^ start->word_0_round_1;
        const tsi_vector_u64 next_2 = first[g] ^ start->word_2_round_1;
        const tsi_vector_u64 p0 = tsi_lanes_multiply_words(next_0, multiplier_0);
        const tsi_vector_u64 p1 = tsi_lanes_multiply_words(next_2, multiplier_1);
        c[0][g] = tsi_lanes_xor(tsi_lanes_upper(p1), second, recipe->key[2][0]);
        c[1][g] = p1;
        c[2][g] = tsi_lanes_upper(p0) ^ start->word_2_round_2;
        c[3][g] = p0;
    }
}

// The same as tsi_draw_any(), for blocks that tsi_draw_begin() can begin. Each product in `first`
// moves on by `step`.
TSI_LANES_INLINE void
tsi_draw_near(tsi_vector_u64 first[TSI_DRAW_GROUP], uint64_t step, int count,
              const struct tsi_draw_start *start, const struct tsi_draw_recipe *recipe,
              struct tsi_draw_pairs *halves)
{
    for (int at = 0; at < tsi_draw_end(count); at += TSI_DRAW_SIDE) {
        struct tsi_draw_words words;
        tsi_draw_begin(first + at, start, recipe, &words);
        tsi_draw_rounds(&words, 3, recipe, at, halves);
        for (int g = 0; g < TSI_DRAW_SIDE; g++) {
            first[at + g] += step;
        }
    }
}

// ln u for u = (h0 | 1)·2^−64 in two parts: h0 | 1 = 2^k·m with m between 3/4 and 3/2, and ln m is
// an odd polynomial in s = (m − 1)/(m + 1).
TSI_LANES_INLINE void
tsi_draw_split(const tsi_vector_u64 h0[TSI_DRAW_SIDE], tsi_vector_f64 k[TSI_DRAW_SIDE],
               tsi_vector_f64 s[TSI_DRAW_SIDE])
{
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        tsi_vector_f64 m;
        k[g] = tsi_lanes_split(tsi_lanes_real(h0[g] | 1), 64, &m);
        s[g] = (m - 1.0) / (m + 1.0);
    }
}

// −ln u, which is the square of a radius; it takes the place of k.
TSI_LANES_INLINE void
tsi_draw_squares(const tsi_vector_f64 s[TSI_DRAW_SIDE], tsi_vector_f64 k[TSI_DRAW_SIDE])
{
    static const double term[] = {0x1.3854b4302c840p-3,
                                  0x1.7474c91772d9ep-3,
                                  0x1.c71c0211da23fp-3,
                                  0x1.249249b0f98adp-2,
                                  0x1.99999998f2956p-2,
                                  0x1.555555555576ep-1,
                                  2.0};
    const tsi_vector_f64 ln_2 = tsi_lanes_all_f64(-0x1.62e42fefa39efp-1);
    tsi_vector_f64 z[TSI_DRAW_SIDE];
    tsi_vector_f64 p[TSI_DRAW_SIDE];
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        z[g] = s[g] * s[g];
        p[g] = tsi_lanes_all_f64(0x1.3ab09759a6085p-3);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < sizeof(term) / sizeof(*term); i++) {
#pragma GCC unroll 4
        for (int g = 0; g < TSI_DRAW_SIDE; g++) {
            p[g] = tsi_lanes_fma_near(p[g], z[g], tsi_lanes_all_f64(term[i]));
        }
    }
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        k[g] = tsi_lanes_fma(k[g], ln_2, -(s[g] * p[g]));
    }
}

// √2·sin(π/2·d) and √2·cos(π/2·d) for d = (the lower 52 bits of h1)·2^−52 − 1/2.
TSI_LANES_INLINE void
tsi_draw_legs(const tsi_vector_u64 h1[TSI_DRAW_SIDE], tsi_vector_f64 sine[TSI_DRAW_SIDE],
              tsi_vector_f64 cosine[TSI_DRAW_SIDE])
{
    static const double term[][2] = {
        {-0x1.5588a73e88afep-18, -0x1.2af4fef117b67p-15},
        {0x1.dbd6f6b8a9057p-13, 0x1.54cb87d9e2ba0p-10},
        {-0x1.b1e9f34807cbep-8, -0x1.e36ab0b7320b9p-6},
        {0x1.cda106381dcb8p-4, 0x1.6f5a49b291b06p-2},
        {-0x1.d3ba5c1c5f465p-1, -0x1.bea5b6072b211p+0},
        {0x1.1c5831add62e4p+1, 0x1.6a09e667f3bcdp+0},
    };
    tsi_vector_f64 d[TSI_DRAW_SIDE];
    tsi_vector_f64 y[TSI_DRAW_SIDE];
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        d[g] = tsi_lanes_one_to_two(h1[g]) - 1.5;
        y[g] = d[g] * d[g];
        sine[g] = tsi_lanes_all_f64(0x1.5634879bdf5c2p-24);
        cosine[g] = tsi_lanes_all_f64(0x1.6181bbd88978fp-21);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < sizeof(term) / sizeof(*term); i++) {
#pragma GCC unroll 4
        for (int g = 0; g < TSI_DRAW_SIDE; g++) {
            sine[g] = tsi_lanes_fma_near(sine[g], y[g], tsi_lanes_all_f64(term[i][0]));
            cosine[g] = tsi_lanes_fma_near(cosine[g], y[g], tsi_lanes_all_f64(term[i][1]));
        }
    }
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        sine[g] *= d[g];
    }
}

// Box and Muller. The angle is within an eighth of a turn of an axis: bit 62 of h1 says of which
// one, and bit 63 on which side of the other.
TSI_LANES_INLINE void
tsi_draw_turn(const struct tsi_draw_recipe *recipe, const tsi_vector_f64 square[TSI_DRAW_SIDE],
              int at, struct tsi_draw_pairs *pairs)
{
    tsi_vector_f64 radius[TSI_DRAW_SIDE];
    tsi_vector_f64 sine[TSI_DRAW_SIDE];
    tsi_vector_f64 cosine[TSI_DRAW_SIDE];
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        radius[g] = tsi_lanes_sqrt(square[g]);
    }
    tsi_draw_legs(pairs->odd + at, sine, cosine);
    for (int g = 0; g < TSI_DRAW_SIDE; g++) {
        const tsi_vector_u64 h1 = pairs->odd[at + g];
        const tsi_vector_f64 r = radius[g] * recipe->width;
        const tsi_vector_u64 a =
            (tsi_vector_u64)tsi_lanes_fma(r, tsi_lanes_flip(cosine[g], h1), recipe->low);
        const tsi_vector_u64 b = (tsi_vector_u64)tsi_lanes_fma(r, sine[g], recipe->low);
        pairs->even[at + g] = tsi_lanes_choose_by(h1, 62, a, b);
        pairs->odd[at + g] = tsi_lanes_choose_by(h1, 62, b, a);
    }
}

TSI_LANES_INLINE void
tsi_draw_normals(const struct tsi_draw_recipe *recipe, int count, struct tsi_draw_pairs *pairs)
{
    tsi_vector_f64 k[TSI_DRAW_GROUP];
    tsi_vector_f64 s[TSI_DRAW_GROUP];
    for (int at = 0; at < tsi_draw_end(count); at += TSI_DRAW_SIDE) {
        tsi_draw_split(pairs->even + at, k + at, s + at);
    }
    for (int at = 0; at < tsi_draw_end(count); at += TSI_DRAW_SIDE) {
        tsi_draw_squares(s + at, k + at);
    }
    for (int at = 0; at < tsi_draw_end(count); at += TSI_DRAW_SIDE) {
        tsi_draw_turn(recipe, k + at, at, pairs);
    }
}

// (The upper 53 of 64 bits)·2^−53. What rounding lifts to the end of the range or beyond becomes
// the number before the end.
TSI_LANES_INLINE tsi_vector_u64
tsi_draw_uniform(tsi_vector_u64 half, const struct tsi_draw_recipe *recipe)
{
    const tsi_vector_f64 u = tsi_lanes_real(half & ~UINT64_C(0x7FF)) * 0x1p-64;
    const tsi_vector_f64 x = (recipe->low + recipe->width * u) * recipe->scale;
    return tsi_lanes_choose((tsi_vector_u64)(x >= recipe->high), (tsi_vector_u64)x,
                            (tsi_vector_u64)recipe->below_high);
}

// Makes elements of halves, in place.
TSI_LANES_INLINE void
tsi_draw_elements(enum tsi_source source, const struct tsi_draw_recipe *recipe, int count,
                  struct tsi_draw_pairs *pairs)
{
    if (source == TSI_SOURCE_NORMAL) {
        tsi_draw_normals(recipe, count, pairs);
    } else if (source == TSI_SOURCE_UNIFORM) {
        for (int g = 0; g < count; g++) {
            pairs->even[g] = tsi_draw_uniform(pairs->even[g], recipe);
            pairs->odd[g] = tsi_draw_uniform(pairs->odd[g], recipe);
        }
    }
}

// Where b − a overflows, half of it is taken and doubled again, which changes no bit of the others.
static void
tsi_draw_range(struct tsi_draw_recipe *recipe, double a, double b)
{
    const double part = isfinite(b - a) ? 1.0 : 0.5;
    recipe->low = tsi_lanes_all_f64(a * part);
    recipe->width = tsi_lanes_all_f64(b * part - a * part);
    recipe->scale = tsi_lanes_all_f64(1.0 / part);
    recipe->high = tsi_lanes_all_f64(b);
    recipe->below_high = tsi_lanes_all_f64(nextafter(b, a));
}

static struct tsi_draw_recipe
tsi_draw_recipe_of(enum tsi_source source, const struct tsi_source_params *params)
{
    struct tsi_draw_recipe recipe = {.stream = tsi_lanes_all(params->stream)};
    uint32_t key_0 = (uint32_t)params->seed;
    uint32_t key_1 = (uint32_t)(params->seed >> 32);
    for (int round = 0; round < TSI_PHILOX_ROUNDS; round++) {
        recipe.key[round][0] = tsi_lanes_all(key_0);
        recipe.key[round][1] = tsi_lanes_all(key_1);
        key_0 += TSI_PHILOX_WEYL_0;
        key_1 += TSI_PHILOX_WEYL_1;
    }
    if (source == TSI_SOURCE_UNIFORM) {
        tsi_draw_range(&recipe, params->a, params->b);
    } else {
        recipe.low = tsi_lanes_all_f64(params->a);
        recipe.width = tsi_lanes_all_f64(params->b);
    }
    return recipe;
}

#endif
