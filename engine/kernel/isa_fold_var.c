// SPDX-License-Identifier: Apache-2.0
//
// var and std. The accumulator is three planes: count, mean, and the sum of squared distances from
// the mean (M2).
//
// A tile is folded in two passes, first its mean and then the distances from it, and joins what is
// there by the merge of Chan, Golub and LeVeque (1979). Where the accumulator has as many elements
// as the tile or more, one pass does: with s1 and s2 the sums of the distances from the mean so far
// and of their squares, and n all elements with these, the mean grows by s1/n and M2 by s2 − s1²/n.
// What cancels there is at most half of s2, so the digits stay. All types compute in float64.

#include <math.h>

#include "engine/kernel/isa.h"

#define LANES 16
#define LANE_VECTORS (LANES / TSI_VECTOR_F64)
#define BLOCK 2048
#define COLUMNS 64

struct moments {
    double count;
    double mean;
    double squares;
};

// The moments of the elements of `a` and then those of `b`. Nothing merged with anything gives the
// other exactly.
static inline struct moments
merge_moments(struct moments a, struct moments b)
{
    const double count = a.count + b.count;
    const double share = count > 0 ? b.count / count : 0.0;
    const double distance = b.mean - a.mean;
    return (struct moments){count, a.mean + distance * share,
                            a.squares + b.squares + distance * (distance * (a.count * share))};
}

// The sum of squared distances from `mean`: 16 virtual lanes, folded in halves, and the elements
// beyond the last whole group of 16 after them, in order.
static double
squared_distances(int64_t count, const double *x, double mean)
{
    tsi_vector_f64 acc[LANE_VECTORS] = {{0}};
    double lane[TSI_VECTOR_F64];
    int64_t t = 0;
    for (; t + LANES <= count; t += LANES) {
        for (int k = 0; k < LANE_VECTORS; k++) {
            const tsi_vector_f64 distance = tsi_isa_load_f64(x + t + k * TSI_VECTOR_F64) - mean;
            acc[k] += distance * distance;
        }
    }
    for (int half = LANE_VECTORS / 2; half > 0; half /= 2) {
        for (int k = 0; k < half; k++) {
            acc[k] += acc[k + half];
        }
    }
    tsi_isa_store_f64(lane, acc[0]);
    for (int half = TSI_VECTOR_F64 / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) {
            lane[l] += lane[l + half];
        }
    }
    double sum = lane[0];
    for (; t < count; t++) {
        sum += (x[t] - mean) * (x[t] - mean);
    }
    return sum;
}

// What M2 grows by. Squares that overflow are infinite, not NaN, as long as the elements are
// finite.
static inline double
growth(double s1, double s2, double one_in_all)
{
    const double less = s1 * (s1 * one_in_all);
    return s2 - (less == INFINITY && fabs(s1) < INFINITY ? 0.0 : less);
}

// Joins a run of at most as many elements as `all` has, in twice as many virtual lanes.
static struct moments
join_run(struct moments all, int64_t count, const double *x)
{
    tsi_vector_f64 sums[2 * LANE_VECTORS] = {{0}};
    tsi_vector_f64 squares[2 * LANE_VECTORS] = {{0}};
    double lane[2][TSI_VECTOR_F64];
    int64_t t = 0;
    for (; t + 2 * LANES <= count; t += 2 * LANES) {
        TSI_UNROLL
        for (int k = 0; k < 2 * LANE_VECTORS; k++) {
            const tsi_vector_f64 d = tsi_isa_load_f64(x + t + k * TSI_VECTOR_F64) - all.mean;
            sums[k] += d;
            squares[k] += d * d;
        }
    }
    for (int half = LANE_VECTORS; half > 0; half /= 2) {
        for (int k = 0; k < half; k++) {
            sums[k] += sums[k + half];
            squares[k] += squares[k + half];
        }
    }
    tsi_isa_store_f64(lane[0], sums[0]);
    tsi_isa_store_f64(lane[1], squares[0]);
    for (int half = TSI_VECTOR_F64 / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) {
            lane[0][l] += lane[0][l + half];
            lane[1][l] += lane[1][l + half];
        }
    }
    double s1 = lane[0][0];
    double s2 = lane[1][0];
    for (; t < count; t++) {
        const double d = x[t] - all.mean;
        s1 += d;
        s2 += d * d;
    }
    const double both = all.count + (double)count;
    return (struct moments){both, all.mean + s1 / both, all.squares + growth(s1, s2, 1 / both)};
}

static struct moments
moments_of_run(int64_t count, const double *x)
{
    const double mean = TSI_ISA_NAME(tsi_isa_sum)(count, x) / (double)count;
    return (struct moments){(double)count, mean, squared_distances(count, x, mean)};
}

