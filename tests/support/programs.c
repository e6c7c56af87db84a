// SPDX-License-Identifier: Apache-2.0
//
// The programs are small, but their grids are awkward: ragged and listed chunks, empty ones,
// several hundred of them, operands that are cut at other places than each other.

#include "tests/support/programs.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t uneven[] = {3, 0, 1, 7, 2, 10};   // 23
static const int64_t uneven_more[] = {1, 1, 12, 0, 5}; // 19

// The caller's memory of the programs: 4096 elements of any dtype and any alignment.
static unsigned char memory[8 * 4096 + 8];

static void
keep(struct test_program_run *run, tess_array *x)
{
    if (run->count < TEST_PROGRAM_ARRAYS_MAX) {
        run->arrays[run->count++] = x;
    }
}

static bool
is_float(tess_dtype dtype)
{
    return dtype == TESS_F32 || dtype == TESS_F64;
}

// Random elements of the program's dtype: floats of either sign, integers over a range in which
// sums and products wrap around at times.
static tess_array *
elements(struct test_program_run *run, tess_shape shape, tess_chunks chunks)
{
    if (is_float(run->dtype)) {
        return tess_cast(tess_random_normal(run->session, shape, chunks, 0.25, 3), run->dtype);
    }
    return tess_cast(tess_random_integers(run->session, shape, chunks, TESS_I64, -100, 100),
                     run->dtype);
}

static tess_chunks
uneven_chunks(void)
{
    tess_chunks chunks = TESS_CHUNKS(1, 1);
    chunks = tess_chunks_list(chunks, 0, uneven, 6);
    return tess_chunks_list(chunks, 1, uneven_more, 5);
}

static void
build_elementwise(struct test_program_run *run)
{
    tess_array *(*const two[])(tess_array *, tess_array *) = {
        tess_add,   tess_multiply,  tess_divide, tess_power,      tess_minimum, tess_maximum,
        tess_equal, tess_not_equal, tess_less,   tess_less_equal, tess_greater, tess_greater_equal};
    tess_array *(*const one[])(tess_array *) = {tess_abs, tess_sqrt, tess_exp,
                                                tess_log, tess_sin,  tess_cos};
    tess_array *x = elements(run, TESS_SHAPE(23, 19), uneven_chunks());
    tess_array *y = elements(run, TESS_SHAPE(23, 19), TESS_CHUNKS(4, 7));
    tess_array *row = elements(run, TESS_SHAPE(19), TESS_CHUNKS(5));
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        keep(run, two[i](x, y));
        keep(run, two[i](row, y));
        keep(run, two[i](x, tess_scalar_int(run->session, 1)));
        keep(run, two[i](x, tess_scalar(run->session, 2.5)));
    }
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        keep(run, one[i](x));
    }
    if (run->dtype != TESS_BOOL) {
        keep(run, tess_subtract(x, row));
        keep(run, tess_negative(y));
    }
    keep(run, tess_where(tess_less(x, y), row, x));
}

static void
build_cast(struct test_program_run *run)
{
    tess_array *x = elements(run, TESS_SHAPE(23, 19), uneven_chunks());
    tess_array *wide = tess_multiply(
        x, tess_full(run->session, TESS_SCALAR_SHAPE, TESS_CHUNKS_NONE, run->dtype, 117));
    for (tess_dtype to = TESS_BOOL; to < TESS_DTYPE_COUNT; to++) {
        keep(run, tess_cast(x, to));
        keep(run, tess_cast(wide, to));
    }
}

static void
keep_reductions(struct test_program_run *run, tess_array *x, tess_axes axes)
{
    tess_array *(*const all[])(tess_array *, tess_axes) = {tess_sum, tess_prod,   tess_mean,
                                                           tess_min, tess_max,    tess_any,
                                                           tess_all, tess_argmin, tess_argmax};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        keep(run, all[i](x, axes));
    }
    keep(run, tess_var(x, axes, 1));
    keep(run, tess_std(x, axes, 0));
}

