// SPDX-License-Identifier: Apache-2.0
//
// Feeding the core and looking at what it says.

#include "tests/support/sched_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/support/sched_crew.h"

void
sched_case_stop(const char *what)
{
    fprintf(stderr, "sched_case: %s\n", what);
    abort();
}

static void
check(const struct sched_case *c)
{
    const char *broken = NULL;
    if (!tsi_sched_verify(c->sched, !c->shallow, &broken)) {
        sched_case_stop(broken);
    }
}

void
sched_case_init(struct sched_case *c, const struct tsi_sched_config *config)
{
    memset(c, 0, sizeof *c);
    struct tsi_sched_config plain = tsi_sched_config_default();
    plain.suspect_ns = 0;
    plain.lost_ns = 0;
    c->sched = tsi_sched_new(config == NULL ? &plain : config);
    if (c->sched == NULL) {
        sched_case_stop("no memory for the core");
    }
    c->now_ns = TSI_SECOND;
    c->next_peer = 1;
    c->duration_us = 10;
    c->ended = TESS_RUNNING;
    tsi_arena_init(&c->arena);
}

void
sched_case_fini(struct sched_case *c, int left)
{
    tsi_sched_free(c->sched);
    for (int i = 0; i < SCHED_CASE_PROGRAMS_MAX; i++) {
        left -= c->programs[i] != NULL && !c->dropped[i] ? 1 : 0;
        tsi_program_free(c->programs[i]);
    }
    if (left != 0) {
        sched_case_stop("a program did not come back");
    }
    for (int i = 0; i < c->worker_count; i++) {
        tsi_map_fini(&c->workers[i].store);
        tsi_map_fini(&c->workers[i].programs);
        tsi_vec_fini(&c->workers[i].tasks);
        tsi_vec_fini(&c->workers[i].copies);
    }
    tsi_map_fini(&c->runs);
    tsi_map_fini(&c->delivered);
    tsi_vec_fini(&c->actions);
    tsi_arena_fini(&c->arena);
}

void
sched_case_feed(struct sched_case *c, struct tsi_sched_event event)
{
    event.now_ns = c->now_ns;
    tsi_sched_step(c->sched, &event);
    check(c);
}

static void *
keep(struct sched_case *c, const void *source, size_t bytes)
{
    void *copy = tsi_arena_alloc(&c->arena, bytes > 0 ? bytes : 1);
    if (copy == NULL) {
        sched_case_stop("no memory");
    }
    if (bytes > 0) {
        memcpy(copy, source, bytes);
    }
    return copy;
}

static const struct tsi_location *
keep_locations(struct sched_case *c, const struct tsi_location *locations, size_t count)
{
    struct tsi_location *copy = keep(c, locations, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].data = copy[i].data == NULL ? NULL : keep(c, copy[i].data, copy[i].bytes);
    }
    return copy;
}

static const struct tsi_worker_peak *
keep_peaks(struct sched_case *c, const struct tsi_worker_peak *peaks, size_t count)
{
    struct tsi_worker_peak *copy = keep(c, peaks, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].name = keep(c, copy[i].name, strlen(copy[i].name) + 1);
    }
    return copy;
}

// Copies what an action points to.
static void
keep_action(struct sched_case *c, struct tsi_sched_action *action)
{
    switch (action->kind) {
    case TSI_SCHED_ASSIGN:
        action->assign.items =
            keep(c, action->assign.items, action->assign.count * sizeof *action->assign.items);
        action->assign.locations =
            keep_locations(c, action->assign.locations, action->assign.location_count);
        break;
    case TSI_SCHED_RETRACT:
        action->retract.sequences =
            keep(c, action->retract.sequences, action->retract.count * sizeof(uint32_t));
        break;
    case TSI_SCHED_FREE:
        action->free.keys = keep(c, action->free.keys, action->free.count * sizeof(tsi_key));
        break;
    case TSI_SCHED_COPY:
        action->copy.locations = keep_locations(c, action->copy.locations, action->copy.count);
        break;
    case TSI_SCHED_TARGETS_READY:
        action->ready.items =
            keep(c, action->ready.items, action->ready.count * sizeof *action->ready.items);
        action->ready.costs.workers =
            keep_peaks(c, action->ready.costs.workers, action->ready.costs.worker_count);
        break;
    case TSI_SCHED_JOB_ENDED:
        action->ended.text = keep(c, action->ended.text, strlen(action->ended.text) + 1);
        action->ended.costs.workers =
            keep_peaks(c, action->ended.costs.workers, action->ended.costs.worker_count);
        break;
    default:
        break;
    }
}

