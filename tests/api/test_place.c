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

// Bytes that differ from their neighbours on both axes.
static unsigned char *
some_bytes(size_t bytes)
{
    unsigned char *data = malloc(bytes);
    cr_assert(data != NULL);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (unsigned char)(i * 131 + i / 251);
    }
    return data;
}

// Transposed by loops.
static void
check_transposed(const unsigned char *x, int64_t rows, int64_t columns, size_t item,
                 const struct guarded *have)
{
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < rows; i++) {
            cr_assert(memcmp(have->data + (size_t)(j * rows + i) * item,
                             x + (size_t)(i * columns + j) * item, item) == 0,
                      "%zu bytes, row %" PRId64 ", column %" PRId64, item, j, i);
        }
    }
    check_guards(have);
}

// Tasks that move elements put them into parts of the caller's rows, past the caches if the array
// is large: elements of all sizes, rows that are whole lines apart and others, at any address.
Test(api_place, moved_into_parts_of_rows)
{
    static const tess_dtype dtypes[] = {TESS_U8, TESS_I16, TESS_F32, TESS_F64};
    static const int64_t sizes[][2] = {{300, 500}, {1216, 3003}, {1211, 3003}};
    tess_session *s = open_embedded(3);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes * 4; k++) {
        const tess_dtype dtype = dtypes[k % 4];
        const size_t item = tess_dtype_bytes(dtype);
        const int64_t rows = sizes[k / 4][0];
        const int64_t columns = sizes[k / 4][1];
        unsigned char *data = some_bytes((size_t)(rows * columns) * item);
        tess_array *x = tess_from_memory(s, data, dtype, TESS_SHAPE(rows, columns), NULL,
                                         TESS_CHUNKS(rows / 2 - 3, 701));
        struct guarded memory = guard((size_t)(rows * columns) * item, k / 4 * item);
        tess_array *turned = tess_transpose(x, TESS_REVERSED);
        cr_assert_eq(tess_compute(turned, memory.data, memory.bytes), TESS_OK, "%s",
                     tess_session_error(s));
        check_transposed(data, rows, columns, item, &memory);
        memset(memory.data, 0, memory.bytes);
        turned = tess_rechunk(turned, TESS_CHUNKS(550, rows / 3));
        cr_assert_eq(tess_compute(turned, memory.data, memory.bytes), TESS_OK);
        check_transposed(data, rows, columns, item, &memory);
        free(memory.block);
        free(data);
    }
    tess_session_close(s);
}

// The same for three axes and for slices that go backwards; and where somebody else reads the
// chunks, or they go to two places, or are there already.
Test(api_place, moved_otherwise)
{
    enum { A = 90, B = 110, C = 130 };
    const size_t bytes = (size_t)A * B * C * sizeof(double);
    tess_session *s = open_embedded(3);
    unsigned char *data = some_bytes(bytes);
    tess_array *x =
        tess_from_memory(s, data, TESS_I64, TESS_SHAPE(A, B, C), NULL, TESS_CHUNKS(60, 70, 80));
    tess_array *turned = tess_transpose(x, TESS_REVERSED);
    tess_array *back = tess_slice(
        turned, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -1), TESS_RANGE(0, TESS_OPEN, 1)));
    tess_array *both[] = {turned, turned, tess_max(turned, TESS_AXES_ALL), back};
    int64_t *first = malloc(bytes);
    int64_t *last = malloc(bytes);
    int64_t *backwards = malloc(bytes);
    int64_t largest = 0;
    const size_t sizes[] = {bytes, bytes, sizeof largest, bytes};
    for (int round = 0; round < 3; round++) {
        memset(first, 0, bytes);
        memset(backwards, 0, bytes);
        cr_assert_eq(
            tess_compute_many(both, (void *[]){first, last, &largest, backwards}, sizes, 4),
            TESS_OK, "%s", tess_session_error(s));
        cr_assert(memcmp(first, last, bytes) == 0);
        int64_t most = INT64_MIN;
        for (int64_t i = 0; i < (int64_t)A * B * C; i++) {
            int64_t value;
            memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
            const int64_t a = i / (B * C);
            const int64_t b = i / C % B;
            const int64_t c = i % C;
            most = value > most ? value : most;
            cr_assert_eq(first[(c * B + b) * A + a], value);
            cr_assert_eq(backwards[((C - 1 - c) * B + b) * A + a], value);
        }
        cr_assert_eq(largest, most);
        memset(first, 0, bytes);
        cr_assert_eq(tess_compute(turned, first, bytes), TESS_OK);
        cr_assert(memcmp(first, last, bytes) == 0);
        if (round == 1) {
            cr_assert_eq(tess_persist(turned), TESS_OK, "%s", tess_session_error(s));
        }
    }
    free(first);
    free(last);
    free(backwards);
    tess_session_close(s);
    free(data);
}

