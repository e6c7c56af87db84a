// SPDX-License-Identifier: Apache-2.0
//
// The crew: models of workers that never fail. They hold what they made, what they fetched for
// tasks that they finished, and copies, until they are told to free it; and they stop the test when
// they are told something that a real worker could not do.

#include "tests/support/sched_crew.h"

#include <string.h>

struct sched_case_worker *
sched_case_crew(struct sched_case *c, uint32_t peer)
{
    for (int i = 0; i < c->worker_count; i++) {
        if (c->workers[i].peer == peer) {
            return &c->workers[i];
        }
    }
    sched_case_stop("no such worker");
}

bool
sched_case_holds(struct sched_case *c, uint32_t peer, tsi_key key)
{
    return tsi_map_get(&sched_case_crew(c, peer)->store, key) != NULL;
}

uint64_t
sched_case_runs(const struct sched_case *c, uint32_t job, uint32_t task)
{
    const uint64_t *runs = tsi_map_get(&c->runs, tsi_key_of(job, task));
    return runs == NULL ? 0 : *runs;
}

static uint64_t
count_up(struct tsi_map *map, tsi_key key)
{
    const uint64_t *before = tsi_map_get(map, key);
    const uint64_t count = (before == NULL ? 0 : *before) + 1;
    if (!tsi_map_put(map, key, count)) {
        sched_case_stop("no memory");
    }
    return count;
}

static void
put(struct tsi_map *map, tsi_key key)
{
    if (!tsi_map_put(map, key, 1)) {
        sched_case_stop("no memory");
    }
}

// Whether a location gives what it says.
static void
check_location(struct sched_case *c, const struct tsi_location *location)
{
    if (location->data != NULL) {
        return;
    }
    for (int i = 0; i < c->worker_count; i++) {
        if (c->workers[i].peer == location->peer) {
            if (c->workers[i].gone) {
                sched_case_stop("a location on a worker that is gone");
            }
            if (tsi_map_get(&c->workers[i].store, location->key) == NULL) {
                sched_case_stop("a location where the chunk is not");
            }
            return;
        }
    }
    const struct tsi_program *program = c->programs[tsi_key_job(location->key)];
    const int op = tsi_program_op_of(program, tsi_key_task(location->key));
    if (program->ops[op].work != TSI_WORK_HELD) {
        sched_case_stop("a location on a peer that is no worker");
    }
}

// The key of an input: for a kept chunk that of the job that made it.
static tsi_key
input_key(const struct tsi_program *program, uint32_t job, int op, int64_t chunk)
{
    const struct tsi_chunk_op *source = &program->ops[op];
    if (source->work == TSI_WORK_KEPT) {
        return tsi_key_of((uint32_t)source->kept.job, source->kept.base + (uint32_t)chunk);
    }
    return tsi_key_of(job, source->task_base + (uint32_t)chunk);
}

// Calls `visit` with the key of each input of a task.
static void
each_input(struct sched_case *c, const struct tsi_assignment *task,
           void (*visit)(void *context, tsi_key key), void *context)
{
    const struct tsi_program *program = c->programs[task->job];
    const int op = tsi_program_op_of(program, task->task);
    const struct tsi_chunk_op *reader = &program->ops[op];
    for (int i = 0; i < reader->input_count; i++) {
        const int from = reader->inputs[i].op;
        if (program->ops[from].task_count == 0) {
            continue;
        }
        struct tsi_chunk_set set =
            tsi_index_map_deps(&reader->inputs[i].map, &reader->loop, &program->ops[from].array,
                               (int64_t)(task->task - reader->task_base));
        int64_t chunk = 0;
        while (tsi_chunk_set_next(&set, &chunk)) {
            visit(context, input_key(program, task->job, from, chunk));
        }
    }
}

struct having {
    const struct sched_case_worker *worker;
    const struct tsi_location *locations;
    uint32_t count;
};

