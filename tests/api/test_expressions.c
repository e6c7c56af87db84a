// SPDX-License-Identifier: Apache-2.0
//
// Random expressions against the oracle: views, element-wise operations, reductions and products of
// all kinds of leaves, cut at random.
//
// Elements are small whole numbers, also of the float arrays, and what would leave the numbers that
// floats hold exactly is cut back by a minimum. So every result has just one value, whatever the
// order of additions, and the comparison is one of bits. Means and variances come last.

#include "tests/support/api.h"

#include "tests/support/random.h"

#define DEPTH_MAX 8
#define ELEMENTS_MAX 20000

struct generator {
    struct test_random random;
    tess_session *session;
    int list_count;
    int64_t lists[64][16];
};

static int64_t memory[4096];
static float narrow_memory[4096];

static int64_t
between(struct generator *g, int64_t low, int64_t high)
{
    return test_random_between(&g->random, low, high);
}

static bool
one_in(struct generator *g, int64_t n)
{
    return test_random_one_in(&g->random, n);
}

static tess_chunks
list_axis(struct generator *g, tess_chunks chunks, int axis, int64_t left)
{
    int64_t *list = g->lists[g->list_count++];
    int64_t count = 0;
    while (count < 15 && (left > 0 || count == 0)) {
        list[count] = between(g, 0, left < 4 ? left : 4);
        left -= list[count++];
    }
    if (left > 0) {
        list[count++] = left;
    }
    return tess_chunks_list(chunks, axis, list, count);
}

static tess_chunks
random_chunks(struct generator *g, tess_shape shape)
{
    tess_chunks chunks = {.ndim = shape.ndim};
    for (int a = 0; a < shape.ndim; a++) {
        chunks.step[a] = between(g, -1, 5);
        if (one_in(g, 4) && g->list_count < 64) {
            chunks = list_axis(g, chunks, a, shape.size[a]);
        }
    }
    return chunks;
}

static tess_shape
random_shape(struct generator *g)
{
    tess_shape shape = {.ndim = (int)between(g, 0, 3)};
    for (int a = 0; a < shape.ndim; a++) {
        shape.size[a] = one_in(g, 12) ? 0 : between(g, 1, 8);
    }
    return shape;
}

static tess_array *
from_memory(struct generator *g, tess_shape shape, tess_chunks chunks)
{
    int64_t strides[TESS_NDIM_MAX];
    int64_t first = 0;
    int64_t step = 1;
    for (int a = 0; a < shape.ndim; a++) {
        const bool backward = one_in(g, 3);
        strides[a] = (backward ? -step : step) * (int64_t)sizeof *memory;
        first += backward && shape.size[a] > 0 ? (shape.size[a] - 1) * step : 0;
        step *= shape.size[a] > 0 ? shape.size[a] : 1;
    }
    return tess_from_memory(g->session, memory + first, TESS_I64, shape, strides, chunks);
}

static tess_array *
leaf(struct generator *g, tess_shape shape)
{
    const tess_chunks chunks = random_chunks(g, shape);
    const tess_dtype dtype = (tess_dtype)between(g, TESS_BOOL, TESS_F64);
    switch (between(g, 0, 7)) {
    case 0:
        return tess_full_int(g->session, shape, chunks, dtype, between(g, 0, 9));
    case 1:
        return tess_random_integers(g->session, shape, chunks, TESS_I16, -50, 50);
    case 2:
        return tess_from_memory(g->session, narrow_memory, TESS_F32, shape, NULL, chunks);
    case 3:
        return from_memory(g, shape, chunks);
    case 4:
        return tess_greater(tess_random_normal(g->session, shape, chunks, 0, 1),
                            tess_random_uniform(g->session, shape, chunks, -1, 1));
    case 5:
        if (shape.ndim == 2) {
            return tess_eye(g->session, shape.size[0], shape.size[1], between(g, -2, 3), chunks,
                            dtype);
        }
        if (shape.ndim == 1) {
            return tess_arange(g->session, 3, 3 + 2 * (double)shape.size[0], 2, chunks, dtype);
        }
        return tess_zeros(g->session, shape, chunks, dtype);
    default:
        return tess_cast(tess_random_integers(g->session, shape, chunks, TESS_I8, -9, 10), dtype);
    }
}

