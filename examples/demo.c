// SPDX-License-Identifier: Apache-2.0
//
// The demonstration: means over the first axis of 10,000 × 10,000 normal variates, with a progress
// bar. Takes where to run as tess_session_open() does:
//
//     tessera-demo [where]
//
// The last line is a digest of all bits of the result; it is the same wherever the program ran.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tessera.h"

enum { SIZE = 10000, CHUNK = 1000, BAR_WIDTH = 40, SHOWN = 5 };

// On a terminal the bar is drawn again and again on one line; elsewhere once, when all is done.
static void
draw_progress(void *user, const tess_progress *progress)
{
    const int *is_terminal = user;
    const uint64_t total = progress->tasks_total > 0 ? progress->tasks_total : 1;
    const int filled = (int)(progress->tasks_done * BAR_WIDTH / total);
    const int is_done = progress->tasks_done >= total;
    if (!*is_terminal && !is_done) {
        return;
    }

    char bar[BAR_WIDTH + 1] = {0};
    for (int i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    fprintf(stderr, "%s[%s] %" PRIu64 "/%" PRIu64 " tasks, workers: %d, %.2f s%s",
            *is_terminal ? "\r" : "", bar, progress->tasks_done, progress->tasks_total,
            progress->workers, (double)progress->elapsed_ns / 1e9, is_done ? "\n" : "");
}

// The 64-bit hash of Fowler, Noll and Vo, variant 1a.
static uint64_t
digest(const void *data, size_t byte_count)
{
    const unsigned char *bytes = data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < byte_count; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void
print_result(const double *mean, size_t byte_count, const tess_session *session)
{
    const tess_report report = tess_session_report(session);
    printf("first means:");
    for (int i = 0; i < SHOWN; i++) {
        printf(" %+.6f", mean[i]);
    }
    printf("\ntime: %.3f s for %" PRIu64 " tasks\n", (double)report.elapsed_ns / 1e9, report.tasks);
    for (int i = 0; i < report.workers; i++) {
        const tess_worker_report worker = tess_session_worker_report(session, i);
        printf("memory of %s: %.1f MB, foreseen %.1f MB\n", worker.name,
               (double)worker.peak_bytes_measured / 1e6, (double)worker.peak_bytes_predicted / 1e6);
    }
    printf("digest: %016" PRIx64 "\n", digest(mean, byte_count));
}

int
main(int argument_count, char **arguments)
{
    static double mean[SIZE];
    int is_terminal = isatty(STDERR_FILENO);
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.on_progress = draw_progress;
    options.on_progress_user = &is_terminal;

    const char *where = argument_count > 1 ? arguments[1] : "embedded";
    tess_session *session = tess_session_open_with(where, &options);
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(SIZE, SIZE), TESS_CHUNKS(CHUNK, CHUNK), 0.0, 1.0);
    tess_array *y = tess_mean(x, TESS_AXIS(0));

    int exit_code = EXIT_SUCCESS;
    if (tess_compute(y, mean, sizeof mean) == TESS_OK) {
        print_result(mean, sizeof mean, session);
    } else {
        fprintf(stderr, "%s\n", tess_session_error(session));
        exit_code = EXIT_FAILURE;
    }
    tess_session_close(session);
    return exit_code;
}
