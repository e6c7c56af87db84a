// SPDX-License-Identifier: Apache-2.0
//
// A worker core under test: a small program, short ways to feed events, and the actions of one poll
// round in a list.
//
//     struct worker_case c;
//     worker_case_init(&c, 2, UINT64_MAX);
//     worker_case_assign(&c, task, rank);
//     worker_case_poll(&c);
//     … look at c.actions …
//     worker_case_fini(&c);
//
// The program of job CASE_JOB, all in float64, chunks of 1000 elements in one axis of 4 chunks:
//
//     operation  tasks   work
//     0          0–3     makes chunks of nothing, which are kept (target_count = 0: they are not)
//     1          4–7     held by the client
//     2          8–11    kept by job CASE_KEPT_JOB from its task 100 on
//     3          12–15   chunk c of operation 0 and of operation 1
//     4          16–19   chunk c of operation 3, of 2, and of 3 again
//     5          20      all chunks of operation 3

#ifndef TSI_SUPPORT_WORKER_CASE_H
#define TSI_SUPPORT_WORKER_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/core/worker.h"

enum {
    CASE_JOB = 7,
    CASE_KEPT_JOB = 3,
    CASE_KEPT_BASE = 100,
    CASE_CHUNK_BYTES = 8000,
    CASE_PEER = 500,
    CASE_ACTIONS_MAX = 256,
    CASE_INPUTS_MAX = 16,
};

struct worker_case_action {
    struct tsi_worker_action action;
    // What it pointed to.
    void *inputs[CASE_INPUTS_MAX];
    tsi_key input_keys[CASE_INPUTS_MAX];
    struct tsi_worker_done done[CASE_ACTIONS_MAX];
    tsi_key copied[CASE_ACTIONS_MAX];
    tsi_key dropped[CASE_ACTIONS_MAX];
};

struct worker_case {
    struct tsi_worker *worker;
    struct tsi_program *program;
    uint32_t sequence;  // of the last assignment
    bool out_of_memory; // a step was refused
    int programs_released;
    int action_count;
    struct worker_case_action *actions;
    int handles; // given and not released
    int live_handles[CASE_ACTIONS_MAX * 4];
};

// A worker that knows the program already.
void worker_case_init(struct worker_case *c, int threads, uint64_t memory_bytes);
// The same with room for `spill_bytes` on a disk.
void worker_case_init_disk(struct worker_case *c, int threads, uint64_t memory_bytes,
                           uint64_t spill_bytes);
// Frees it; every handle that was given must have come back.
void worker_case_fini(struct worker_case *c);

struct tsi_program *worker_case_program(void);

// A handle of its own for each call. It counts as given.
void *worker_case_handle(struct worker_case *c);

void worker_case_feed(struct worker_case *c, struct tsi_worker_event event);

// Feeds an assignment with the next sequence, which is returned, and no locations.
uint32_t worker_case_assign(struct worker_case *c, uint32_t task, uint32_t rank);
// The same with locations.
uint32_t worker_case_assign_from(struct worker_case *c, uint32_t task, uint32_t rank,
                                 const struct tsi_location *places, size_t count);

// A chunk arrives from some peer, or from nobody if it came with an assignment; its handle is
// returned.
void *worker_case_fetched(struct worker_case *c, tsi_key key);
void *worker_case_arrived(struct worker_case *c, tsi_key key, uint32_t from);
void worker_case_fetch_failed(struct worker_case *c, tsi_key key, uint32_t peer);
// Fails, and each time that it is tried again; leaves the actions of the last round.
void worker_case_fetch_lost(struct worker_case *c, tsi_key key, uint32_t peer);
// A run ends well; the handle of its output is returned.
void *worker_case_executed(struct worker_case *c, uint32_t run);
// A chunk was written, or could not be; the extent is returned.
void *worker_case_spilled(struct worker_case *c, uint32_t run, bool is_good);
// A chunk was read back, or could not be; the handle is returned.
void *worker_case_loaded(struct worker_case *c, uint32_t run, bool is_good);
void worker_case_free(struct worker_case *c, tsi_key key);

// Takes all actions out; the list holds those of this round. Checks the invariants.
void worker_case_poll(struct worker_case *c);

// The number of actions of a kind in the list, and the first of them (NULL if there is none).
int worker_case_count(const struct worker_case *c, enum tsi_worker_action_kind kind);
const struct worker_case_action *worker_case_first(const struct worker_case *c,
                                                   enum tsi_worker_action_kind kind);
// Whether the last round released `handle`.
bool worker_case_released(const struct worker_case *c, const void *handle);

// Polls, ends the run that was started (which must be of `task`), and polls again.
void worker_case_run(struct worker_case *c, uint32_t task);

#endif