// Rows of any type, converted to float64 a block at a time; `widen` is NULL for float64 itself.
static void
across(int64_t rows, int64_t columns, const uint8_t *x, size_t bytes, tsi_kernel_cast *widen,
       void *const *planes)
{
    double wide[BLOCK];
    uint64_t *counts = planes[0];
    double *means = planes[1];
    double *squares = planes[2];
    for (int64_t i = 0; i < rows; i++) {
        struct moments all = {(double)counts[i], means[i], squares[i]};
        for (int64_t j = 0; j < columns; j += BLOCK) {
            const int64_t now = columns - j < BLOCK ? columns - j : BLOCK;
            const void *from = x + (size_t)(i * columns + j) * bytes;
            if (widen != NULL) {
                widen(now, wide, from);
                from = wide;
            }
            all = all.count >= (double)now ? join_run(all, now, from)
                                           : merge_moments(all, moments_of_run(now, from));
        }
        counts[i] += (uint64_t)columns;
        means[i] = all.mean;
        squares[i] = all.squares;
    }
}

// Joins `columns` means and M2 of `rows` elements each to the accumulators from `first` on. Where
// all counts are the same, which is nearly always, the division leaves the loop.
static void
join_columns(int64_t rows, int64_t columns, const double *mean, const double *squares,
             void *const *planes, int64_t first)
{
    uint64_t *restrict counts = (uint64_t *)planes[0] + first;
    double *restrict means = (double *)planes[1] + first;
    double *restrict all = (double *)planes[2] + first;
    const uint64_t before = counts[0];
    uint64_t differ = 0;
    for (int64_t j = 0; j < columns; j++) {
        differ |= counts[j] ^ before;
    }
    const double share = (double)rows / ((double)before + (double)rows);
    const double weight = (double)before * share;
    for (int64_t j = 0; differ == 0 && j < columns; j++) {
        const double distance = mean[j] - means[j];
        means[j] += distance * share;
        all[j] = all[j] + squares[j] + distance * (distance * weight);
    }
    for (int64_t j = 0; differ != 0 && j < columns; j++) {
        const struct moments a = {(double)counts[j], means[j], all[j]};
        const struct moments b = {(double)rows, mean[j], squares[j]};
        const struct moments both = merge_moments(a, b);
        means[j] = both.mean;
        all[j] = both.squares;
    }
    for (int64_t j = 0; j < columns; j++) {
        counts[j] += (uint64_t)rows;
    }
}

// Whether all of these accumulators have the same count, of at least `rows`.
static bool
are_ahead(int64_t rows, int64_t columns, const uint64_t *counts)
{
    uint64_t differ = 0;
    for (int64_t j = 0; j < columns; j++) {
        differ |= counts[j] ^ counts[0];
    }
    return differ == 0 && counts[0] >= (uint64_t)rows;
}

// Joins the sums of distances from the means so far, and of their squares, to the accumulators from
// `first` on, which are ahead.
static void
grow_columns(int64_t rows, int64_t columns, const double *s1, const double *s2, void *const *planes,
             int64_t first)
{
    uint64_t *restrict counts = (uint64_t *)planes[0] + first;
    double *restrict means = (double *)planes[1] + first;
    double *restrict squares = (double *)planes[2] + first;
    const double one_in_all = 1.0 / ((double)counts[0] + (double)rows);
    for (int64_t j = 0; j < columns; j++) {
        means[j] += s1[j] * one_in_all;
        squares[j] += growth(s1[j], s2[j], one_in_all);
        counts[j] += (uint64_t)rows;
    }
}

