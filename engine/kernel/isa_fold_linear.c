// SPDX-License-Identifier: Apache-2.0
//
// Sums of multiples or squares of floats that are never stored: each element is computed in
// registers, rounded after each operation as if it were stored, and added to the accumulators in
// the order of isa_fold_sum.c. The bits are those of the two kernels one after the other.
//
// Memory gives its elements once here, at its own pace, where a tile that is stored first leaves
// memory idle while it is read again.

#include "engine/kernel/isa.h"

#define LANES 16
#define LANE_VECTORS (LANES / TSI_VECTOR_F64)
#define BLOCK 2048
#define LINE 64

#define ALWAYS static inline __attribute__((always_inline))

// The lanes in halves, down to one.
ALWAYS double
fold_lanes(tsi_vector_f64 *acc)
{
    double lane[TSI_VECTOR_F64];
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
    return lane[0];
}

// What a call is like; each form that is worth it has loops of its own.
enum {
    TWO = 1,      // there is a second term
    PLAIN = 2,    // of terms that are not scaled
    ASK = 4,      // the first has rows ahead
    ASK_BOTH = 8, // both have
    SQUARES = 16, // instead of multiples
};

static int
form_of(const struct tsi_kernel_term *terms)
{
    const int ask = terms[0].ahead != 0 ? ASK : 0;
    const int squares = terms[0].is_square ? SQUARES : 0;
    if (terms[1].data == NULL) {
        return ask | squares;
    }
    const bool is_plain = squares == 0 && terms[0].scale == 1.0 && terms[1].scale == 1.0;
    const int ask_both = terms[1].ahead != 0 ? ASK | ASK_BOTH : 0;
    return TWO | ask | ask_both | squares | (is_plain ? PLAIN : 0);
}

#define FORM(function, form)                                                                       \
    case (form):                                                                                   \
        function(rows, columns, terms, acc, (form));                                               \
        break;