// A leaf that broadcasts with `x`.
static tess_array *
fitting_leaf(struct generator *g, tess_array *x)
{
    const tess_shape shape = tess_array_shape(x);
    const int dropped = one_in(g, 2) ? 0 : (int)between(g, 0, shape.ndim);
    tess_shape fitting = {.ndim = shape.ndim - dropped};
    for (int a = 0; a < fitting.ndim; a++) {
        fitting.size[a] = one_in(g, 4) ? 1 : shape.size[a + dropped];
    }
    return leaf(g, fitting);
}

static void
add_index(tess_indices *indices, tess_index index)
{
    indices->index[indices->count++] = index;
}

static tess_array *
random_slice(struct generator *g, tess_array *x)
{
    const tess_shape shape = tess_array_shape(x);
    tess_indices indices = {0};
    for (int a = 0; a < shape.ndim; a++) {
        const int64_t size = shape.size[a];
        if (shape.ndim < 5 && one_in(g, 8)) {
            add_index(&indices, TESS_NEWAXIS);
        }
        if (size > 0 && one_in(g, 5)) {
            add_index(&indices, TESS_AT(between(g, -size, size - 1)));
        } else if (one_in(g, 2)) {
            add_index(&indices, TESS_RANGE(TESS_OPEN, TESS_OPEN, -between(g, 1, 3)));
        } else {
            add_index(&indices, TESS_RANGE(between(g, 0, size / 2), TESS_OPEN, between(g, 1, 3)));
        }
    }
    return tess_slice(x, indices);
}

static tess_array *
random_view(struct generator *g, tess_array *x)
{
    const tess_shape shape = tess_array_shape(x);
    tess_shape repeated = {0};
    switch (between(g, 0, 4)) {
    case 0:
        return tess_transpose(x, TESS_REVERSED);
    case 1:
        return tess_rechunk(x, random_chunks(g, shape));
    case 2:
        if (shape.ndim < 4) {
            repeated.size[repeated.ndim++] = between(g, 1, 3);
        }
        for (int a = 0; a < shape.ndim; a++) {
            repeated.size[repeated.ndim++] = shape.size[a] == 1 ? between(g, 1, 4) : shape.size[a];
        }
        return tess_broadcast_to(x, repeated);
    default:
        return random_slice(g, x);
    }
}

static tess_axes
random_axes(struct generator *g, tess_array *x)
{
    tess_axes axes = one_in(g, 2) ? TESS_KEEPDIMS : 0;
    for (int a = 0; a < tess_array_shape(x).ndim; a++) {
        axes |= one_in(g, 2) ? TESS_AXIS(a) : 0;
    }
    return one_in(g, 4) ? axes | TESS_AXES_ALL : axes;
}

// Floats back into the numbers of which no few sums and products are rounded.
static tess_array *
bounded(struct generator *g, tess_array *x)
{
    return tess_maximum(tess_minimum(x, tess_scalar_int(g->session, 15)),
                        tess_full(g->session, TESS_SCALAR_SHAPE, TESS_CHUNKS_NONE, TESS_I8, -15));
}

static tess_array *
random_reduction(struct generator *g, tess_array *x)
{
    const tess_axes axes = random_axes(g, x);
    switch (between(g, 0, 7)) {
    case 0:
        return tess_min(x, axes);
    case 1:
        return tess_max(x, axes);
    case 2:
        return tess_any(x, axes);
    case 3:
        return tess_all(x, axes);
    case 4:
        return tess_argmin(x, axes);
    case 5:
        return tess_argmax(x, axes);
    case 6:
        return tess_prod(tess_cast(x, TESS_I32), axes);
    default:
        return tess_sum(bounded(g, x), axes);
    }
}