static void
build_reduce(struct test_program_run *run)
{
    tess_chunks chunks = TESS_CHUNKS(5, 1, 4);
    chunks = tess_chunks_list(chunks, 1, uneven, 6);
    tess_array *x = elements(run, TESS_SHAPE(11, 23, 9), chunks);
    keep_reductions(run, x, TESS_AXES_ALL);
    keep_reductions(run, x, TESS_AXIS(0));
    keep_reductions(run, x, TESS_AXIS(1) | TESS_KEEPDIMS);
    keep_reductions(run, x, TESS_AXIS(0) | TESS_AXIS(2));
    keep_reductions(run, tess_transpose(x, TESS_REVERSED), TESS_AXIS(-1));
    keep_reductions(run, tess_sqrt(tess_abs(x)), TESS_AXES_ALL);
}

// Trees of several levels.
static void
build_tree(struct test_program_run *run)
{
    tess_array *x = elements(run, TESS_SHAPE(9001), TESS_CHUNKS(13));
    tess_array *y = elements(run, TESS_SHAPE(150, 170), TESS_CHUNKS(7, 9));
    keep_reductions(run, x, TESS_AXES_ALL);
    keep_reductions(run, y, TESS_AXES_ALL | TESS_KEEPDIMS);
    keep_reductions(run, y, TESS_AXIS(0));
}

static void
build_source(struct test_program_run *run)
{
    tess_session *s = run->session;
    const tess_dtype dtype = run->dtype;
    keep(run, tess_zeros(s, TESS_SHAPE(23, 19), uneven_chunks(), dtype));
    keep(run, tess_ones(s, TESS_SCALAR_SHAPE, TESS_CHUNKS_AUTO, dtype));
    keep(run, tess_full(s, TESS_SHAPE(4, 0, 3), TESS_CHUNKS_AUTO, dtype, 2.75));
    keep(run, tess_full_int(s, TESS_SHAPE(5, 5), TESS_CHUNKS_EACH(2), dtype, -3));
    keep(run, tess_arange(s, -7, 100, 3, TESS_CHUNKS(5), dtype));
    keep(run, tess_arange(s, 10, -10.5, -0.75, TESS_CHUNKS(100), TESS_F64));
    keep(run, tess_linspace(s, -1, 3, 77, TESS_CHUNKS(10), dtype));
    keep(run, tess_eye(s, 17, 13, -2, TESS_CHUNKS(4, 5), dtype));
    keep(run, tess_add(tess_eye(s, 23, 19, 3, TESS_CHUNKS_AUTO, dtype),
                       tess_zeros(s, TESS_SHAPE(23, 19), uneven_chunks(), dtype)));
}

static void
build_random(struct test_program_run *run)
{
    tess_session *s = run->session;
    const tess_shape shape = TESS_SHAPE(61, 53);
    tess_array *x = tess_random_normal(s, shape, TESS_CHUNKS(7, 50), -1, 2);
    keep(run, x);
    keep(run, tess_random_standard_normal(s, shape, TESS_CHUNKS_EACH(9), TESS_F32));
    keep(run, tess_random_standard_normal(s, TESS_SHAPE(1001), TESS_CHUNKS(9), TESS_F64));
    keep(run, tess_random_uniform(s, shape, TESS_CHUNKS_EACH(11), -3, 5));
    keep(run, tess_slice(x, TESS_INDEX(TESS_RANGE(40, 3, -5), TESS_RANGE(1, TESS_OPEN, 2))));
    keep(run, tess_transpose(x, TESS_REVERSED));
    keep(run, tess_broadcast_to(tess_slice(x, TESS_INDEX(TESS_AT(3))), TESS_SHAPE(4, 53)));
    for (tess_dtype dtype = TESS_I8; dtype <= TESS_U64; dtype++) {
        keep(run, tess_random_integers(s, shape, TESS_CHUNKS_EACH(20), dtype, 3, 100));
    }
}

static void
build_view(struct test_program_run *run)
{
    tess_array *x = elements(run, TESS_SHAPE(6, 23, 19), TESS_CHUNKS(4, 5, 6));
    tess_array *turned = tess_transpose(x, TESS_ORDER(2, 0, 1));
    keep(run, tess_slice(x, TESS_INDEX(TESS_AT(2), TESS_RANGE(20, TESS_OPEN, -3))));
    keep(run, tess_slice(turned, TESS_INDEX(TESS_NEWAXIS, TESS_RANGE(2, 17, 5), TESS_AT(-1))));
    keep(run, tess_rechunk(turned, TESS_CHUNKS(19, 1, 4)));
    keep(run, tess_broadcast_to(tess_slice(x, TESS_INDEX(TESS_RANGE(0, 1, 1))),
                                TESS_SHAPE(2, 3, 23, 19)));
    keep(run, tess_add(tess_slice(x, TESS_INDEX(TESS_RANGE(1, TESS_OPEN, 1))),
                       tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, -1, 1)))));
    keep(run, tess_slice(tess_sum(x, TESS_AXIS(0)), TESS_INDEX(TESS_RANGE(5, 5, 1))));
}