// Three times x, less 5, by loops and by tasks whose chunks lie in parts of rows.
static void
check_made(tess_session *s, tess_shape shape, tess_chunks chunks)
{
    int64_t count = 1;
    for (int i = 0; i < shape.ndim; i++) {
        count *= shape.size[i];
    }
    int64_t *data = malloc((size_t)count * sizeof *data);
    cr_assert(data != NULL);
    for (int64_t i = 0; i < count; i++) {
        data[i] = i * 131 + i / 251;
    }
    struct guarded memory = guard((size_t)count * sizeof *data, 8);
    tess_array *x = tess_from_memory(s, data, TESS_I64, shape, NULL, chunks);
    x = tess_subtract(tess_multiply(x, tess_scalar_int(s, 3)), tess_scalar_int(s, 5));
    cr_assert_eq(tess_compute(x, memory.data, memory.bytes), TESS_OK, "%s", tess_session_error(s));
    for (int64_t i = 0; i < count; i++) {
        int64_t have;
        memcpy(&have, memory.data + (size_t)i * sizeof have, sizeof have);
        cr_assert_eq(have, 3 * data[i] - 5, "element %" PRId64 " of %" PRId64, i, count);
    }
    check_guards(&memory);
    free(memory.block);
    free(data);
}

// Tasks that compute put what they make into parts of the caller's rows too: tiles of one row, of
// several short ones, of one column, and of three axes; some past the caches.
Test(api_place, made_into_parts_of_rows)
{
    tess_session *s = open_embedded(3);
    check_made(s, TESS_SHAPE(1211, 703), TESS_CHUNKS(400, 300));
    check_made(s, TESS_SHAPE(1211, 703), TESS_CHUNKS(1211, 64));
    check_made(s, TESS_SHAPE(1211, 703), TESS_CHUNKS(17, 512));
    check_made(s, TESS_SHAPE(20000, 3), TESS_CHUNKS(20000, 1));
    check_made(s, TESS_SHAPE(20000, 3), TESS_CHUNKS(9000, 2));
    check_made(s, TESS_SHAPE(30, 70, 90), TESS_CHUNKS(16, 33, 50));
    check_made(s, TESS_SHAPE(30, 70, 900), TESS_CHUNKS(16, 33, 450));
    check_made(s, TESS_SHAPE(90, 40, 110), TESS_CHUNKS(90, 1, 110));
    check_made(s, TESS_SHAPE(90, 40, 110), TESS_CHUNKS(45, 40, 1));
    check_made(s, TESS_SHAPE(6, 7, 8, 900), TESS_CHUNKS(6, 3, 8, 400));
    check_made(s, TESS_SHAPE(2100, 2100), TESS_CHUNKS(1050, 1050));
    tess_session_close(s);
}

// The same of tiles that are rectangles, since an operand is turned around; and of other sizes.
Test(api_place, made_of_what_is_turned)
{
    enum { SIDE = 700 };
    static const tess_dtype dtypes[] = {TESS_BOOL, TESS_U8, TESS_I16, TESS_F32, TESS_F64};
    tess_session *s = open_embedded(3);
    for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
        const size_t item = tess_dtype_bytes(dtypes[k]);
        struct guarded memory = guard((size_t)SIDE * SIDE * item, item);
        uint8_t *data = malloc((size_t)SIDE * SIDE);
        cr_assert(data != NULL);
        for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
            data[i] = (uint8_t)((i * 37 + i / 251) % 2);
        }
        tess_array *x =
            tess_from_memory(s, data, TESS_U8, TESS_SHAPE(SIDE, SIDE), NULL, TESS_CHUNKS(300, 400));
        tess_array *y = tess_cast(tess_maximum(x, tess_transpose(x, TESS_REVERSED)), dtypes[k]);
        cr_assert_eq(tess_compute(y, memory.data, memory.bytes), TESS_OK, "%s",
                     tess_session_error(s));
        for (size_t i = 0; i < SIDE; i++) {
            for (size_t j = 0; j < SIDE; j++) {
                const bool is_one = (data[i * SIDE + j] | data[j * SIDE + i]) != 0;
                const unsigned char *at = memory.data + (i * SIDE + j) * item;
                double value = *at;
                float narrow;
                int16_t integer;
                switch (dtypes[k]) {
                case TESS_I16:
                    memcpy(&integer, at, sizeof integer);
                    value = integer;
                    break;
                case TESS_F32:
                    memcpy(&narrow, at, sizeof narrow);
                    value = (double)narrow;
                    break;
                case TESS_F64:
                    memcpy(&value, at, sizeof value);
                    break;
                default:
                    break;
                }
                cr_assert_eq(value, is_one ? 1.0 : 0.0, "%zu, %zu of %zu bytes", i, j, item);
            }
        }
        check_guards(&memory);
        free(data);
        free(memory.block);
    }
    tess_session_close(s);
}

