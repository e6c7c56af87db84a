// SPDX-License-Identifier: Apache-2.0
//
// Faults. Each run draws which kinds it has, so that rare combinations get runs of their own.
//
// To add a fault: a flag in struct sim_faults, its place in `kinds` of sim_fault_draw(), and what
// it does: either a function in sim_fault_happen(), which is called at random times before the
// heal, or a question where the thing happens that goes wrong (`world->faults.NAME && !world->quiet
// && sim_chance(…)`). Then say what it explains: is_explained() in sim_client.c for ends of jobs,
// may_fetches_fail() in sim_worker.c, sim_book_executed() in sim_book.c. What is drawn changes
// every seed, so run some thousands.
//
// To add a mistake that must be found: a line in engine/base/planted.h and TSI_PLANTED(NAME) at the
// place in a core, as one word of an expression or one if. sim_planted_main NAME then tells which
// seed finds it.

#include "tests/sim/sim_world.h"

#include "engine/base/check.h"

void
sim_fault_draw(struct sim_world *world)
{
    struct sim_random *random = &world->random;
    bool *const kinds[] = {
        &world->faults.crash,       &world->faults.silent,        &world->faults.restart,
        &world->faults.freeze,      &world->faults.late,          &world->faults.drain,
        &world->faults.kernel_io,   &world->faults.kernel_poison, &world->faults.fetch,
        &world->faults.tight,       &world->faults.vanish,        &world->faults.cancel,
        &world->faults.kernel_kill, &world->faults.kernel_memory, &world->faults.partition,
        &world->faults.stall,       &world->faults.clock,         &world->faults.corrupt,
        &world->faults.disk,        &world->faults.squeeze,
    };
    const bool is_calm =
        sim_chance(random, 100) || world->config.big_workers > 0 || world->config.is_tiny;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        *kinds[i] = !is_calm && sim_chance(random, 400);
    }
    world->faults.none = is_calm && !world->config.is_tiny;
    world->faults.crash = world->faults.crash || world->config.is_tiny;
    if (is_calm || world->config.is_tiny) {
        return;
    }
    const uint64_t count = sim_below(random, sim_chance(random, 300) ? 60 : 12);
    for (uint64_t i = 0; i < count; i++) {
        sim_at(world, sim_below(random, world->fault_end), SIM_FAULT);
    }
}

static struct sim_worker *
pick_worker(struct sim_world *world)
{
    struct sim_worker *worker =
        world->workers.items[sim_below(&world->random, world->workers.count)];
    return worker->alive && worker->peer != TSI_PEER_NONE ? worker : NULL;
}

static void
join_later(struct sim_world *world, struct sim_worker *worker, uint64_t delay)
{
    struct sim_event *join = sim_at(world, world->now + delay, SIM_JOIN);
    join->worker = worker;
    join->epoch = worker->epoch;
}

void
sim_fault_kill(struct sim_worker *worker)
{
    sim_worker_crash(worker, true);
    join_later(worker->world, worker, sim_delay(worker->world, TSI_SECOND / 2));
}

static void
crash(struct sim_world *world, bool seen)
{
    struct sim_worker *worker = pick_worker(world);
    if (worker == NULL) {
        return;
    }
    sim_worker_crash(worker, seen);
    if (world->faults.restart) {
        join_later(world, worker, sim_delay(world, TSI_SECOND / 2));
    }
}

static void
freeze(struct sim_world *world)
{
    struct sim_worker *worker = pick_worker(world);
    if (worker == NULL || worker->frozen_until > world->now) {
        return;
    }
    const bool is_long = sim_chance(&world->random, 400);
    const uint64_t mean = is_long ? 2 * world->sched_config.lost_ns : TSI_SECOND / 10;
    worker->frozen_until = world->now + sim_delay(world, mean);
    sim_trace(world, "worker %d freezes for %llu ms", worker->id,
              (unsigned long long)((worker->frozen_until - world->now) / TSI_MILLISECOND));
}

static void
drain(struct sim_world *world)
{
    struct sim_worker *worker = pick_worker(world);
    if (worker == NULL || worker->draining || worker->frozen_until > world->now) {
        return;
    }
    worker->draining = true;
    sim_trace(world, "worker %d wants to leave", worker->id);
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, worker->peer);
    mail->to_sched.kind = TSI_SCHED_WORKER_DRAINING;
    sim_mail_send(world, mail);
}

static void
vanish(struct sim_world *world)
{
    struct sim_client *client =
        world->clients.items[sim_below(&world->random, world->clients.count)];
    const bool is_due = sim_chance(&world->random, 300);
    if (is_due && client->joined && !client->vanished && !client->left) {
        sim_client_vanish(client);
    }
}

static void
crash_seen(struct sim_world *world)
{
    crash(world, true);
}

static void
crash_unseen(struct sim_world *world)
{
    crash(world, false);
}

static void
join_late(struct sim_world *world)
{
    join_later(world, sim_worker_new(world), 0);
}

// A time for something to stand still: short, or longer than a worker may be silent.
static uint64_t
standstill(struct sim_world *world)
{
    const bool is_long = sim_chance(&world->random, 300);
    return sim_delay(world, is_long ? 2 * world->sched_config.lost_ns : TSI_SECOND / 5);
}

// What was put off to the end of one standstill must not be overtaken in another.
static void
lengthen(uint64_t *until, uint64_t time)
{
    *until = time > *until ? time : *until;
}

