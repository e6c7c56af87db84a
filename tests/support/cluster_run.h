// SPDX-License-Identifier: Apache-2.0
//
// A compute on a cluster that takes a while, whose result is known: tests disturb it and look
// whether it ends as it must.

#ifndef TESS_TEST_CLUSTER_RUN_H
#define TESS_TEST_CLUSTER_RUN_H

#include "tests/support/processes.h"

struct test_run {
    tess_session *session;
    tess_array *array;
    tess_future *future;
    void *out;
    size_t bytes;
};

// The same in a session of the cluster, started.
struct test_run test_run_start(const struct test_cluster *cluster);

// Waits for the end, which must be the result of the embedded runtime, and frees all. `what` tells
// in messages what happened meanwhile.
void test_run_end(struct test_run *run, const char *what);

#endif
