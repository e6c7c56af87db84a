// SPDX-License-Identifier: Apache-2.0
//
// One simulation from its seed to its end: all jobs ended with the oracle's results or for a
// reason, all chunks and programs given back.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

// In virtual time, after the faults: far more than any run needs.
#define BOUND_NS (UINT64_C(600) * TSI_SECOND)

static void
draw_config(struct sim_world *world)
{
    struct sim_random *random = &world->random;
    const bool is_big = world->config.big_workers > 0;
    world->sched_config = tsi_sched_config_default();
    world->sched_config.seed = sim_next(random);
    world->sched_config.suspect_ns = 3 * TSI_SECOND;
    world->sched_config.lost_ns = (uint64_t)sim_between(random, 4, 10) * TSI_SECOND;
    if (!is_big) {
        world->sched_config.prefetch = (int)sim_between(random, 0, 8);
        world->sched_config.client_lease_ns = sim_below(random, 5 * TSI_SECOND);
    }
    static const uint64_t task_us[] = {50, 2000, 20000, 100000};
    static const uint64_t net_us[] = {5, 100, 1000, 5000};
    world->task_ns = task_us[is_big ? 1 : sim_below(random, 4)] * 1000;
    world->net_ns = net_us[is_big ? 1 : sim_below(random, 4)] * 1000;
    if (world->config.is_tiny) {
        world->sched_config.suspect_ns = 0;
        world->sched_config.lost_ns = 0;
        world->sched_config.prefetch = 0;
    }
    world->fault_end = is_big ? 0 : sim_below(random, 2 * TSI_SECOND) + TSI_SECOND / 10;
}

static void
populate_tiny(struct sim_world *world)
{
    for (int i = 0; i < 2; i++) {
        sim_at(world, 0, SIM_JOIN)->worker = sim_worker_new(world);
    }
    sim_client_new(world, 1);
}

static void
populate(struct sim_world *world)
{
    struct sim_random *random = &world->random;
    if (world->config.is_tiny) {
        populate_tiny(world);
        return;
    }
    const bool is_big = world->config.big_workers > 0;
    int workers = (int)sim_between(random, 1, sim_chance(random, 150) ? 40 : 6);
    workers = is_big ? world->config.big_workers : workers;
    for (int i = 0; i < workers; i++) {
        struct sim_worker *worker = sim_worker_new(world);
        const uint64_t time = is_big ? 0 : sim_delay(world, 20 * TSI_MILLISECOND);
        sim_at(world, time, SIM_JOIN)->worker = worker;
    }
    sim_at(world, world->fault_end, SIM_HEAL);
    const int clients = is_big ? 1 : (int)sim_between(random, 1, 3);
    for (int i = 0; i < clients; i++) {
        sim_client_new(world, is_big ? 1 : (int)sim_between(random, 1, 8));
    }
    sim_detached_populate(world);
}

static void
join(const struct sim_event *event)
{
    struct sim_worker *worker = event->worker;
    if (worker->peer == TSI_PEER_NONE && worker->epoch == event->epoch) {
        sim_worker_join(worker);
    }
}

static void
beat(const struct sim_event *event)
{
    struct sim_worker *worker = event->worker;
    if (worker->alive && worker->peer != TSI_PEER_NONE && worker->epoch == event->epoch) {
        sim_worker_heartbeat(worker);
    }
}

// Whether the event is of a worker that does not move now; it is put off then.
static bool
is_frozen(struct sim_world *world, struct sim_event *event)
{
    const struct sim_worker *worker = event->worker;
    if (worker == NULL || !worker->alive || worker->frozen_until <= world->now) {
        return false;
    }
    sim_postpone(world, event, worker->frozen_until);
    return true;
}

// Whether the event is for the scheduler while it stands still; it is put off then.
static bool
is_stalled(struct sim_world *world, struct sim_event *event)
{
    const bool is_for_sched = event->kind == SIM_TICK || event->kind == SIM_SCHED_RESTORED ||
                              (event->kind == SIM_MAIL && event->mail->kind == SIM_MAIL_TO_SCHED);
    if (!is_for_sched || world->stalled_until <= world->now) {
        return false;
    }
    sim_postpone(world, event, world->stalled_until);
    return true;
}

