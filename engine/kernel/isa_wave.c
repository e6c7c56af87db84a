// SPDX-License-Identifier: Apache-2.0
//
// sin and cos. The argument is x = k·π/2 + r with |r| ≤ π/4, where r is the sum of two numbers; a
// polynomial in r², of sin or of cos as k says, is the result but for its sign. There are three
// ways to r:
//
// - up to 2^15·π/2, k times the first 38 bits of π/2 is exact, and so is its difference from x; the
//   next 38 bits are taken off with the error kept;
// - up to 2^38, the products' own errors are computed as well;
// - beyond, tsi_angle_reduce() does it for one lane after the other.
//
// float32 needs the first way alone, with fewer bits and shorter polynomials. Coefficients are
// those of the least relative error that float64 has room for (2^-57 and 2^-28). Errors: under 0.9
// ulp in float64, under 0.57 in float32; docs/decisions/0024-own-mathematical-functions.md has what
// was measured.

#include "engine/kernel/angle.h"
#include "engine/kernel/isa_math.h"

// x = k·π/2 + high − low; `k` in its two lowest bits. The low part is subtracted since that keeps
// the sign of a zero.
struct reduced {
    tsi_vector_f64 high;
    tsi_vector_f64 low;
    tsi_vector_u64 k;
};

#define TWO_OVER_PI 0x1.45f306dc9c883p-1

static const double sin_c[] = {0x1.5555555555548p-3,  -0x1.111111110f75ep-7,
                               0x1.a01a019bf2523p-13, -0x1.71de355f3628cp-19,
                               0x1.ae5e549c421c3p-26, -0x1.5d8e4234a0054p-33};
static const double cos_c[] = {-0.5,
                               0x1.5555555555555p-5,
                               -0x1.6c16c16c168ccp-10,
                               0x1.a01a019f38b18p-16,
                               -0x1.27e4fa0371482p-22,
                               0x1.1eeb585601c4bp-29,
                               -0x1.9073d8c03ad0dp-37};
static const double short_sin_c[] = {1.0, -0x1.555545240a165p-3, 0x1.110739fa9cc66p-7,
                                     -0x1.99438783da6d4p-13};
static const double short_cos_c[] = {1.0, -0x1.ffffffcb77e12p-2, 0x1.55553c74b369ap-5,
                                     -0x1.6c07efdeb5d63p-10, 0x1.991642dbe1a68p-16};

// The highest bit is set where |x| is beyond `limit`, or x is NaN.
TSI_LANES_INLINE tsi_vector_u64
is_beyond(tsi_vector_f64 x, double limit)
{
    const tsi_vector_f64 most = tsi_lanes_all_f64(limit);
    return (tsi_vector_u64)most - ((tsi_vector_u64)x & ~TSI_MATH_SIGN);
}

// k; the lowest bits of k + turn come out in the lowest of `*bits`.
TSI_LANES_INLINE tsi_vector_f64
count_quarters(tsi_vector_f64 x, int turn, tsi_vector_u64 *bits)
{
    const double round = TSI_MATH_ROUND + turn;
    const tsi_vector_f64 t =
        tsi_lanes_fma(x, tsi_lanes_all_f64(TWO_OVER_PI), tsi_lanes_all_f64(round));
    *bits = (tsi_vector_u64)t;
    return t - round;
}

// Up to 2^15 quarters.
TSI_LANES_INLINE struct reduced
reduce_near(tsi_vector_f64 x, int turn)
{
    const tsi_vector_f64 minus_c1 = tsi_lanes_all_f64(-0x1.921fb5444p0);
    const tsi_vector_f64 minus_c2 = tsi_lanes_all_f64(-0x1.68c234c4c8p-39);
    const tsi_vector_f64 c2 = tsi_lanes_all_f64(0x1.68c234c4c8p-39);
    const tsi_vector_f64 c3 = tsi_lanes_all_f64(-0x1.9d747f23e32edp-79);
    struct reduced r;
    const tsi_vector_f64 k = count_quarters(x, turn, &r.k);
    const tsi_vector_f64 most = tsi_lanes_fma(k, minus_c1, x);
    r.high = tsi_lanes_fma(k, minus_c2, most);
    r.low = tsi_lanes_fma(k, c3, tsi_lanes_fma(k, c2, r.high - most));
    return r;
}

