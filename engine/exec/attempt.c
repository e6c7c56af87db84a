// SPDX-License-Identifier: Apache-2.0
//
// One attempt at a task, or at two at once: room for the output, the task itself, and what went
// wrong. The clock is
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
tsi_attempts_start(struct tsi_attempts *attempts, uint32_t run, bool is_along)
{
    const bool is_put = tsi_ring_put(&attempts->ring, is_along ? run | TSI_RING_ALONG : run);
    TSI_CHECK(is_put); // a run is in the ring once
}

void
tsi_attempts_cancel(struct tsi_attempts *attempts)
{
    for (int i = 0; i < TSI_ATTEMPT_SLOTS; i++) {
        atomic_store(&attempts->slots[i].cancelled, true);
    }
}

// Readies what slot->error.status then says: TESS_OK if there is a task to run, with memory for its
// output. False if nothing is to be run.
static bool
prepare_task(struct tsi_attempt_slot *slot, struct tsi_files *files, struct tsi_exec_task *task)
{
    *task = (struct tsi_exec_task){.program = slot->program,
                                   .op = slot->op,
                                   .chunk = slot->chunk,
                                   .chunks = slot->inputs,
                                   .chunk_count = slot->input_count,
                                   .cancelled = &slot->cancelled,
                                   .files = files};
    // What is there already is copied to its part of an array past the caches, by whoever delivers.
    struct tsi_buf *made = slot->place == NULL || slot->is_apart ? tsi_exec_find_made(task) : NULL;
    slot->error.status = TESS_OK;
    if (made != NULL) {
        tsi_buf_unref(slot->place);
        slot->place = NULL;
        slot->output = tsi_buf_ref(made);
        return false;
    }
    slot->output = slot->place != NULL ? slot->place : tsi_buf_new(slot->output_bytes);
    slot->place = NULL;
    if (slot->output == NULL) {
        char place[256];
        tsi_chunk_op_place(&slot->program->ops[slot->op], place, sizeof place);
        tsi_error_set(&slot->error, TESS_ENOMEM, "%s: out of memory for a chunk of %zu bytes",
                      place, slot->output_bytes);
        return false;
    }
    task->out = slot->output->data;
    task->out_strides = slot->is_apart ? slot->place_strides : NULL;
    return true;
}

static void
end_task(struct tsi_attempt_slot *slot, tess_status status)
{
    slot->error.status = status;
    if (status != TESS_OK) {
        tsi_buf_unref(slot->output);
        slot->output = NULL;
    }
}

static void
execute(struct tsi_attempt_slot *slot, struct tsi_files *files)
{
    struct tsi_exec_task task;
    if (prepare_task(slot, files, &task)) {
        end_task(slot, tsi_exec_run(&task, &slot->error));
    }
}

static void
execute_both(struct tsi_attempt_slot *first, struct tsi_attempt_slot *second,
             struct tsi_files *files)
{
    struct tsi_exec_task tasks[2];
    tess_status statuses[2];
    const bool has_first = prepare_task(first, files, &tasks[0]);
    const bool has_second = prepare_task(second, files, &tasks[1]);
    if (has_first && has_second) {
        const struct tsi_exec_task *const both[2] = {&tasks[0], &tasks[1]};
        struct tsi_error *const errors[2] = {&first->error, &second->error};
        tsi_exec_run_both(both, errors, statuses);
        end_task(first, statuses[0]);
        end_task(second, statuses[1]);
    } else if (has_first) {
        end_task(first, tsi_exec_run(&tasks[0], &first->error));
    } else if (has_second) {
        end_task(second, tsi_exec_run(&tasks[1], &second->error));
    }
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
    uint32_t runs[2];
    if (batch->count >= TSI_ATTEMPT_BATCH || batch->last_ns - batch->first_ns >= GATHER_NS) {
        return false;
    }
    const uint32_t count = tsi_ring_take_along(&attempts->ring, runs);
    if (count == 2) {
        execute_both(&attempts->slots[runs[0]], &attempts->slots[runs[1]], attempts->files);
        batch->runs[batch->count++] = runs[0];
        batch->runs[batch->count++] = runs[1];
    } else if (count == 1) {
        execute(&attempts->slots[runs[0]], attempts->files);
        batch->runs[batch->count++] = runs[0];
    }
    if (count > 0 && tsi_clock_ticks() - batch->last_ticks >= TICKS_TOGETHER) {
        tsi_attempt_batch_end(batch, attempts);
    }
    return count > 0;
}