// Messages to a worker, from it, both, or fetches from it, stand still. None is lost: that is for
// the end of a connection.
static void
part(struct sim_world *world)
{
    struct sim_worker *worker = pick_worker(world);
    if (worker == NULL) {
        return;
    }
    struct sim_link *link = &world->links.items[worker->peer];
    const uint64_t until = world->now + standstill(world);
    const uint64_t way = sim_below(&world->random, 4);
    if (way == 0 || way == 2) {
        lengthen(&link->to_cut, until);
    }
    if (way == 1 || way == 2) {
        lengthen(&link->from_cut, until);
    }
    if (way == 3) {
        lengthen(&worker->cut_until, until);
    }
    static const char *const ways[] = {"to", "from", "to and from", "fetches from"};
    sim_trace(world, "partition: %s worker %d, for %llu ms", ways[way], worker->id,
              (unsigned long long)((until - world->now) / TSI_MILLISECOND));
}

static void
stall(struct sim_world *world)
{
    if (world->stalled_until <= world->now) {
        const uint64_t time = standstill(world);
        world->stalled_until = world->now + time;
        // A shorter one cannot be told from having had nothing to do.
        world->stalled_ns += time > sim_book_grain(world) ? time : 0;
        sim_trace(world, "the scheduler stands still for %llu ms",
                  (unsigned long long)(time / TSI_MILLISECOND));
    }
}

// The clock of the scheduler or of a worker jumps: forward so far that nobody could have been heard
// meanwhile, or back, not before the beginning of the world.
static void
jump(struct sim_world *world)
{
    struct sim_worker *worker = sim_chance(&world->random, 300) ? pick_worker(world) : NULL;
    int64_t *skew_ns = worker != NULL ? &worker->skew_ns : &world->skew_ns;
    const int64_t clock = (int64_t)world->now + *skew_ns;
    const int64_t most = clock < 60 * (int64_t)TSI_SECOND ? clock : 60 * (int64_t)TSI_SECOND;
    const bool is_back = sim_chance(&world->random, 300);
    // A jump to little more than what was heard before one back could not be noticed.
    const int64_t latest = world->sched_ns > (uint64_t)clock ? (int64_t)world->sched_ns : clock;
    const int64_t far =
        (int64_t)(world->sched_config.suspect_ns + sim_below(&world->random, 60 * TSI_SECOND));
    const int64_t time = is_back ? -sim_between(&world->random, 0, most) : latest - clock + far;
    if (worker == NULL && is_back && world->is_jump_unseen) {
        return; // what is left of both jumps could be too little to be noticed
    }
    *skew_ns += time;
    if (worker == NULL && !is_back) {
        world->is_jump_unseen = true;
        world->tick_time = world->now; // its deadlines come earlier
        sim_at(world, world->now, SIM_TICK);
    }
    sim_trace(world, "the clock of %s jumps by %lld ms",
              worker != NULL ? "a worker" : "the scheduler",
              (long long)(time / (int64_t)TSI_MILLISECOND));
}

// Somebody lowers the limit of a worker's control group while it works.
static void
squeeze(struct sim_world *world)
{
    struct sim_worker *worker = pick_worker(world);
    if (worker == NULL || worker->frozen_until > world->now) {
        return;
    }
    const uint64_t most = worker->memory_bytes < 200 << 10 ? worker->memory_bytes : 200 << 10;
    sim_worker_limit(worker, sim_below(&world->random, most));
    struct sim_event *end = sim_at(world, world->now + standstill(world), SIM_SQUEEZE_END);
    end->worker = worker;
    end->life = worker->life;
}

void
sim_fault_relax(const struct sim_event *event)
{
    struct sim_worker *worker = event->worker;
    if (worker->core != NULL && worker->life == event->life) {
        sim_worker_limit(worker, worker->memory_bytes);
    }
}

static void
corrupt(struct sim_world *world)
{
    struct sim_worker *worker = pick_worker(world);
    const bool is_awake = world->stalled_until <= world->now;
    if (is_awake && (worker == NULL || sim_chance(&world->random, 500))) {
        sim_corrupt_sched(world);
    } else if (worker != NULL) {
        sim_corrupt_worker(worker);
    }
}

void
sim_fault_happen(struct sim_world *world)
{
    const struct {
        bool on;
        void (*happen)(struct sim_world *world);
    } kinds[] = {
        {world->faults.crash, crash_seen}, {world->faults.silent, crash_unseen},
        {world->faults.freeze, freeze},    {world->faults.drain, drain},
        {world->faults.late, join_late},   {world->faults.vanish, vanish},
        {world->faults.partition, part},   {world->faults.stall, stall},
        {world->faults.clock, jump},       {world->faults.corrupt, corrupt},
        {world->faults.squeeze, squeeze},
    };
    const size_t count = sizeof kinds / sizeof *kinds;
    const size_t first = sim_below(&world->random, count);
    for (size_t i = 0; i < count; i++) {
        if (kinds[(first + i) % count].on) {
            kinds[(first + i) % count].happen(world);
            return;
        }
    }
}

// From here on nothing more goes wrong, and there is a worker that stays.
void
sim_fault_heal(struct sim_world *world)
{
    world->quiet = true;
    for (size_t i = 0; i < world->workers.count && world->faults.squeeze; i++) {
        struct sim_event *end = sim_at(world, world->now, SIM_SQUEEZE_END);
        end->worker = world->workers.items[i];
        end->life = end->worker->life;
    }
    struct sim_worker *worker = sim_worker_new(world);
    worker->memory_bytes = UINT64_C(1) << 40;
    join_later(world, worker, 0);
    sim_trace(world, "no more faults");
}
