// SPDX-License-Identifier: Apache-2.0
//
// All interleavings of a tiny case: two workers with a thread each, one client, four tasks of which
// one reads what both workers may have made, and at most one crash, at every point and with every
// tail of messages lost.
//
// In every state any link may deliver its next message, any run end, any fetch be served or
// answered, any worker crash if none did. The cores cannot be copied, so a path is a list of
// choices, and each path is run from the beginning. A state in which the search has been before is
// not gone on from; its hash covers both cores, what is under way, and the client. Time stands
// still, and goes on to the scheduler's deadline only when nothing else can happen.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/base/map.h"
#include "tests/sim/sim_world.h"

enum { OPTIONS_MAX = 64, DEPTH_MAX = 4096, WORKERS = 2 };

struct choice {
    uint32_t taken;
    uint32_t count;
    bool is_state; // the choice of what happens next; the others are details of that
    uint64_t hash;
    double paths; // that end, from here on
};

struct search {
    TSI_VEC(struct choice) path;
    size_t at;             // in the path
    size_t prefix;         // what was there before: choices before it are repeated
    struct tsi_map ids;    // of states that were seen
    TSI_VEC(double) paths; // from each of them to an end; 0 until that is known
    uint64_t transitions;
    uint64_t ends;
    size_t deepest;
    bool is_known; // this run came to a state that was seen before
    int crashes_left;
};

// Something that may happen next: an event, or a worker's crash.
struct option {
    struct sim_event *event;
    struct sim_worker *crash;
};

static uint64_t
next_choice(struct search *search, uint64_t count, bool is_state, uint64_t hash)
{
    if (search->at == search->path.count) {
        TSI_CHECK(search->path.count < DEPTH_MAX);
        const struct choice made = {0, (uint32_t)count, is_state, hash, 0};
        TSI_CHECK(tsi_vec_push(&search->path, made));
    }
    struct choice *choice = &search->path.items[search->at++];
    choice->count = choice->count == 0 ? (uint32_t)count : choice->count; // it was given by hand
    TSI_CHECK(choice->count == count && choice->taken < count);
    return choice->taken;
}

uint64_t
sim_choose(struct sim_world *world, uint64_t count)
{
    return world->config.search == NULL ? sim_below(&world->random, count)
                                        : next_choice(world->config.search, count, false, 0);
}