// x + y = sum + rest, exactly (Knuth).
TSI_LANES_INLINE tsi_vector_f64
add_exactly(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 *rest)
{
    const tsi_vector_f64 sum = x + y;
    const tsi_vector_f64 of_y = sum - x;
    *rest = (x - (sum - of_y)) + (y - of_y);
    return sum;
}

// Up to 2^38, but not below 1.
TSI_LANES_INLINE struct reduced
reduce_middle(tsi_vector_f64 x, int turn)
{
    const tsi_vector_f64 c1 = tsi_lanes_all_f64(0x1.921fb54442d18p0);
    const tsi_vector_f64 c2 = tsi_lanes_all_f64(0x1.1a62633145c07p-54);
    const tsi_vector_f64 c3 = tsi_lanes_all_f64(-0x1.f1976b7ed8fbcp-110);
    struct reduced r;
    tsi_vector_f64 rest1;
    tsi_vector_f64 rest2;
    const tsi_vector_f64 k = count_quarters(x, turn, &r.k);
    const tsi_vector_f64 p1 = k * c1;
    const tsi_vector_f64 p2 = k * c2;
    const tsi_vector_f64 most = add_exactly(x - p1, -tsi_lanes_fma(k, c1, -p1), &rest1);
    const tsi_vector_f64 high = add_exactly(most, -p2, &rest2);
    const tsi_vector_f64 low = tsi_lanes_fma(k, c3, tsi_lanes_fma(k, c2, -p2)) - (rest1 + rest2);
    r.high = high - low;
    r.low = low - (high - r.high);
    return r;
}

static struct reduced
reduce_any(tsi_vector_f64 x, int turn)
{
    struct reduced r = reduce_middle(x, turn);
    const tsi_vector_u64 is_far = is_beyond(x, 0x1p38);
    if (tsi_lanes_any(is_far)) {
        struct tsi_angle angle[TSI_VECTOR_F64];
        for (int l = 0; l < TSI_VECTOR_F64; l++) {
            angle[l] = is_far[l] >> 63 != 0 ? tsi_angle_reduce(x[l])
                                            : (struct tsi_angle){r.high[l], r.low[l], r.k[l]};
            angle[l].quarters += is_far[l] >> 63 != 0 ? (uint64_t)turn : 0;
        }
        for (int l = 0; l < TSI_VECTOR_F64; l++) {
            r.high[l] = angle[l].high;
            r.low[l] = angle[l].low;
            r.k[l] = angle[l].quarters;
        }
    }
    return r;
}

// sin(k·π/2 + r); the polynomials are those of (r − sin(r))/r³ and (cos(r) − 1)/r².
TSI_LANES_INLINE tsi_vector_f64
wave(struct reduced r)
{
    const tsi_vector_u64 k = r.k;
    const tsi_vector_f64 s = r.high * r.high;
    const tsi_vector_f64 of_sin = tsi_math_polynomial(s, 6, sin_c);
    const tsi_vector_f64 of_cos = tsi_math_polynomial(s, 7, cos_c);
    const tsi_vector_f64 less = tsi_lanes_fma(r.high * s, of_sin, r.low);
    // The product by r² is taken in two steps, since r·of_cos has room for the low part of r, and
    // an r² would be rounded.
    const tsi_vector_f64 by_r = tsi_lanes_fma(r.high, of_cos, r.low);
    const tsi_vector_f64 cos_r = tsi_lanes_fma(r.high, by_r, tsi_lanes_all_f64(1.0));
    return tsi_lanes_flip(tsi_lanes_subtract_unless(k, 0, r.high, less, cos_r), k << 62);
}

// sin(x + turn·π/2) of float64 and of what was float32, if |x| is at most NEAR and NEAR_F32.
#define NEAR 0x1.9p15
#define NEAR_F32 0x1p20

TSI_LANES_INLINE tsi_vector_f64
near_wave(tsi_vector_f64 x, int turn)
{
    return wave(reduce_near(x, turn));
}

