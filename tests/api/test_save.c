// SPDX-License-Identifier: Apache-2.0
//
// Files that are written, read back, and not written.

#include "engine/graph/session.h"
#include "tests/support/api.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char path[128];

static void
set_up(void)
{
    strcpy(directory, "/tmp/tessera-save-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/x.npy", directory);
}

static void
tear_down(void)
{
    unlink(path);
    rmdir(directory);
}

TestSuite(api_save, .init = set_up, .fini = tear_down);

static int
files_in_directory(void)
{
    DIR *listing = opendir(directory);
    int count = 0;
    cr_assert(listing != NULL);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        count += entry->d_name[0] != '.';
    }
    closedir(listing);
    return count;
}

static void
check_saved(tess_session *s, const char *what, tess_array *x)
{
    cr_assert_eq(tess_save_npy(x, path), TESS_OK, "%s: %s", what, tess_session_error(s));
    cr_assert_eq(files_in_directory(), 1, "%s: %d files", what, files_in_directory());
    tess_array *loaded = tess_load_npy(s, path, TESS_CHUNKS_EACH(3));
    cr_assert_eq(tess_array_status(loaded), TESS_OK, "%s: %s", what, tess_array_error(loaded));
    cr_assert_eq(tess_array_shape(loaded).ndim, tess_array_shape(x).ndim);
    expect_same(what, x, loaded);
    tess_array *whole = tess_load_npy(s, path, TESS_CHUNKS_AUTO);
    expect_same(what, x, whole);
}

// With parts of the file for its writers as for any session, small ones, and smaller ones.
static void
check_round_trip(tess_session *s, const char *what, tess_array *x)
{
    const uint64_t rooms[] = {s->gather_bytes_max, 4000, 300, 0};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        s->gather_bytes_max = rooms[i];
        check_saved(s, what, x);
    }
    s->gather_bytes_max = rooms[0];
}

Test(api_save, every_dtype_and_grid)
{
    for (tess_dtype dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        tess_session *s = open_embedded(2);
        for (int g = 0; g < GRID_CASE_COUNT; g++) {
            const struct grid_case *grid = &grid_cases()[g];
            char what[64];
            snprintf(what, sizeof what, "%s %s", tess_dtype_name(dtype), grid->name);
            tess_array *x = tess_cast(
                tess_random_integers(s, grid->shape, grid->chunks, TESS_I16, -300, 300), dtype);
            check_saved(s, what, x);
            check_saved(s, what, tess_transpose(x, TESS_REVERSED));
            if (dtype == TESS_F32) {
                check_round_trip(s, what, x);
            }
        }
        tess_session_close(s);
    }
}

// Chunks that are there are read by several tasks each; what is in memory is written from where it
// is, or from a copy if it does not lie there as in the file.
Test(api_save, kept_arrays_and_memory)
{
    static double data[90][50];
    const int64_t strides[][2] = {
        {sizeof data[0], sizeof(double)},
        {-(int64_t)sizeof data[0], sizeof(double)},
        {sizeof(double), sizeof data[0]},
    };
    tess_session *s = open_embedded(2);
    for (int i = 0; i < 90 * 50; i++) {
        data[i / 50][i % 50] = i * 0.25;
    }
    for (int i = 0; i < 3; i++) {
        const tess_shape shape = i == 2 ? TESS_SHAPE(50, 90) : TESS_SHAPE(90, 50);
        tess_array *held = tess_from_memory(s, i == 1 ? data[89] : data[0], TESS_F64, shape,
                                            strides[i], TESS_CHUNKS(20, 7));
        check_round_trip(s, "memory", held);
        check_round_trip(s, "a part", tess_slice(held, TESS_INDEX(TESS_RANGE(3, 49, 2))));
        tess_array *kept = tess_add(held, tess_scalar_int(s, 1));
        cr_assert_eq(tess_persist(kept), TESS_OK, "%s", tess_session_error(s));
        check_round_trip(s, "kept", kept);
        check_round_trip(s, "of kept", tess_subtract(kept, tess_mean(kept, TESS_AXIS(0))));
    }
    tess_session_close(s);
}

