// SPDX-License-Identifier: Apache-2.0
//
// A task that is held in the middle of its work until it is cancelled, in this process or in a
// worker that was linked with held_task.c: where it looks whether it is still wanted for the third
// time, it waits until somebody says no. So a test can cancel a task that has certainly begun, and
// count what it still does.

#ifndef TESS_TEST_HELD_TASK_H
#define TESS_TEST_HELD_TASK_H

#include <stdatomic.h>
#include <stdbool.h>

// Kinds of work with a loop of their own.
enum held_work { HELD_NOTHING, HELD_STORE, HELD_REDUCE, HELD_MOVE, HELD_MERGE, HELD_PRODUCT };

// In a file that the environment variable HELD_TASK_FILE names, for all processes.
struct held_task {
    atomic_int wanted; // an enum held_work: tasks of that kind are held
    atomic_int held;   // tasks that have come to the place where they wait
    atomic_int looks;  // times that such a task looked, the first three included
    atomic_int tiles;  // that such a task made by its pipeline
    atomic_int ended;  // such tasks that are over
    atomic_int freed;  // of them, by being cancelled; the others waited too long
};

#define HELD_TASK_FILE "TESSERA_TEST_HELD_TASK"

enum { HELD_AT_LOOK = 3 };

// The calls for which held_task.c stands are named in tests/cluster.cmake.
struct held_task *held_task(void);

#endif
