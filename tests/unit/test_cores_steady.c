// SPDX-License-Identifier: Apache-2.0
//
// In their steady state the two cores, driven as the daemons drive them, take memory by what is
// open at once and not by how many tasks there are: a scheduler and two workers, that pass each
// other batches, fetch each other's chunks, send small ones along with completions, and drop the
// job.

#include <criterion/criterion.h>

#include "engine/base/limits.h"
#include "engine/plan/plan.h"
#include "scheduler/core/sched.h"
#include "tests/support/allocations.h"
#include "tests/support/graph.h"
#include "worker/core/worker.h"

#ifdef ALLOCATIONS_ARE_COUNTED

enum {
    CLIENT = 1,
    WORKER = 2, // the first of them
    WORKERS = 2,
    BATCH = 256,
    // As many runs as a worker may have at once, and ready targets that are told of at once.
    RUNS = TSI_RUNS_AHEAD + 1,
    READY_MAX = 65536,
};

// What a worker was told to execute and has not reported.
struct hand {
    struct tsi_worker *core;
    uint32_t runs[RUNS];
    uint32_t count;
};

static struct tsi_sched *sched;
static struct hand hands[WORKERS];
static uint64_t now_ns;
static uint32_t job;
static bool has_ended;
static bool is_dropped;
static uint64_t executed;
static uint64_t fetched;
static double number = 1; // every chunk, and what stands behind every handle

static void
tell_sched(struct tsi_sched_event event)
{
    event.now_ns = ++now_ns;
    tsi_sched_step(sched, &event);
}

static void
tell_worker(struct hand *hand, struct tsi_worker_event event)
{
    event.now_ns = ++now_ns;
    cr_assert(tsi_worker_step(hand->core, &event));
}

// What came with an assignment is there before it.
static void
bring(struct hand *hand, const struct tsi_location *locations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (locations[i].data != NULL) {
            struct tsi_worker_event event = {.kind = TSI_WORKER_FETCHED};
            event.fetched.key = locations[i].key;
            event.fetched.handle = &number;
            event.fetched.bytes = locations[i].bytes;
            tell_worker(hand, event);
        }
    }
}

static void
take_ready(const struct tsi_sched_action *action)
{
    static uint32_t tasks[READY_MAX];
    cr_assert_leq(action->ready.count, (size_t)READY_MAX);
    for (size_t i = 0; i < action->ready.count; i++) {
        tasks[i] = action->ready.items[i].task;
    }
    struct tsi_sched_event event = {.kind = TSI_SCHED_TARGETS_TAKEN, .peer = CLIENT};
    event.targets_taken.job = action->job;
    event.targets_taken.tasks = tasks;
    event.targets_taken.count = action->ready.count;
    tell_sched(event);
}

static void
take_worker_message(const struct tsi_sched_action *action)
{
    struct hand *hand = &hands[action->peer - WORKER];
    struct tsi_worker_event event = {0};
    if (action->kind == TSI_SCHED_SEND_PROGRAM) {
        event.kind = TSI_WORKER_PROGRAM;
        event.program.job = action->job;
        event.program.program = action->program.program;
    } else if (action->kind == TSI_SCHED_ASSIGN) {
        bring(hand, action->assign.locations, action->assign.location_count);
        event.kind = TSI_WORKER_ASSIGNED;
        event.assigned.items = action->assign.items;
        event.assigned.count = action->assign.count;
        event.assigned.locations = action->assign.locations;
        event.assigned.location_count = action->assign.location_count;
    } else if (action->kind == TSI_SCHED_RETRACT) {
        event.kind = TSI_WORKER_RETRACT;
        event.retract.sequences = action->retract.sequences;
        event.retract.count = action->retract.count;
    } else if (action->kind == TSI_SCHED_FREE) {
        event.kind = TSI_WORKER_FREE;
        event.free.keys = action->free.keys;
        event.free.count = action->free.count;
    } else {
        cr_assert_eq(action->kind, TSI_SCHED_DROP_JOB);
        event.kind = TSI_WORKER_DROP_JOB;
        event.drop_job.job = action->job;
    }
    tell_worker(hand, event);
}

static void
take_sched_action(const struct tsi_sched_action *action)
{
    switch (action->kind) {
    case TSI_SCHED_JOB_ACCEPTED:
        job = action->job;
        break;
    case TSI_SCHED_TARGETS_READY:
        take_ready(action);
        break;
    case TSI_SCHED_JOB_PROGRESS:
        break;
    case TSI_SCHED_JOB_ENDED:
        cr_assert_eq(action->ended.status, TESS_OK);
        has_ended = true;
        break;
    case TSI_SCHED_JOB_DROPPED:
        is_dropped = true;
        break;
    default:
        take_worker_message(action);
        break;
    }
}

static void
report_done(uint32_t peer, const struct tsi_worker_action *action)
{
    static struct tsi_completion batch[BATCH];
    cr_assert_leq(action->done.count, (size_t)BATCH);
    for (size_t i = 0; i < action->done.count; i++) {
        batch[i] = action->done.items[i].completion;
        batch[i].data = &number;
    }
    struct tsi_sched_event event = {.kind = TSI_SCHED_TASKS_DONE, .peer = peer};
    event.done.items = batch;
    event.done.count = action->done.count;
    tell_sched(event);
}