static int
by_number(const void *left, const void *right)
{
    const struct sim_place *a = left;
    const struct sim_place *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

// Whether an event that waits may happen now. A client acts when there is something to do.
static bool
is_enabled(const struct sim_world *world, const struct sim_event *event, uint64_t *ways)
{
    if (sim_state_is_void(world, event)) {
        return false;
    }
    if (event->kind == SIM_CLIENT_ACT) {
        const struct sim_client *client = event->client;
        return client->jobs_left > 0 || (client->jobs_open == 0 && !client->left);
    }
    if (event->kind != SIM_MAIL) {
        return true;
    }
    // The first message of each link and direction.
    const size_t way = sim_state_way(event->mail);
    const bool is_first = (*ways >> way & 1) == 0;
    *ways |= UINT64_C(1) << way;
    return is_first;
}

static size_t
list_options(const struct sim_world *world, const struct search *search, struct option *options)
{
    size_t count = 0;
    uint64_t ways = 0;
    qsort(world->heap.items, world->heap.count, sizeof(struct sim_place), by_number);
    for (size_t i = 0; i < world->heap.count; i++) {
        struct sim_event *event = world->heap.items[i].event;
        if (is_enabled(world, event, &ways)) {
            TSI_CHECK(count < OPTIONS_MAX - WORKERS);
            options[count++] = (struct option){event, NULL};
        }
    }
    for (size_t i = 0; i < world->workers.count && count > 0 && search->crashes_left > 0; i++) {
        struct sim_worker *worker = world->workers.items[i];
        if (worker->core != NULL && worker->peer != TSI_PEER_NONE) {
            options[count++] = (struct option){NULL, worker};
        }
    }
    return count;
}

// Comes to a state; false if the search was there before.
static bool
enter(struct search *search, uint64_t hash)
{
    if (search->at < search->prefix) {
        return true;
    }
    const uint64_t *id = tsi_map_get(&search->ids, hash);
    if (id != NULL) {
        // The last choice led here.
        search->path.items[search->path.count - 1].paths += search->paths.items[*id];
        search->is_known = true;
        return false;
    }
    TSI_CHECK(tsi_map_put(&search->ids, hash, search->paths.count));
    TSI_CHECK(tsi_vec_push(&search->paths, 0));
    return true;
}

static void
happen(struct sim_world *world, struct search *search, const struct option *option)
{
    world->random.state = 1; // what is drawn and not chosen is the same in every step
    if (option->crash != NULL) {
        search->crashes_left--;
        sim_worker_crash(option->crash, true);
        return;
    }
    size_t at = 0;
    while (world->heap.items[at].event != option->event) {
        at++;
    }
    for (; at + 1 < world->heap.count; at++) {
        world->heap.items[at] = world->heap.items[at + 1];
    }
    world->heap.count--;
    if (sim_handle(world, option->event)) {
        free(option->event);
    }
}

// One path, from the beginning to an end or to a state that is known.
static void
run_path(struct search *search, const struct sim_config *config)
{
    struct option options[OPTIONS_MAX];
    struct sim_world *world = sim_open(config);
    search->at = 0;
    search->is_known = false;
    search->crashes_left = 1;
    world->quiet = true;
    while (!sim_is_finished(world)) {
        const size_t count = list_options(world, search, options);
        world->is_replay = search->at < search->prefix;
        world->step++;
        if (count == 0) {
            if (world->tick_time == UINT64_MAX) {
                sim_fail(world, "I8: nothing can happen, and the job has not ended");
            }
            world->now = world->tick_time;
            sim_sched_tick(world);
            continue;
        }
        const uint64_t hash = search->at < search->prefix
                                  ? 0
                                  : sim_hash(sim_state_hash(world), (uint64_t)search->crashes_left);
        if (!enter(search, hash)) {
            break;
        }
        happen(world, search, &options[next_choice(search, count, true, hash)]);
    }
    if (!search->is_known) {
        search->ends++;
        search->path.items[search->path.count - 1].paths += 1;
    }
    search->deepest = world->step > search->deepest ? world->step : search->deepest;
    sim_close(world, !search->is_known);
}

// Goes to the next path; false if there is none.
static bool
turn_back(struct search *search)
{
    while (search->path.count > 0) {
        struct choice *last = &search->path.items[search->path.count - 1];
        search->transitions++;
        last->taken++;
        if (last->taken < last->count) {
            search->prefix = search->path.count;
            return true;
        }
        const struct choice done = tsi_vec_pop(&search->path);
        if (done.is_state) {
            search->paths.items[*tsi_map_get(&search->ids, done.hash)] = done.paths;
        }
        if (search->path.count > 0) {
            search->path.items[search->path.count - 1].paths += done.paths;
        } else {
            search->paths.items[0] = done.paths;
        }
    }
    return false;
}

void
sim_exhaust_tell(const struct search *search)
{
    printf("again: sim_main --verbose --choices ");
    for (size_t i = 0; i < search->path.count; i++) {
        printf("%s%u", i == 0 ? "" : ",", search->path.items[i].taken);
    }
    putchar('\n');
}

void
sim_exhaust_path(const char *choices, bool verbose)
{
    struct search search = {0};
    const struct sim_config config = {
        .seed = 1, .verbose = verbose, .is_tiny = true, .search = &search};
    for (char *end = NULL; *choices != '\0'; choices = *end == ',' ? end + 1 : end) {
        const struct choice given = {.taken = (uint32_t)strtoul(choices, &end, 10)};
        TSI_CHECK(end != choices && tsi_vec_push(&search.path, given));
    }
    run_path(&search, &config);
    printf("one of the interleavings: good\n");
    tsi_vec_fini(&search.path);
    tsi_vec_fini(&search.paths);
    tsi_map_fini(&search.ids);
}

void
sim_exhaust(void)
{
    struct search search = {0};
    const struct sim_config config = {.seed = 1, .is_tiny = true, .search = &search};
    do {
        run_path(&search, &config);
    } while (turn_back(&search));
    printf("all %.3g interleavings: %zu states, %" PRIu64 " transitions, %" PRIu64
           " ends, at most %zu steps: good\n",
           search.paths.items[0], search.paths.count, search.transitions, search.ends,
           search.deepest);
    tsi_vec_fini(&search.path);
    tsi_vec_fini(&search.paths);
    tsi_map_fini(&search.ids);
}
