// SPDX-License-Identifier: Apache-2.0
//
// The record of a job. Making one takes time by the number of operations and never by the number of
// tasks: the records of tasks are pages of zeros.

#include "scheduler/core/sched_job.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "scheduler/core/sched_state.h"
#include "scheduler/core/sched_want.h"

enum {
    SHRINK_BY = 4,
    // Tasks of which it is asked at the beginning whether they will run.
    ASKED_MAX = 16384,
    SHRINK_INPUTS_MAX = 64, // beyond, looking whether they are there takes too long
};

struct tsi_sched_job *
tsi_sched_job_find(const struct tsi_sched *sched, uint32_t id)
{
    struct tsi_sched_job *job =
        sched->last_job < sched->jobs.count ? sched->jobs.items[sched->last_job] : NULL;
    if (job == NULL || job->id != id) {
        const uint64_t *slot = tsi_map_get(&sched->job_slots, id);
        if (slot == NULL) {
            return NULL;
        }
        job = sched->jobs.items[*slot];
    }
    return job->dropping || job->doomed ? NULL : job;
}

static size_t
tasks_bytes(const struct tsi_sched_job *job)
{
    return (size_t)job->program->task_count * sizeof *job->tasks;
}

static size_t
bits_bytes(const struct tsi_sched_job *job)
{
    return ((size_t)job->program->task_count + 63) / 64 * sizeof(uint64_t);
}

static size_t
active_bytes(const struct tsi_sched_job *job)
{
    return ((size_t)job->program->task_count + TSI_SCHED_BLOCK - 1) / TSI_SCHED_BLOCK *
           sizeof *job->active;
}

// Whether chunk c of the operation reads chunk c of the source and no other, plainly.
static bool
is_identity(const struct tsi_index_map *map, const struct tsi_grid *loop,
            const struct tsi_grid *source)
{
    if (map->is_explicit || loop->ndim != source->ndim) {
        return false;
    }
    for (int i = 0; i < loop->ndim; i++) {
        const struct tsi_map_axis *axis = &map->axis[i];
        if (axis->axis != i || axis->offset != 0 || axis->stride != 1 || axis->extent != 1 ||
            loop->axis[i].size == 0 || loop->axis[i].bounds != NULL ||
            source->axis[i].bounds != NULL || !tsi_axis_equal(&loop->axis[i], &source->axis[i])) {
            return false;
        }
    }
    return true;
}

// Whether it is fair to take every chunk of the operation for the largest one.
static bool
is_even(const struct tsi_chunk_op *op)
{
    const int64_t elements = tsi_grid_element_count(&op->array);
    const int64_t largest = tsi_grid_chunk_elements_max(&op->array);
    int64_t most = 0;
    return !tsi_mul_i64(largest, (int64_t)op->task_count, &most) || elements < 0 ||
           most / 2 <= elements;
}

static void
describe_op(struct tsi_sched_job *job, uint32_t i)
{
    const struct tsi_chunk_op *op = &job->program->ops[i];
    struct tsi_sched_op *info = &job->ops[i];
    const uint64_t cost_us = tsi_chunk_op_cost_ns(job->program, op) / 1000;
    info->base = op->task_base;
    info->count = op->task_count;
    info->work = op->work;
    info->target_mode = TSI_SCHED_NO_TARGET;
    info->is_even = is_even(op);
    info->bytes_max = tsi_chunk_op_bytes_max(op);
    info->workspace = tsi_chunk_op_workspace_max(job->program, op);
    info->duration_us = cost_us < UINT32_MAX / 2 ? (uint32_t)cost_us + 1 : UINT32_MAX / 2;
    info->kept_slot = TSI_SLOT_NONE;
}

// Turns inputs around: for each operation, who uses it.
static void
describe_edges(struct tsi_sched_job *job)
{
    const struct tsi_program *program = job->program;
    for (int i = 0; i < program->op_count; i++) {
        for (int k = 0; k < program->ops[i].input_count; k++) {
            job->ops[program->ops[i].inputs[k].op].edge_count++;
        }
    }
    uint32_t first = 0;
    uint32_t inputs = 0;
    for (int i = 0; i < program->op_count; i++) {
        job->ops[i].edge_first = first;
        job->ops[i].input_first = inputs;
        first += job->ops[i].edge_count;
        inputs += (uint32_t)program->ops[i].input_count;
        job->ops[i].edge_count = 0;
    }
    for (int i = 0; i < program->op_count; i++) {
        for (int k = 0; k < program->ops[i].input_count; k++) {
            const struct tsi_input *input = &program->ops[i].inputs[k];
            struct tsi_sched_op *source = &job->ops[input->op];
            const bool identity =
                is_identity(&input->map, &program->ops[i].loop, &program->ops[input->op].array);
            job->identity_inputs[job->ops[i].input_first + (uint32_t)k] = identity;
            job->edges[source->edge_first + source->edge_count++] =
                (struct tsi_sched_edge){(uint16_t)i, (uint8_t)k, identity};
        }
    }
}

