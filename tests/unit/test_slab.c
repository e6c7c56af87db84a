// SPDX-License-Identifier: Apache-2.0

#include "engine/io/slab.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/support/random.h"

enum { LIVE_MAX = 200, STEPS = 4000 };

static struct tsi_slab *
open_as(uint64_t limit_bytes, bool is_uncached)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_slab *slab = tsi_slab_open("/tmp", limit_bytes, &error);
    cr_assert(slab != NULL, "%s", error.text);
    tsi_slab_pass_cache(slab, is_uncached);
    return slab;
}

static struct tsi_slab *
open_slab(uint64_t limit_bytes)
{
    return open_as(limit_bytes, false);
}

static bool
overlaps(const struct tsi_extent *a, const struct tsi_extent *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

// Takes and gives back at random, with a list of what is taken as the model.
Test(slab, extents_never_overlap_and_the_file_ends_with_the_last)
{
    struct test_random random = {7};
    struct tsi_slab *slab = open_slab(UINT64_MAX);
    struct tsi_extent live[LIVE_MAX];
    int count = 0;
    for (int step = 0; step < STEPS; step++) {
        if (count < LIVE_MAX && test_random_one_in(&random, count < LIVE_MAX / 2 ? 1 : 2)) {
            struct tsi_extent fresh;
            const uint64_t bytes = 1 + test_random_bits(&random) % 30000;
            cr_assert_eq(tsi_slab_take(slab, bytes, &fresh, NULL), TESS_OK);
            cr_assert_eq(fresh.bytes, bytes);
            for (int i = 0; i < count; i++) {
                cr_assert_not(overlaps(&fresh, &live[i]), "step %d", step);
            }
            live[count++] = fresh;
        } else {
            const int at = (int)test_random_between(&random, 0, count - 1);
            tsi_slab_give(slab, &live[at]);
            live[at] = live[--count];
        }
        uint64_t end = 0;
        uint64_t taken = 0;
        for (int i = 0; i < count; i++) {
            const uint64_t blocks = (live[i].bytes + 4095) / 4096 * 4096;
            end = live[i].offset + blocks > end ? live[i].offset + blocks : end;
            taken += blocks;
        }
        cr_assert_eq(tsi_slab_file_bytes(slab), end, "step %d", step);
        cr_assert_eq(tsi_slab_taken_bytes(slab), taken, "step %d", step);
    }
    while (count > 0) {
        tsi_slab_give(slab, &live[--count]);
    }
    cr_assert_eq(tsi_slab_file_bytes(slab), 0);
    tsi_slab_close(slab);
}

Test(slab, what_was_written_is_read)
{
    struct tsi_slab *slab = open_slab(UINT64_MAX);
    struct tsi_extent extents[3];
    unsigned char data[3][10000];
    unsigned char back[10000];
    for (int i = 0; i < 3; i++) {
        memset(data[i], 'a' + i, sizeof data[i]);
        cr_assert_eq(tsi_slab_take(slab, sizeof data[i], &extents[i], NULL), TESS_OK);
        cr_assert_eq(tsi_slab_write(slab, &extents[i], data[i], NULL), TESS_OK);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tsi_slab_read(slab, &extents[i], back, NULL), TESS_OK);
        cr_assert(memcmp(back, data[i], sizeof back) == 0);
    }
    tsi_slab_close(slab);
}

Test(slab, other_bytes_than_were_written_are_an_error)
{
    struct tsi_slab *slab = open_slab(UINT64_MAX);
    struct tsi_extent extent;
    struct tsi_extent other;
    struct tsi_error error = {.status = TESS_OK};
    unsigned char data[5000] = {1};
    cr_assert_eq(tsi_slab_take(slab, sizeof data, &extent, NULL), TESS_OK);
    cr_assert_eq(tsi_slab_write(slab, &extent, data, NULL), TESS_OK);
    other = extent;
    data[4999] ^= 1;
    cr_assert_eq(tsi_slab_write(slab, &other, data, NULL), TESS_OK);
    cr_assert_eq(tsi_slab_read(slab, &extent, data, &error), TESS_EIO);
    cr_assert(strstr(error.text, "/tmp") != NULL && strstr(error.text, "5000") != NULL, "%s",
              error.text);
    tsi_slab_close(slab);
}

Test(slab, its_limit_holds)
{
    struct tsi_slab *slab = open_slab(10 * 4096);
    struct tsi_extent extents[10];
    struct tsi_extent more;
    struct tsi_error error = {.status = TESS_OK};
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(tsi_slab_take(slab, 4096, &extents[i], NULL), TESS_OK);
    }
    cr_assert_eq(tsi_slab_take(slab, 1, &more, &error), TESS_EMEMLIMIT);
    cr_assert(strstr(error.text, "40.0 KiB") != NULL, "%s", error.text);
    tsi_slab_give(slab, &extents[4]);
    cr_assert_eq(tsi_slab_take(slab, 1, &more, NULL), TESS_OK);
    cr_assert_eq(more.offset, extents[4].offset);
    tsi_slab_close(slab);
}