// The program's memory holds the same bytes in every process; read as floats they may be NaN, so
// floats read a table of small numbers.
static void
fill_memory(tess_dtype dtype, unsigned char *at)
{
    const size_t bytes = tess_dtype_bytes(dtype);
    for (int i = 0; i < 4096; i++) {
        const double number = (i * 7919 % 1009 - 504) * 0.375;
        const float narrow = (float)number;
        uint64_t bits = (uint64_t)(i * 7919) * UINT64_C(0x9E3779B97F4A7C15);
        if (dtype == TESS_BOOL) {
            bits = bits >> 40 & 1;
        }
        memcpy(at + (size_t)i * bytes,
               dtype == TESS_F64   ? (const void *)&number
               : dtype == TESS_F32 ? (const void *)&narrow
                                   : (const void *)&bits,
               bytes);
    }
}

// Strides of either sign, of zero, and elements that are not aligned.
static void
build_memory(struct test_program_run *run)
{
    const int64_t bytes = (int64_t)tess_dtype_bytes(run->dtype);
    unsigned char *data = memory + (bytes > 1 ? 1 : 0);
    fill_memory(run->dtype, data);
    const int64_t backward[] = {-64 * bytes, bytes};
    const int64_t sideways[] = {bytes, 64 * bytes};
    const int64_t repeated[] = {0, 3 * bytes};
    tess_array *x = tess_from_memory(run->session, data, run->dtype, TESS_SHAPE(64, 64), NULL,
                                     TESS_CHUNKS(10, 33));
    tess_array *y = tess_from_memory(run->session, data + 63 * 64 * bytes, run->dtype,
                                     TESS_SHAPE(64, 64), backward, TESS_CHUNKS_EACH(20));
    tess_array *z = tess_from_memory(run->session, data, run->dtype, TESS_SHAPE(64, 64), sideways,
                                     TESS_CHUNKS_EACH(7));
    tess_array *w = tess_from_memory(run->session, data, run->dtype, TESS_SHAPE(5, 50), repeated,
                                     TESS_CHUNKS_NONE);
    keep(run, x);
    keep(run, tess_slice(y, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -7), TESS_AT(5))));
    keep(run, tess_maximum(x, tess_minimum(y, tess_transpose(z, TESS_REVERSED))));
    keep(run, tess_sum(w, TESS_AXIS(0)));
    keep(run, tess_matmul(y, z));
}

static void
build_matmul(struct test_program_run *run)
{
    tess_array *x = elements(run, TESS_SHAPE(23, 31), TESS_CHUNKS(5, 8));
    tess_array *y = elements(run, TESS_SHAPE(31, 19), TESS_CHUNKS(11, 6));
    tess_array *batch = elements(run, TESS_SHAPE(3, 1, 7, 31), TESS_CHUNKS(2, 1, 7, 9));
    tess_array *other = elements(run, TESS_SHAPE(2, 31, 4), TESS_CHUNKS(1, 20, 4));
    tess_array *row = elements(run, TESS_SHAPE(31), TESS_CHUNKS(4));
    keep(run, tess_matmul(x, y));
    keep(run, tess_matmul(x, tess_transpose(x, TESS_REVERSED)));
    keep(run, tess_matmul(batch, other));
    keep(run, tess_matmul(row, row));
    keep(run, tess_matmul(x, row));
    keep(run, tess_matmul(row, other));
    keep(run, tess_matmul(tess_slice(x, TESS_INDEX(TESS_RANGE(20, 2, -2))), y));
    keep(run, tess_matmul(tess_broadcast_to(row, TESS_SHAPE(6, 31)), y));
    keep(run, tess_matmul(tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_RANGE(0, 0, 1))),
                          tess_slice(y, TESS_INDEX(TESS_RANGE(0, 0, 1)))));
}

