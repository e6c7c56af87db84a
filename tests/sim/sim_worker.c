// SPDX-License-Identifier: Apache-2.0
//
// The driver of one worker core: runs tasks by hashing, checks at each run that the inputs are the
// right chunks in the right order, and turns reports into messages.

#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

enum { INPUTS_MAX = 1 << 16 };

static struct sim_handle *
new_handle(struct sim_worker *worker, tsi_key key, uint64_t value, uint64_t bytes)
{
    struct sim_handle *handle = sim_alloc(sizeof *handle);
    *handle = (struct sim_handle){worker, key, value, bytes};
    worker->world->handles++;
    return handle;
}

static void
free_handle(void *context, void *handle)
{
    struct sim_world *world = context;
    if (handle != NULL) {
        free(handle);
        world->handles--;
    }
}

static void
free_program(void *context, const struct tsi_program *program)
{
    struct sim_world *world = context;
    sim_job_unref(world, sim_job_by_program(world, program));
}

struct sim_worker *
sim_worker_new(struct sim_world *world)
{
    struct sim_worker *worker = sim_alloc(sizeof *worker);
    const bool is_big = world->config.big_workers > 0;
    worker->world = world;
    worker->id = (int)world->workers.count;
    worker->threads = is_big ? 4 : (int)sim_between(&world->random, 1, 4);
    worker->threads = world->config.is_tiny ? 1 : worker->threads;
    worker->memory_bytes = UINT64_C(1) << 40;
    if (world->faults.tight) {
        worker->memory_bytes = (uint64_t)sim_between(&world->random, 32 << 10, 200 << 10);
    }
    worker->spill_bytes = UINT64_C(1) << 40;
    if (world->faults.tight || world->faults.squeeze) {
        worker->spills_max = (int)sim_between(&world->random, 0, 4);
        worker->spill_bytes = sim_chance(&world->random, 300) ? sim_below(&world->random, 300 << 10)
                                                              : UINT64_C(1) << 40;
    }
    worker->runs_ahead =
        is_big || world->config.is_tiny ? 0 : (int)sim_between(&world->random, 0, 3);
    worker->run_count = (uint32_t)(worker->threads + worker->runs_ahead);
    worker->runs = sim_alloc(sizeof *worker->runs * worker->run_count);
    TSI_CHECK(tsi_vec_push(&world->workers, worker));
    return worker;
}

static void
end_core(struct sim_worker *worker)
{
    if (worker->core != NULL) {
        tsi_worker_free_extents(worker->core, sim_disk_release, worker->world);
    }
    tsi_worker_free(worker->core, free_handle, free_program, worker->world);
    worker->core = NULL;
    worker->life++;
}

void
sim_worker_free(struct sim_worker *worker)
{
    end_core(worker);
    tsi_vec_fini(&worker->left);
    free(worker->runs);
    free(worker);
}

void
sim_worker_join(struct sim_worker *worker)
{
    struct sim_world *world = worker->world;
    if (worker->core == NULL) {
        const struct tsi_worker_config config = {
            .threads = worker->threads,
            .runs_ahead = worker->runs_ahead,
            .memory_bytes = worker->memory_bytes,
            .spills_max = worker->spills_max,
            .spill_bytes = worker->spill_bytes,
            .fetches_max = (int)sim_between(&world->random, 0, 4),
        };
        worker->core = tsi_worker_new(&config);
        TSI_CHECK(worker->core != NULL);
        worker->limit_bytes = worker->memory_bytes;
        worker->most_bytes = 0;
        memset(worker->runs, 0, sizeof *worker->runs * worker->run_count);
    }
    worker->alive = true;
    worker->draining = false;
    worker->epoch++;
    tsi_vec_clear(&worker->left);
    for (size_t i = 0; i < world->gone.count; i++) {
        TSI_CHECK(tsi_vec_push(&worker->left, world->gone.items[i]));
    }
    worker->peer = sim_link_open(world, worker, NULL);
    sim_trace(world, "worker %d joins as peer %u", worker->id, worker->peer);
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, worker->peer);
    mail->to_sched.kind = TSI_SCHED_WORKER_JOINED;
    mail->to_sched.worker_joined.threads = worker->threads;
    mail->to_sched.worker_joined.memory_bytes = worker->memory_bytes;
    mail->to_sched.worker_joined.spill_bytes = worker->spills_max > 0 ? worker->spill_bytes : 0;
    mail->to_sched.worker_joined.name = "worker";
    if (world->faults.rebirth) {
        sim_restart_offer(worker, mail);
    }
    sim_mail_send(world, mail);
    struct sim_event *beat = sim_at(world, world->now + TSI_SECOND, SIM_HEARTBEAT);
    beat->worker = worker;
    beat->epoch = worker->epoch;
}