bool
sim_handle(struct sim_world *world, struct sim_event *event)
{
    if (is_frozen(world, event) || is_stalled(world, event)) {
        return false;
    }
    const uint64_t time = event->time;
    switch (event->kind) {
    case SIM_MAIL:
        sim_mail_arrive(world, event);
        break;
    case SIM_RUN_END:
        sim_worker_run_end(event->worker, event);
        break;
    case SIM_FETCH_SERVE:
        sim_fetch_serve(world, event);
        break;
    case SIM_FETCH_ANSWER:
        sim_fetch_answer(world, event);
        break;
    case SIM_HEARTBEAT:
        beat(event);
        break;
    case SIM_TICK:
        sim_sched_tick(world);
        break;
    case SIM_FAULT:
        sim_fault_happen(world);
        break;
    case SIM_HEAL:
        sim_fault_heal(world);
        break;
    case SIM_JOIN:
        join(event);
        break;
    case SIM_CLIENT_ACT:
        sim_client_act(event->client);
        break;
    case SIM_DISK_END:
        sim_disk_end(event);
        break;
    case SIM_SQUEEZE_END:
        sim_fault_relax(event);
        break;
    case SIM_CLIENT_FETCHED:
        sim_client_fetched(world, event);
        break;
    case SIM_SCHED_CRASH:
        sim_restart_crash(world);
        break;
    case SIM_SCHED_RESTORED:
        sim_restart_restored(world, event);
        break;
    case SIM_PARTED:
        sim_restart_parted(event);
        break;
    }
    return event->time == time;
}

static bool
are_clients_gone(const struct sim_world *world)
{
    for (size_t i = 0; i < world->clients.count; i++) {
        if (!world->clients.items[i]->left && !world->clients.items[i]->vanished) {
            return false;
        }
    }
    return true;
}

static bool
are_jobs_gone(const struct sim_world *world)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        // What a client sent before it vanished may never have come.
        const bool never_came = job->submitter->vanished && job->number == TSI_JOB_NONE;
        if (!job->dropped && !never_came) {
            return false;
        }
    }
    return true;
}

static bool
are_workers_empty(const struct sim_world *world)
{
    for (size_t i = 0; i < world->workers.count; i++) {
        const struct sim_worker *worker = world->workers.items[i];
        if (worker->core == NULL) {
            continue;
        }
        const struct tsi_worker_stats stats = tsi_worker_stats(worker->core);
        if (stats.assignments + stats.chunks + stats.running + stats.fetches + stats.spills > 0 ||
            stats.bytes_spilled > 0) {
            return false;
        }
    }
    return true;
}

bool
sim_is_finished(const struct sim_world *world)
{
    if (!world->quiet || !are_clients_gone(world) || !are_jobs_gone(world) ||
        !are_workers_empty(world)) {
        return false;
    }
    const struct tsi_sched_stats stats = tsi_sched_stats(world->sched);
    return stats.jobs == 0 && stats.clients == 0 && stats.tasks_assigned == 0 &&
           stats.bytes_held == 0;
}

static void
report_chunks(const struct sim_world *world, const struct sim_worker *worker)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        for (uint32_t task = 0; task < job->program->task_count; task++) {
            uint64_t bytes = UINT64_MAX;
            tsi_worker_chunk(worker->core, tsi_key_of(job->number, task), &bytes);
            if (bytes != UINT64_MAX) {
                printf("  holds %u:%u\n", job->number, task);
            }
        }
    }
}