// Down a strip of at most COLUMNS columns whose sums stay in the nearest cache.
#define DOWN(NAME, suffix, T, U)                                                                   \
    static void grow_##suffix(int64_t rows, int64_t columns, int64_t step, const T *x,             \
                              void *const *planes, int64_t first)                                  \
    {                                                                                              \
        const double *means = (const double *)planes[1] + first;                                   \
        double s1[COLUMNS] = {0};                                                                  \
        double s2[COLUMNS] = {0};                                                                  \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                const double distance = (double)x[i * step + j] - means[j];                        \
                s1[j] += distance;                                                                 \
                s2[j] += distance * distance;                                                      \
            }                                                                                      \
        }                                                                                          \
        grow_columns(rows, columns, s1, s2, planes, first);                                        \
    }                                                                                              \
    static void strip_##suffix(int64_t rows, int64_t columns, int64_t step, const T *x,            \
                               void *const *planes, int64_t first)                                 \
    {                                                                                              \
        double mean[COLUMNS] = {0};                                                                \
        double squares[COLUMNS] = {0};                                                             \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                mean[j] += (double)x[i * step + j];                                                \
            }                                                                                      \
        }                                                                                          \
        for (int64_t j = 0; j < columns; j++) {                                                    \
            mean[j] /= (double)rows;                                                               \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                const double distance = (double)x[i * step + j] - mean[j];                         \
                squares[j] += distance * distance;                                                 \
            }                                                                                      \
        }                                                                                          \
        join_columns(rows, columns, mean, squares, planes, first);                                 \
    }                                                                                              \
    static void down_##suffix(int64_t rows, int64_t columns, const void *x, void *const *planes,   \
                              const struct tsi_fold_index *index)                                  \
    {                                                                                              \
        (void)index;                                                                               \
        for (int64_t j = 0; j < columns && rows > 0; j += COLUMNS) {                               \
            const int64_t now = columns - j < COLUMNS ? columns - j : COLUMNS;                     \
            if (are_ahead(rows, now, (const uint64_t *)planes[0] + j)) {                           \
                grow_##suffix(rows, now, columns, (const T *)x + j, planes, j);                    \
            } else {                                                                               \
                strip_##suffix(rows, now, columns, (const T *)x + j, planes, j);                   \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void across_##suffix(int64_t rows, int64_t columns, const void *x, void *const *planes, \
                                const struct tsi_fold_index *index)                                \
    {                                                                                              \
        tsi_kernel_cast *widen = TSI_ISA_NAME(tsi_isa_cast_to_f64)(TESS_##NAME);                   \
        (void)index;                                                                               \
        across(rows, columns, x, sizeof(T), TESS_##NAME == TESS_F64 ? NULL : widen, planes);       \
    }

TSI_FOR_ALL(DOWN)

static void
start(int64_t count, void *const *planes)
{
    for (int64_t i = 0; i < count; i++) {
        ((uint64_t *)planes[0])[i] = 0;
        ((double *)planes[1])[i] = 0.0;
        ((double *)planes[2])[i] = 0.0;
    }
}

static void
merge(int64_t count, void *const *planes, const void *const *other)
{
    uint64_t *counts = planes[0];
    double *means = planes[1];
    double *squares = planes[2];
    const uint64_t *other_counts = other[0];
    const double *other_means = other[1];
    const double *other_squares = other[2];
    for (int64_t i = 0; i < count; i++) {
        const struct moments a = {(double)counts[i], means[i], squares[i]};
        const struct moments b = {(double)other_counts[i], other_means[i], other_squares[i]};
        const struct moments both = merge_moments(a, b);
        counts[i] += other_counts[i];
        means[i] = both.mean;
        squares[i] = both.squares;
    }
}

// M2 over what `ddof` leaves of the count, but at least 0, and then 0/0 or x/0.
static double
variance(uint64_t count, double squares, double ddof)
{
    const double left = (double)count - ddof;
    return count == 0 ? NAN : squares / (left > 0 ? left : 0.0);
}

#define FINISH(suffix, T)                                                                          \
    static void var_##suffix(int64_t count, void *out, const void *const *planes, double folded,   \
                             double ddof)                                                          \
    {                                                                                              \
        (void)folded;                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const double squares = ((const double *)planes[2])[i];                                 \
            ((T *)out)[i] = (T)variance(((const uint64_t *)planes[0])[i], squares, ddof);          \
        }                                                                                          \
    }                                                                                              \
    static void std_##suffix(int64_t count, void *out, const void *const *planes, double folded,   \
                             double ddof)                                                          \
    {                                                                                              \
        (void)folded;                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const double squares = ((const double *)planes[2])[i];                                 \
            ((T *)out)[i] = (T)sqrt(variance(((const uint64_t *)planes[0])[i], squares, ddof));    \
        }                                                                                          \
    }

FINISH(f32, float)
FINISH(f64, double)

#define SET(NAME, suffix, last)                                                                    \
    table->reduction[TSI_REDUCE_VAR][TESS_##NAME] =                                                \
        (struct tsi_kernel_reduction){down_##suffix, across_##suffix, start, merge, var_##last};   \
    table->reduction[TSI_REDUCE_STD][TESS_##NAME] =                                                \
        (struct tsi_kernel_reduction){down_##suffix, across_##suffix, start, merge, std_##last};
#define SET_F64(NAME, suffix, T, U) SET(NAME, suffix, f64)

void
TSI_ISA_NAME(tsi_isa_fill_fold_var)(struct tsi_kernel_table *table)
{
    TSI_FOR_BOOL(SET_F64)
    TSI_FOR_INTEGER(SET_F64)
    TSI_FOR_FLOAT(SET_F64)
    SET(F32, f32, f32)
}
