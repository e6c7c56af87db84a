// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 and the method of Box and Muller, a block in each lane: block b gives the elements
// 2b and 2b + 1, from its two halves. The polynomials are the power series of the logarithm, the
// sine and the cosine, with as many terms as double precision needs; unlike Tessera's kernels,
// these may fuse multiplications with additions.

#include "bench/limit/isa_lanes.h"
#include "bench/limit/limit_isa.h"

#define ROUNDS 10
#define GROUP 2 // registers of blocks side by side
#define LOW_WORD UINT64_C(0xFFFFFFFF)

struct block {
    bits word[4];
};

LANES_INLINE void
make_blocks(struct block out[GROUP], uint64_t first)
{
    bits c[GROUP][4];
    bits lane;
    for (int i = 0; i < LANES; i++) {
        lane[i] = (uint64_t)i;
    }
    for (int g = 0; g < GROUP; g++) {
        c[g][0] = lane + (first + (uint64_t)(g * LANES));
        c[g][1] = c[g][0] >> 32;
        c[g][2] = all(1);
        c[g][3] = all(0);
    }
    uint32_t key[2] = {12345, 67890};
#pragma GCC unroll 10
    for (int round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            const bits p0 = multiply_words(c[g][0], all(0xD2511F53));
            const bits p1 = multiply_words(c[g][2], all(0xCD9E8D57));
            c[g][0] = (p1 >> 32) ^ c[g][1] ^ all(key[0]);
            c[g][1] = p1;
            c[g][2] = (p0 >> 32) ^ c[g][3] ^ all(key[1]);
            c[g][3] = p0;
        }
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    for (int g = 0; g < GROUP; g++) {
        for (int w = 0; w < 4; w++) {
            out[g].word[w] = c[g][w];
        }
    }
}

// The upper 52 of 64 bits as a number in [1, 2).
LANES_INLINE reals
one_to_two(bits low, bits high)
{
    const bits word = (high << 32) | (low & LOW_WORD);
    return (reals)((word >> 12) | UINT64_C(0x3FF0000000000000));
}

// −2 ln u of 0 < u <= 1.
LANES_INLINE reals
minus_two_log(reals u)
{
    const bits shifted = (bits)u + (UINT64_C(0x3FF0000000000000) - UINT64_C(0x3FE6A09E667F3BCD));
    const reals exponent = (reals)((shifted >> 52) | UINT64_C(0x4330000000000000));
    const reals k = exponent - (0x1p52 + 1023.0);
    const reals m =
        (reals)((shifted & UINT64_C(0x000FFFFFFFFFFFFF)) + UINT64_C(0x3FE6A09E667F3BCD));
    const reals s = (m - 1.0) / (m + 1.0);
    const reals z = s * s;
    reals p = z * (4.0 / 17) + 4.0 / 15;
    p = p * z + 4.0 / 13;
    p = p * z + 4.0 / 11;
    p = p * z + 4.0 / 9;
    p = p * z + 4.0 / 7;
    p = p * z + 4.0 / 5;
    p = p * z + 4.0 / 3;
    p = p * z + 4.0;
    return k * -0x1.62e42fefa39efp+0 - s * p;
}

#define TURN 6.283185307179586

// The cosine and the sine of v turns, times `radius`.
LANES_INLINE void
turn(reals v, reals radius, reals *even, reals *odd)
{
    // The nearest quarter, by rounding to a whole number at the end of the significand.
    const reals shifted = v * 4.0 + 0x1.8p52;
    const bits quarter = (bits)shifted;
    const reals x = (v - (shifted - 0x1.8p52) * 0.25) * TURN;
    const reals y = x * x;
    reals s = y * (1.0 / 6227020800) - 1.0 / 39916800;
    s = s * y + 1.0 / 362880;
    s = s * y - 1.0 / 5040;
    s = s * y + 1.0 / 120;
    s = s * y - 1.0 / 6;
    s = s * y * x + x;
    reals c = y * (-1.0 / 87178291200) + 1.0 / 479001600;
    c = c * y - 1.0 / 3628800;
    c = c * y + 1.0 / 40320;
    c = c * y - 1.0 / 720;
    c = c * y + 1.0 / 24;
    c = c * y - 0.5;
    c = c * y + 1.0;
    const bits odd_quarter = -(quarter & 1);
    const bits cosine = ((bits)s & odd_quarter) | ((bits)c & ~odd_quarter);
    const bits sine = ((bits)c & odd_quarter) | ((bits)s & ~odd_quarter);
    const bits cosine_sign = ((quarter + 1) & 2) << 62;
    const bits sine_sign = (quarter & 2) << 62;
    *even = radius * (reals)(cosine ^ cosine_sign);
    *odd = radius * (reals)(sine ^ sine_sign);
}