// What holds for the case whatever is tested.
static void
note_action(struct sched_case *c, const struct tsi_sched_action *action)
{
    if (action->kind == TSI_SCHED_JOB_ENDED) {
        c->ended = action->ended.status;
        c->ended_job = action->job;
        snprintf(c->ended_text, sizeof c->ended_text, "%s", action->ended.text);
    }
    if (action->kind == TSI_SCHED_JOB_DROPPED) {
        if (c->dropped[action->job] || c->programs[action->job] != action->program.program) {
            sched_case_stop("a program came back twice, or another one");
        }
        c->dropped[action->job] = true;
        c->programs_dropped++;
    }
}

void
sched_case_poll(struct sched_case *c)
{
    tsi_vec_clear(&c->actions);
    tsi_arena_fini(&c->arena);
    tsi_arena_init(&c->arena);
    struct tsi_sched_action action;
    while (tsi_sched_poll(c->sched, c->now_ns, &action)) {
        keep_action(c, &action);
        note_action(c, &action);
        if (!tsi_vec_push(&c->actions, action)) {
            sched_case_stop("no memory");
        }
        check(c);
    }
    check(c);
}

void
sched_case_wait(struct sched_case *c, uint64_t ns)
{
    const uint64_t end = c->now_ns + ns;
    while (c->now_ns < end) {
        const uint64_t due = tsi_sched_deadline(c->sched);
        const uint64_t next = due > c->now_ns ? due : c->now_ns + 1;
        c->now_ns = next < end ? next : end;
        sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_TICK});
    }
}

uint32_t
sched_case_worker(struct sched_case *c, int threads, uint64_t memory_bytes)
{
    if (c->worker_count == SCHED_CASE_WORKERS_MAX) {
        sched_case_stop("too many workers");
    }
    const uint32_t peer = c->next_peer++;
    char name[32];
    snprintf(name, sizeof name, "w%u", peer);
    c->workers[c->worker_count++] = (struct sched_case_worker){.peer = peer};
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_JOINED,
                                                .peer = peer,
                                                .worker_joined = {threads, memory_bytes, name, 0}});
    return peer;
}

uint32_t
sched_case_client(struct sched_case *c)
{
    const uint32_t peer = c->next_peer++;
    c->client = c->client == 0 ? peer : c->client;
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_CLIENT_JOINED, .peer = peer});
    return peer;
}

static uint32_t
submit(struct sched_case *c, uint32_t client, struct tsi_program *program, bool detached)
{
    const uint32_t job = ++c->jobs_seen;
    if (job == SCHED_CASE_PROGRAMS_MAX) {
        sched_case_stop("too many jobs");
    }
    c->programs[job] = program;
    sched_case_feed(
        c, (struct tsi_sched_event){
               .kind = TSI_SCHED_JOB_SUBMITTED,
               .peer = client,
               .job_submitted = {.token = 1000 + job, .program = program, .detached = detached}});
    return job;
}

uint32_t
sched_case_submit(struct sched_case *c, uint32_t client, struct tsi_program *program)
{
    return submit(c, client, program, false);
}

uint32_t
sched_case_submit_detached(struct sched_case *c, uint32_t client, struct tsi_program *program)
{
    return submit(c, client, program, true);
}

void
sched_case_cancel(struct sched_case *c, uint32_t client, uint32_t job)
{
    sched_case_feed(
        c, (struct tsi_sched_event){.kind = TSI_SCHED_JOB_CANCELLED, .peer = client, .job = {job}});
}

void
sched_case_release(struct sched_case *c, uint32_t client, uint32_t job)
{
    sched_case_feed(
        c, (struct tsi_sched_event){.kind = TSI_SCHED_JOB_RELEASED, .peer = client, .job = {job}});
}

void
sched_case_take(struct sched_case *c, uint32_t client, uint32_t job, uint32_t task)
{
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_TARGETS_TAKEN,
                                                .peer = client,
                                                .targets_taken = {job, &task, 1}});
}

void
sched_case_leave(struct sched_case *c, uint32_t worker, bool clean, const char *text)
{
    sched_case_crew(c, worker)->gone = true;
    c->had_losses = true;
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_LEFT,
                                                .peer = worker,
                                                .worker_left = {clean, text}});
}

void
sched_case_client_leave(struct sched_case *c, uint32_t client)
{
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_CLIENT_LEFT, .peer = client});
}

void
sched_case_drain(struct sched_case *c, uint32_t worker)
{
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_DRAINING, .peer = worker});
}

void
sched_case_done(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task)
{
    sched_case_done_with(c, worker, task, NULL, 0);
}