void
sim_worker_crash(struct sim_worker *worker, bool seen)
{
    struct sim_world *world = worker->world;
    sim_trace(world, "worker %d dies%s", worker->id, seen ? "" : " unseen");
    world->losses++;
    worker->alive = false;
    worker->frozen_until = 0;
    worker->epoch++;
    end_core(worker);
    if (worker->peer != TSI_PEER_NONE) {
        sim_link_kill(world, worker->peer, seen, false);
    }
    worker->peer = TSI_PEER_NONE;
}

// The scheduler has closed the connection: the worker forgets all and comes back as another peer.
void
sim_worker_disconnected(struct sim_worker *worker)
{
    sim_trace(worker->world, "worker %d sees that its connection is closed", worker->id);
    worker->epoch++; // fetches are not answered any more
    const bool forgets =
        !worker->world->faults.rebirth || sim_chance(&worker->world->restart_random, 200);
    sim_worker_feed(
        worker, &(struct tsi_worker_event){.kind = forgets ? TSI_WORKER_RESET : TSI_WORKER_PARTED});
    worker->peer = TSI_PEER_NONE;
    struct sim_event *join = sim_at(worker->world, worker->world->now + TSI_SECOND / 10, SIM_JOIN);
    join->worker = worker;
    join->epoch = worker->epoch;
}

void
sim_worker_leave(struct sim_worker *worker)
{
    sim_trace(worker->world, "worker %d leaves", worker->id);
    worker->alive = false;
    worker->epoch++;
    end_core(worker);
    sim_link_kill(worker->world, worker->peer, true, true);
    worker->peer = TSI_PEER_NONE;
}

void
sim_worker_heartbeat(struct sim_worker *worker)
{
    struct sim_world *world = worker->world;
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, worker->peer);
    mail->to_sched.kind = TSI_SCHED_WORKER_HEARD;
    sim_mail_send(world, mail);
    struct sim_event *beat = sim_at(world, world->now + TSI_SECOND, SIM_HEARTBEAT);
    beat->worker = worker;
    beat->epoch = worker->epoch;
}

void
sim_worker_limit(struct sim_worker *worker, uint64_t memory_bytes)
{
    const struct tsi_worker_stats stats = tsi_worker_stats(worker->core);
    sim_trace(worker->world, "worker %d may take %llu bytes of memory", worker->id,
              (unsigned long long)memory_bytes);
    worker->limit_bytes = memory_bytes;
    worker->most_bytes = stats.bytes_held + stats.bytes_reserved + stats.bytes_fetching;
    struct tsi_worker_event event = {.kind = TSI_WORKER_LIMITED};
    event.limited.memory_bytes = memory_bytes;
    sim_worker_feed(worker, &event);
}

void
sim_worker_drop_mail(struct sim_world *world, struct sim_mail *mail)
{
    if (mail->to_worker.kind == TSI_WORKER_PROGRAM) {
        sim_job_unref(world, sim_job_by_program(world, mail->to_worker.program.program));
    }
}