TSI_LANES_INLINE tsi_vector_f64
near_wave_f32(tsi_vector_f64 x, int turn)
{
    tsi_vector_u64 k;
    const tsi_vector_f64 quarters = count_quarters(x, turn, &k);
    const tsi_vector_f64 most = tsi_lanes_fma(quarters, tsi_lanes_all_f64(-0x1.921fb544p0), x);
    const tsi_vector_f64 r =
        tsi_lanes_fma(quarters, tsi_lanes_all_f64(-0x1.0b4611a626331p-34), most);
    const tsi_vector_f64 s = r * r;
    const tsi_vector_f64 sin_r = r * tsi_math_polynomial(s, 4, short_sin_c);
    const tsi_vector_f64 cos_r = tsi_math_polynomial(s, 5, short_cos_c);
    const tsi_vector_u64 y =
        tsi_lanes_choose_by(k, 0, (tsi_vector_u64)sin_r, (tsi_vector_u64)cos_r);
    return (tsi_vector_f64)(y ^ ((k << 62) & TSI_MATH_SIGN));
}

// y, but sin(x + turn·π/2) in the lanes where |x| is beyond `near`.
static __attribute__((noinline)) tsi_vector_f64
mend(tsi_vector_f64 y, tsi_vector_f64 x, double near, int turn)
{
    const tsi_vector_f64 far = wave(reduce_any(x, turn));
    return (tsi_vector_f64)tsi_lanes_choose(is_beyond(x, near), (tsi_vector_u64)y,
                                            (tsi_vector_u64)far);
}

// Two registers at a time are looked at for arguments that are far.
#define PAIR (2 * TSI_VECTOR_F64)

#define WAVE(suffix, T, load, store, near_wave, near)                                              \
    TSI_LANES_INLINE void pair_##suffix(T *out, const T *x, int turn)                              \
    {                                                                                              \
        const tsi_vector_f64 x0 = load(x);                                                         \
        const tsi_vector_f64 x1 = load(x + TSI_VECTOR_F64);                                        \
        tsi_vector_f64 y0 = near_wave(x0, turn);                                                   \
        tsi_vector_f64 y1 = near_wave(x1, turn);                                                   \
        if (__builtin_expect(tsi_lanes_exceed(x0, x1, near), 0)) {                                 \
            y0 = mend(y0, x0, near, turn);                                                         \
            y1 = mend(y1, x1, near, turn);                                                         \
        }                                                                                          \
        store(out, y0);                                                                            \
        store(out + TSI_VECTOR_F64, y1);                                                           \
    }                                                                                              \
    TSI_LANES_INLINE void map_##suffix(int64_t count, T *out, const T *x, int turn)                \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + PAIR <= count; i += PAIR) {                                                     \
            for (int k = 0; k < PAIR; k += 64 / (int)sizeof(T)) {                                  \
                __builtin_prefetch(x + i + k + TSI_MATH_AHEAD);                                    \
            }                                                                                      \
            pair_##suffix(out + i, x + i, turn);                                                   \
        }                                                                                          \
        if (i < count) {                                                                           \
            T end[PAIR];                                                                           \
            for (int l = 0; l < PAIR; l++) {                                                       \
                end[l] = i + l < count ? x[i + l] : (T)1;                                          \
            }                                                                                      \
            pair_##suffix(end, end, turn);                                                         \
            __builtin_memcpy(out + i, end, (size_t)(count - i) * sizeof(T));                       \
        }                                                                                          \
    }                                                                                              \
    static void sin_##suffix(int64_t count, void *out, const void *a, const void *b,               \
                             const void *c)                                                        \
    {                                                                                              \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        map_##suffix(count, out, a, 0);                                                            \
    }                                                                                              \
    static void cos_##suffix(int64_t count, void *out, const void *a, const void *b,               \
                             const void *c)                                                        \
    {                                                                                              \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        map_##suffix(count, out, a, 1);                                                            \
    }

WAVE(f64, double, tsi_isa_load_f64, tsi_isa_store_f64, near_wave, NEAR)
WAVE(f32, float, tsi_lanes_load_f32, tsi_lanes_store_f32, near_wave_f32, NEAR_F32)

#define SET(NAME, suffix, T, U)                                                                    \
    table->map[TSI_OP_SIN][TESS_##NAME] = sin_##suffix;                                            \
    table->map[TSI_OP_COS][TESS_##NAME] = cos_##suffix;

void
TSI_ISA_NAME(tsi_isa_fill_wave)(struct tsi_kernel_table *table)
{
    TSI_FOR_FLOAT(SET)
}