static void
report_stuck(struct sim_world *world)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        printf("job %u of client %d: ended %d, dropped %d, released %d, cancelled %d\n",
               job->number, job->client != NULL ? job->client->id : -1, job->ended, job->dropped,
               job->released, job->cancelled);
    }
    for (size_t i = 0; i < world->workers.count; i++) {
        const struct sim_worker *worker = world->workers.items[i];
        if (worker->core != NULL) {
            const struct tsi_worker_stats stats = tsi_worker_stats(worker->core);
            printf("worker %d, peer %u: %zu tasks, %zu running, %zu chunks, %zu fetches\n",
                   worker->id, worker->peer, stats.assignments, stats.running, stats.chunks,
                   stats.fetches);
            printf("  memory: %" PRIu64 " held, %" PRIu64 " on their way, %" PRIu64
                   " reserved of %" PRIu64 "; disk: %" PRIu64 " of %" PRIu64 ", %zu at it, %" PRIu64
                   " read\n",
                   stats.bytes_held, stats.bytes_fetching, stats.bytes_reserved,
                   worker->memory_bytes, stats.bytes_spilled, worker->spill_bytes, stats.spills,
                   stats.loads_done);
            report_chunks(world, worker);
        }
    }
    const struct tsi_sched_stats stats = tsi_sched_stats(world->sched);
    printf("scheduler: %d workers, %d clients, %d jobs, %" PRIu64 " assigned, %" PRIu64 " bytes\n",
           stats.workers, stats.clients, stats.jobs, stats.tasks_assigned, stats.bytes_held);
}

static void
loop(struct sim_world *world)
{
    while (!sim_is_finished(world)) {
        struct sim_event *event = sim_pop(world);
        if (event == NULL || event->time > world->fault_end + BOUND_NS) {
            report_stuck(world);
            sim_fail(world, "I8: not finished in time");
        }
        world->now = event->time;
        world->step++;
        if (sim_handle(world, event)) {
            free(event);
        }
    }
}

void
sim_close(struct sim_world *world, bool is_over)
{
    for (struct sim_event *event = sim_pop(world); event != NULL; event = sim_pop(world)) {
        if (event->mail != NULL) {
            if (event->mail->kind == SIM_MAIL_TO_WORKER) {
                sim_worker_drop_mail(world, event->mail);
            }
            sim_mail_free(world, event->mail);
        }
        if (event->kind == SIM_DISK_END && event->is_write) {
            sim_disk_release(world, (void *)(uintptr_t)event->extent);
        }
        free(event);
    }
    tsi_sched_free(world->sched);
    for (size_t i = 0; i < world->links.count; i++) {
        sim_book_closed(&world->links.items[i]);
    }
    for (size_t i = 0; i < world->workers.count; i++) {
        sim_worker_free(world->workers.items[i]);
    }
    if (is_over && world->extents > 0) {
        sim_fail(world, "%zu chunks are left on disk", world->extents);
    }
    if (is_over && world->handles > 0) {
        sim_fail(world, "%zu chunks were never given back", world->handles);
    }
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        const bool never_came = job->submitter->vanished && job->number == TSI_JOB_NONE;
        if (is_over && job->refs > 0 && !never_came) {
            sim_fail(world, "the program of job %u was never given back", job->number);
        }
        sim_job_free(job);
    }
    for (size_t i = 0; i < world->clients.count; i++) {
        free(world->clients.items[i]);
    }
    tsi_vec_fini(&world->heap);
    tsi_vec_fini(&world->links);
    tsi_vec_fini(&world->workers);
    tsi_vec_fini(&world->clients);
    tsi_vec_fini(&world->jobs);
    tsi_vec_fini(&world->gone);
    tsi_free(world->journal.bytes);
    free(world);
}

struct sim_world *
sim_open(const struct sim_config *config)
{
    struct sim_world *world = sim_alloc(sizeof *world);
    world->config = *config;
    world->random.state = config->seed;
    world->tick_time = UINT64_MAX;
    TSI_CHECK(tsi_vec_push(&world->links, (struct sim_link){0})); // no peer has the number 0
    sim_watch(world);
    draw_config(world);
    sim_detached_draw(world);
    world->sched = tsi_sched_new(&world->sched_config);
    TSI_CHECK(world->sched != NULL);
    sim_fault_draw(world);
    sim_restart_draw(world);
    populate(world);
    return world;
}

uint64_t
sim_run(const struct sim_config *config)
{
    struct sim_world *world = sim_open(config);
    loop(world);
    uint64_t digest = sim_hash(world->digest, world->step);
    digest = sim_hash(digest, world->now);
    digest = sim_hash(digest, world->executions);
    sim_close(world, true);
    return digest;
}
