// SPDX-License-Identifier: Apache-2.0
//
// Mostly the answer is known for whole operations: targets are wanted, and so is every operation
// whose chunks are all read by one that is wanted as a whole. Where that cannot be seen from the
// map, single tasks are looked at: one is wanted if one of its users is. The answers are kept, two
// bits a task, and stay what they were.
//
// Looking goes from user to user to a bounded depth, and takes a task for wanted beyond. To err
// that way costs memory, never a chunk that is needed.

#include "scheduler/core/sched_want.h"

#include "scheduler/core/sched_walk.h"

enum { DEPTH_MAX = 64 };

// Whether the elements from `from` to `to`, exclusive, with gaps of `gap` between, meet every chunk
// of an axis that has elements.
static bool
meets_all(const struct tsi_axis *axis, int64_t from, int64_t to, int64_t gap)
{
    if (axis->size == 0 || from >= to || to <= 0 || from >= axis->size) {
        return false;
    }
    const int64_t first = from > 0 ? tsi_axis_find(axis, from) : 0;
    const int64_t last = tsi_axis_find(axis, (to < axis->size ? to : axis->size) - 1);
    if (axis->bounds != NULL) {
        return gap == 0 && first == tsi_axis_find(axis, 0) &&
               last == tsi_axis_find(axis, axis->size - 1);
    }
    return first == 0 && last == axis->count - 1 && (gap == 0 || gap < axis->step);
}

static bool
covers_axis(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
            const struct tsi_axis *source)
{
    if (rule->axis < 0) {
        return meets_all(source, rule->offset, rule->offset + rule->extent, 0);
    }
    const int64_t count = loop->axis[rule->axis].size;
    if (count == 0) {
        return false;
    }
    const int64_t span = rule->stride * (count - 1);
    const int64_t distance = rule->stride < 0 ? -rule->stride : rule->stride;
    const int64_t gap = count > 1 && distance > rule->extent ? distance - rule->extent : 0;
    // With gaps, the ends of the span have to be those of the axis for the end chunks to be met.
    return meets_all(source, rule->offset + (span < 0 ? span : 0),
                     rule->offset + (span > 0 ? span : 0) + rule->extent, gap);
}

// Whether each chunk of the source is surely read.
static bool
covers(const struct tsi_index_map *map, const struct tsi_grid *loop, const struct tsi_grid *source)
{
    if (map->is_explicit) {
        const int64_t chunks = tsi_grid_chunk_count(source);
        for (int64_t i = 0; i < chunks; i++) {
            if (map->users.starts[i] == map->users.starts[i + 1]) {
                return false;
            }
        }
        return true;
    }
    for (int i = 0; i < loop->ndim; i++) {
        if (loop->axis[i].size == 0) {
            return false;
        }
    }
    for (int i = 0; i < source->ndim; i++) {
        if (!covers_axis(&map->axis[i], loop, &source->axis[i])) {
            return false;
        }
    }
    return true;
}

static bool
is_all_wanted(const struct tsi_sched_job *job, uint32_t op)
{
    const struct tsi_sched_op *info = &job->ops[op];
    if (info->target_mode != TSI_SCHED_NO_TARGET) {
        return true;
    }
    for (uint32_t i = 0; i < info->edge_count; i++) {
        const struct tsi_sched_edge *edge = &job->edges[info->edge_first + i];
        const struct tsi_chunk_op *user = &job->program->ops[edge->op];
        if (job->ops[edge->op].all_wanted &&
            (edge->is_identity ||
             covers(&user->inputs[edge->input].map, &user->loop, &job->program->ops[op].array))) {
            return true;
        }
    }
    return false;
}

static size_t
answers_bytes(const struct tsi_sched_job *job)
{
    return ((size_t)job->program->task_count + 31) / 32 * sizeof *job->answers;
}

bool
tsi_sched_want_init(struct tsi_sched_job *job)
{
    bool all = true;
    for (int op = job->program->op_count - 1; op >= 0; op--) {
        job->ops[op].all_wanted = is_all_wanted(job, (uint32_t)op);
        all = all && (job->ops[op].all_wanted || job->ops[op].count == 0);
    }
    if (!all) {
        job->answers = tsi_alloc_pages(answers_bytes(job));
    }
    return all || job->answers != NULL;
}

void
tsi_sched_want_fini(struct tsi_sched_job *job)
{
    tsi_free_pages(job->answers, answers_bytes(job));
}

enum answer { UNKNOWN, NO, YES };

static enum answer
answer_of(const struct tsi_sched_job *job, uint32_t task)
{
    return (enum answer)(job->answers[task / 32] >> (task % 32 * 2) & 3);
}

static bool
look(struct tsi_sched_job *job, uint32_t op, uint32_t task, int depth)
{
    if (job->ops[op].all_wanted || depth == DEPTH_MAX) {
        return true;
    }
    const enum answer known = answer_of(job, task);
    if (known != UNKNOWN) {
        return known == YES;
    }
    bool wanted = false;
    struct tsi_sched_walk walk;
    uint32_t user = 0;
    tsi_sched_walk_users(&walk, job, op, task);
    while (!wanted && tsi_sched_walk_next_user(&walk, &user)) {
        wanted = look(job, walk.op, user, depth + 1);
    }
    job->answers[task / 32] |= (uint64_t)(wanted ? YES : NO) << (task % 32 * 2);
    return wanted;
}

bool
tsi_sched_want(struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    return look(job, op, task, 0);
}
