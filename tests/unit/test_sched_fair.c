// SPDX-License-Identifier: Apache-2.0
//
// Jobs side by side: a short one that comes behind a long one is done after about twice its own
// work, and two long ones go on alike.

#include <criterion/criterion.h>

#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

struct race {
    const char *name;
    struct tsi_program *(*make)(int64_t n);
    int levels; // tasks that wait for each other
    int workers;
    int threads;
    uint32_t duration_us;
    bool same_client;
};

static struct tsi_program *
make_leaves(int64_t n)
{
    return sched_program_leaves(n, TSI_TARGET_RUN);
}

static struct tsi_program *
make_delivered(int64_t n)
{
    return sched_program_leaves(n, TSI_TARGET_DELIVER);
}

static struct tsi_program *
make_chains(int64_t n)
{
    return sched_program_chain(n, 3, TSI_TARGET_RUN);
}

static const struct race races[] = {
    {"leaves of one client", make_leaves, 1, 1, 2, 10000, true},
    {"leaves of two clients", make_leaves, 1, 2, 4, 10000, false},
    {"long leaves", make_leaves, 1, 3, 1, 2000000, true},
    {"short leaves", make_leaves, 1, 2, 1, 100, true},
    {"delivered", make_delivered, 1, 2, 2, 10000, true},
    {"chains", make_chains, 3, 2, 2, 10000, true},
    {"short chains of two clients", make_chains, 3, 2, 1, 100, false},
    {"a join", sched_program_join, 2, 2, 1, 10000, true},
    {"leaves with two users", sched_program_twice, 2, 2, 1, 10000, true},
};

static void
begin(struct sched_case *c, const struct race *race)
{
    sched_case_init(c, NULL);
    c->shallow = true;
    c->duration_us = race->duration_us;
    sched_case_client(c);
    for (int i = 0; i < race->workers; i++) {
        sched_case_worker(c, race->threads, 0);
    }
}

static void
work(struct sched_case *c, const struct race *race, uint64_t runs)
{
    while (c->run_count < runs) {
        cr_assert(sched_case_work(c, (size_t)race->threads, true), "%s: nothing goes on",
                  race->name);
    }
}

// What workers have and have not done. The crew works in the order of arrival, not of ranks, so at
// each level a new task waits for what was given out before.
static uint64_t
outstanding(const struct sched_case *c)
{
    uint64_t count = 0;
    for (int i = 0; i < c->worker_count; i++) {
        count += c->workers[i].tasks.count;
    }
    return count;
}

Test(sched_fair, a_short_job_does_not_wait_for_a_long_one)
{
    for (size_t i = 0; i < sizeof races / sizeof races[0]; i++) {
        const struct race *race = &races[i];
        struct sched_case c;
        begin(&c, race);
        const uint32_t other = race->same_client ? c.client : sched_case_client(&c);
        sched_case_submit(&c, c.client, race->make(5000));
        work(&c, race, 1000);
        struct tsi_program *program = race->make(20);
        const uint64_t own = program->task_count;
        const uint64_t levels = (uint64_t)race->levels;
        const uint64_t threads = (uint64_t)race->workers * (uint64_t)race->threads;
        const uint64_t most = 2 * own + levels * (outstanding(&c) + 2 * threads);
        const uint32_t job = sched_case_submit(&c, other, program);
        const uint64_t before = c.run_count;
        while (c.ended_job != job) {
            work(&c, race, c.run_count + 1);
        }
        cr_assert(c.run_count - before <= most, "%s: %lu tasks ran, expected at most %lu",
                  race->name, (unsigned long)(c.run_count - before), (unsigned long)most);
        sched_case_fini(&c, 2 - c.programs_dropped);
    }
}

static uint64_t
runs_of(const struct sched_case *c, uint32_t job)
{
    uint64_t runs = 0;
    for (uint32_t task = 0; task < c->programs[job]->task_count; task++) {
        runs += sched_case_runs(c, job, task);
    }
    return runs;
}

Test(sched_fair, long_jobs_go_on_alike)
{
    for (size_t i = 0; i < sizeof races / sizeof races[0]; i++) {
        const struct race *race = &races[i];
        struct sched_case c;
        begin(&c, race);
        const uint32_t other = race->same_client ? c.client : sched_case_client(&c);
        const uint32_t a = sched_case_submit(&c, c.client, race->make(4000));
        work(&c, race, 500);
        const uint64_t head_start = runs_of(&c, a) + outstanding(&c);
        const uint32_t b = sched_case_submit(&c, other, race->make(4000));
        work(&c, race, head_start + 2000);
        cr_assert(runs_of(&c, b) >= 700, "%s: %lu of 2000", race->name,
                  (unsigned long)runs_of(&c, b));
        cr_assert(runs_of(&c, a) >= 700, "%s: %lu of 2000", race->name,
                  (unsigned long)runs_of(&c, a));
        sched_case_fini(&c, 2 - c.programs_dropped);
    }
}
