// SPDX-License-Identifier: Apache-2.0
//
// The mean of each column of a large normal array.
//
//     normal_mean                     on the threads of this process
//     normal_mean FILE                on the workers of the scheduler with this connection file

#include <stdio.h>
#include <tessera.h>

int main(int argc, char **argv)
{
    tess_session *session = tess_session_open(argc > 1 ? argv[1] : NULL); /* NULL: in this process */
    tess_array *x = tess_random_normal(session, TESS_SHAPE(10000, 10000), TESS_CHUNKS(1000, 1000), 0.0, 1.0);
    tess_array *y = tess_mean(x, TESS_AXIS(0));
    static double mean[10000];

    if (tess_compute(y, mean, sizeof mean) != TESS_OK) {
        fprintf(stderr, "%s\n", tess_session_error(session));
        return 1;
    }
    printf("%g\n", mean[0]);
    tess_session_close(session);
    return 0;
}
