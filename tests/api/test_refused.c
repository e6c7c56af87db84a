// SPDX-License-Identifier: Apache-2.0
//
// Plans whose largest task cannot fit are refused with a chunk shape that would: whoever builds the
// expression again with these chunks gets the right result.

#include "tests/support/api.h"

#define LIMIT_BYTES ((uint64_t)4 << 20)

static tess_session *
open_limited(void)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.memory_limit_bytes = LIMIT_BYTES;
    tess_session *session = tess_session_open_with("embedded", &options);
    cr_assert_eq(tess_session_status(session), TESS_OK, "%s", tess_session_error(session));
    return session;
}

static tess_chunks
chunks_of(int ndim, const int64_t *size)
{
    tess_chunks chunks = TESS_CHUNKS_EACH(1);
    chunks.ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        chunks.step[i] = size[i];
    }
    return chunks;
}

// Roots of random numbers, kept: a task that reads them has to hold the chunk. A transpose of the
// random numbers themselves would be made again.
static tess_array *
kept(tess_session *s, tess_shape shape, const int64_t *size)
{
    tess_array *x = tess_sqrt(tess_random_uniform(s, shape, chunks_of(shape.ndim, size), 0, 1));
    cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(s));
    return x;
}

// The same, dearer to make: what is cheap takes workspace to store large chunks past the caches.
static tess_array *
kept_dear(tess_session *s, tess_shape shape, const int64_t *size)
{
    tess_array *x = tess_random_uniform(s, shape, chunks_of(shape.ndim, size), 0, 1);
    for (int i = 0; i < 5; i++) {
        x = tess_sqrt(x);
    }
    cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(s));
    return x;
}

static tess_array *
exp_of_one_axis(tess_session *s, const int64_t *size)
{
    return tess_exp(tess_random_uniform(s, TESS_SHAPE(1000003), chunks_of(1, size), -1, 1));
}

static tess_array *
exp_of_three_axes(tess_session *s, const int64_t *size)
{
    return tess_exp(tess_random_uniform(s, TESS_SHAPE(101, 97, 83), chunks_of(3, size), -1, 1));
}

static tess_array *
sum_of_three(tess_session *s, const int64_t *size)
{
    const tess_shape shape = TESS_SHAPE(701, 523);
    tess_array *x = kept(s, shape, size);
    tess_array *y = kept(s, shape, size);
    tess_array *z = tess_sqrt(tess_abs(kept(s, shape, size)));
    return tess_add(tess_multiply(x, y), z);
}

static tess_array *
add_of_a_row(tess_session *s, const int64_t *size)
{
    tess_array *x = kept(s, TESS_SHAPE(331, 1201), size);
    return tess_subtract(x, tess_random_uniform(s, TESS_SHAPE(1201), chunks_of(1, size + 1), 0, 1));
}

static tess_array *
turned(tess_session *s, const int64_t *size)
{
    tess_array *x = kept(s, TESS_SHAPE(1301, 1301), size);
    return tess_add(x, tess_transpose(x, TESS_REVERSED));
}

static tess_array *
turned_of_three_axes(tess_session *s, const int64_t *size)
{
    tess_array *x = kept(s, TESS_SHAPE(101, 71, 101), size);
    return tess_add(x, tess_transpose(x, TESS_REVERSED));
}

static tess_array *
sum_along_rows(tess_session *s, const int64_t *size)
{
    return tess_sum(tess_exp(kept_dear(s, TESS_SHAPE(601, 1003), size)), TESS_AXIS(1));
}

static tess_array *
sum_along_columns(tess_session *s, const int64_t *size)
{
    return tess_sum(tess_exp(kept_dear(s, TESS_SHAPE(601, 1003), size)), TESS_AXIS(0));
}

static tess_array *
mean_of_the_middle(tess_session *s, const int64_t *size)
{
    return tess_mean(tess_exp(kept_dear(s, TESS_SHAPE(7, 17375, 6), size)), TESS_AXIS(1));
}

static tess_array *
rechunk(tess_session *s, const int64_t *size)
{
    static const int64_t small[] = {40, 30};
    return tess_rechunk(kept(s, TESS_SHAPE(905, 1101), small), chunks_of(2, size));
}