#define LINEAR(NAME, suffix, T, U)                                                                 \
    typedef T vector_##suffix __attribute__((vector_size(TSI_VECTOR_F64 * sizeof(T))));            \
    struct pair_##suffix {                                                                         \
        const T *a;                                                                                \
        const T *b;                                                                                \
        T p;                                                                                       \
        T q;                                                                                       \
    };                                                                                             \
    ALWAYS struct pair_##suffix pair_of_##suffix(const struct tsi_kernel_term *terms, int64_t row, \
                                                 int form)                                         \
    {                                                                                              \
        struct pair_##suffix pair = {.p = (T)terms[0].scale, .q = (T)terms[1].scale};              \
        pair.a = (const void *)((const uint8_t *)terms[0].data + row * terms[0].step);             \
        pair.b = pair.a;                                                                           \
        if ((form & TWO) != 0) {                                                                   \
            pair.b = (const void *)((const uint8_t *)terms[1].data + row * terms[1].step);         \
        }                                                                                          \
        return pair;                                                                               \
    }                                                                                              \
    ALWAYS void ask_##suffix(const T *now, int64_t ahead)                                          \
    {                                                                                              \
        for (int k = 0; k < LANES; k += LINE / (int)sizeof(T)) {                                   \
            __builtin_prefetch((const void *)((uintptr_t)(now + k) + (uintptr_t)ahead), 0, 3);     \
        }                                                                                          \
    }                                                                                              \
    ALWAYS double value_##suffix(struct pair_##suffix x, int64_t at, int form)                     \
    {                                                                                              \
        const bool squares = (form & SQUARES) != 0;                                                \
        const T value = x.a[at] * (squares ? x.a[at] : x.p);                                       \
        const T other = x.b[at] * (squares ? x.b[at] : x.q);                                       \
        return (double)((form & TWO) != 0 ? value + other : value);                                \
    }                                                                                              \
    ALWAYS tsi_vector_f64 values_##suffix(struct pair_##suffix x, int64_t at, int form)            \
    {                                                                                              \
        vector_##suffix value;                                                                     \
        vector_##suffix other;                                                                     \
        __builtin_memcpy(&value, x.a + at, sizeof(value));                                         \
        if ((form & SQUARES) != 0) {                                                               \
            value = value * value;                                                                 \
        } else if ((form & PLAIN) == 0) {                                                          \
            value = value * x.p;                                                                   \
        }                                                                                          \
        if ((form & TWO) != 0) {                                                                   \
            __builtin_memcpy(&other, x.b + at, sizeof(other));                                     \
            if ((form & SQUARES) != 0) {                                                           \
                other = other * other;                                                             \
            } else if ((form & PLAIN) == 0) {                                                      \
                other = other * x.q;                                                               \
            }                                                                                      \
            value = value + other;                                                                 \
        }                                                                                          \
        return __builtin_convertvector(value, tsi_vector_f64);                                     \
    }                                                                                              \
    ALWAYS double short_##suffix(int64_t count, struct pair_##suffix x, int form)                  \
    {                                                                                              \
        double folded = 0.0;                                                                       \
        for (int64_t t = 0; t < count; t++) {                                                      \
            folded = folded + value_##suffix(x, t, form);                                          \
        }                                                                                          \
        return folded;                                                                             \
    }                                                                                              \
    ALWAYS double run_##suffix(int64_t count, struct pair_##suffix x,                              \
                               const struct tsi_kernel_term *terms, int form)                      \
    {                                                                                              \
        double last[LANES];                                                                        \
        tsi_vector_f64 acc[LANE_VECTORS] = {{0}};                                                  \
        if (count < LANES) {                                                                       \
            return short_##suffix(count, x, form);                                                 \
        }                                                                                          \
        int64_t t = 0;                                                                             \
        for (; t + LANES <= count; t += LANES) {                                                   \
            if ((form & ASK) != 0) {                                                               \
                ask_##suffix(x.a + t, terms[0].ahead);                                             \
            }                                                                                      \
            if ((form & ASK_BOTH) != 0) {                                                          \
                ask_##suffix(x.b + t, terms[1].ahead);                                             \
            }                                                                                      \
            for (int k = 0; k < LANE_VECTORS; k++) {                                               \
                acc[k] = acc[k] + values_##suffix(x, t + k * TSI_VECTOR_F64, form);                \
            }                                                                                      \
        }                                                                                          \
        if (t < count) {                                                                           \
            for (int l = 0; l < LANES; l++) {                                                      \
                last[l] = t + l < count ? value_##suffix(x, t + l, form) : 0.0;                    \
            }                                                                                      \
            for (int k = 0; k < LANE_VECTORS; k++) {                                               \
                acc[k] = acc[k] + tsi_isa_load_f64(last + k * TSI_VECTOR_F64);                     \
            }                                                                                      \
        }                                                                                          \
        return fold_lanes(acc);                                                                    \
    }                                                                                              \
    ALWAYS void across_of_##suffix(int64_t rows, int64_t columns,                                  \
                                   const struct tsi_kernel_term *terms, double *acc, int form)     \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            struct pair_##suffix x = pair_of_##suffix(terms, i, form);                             \
            for (int64_t j = 0; j < columns; j += BLOCK, x.a += BLOCK, x.b += BLOCK) {             \
                const int64_t now = columns - j < BLOCK ? columns - j : BLOCK;                     \
                acc[i] = acc[i] + run_##suffix(now, x, terms, form);                               \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    ALWAYS void down_of_##suffix(int64_t rows, int64_t columns,                                    \
                                 const struct tsi_kernel_term *terms, double *restrict acc,        \
                                 int form)                                                         \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + 4 <= rows; i += 4) {                                                            \
            const struct pair_##suffix x0 = pair_of_##suffix(terms, i, form);                      \
            const struct pair_##suffix x1 = pair_of_##suffix(terms, i + 1, form);                  \
            const struct pair_##suffix x2 = pair_of_##suffix(terms, i + 2, form);                  \
            const struct pair_##suffix x3 = pair_of_##suffix(terms, i + 3, form);                  \
            TSI_INDEPENDENT                                                                        \
            for (int64_t j = 0; j < columns; j++) {                                                \
                acc[j] = acc[j] + value_##suffix(x0, j, form) + value_##suffix(x1, j, form) +      \
                         value_##suffix(x2, j, form) + value_##suffix(x3, j, form);                \
            }                                                                                      \
        }                                                                                          \
        for (; i < rows; i++) {                                                                    \
            const struct pair_##suffix x = pair_of_##suffix(terms, i, form);                       \
            TSI_INDEPENDENT                                                                        \
            for (int64_t j = 0; j < columns; j++) {                                                \
                acc[j] = acc[j] + value_##suffix(x, j, form);                                      \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void across_##suffix(int64_t rows, int64_t columns,                                     \
                                const struct tsi_kernel_term *terms, double *acc)                  \
    {                                                                                              \
        switch (form_of(terms)) {                                                                  \
            FORM(across_of_##suffix, 0)                                                            \
            FORM(across_of_##suffix, ASK)                                                          \
            FORM(across_of_##suffix, TWO)                                                          \
            FORM(across_of_##suffix, TWO | ASK)                                                    \
            FORM(across_of_##suffix, TWO | ASK | ASK_BOTH)                                         \
            FORM(across_of_##suffix, TWO | PLAIN)                                                  \
            FORM(across_of_##suffix, TWO | PLAIN | ASK)                                            \
            FORM(across_of_##suffix, TWO | PLAIN | ASK | ASK_BOTH)                                 \
            FORM(across_of_##suffix, SQUARES)                                                      \
            FORM(across_of_##suffix, SQUARES | ASK)                                                \
            FORM(across_of_##suffix, SQUARES | TWO)                                                \
            FORM(across_of_##suffix, SQUARES | TWO | ASK)                                          \
            FORM(across_of_##suffix, SQUARES | TWO | ASK | ASK_BOTH)                               \
        }                                                                                          \
    }                                                                                              \
    static void down_##suffix(int64_t rows, int64_t columns, const struct tsi_kernel_term *terms,  \
                              double *acc)                                                         \
    {                                                                                              \
        switch (form_of(terms) & (TWO | SQUARES)) {                                                \
            FORM(down_of_##suffix, 0)                                                              \
            FORM(down_of_##suffix, TWO)                                                            \
            FORM(down_of_##suffix, SQUARES)                                                        \
            FORM(down_of_##suffix, TWO | SQUARES)                                                  \
        }                                                                                          \
    }

TSI_FOR_FLOAT(LINEAR)

#define SET(NAME, suffix, T, U)                                                                    \
    table->linear[TESS_##NAME] = (struct tsi_kernel_linear){down_##suffix, across_##suffix};

void
TSI_ISA_NAME(tsi_isa_fill_fold_linear)(struct tsi_kernel_table *table)
{
    TSI_FOR_FLOAT(SET)
}