void
sched_case_done_with(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task,
                     const void *data, uint64_t bytes)
{
    const struct tsi_completion done = {
        .job = task->job,
        .task = task->task,
        .sequence = task->sequence,
        .duration_us = c->duration_us,
        .bytes = bytes,
        .data = data,
    };
    sched_case_feed(c, (struct tsi_sched_event){
                           .kind = TSI_SCHED_TASKS_DONE, .peer = worker, .done = {&done, 1}});
}

void
sched_case_end(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task,
               enum tsi_attempt_end end, tess_status status, const char *text)
{
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_ATTEMPT_ENDED,
                                                .peer = worker,
                                                .attempt = {.job = task->job,
                                                            .task = task->task,
                                                            .sequence = task->sequence,
                                                            .end = end,
                                                            .status = status,
                                                            .text = text}});
}

void
sched_case_fetch_failed(struct sched_case *c, uint32_t worker, const struct tsi_assignment *task,
                        tsi_key input, uint32_t from)
{
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_ATTEMPT_ENDED,
                                                .peer = worker,
                                                .attempt = {.job = task->job,
                                                            .task = task->task,
                                                            .sequence = task->sequence,
                                                            .end = TSI_ATTEMPT_FETCH_FAILED,
                                                            .status = TESS_EIO,
                                                            .input = input,
                                                            .peer = from}});
}

size_t
sched_case_count(const struct sched_case *c, enum tsi_sched_action_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < c->actions.count; i++) {
        count += c->actions.items[i].kind == kind ? 1 : 0;
    }
    return count;
}

const struct tsi_sched_action *
sched_case_action(const struct sched_case *c, enum tsi_sched_action_kind kind, size_t n)
{
    for (size_t i = 0; i < c->actions.count; i++) {
        if (c->actions.items[i].kind == kind && n-- == 0) {
            return &c->actions.items[i];
        }
    }
    sched_case_stop("an action is missing");
}

size_t
sched_case_assigned(const struct sched_case *c, uint32_t worker)
{
    size_t count = 0;
    for (size_t i = 0; i < c->actions.count; i++) {
        const struct tsi_sched_action *action = &c->actions.items[i];
        if (action->kind == TSI_SCHED_ASSIGN && action->peer == worker) {
            count += action->assign.count;
        }
    }
    return count;
}

// The assignment of a task, and where its locations start.
static const struct tsi_assignment *
find_assignment(const struct sched_case *c, uint32_t worker, uint32_t task,
                const struct tsi_location **locations)
{
    for (size_t i = 0; i < c->actions.count; i++) {
        const struct tsi_sched_action *action = &c->actions.items[i];
        if (action->kind != TSI_SCHED_ASSIGN || action->peer != worker) {
            continue;
        }
        *locations = action->assign.locations;
        for (size_t k = 0; k < action->assign.count; k++) {
            if (action->assign.items[k].task == task) {
                return &action->assign.items[k];
            }
            *locations += action->assign.items[k].location_count;
        }
    }
    return NULL;
}

const struct tsi_assignment *
sched_case_assignment(const struct sched_case *c, uint32_t worker, uint32_t task)
{
    const struct tsi_location *locations = NULL;
    return find_assignment(c, worker, task, &locations);
}

const struct tsi_location *
sched_case_location(const struct sched_case *c, uint32_t worker, uint32_t task, tsi_key key)
{
    const struct tsi_location *locations = NULL;
    const struct tsi_assignment *found = find_assignment(c, worker, task, &locations);
    for (uint32_t i = 0; found != NULL && i < found->location_count; i++) {
        if (locations[i].key == key) {
            return &locations[i];
        }
    }
    return NULL;
}

bool
sched_case_freed(const struct sched_case *c, uint32_t worker, tsi_key key)
{
    for (size_t i = 0; i < c->actions.count; i++) {
        const struct tsi_sched_action *action = &c->actions.items[i];
        for (size_t k = 0; action->kind == TSI_SCHED_FREE && k < action->free.count; k++) {
            if (action->peer == worker && action->free.keys[k] == key) {
                return true;
            }
        }
    }
    return false;
}

void
sched_case_about(struct sched_case *c, enum tsi_sched_event_kind kind, uint32_t client,
                 uint32_t job)
{
    struct tsi_sched_event event = {.kind = kind, .peer = client};
    event.job.job = job;
    sched_case_feed(c, event);
}

tess_status
sched_case_gone(const struct sched_case *c, uint32_t job)
{
    for (size_t i = 0; i < c->actions.count; i++) {
        const struct tsi_sched_action *action = &c->actions.items[i];
        if (action->kind == TSI_SCHED_JOB_DROPPED && action->job == job) {
            return action->program.status;
        }
    }
    return TESS_RUNNING;
}
