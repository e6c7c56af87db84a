// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 and the method of Box and Muller, a block in each lane: block b gives the elements
// 2b and 2b + 1, from its two halves. The first half is −ln of a uniform, the second a direction: a
// bit for the nearest axis, a bit for its side, and an angle of at most an eighth of a turn from
// it. The polynomials are the power series of the logarithm, the sine and the cosine, of as many
// terms as minimal ones have that reach double precision; unlike Tessera's kernels, these may fuse
// multiplications with additions.
//
// Registers are taken side by side, step by step, since each step waits for the one before; and a
// group of them goes through one part of the way after the other, so that a processor, which looks
// ahead some hundred instructions, has several short ways before it instead of one long one.

#include "bench/limit/isa_lanes.h"
#include "bench/limit/limit_isa.h"

#define ROUNDS 10
// As many registers side by side as the instruction set has room for.
#if defined __AVX512F__
#define SIDE 4
#define GROUP 4
#elif defined __AVX2__
#define SIDE 3
#define GROUP 12
#else
#define SIDE 2
#define GROUP 2
#endif
#define PI 3.141592653589793
#define LN_2 0x1.62e42fefa39efp-1

#define EACH_BESIDE _Pragma("GCC unroll 4") for (int g = 0; g < SIDE; g++)
#define EACH_SIDE _Pragma("GCC unroll 1") for (int to = 0; to < GROUP; to += SIDE)

// The two halves of each block.
struct blocks {
    bits half[2][GROUP];
};

struct start {
    bits block; // in the first register
    bits upper; // the upper half of all of them
};

// From the block `first` on; those of one loop have the same upper half.
LANES_INLINE struct start
start_at(uint64_t first)
{
    struct start start = {.upper = all(first >> 32)};
    for (int i = 0; i < LANES; i++) {
        start.block[i] = first + (uint64_t)i;
    }
    return start;
}

LANES_INLINE void
round_side(bits c[4][SIDE], uint32_t key_0, uint32_t key_1)
{
#if defined __AVX512F__
    EACH_BESIDE
    {
        const bits p0 = multiply_words(c[0][g], all(0xD2511F53));
        const bits p1 = multiply_words(c[2][g], all(0xCD9E8D57));
        c[0][g] = xor_words(swap_words(p1), c[1][g], all(key_0));
        c[1][g] = p1;
        c[2][g] = xor_words(swap_words(p0), c[3][g], all(key_1));
        c[3][g] = p0;
    }
#else
    // In place, since registers are few.
    EACH_BESIDE
    {
        c[1][g] = keep(c[1][g] ^ all(key_0));
        c[3][g] = keep(c[3][g] ^ all(key_1));
    }
    EACH_BESIDE
    {
        c[0][g] = keep(multiply_words(c[0][g], all(0xD2511F53)));
        c[2][g] = keep(multiply_words(c[2][g], all(0xCD9E8D57)));
    }
    EACH_BESIDE
    {
        const bits p0 = c[0][g];
        const bits p1 = c[2][g];
        c[0][g] = keep(swap_words(p1) ^ c[1][g]);
        c[1][g] = p1;
        c[2][g] = keep(swap_words(p0) ^ c[3][g]);
        c[3][g] = p0;
    }
#endif
}