// The value that a task makes of the inputs that it was given.
static uint64_t
run_inputs(struct sim_worker *worker, const struct sim_job *job,
           const struct tsi_worker_action *action)
{
    struct sim_world *world = worker->world;
    static tsi_key expected[INPUTS_MAX];
    static uint64_t values[INPUTS_MAX];
    const size_t count =
        sim_job_inputs(job, action->execute.op, action->execute.chunk, expected, INPUTS_MAX);
    if (count != action->execute.input_count) {
        sim_fail(world, "I11: task %u:%u has %zu inputs, was given %zu", action->execute.job,
                 action->execute.task, count, action->execute.input_count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct sim_handle *handle = action->execute.inputs[i];
        if (action->execute.input_keys[i] != expected[i] ||
            (handle != NULL && (handle->key != expected[i] || handle->owner != worker))) {
            sim_fail(world, "I11: input %zu of task %u:%u is another chunk", i, action->execute.job,
                     action->execute.task);
        }
        values[i] = handle != NULL ? handle->value : sim_job_value(world, expected[i]);
    }
    return sim_job_compute(job, action->execute.task, values, count);
}

static void
execute(struct sim_worker *worker, const struct tsi_worker_action *action)
{
    struct sim_world *world = worker->world;
    struct sim_job *job = sim_job_by_program(world, action->execute.program);
    const uint32_t index = action->execute.run;
    const uint32_t task = action->execute.task;
    if (job == NULL || index >= worker->run_count || worker->runs[index].busy) {
        sim_fail(world, "a run of no job, or a run that is not free");
    }
    // The client may not have heard the number yet.
    job->number = action->execute.job;
    struct sim_run *run = &worker->runs[index];
    *run = (struct sim_run){.busy = true, .job = job, .task = task};
    run->value = run_inputs(worker, job, action);
    run->bytes = action->execute.output_bytes;
    run->started = world->links.items[worker->peer].dead ? 0 : world->step;
    if (run->value != job->values[task]) {
        sim_fail(world, "I11: task %u:%u makes a wrong value", action->execute.job, task);
    }
    if (job->failures_left[task] > 0) {
        const bool is_poison = job->failures_left[task] >= SIM_KILLS;
        run->kills = job->failures_left[task] == SIM_KILLS;
        job->failures_left[task] = (uint8_t)(job->failures_left[task] - !is_poison);
        run->status = is_poison ? TESS_EFORMAT : TESS_EIO;
    }
    if (run->status == TESS_OK && world->faults.kernel_memory && sim_chance(&world->random, 20)) {
        run->status = TESS_ENOMEM;
    }
    world->executions++;
    sim_trace(world, "worker %d: run %u is task %u:%u", worker->id, index, action->execute.job,
              task);
    struct sim_event *end =
        sim_at(world, world->now + sim_delay(world, world->task_ns), SIM_RUN_END);
    end->worker = worker;
    end->run = index;
    run->number = end->number;
}

void
sim_worker_run_end(struct sim_worker *worker, const struct sim_event *event)
{
    struct sim_run *run = &worker->runs[event->run];
    if (worker->core == NULL || !run->busy || run->number != event->number) {
        return; // of an earlier life, or cancelled
    }
    if (run->kills && !run->cancelled) {
        run->job->is_hurt = true;
        sim_fault_kill(worker);
        return;
    }
    struct tsi_worker_event ended = {.kind = TSI_WORKER_EXECUTED};
    ended.executed.run = event->run;
    ended.executed.status = run->cancelled ? TESS_ECANCELLED : run->status;
    ended.executed.duration_us = 10;
    ended.executed.text = "as drawn";
    if (ended.executed.status == TESS_OK) {
        sim_book_executed(worker->world, run->job, run->task);
        sim_restart_executed(worker->world, run->job, run->task, run->started);
        ended.executed.bytes = run->bytes;
        if (run->bytes > 0 || sim_chance(&worker->world->random, 500)) {
            ended.executed.handle =
                new_handle(worker, tsi_key_of(run->job->number, run->task), run->value, run->bytes);
        }
    }
    run->job->is_hurt = run->job->is_hurt || ended.executed.status == TESS_EFORMAT;
    run->busy = false;
    sim_worker_feed(worker, &ended);
}

static void
cancel_run(struct sim_worker *worker, uint32_t index)
{
    struct sim_world *world = worker->world;
    struct sim_run *run = &worker->runs[index];
    if (!run->busy) {
        sim_fail(world, "run %u is cancelled and is not there", index);
    }
    run->cancelled = sim_chance(&world->random, 700);
    if (run->cancelled) {
        struct sim_event *end = sim_at(world, world->now + sim_delay(world, 1000), SIM_RUN_END);
        end->worker = worker;
        end->run = index;
        run->number = end->number;
    }
}

static void
report_done(struct sim_worker *worker, const struct tsi_worker_action *action)
{
    struct sim_world *world = worker->world;
    const size_t count = action->done.count;
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, worker->peer);
    struct tsi_completion *items = sim_mail_copy(mail, NULL, count * sizeof *items);
    unsigned char *data = sim_mail_copy(mail, NULL, count * TSI_INLINE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct tsi_worker_done *done = &action->done.items[i];
        const struct sim_handle *handle = done->handle;
        items[i] = done->completion;
        if (handle != NULL && handle->key != tsi_key_of(items[i].job, items[i].task)) {
            sim_fail(world, "a completion with another task's chunk");
        }
        if (items[i].bytes <= TSI_INLINE_BYTES_MAX && sim_chance(&world->random, 900)) {
            items[i].data = data;
            sim_value_write(handle != NULL ? handle->value : 0, data, items[i].bytes);
            data += items[i].bytes;
        }
    }
    mail->to_sched.kind = TSI_SCHED_TASKS_DONE;
    mail->to_sched.done.items = items;
    mail->to_sched.done.count = count;
    sim_mail_send(world, mail);
}

