// SPDX-License-Identifier: Apache-2.0
//
// Mapped pages that nobody reads: what is taken out is never given up, what is given up comes back
// from its file.

#include "engine/base/mapped.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 16 };

static unsigned char *pages;

static void
begin(void)
{
    const int file = memfd_create("test", MFD_CLOEXEC);
    cr_assert(file >= 0 && ftruncate(file, (off_t)PAGES * PAGE) == 0);
    pages = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert(pages != MAP_FAILED);
    close(file);
    for (size_t i = 0; i < PAGES; i++) {
        memset(pages + i * PAGE, (int)i + 1, PAGE);
    }
}

TestSuite(mapped, .init = begin);

Test(mapped, ranges_are_taken_out_and_others_stay)
{
    struct tsi_mapped mapped = {0};
    cr_assert(tsi_mapped_put(&mapped, pages, 2 * PAGE));
    cr_assert(tsi_mapped_put(&mapped, pages + 4 * PAGE, 4 * PAGE));
    cr_assert(tsi_mapped_put(&mapped, pages + 8 * PAGE, PAGE));
    cr_assert(mapped.bytes == 7 * PAGE);
    tsi_mapped_take(&mapped, pages + 2 * PAGE, 2 * PAGE); // between two
    cr_assert(mapped.bytes == 7 * PAGE);
    tsi_mapped_take(&mapped, pages + 7 * PAGE, 2 * PAGE); // a part of one, all of another
    cr_assert(mapped.bytes == 2 * PAGE && mapped.ranges.count == 1);
    cr_assert(mapped.ranges.items[0].pages == pages);
    tsi_mapped_take(&mapped, pages, (size_t)PAGES * PAGE);
    cr_assert(mapped.bytes == 0 && !tsi_mapped_drop_oldest(&mapped));
    tsi_vec_fini(&mapped.ranges);
}

// Whoever takes pages out may put something else in their place, which must not be touched.
Test(mapped, what_was_taken_out_is_never_given_up)
{
    struct tsi_mapped mapped = {0};
    cr_assert(tsi_mapped_put(&mapped, pages, 2 * PAGE));
    cr_assert(tsi_mapped_put(&mapped, pages + 2 * PAGE, 2 * PAGE));
    tsi_mapped_take(&mapped, pages, 2 * PAGE);
    void *other = mmap(pages, 2 * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    cr_assert(other == pages);
    memset(pages, 99, 2 * PAGE);
    while (tsi_mapped_drop_oldest(&mapped)) {
    }
    cr_assert(pages[0] == 99 && pages[2 * PAGE - 1] == 99, "an anonymous page is zeros now");
    cr_assert(pages[2 * PAGE] == 3 && pages[3 * PAGE] == 4, "its file has them");
    tsi_vec_fini(&mapped.ranges);
}

Test(mapped, the_oldest_is_given_up_first)
{
    struct tsi_mapped mapped = {0};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(tsi_mapped_put(&mapped, pages + i * PAGE, PAGE));
    }
    cr_assert(tsi_mapped_drop_oldest(&mapped));
    cr_assert(mapped.bytes == 2 * PAGE && mapped.ranges.items[0].pages == pages + PAGE);
    tsi_vec_fini(&mapped.ranges);
}
