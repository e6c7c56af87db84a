// SPDX-License-Identifier: Apache-2.0
//
// Results that are made in the caller's memory: the same bytes wherever it is, nothing beside them,
// and nothing touches it once the compute has ended, whatever ended it.

#include "tests/support/api.h"

enum { COUNT = 300000, CHUNK = 40000, GUARD = 64 };

// One chunk is 320 KB, so it would be made where it goes if it lies there in one run.
static tess_array *
chain(tess_session *s)
{
    tess_array *x = tess_arange(s, 0, COUNT, 1, TESS_CHUNKS(CHUNK), TESS_F64);
    return tess_sqrt(tess_add(tess_multiply(x, x), tess_scalar(s, 0.5)));
}

static double
element(int64_t i)
{
    return sqrt((double)i * (double)i + 0.5);
}

// Memory of `bytes` that begins `shift` bytes after a multiple of GUARD, with guards around it.
struct guarded {
    unsigned char *block;
    unsigned char *data;
    size_t bytes;
};

static struct guarded
guard(size_t bytes, size_t shift)
{
    struct guarded memory = {.bytes = bytes};
    const size_t all = (bytes + shift + 3 * GUARD) / GUARD * GUARD;
    memory.block = aligned_alloc(GUARD, all);
    cr_assert(memory.block != NULL);
    memset(memory.block, 0xA5, all);
    memory.data = memory.block + GUARD + shift;
    return memory;
}

static void
check_guards(const struct guarded *memory)
{
    for (size_t i = 0; i < GUARD; i++) {
        cr_assert_eq(memory->data[-1 - (ptrdiff_t)i], 0xA5);
        cr_assert_eq(memory->data[memory->bytes + i], 0xA5);
    }
}

Test(api_place, the_same_bytes_at_every_address)
{
    tess_session *s = open_embedded(3);
    for (size_t shift = 0; shift < 10; shift++) {
        struct guarded memory = guard(COUNT * sizeof(double), shift);
        cr_assert_eq(tess_compute(chain(s), memory.data, memory.bytes), TESS_OK);
        for (int64_t i = 0; i < COUNT; i++) {
            double have;
            memcpy(&have, memory.data + (size_t)i * sizeof have, sizeof have);
            cr_assert_eq(have, element(i), "shift %zu, element %" PRId64, shift, i);
        }
        check_guards(&memory);
        free(memory.block);
    }
    tess_session_close(s);
}

// Rows and columns of chunks: whole rows lie in one run, parts of rows do not.
Test(api_place, whole_rows_and_parts_of_rows)
{
    static const int64_t cuts[][2] = {{50, 2000}, {50, 500}, {1, 70000}, {400, 2000}, {1, 30000}};
    tess_session *s = open_embedded(2);
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
        const int64_t rows = cuts[c][1] > 2000 ? 5 : 333;
        const int64_t columns = cuts[c][1] > 2000 ? 70000 : 2000;
        tess_array *x = tess_random_uniform(s, TESS_SHAPE(rows, columns),
                                            TESS_CHUNKS(cuts[c][0], cuts[c][1]), 0, 1);
        x = tess_subtract(x, tess_scalar(s, 0.5));
        struct guarded memory = guard(tess_array_bytes(x), 8);
        cr_assert_eq(tess_compute(x, memory.data, memory.bytes), TESS_OK);
        check_guards(&memory);
        double *other = compute(tess_rechunk(x, TESS_CHUNKS(7, 11)));
        cr_assert(memcmp(other, memory.data, memory.bytes) == 0, "cut %zu", c);
        free(other);
        free(memory.block);
    }
    tess_session_close(s);
}

