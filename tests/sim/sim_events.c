// SPDX-License-Identifier: Apache-2.0
//
// The heap of events, the trace of the last lines, and how a simulation fails.

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

void *
sim_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    TSI_CHECK(memory != NULL);
    return memory;
}

static bool
is_before(const struct sim_place *a, const struct sim_place *b)
{
    return a->time != b->time ? a->time < b->time : a->number < b->number;
}

static void
push(struct sim_world *world, struct sim_event *event)
{
    const struct sim_place place = {event->time, event->number, event};
    TSI_CHECK(tsi_vec_push(&world->heap, place));
    struct sim_place *items = world->heap.items;
    size_t at = world->heap.count - 1;
    while (at > 0 && is_before(&place, &items[(at - 1) / 2])) {
        items[at] = items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    items[at] = place;
}

struct sim_event *
sim_at(struct sim_world *world, uint64_t time, enum sim_event_kind kind)
{
    struct sim_event *event = sim_alloc(sizeof *event);
    event->time = time > world->now ? time : world->now;
    event->number = ++world->event_number;
    event->kind = kind;
    push(world, event);
    return event;
}

void
sim_postpone(struct sim_world *world, struct sim_event *event, uint64_t time)
{
    event->time = time;
    push(world, event);
}

struct sim_event *
sim_pop(struct sim_world *world)
{
    if (world->heap.count == 0) {
        return NULL;
    }
    struct sim_place *items = world->heap.items;
    struct sim_event *first = items[0].event;
    const struct sim_place last = tsi_vec_pop(&world->heap);
    const size_t count = world->heap.count;
    size_t at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_before(&items[child + 1], &items[child])) {
            child++;
        }
        if (!is_before(&items[child], &last)) {
            break;
        }
        items[at] = items[child];
        at = child;
    }
    if (count > 0) {
        items[at] = last;
    }
    return first;
}

uint64_t
sim_delay(struct sim_world *world, uint64_t mean)
{
    // Mostly short, sometimes long: the product of two uniform numbers with a mean of one.
    const uint64_t a = sim_below(&world->random, 2048);
    const uint64_t b = sim_below(&world->random, 2048);
    return 1 + mean * (a * b >> 10) / 1024;
}

void
sim_trace(struct sim_world *world, const char *format, ...)
{
    if (world->config.big_workers > 0 || (world->config.is_tiny && !world->config.verbose)) {
        return;
    }
    char *line = world->trace[world->trace_count++ % SIM_TRACE_LINES];
    const int used = snprintf(line, SIM_TRACE_CHARS, "%7" PRIu64 " %12.6f ", world->step,
                              (double)world->now / (double)TSI_SECOND);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, (size_t)(SIM_TRACE_CHARS - used), format, arguments);
    va_end(arguments);
    if (world->config.verbose) {
        puts(line);
    }
}

static void
print_trace(const struct sim_world *world)
{
    const uint64_t count = world->trace_count;
    const uint64_t shown = count < SIM_TRACE_LINES ? count : SIM_TRACE_LINES;
    for (uint64_t i = count - shown; i < count && !world->config.verbose; i++) {
        puts(world->trace[i % SIM_TRACE_LINES]);
    }
    if (world->config.big_workers == 0 && !world->config.is_tiny) {
        printf("again: sim_main --verbose --seed %" PRIu64 "\n", world->config.seed);
    }
    printf("seed %" PRIu64 ", step %" PRIu64 ": ", world->config.seed, world->step);
}

void
sim_fail(struct sim_world *world, const char *format, ...)
{
    print_trace(world);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    if (world->config.search != NULL) {
        sim_exhaust_tell(world->config.search);
    }
    fflush(stdout);
    exit(1);
}

static const struct sim_world *watched;
static char watched_seed[128];
static size_t watched_chars;

// A core found one of its own invariants broken. A handler may do no more than write, but for the
// tiny case nothing else is at work that could be disturbed.
static void
on_abort(int signal)
{
    (void)signal;
    if (watched->config.search != NULL) {
        sim_exhaust_tell(watched->config.search);
        fflush(stdout);
    }
    const uint64_t count = watched->trace_count;
    const uint64_t shown = count < SIM_TRACE_LINES ? count : SIM_TRACE_LINES;
    ssize_t written = 0;
    for (uint64_t i = count - shown; i < count; i++) {
        const char *line = watched->trace[i % SIM_TRACE_LINES];
        size_t chars = 0;
        while (line[chars] != '\0') {
            chars++;
        }
        written += write(STDOUT_FILENO, line, chars);
        written += write(STDOUT_FILENO, "\n", 1);
    }
    written += write(STDOUT_FILENO, watched_seed, watched_chars);
    _Exit(written > 0 ? 1 : 2);
}

void
sim_watch(const struct sim_world *world)
{
    watched = world;
    watched_chars = (size_t)snprintf(watched_seed, sizeof watched_seed,
                                     "again: sim_main --verbose --seed %" PRIu64 "\n"
                                     "seed %" PRIu64 ": a core aborted\n",
                                     world->config.seed, world->config.seed);
    signal(SIGABRT, on_abort);
}
