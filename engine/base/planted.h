// SPDX-License-Identifier: Apache-2.0
//
// Mistakes that a test puts into the cores, one at a time, to see that the simulator finds them.
//
// TSI_PLANTED(name) says whether the mistake is in. It is the constant false, and costs nothing,
// but in the copy of the cores that tests/sim.cmake compiles for that test, with TSI_PLANT defined.

#ifndef TSI_PLANTED_H
#define TSI_PLANTED_H

#include <stdbool.h>

#define TSI_PLANTED_LIST(X)                                                                        \
    X(forgotten_free, "a chunk without claims is freed in the books, and no worker is told")       \
    X(double_free, "workers are told twice to free a chunk")                                       \
    X(early_free, "a task that starts again does not take its claims on its inputs again")         \
    X(stale_report, "a worker that left still speaks for the one that has its slot now")           \
    X(lost_retract, "a task that a worker gave back is not queued again")                          \
    X(leaked_reservation, "a worker's memory stays reserved for an attempt that was lost")         \
    X(missed_wakeup, "a worker that was turned away for lack of memory is never looked at again")  \
    X(uncounted_kill, "the death of a worker is not held against the task that it ran")            \
    X(forgotten_users, "users of a lost chunk that were ready stay ready")                         \
    X(lost_retry, "a task that failed is not tried again")                                         \
    X(reused_sequence, "an attempt has the number of the one before")                              \
    X(overfull_worker, "a worker is given tasks without end")                                      \
    X(blamed_silence, "workers are blamed for the time in which the scheduler did not listen")     \
    X(eternal_result, "the result of a detached job that nobody has is kept for ever")             \
    X(lost_result, "the result of a detached job is given up though somebody has come for it")     \
    X(undead_result, "a result that was given up or back can be attached to while a job reads it") \
    X(unordered_results, "the oldest job is given up, and not the one that waited longest")        \
    X(greedy_results, "more results are given up than has to be")                                  \
    X(unrestored_results, "a scheduler that was started again keeps results for ever")             \
    X(stolen_result, "who claims a job takes what it reads from who has come for that")            \
    X(worker_swapped_inputs, "a task gets its inputs in the wrong order")                          \
    X(worker_kept_input, "what was fetched for a task that did not run is kept")                   \
    X(worker_leaked_memory, "the memory of a run that ended stays reserved")                       \
    X(worker_deaf_to_leaving, "fetches from a peer that left are waited for")                      \
    X(worker_lost_report, "an attempt that ended without an output is not reported")               \
    X(worker_deaf_to_limit, "a worker takes as much memory as it could before its limit was "      \
                            "lower")

#ifdef TSI_PLANT
#define TSI_PLANTED_ENUM(name, text) TSI_PLANTED_##name,
enum tsi_planted { TSI_PLANTED_NONE, TSI_PLANTED_LIST(TSI_PLANTED_ENUM) TSI_PLANTED_COUNT };
#undef TSI_PLANTED_ENUM
// The one that is in.
extern enum tsi_planted tsi_planted;
#define TSI_PLANTED(name) (tsi_planted == TSI_PLANTED_##name)
#else
#define TSI_PLANTED(name) false
#endif

#endif