// A target that another target is made of, and one that goes to two places.
Test(api_place, several_readers_and_places)
{
    tess_session *s = open_embedded(3);
    tess_array *x = chain(s);
    tess_array *targets[] = {x, tess_sum(x, TESS_AXES_ALL),
                             tess_subtract(x, tess_mean(x, TESS_AXES_ALL))};
    double *first = malloc(COUNT * sizeof *first);
    double *last = malloc(COUNT * sizeof *last);
    double sum = 0;
    void *outs[] = {first, &sum, last};
    const size_t bytes[] = {COUNT * sizeof *first, sizeof sum, COUNT * sizeof *last};
    cr_assert_eq(tess_compute_many(targets, outs, bytes, 3), TESS_OK, "%s", tess_session_error(s));
    double expected = 0;
    cr_assert_eq(tess_compute(targets[1], &expected, sizeof expected), TESS_OK);
    cr_assert_eq(sum, expected);
    for (int64_t i = 0; i < COUNT; i++) {
        cr_assert_eq(first[i], element(i));
        cr_assert(fabs(last[i] - (element(i) - sum / COUNT)) <= 1e-9 * COUNT);
    }
    targets[2] = x;
    memset(first, 0, COUNT * sizeof *first);
    cr_assert_eq(tess_compute_many(targets, outs, bytes, 3), TESS_OK);
    for (int64_t i = 0; i < COUNT; i++) {
        cr_assert_eq(first[i], element(i));
        cr_assert_eq(last[i], element(i));
    }
    free(first);
    free(last);
    tess_session_close(s);
}

static tess_array *
slow(tess_session *s)
{
    tess_array *x = tess_random_normal(s, TESS_SHAPE(20000000), TESS_CHUNKS(1000000), 0, 1);
    for (int i = 0; i < 6; i++) {
        x = tess_sin(tess_add(x, tess_scalar(s, i)));
    }
    return x;
}

// However the compute ends early, the memory is the caller's again when it has.
Test(api_place, nothing_is_touched_after_the_end)
{
    const size_t bytes = 20000000 * sizeof(double);
    const size_t page = 1000;
    for (int way = 0; way < 12; way++) {
        tess_session *s = open_embedded(2);
        tess_array *x = slow(s);
        unsigned char *out = malloc(bytes);
        cr_assert(out != NULL);
        memset(out, 0x5A, bytes);
        tess_future *future = tess_submit(&x, (void *[]){out}, &bytes, 1);
        (void)!tess_future_wait(future, way);
        if (way % 3 == 0) {
            tess_future_cancel(future);
            const tess_status status = tess_future_wait(future, -1);
            cr_assert(status == TESS_ECANCELLED || status == TESS_OK);
        } else if (way % 3 == 1) {
            tess_future_free(future);
            future = NULL;
        } else {
            tess_session_close(s);
            s = NULL;
        }
        memset(out, 0xC3, bytes);
        double sum = 0;
        if (s != NULL) {
            tess_array *other =
                tess_sum(tess_slice(slow(s), TESS_INDEX(TESS_RANGE(0, 10, 1))), TESS_AXES_ALL);
            cr_assert_eq(tess_compute(other, &sum, sizeof sum), TESS_OK);
        }
        for (size_t i = 0; i < bytes; i += page) {
            cr_assert_eq(out[i], 0xC3, "way %d, byte %zu", way, i);
        }
        tess_future_free(future);
        tess_session_close(s);
        free(out);
    }
}

// With little memory results are written to disk and read back before they can be delivered.
Test(api_place, little_memory)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 3;
    options.memory_limit_bytes = 6 * CHUNK * sizeof(double);
    tess_session *s = tess_session_open_with("embedded", &options);
    cr_assert_eq(tess_session_status(s), TESS_OK, "%s", tess_session_error(s));
    double *kept = malloc(COUNT * sizeof *kept);
    tess_array *x = chain(s);
    cr_assert_eq(tess_persist(tess_random_uniform(s, TESS_SHAPE(COUNT), TESS_CHUNKS(CHUNK), 0, 1)),
                 TESS_OK, "%s", tess_session_error(s));
    cr_assert_eq(tess_compute(x, kept, COUNT * sizeof *kept), TESS_OK, "%s", tess_session_error(s));
    for (int64_t i = 0; i < COUNT; i++) {
        cr_assert_eq(kept[i], element(i));
    }
    free(kept);
    tess_session_close(s);
}
