// SPDX-License-Identifier: Apache-2.0
//
// Index maps do the work; what is here joins the inputs of an operation, or all uses of it, to one
// walk, and steps over the map where it is the identity, as most are.

#include "scheduler/core/sched_walk.h"

// The next task of the index map that the walk is in.
static inline bool
step_in_set(struct tsi_sched_walk *walk, uint32_t *task)
{
    int64_t chunk = 0;
    walk->in_set = walk->in_set && tsi_chunk_set_next(&walk->set, &chunk);
    if (walk->in_set) {
        *task = walk->job->ops[walk->op].base + (uint32_t)chunk;
    }
    return walk->in_set;
}

bool
tsi_sched_walk_step_dep(struct tsi_sched_walk *walk, uint32_t *task)
{
    const struct tsi_sched_job *job = walk->job;
    for (;;) {
        if (step_in_set(walk, task)) {
            return true;
        }
        if (walk->at == walk->end) {
            return false;
        }
        const uint32_t at = walk->at++;
        const struct tsi_chunk_op *op = &job->program->ops[walk->from];
        const struct tsi_input *input = &op->inputs[at];
        walk->op = input->op;
        if (job->ops[walk->op].count == 0) {
            continue;
        }
        if (job->identity_inputs[job->ops[walk->from].input_first + at]) {
            *task = job->ops[walk->op].base + walk->chunk;
            return true;
        }
        walk->set = tsi_index_map_deps(&input->map, &op->loop, &job->program->ops[walk->op].array,
                                       walk->chunk);
        walk->in_set = true;
    }
}

static struct tsi_chunk_set
users_of(const struct tsi_sched_job *job, uint32_t op, uint32_t chunk,
         const struct tsi_sched_edge *edge)
{
    const struct tsi_chunk_op *user = &job->program->ops[edge->op];
    return tsi_index_map_users(&user->inputs[edge->input].map, &user->loop,
                               &job->program->ops[op].array, chunk);
}

bool
tsi_sched_walk_step_user(struct tsi_sched_walk *walk, uint32_t *task)
{
    const struct tsi_sched_job *job = walk->job;
    for (;;) {
        if (step_in_set(walk, task)) {
            return true;
        }
        if (walk->at == walk->end) {
            return false;
        }
        const struct tsi_sched_edge *edge = &job->edges[walk->at++];
        walk->op = edge->op;
        if (edge->is_identity) {
            *task = job->ops[walk->op].base + walk->chunk;
            return true;
        }
        walk->set = users_of(job, walk->from, walk->chunk, edge);
        walk->in_set = true;
    }
}

uint64_t
tsi_sched_walk_user_count(const struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_op *info = &job->ops[op];
    uint64_t count = 0;
    for (uint32_t i = 0; i < info->edge_count; i++) {
        const struct tsi_sched_edge *edge = &job->edges[info->edge_first + i];
        if (edge->is_identity) {
            count++;
        } else {
            const struct tsi_chunk_set set = users_of(job, op, task - info->base, edge);
            count += (uint64_t)tsi_chunk_set_count(&set);
        }
    }
    return count;
}