// Whether chunks may be gone where the scheduler thinks that they are.
static bool
may_fetches_fail(const struct sim_world *world)
{
    const struct sim_faults *faults = &world->faults;
    const bool may_workers_go = faults->crash || faults->silent || faults->partition ||
                                faults->freeze || faults->drain || faults->kernel_kill;
    const bool may_jobs_go =
        faults->kernel_poison || faults->kernel_memory || faults->cancel || faults->vanish;
    return may_workers_go || may_jobs_go || faults->fetch || faults->rebirth || faults->disk ||
           faults->squeeze || world->early;
}

static void
report(struct sim_worker *worker, const struct tsi_worker_action *action)
{
    struct sim_world *world = worker->world;
    if (worker->peer == TSI_PEER_NONE) {
        sim_fail(world, "a report of a worker that is not connected");
    }
    if (action->kind == TSI_WORKER_REPORT_DONE) {
        report_done(worker, action);
        return;
    }
    if (action->kind == TSI_WORKER_REPORT_HELD) {
        sim_restart_send_held(worker, action->held.holdings, action->held.ranges);
        return;
    }
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, worker->peer);
    if (action->kind == TSI_WORKER_REPORT_ENDED) {
        const struct tsi_attempt *ended = &action->ended;
        sim_trace(world, "worker %d: %u:%u, sequence %u, ended %d, input %u:%u from %u", worker->id,
                  ended->job, ended->task, ended->sequence, (int)ended->end,
                  tsi_key_job(ended->input), tsi_key_task(ended->input), ended->peer);
        if (ended->end == TSI_ATTEMPT_FETCH_FAILED && !may_fetches_fail(world)) {
            sim_fail(world, "a fetch failed for no reason");
        }
        mail->to_sched.kind = TSI_SCHED_ATTEMPT_ENDED;
        mail->to_sched.attempt = *ended;
        const char *text = ended->text != NULL ? ended->text : "";
        mail->to_sched.attempt.text = sim_mail_copy(mail, text, strlen(text) + 1);
    } else if (action->kind == TSI_WORKER_REPORT_DROPPED) {
        world->drops += action->dropped.count;
        mail->to_sched.kind = TSI_SCHED_DROPPED;
        mail->to_sched.dropped.count = action->dropped.count;
        mail->to_sched.dropped.keys =
            sim_mail_copy(mail, action->dropped.keys, action->dropped.count * sizeof(tsi_key));
    } else {
        mail->to_sched.kind = TSI_SCHED_COPIED;
        mail->to_sched.copied.count = action->copied.count;
        mail->to_sched.copied.keys =
            sim_mail_copy(mail, action->copied.keys, action->copied.count * sizeof(tsi_key));
    }
    sim_mail_send(world, mail);
}

static void
check(struct sim_worker *worker)
{
    struct sim_world *world = worker->world;
    const char *broken = NULL;
    if (world->config.big_workers > 0 || world->is_replay) {
        return;
    }
    if (!tsi_worker_verify(worker->core, &broken)) {
        sim_fail(world, "worker %d: the invariant is broken: %s", worker->id, broken);
    }
    world->digest = sim_hash(world->digest, tsi_worker_digest(worker->core));
}

