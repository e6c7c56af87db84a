// SPDX-License-Identifier: Apache-2.0
//
// What an error looks like, and that the session is none the worse for it.
//
//     errors [SCHEDULER]

#include <stdio.h>
#include <tessera.h>

int
main(int argc, char **argv)
{
    double out[4] = {0};
    tess_session *session = tess_session_open(argc > 1 ? argv[1] : NULL);
    tess_array *a = tess_ones(session, TESS_SHAPE(3, 4), TESS_CHUNKS_AUTO, TESS_F64);
    tess_array *b = tess_ones(session, TESS_SHAPE(5, 6), TESS_CHUNKS_AUTO, TESS_F64);

    // A wrong call gives a failed array. What is built on it hands the first error on, and the
    // compute tells it.
    tess_array *product = tess_matmul(a, b);
    tess_array *mean = tess_mean(tess_sqrt(product), TESS_AXIS(0));
    if (tess_compute(mean, out, sizeof out) == TESS_OK) {
        return 1;
    }
    printf("%s\n", tess_session_error(session));

    // Axes, chunks and buffers are checked likewise.
    printf("%s\n", tess_array_error(tess_sum(a, TESS_AXIS(2))));
    printf("%s\n", tess_array_error(tess_rechunk(a, TESS_CHUNKS(1, 2, 3))));
    if (tess_compute(a, out, sizeof out) == TESS_OK) {
        return 1;
    }
    printf("%s\n", tess_session_error(session));

    // The session goes on.
    if (tess_compute(tess_sum(a, TESS_AXIS(0)), out, sizeof out) != TESS_OK) {
        fprintf(stderr, "%s\n", tess_session_error(session));
        return 1;
    }
    printf("column sums: %g %g %g %g\n", out[0], out[1], out[2], out[3]);
    tess_session_close(session);
    return 0;
}
