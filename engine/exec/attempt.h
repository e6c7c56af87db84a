// SPDX-License-Identifier: Apache-2.0
//
// What the threads of every runtime do with tasks. A task that is to be executed is described in a
// *slot*, whose number is that of the worker core's run, and its number goes into a ring. Threads
// take numbers from the ring without a lock, execute one task after the other, and gather how they
// ended, so that whoever drives the core hears of many small tasks at once.

#ifndef TSI_EXEC_ATTEMPT_H
#define TSI_EXEC_ATTEMPT_H

#include <assert.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/base/ring.h"
#include "engine/exec/exec.h"

enum {
    TSI_ATTEMPT_SLOTS = TSI_THREADS_MAX + TSI_RUNS_AHEAD,
    // Ends that a thread gathers at most.
    TSI_ATTEMPT_BATCH = 128,
};

static_assert((int)TSI_ATTEMPT_SLOTS <= (int)TSI_RING_CAPACITY, "there is room for all runs");

// From its start until its end is told, a slot is the thread's that took its number, but for
// `cancelled`. What every task needs comes first.
struct tsi_attempt_slot {
    const struct tsi_program *program;
    int64_t chunk;
    size_t output_bytes;
    struct tsi_buf *place; // where the output goes, a reference; NULL: memory of its own
    struct tsi_exec_chunk *inputs;
    size_t input_count;
    size_t input_capacity;
    struct tsi_buf *output; // how it ended: this, the duration, the error
    uint32_t duration_us;
    int op;
    bool is_long;  // the driver's, who expects that it takes long
    bool is_apart; // the place is a part of a larger array, with the strides below
    atomic_bool cancelled;
    struct tsi_error error; // its text is set if its status is not TESS_OK
    int64_t place_strides[TESS_NDIM_MAX];
};

// All zero but `files` is ready for use.
struct tsi_attempts {
    struct tsi_ring ring;
    struct tsi_files *files;
    struct tsi_attempt_slot slots[TSI_ATTEMPT_SLOTS];
};

// Frees what the slots have of their own; nothing is executed any more.
void tsi_attempts_fini(struct tsi_attempts *attempts);

// The slot of a run, with room for inputs, for the caller to fill in; NULL when memory is out.
struct tsi_attempt_slot *tsi_attempts_prepare(struct tsi_attempts *attempts, uint32_t run,
                                              size_t input_count);
// Gives it to the threads; with `is_along`, to the one that takes what was given before, so that it
// executes both at once, as far as that is still there. One caller at a time.
void tsi_attempts_start(struct tsi_attempts *attempts, uint32_t run, bool is_along);
// Makes all that is executed, or was given to the threads, end soon.
void tsi_attempts_cancel(struct tsi_attempts *attempts);

// What one thread executed and has not told of.
struct tsi_attempt_batch {
    size_t count;
    size_t timed;                         // of them, how long they took is known
    uint64_t first_ns;                    // when it began
    uint64_t last_ns;                     // when the last one that was timed ended
    uint64_t last_ticks;                  // likewise
    uint32_t runs[TSI_ATTEMPT_BATCH + 1]; // the last two may come at once
};

void tsi_attempt_batch_begin(struct tsi_attempt_batch *batch);
// Executes the next task, if there is one and the batch is neither full nor old.
bool tsi_attempt_batch_next(struct tsi_attempt_batch *batch, struct tsi_attempts *attempts);
// Notes how long all of them took; before anybody is told.
void tsi_attempt_batch_end(struct tsi_attempt_batch *batch, struct tsi_attempts *attempts);

#endif