enum { SLOW_ROWS = 4000, SLOW_COLUMNS = 5000 };

// Twenty chunks: runs of the result, or parts of its rows.
static tess_array *
slow(tess_session *s, bool is_apart)
{
    const tess_chunks chunks =
        is_apart ? TESS_CHUNKS(1000, 1000) : TESS_CHUNKS(SLOW_ROWS / 20, TESS_WHOLE_AXIS);
    tess_array *x = tess_random_normal(s, TESS_SHAPE(SLOW_ROWS, SLOW_COLUMNS), chunks, 0, 1);
    for (int i = 0; i < 6; i++) {
        x = tess_sin(tess_add(x, tess_scalar(s, i)));
    }
    return x;
}

// However the compute ends early, the memory is the caller's again when it has.
static void
check_untouched(int way, bool is_apart)
{
    const size_t bytes = (size_t)SLOW_ROWS * SLOW_COLUMNS * sizeof(double);
    const size_t page = 1000;
    tess_session *s = open_embedded(2);
    tess_array *x = slow(s, is_apart);
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
            tess_sum(tess_slice(slow(s, is_apart), TESS_INDEX(TESS_RANGE(0, 1, 1))), TESS_AXES_ALL);
        cr_assert_eq(tess_compute(other, &sum, sizeof sum), TESS_OK);
    }
    for (size_t i = 0; i < bytes; i += page) {
        cr_assert_eq(out[i], 0xC3, "way %d, byte %zu", way, i);
    }
    tess_future_free(future);
    tess_session_close(s);
    free(out);
}

Test(api_place, nothing_is_touched_after_the_end)
{
    for (int way = 0; way < 12; way++) {
        check_untouched(way, false);
        check_untouched(way, true);
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

// Chunks in parts of rows are made whole before they are written to disk.
Test(api_place, little_memory_for_parts_of_rows)
{
    enum { SIDE = 1200, CUT = 150 };
    const size_t bytes = (size_t)SIDE * SIDE * sizeof(double);
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 4;
    options.memory_limit_bytes = (int64_t)4 * CUT * CUT * sizeof(double);
    tess_session *s = tess_session_open_with("embedded", &options);
    unsigned char *data = some_bytes(bytes);
    struct guarded memory = guard(bytes, 8);
    tess_array *x =
        tess_from_memory(s, data, TESS_I64, TESS_SHAPE(SIDE, SIDE), NULL, TESS_CHUNKS(CUT, CUT));
    cr_assert_eq(tess_persist(tess_random_uniform(s, TESS_SHAPE(SIDE), TESS_CHUNKS(CUT), 0, 1)),
                 TESS_OK, "%s", tess_session_error(s));
    for (int round = 0; round < 5; round++) {
        memset(memory.data, 0, bytes);
        tess_array *turned = tess_transpose(x, TESS_REVERSED);
        cr_assert_eq(tess_compute(turned, memory.data, bytes), TESS_OK, "%s",
                     tess_session_error(s));
        check_transposed(data, SIDE, SIDE, sizeof(double), &memory);
    }
    free(memory.block);
    tess_session_close(s);
    free(data);
}

// Outputs of 2 MiB and more go past the caches, in blocks that are not whole lines here: rows of
// an odd number of elements, at an odd place.
Test(api_place, large_results_of_cheap_programs)
{
    enum { ROWS = 1201, COLUMNS = 1501, CELLS = ROWS * COLUMNS };
    tess_session *s = open_embedded(2);
    struct guarded memory = guard((size_t)CELLS * sizeof(double), 8);
    double *in = malloc((size_t)CELLS * sizeof *in);
    cr_assert(in != NULL);
    for (int64_t i = 0; i < CELLS; i++) {
        in[i] = (double)i;
    }
    tess_array *x = tess_from_memory(s, in, TESS_F64, TESS_SHAPE(CELLS), NULL, TESS_CHUNKS(CELLS));
    tess_array *grid = tess_from_memory(s, in, TESS_F64, TESS_SHAPE(ROWS, COLUMNS), NULL,
                                        TESS_CHUNKS(ROWS, COLUMNS));
    for (int turn = 0; turn < 2; turn++) {
        tess_array *y = turn == 0 ? x : grid;
        cr_assert_eq(tess_compute(tess_add(y, y), memory.data, memory.bytes), TESS_OK, "%s",
                     tess_session_error(s));
        for (int64_t i = 0; i < CELLS; i++) {
            double have;
            memcpy(&have, memory.data + (size_t)i * sizeof have, sizeof have);
            cr_assert_eq(have, 2 * (double)i, "turn %d, element %lld", turn, (long long)i);
        }
        check_guards(&memory);
        memset(memory.data, 0, memory.bytes);
    }
    tess_session_close(s);
    free(memory.block);
    free(in);
}