static tess_array *
random_product(struct generator *g, tess_array *x)
{
    const tess_shape shape = tess_array_shape(x);
    if (shape.ndim == 0) {
        return tess_abs(x);
    }
    const int64_t inner = shape.size[shape.ndim - 1];
    tess_array *other =
        leaf(g, one_in(g, 4) ? TESS_SHAPE(inner) : TESS_SHAPE(inner, between(g, 1, 5)));
    if (one_in(g, 4)) {
        other = tess_transpose(leaf(g, TESS_SHAPE(between(g, 1, 5), inner)), TESS_REVERSED);
    }
    if (one_in(g, 5) && shape.ndim > 1) {
        return tess_matmul(bounded(g, x), tess_transpose(bounded(g, x), TESS_REVERSED));
    }
    return tess_matmul(bounded(g, x), bounded(g, other));
}

static tess_array *
random_step(struct generator *g, tess_array *x)
{
    switch (between(g, 0, 11)) {
    case 0:
    case 1:
    case 2:
        return random_view(g, x);
    case 3:
        return random_reduction(g, x);
    case 4:
        return tess_add(x, bounded(g, fitting_leaf(g, x)));
    case 5:
        return tess_multiply(bounded(g, fitting_leaf(g, x)), bounded(g, x));
    case 6:
        return tess_less(x, fitting_leaf(g, x));
    case 7:
        return tess_where(tess_less(fitting_leaf(g, x), x), x, fitting_leaf(g, x));
    case 8:
        return tess_add(bounded(g, x), tess_scalar(g->session, 0.5));
    case 9:
        return random_product(g, x);
    case 10:
        return tess_cast(x, (tess_dtype)between(g, TESS_BOOL, TESS_F64));
    default:
        return tess_maximum(x, random_reduction(g, x));
    }
}

static bool
is_usable(tess_array *x)
{
    return tess_array_status(x) == TESS_OK && tess_array_count(x) <= ELEMENTS_MAX;
}

// `depth` steps from a leaf; a step that cannot be made (shapes that do not fit) is left out.
static tess_array *
random_expression(struct generator *g, int64_t depth)
{
    tess_array *x = leaf(g, random_shape(g));
    for (int64_t d = 0; d < depth; d++) {
        tess_array *next = random_step(g, x);
        x = is_usable(next) ? next : x;
        if (one_in(g, 16)) {
            cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(g->session));
        }
    }
    return x;
}

static void
check_seed(uint64_t seed)
{
    char what[64];
    struct generator *g = calloc(1, sizeof *g);
    cr_assert(g != NULL);
    g->random.state = seed * UINT64_C(77777777);
    g->session = open_embedded(1 + (int)(seed % 3));
    snprintf(what, sizeof what, "seed %" PRIu64, seed);
    tess_array *x = random_expression(g, between(g, 1, DEPTH_MAX));
    expect_oracle(what, x);
    expect_near_oracle(what, tess_mean(x, random_axes(g, x)), (struct tolerance){8, 0, 8});
    expect_near_oracle(what, tess_var(bounded(g, x), random_axes(g, x), 0),
                       (struct tolerance){64, 0, 64});
    tess_session_close(g->session);
    free(g);
}

static void
check_seeds(uint64_t first, uint64_t count)
{
    for (int i = 0; i < 4096; i++) {
        memory[i] = i * 7919 % 101 - 50;
        narrow_memory[i] = (float)memory[i];
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        check_seed(seed);
    }
}

Test(api_expressions, first_thousand)
{
    check_seeds(0, 1000);
}

Test(api_expressions, second_thousand)
{
    check_seeds(1000, 1000);
}

// TESS_TEST_SEED and TESS_TEST_COUNT choose others.
Test(api_expressions, chosen_by_environment)
{
    const char *seed = getenv("TESS_TEST_SEED");
    const char *count = getenv("TESS_TEST_COUNT");
    check_seeds(seed != NULL ? strtoull(seed, NULL, 10) : 2000,
                count != NULL ? strtoull(count, NULL, 10) : 100);
}