// The registers of the group from `to` on. What the first rounds compute of the stream and the
// upper half alone is the same in all turns of a loop, and the compiler takes it out.
LANES_INLINE void
make_blocks(const struct start *start, int64_t at, int to, struct blocks *out)
{
    bits c[4][SIDE];
    uint32_t key[2] = {12345, 67890};
    EACH_BESIDE
    {
        c[0][g] = start->block + (uint64_t)(at + (to + g) * LANES);
        c[1][g] = start->upper;
        c[2][g] = all(1);
        c[3][g] = all(0);
    }
#pragma GCC unroll 10
    for (int round = 0; round < ROUNDS - 1; round++) {
        round_side(c, key[0], key[1]);
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    EACH_BESIDE
    {
        const bits p0 = multiply_words(c[0][g], all(0xD2511F53));
        const bits p1 = multiply_words(c[2][g], all(0xCD9E8D57));
        out->half[0][to + g] = xor_lower_words(swap_words(p1), c[1][g], all(key[0]));
        out->half[1][to + g] = xor_lower_words(swap_words(p0), c[3][g], all(key[1]));
    }
}

LANES_INLINE void
make_group(const struct start *start, int64_t at, struct blocks *out)
{
    EACH_SIDE
    {
        make_blocks(start, at, to, out);
    }
}

// Numbers in [1, 2) of the upper 52 bits.
LANES_INLINE reals
one_to_two(bits word)
{
    return (reals)((word >> 12) | UINT64_C(0x3FF0000000000000));
}

// The first half, or 1, is u·2^64 = 2^k·m; s leads from m to its logarithm.
LANES_INLINE void
split_side(const bits half[SIDE], reals k[SIDE], reals s[SIDE])
{
    EACH_BESIDE
    {
        reals m;
        split(half[g] | 1, &k[g], &m);
        s[g] = (m - 1.0) / (m + 1.0);
    }
}

// −2 ln u.
LANES_INLINE void
square_side(const reals k[SIDE], const reals s[SIDE], reals square[SIDE])
{
    reals z[SIDE];
    reals p[SIDE];
    EACH_BESIDE
    {
        z[g] = s[g] * s[g];
        p[g] = z[g] * (4.0 / 17) + 4.0 / 15;
    }
#pragma GCC unroll 8
    for (int term = 13; term >= 1; term -= 2) {
        EACH_BESIDE
        {
            p[g] = p[g] * z[g] + 4.0 / term;
        }
    }
    EACH_BESIDE
    {
        square[g] = (64.0 - k[g]) * (2 * LN_2) - s[g] * p[g];
    }
}

LANES_INLINE void
turn_side(const bits half[SIDE], const reals square[SIDE], reals even[SIDE], reals odd[SIDE])
{
    static const double sine[] = {-1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6};
    static const double cosine[] = {1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
                                    -1.0 / 720,      1.0 / 24,       -0.5};
    reals radius[SIDE];
    reals x[SIDE];
    reals y[SIDE];
    reals s[SIDE];
    reals c[SIDE];
    EACH_BESIDE
    {
        radius[g] = square_root(square[g]);
        x[g] = (one_to_two(half[g]) - 1.5) * (PI / 2);
        y[g] = x[g] * x[g];
        s[g] = y[g] * (1.0 / 6227020800) + sine[0];
        c[g] = y[g] * cosine[0] + cosine[1];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        EACH_BESIDE
        {
            s[g] = s[g] * y[g] + sine[i + 1];
            c[g] = c[g] * y[g] + cosine[i + 2];
        }
    }
    EACH_BESIDE
    {
        const reals away = radius[g] * (s[g] * y[g] * x[g] + x[g]);
        const bits side = half[g] << 63;
        const reals along = (reals)((bits)(radius[g] * (c[g] * y[g] + 1.0)) ^ side);
        even[g] = pick(half[g], 1, along, away);
        odd[g] = pick(half[g], 1, away, along);
    }
}

LANES_INLINE void
normals(const struct blocks *blocks, reals even[GROUP], reals odd[GROUP])
{
    reals k[GROUP];
    reals s[GROUP];
    EACH_SIDE
    {
        split_side(blocks->half[0] + to, k + to, s + to);
    }
    EACH_SIDE
    {
        square_side(k + to, s + to, k + to);
    }
    EACH_SIDE
    {
        turn_side(blocks->half[1] + to, k + to, even + to, odd + to);
    }
}

LANES_INLINE double
sum_side(const reals x[SIDE])
{
    reals sum = x[0];
    for (int g = 1; g < SIDE; g++) {
        sum += x[g];
    }
    return sum_lanes(sum);
}

static void
add_normals(uint64_t first, int64_t pairs, double *even, double *odd)
{
    const struct start start = start_at(first / 2);
    for (int64_t i = 0; i + GROUP * LANES <= pairs; i += GROUP * LANES) {
        struct blocks blocks;
        make_group(&start, i, &blocks);
        reals a[GROUP];
        reals b[GROUP];
        normals(&blocks, a, b);
        for (int g = 0; g < GROUP; g++) {
            const int64_t at = i + g * LANES;
            store(even + at, load(even + at) + a[g]);
            store(odd + at, load(odd + at) + b[g]);
        }
    }
}

static void
sum_normals(uint64_t first, int64_t pairs, double sums[2])
{
    const struct start start = start_at(first / 2);
    reals sum[SIDE] = {{0}};
    reals squares[SIDE] = {{0}};
    for (int64_t i = 0; i < pairs; i += GROUP * LANES) {
        struct blocks blocks;
        make_group(&start, i, &blocks);
        reals a[GROUP];
        reals b[GROUP];
        normals(&blocks, a, b);
        for (int g = 0; g < GROUP; g++) {
            sum[g % SIDE] += a[g] + b[g];
            squares[g % SIDE] += a[g] * a[g] + b[g] * b[g];
        }
    }
    sums[0] = sum_side(sum);
    sums[1] = sum_side(squares);
}

static void
sum_uniforms(uint64_t first, int64_t pairs, double sums[2])
{
    const struct start start = start_at(first / 2);
    reals sum[SIDE] = {{0}};
    for (int64_t i = 0; i < pairs; i += GROUP * LANES) {
        struct blocks blocks;
        make_group(&start, i, &blocks);
        for (int g = 0; g < GROUP; g++) {
            sum[g % SIDE] += (one_to_two(blocks.half[0][g]) + one_to_two(blocks.half[1][g])) - 2.0;
        }
    }
    sums[0] = sum_side(sum);
    sums[1] = 0;
}

// Eight sums side by side, since each addition waits for the one before.
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