// A file that may not grow plays the full disk.
static void
expect_full_disk(bool is_uncached)
{
    struct tsi_slab *slab = open_as(UINT64_MAX, is_uncached);
    struct tsi_extent extent;
    struct tsi_error error = {.status = TESS_OK};
    const struct rlimit limit = {8192, RLIM_INFINITY};
    static const unsigned char data[100000];
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(tsi_slab_take(slab, sizeof data, &extent, NULL), TESS_OK);
    const tess_status status = tsi_slab_write(slab, &extent, data, &error);
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    cr_assert_eq(status, TESS_EIO);
    cr_assert(strstr(error.text, "100000 bytes in /tmp") != NULL, "%s", error.text);
    tsi_slab_give(slab, &extent);
    tsi_slab_close(slab);
}

Test(slab, a_full_disk_is_an_error_that_names_the_directory_and_the_bytes)
{
    expect_full_disk(false);
    expect_full_disk(true);
}

// Blocks and parts of them, whatever starts where in memory, and beside each other in the file.
Test(slab, past_the_page_cache_the_same_is_read)
{
    enum { COUNT = 8, MOST = 200000 };
    static const size_t sizes[COUNT] = {1, 4095, 4096, 4097, 8192, 65537, 131072, MOST};
    static _Alignas(4096) unsigned char data[MOST + 64];
    static _Alignas(4096) unsigned char back[MOST + 128];
    struct test_random random = {11};
    struct tsi_slab *slab = open_as(UINT64_MAX, true);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)test_random_bits(&random);
    }
    for (int shift = 0; shift <= 64; shift += 64) {
        struct tsi_extent extents[COUNT];
        for (int i = 0; i < COUNT; i++) {
            cr_assert_eq(tsi_slab_take(slab, sizes[i], &extents[i], NULL), TESS_OK);
            cr_assert_eq(tsi_slab_write(slab, &extents[i], data + shift, NULL), TESS_OK);
        }
        for (int i = 0; i < COUNT; i++) {
            unsigned char *to = back + 64 - shift;
            memset(back, 0xEE, sizeof back);
            cr_assert_eq(tsi_slab_read(slab, &extents[i], to, NULL), TESS_OK, "%zu", sizes[i]);
            cr_assert(memcmp(to, data + shift, sizes[i]) == 0, "%zu bytes", sizes[i]);
            cr_assert_eq(to[sizes[i]], 0xEE, "it reads more than %zu bytes", sizes[i]);
        }
    }
    tsi_slab_close(slab);
}

// The pages of the only file without a name that is open which are in memory.
static size_t
cached_pages(size_t bytes)
{
    char path[64];
    char target[256];
    size_t cached = 0;
    for (int fd = 3; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const ssize_t count = readlink(path, target, sizeof target - 1);
        target[count > 0 ? count : 0] = '\0';
        if (strncmp(target, "/tmp/", 5) != 0 || strstr(target, "(deleted)") == NULL) {
            continue;
        }
        unsigned char *pages = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
        unsigned char *are_there = malloc(bytes / 4096);
        cr_assert(pages != MAP_FAILED && are_there != NULL);
        cr_assert_eq(mincore(pages, bytes, are_there), 0);
        for (size_t i = 0; i < bytes / 4096; i++) {
            cached += are_there[i] & 1;
        }
        free(are_there);
        munmap(pages, bytes);
        return cached;
    }
    cr_assert_fail("no file is open");
    return 0;
}

Test(slab, past_the_page_cache_next_to_nothing_is_left_there)
{
    enum { BYTES = 16 << 20 };
    struct statfs info;
    cr_assert_eq(statfs("/tmp", &info), 0);
    if (info.f_type == TMPFS_MAGIC) {
        cr_skip_test("/tmp is memory");
    }
    for (int is_uncached = 0; is_uncached <= 1; is_uncached++) {
        struct tsi_extent extent;
        struct tsi_slab *slab = open_as(UINT64_MAX, is_uncached != 0);
        unsigned char *data = aligned_alloc(4096, BYTES);
        memset(data, 7, BYTES);
        cr_assert_eq(tsi_slab_take(slab, BYTES, &extent, NULL), TESS_OK);
        cr_assert_eq(tsi_slab_write(slab, &extent, data, NULL), TESS_OK);
        cr_assert_eq(tsi_slab_read(slab, &extent, data, NULL), TESS_OK);
        const size_t cached = cached_pages(BYTES);
        cr_assert(is_uncached ? cached <= BYTES / 4096 / 16 : cached > 0, "%zu pages", cached);
        free(data);
        tsi_slab_close(slab);
    }
}

Test(slab, a_directory_that_is_not_there_is_an_error)
{
    struct tsi_error error = {.status = TESS_OK};
    cr_assert(tsi_slab_open("/nowhere/at/all", UINT64_MAX, &error) == NULL);
    cr_assert_eq(error.status, TESS_EIO);
    cr_assert(strstr(error.text, "/nowhere/at/all") != NULL, "%s", error.text);
}

Test(slab, leaves_no_name_behind)
{
    char directory[] = "/tmp/tessera-slab-XXXXXX";
    cr_assert(mkdtemp(directory) != NULL);
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_slab *slab = tsi_slab_open(directory, UINT64_MAX, &error);
    cr_assert(slab != NULL, "%s", error.text);
    cr_assert_eq(rmdir(directory), 0, "something is in it");
    tsi_slab_close(slab);
}
