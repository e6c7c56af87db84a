// SPDX-License-Identifier: Apache-2.0
//
// One attempt at a task: room for the output, the task itself, and what went wrong. The clock is
// read when a task ends, which is when the next one begins. Reading it takes as long as a tiny
// task, so as long as the processor's count has hardly gone on it is left for later: the tasks that
// ended meanwhile took equal parts.

#include "engine/exec/attempt.h"

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"

// How long a thread gathers ends. Longer tasks than this are told of one by one.
#define GATHER_NS 100000

// What ends within so many ticks, some microseconds at most, is timed together.
#define TICKS_TOGETHER 8192

void
tsi_attempts_fini(struct tsi_attempts *attempts)
{
    for (int i = 0; i < TSI_ATTEMPT_SLOTS; i++) {
        tsi_free(attempts->slots[i].inputs);
        tsi_buf_unref(attempts->slots[i].place); // of a run that was never begun
    }
}

struct tsi_attempt_slot *
tsi_attempts_prepare(struct tsi_attempts *attempts, uint32_t run, size_t input_count)
{
    struct tsi_attempt_slot *slot = &attempts->slots[run];
    if (input_count > slot->input_capacity) {
        struct tsi_exec_chunk *inputs = tsi_realloc(slot->inputs, input_count, sizeof *inputs);
        if (inputs == NULL) {
            return NULL;
        }
        slot->inputs = inputs;
        slot->input_capacity = input_count;
    }
    slot->input_count = input_count;
    slot->output = NULL;
    slot->place = NULL;
    slot->is_apart = false;
    atomic_store_explicit(&slot->cancelled, false, memory_order_relaxed);
    return slot;
}

void
tsi_attempts_start(struct tsi_attempts *attempts, uint32_t run)
{
    const bool is_put = tsi_ring_put(&attempts->ring, run);
    TSI_CHECK(is_put); // a run is in the ring once
}

void
tsi_attempts_cancel(struct tsi_attempts *attempts)
{
    for (int i = 0; i < TSI_ATTEMPT_SLOTS; i++) {
        atomic_store(&attempts->slots[i].cancelled, true);
    }
}

static tess_status
execute(struct tsi_attempt_slot *slot, struct tsi_files *files)
{
    struct tsi_exec_task task = {.program = slot->program,
                                 .op = slot->op,
                                 .chunk = slot->chunk,
                                 .chunks = slot->inputs,
                                 .chunk_count = slot->input_count,
                                 .cancelled = &slot->cancelled,
                                 .files = files};
    // What is there already is copied to its part of an array past the caches, by whoever delivers.
    struct tsi_buf *made = slot->place == NULL || slot->is_apart ? tsi_exec_find_made(&task) : NULL;
    if (made != NULL) {
        tsi_buf_unref(slot->place);
        slot->place = NULL;
        slot->output = tsi_buf_ref(made);
        return TESS_OK;
    }
    slot->output = slot->place != NULL ? slot->place : tsi_buf_new(slot->output_bytes);
    slot->place = NULL;
    if (slot->output == NULL) {
        char place[256];
        tsi_chunk_op_place(&task.program->ops[task.op], place, sizeof place);
        return tsi_error_set(&slot->error, TESS_ENOMEM,
                             "%s: out of memory for a chunk of %zu bytes", place,
                             slot->output_bytes);
    }
    task.out = slot->output->data;
    task.out_strides = slot->is_apart ? slot->place_strides : NULL;
    const tess_status status = tsi_exec_run(&task, &slot->error);
    if (status != TESS_OK) {
        tsi_buf_unref(slot->output);
        slot->output = NULL;
    }
    return status;
}

void
tsi_attempt_batch_begin(struct tsi_attempt_batch *batch)
{
    batch->count = 0;
    batch->timed = 0;
    batch->first_ns = tsi_clock_ns();
    batch->last_ns = batch->first_ns;
    batch->last_ticks = tsi_clock_ticks();
}

void
tsi_attempt_batch_end(struct tsi_attempt_batch *batch, struct tsi_attempts *attempts)
{
    if (batch->timed == batch->count) {
        return;
    }
    const uint64_t now = tsi_clock_ns();
    const uint64_t each = (now - batch->last_ns) / (batch->count - batch->timed);
    for (; batch->timed < batch->count; batch->timed++) {
        attempts->slots[batch->runs[batch->timed]].duration_us = (uint32_t)(each / 1000);
    }
    batch->last_ns = now;
    batch->last_ticks = tsi_clock_ticks();
}

bool
tsi_attempt_batch_next(struct tsi_attempt_batch *batch, struct tsi_attempts *attempts)
{
    uint32_t run;
    if (batch->count == TSI_ATTEMPT_BATCH || batch->last_ns - batch->first_ns >= GATHER_NS ||
        !tsi_ring_take(&attempts->ring, &run)) {
        return false;
    }
    struct tsi_attempt_slot *slot = &attempts->slots[run];
    slot->error.status = execute(slot, attempts->files);
    batch->runs[batch->count++] = run;
    if (tsi_clock_ticks() - batch->last_ticks >= TICKS_TOGETHER) {
        tsi_attempt_batch_end(batch, attempts);
    }
    return true;
}
