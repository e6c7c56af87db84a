// SPDX-License-Identifier: Apache-2.0
//
// Files past the page cache: what is let go is in the file, and not in memory.

#include "engine/io/uncached.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES ((size_t)8 << 20)

static int
open_nameless(void)
{
    char path[] = "/var/tmp/tessera-uncached-XXXXXX";
    const int file = mkstemp(path);
    cr_assert(file >= 0);
    unlink(path);
    return file;
}

static size_t
cached_pages(int file)
{
    static unsigned char pages[BYTES / 4096];
    size_t count = 0;
    void *mapped = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0);
    cr_assert(mapped != MAP_FAILED && mincore(mapped, BYTES, pages) == 0);
    for (size_t i = 0; i < sizeof pages; i++) {
        count += pages[i] & 1;
    }
    munmap(mapped, BYTES);
    return count;
}

// All of it, be it in parts: what is in memory comes before what is not.
static void
read_all(int file, unsigned char *out, size_t bytes, size_t at)
{
    size_t done = 0;
    while (done < bytes) {
        const ssize_t count = tsi_uncached_read(file, out + done, bytes - done, at + done);
        cr_assert(count > 0, "at %zu", at + done);
        done += (size_t)count;
    }
}

// Rows of a matrix that are written by columns of chunks, which are no whole pages.
Test(uncached, rows_that_were_noted_are_in_the_file_and_not_in_memory)
{
    enum { ROW = 20000, PART = 2500 };
    unsigned char part[PART];
    struct tsi_uncached_writes writes = {.count = 0};
    const int file = open_nameless();
    cr_assert(ftruncate(file, BYTES) == 0);
    for (size_t column = 0; column < ROW; column += PART) {
        for (size_t row = 0; (row + 1) * ROW <= BYTES; row++) {
            const size_t at = row * ROW + column;
            memset(part, (int)(at % 251), PART);
            cr_assert_eq(pwrite(file, part, PART, (off_t)at), PART);
            tsi_uncached_note(&writes, file, at, PART);
            cr_assert(writes.count < TSI_UNCACHED_RANGES);
        }
        tsi_uncached_flush(&writes, file);
        cr_assert(writes.count == 0);
    }
    cr_assert(cached_pages(file) <= BYTES / 4096 / 16, "%zu pages", cached_pages(file));
    for (size_t at = 0; at + ROW <= BYTES; at += PART) {
        read_all(file, part, PART, at);
        cr_assert(part[0] == at % 251 && part[PART - 1] == at % 251, "at %zu", at);
    }
    cr_assert(cached_pages(file) <= BYTES / 4096 / 16, "%zu pages", cached_pages(file));
    close(file);
}

// What is in memory already belongs to somebody.
Test(uncached, reading_leaves_what_was_in_memory)
{
    static unsigned char bytes[BYTES];
    const int file = open_nameless();
    memset(bytes, 7, BYTES);
    cr_assert_eq(pwrite(file, bytes, BYTES, 0), (ssize_t)BYTES);
    const size_t before = cached_pages(file);
    for (size_t at = 0; at < BYTES; at += 5000) {
        cr_assert(tsi_uncached_read(file, bytes, 1000, at) > 0);
    }
    cr_assert(cached_pages(file) >= before / 2, "%zu pages of %zu", cached_pages(file), before);
    cr_assert_eq(tsi_uncached_read(file, bytes, 10, BYTES), 0);
    close(file);
}