// Whether the tasks of an operation make much less of their inputs, by the example of the first
// one.
static bool
shrinks(const struct tsi_sched_job *job, uint32_t op)
{
    const struct tsi_sched_op *info = &job->ops[op];
    uint64_t bytes = 0;
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    if (info->count == 0 || !tsi_sched_op_runs(info)) {
        return false;
    }
    tsi_sched_walk_deps(&walk, job, op, info->base);
    for (int i = 0; i < SHRINK_INPUTS_MAX && tsi_sched_walk_next_dep(&walk, &dep); i++) {
        bytes += job->ops[walk.op].bytes_max;
    }
    return bytes > 0 && info->bytes_max <= bytes / SHRINK_BY &&
           !tsi_sched_walk_next_dep(&walk, &dep);
}

static void
describe_targets(struct tsi_sched_job *job)
{
    for (int i = 0; i < job->program->target_count; i++) {
        const struct tsi_target *target = &job->program->targets[i];
        struct tsi_sched_op *op = &job->ops[target->op];
        op->target_mode = target->mode;
        if (op->count > 0) {
            job->cursors[job->cursor_count++] =
                (struct tsi_sched_cursor){.op = target->op, .next = 0, .count = op->count};
            job->targets_total += op->count;
        }
    }
    job->cursors_open = job->cursor_count;
}

// Counts the tasks that will run. Where that depends on each task, it is asked of as many as take
// no time to speak of; of larger operations all are counted.
static void
count_tasks(struct tsi_sched_job *job)
{
    uint32_t left = ASKED_MAX;
    for (int i = 0; i < job->program->op_count; i++) {
        const struct tsi_sched_op *op = &job->ops[i];
        if (!tsi_sched_op_runs(op)) {
            continue;
        }
        if (op->all_wanted || op->count > left) {
            job->tasks_total += op->count;
            continue;
        }
        left -= op->count;
        for (uint32_t k = 0; k < op->count; k++) {
            job->tasks_total += tsi_sched_want(job, (uint32_t)i, op->base + k) ? 1 : 0;
        }
    }
}

struct tsi_sched_job *
tsi_sched_job_new(const struct tsi_program *program)
{
    size_t inputs = 0;
    for (int i = 0; i < program->op_count; i++) {
        inputs += (size_t)program->ops[i].input_count;
    }
    struct tsi_sched_job *job = tsi_calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->program = program;
    job->open_stripe = TSI_STRIPE_NONE;
    job->placed_slot = TSI_SLOT_NONE;
    job->ops = tsi_calloc((size_t)program->op_count, sizeof *job->ops);
    job->edges = tsi_calloc(inputs, sizeof *job->edges);
    job->identity_inputs = tsi_calloc(inputs, sizeof *job->identity_inputs);
    job->cursors = tsi_calloc((size_t)program->target_count, sizeof *job->cursors);
    job->tasks = tsi_alloc_pages(tasks_bytes(job));
    job->retired = tsi_alloc_pages(bits_bytes(job));
    job->opened = tsi_alloc_pages(bits_bytes(job));
    job->satisfied = tsi_alloc_pages(bits_bytes(job));
    job->active = tsi_alloc_pages(active_bytes(job));
    if (job->ops == NULL || job->edges == NULL || job->identity_inputs == NULL ||
        job->cursors == NULL || job->tasks == NULL || job->retired == NULL || job->opened == NULL ||
        job->satisfied == NULL || job->active == NULL) {
        tsi_sched_job_free(job);
        return NULL;
    }
    for (int i = 0; i < program->op_count; i++) {
        describe_op(job, (uint32_t)i);
    }
    describe_edges(job);
    for (int i = 0; i < program->op_count; i++) {
        job->ops[i].shrinks = shrinks(job, (uint32_t)i);
        job->ops[i].mirror =
            job->ops[i].shrinks ? tsi_mirror_find(&program->ops[i]) : (struct tsi_mirror){-1, -1};
    }
    describe_targets(job);
    if (!tsi_sched_want_init(job)) {
        tsi_sched_job_free(job);
        return NULL;
    }
    count_tasks(job);
    job->counts[TSI_TASK_RELEASED] = program->task_count;
    job->progress_workers = -1;
    return job;
}

