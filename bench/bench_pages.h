// SPDX-License-Identifier: Apache-2.0
//
// The memory of numbers that are measured, for benches and limits alike: as NumPy has it for the
// peers, which asks for huge pages from 4 MiB on.

#ifndef BENCH_PAGES_H
#define BENCH_PAGES_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BENCH_PAGES_LINE ((size_t)64)
#define BENCH_PAGES_HUGE ((size_t)2 << 20)
#define BENCH_PAGES_HUGE_MIN ((size_t)4 << 20)

// Memory for `bytes` that begins with a cache line, to be freed by free(); NULL when it is out.
static inline void *
bench_pages_take(size_t bytes)
{
    const size_t step = bytes < BENCH_PAGES_HUGE_MIN ? BENCH_PAGES_LINE : BENCH_PAGES_HUGE;
    const size_t whole = (bytes + step - 1) / step * step;
    void *pages = aligned_alloc(step, whole);
    if (pages != NULL && step == BENCH_PAGES_HUGE) {
        (void)madvise(pages, whole, MADV_HUGEPAGE);
    }
    return pages;
}

#endif
