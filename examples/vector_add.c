// SPDX-License-Identifier: Apache-2.0
//
// The vector add of MPI tutorials: two random vectors are made here, sent to a worker, added there,
// and their sum comes back.
//
//     vector_add [SCHEDULER]
//
// There is no rank and no message in it: the vectors are arrays in this program's memory, and
// whoever computes the sum fetches them.

#include <stdio.h>
#include <stdlib.h>
#include <tessera.h>

#define COUNT 1000000

static void
fill_random(double *values, unsigned seed)
{
    srand(seed);
    for (int i = 0; i < COUNT; i++) {
        values[i] = (double)rand() / RAND_MAX;
    }
}

// Adds `a` and `b` wherever the session computes. One chunk: the vectors travel whole.
static int
add(tess_session *session, const double *a, const double *b, double *sum)
{
    tess_array *x =
        tess_from_memory(session, a, TESS_F64, TESS_SHAPE(COUNT), NULL, TESS_CHUNKS_NONE);
    tess_array *y =
        tess_from_memory(session, b, TESS_F64, TESS_SHAPE(COUNT), NULL, TESS_CHUNKS_NONE);

    if (tess_compute(tess_add(x, y), sum, COUNT * sizeof *sum) != TESS_OK) {
        fprintf(stderr, "%s\n", tess_session_error(session));
        return 1;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    double *a = malloc(COUNT * sizeof *a);
    double *b = malloc(COUNT * sizeof *b);
    double *sum = malloc(COUNT * sizeof *sum);
    tess_session *session = tess_session_open(argc > 1 ? argv[1] : NULL);
    int failed = a == NULL || b == NULL || sum == NULL;

    if (!failed) {
        fill_random(a, 1);
        fill_random(b, 2);
        failed = add(session, a, b, sum);
    }
    for (int i = 0; i < COUNT && !failed; i++) {
        if (sum[i] != a[i] + b[i]) {
            fprintf(stderr, "element %d: %.17g is not %.17g\n", i, sum[i], a[i] + b[i]);
            failed = 1;
        }
    }
    if (!failed) {
        printf("%d elements added and checked; the last sum is %.6f\n", COUNT, sum[COUNT - 1]);
    }
    tess_session_close(session);
    free(a);
    free(b);
    free(sum);
    return failed;
}