void
tsi_sched_job_free(struct tsi_sched_job *job)
{
    tsi_free_pages(job->tasks, tasks_bytes(job));
    tsi_free_pages(job->retired, bits_bytes(job));
    tsi_free_pages(job->opened, bits_bytes(job));
    tsi_free_pages(job->satisfied, bits_bytes(job));
    tsi_free_pages(job->active, active_bytes(job));
    tsi_sched_want_fini(job);
    tsi_free(job->ops);
    tsi_free(job->edges);
    tsi_free(job->identity_inputs);
    tsi_free(job->cursors);
    tsi_vec_fini(&job->stack);
    tsi_vec_fini(&job->ready);
    tsi_vec_fini(&job->waiters);
    for (size_t i = 0; i < job->deaths.count; i++) {
        tsi_free(job->deaths.items[i].text);
    }
    tsi_sched_peak_forget(job);
    tsi_vec_fini(&job->deaths);
    tsi_map_fini(&job->attempts);
    tsi_map_fini(&job->fetch_failures);
    tsi_free(job);
}

uint32_t
tsi_sched_job_find_op(struct tsi_sched_job *job, uint32_t task)
{
    job->last_op = (uint32_t)tsi_program_op_of(job->program, task);
    return job->last_op;
}

uint64_t
tsi_sched_job_bytes(const struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_op *info = &job->ops[op];
    return info->is_even ? info->bytes_max
                         : tsi_chunk_op_bytes(&job->program->ops[op], task - info->base);
}

// Whether all tasks of a block, which is not the last one of its job, are retired.
static bool
is_all_retired(const struct tsi_sched_job *job, uint32_t block)
{
    enum { WORDS = TSI_SCHED_BLOCK / 64 };
    if (((uint64_t)block + 1) * TSI_SCHED_BLOCK > job->program->task_count) {
        return false;
    }
    const uint64_t *words = job->retired + (size_t)block * WORDS;
    uint64_t all = UINT64_MAX;
    for (int i = 0; i < WORDS; i++) {
        all &= words[i];
    }
    return all == UINT64_MAX;
}

void
tsi_sched_job_set_retired(struct tsi_sched_job *job, uint32_t task, bool retired)
{
    const uint32_t block = task / TSI_SCHED_BLOCK;
    const uint64_t bit = UINT64_C(1) << (task % 64);
    if (!retired) {
        job->retired[task / 64] &= ~bit;
        return;
    }
    job->retired[task / 64] |= bit;
    // The record of a RELEASED task is all zero, as the page that comes in its place.
    if (job->active[block] == 0 && is_all_retired(job, block)) {
        tsi_drop_pages(job->tasks + (size_t)block * TSI_SCHED_BLOCK,
                       TSI_SCHED_BLOCK * sizeof *job->tasks);
    }
}

void
tsi_sched_job_doom(struct tsi_sched *sched, struct tsi_sched_job *job, tess_status status,
                   const char *format, ...)
{
    if (job->doomed || job->dropping) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(job->text, sizeof job->text, format, arguments);
    va_end(arguments);
    job->status = status;
    job->doomed = true;
    sched->settle_due = true;
}

void
tsi_sched_job_doom_memory(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    tsi_sched_job_doom(sched, job, TESS_ENOMEM, "the scheduler is out of memory");
}

void
tsi_sched_job_place(struct tsi_sched_job *job, uint32_t task, char *out, size_t bytes)
{
    const struct tsi_chunk_op *op = &job->program->ops[tsi_sched_job_op(job, task)];
    char place[TSI_ERROR_TEXT_MAX / 2];
    char chunk[TSI_SHAPE_TEXT_MAX];
    int64_t coords[TESS_NDIM_MAX] = {0};
    tsi_chunk_op_place(op, place, sizeof place);
    tsi_grid_coords(&op->array, task - op->task_base, coords);
    snprintf(out, bytes, "%s, chunk %s", place, tsi_text_shape(chunk, op->array.ndim, coords));
}