// More chunks than one level of waiting takes, empty ones in between.
Test(api_save, many_chunks)
{
    static int64_t list[700];
    tess_session *s = open_embedded(3);
    for (int i = 0; i < 700; i++) {
        list[i] = i % 3;
    }
    tess_array *x = tess_random_uniform(s, TESS_SHAPE(699, 40),
                                        tess_chunks_list(TESS_CHUNKS(1, 7), 0, list, 700), 0, 1);
    check_round_trip(s, "many", x);
    check_round_trip(s, "many", tess_transpose(x, TESS_REVERSED));
    tess_session_close(s);
}

// What NumPy reads: the header at a multiple of 64, C order, little-endian.
Test(api_save, is_a_file_of_numpy)
{
    unsigned char bytes[256];
    tess_session *s = open_embedded(1);
    tess_array *x = tess_arange(s, 1, 7, 1, TESS_CHUNKS(4), TESS_I16);
    cr_assert_eq(tess_save_npy(x, path), TESS_OK);
    FILE *file = fopen(path, "rb");
    cr_assert(file != NULL);
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    cr_assert_eq(length, 128 + 12);
    cr_assert(memcmp(bytes, "\x93NUMPY\x01", 7) == 0);
    const char *header = "{'descr': '<i2', 'fortran_order': False, 'shape': (6,), }";
    cr_assert(memcmp(bytes + 10, header, strlen(header)) == 0, "%.100s", (const char *)bytes + 10);
    const int16_t want[] = {1, 2, 3, 4, 5, 6};
    cr_assert(memcmp(bytes + 128, want, sizeof want) == 0);
    tess_session_close(s);
}

// The old file is read while its successor is written beside it.
Test(api_save, replaces_a_file_that_it_reads)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_arange(s, 0, 5000, 1, TESS_CHUNKS(77), TESS_F64);
    cr_assert_eq(tess_save_npy(x, path), TESS_OK);
    tess_array *loaded = tess_load_npy(s, path, TESS_CHUNKS(100));
    tess_array *next = tess_add(loaded, tess_scalar_int(s, 1));
    cr_assert_eq(tess_save_npy(next, path), TESS_OK, "%s", tess_session_error(s));
    expect_same("next", tess_load_npy(s, path, TESS_CHUNKS(1000)),
                tess_add(x, tess_scalar_int(s, 1)));
    tess_session_close(s);
}

Test(api_save, relative_paths)
{
    tess_session *s = open_embedded(1);
    tess_array *x = tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F32);
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(tess_save_npy(x, "x.npy"), TESS_OK, "%s", tess_session_error(s));
    cr_assert_eq(access(path, F_OK), 0);
    expect_same("relative", tess_load_npy(s, "x.npy", TESS_CHUNKS_AUTO), x);
    cr_assert_eq(chdir("/"), 0);
    tess_session_close(s);
}

static void
expect_unsaved(tess_session *s, tess_array *x, const char *to, tess_status status)
{
    cr_assert_eq(tess_save_npy(x, to), status, "%s", tess_session_error(s));
    cr_assert(strstr(tess_session_error(s), "save_npy") != NULL, "%s", tess_session_error(s));
    cr_assert(strstr(tess_session_error(s), "test_save.c:") != NULL, "%s", tess_session_error(s));
    cr_assert_eq(files_in_directory(), 0, "%d files", files_in_directory());
}

Test(api_save, places_that_are_not_there)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_ones(s, TESS_SHAPE(30), TESS_CHUNKS(7), TESS_F64);
    char other[256];
    snprintf(other, sizeof other, "%s/none/x.npy", directory);
    expect_unsaved(s, x, other, TESS_EIO);
    cr_assert(strstr(tess_session_error(s), other) != NULL, "%s", tess_session_error(s));
    snprintf(other, sizeof other, "%s/", directory);
    expect_unsaved(s, x, other, TESS_EIO);
    expect_unsaved(s, x, "", TESS_EIO);
    expect_unsaved(s, x, NULL, TESS_EINVAL);
    char *long_path = malloc(10001);
    memset(long_path, 'x', 10000);
    long_path[10000] = '\0';
    expect_unsaved(s, x, long_path, TESS_EIO);
    free(long_path);
    check_round_trip(s, "afterwards", x);
    tess_session_close(s);
}