static void
act(struct sim_worker *worker, const struct tsi_worker_action *action)
{
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        execute(worker, action);
        break;
    case TSI_WORKER_CANCEL_RUN:
        cancel_run(worker, action->cancel_run.run);
        break;
    case TSI_WORKER_FETCH:
        sim_fetch_start(worker, action->fetch.key, action->fetch.peer);
        break;
    case TSI_WORKER_RELEASE_CHUNK:
        free_handle(worker->world, action->release_chunk.handle);
        break;
    case TSI_WORKER_SPILL:
        sim_disk_spill(worker, action);
        break;
    case TSI_WORKER_LOAD:
        sim_disk_load(worker, action);
        break;
    case TSI_WORKER_RELEASE_EXTENT:
        sim_disk_release(worker->world, action->release_extent.extent);
        break;
    case TSI_WORKER_RELEASE_PROGRAM:
        free_program(worker->world, action->release_program.program);
        break;
    case TSI_WORKER_REPORT_DONE:
    case TSI_WORKER_REPORT_ENDED:
    case TSI_WORKER_REPORT_COPIED:
    case TSI_WORKER_REPORT_HELD:
    case TSI_WORKER_REPORT_DROPPED:
        report(worker, action);
        break;
    }
}

static void
step(struct sim_worker *worker, const struct tsi_worker_event *event)
{
    struct tsi_worker_event stamped = *event;
    stamped.now_ns = worker->world->now + (uint64_t)worker->skew_ns;
    worker->world->steps_worker++;
    TSI_CHECK(tsi_worker_step(worker->core, &stamped));
    check(worker);
}

// Small chunks that came inside the message become chunks of the worker first.
static void
feed_data(struct sim_worker *worker, const struct tsi_location *places, size_t count)
{
    struct sim_world *world = worker->world;
    for (size_t i = 0; i < count; i++) {
        const struct tsi_location *place = &places[i];
        if (place->data == NULL) {
            continue;
        }
        const uint64_t value = sim_job_value(world, place->key);
        if (!sim_value_matches(value, place->data, place->bytes)) {
            sim_fail(world, "I11: the bytes of chunk %u:%u are wrong", tsi_key_job(place->key),
                     tsi_key_task(place->key));
        }
        struct tsi_worker_event fetched = {.kind = TSI_WORKER_FETCHED};
        fetched.fetched.key = place->key;
        fetched.fetched.handle = new_handle(worker, place->key, value, place->bytes);
        fetched.fetched.bytes = place->bytes;
        step(worker, &fetched);
    }
}

// What comes inside messages is in memory before anybody is asked.
#define INLINE_ROOM (UINT64_C(64) << 10)

void
sim_worker_poll(struct sim_worker *worker)
{
    struct sim_world *world = worker->world;
    struct tsi_worker_action action;
    while (tsi_worker_poll(worker->core, world->now + (uint64_t)worker->skew_ns, &action)) {
        act(worker, &action);
    }
    check(worker);
    const struct tsi_worker_stats stats = tsi_worker_stats(worker->core);
    const uint64_t taken = stats.bytes_held + stats.bytes_reserved + stats.bytes_fetching;
    // What was there when the limit was lowered may only become less.
    worker->most_bytes = taken < worker->most_bytes ? taken : worker->most_bytes;
    const uint64_t most =
        worker->limit_bytes > worker->most_bytes ? worker->limit_bytes : worker->most_bytes;
    if (taken > most + INLINE_ROOM || stats.bytes_spilled > worker->spill_bytes) {
        sim_fail(world, "I14: worker %d takes %llu bytes of memory and %llu of its disk",
                 worker->id, (unsigned long long)taken, (unsigned long long)stats.bytes_spilled);
    }
}

bool
sim_worker_demand(struct sim_worker *worker, tsi_key key)
{
    const bool is_there = tsi_worker_chunk_demand(worker->core, key);
    sim_worker_poll(worker);
    return is_there;
}

void
sim_worker_feed(struct sim_worker *worker, const struct tsi_worker_event *event)
{
    struct sim_world *world = worker->world;
    if (event->kind == TSI_WORKER_ASSIGNED) {
        feed_data(worker, event->assigned.locations, event->assigned.location_count);
    } else if (event->kind == TSI_WORKER_COPY) {
        feed_data(worker, event->copy.locations, event->copy.count);
    } else if (event->kind == TSI_WORKER_PEER_LEFT) {
        TSI_CHECK(tsi_vec_push(&worker->left, event->peer_left.peer));
    }
    step(worker, event);
    sim_worker_poll(worker);
    const struct tsi_worker_stats stats = tsi_worker_stats(worker->core);
    if (world->config.big_workers == 0) {
        sim_book_compare(worker);
    }
    if (stats.assignments > 0 && stats.running == 0 && stats.fetches == 0 && stats.spills == 0) {
        sim_fail(world, "I6: worker %d has %zu tasks and does nothing", worker->id,
                 stats.assignments);
    }
}