// Writes `x` and reads it back.
static tess_array *
through_file(struct test_program_run *run, tess_array *x, tess_chunks chunks)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%d.npy", run->directory, run->file_count++);
    return tess_save_npy(x, path) == TESS_OK ? tess_load_npy(run->session, path, chunks)
                                             : tess_load_npy(run->session, "", chunks);
}

static void
build_file(struct test_program_run *run)
{
    tess_array *x = elements(run, TESS_SHAPE(23, 19), uneven_chunks());
    tess_array *loaded = through_file(run, x, TESS_CHUNKS(6, 19));
    tess_array *row =
        through_file(run, elements(run, TESS_SHAPE(19), TESS_CHUNKS(2)), TESS_CHUNKS_AUTO);
    keep(run, loaded);
    keep(run, tess_equal(loaded, x));
    keep(run, tess_slice(loaded, TESS_INDEX(TESS_RANGE(TESS_OPEN, 3, -2), TESS_AT(4))));
    keep(run, tess_sum(loaded, TESS_AXIS(1)));
    keep(run, tess_matmul(loaded, row));
    keep(run, through_file(run, tess_sum(x, TESS_AXES_ALL), TESS_CHUNKS_NONE));
    keep(run, through_file(run, tess_slice(x, TESS_INDEX(TESS_RANGE(0, 0, 1))), TESS_CHUNKS_NONE));
}

static void
build_persist(struct test_program_run *run)
{
    tess_array *x = elements(run, TESS_SHAPE(23, 19), uneven_chunks());
    tess_array *mean = tess_mean(x, TESS_AXIS(0));
    if (tess_persist(x) != TESS_OK || tess_persist(mean) != TESS_OK) {
        keep(run, NULL);
    }
    keep(run, x);
    keep(run, tess_subtract(x, mean));
    keep(run, tess_matmul(x, tess_transpose(x, TESS_REVERSED)));
    keep(run, tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -4))));
}

// What people compute: operations fused over chunks of a size that is worth a task.
static void
build_large(struct test_program_run *run)
{
    tess_session *s = run->session;
    tess_array *x = tess_random_normal(s, TESS_SHAPE(1500, 700), TESS_CHUNKS(400, 300), 3, 2);
    tess_array *centred = tess_subtract(x, tess_mean(x, TESS_AXIS(0)));
    tess_array *standard = tess_divide(centred, tess_std(x, TESS_AXIS(0), 1));
    tess_array *covariance = tess_divide(
        tess_matmul(tess_transpose(centred, TESS_REVERSED), centred), tess_scalar(s, 1499));
    keep(run, tess_sum(standard, TESS_AXIS(1)));
    keep(run, covariance);
    keep(run, tess_var(tess_exp(tess_sin(x)), TESS_AXES_ALL, 0));
    keep(run, tess_argmax(tess_multiply(x, standard), TESS_AXES_ALL));
    // Kept, so that tasks read it and its transpose in chunks that are mirror images.
    tess_array *square = tess_random_normal(s, TESS_SHAPE(700, 700), TESS_CHUNKS(150, 150), 3, 2);
    if (tess_persist(square) != TESS_OK) {
        keep(run, NULL);
    }
    tess_array *turned = tess_transpose(square, TESS_REVERSED);
    keep(run, tess_mean(tess_add(square, turned), TESS_AXIS(1)));
    keep(run, tess_var(tess_subtract(square, turned), TESS_AXIS(0), 1));
    keep(run, tess_mean(tess_cast(tess_greater(standard, tess_scalar_int(s, 1)), TESS_F32),
                        TESS_AXIS(1)));
}

#define OF_EACH_DTYPE(name, build)                                                                 \
    {name " bool", TESS_BOOL, build}, {name " int8", TESS_I8, build},                              \
        {name " int16", TESS_I16, build}, {name " int32", TESS_I32, build},                        \
        {name " int64", TESS_I64, build}, {name " uint8", TESS_U8, build},                         \
        {name " uint16", TESS_U16, build}, {name " uint32", TESS_U32, build},                      \
        {name " uint64", TESS_U64, build}, {name " float32", TESS_F32, build},                     \
    {                                                                                              \
        name " float64", TESS_F64, build                                                           \
    }

