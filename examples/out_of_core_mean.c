// SPDX-License-Identifier: Apache-2.0
//
// The mean over an axis of an NPY file that is larger than the memory that chunks may take.
//
//     out_of_core_mean FILE.npy [SCHEDULER]
//     out_of_core_mean --make FILE.npy ROWS COLUMNS [SCHEDULER]
//
// The first form prints the first means over axis 0. The second writes a file of uniform numbers to
// try it on, chunk by chunk, so that it may be larger than memory too. The file is read by whoever
// computes, chunk by chunk, in place; no more than a few chunks are ever held.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera.h>

static int
report(tess_session *session)
{
    fprintf(stderr, "%s\n", tess_session_error(session));
    return 1;
}

static tess_session *
open_session(const char *where)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.memory_limit_bytes = 64u << 20; // of the embedded runtime; a worker has its own limit
    return tess_session_open_with(where, &options);
}

static int
make_file(tess_session *session, const char *path, long long rows, long long columns)
{
    tess_array *x = tess_random_uniform(session, TESS_SHAPE(rows, columns),
                                        TESS_CHUNKS(500, TESS_WHOLE_AXIS), 0.0, 1.0);
    return tess_save_npy(x, path) != TESS_OK ? report(session) : 0;
}

static int
print_means(tess_session *session, const char *path)
{
    tess_array *x = tess_load_npy(session, path, TESS_CHUNKS_AUTO);
    tess_array *mean = tess_mean(x, TESS_AXIS(0) | TESS_KEEPDIMS);
    const size_t bytes = tess_array_bytes(mean);
    double *out = malloc(bytes + sizeof *out);

    if (out == NULL || tess_compute(tess_cast(mean, TESS_F64), out, bytes) != TESS_OK) {
        free(out);
        return report(session);
    }
    const tess_report run = tess_session_report(session);
    printf("%.1f MB of array, %.1f MB of chunk memory at the peak\n",
           (double)tess_array_bytes(x) / 1e6, (double)run.peak_bytes_measured / 1e6);
    for (int64_t i = 0; i < tess_array_count(mean) && i < 4; i++) {
        printf("%.6f\n", out[i]);
    }
    free(out);
    return 0;
}

int
main(int argc, char **argv)
{
    const int makes = argc > 1 && strcmp(argv[1], "--make") == 0;
    if (argc < (makes ? 5 : 2)) {
        fprintf(stderr,
                "usage: %s FILE.npy [SCHEDULER]\n"
                "       %s --make FILE.npy ROWS COLUMNS [SCHEDULER]\n",
                argv[0], argv[0]);
        return 2;
    }
    const int last = makes ? 5 : 2;
    tess_session *session = open_session(argc > last ? argv[last] : NULL);
    const int failed = makes ? make_file(session, argv[2], atoll(argv[3]), atoll(argv[4]))
                             : print_means(session, argv[1]);
    tess_session_close(session);
    return failed;
}
