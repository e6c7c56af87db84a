// SPDX-License-Identifier: Apache-2.0
//
// The core when memory is out: whichever allocation fails, at most the jobs fail, with TESS_ENOMEM,
// and the core goes on.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "scheduler/core/sched.h"
#include "tests/support/program_build.h"
#include "tests/support/sched_programs.h"

enum { WORKERS = 3, QUEUE = 4096 };

struct queue {
    struct tsi_assignment tasks[QUEUE];
    size_t count;
};

struct run {
    struct tsi_sched *sched;
    struct queue queues[WORKERS];
    uint32_t dropped[WORKERS]; // peers that were turned away
    tess_status status;
    bool ended;
    bool given_back;
    uint64_t now_ns;
};

static void
feed(struct run *run, struct tsi_sched_event event)
{
    event.now_ns = run->now_ns;
    tsi_sched_step(run->sched, &event);
    const char *broken = NULL;
    cr_assert(tsi_sched_verify(run->sched, false, &broken), "%s", broken);
}

// Does what the core says; returns the number of actions.
static size_t
obey(struct run *run)
{
    size_t count = 0;
    struct tsi_sched_action action;
    while (tsi_sched_poll(run->sched, run->now_ns, &action)) {
        count++;
        cr_assert(count < 100000, "it does not come to an end");
        if (action.kind == TSI_SCHED_ASSIGN) {
            struct queue *queue = &run->queues[action.peer - 10];
            for (size_t i = 0; i < action.assign.count; i++) {
                queue->tasks[queue->count++] = action.assign.items[i];
            }
        } else if (action.kind == TSI_SCHED_JOB_ENDED) {
            run->ended = true;
            run->status = action.ended.status;
        } else if (action.kind == TSI_SCHED_JOB_DROPPED) {
            cr_assert(!run->given_back);
            run->given_back = true;
        } else if (action.kind == TSI_SCHED_TARGETS_READY) {
            uint32_t tasks[256];
            const size_t ready = action.ready.count < 256 ? action.ready.count : 256;
            for (size_t i = 0; i < ready; i++) {
                tasks[i] = action.ready.items[i].task;
            }
            feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_TARGETS_TAKEN,
                                               .peer = 1,
                                               .targets_taken = {action.job, tasks, ready}});
        }
    }
    return count;
}

static size_t
finish_some(struct run *run, int worker)
{
    static const unsigned char data[TSI_INLINE_BYTES_MAX];
    struct queue *queue = &run->queues[worker];
    struct tsi_completion done[8];
    size_t count = queue->count < 8 ? queue->count : 8;
    for (size_t i = 0; i < count; i++) {
        const struct tsi_assignment *task = &queue->tasks[i];
        done[i] = (struct tsi_completion){task->job, task->task, task->sequence, 10, 8, 0, data};
    }
    memmove(queue->tasks, queue->tasks + count, (queue->count - count) * sizeof queue->tasks[0]);
    queue->count -= count;
    if (count > 0) {
        feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_TASKS_DONE,
                                           .peer = (uint32_t)worker + 10,
                                           .done = {done, count}});
    }
    return count;
}

static void
join(struct run *run)
{
    for (int i = 0; i < WORKERS; i++) {
        feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_JOINED,
                                           .peer = (uint32_t)i + 10,
                                           .worker_joined = {2, 0, "w", 0}});
    }
    feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_CLIENT_JOINED, .peer = 1});
}

// One job from its submission on, with a worker that is lost on the way.
static void
play(struct run *run, const struct tsi_program *program)
{
    feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_JOB_SUBMITTED,
                                       .peer = 1,
                                       .job_submitted = {5, program, false, 0}});
    bool lost = false;
    for (int quiet = 0, round = 0; quiet < 3 && !run->given_back; round++) {
        size_t moved = obey(run);
        for (int i = 0; i < WORKERS; i++) {
            moved += finish_some(run, i);
        }
        if (round == 3 && !lost) {
            lost = true;
            run->queues[1].count = 0;
            feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_LEFT, .peer = 11});
        }
        run->now_ns += 1000000;
        quiet = moved > 0 ? 0 : quiet + 1;
    }
}

static struct run *
start(void)
{
    struct run *run = tsi_calloc(1, sizeof *run);
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = 0;
    config.lost_ns = 0;
    run->sched = tsi_sched_new(&config);
    return run;
}

static void
check_program(struct tsi_program *program)
{
    bool succeeded = false;
    for (int64_t left = 0; left < 4000 && !succeeded; left++) {
        struct run *run = start();
        join(run);
        tsi_memory_fail_after(left);
        play(run, program);
        succeeded = run->status == TESS_OK && run->ended;
        cr_assert(run->ended || run->given_back, "after %ld: it neither ended nor failed",
                  (long)left);
        cr_assert(succeeded || run->status == TESS_ENOMEM || !run->ended, "after %ld: %d",
                  (long)left, (int)run->status);
        // With memory again, the next job runs.
        tsi_memory_fail_after(-1);
        obey(run);
        cr_assert(run->given_back);
        run->ended = false;
        run->given_back = false;
        for (int i = 0; i < WORKERS; i++) {
            run->queues[i].count = 0;
        }
        play(run, program);
        cr_assert(run->ended && run->status == TESS_OK, "after %ld: the next job: %d", (long)left,
                  (int)run->status);
        tsi_sched_free(run->sched);
        tsi_free(run);
    }
    cr_assert(succeeded, "it never had memory enough");
    tsi_program_free(program);
}

Test(sched_memory, a_reduction)
{
    check_program(test_program_reduction(2000, 10, 4));
}

Test(sched_memory, a_matmul)
{
    check_program(test_program_matmul(40, 10, 2));
}

Test(sched_memory, delivered_chunks)
{
    check_program(sched_program_chain(40, 3, TSI_TARGET_DELIVER));
}

Test(sched_memory, no_core_without_memory)
{
    const struct tsi_sched_config config = tsi_sched_config_default();
    for (int64_t left = 0; left < 2; left++) {
        tsi_memory_fail_after(left);
        cr_assert(tsi_sched_new(&config) == NULL);
    }
    tsi_memory_fail_after(-1);
    tsi_sched_free(NULL);
}

Test(sched_memory, a_worker_that_there_is_no_memory_for_is_sent_away)
{
    for (int64_t left = 0; left < 20; left++) {
        struct run *run = start();
        tsi_memory_fail_after(left);
        feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_JOINED,
                                           .peer = 10,
                                           .worker_joined = {2, 0, "w", 0}});
        tsi_memory_fail_after(-1);
        struct tsi_sched_action action;
        if (tsi_sched_stats(run->sched).workers == 0) {
            cr_assert(tsi_sched_poll(run->sched, 0, &action));
            cr_assert(action.kind == TSI_SCHED_DROP_WORKER && action.peer == 10);
        }
        // Another one finds its place.
        feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_JOINED,
                                           .peer = 11,
                                           .worker_joined = {2, 0, "w", 0}});
        feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_LEFT, .peer = 11});
        feed(run, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_LEFT, .peer = 10});
        tsi_sched_free(run->sched);
        tsi_free(run);
    }
}
