// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of the oracle: one element at a time, with its dtype.

#ifndef TESS_TEST_EVAL_VALUE_H
#define TESS_TEST_EVAL_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/op.h"
#include "tessera/dtype.h"

// bool and signed integers are in `i`, unsigned integers in `u`, floats in `f`.
struct test_value {
    tess_dtype dtype;
    int64_t i;
    uint64_t u;
    double f;
};

bool test_value_is_integer(tess_dtype dtype); // not bool
bool test_value_is_float(tess_dtype dtype);

// Between values and the bytes of elements.
struct test_value test_value_read(tess_dtype dtype, const void *element);
void test_value_write(struct test_value value, void *element);

// The low bits of `bits` as an integer; a float rounded or cut as tess_cast() does.
struct test_value test_value_of_bits(tess_dtype dtype, uint64_t bits);
struct test_value test_value_of_f64(tess_dtype dtype, double value);

struct test_value test_value_cast(struct test_value value, tess_dtype dtype);

// `op` of as many elements as it takes.
struct test_value test_value_map(enum tsi_op op, const struct test_value x[3]);

// The reduction of `count` elements to one of type `to`.
struct test_value test_value_fold(enum tsi_reduction reduction, tess_dtype to,
                                  const struct test_value *x, int64_t count, double ddof);

// A sum of products, as an integer and as a float at once.
struct test_sum {
    uint64_t bits;
    long double real;
    bool any;
};
void test_value_add_product(struct test_sum *sum, struct test_value x, struct test_value y);
struct test_value test_value_of_sum(tess_dtype dtype, const struct test_sum *sum);

#endif