static void
take_worker_action(uint32_t peer, const struct tsi_worker_action *action)
{
    struct hand *hand = &hands[peer - WORKER];
    struct tsi_worker_event answer = {.kind = TSI_WORKER_FETCHED};
    struct tsi_sched_event report = {.peer = peer};
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        cr_assert(hand->count < RUNS);
        hand->runs[hand->count++] = action->execute.run;
        break;
    case TSI_WORKER_FETCH:
        fetched++;
        answer.fetched.key = action->fetch.key;
        answer.fetched.peer = action->fetch.peer;
        answer.fetched.handle = &number;
        answer.fetched.bytes = sizeof number;
        tell_worker(hand, answer);
        break;
    case TSI_WORKER_REPORT_DONE:
        report_done(peer, action);
        break;
    case TSI_WORKER_REPORT_ENDED:
        report.kind = TSI_SCHED_ATTEMPT_ENDED;
        report.attempt = action->ended;
        tell_sched(report);
        break;
    default: // Handles and programs are nobody's.
        break;
    }
}

// All that a worker was told to execute ends at once.
static void
execute_all(struct hand *hand)
{
    const uint32_t count = hand->count;
    hand->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
        event.executed.run = hand->runs[i];
        event.executed.handle = &number;
        event.executed.bytes = sizeof number;
        event.executed.duration_us = 1;
        tell_worker(hand, event);
    }
    executed += count;
}

// Carries everything until nobody has anything to say.
static void
play(void)
{
    bool moved = true;
    while (moved) {
        struct tsi_sched_action sched_action;
        struct tsi_worker_action worker_action;
        moved = false;
        while (tsi_sched_poll(sched, now_ns, &sched_action)) {
            take_sched_action(&sched_action);
            moved = true;
        }
        for (uint32_t i = 0; i < WORKERS; i++) {
            moved = moved || hands[i].count > 0;
            execute_all(&hands[i]);
            while (tsi_worker_poll(hands[i].core, now_ns, &worker_action)) {
                take_worker_action(WORKER + i, &worker_action);
                moved = true;
            }
        }
    }
}

static void
open_cores(void)
{
    const struct tsi_sched_config config = tsi_sched_config_default();
    const struct tsi_worker_config worker = {
        .threads = 1, .runs_ahead = TSI_RUNS_AHEAD, .memory_bytes = UINT64_C(1) << 33};
    sched = tsi_sched_new(&config);
    cr_assert(sched != NULL);
    tell_sched((struct tsi_sched_event){.kind = TSI_SCHED_CLIENT_JOINED, .peer = CLIENT});
    for (uint32_t i = 0; i < WORKERS; i++) {
        hands[i].core = tsi_worker_new(&worker);
        cr_assert(hands[i].core != NULL);
        struct tsi_sched_event event = {.kind = TSI_SCHED_WORKER_JOINED, .peer = WORKER + i};
        event.worker_joined.threads = worker.threads;
        event.worker_joined.memory_bytes = worker.memory_bytes;
        event.worker_joined.name = "worker";
        tell_sched(event);
    }
    play();
}

static void
close_cores(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        tsi_worker_free(hands[i].core, NULL, NULL, NULL);
    }
    tsi_sched_free(sched);
}

// Calls of the allocator from the submission of a job to the end of all that is left of it.
static long
count_calls(struct tess_session *session, int64_t tasks, enum tsi_target_mode mode)
{
    struct tsi_plan plan = {0};
    struct tsi_error error = {0};
    tess_array *x = tess_random_uniform(session, TESS_SHAPE(tasks), TESS_CHUNKS(1), 0.0, 1.0);
    tess_array *y = mode == TSI_TARGET_DELIVER ? tess_sum(x, TESS_AXES_ALL) : x;
    const struct tsi_plan_target target = {.array = y, .mode = mode};
    cr_assert_eq(tsi_plan_make(&target, 1, &plan, &error), TESS_OK, "%s", error.text);
    executed = 0;
    has_ended = false;
    is_dropped = false;
    const long before = atomic_load(&allocations);
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_SUBMITTED, .peer = CLIENT};
    event.job_submitted.token = 1;
    event.job_submitted.program = plan.program;
    tell_sched(event);
    play();
    cr_assert(has_ended);
    if (mode == TSI_TARGET_KEEP) {
        event = (struct tsi_sched_event){.kind = TSI_SCHED_JOB_RELEASED, .peer = CLIENT};
        event.job.job = job;
        tell_sched(event);
        play();
    }
    const long calls = atomic_load(&allocations) - before;
    cr_assert(is_dropped);
    cr_assert_geq(executed, (uint64_t)tasks);
    tsi_plan_fini(&plan);
    return calls;
}

static void
check_steady(enum tsi_target_mode mode, int64_t tasks_of_call)
{
    enum { FEW = 500000, MANY = 2 * FEW };
    struct tess_session session;
    cr_assert(tsi_session_init(&session, NULL));
    open_cores();
    (void)count_calls(&session, MANY, mode); // whatever grows has grown by then
    const long few = count_calls(&session, FEW, mode);
    const long many = count_calls(&session, MANY, mode);
    cr_expect_lt(many - few, (MANY - FEW) / tasks_of_call, "%ld allocations for %d, %ld for %d",
                 few, (int)FEW, many, (int)MANY);
    close_cores();
    tsi_session_fini(&session);
}

// The chunks of a sum go as it goes on.
Test(cores_steady, a_sum_allocates_nothing_for_its_tasks)
{
    fetched = 0;
    check_steady(TSI_TARGET_DELIVER, 10000);
    cr_expect(fetched > 0, "no worker fetched anything from the other");
}

// Chunks that are kept are open at once: each page of the table that finds them is for 256.
Test(cores_steady, kept_chunks_take_a_page_for_many)
{
    check_steady(TSI_TARGET_KEEP, 200);
}

#else

Test(cores_steady, is_not_counted_here)
{
    cr_skip_test("this C library, or a sanitizer, has an allocator that cannot be counted");
}

#endif