static tess_array *
rechunk_one_axis(tess_session *s, const int64_t *size)
{
    static const int64_t small[] = {10007};
    return tess_rechunk(kept(s, TESS_SHAPE(1000003), small), chunks_of(1, size));
}

static tess_array *
product(tess_session *s, const int64_t *size)
{
    const int64_t left[] = {size[0], size[2]};
    const int64_t right[] = {size[2], size[1]};
    return tess_matmul(kept(s, TESS_SHAPE(1103, 31), left), kept(s, TESS_SHAPE(31, 907), right));
}

static tess_array *
products(tess_session *s, const int64_t *size)
{
    const int64_t left[] = {size[0], size[1], size[3]};
    const int64_t right[] = {size[0], size[3], size[2]};
    return tess_matmul(kept(s, TESS_SHAPE(3, 403, 25), left),
                       kept(s, TESS_SHAPE(3, 25, 407), right));
}

static const struct refused {
    const char *name;
    tess_array *(*build)(tess_session *s, const int64_t *size);
    int axes; // of the shape that is proposed
    int64_t size[4];
} cases[] = {
    {"exp, 1-d", exp_of_one_axis, 1, {600000}},
    {"exp, 3-d", exp_of_three_axes, 3, {101, 97, 83}},
    {"x · y + sqrt(|z|)", sum_of_three, 2, {300, 523}},
    {"x - row", add_of_a_row, 2, {331, 900}},
    {"x + x.T", turned, 2, {440, 440}},
    {"x + x.T, 3-d", turned_of_three_axes, 3, {51, 71, 51}},
    {"sum of rows", sum_along_rows, 2, {517, 1003}},
    {"sum of columns", sum_along_columns, 2, {517, 1003}},
    {"mean of the middle", mean_of_the_middle, 3, {5, 17300, 6}},
    {"rechunk", rechunk, 2, {905, 700}},
    {"rechunk, 1-d", rechunk_one_axis, 1, {700000}},
    {"matmul", product, 3, {1000, 600, 31}},
    {"matmul of stacks", products, 4, {3, 400, 400, 25}},
};

// Reads "(3, 4)" or "(3,)" behind `text`. The number of axes.
static int
read_shape(const char *text, int64_t size[TESS_NDIM_MAX])
{
    int axes = 0;
    char *end = NULL;
    for (const char *at = text; *at != ')' && axes < TESS_NDIM_MAX; axes++) {
        size[axes] = strtoll(at, &end, 10);
        cr_assert(end != at && size[axes] > 0, "%s", text);
        at = end + strspn(end, ", ");
    }
    return axes;
}

// The shape that the refusal of a case proposes.
static void
expect_refused(const struct refused *refused, int64_t size[TESS_NDIM_MAX])
{
    static const char words[] = "chunks of shape (";
    tess_session *s = open_limited();
    tess_array *x = refused->build(s, refused->size);
    void *out = calloc(tess_array_bytes(x) + 1, 1);
    cr_assert(out != NULL);
    cr_assert_eq(tess_compute(x, out, tess_array_bytes(x)), TESS_EMEMLIMIT, "%s: %s", refused->name,
                 tess_session_error(s));
    const char *advice = strstr(tess_session_error(s), words);
    cr_assert(advice != NULL, "%s: %s", refused->name, tess_session_error(s));
    const int axes = read_shape(advice + strlen(words), size);
    cr_assert_eq(axes, refused->axes, "%s: %s", refused->name, tess_session_error(s));
    free(out);
    tess_session_close(s);
}

Test(api_refused, the_proposed_chunks_are_accepted_and_computed_right)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t size[TESS_NDIM_MAX] = {0};
        expect_refused(&cases[i], size);
        tess_session *s = open_limited();
        tess_array *x = cases[i].build(s, size);
        expect_near_oracle(cases[i].name, x, (struct tolerance){64, 64, 0});
        const tess_report report = tess_session_report(s);
        cr_assert(report.peak_bytes_measured <= LIMIT_BYTES, "%s", cases[i].name);
        tess_session_close(s);
    }
}
