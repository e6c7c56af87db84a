// SPDX-License-Identifier: Apache-2.0
//
// Whole programs under the scheduler core with workers that never fail: every task is run once,
// every target delivered once, every chunk freed.

#include <criterion/criterion.h>

#include "tests/support/program_build.h"
#include "tests/support/sched_case.h"

// The target tasks and all that they need: what has to run.
static void
mark(const struct tsi_program *program, uint32_t task, unsigned char *needed)
{
    if (needed[task]) {
        return;
    }
    needed[task] = 1;
    const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task)];
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_chunk_op *source = &program->ops[op->inputs[i].op];
        if (source->task_count == 0) {
            continue;
        }
        struct tsi_chunk_set set = tsi_index_map_deps(&op->inputs[i].map, &op->loop, &source->array,
                                                      (int64_t)(task - op->task_base));
        int64_t chunk = 0;
        while (tsi_chunk_set_next(&set, &chunk)) {
            mark(program, source->task_base + (uint32_t)chunk, needed);
        }
    }
}

static unsigned char *
needed_tasks(const struct tsi_program *program)
{
    unsigned char *needed = tsi_calloc(program->task_count, 1);
    for (int i = 0; i < program->target_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[program->targets[i].op];
        for (uint32_t k = 0; k < op->task_count; k++) {
            mark(program, op->task_base + k, needed);
        }
    }
    return needed;
}

static void
check_runs(const struct sched_case *c, const struct tsi_program *program,
           const unsigned char *needed)
{
    for (uint32_t task = 0; task < program->task_count; task++) {
        const uint8_t work = program->ops[tsi_program_op_of(program, task)].work;
        const bool runs = work != TSI_WORK_HELD && work != TSI_WORK_KEPT;
        const uint64_t expected = needed[task] && runs ? 1 : 0;
        cr_assert(sched_case_runs(c, 1, task) == expected, "task %u ran %lu times, not %lu", task,
                  (unsigned long)sched_case_runs(c, 1, task), (unsigned long)expected);
    }
}

static void
check_delivered(const struct sched_case *c, const struct tsi_program *program)
{
    for (int i = 0; i < program->target_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[program->targets[i].op];
        const uint64_t expected = program->targets[i].mode == TSI_TARGET_DELIVER ? 1 : 0;
        for (uint32_t k = 0; k < op->task_count; k++) {
            const uint64_t *found = tsi_map_get(&c->delivered, tsi_key_of(1, op->task_base + k));
            const uint64_t count = found == NULL ? 0 : *found;
            cr_assert(count == expected, "target %u", op->task_base + k);
        }
    }
}

static bool
keeps(const struct tsi_program *program)
{
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].mode == TSI_TARGET_KEEP) {
            return true;
        }
    }
    return false;
}

// Plays one program from end to end. `memory_bytes` 0: no limit.
static void
play(struct tsi_program *program, int workers, int threads, uint64_t memory_bytes, bool inline_data)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.inline_data = inline_data;
    unsigned char *needed = needed_tasks(program);
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < workers; i++) {
        sched_case_worker(&c, threads, memory_bytes);
    }
    const uint32_t job = sched_case_submit(&c, client, program);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK, "ended with %d: %s", (int)c.ended, c.ended_text);
    check_runs(&c, program, needed);
    check_delivered(&c, program);
    if (keeps(program)) {
        cr_assert(!c.dropped[job]);
        sched_case_release(&c, client, job);
        sched_case_play(&c);
    }
    cr_assert(c.dropped[job]);
    for (int i = 0; i < c.worker_count; i++) {
        cr_assert(c.workers[i].store.count == 0, "worker %d still holds %zu chunks", i,
                  c.workers[i].store.count);
    }
    const struct tsi_sched_stats stats = tsi_sched_stats(c.sched);
    cr_assert(stats.bytes_held == 0 && stats.stale_reports == 0 && stats.jobs == 0);
    tsi_free(needed);
    sched_case_fini(&c, 0);
}

Test(sched_play, reduction)
{
    play(test_program_reduction(1000, 10, 4), 1, 1, 0, false);
    play(test_program_reduction(1000, 10, 16), 3, 2, 0, false);
    play(test_program_reduction(3000, 10, 16), 3, 2, 0, true);
    play(test_program_reduction(5, 10, 16), 3, 2, 0, true);
    play(test_program_reduction(0, 10, 16), 2, 2, 0, true);
}

Test(sched_play, matmul)
{
    play(test_program_matmul(60, 10, 4), 1, 1, 0, false);
    play(test_program_matmul(60, 10, 16), 4, 2, 0, false);
    play(test_program_matmul(35, 10, 2), 3, 1, 0, true);
}

Test(sched_play, rechunk)
{
    play(test_program_rechunk(70, 50, 10), 1, 1, 0, false);
    play(test_program_rechunk(70, 50, 3), 4, 2, 0, false);
}

Test(sched_play, tight_memory)
{
    play(test_program_matmul(60, 10, 4), 2, 2, 200000, false);
    play(test_program_rechunk(70, 50, 10), 3, 2, 100000, false);
}

Test(sched_play, random_programs)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        const struct test_program_options options = {.tasks_max = 60 + (uint32_t)seed,
                                                     .with_held = true};
        struct tsi_program *program = test_program_random(seed, &options);
        play(program, 1 + (int)(seed % 5), 1 + (int)(seed % 3), 0, seed % 2 == 0);
    }
}