const struct test_program test_programs[] = {
    OF_EACH_DTYPE("elementwise", build_elementwise),
    OF_EACH_DTYPE("cast", build_cast),
    OF_EACH_DTYPE("reduce", build_reduce),
    OF_EACH_DTYPE("source", build_source),
    OF_EACH_DTYPE("view", build_view),
    OF_EACH_DTYPE("memory", build_memory),
    OF_EACH_DTYPE("matmul", build_matmul),
    OF_EACH_DTYPE("file", build_file),
    {"tree int32", TESS_I32, build_tree},
    {"tree float32", TESS_F32, build_tree},
    {"tree float64", TESS_F64, build_tree},
    {"random", TESS_NONE, build_random},
    {"persist float64", TESS_F64, build_persist},
    {"persist int16", TESS_I16, build_persist},
    {"large", TESS_NONE, build_large},
};

const int test_program_count = (int)(sizeof test_programs / sizeof *test_programs);

// FNV-1a.
static uint64_t
digest_bytes(uint64_t digest, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) {
        digest = (digest ^ at[i]) * UINT64_C(0x100000001B3);
    }
    return digest;
}

static uint64_t
digest_array(uint64_t digest, const tess_array *x, const void *elements_of_x)
{
    const tess_shape shape = tess_array_shape(x);
    const uint64_t head[2] = {(uint64_t)tess_array_dtype(x), (uint64_t)shape.ndim};
    digest = digest_bytes(digest, head, sizeof head);
    digest = digest_bytes(digest, shape.size, (size_t)shape.ndim * sizeof *shape.size);
    return digest_bytes(digest, elements_of_x, tess_array_bytes(x));
}

static tess_status
compute_all(const struct test_program_run *run, uint64_t *digest)
{
    void *outs[TEST_PROGRAM_ARRAYS_MAX] = {NULL};
    size_t bytes[TEST_PROGRAM_ARRAYS_MAX];
    bool ok = true;
    for (int i = 0; i < run->count; i++) {
        bytes[i] = tess_array_bytes(run->arrays[i]);
        outs[i] = calloc(bytes[i] + 1, 1);
        ok = ok && outs[i] != NULL;
    }
    const tess_status status =
        ok ? tess_compute_many(run->arrays, outs, bytes, run->count) : TESS_ENOMEM;
    *digest = UINT64_C(0xCBF29CE484222325);
    for (int i = 0; i < run->count; i++) {
        if (status == TESS_OK) {
            *digest = digest_array(*digest, run->arrays[i], outs[i]);
        }
        free(outs[i]);
    }
    return status;
}

static void
remove_files(const char *directory)
{
    char path[1024];
    DIR *listing = opendir(directory);
    const struct dirent *entry = NULL;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            unlink(path);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    rmdir(directory);
}

tess_status
test_program_digest(int index, tess_session *session, uint64_t *digest)
{
    char directory[256];
    const char *base = getenv("TMPDIR");
    const struct test_program *program = &test_programs[index];
    snprintf(directory, sizeof directory, "%s/tessera-programs-XXXXXX",
             base != NULL && *base != '\0' ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
        return TESS_EIO;
    }
    struct test_program_run run = {
        .session = session, .dtype = program->dtype, .directory = directory};
    program->build(&run);
    const tess_status status = compute_all(&run, digest);
    remove_files(directory);
    return status;
}

int
test_programs_print(const char *where, int threads, FILE *out)
{
    int failures = 0;
    for (int i = 0; i < test_program_count; i++) {
        tess_session_options options = TESS_SESSION_OPTIONS_INIT;
        options.threads = threads;
        options.seed = 20240607;
        tess_session *session = tess_session_open_with(where, &options);
        uint64_t digest = 0;
        const tess_status status = test_program_digest(i, session, &digest);
        if (status == TESS_OK) {
            fprintf(out, "%s %016llx\n", test_programs[i].name, (unsigned long long)digest);
        } else {
            fprintf(out, "%s failed: %s: %s\n", test_programs[i].name, tess_status_name(status),
                    tess_session_error(session));
            failures++;
        }
        fflush(out);
        tess_session_close(session);
    }
    return failures;
}
