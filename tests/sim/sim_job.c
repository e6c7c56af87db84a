// SPDX-License-Identifier: Apache-2.0
//
// Jobs as the world knows them, and the oracle: the value of every task, by going through the
// program once from front to back.

#include "engine/base/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_world.h"

enum { INPUTS_MAX = 1 << 16 };

static tsi_key
key_of(const struct sim_job *job, const struct tsi_chunk_op *source, int64_t chunk)
{
    if (source->work == TSI_WORK_KEPT) {
        return tsi_key_of((uint32_t)source->kept.job, source->kept.base + (uint32_t)chunk);
    }
    return tsi_key_of(job->number, source->task_base + (uint32_t)chunk);
}

tsi_key
sim_job_key(const struct sim_job *job, uint32_t task)
{
    const struct tsi_chunk_op *op = &job->program->ops[tsi_program_op_of(job->program, task)];
    return key_of(job, op, task - op->task_base);
}

size_t
sim_job_inputs(const struct sim_job *job, int op_index, int64_t chunk, tsi_key *keys, size_t room)
{
    const struct tsi_chunk_op *op = &job->program->ops[op_index];
    size_t count = 0;
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_chunk_op *source = &job->program->ops[op->inputs[i].op];
        if (source->work == TSI_WORK_FILE) {
            continue;
        }
        struct tsi_chunk_set set =
            tsi_index_map_deps(&op->inputs[i].map, &op->loop, &source->array, chunk);
        int64_t dep = 0;
        while (tsi_chunk_set_next(&set, &dep)) {
            TSI_CHECK(count < room);
            keys[count++] = key_of(job, source, dep);
        }
    }
    return count;
}

uint64_t
sim_job_compute(const struct sim_job *job, uint32_t task, const uint64_t *inputs, size_t count)
{
    uint64_t value = sim_hash(job->uid, task);
    for (size_t i = 0; i < count; i++) {
        value = sim_hash(value, inputs[i]);
    }
    return value;
}

struct sim_job *
sim_job_by_number(const struct sim_world *world, uint32_t number)
{
    for (size_t i = 0; i < world->jobs.count && number != TSI_JOB_NONE; i++) {
        if (world->jobs.items[i]->number == number) {
            return world->jobs.items[i];
        }
    }
    return NULL;
}

struct sim_job *
sim_job_by_program(struct sim_world *world, const struct tsi_program *program)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        if (world->jobs.items[i]->program == program) {
            return world->jobs.items[i];
        }
    }
    return NULL;
}

uint64_t
sim_job_value(struct sim_world *world, tsi_key key)
{
    const struct sim_job *job = sim_job_by_number(world, tsi_key_job(key));
    if (job == NULL || tsi_key_task(key) >= job->program->task_count) {
        sim_fail(world, "a chunk that is none: %u:%u", tsi_key_job(key), tsi_key_task(key));
    }
    return job->values[tsi_key_task(key)];
}

static void
evaluate(struct sim_world *world, struct sim_job *job)
{
    tsi_key *keys = sim_alloc(sizeof *keys * INPUTS_MAX);
    uint64_t *inputs = sim_alloc(sizeof *inputs * INPUTS_MAX);
    const struct tsi_program *program = job->program;
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        for (uint32_t c = 0; c < op->task_count; c++) {
            const uint32_t task = op->task_base + c;
            if (op->work == TSI_WORK_KEPT) {
                job->values[task] = sim_job_value(world, key_of(job, op, c));
                continue;
            }
            const size_t count = sim_job_inputs(job, i, c, keys, INPUTS_MAX);
            for (size_t k = 0; k < count; k++) {
                const bool is_own = tsi_key_job(keys[k]) == job->number;
                inputs[k] =
                    is_own ? job->values[tsi_key_task(keys[k])] : sim_job_value(world, keys[k]);
            }
            job->values[task] = sim_job_compute(job, task, inputs, count);
        }
    }
    free(keys);
    free(inputs);
}

static void
draw_failures(struct sim_world *world, struct sim_job *job)
{
    for (uint32_t i = 0; i < job->program->task_count; i++) {
        if (world->faults.kernel_io && sim_chance(&world->random, 100)) {
            const uint64_t most = (uint64_t)world->sched_config.retries_max;
            job->failures_left[i] = (uint8_t)(1 + sim_below(&world->random, most));
        }
    }
    if (world->faults.kernel_poison && sim_chance(&world->random, 300)) {
        job->is_poisoned = true;
        job->failures_left[sim_below(&world->random, job->program->task_count)] = SIM_FAILS;
    }
    if (world->faults.kernel_kill && sim_chance(&world->random, 100)) {
        job->failures_left[sim_below(&world->random, job->program->task_count)] = SIM_KILLS;
    }
}

struct sim_job *
sim_job_new(struct sim_world *world, struct sim_client *client, struct tsi_program *program)
{
    struct sim_job *job = sim_alloc(sizeof *job);
    job->program = program;
    job->uid = sim_next(&world->random);
    job->client = client;
    job->submitter = client;
    job->token = world->jobs.count + 1;
    job->values = sim_alloc(sizeof *job->values * program->task_count);
    job->failures_left = sim_alloc(program->task_count);
    job->executed = sim_alloc(sizeof *job->executed * program->task_count);
    job->assigned_to = sim_alloc(sizeof *job->assigned_to * program->task_count);
    job->paused_at = sim_alloc(sizeof *job->paused_at * program->task_count);
    job->comebacks = sim_alloc(sizeof *job->comebacks * program->task_count);
    job->taken = sim_alloc(program->task_count);
    job->adopted = sim_alloc(sizeof *job->adopted * program->task_count);
    for (int i = 0; i < program->target_count; i++) {
        job->keeps = job->keeps || program->targets[i].mode == TSI_TARGET_KEEP;
    }
    TSI_CHECK(tsi_vec_push(&world->jobs, job));
    evaluate(world, job);
    draw_failures(world, job);
    return job;
}

void
sim_job_free(struct sim_job *job)
{
    tsi_program_free(job->program);
    free(job->values);
    free(job->failures_left);
    free(job->executed);
    free(job->assigned_to);
    free(job->paused_at);
    free(job->comebacks);
    free(job->taken);
    free(job->adopted);
    free(job);
}

bool
sim_job_is_target(const struct sim_job *job, uint32_t task, enum tsi_target_mode mode)
{
    const int op = tsi_program_op_of(job->program, task);
    for (int i = 0; i < job->program->target_count; i++) {
        if (job->program->targets[i].op == op && job->program->targets[i].mode == mode) {
            return true;
        }
    }
    return false;
}

void
sim_job_unref(struct sim_world *world, struct sim_job *job)
{
    if (job == NULL || job->refs == 0) {
        sim_fail(world, "a program was given back that was not given");
    }
    job->refs--;
}

void
sim_value_write(uint64_t value, void *bytes, size_t count)
{
    unsigned char *out = bytes;
    for (size_t i = 0; i < count; i++) {
        out[i] = (unsigned char)(value >> i % 8 * 8);
    }
}

bool
sim_value_matches(uint64_t value, const void *bytes, size_t count)
{
    unsigned char expected[TSI_INLINE_BYTES_MAX];
    if (count > sizeof expected) {
        return false;
    }
    sim_value_write(value, expected, count);
    return memcmp(expected, bytes, count) == 0;
}