static void
check_input(void *context, tsi_key key)
{
    const struct having *having = context;
    if (tsi_map_get(&having->worker->store, key) != NULL) {
        return;
    }
    for (uint32_t i = 0; i < having->count; i++) {
        if (having->locations[i].key == key) {
            return;
        }
    }
    sched_case_stop("an input is neither held nor has it a location");
}

static void
hear_assign(struct sched_case *c, struct sched_case_worker *worker,
            const struct tsi_sched_action *action)
{
    const struct tsi_location *locations = action->assign.locations;
    for (size_t i = 0; i < action->assign.count; i++) {
        const struct tsi_assignment *task = &action->assign.items[i];
        if (tsi_map_get(&worker->programs, task->job) == NULL) {
            sched_case_stop("an assignment before its program");
        }
        if (!c->dropped[task->job]) {
            struct having having = {worker, locations, task->location_count};
            for (uint32_t k = 0; k < task->location_count; k++) {
                check_location(c, &locations[k]);
                if (tsi_map_get(&worker->store, locations[k].key) != NULL) {
                    sched_case_stop("a location of a chunk that is held");
                }
            }
            each_input(c, task, check_input, &having);
        }
        locations += task->location_count;
        if (!tsi_vec_push(&worker->tasks, *task)) {
            sched_case_stop("no memory");
        }
    }
}

static void
hear_drop(struct sched_case_worker *worker, uint32_t job)
{
    size_t kept = 0;
    for (size_t i = 0; i < worker->tasks.count; i++) {
        if (worker->tasks.items[i].job != job) {
            worker->tasks.items[kept++] = worker->tasks.items[i];
        }
    }
    worker->tasks.count = kept;
    tsi_map_remove(&worker->programs, job);
    bool again = true;
    while (again) {
        size_t cursor = 0;
        uint64_t key = 0;
        uint64_t value = 0;
        again = false;
        while (!again && tsi_map_next(&worker->store, &cursor, &key, &value)) {
            again = tsi_key_job(key) == job;
        }
        if (again) {
            tsi_map_remove(&worker->store, key);
        }
    }
}

static void
hear_retract(struct sched_case *c, struct sched_case_worker *worker,
             const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < action->retract.count; i++) {
        for (size_t k = 1; k < worker->tasks.count; k++) { // the first one runs
            if (worker->tasks.items[k].sequence == action->retract.sequences[i]) {
                const struct tsi_assignment task = worker->tasks.items[k];
                memmove(&worker->tasks.items[k], &worker->tasks.items[k + 1],
                        (worker->tasks.count - k - 1) * sizeof task);
                worker->tasks.count--;
                sched_case_end(c, worker->peer, &task, TSI_ATTEMPT_RETRACTED, TESS_OK, NULL);
                break;
            }
        }
    }
}

static void
hear_free(struct sched_case *c, struct sched_case_worker *worker,
          const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < action->free.count; i++) {
        // After a loss, two tasks that fetched what is lost may both lead to a word about it.
        if (!tsi_map_remove(&worker->store, action->free.keys[i]) && !c->had_losses) {
            sched_case_stop("a free of a chunk that is not held");
        }
        c->frees++;
    }
}

// A worker hears an action.
static void
hear(struct sched_case *c, const struct tsi_sched_action *action)
{
    struct sched_case_worker *worker = sched_case_crew(c, action->peer);
    if (worker->gone) {
        sched_case_stop("an action for a worker that is gone");
    }
    switch (action->kind) {
    case TSI_SCHED_SEND_PROGRAM:
        if (tsi_map_get(&worker->programs, action->job) != NULL) {
            sched_case_stop("a program twice");
        }
        put(&worker->programs, action->job);
        break;
    case TSI_SCHED_ASSIGN:
        hear_assign(c, worker, action);
        break;
    case TSI_SCHED_RETRACT:
        hear_retract(c, worker, action);
        break;
    case TSI_SCHED_FREE:
        hear_free(c, worker, action);
        break;
    case TSI_SCHED_COPY:
        for (size_t i = 0; i < action->copy.count; i++) {
            check_location(c, &action->copy.locations[i]);
            if (!tsi_vec_push(&worker->copies, action->copy.locations[i].key)) {
                sched_case_stop("no memory");
            }
        }
        break;
    default:
        hear_drop(worker, action->job);
        break;
    }
}