// To rename a file over a device would take the device away from everybody on the machine.
Test(api_save, what_is_no_file_is_not_replaced)
{
    struct stat info;
    tess_session *s = open_embedded(2);
    tess_array *x = tess_ones(s, TESS_SHAPE(30), TESS_CHUNKS(7), TESS_F64);
    expect_unsaved(s, x, directory, TESS_EIO);
    cr_assert(strstr(tess_session_error(s), "cannot replace") != NULL, "%s", tess_session_error(s));
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(tess_save_npy(x, path), TESS_EIO);
    cr_assert(strstr(tess_session_error(s), path) != NULL, "%s", tess_session_error(s));
    cr_assert(lstat(path, &info) == 0 && S_ISFIFO(info.st_mode), "the pipe was replaced");
    cr_assert_eq(files_in_directory(), 1);
    tess_session_close(s);
}

// A link is a name; what it leads to is left alone.
Test(api_save, a_link_is_replaced)
{
    struct stat info;
    tess_session *s = open_embedded(2);
    tess_array *x = tess_ones(s, TESS_SHAPE(30), TESS_CHUNKS(7), TESS_F64);
    cr_assert_eq(symlink("/no/such/file", path), 0);
    check_round_trip(s, "over a link", x);
    cr_assert(lstat(path, &info) == 0 && S_ISREG(info.st_mode));
    tess_session_close(s);
}

// A disk that is full after 64 KiB, in a child, for the limit cannot be raised again. What must
// hold is told by its exit.
static int
save_on_a_full_disk(void)
{
    const struct rlimit limit = {65536, 65536};
    tess_session *s = open_embedded(2);
    tess_array *x = tess_random_normal(s, TESS_SHAPE(100000), TESS_CHUNKS(1000), 0, 1);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 2;
    }
    if (tess_save_npy(x, path) != TESS_EIO || access(path, F_OK) == 0) {
        return 3;
    }
    const char *text = tess_session_error(s);
    if (strstr(text, "x.npy") == NULL || strstr(text, "test_save.c:") == NULL) {
        fprintf(stderr, "%s\n", text);
        return 4;
    }
    tess_array *part = tess_slice(x, TESS_INDEX(TESS_RANGE(0, 1000, 1)));
    if (tess_save_npy(part, path) != TESS_OK) {
        return 5;
    }
    tess_session_close(s);
    return 0;
}

Test(api_save, full_disk)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        _exit(save_on_a_full_disk());
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "exit %d", WEXITSTATUS(status));
    cr_assert_eq(files_in_directory(), 1);
}

Test(api_save, file_that_is_gone_or_cut)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_arange(s, 0, 50000, 1, TESS_CHUNKS(5000), TESS_F64);
    cr_assert_eq(tess_save_npy(x, path), TESS_OK);
    tess_array *loaded = tess_load_npy(s, path, TESS_CHUNKS(5000));
    double out = 0;
    cr_assert_eq(truncate(path, 1000), 0);
    tess_status status = tess_compute(tess_sum(loaded, TESS_AXES_ALL), &out, sizeof out);
    cr_assert(status == TESS_EFORMAT || status == TESS_EIO, "%s", tess_session_error(s));
    cr_assert(strstr(tess_session_error(s), "x.npy") != NULL, "%s", tess_session_error(s));
    cr_assert_eq(unlink(path), 0);
    status = tess_compute(tess_max(loaded, TESS_AXES_ALL), &out, sizeof out);
    cr_assert(status == TESS_EFORMAT || status == TESS_EIO, "%s", tess_session_error(s));
    cr_assert_eq(tess_save_npy(x, path), TESS_OK);
    cr_assert_eq(tess_compute(tess_max(loaded, TESS_AXES_ALL), &out, sizeof out), TESS_OK, "%s",
                 tess_session_error(s));
    cr_assert_eq(out, 49999);
    tess_session_close(s);
}
