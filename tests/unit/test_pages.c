// SPDX-License-Identifier: Apache-2.0
//
// Pages of a shared file: blocks do not touch, what is free joins again and costs no memory.

#include "engine/base/pages.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/random.h"

enum { BLOCKS = 40, STEPS = 3000 };

static const uint64_t limit = (uint64_t)512 << 20;

static uint64_t
resident_bytes(int file)
{
    struct stat info;
    cr_assert(fstat(file, &info) == 0);
    return (uint64_t)info.st_blocks * 512;
}

Test(pages, are_private_until_they_are_shared)
{
    uint64_t offset;
    size_t count;
    void *pages = tsi_pages_take(TSI_PAGES_SHARED_MIN);
    cr_assert(pages != NULL && !tsi_pages_place(pages, &offset));
    cr_assert(tsi_pages_open(&offset) < 0 && tsi_pages_words(&count) == NULL && count == 0);
    cr_assert(tsi_pages_share(limit));
    cr_assert(!tsi_pages_place(pages, &offset));
    tsi_pages_give(pages, TSI_PAGES_SHARED_MIN);
    pages = tsi_pages_take(TSI_PAGES_SHARED_MIN);
    cr_assert(pages != NULL && tsi_pages_place(pages, &offset), "what was private comes back");
    tsi_pages_give(pages, TSI_PAGES_SHARED_MIN);
}

Test(pages, of_live_blocks_never_overlap_and_are_seen_by_others)
{
    struct test_random random = {3};
    struct {
        unsigned char *pages;
        size_t bytes;
        unsigned char mark;
    } blocks[BLOCKS] = {{NULL, 0, 0}};
    uint64_t most;
    cr_assert(tsi_pages_share(limit));
    const int file = tsi_pages_open(&most);
    cr_assert(file >= 0);
    const unsigned char *view = mmap(NULL, most, PROT_READ, MAP_SHARED, file, 0);
    cr_assert(view != MAP_FAILED);
    for (int step = 0; step < STEPS; step++) {
        const int64_t i = test_random_between(&random, 0, BLOCKS - 1);
        uint64_t offset;
        if (blocks[i].pages == NULL) {
            blocks[i].bytes = (size_t)test_random_between(&random, 16, 60) * TSI_PAGES_STEP;
            blocks[i].pages = tsi_pages_take(blocks[i].bytes);
            blocks[i].mark = (unsigned char)test_random_bits(&random);
            cr_assert(blocks[i].pages != NULL);
            blocks[i].pages[0] = blocks[i].pages[blocks[i].bytes - 1] = blocks[i].mark;
            continue;
        }
        cr_assert(tsi_pages_place(blocks[i].pages, &offset) && offset >= TSI_PAGES_STEP);
        cr_assert(offset % TSI_PAGES_STEP == 0);
        cr_assert(view[offset] == blocks[i].mark &&
                      view[offset + blocks[i].bytes - 1] == blocks[i].mark,
                  "step %d", step);
        tsi_pages_give(blocks[i].pages, blocks[i].bytes);
        blocks[i].pages = NULL;
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].pages != NULL) {
            tsi_pages_give(blocks[i].pages, blocks[i].bytes);
        }
    }
    cr_assert(resident_bytes(file) <= ((uint64_t)65 << 20), "too much is kept");
    // All of it is one extent again, but for what is kept: a large block finds its place.
    uint64_t offset;
    void *large = tsi_pages_take((size_t)limit);
    cr_assert(large != NULL && tsi_pages_place(large, &offset));
    cr_assert(resident_bytes(file) >= limit);
    tsi_pages_give(large, (size_t)limit);
    cr_assert(resident_bytes(file) <= ((uint64_t)65 << 20), "a freed block keeps its memory");
    close(file);
}

Test(pages, are_private_again_when_the_file_is_full)
{
    uint64_t offset;
    cr_assert(tsi_pages_share((uint64_t)1 << 20));
    void *pages[12];
    int placed = 0;
    for (int i = 0; i < 12; i++) {
        pages[i] = tsi_pages_take((size_t)10 << 20);
        cr_assert(pages[i] != NULL);
        memset(pages[i], i, (size_t)10 << 20);
        placed += tsi_pages_place(pages[i], &offset);
    }
    cr_assert(placed > 0 && placed < 12);
    for (int i = 0; i < 12; i++) {
        tsi_pages_give(pages[i], (size_t)10 << 20);
    }
}

Test(pages, of_the_file_cannot_be_written_or_cut_by_others)
{
    uint64_t most;
    cr_assert(tsi_pages_share(limit));
    const int file = tsi_pages_open(&most);
    cr_assert(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
    cr_assert((fcntl(file, F_GET_SEALS) & F_SEAL_SHRINK) != 0);
    cr_assert(ftruncate(file, 0) != 0);
    close(file);
}