void
sched_case_hear(struct sched_case *c)
{
    sched_case_poll(c);
    for (size_t i = 0; i < c->actions.count; i++) {
        const struct tsi_sched_action *action = &c->actions.items[i];
        if (action->kind <= TSI_SCHED_DROP_JOB) {
            hear(c, action);
        }
        for (size_t k = 0; action->kind == TSI_SCHED_TARGETS_READY && k < action->ready.count;
             k++) {
            count_up(&c->delivered, tsi_key_of(action->job, action->ready.items[k].task));
        }
    }
}

static void
store_input(void *context, tsi_key key)
{
    put(&((struct sched_case_worker *)context)->store, key);
}

// Finishes the task of the lowest rank.
static void
finish_one(struct sched_case *c, struct sched_case_worker *worker)
{
    size_t best = 0;
    for (size_t i = 1; i < worker->tasks.count; i++) {
        if (worker->tasks.items[i].rank < worker->tasks.items[best].rank) {
            best = i;
        }
    }
    const struct tsi_assignment task = worker->tasks.items[best];
    memmove(&worker->tasks.items[best], &worker->tasks.items[best + 1],
            (worker->tasks.count - best - 1) * sizeof task);
    worker->tasks.count--;
    each_input(c, &task, store_input, worker);
    put(&worker->store, tsi_key_of(task.job, task.task));
    count_up(&c->runs, tsi_key_of(task.job, task.task));
    c->run_count++;
    static const unsigned char data[TSI_INLINE_BYTES_MAX];
    const struct tsi_program *program = c->programs[task.job];
    const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task.task)];
    const size_t bytes = tsi_chunk_op_bytes(op, task.task - op->task_base);
    const bool is_inline = c->inline_data && bytes <= sizeof data;
    sched_case_done_with(c, worker->peer, &task, is_inline ? data : NULL, bytes);
}

static void
make_copies(struct sched_case *c, struct sched_case_worker *worker)
{
    for (size_t i = 0; i < worker->copies.count; i++) {
        put(&worker->store, worker->copies.items[i]);
    }
    sched_case_feed(
        c, (struct tsi_sched_event){.kind = TSI_SCHED_COPIED,
                                    .peer = worker->peer,
                                    .copied = {worker->copies.items, worker->copies.count}});
    tsi_vec_clear(&worker->copies);
}

// Takes all targets that the last poll said are ready.
static bool
take_ready(struct sched_case *c)
{
    bool any = false;
    for (size_t i = 0; i < c->actions.count; i++) {
        const struct tsi_sched_action *action = &c->actions.items[i];
        for (size_t k = 0; action->kind == TSI_SCHED_TARGETS_READY && k < action->ready.count;
             k++) {
            sched_case_take(c, action->peer, action->job, action->ready.items[k].task);
            any = true;
        }
    }
    return any;
}

bool
sched_case_work(struct sched_case *c, size_t tasks, bool take)
{
    sched_case_hear(c);
    bool any = take && take_ready(c);
    for (int i = 0; i < c->worker_count; i++) {
        struct sched_case_worker *worker = &c->workers[i];
        if (worker->gone) {
            continue;
        }
        if (worker->copies.count > 0) {
            make_copies(c, worker);
            any = true;
        }
        for (size_t k = 0; k < tasks && worker->tasks.count > 0; k++) {
            finish_one(c, worker);
            any = true;
        }
    }
    c->now_ns += (uint64_t)c->duration_us * 1000;
    return any;
}

void
sched_case_play(struct sched_case *c)
{
    for (int quiet = 0; quiet < 3;) {
        quiet = sched_case_work(c, 3, true) ? 0 : quiet + 1;
    }
}
