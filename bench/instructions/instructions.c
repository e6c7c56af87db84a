// SPDX-License-Identifier: Apache-2.0
//
// instructions CASE: work that is the same in every run, for scripts/instructions.sh to count the
// instructions of: the scheduler's core with workers that finish everything at once, the planner,
// and tasks run one after the other. No threads, no clock, no sockets.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/vec.h"
#include "engine/exec/exec.h"
#include "engine/plan/plan.h"
#include "scheduler/core/sched.h"
#include "tessera.h"

#define WORKERS 2
#define CLIENT 1
#define EXIT_USAGE 2

static _Noreturn void
stop(const char *why)
{
    fprintf(stderr, "instructions: %s\n", why);
    exit(EXIT_FAILURE);
}

// What the two workers were told to do and have not reported.
struct crew {
    struct tsi_sched *sched;
    uint64_t now_ns;
    uint64_t token;
    uint64_t done;
    bool ended;
    TSI_VEC(struct tsi_completion) work[WORKERS];
};

static void
step(struct crew *crew, struct tsi_sched_event event)
{
    event.now_ns = ++crew->now_ns;
    tsi_sched_step(crew->sched, &event);
}

static void
take_assignments(struct crew *crew, const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < action->assign.count; i++) {
        const struct tsi_assignment *task = &action->assign.items[i];
        const struct tsi_completion done = {
            .job = task->job,
            .task = task->task,
            .sequence = task->sequence,
            .duration_us = 1,
            .bytes = sizeof(double),
        };
        if (!tsi_vec_push(&crew->work[action->peer - CLIENT - 1], done)) {
            stop("out of memory");
        }
    }
}

// Takes all actions there are; chunks that are ready are taken at once.
static void
poll_all(struct crew *crew)
{
    struct tsi_sched_action action;
    while (tsi_sched_poll(crew->sched, crew->now_ns, &action)) {
        if (action.kind == TSI_SCHED_ASSIGN) {
            take_assignments(crew, &action);
        } else if (action.kind == TSI_SCHED_JOB_ENDED) {
            crew->ended = true;
            if (action.ended.status != TESS_OK) {
                stop(action.ended.text);
            }
        } else if (action.kind == TSI_SCHED_TARGETS_READY) {
            TSI_VEC(uint32_t) tasks = {0};
            for (size_t i = 0; i < action.ready.count; i++) {
                if (!tsi_vec_push(&tasks, action.ready.items[i].task)) {
                    stop("out of memory");
                }
            }
            step(crew,
                 (struct tsi_sched_event){.kind = TSI_SCHED_TARGETS_TAKEN,
                                          .peer = CLIENT,
                                          .targets_taken = {action.job, tasks.items, tasks.count}});
            tsi_vec_fini(&tasks);
        }
    }
}

// Reports all that each worker has in one batch, as workers do, until the job has ended.
static void
play(struct crew *crew)
{
    poll_all(crew);
    while (!crew->ended) {
        bool idle = true;
        for (uint32_t w = 0; w < WORKERS; w++) {
            if (crew->work[w].count == 0) {
                continue;
            }
            idle = false;
            step(crew,
                 (struct tsi_sched_event){.kind = TSI_SCHED_TASKS_DONE,
                                          .peer = CLIENT + 1 + w,
                                          .done = {crew->work[w].items, crew->work[w].count}});
            crew->done += crew->work[w].count;
            crew->work[w].count = 0;
            poll_all(crew);
        }
        if (idle) {
            stop("the job hangs");
        }
    }
}

static struct tsi_plan
make_plan(tess_array *x, enum tsi_target_mode mode)
{
    struct tsi_plan plan = {0};
    struct tsi_error error = {0};
    const struct tsi_plan_target target = {.array = x, .mode = mode};
    if (tsi_plan_make(&target, 1, &plan, &error) != TESS_OK) {
        stop(error.text);
    }
    return plan;
}