LANES_INLINE void
normals(const struct block *block, reals *even, reals *odd)
{
    const reals u = 2.0 - one_to_two(block->word[0], block->word[1]);
    const reals v = one_to_two(block->word[2], block->word[3]) - 1.0;
    turn(v, square_root(minus_two_log(u)), even, odd);
}

static void
add_normals(uint64_t first, int64_t pairs, double *even, double *odd)
{
    struct block blocks[GROUP];
    for (int64_t i = 0; i + GROUP * LANES <= pairs; i += GROUP * LANES) {
        make_blocks(blocks, first / 2 + (uint64_t)i);
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            const int64_t at = i + g * LANES;
            reals a;
            reals b;
            normals(&blocks[g], &a, &b);
            store(even + at, load(even + at) + a);
            store(odd + at, load(odd + at) + b);
        }
    }
}

static void
sum_normals(uint64_t first, int64_t pairs, double sums[2])
{
    struct block blocks[GROUP];
    reals sum = {0};
    reals squares = {0};
    for (int64_t i = 0; i < pairs; i += GROUP * LANES) {
        make_blocks(blocks, first / 2 + (uint64_t)i);
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            reals a;
            reals b;
            normals(&blocks[g], &a, &b);
            sum += a + b;
            squares += a * a + b * b;
        }
    }
    sums[0] = sum_lanes(sum);
    sums[1] = sum_lanes(squares);
}

static void
sum_uniforms(uint64_t first, int64_t pairs, double sums[2])
{
    struct block blocks[GROUP];
    reals sum = {0};
    for (int64_t i = 0; i < pairs; i += GROUP * LANES) {
        make_blocks(blocks, first / 2 + (uint64_t)i);
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) {
            sum += one_to_two(blocks[g].word[0], blocks[g].word[1]) +
                   one_to_two(blocks[g].word[2], blocks[g].word[3]) - 2.0;
        }
    }
    sums[0] = sum_lanes(sum);
    sums[1] = 0;
}

// Four sums side by side, since each addition waits for the one before.
static double
sum(int64_t count, const double *x)
{
    reals s[8] = {{0}};
    int64_t i = 0;
    for (; i + 8 * LANES <= count; i += 8 * LANES) {
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            s[k] += load(x + i + k * LANES);
        }
    }
    double rest = 0;
    for (; i < count; i++) {
        rest += x[i];
    }
    return rest + sum_lanes(((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])));
}

static void
copy(int64_t count, double *out, const double *x)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        stream(out + i, load(x + i));
    }
    for (; i < count; i++) {
        out[i] = x[i];
    }
}

static void
add(int64_t count, double *out, const double *x, const double *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        stream(out + i, load(x + i) + load(y + i));
    }
    for (; i < count; i++) {
        out[i] = x[i] + y[i];
    }
}

static void
cast(int64_t count, float *restrict out, const double *restrict x)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = (float)x[i];
    }
}

extern const struct limit_kernels LIMIT_NAME(limit_kernels);
const struct limit_kernels LIMIT_NAME(limit_kernels) = {
    .add_normals = add_normals,
    .sum_normals = sum_normals,
    .sum_uniforms = sum_uniforms,
    .sum = sum,
    .copy = copy,
    .add = add,
    .cast = cast,
};
