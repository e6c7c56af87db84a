// SPDX-License-Identifier: Apache-2.0
//
// A cluster on tcp that a test can damage and mend while it works: every worker reaches the
// scheduler through a relay of its own, and has, where there are network namespaces, a host of its
// own, whose cable can be pulled.

#ifndef TESS_TEST_RIG_H
#define TESS_TEST_RIG_H

#include <stdbool.h>

#include "tests/support/processes.h"
#include "tests/support/relay.h"

enum { TEST_RIG_WORKERS = 4 };

struct test_rig {
    struct test_cluster cluster; // its file is that of the clients
    const char *host;            // of the scheduler
    int port;
    const char *namespaces; // of worker i: this word, "-" and i; NULL: there are none
    struct test_relay relays[TEST_RIG_WORKERS];
    bool is_stopped[TEST_RIG_WORKERS];
    bool is_unplugged[TEST_RIG_WORKERS];
    bool is_disk_full[TEST_RIG_WORKERS];
};

// Starts all and waits until the workers have joined. `host` and `namespaces` are set.
void test_rig_start(struct test_rig *rig);

// Kills the scheduler and starts it again at the same address, with its journal.
void test_rig_restart_scheduler(struct test_rig *rig);

// Faults of one worker. Each may be done at any time; what makes no sense just now does nothing.
void test_rig_kill(struct test_rig *rig, int worker); // SIGKILL, then a new one in its place
void test_rig_stop(struct test_rig *rig, int worker); // SIGSTOP
void test_rig_cut(struct test_rig *rig, int worker);  // connections to the scheduler break
void test_rig_silence(struct test_rig *rig, int worker);
void test_rig_delay(struct test_rig *rig, int worker, int milliseconds);
void test_rig_unplug(struct test_rig *rig, int worker); // all of its network; needs a namespace
void test_rig_fill_disk(struct test_rig *rig, int worker);

// Ends all faults of a worker.
void test_rig_mend(struct test_rig *rig, int worker);

// Waits until all workers are members again.
void test_rig_settle(struct test_rig *rig);

// Asks all to end and checks that they do.
void test_rig_end(struct test_rig *rig);

#endif
