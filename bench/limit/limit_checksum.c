// SPDX-License-Identifier: Apache-2.0
//
// How fast XXH3 makes checksums of bytes in memory, in pieces as they travel: each travels with
// one, which its sender makes and its receiver makes once more.

#include <stdlib.h>
#include <xxhash.h>

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> // as in engine/base/checksum.c
#endif
#endif

#include "bench/limit/limit.h"

#define PIECE ((int64_t)(4 << 20) / (int64_t)sizeof(double))
// More is gone through again and again; it is more than caches hold.
#define MOST ((int64_t)32 << 20)

static const char *const jobs[] = {"xxh3", NULL};

struct work {
    int64_t size;
    int threads;
    double *data;
    uint64_t sums[1024]; // of each thread
};

static void
run_part(void *state, int thread, int threads)
{
    struct work *work = state;
    const int64_t end = limit_part(work->size, PIECE, thread + 1, threads);
    for (int64_t at = limit_part(work->size, PIECE, thread, threads); at < end; at += PIECE) {
        const int64_t count = end - at < PIECE ? end - at : PIECE;
        work->sums[thread] ^= XXH3_64bits(work->data + at % MOST, (size_t)count * sizeof(double));
    }
}

// Bytes a second.
static double
run(void *state)
{
    struct work *work = state;
    const double start = limit_now();
    limit_parallel(work->threads, run_part, work);
    return (double)work->size * sizeof(double) / (limit_now() - start);
}

int
main(int argc, char **argv)
{
    static struct work work;
    int job;
    const int code = limit_arguments(argc, argv, jobs, &job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    work.data = limit_numbers(work.size < MOST ? work.size : MOST);
    const int end = limit_serve(run, &work);
    free(work.data);
    return end;
}
