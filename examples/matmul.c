// SPDX-License-Identifier: Apache-2.0
//
// A blocked matrix product, with its plan.
//
//     matmul [SCHEDULER]
//
// Both matrices are random and never leave the workers; their product is checked through a random
// vector: (A·B)·v and A·(B·v) must agree but for rounding.

#include <math.h>
#include <stdio.h>
#include <tessera.h>

#define SIZE 2000
#define CHUNK 500

int
main(int argc, char **argv)
{
    static double left[SIZE];
    static double right[SIZE];
    tess_session *session = tess_session_open(argc > 1 ? argv[1] : NULL);
    tess_array *a =
        tess_random_normal(session, TESS_SHAPE(SIZE, SIZE), TESS_CHUNKS(CHUNK, CHUNK), 0, 1);
    tess_array *b =
        tess_random_normal(session, TESS_SHAPE(SIZE, SIZE), TESS_CHUNKS(CHUNK, CHUNK), 0, 1);
    tess_array *v = tess_random_uniform(session, TESS_SHAPE(SIZE), TESS_CHUNKS(CHUNK), 0, 1);
    tess_array *results[] = {tess_matmul(tess_matmul(a, b), v), tess_matmul(a, tess_matmul(b, v))};
    void *outs[] = {left, right};
    const size_t bytes[] = {sizeof left, sizeof right};

    printf("%s", tess_explain(results[0]));
    // Both in one compute: what they share is computed once.
    if (tess_compute_many(results, outs, bytes, 2) != TESS_OK) {
        fprintf(stderr, "%s\n", tess_session_error(session));
        tess_session_close(session);
        return 1;
    }
    double worst = 0;
    for (int i = 0; i < SIZE; i++) {
        worst = fmax(worst, fabs(left[i] - right[i]) / (1 + fabs(left[i])));
    }
    printf("largest relative difference: %.1e\n", worst);
    tess_session_close(session);
    return worst < 1e-9 ? 0 : 1;
}