static void
schedule(tess_array *x, enum tsi_target_mode mode)
{
    struct tsi_plan plan = make_plan(x, mode);
    const struct tsi_sched_config config = tsi_sched_config_default();
    struct crew crew = {.sched = tsi_sched_new(&config)};
    if (crew.sched == NULL) {
        stop("out of memory");
    }
    for (uint32_t w = 0; w < WORKERS; w++) {
        step(&crew, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_JOINED,
                                             .peer = CLIENT + 1 + w,
                                             .worker_joined = {1, UINT64_C(1) << 33, "worker", 0}});
    }
    step(&crew, (struct tsi_sched_event){.kind = TSI_SCHED_CLIENT_JOINED, .peer = CLIENT});
    step(&crew, (struct tsi_sched_event){.kind = TSI_SCHED_JOB_SUBMITTED,
                                         .peer = CLIENT,
                                         .job_submitted = {1, plan.program, false, 0}});
    play(&crew);
    printf("%llu tasks\n", (unsigned long long)crew.done);
    tsi_sched_free(crew.sched);
    for (int w = 0; w < WORKERS; w++) {
        tsi_vec_fini(&crew.work[w]);
    }
    tsi_plan_fini(&plan);
}

// Runs the tasks of the first operation, which has no inputs.
static void
execute(tess_array *x)
{
    struct tsi_plan plan = make_plan(x, TSI_TARGET_DELIVER);
    const struct tsi_chunk_op *op = &plan.program->ops[0];
    void *out = aligned_alloc(64, (size_t)1 << 24);
    struct tsi_files *files = tsi_files_new(NULL, 0);
    if (out == NULL || files == NULL || op->input_count != 0) {
        stop("it cannot be run alone");
    }
    for (uint32_t task = 0; task < op->task_count; task++) {
        struct tsi_error error = {0};
        const struct tsi_exec_task run = {
            .program = plan.program, .op = 0, .chunk = task, .out = out, .files = files};
        if (tsi_exec_run(&run, &error) != TESS_OK) {
            stop(error.text);
        }
    }
    printf("%u tasks\n", op->task_count);
    tsi_files_free(files);
    free(out);
    tsi_plan_fini(&plan);
}

static tess_array *
chain(tess_session *session, int64_t count, int64_t chunk)
{
    tess_array *x = tess_arange(session, 0.0, (double)count, 1.0, TESS_CHUNKS(chunk), TESS_F64);
    tess_array *y = tess_add(tess_multiply(tess_scalar(session, 2.0), x), tess_sqrt(x));
    return tess_sum(y, TESS_AXES_ALL);
}

static tess_array *
uniform(tess_session *session, int64_t rows, int64_t columns, tess_chunks chunks)
{
    return tess_random_uniform(session, TESS_SHAPE(rows, columns), chunks, 0.0, 1.0);
}

static bool
run_case(tess_session *session, const char *name)
{
    if (strcmp(name, "sched-leaves") == 0) {
        schedule(uniform(session, 20000, 1, TESS_CHUNKS(1, 1)), TSI_TARGET_KEEP);
    } else if (strcmp(name, "sched-tree") == 0) {
        schedule(tess_mean(uniform(session, 200, 100, TESS_CHUNKS(1, 1)), TESS_AXES_ALL),
                 TSI_TARGET_DELIVER);
    } else if (strcmp(name, "sched-product") == 0) {
        tess_array *x = uniform(session, 160, 160, TESS_CHUNKS(10, 10));
        schedule(tess_rechunk(tess_matmul(x, x), TESS_CHUNKS(40, 40)), TSI_TARGET_DELIVER);
    } else if (strcmp(name, "plan") == 0) {
        tess_array *x = uniform(session, 10000, 10000, TESS_CHUNKS(1000, 1000));
        tess_array *y = tess_subtract(x, tess_mean(x, TESS_AXIS(0)));
        struct tsi_plan plan = make_plan(tess_std(y, TESS_AXIS(0), 0.0), TSI_TARGET_DELIVER);
        printf("%d operations\n", plan.program->op_count);
        tsi_plan_fini(&plan);
    } else if (strcmp(name, "tile-small") == 0) {
        execute(chain(session, 40000, 16));
    } else if (strcmp(name, "tile-large") == 0) {
        execute(chain(session, 1000000, 1000000));
    } else if (strcmp(name, "tile-normal") == 0) {
        execute(
            tess_mean(tess_random_normal(session, TESS_SHAPE(500, 500), TESS_CHUNKS_NONE, 0.0, 1.0),
                      TESS_AXIS(0)));
    } else {
        return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 1;
    tess_session *session = tess_session_open_with("embedded", &options);
    const bool known = argc == 2 && run_case(session, argv[1]);
    tess_session_close(session);
    if (!known) {
        fprintf(stderr,
                "instructions: it takes one of the cases in bench/instructions/baseline.txt\n");
    }
    return known ? EXIT_SUCCESS : EXIT_USAGE;
}
