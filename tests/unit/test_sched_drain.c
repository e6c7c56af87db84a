// SPDX-License-Identifier: Apache-2.0
//
// Workers that want to leave.

#include <criterion/criterion.h>

#include "engine/base/clock.h"
#include "tests/support/program_build.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

Test(sched_drain, with_nothing_it_may_go_at_once)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_drain(&c, w);
    sched_case_drain(&c, w); // twice is once
    sched_case_poll(&c);
    cr_assert(c.actions.count == 1 && c.actions.items[0].kind == TSI_SCHED_WORKER_DRAINED);
    cr_assert(c.actions.items[0].peer == w);
    sched_case_fini(&c, 0);
}

Test(sched_drain, with_nobody_who_stays_it_may_go_at_once)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(5, TSI_TARGET_KEEP));
    sched_case_play(&c);
    sched_case_drain(&c, w);
    sched_case_poll(&c);
    cr_assert(c.actions.count == 1 && c.actions.items[0].kind == TSI_SCHED_WORKER_DRAINED);
    sched_case_fini(&c, 1);
}

Test(sched_drain, it_gets_nothing_new_and_gives_back_the_rest)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(5, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 5);
    const struct tsi_assignment first = *sched_case_assignment(&c, a, 0);
    const struct tsi_assignment rest[4] = {
        *sched_case_assignment(&c, a, 1), *sched_case_assignment(&c, a, 2),
        *sched_case_assignment(&c, a, 3), *sched_case_assignment(&c, a, 4)};
    sched_case_drain(&c, a);
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_RETRACT, 0)->retract.count == 5);
    for (int i = 0; i < 4; i++) {
        sched_case_end(&c, a, &rest[i], TSI_ATTEMPT_RETRACTED, TESS_OK, NULL);
    }
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 0 && sched_case_assigned(&c, b) > 0);
    cr_assert(sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 0, "it still runs one");
    sched_case_done(&c, a, &first);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 1);
    sched_case_leave(&c, a, true, NULL);
    sched_case_fini(&c, 1);
}

struct leaving {
    uint32_t client;
    uint32_t job;
    uint32_t a;
    uint32_t b;
};

// Worker `a` alone has the chunks of a job, one a leaf, and wants to leave when `b` has come, whose
// memory is given. The actions are the first after that.
static struct leaving
begin_leaving(struct sched_case *c, uint32_t leaves, uint64_t memory_bytes)
{
    struct leaving l;
    sched_case_init(c, NULL);
    l.client = sched_case_client(c);
    l.a = sched_case_worker(c, 1, 0);
    l.job = sched_case_submit(c, l.client, sched_program_leaves(leaves, TSI_TARGET_KEEP));
    sched_case_play(c);
    cr_assert(c->ended == TESS_OK);
    l.b = sched_case_worker(c, 1, memory_bytes);
    sched_case_drain(c, l.a);
    sched_case_poll(c);
    return l;
}

Test(sched_drain, what_it_alone_has_is_copied_first)
{
    struct sched_case c;
    const struct leaving l = begin_leaving(&c, 100, 0);
    const struct tsi_sched_action *copy = sched_case_action(&c, TSI_SCHED_COPY, 0);
    cr_assert(copy->peer == l.b && copy->copy.count == 64 && copy->copy.locations[0].peer == l.a);
    tsi_key keys[64];
    for (size_t i = 0; i < 64; i++) {
        keys[i] = copy->copy.locations[i].key;
    }
    sched_case_feed(
        &c, (struct tsi_sched_event){.kind = TSI_SCHED_COPIED, .peer = l.b, .copied = {keys, 64}});
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_COPY, 0)->copy.count == 36);
    cr_assert(sched_case_freed(&c, l.a, keys[0]));
    for (size_t i = 0; i < 36; i++) {
        keys[i] = sched_case_action(&c, TSI_SCHED_COPY, 0)->copy.locations[i].key;
    }
    sched_case_feed(
        &c, (struct tsi_sched_event){.kind = TSI_SCHED_COPIED, .peer = l.b, .copied = {keys, 36}});
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 1);
    const uint64_t before = tsi_sched_stats(c.sched).bytes_held;
    sched_case_leave(&c, l.a, true, NULL);
    cr_assert(tsi_sched_stats(c.sched).bytes_held == before);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_ASSIGN) == 0, "nothing is made again");
    sched_case_release(&c, l.client, l.job);
    sched_case_poll(&c);
    sched_case_fini(&c, 0);
}

// By the program alone the taker knows how large the chunks are that it has to make room for.
Test(sched_drain, who_takes_a_chunk_has_its_program_first)
{
    struct sched_case c;
    const struct leaving l = begin_leaving(&c, 70, 0);
    cr_assert(c.actions.count == 2, "%zu actions", c.actions.count);
    const struct tsi_sched_action *first = &c.actions.items[0];
    cr_assert(first->kind == TSI_SCHED_SEND_PROGRAM && first->peer == l.b && first->job == l.job);
    cr_assert(c.actions.items[1].kind == TSI_SCHED_COPY && c.actions.items[1].peer == l.b);
    sched_case_play(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_SEND_PROGRAM) == 0, "once is enough");
    sched_case_leave(&c, l.a, true, NULL);
    sched_case_release(&c, l.client, l.job);
    sched_case_hear(&c);
    cr_assert(c.dropped[l.job] && tsi_sched_stats(c.sched).bytes_held == 0);
    sched_case_fini(&c, 0);
}

// It wants to leave too, and is told that it may, before it has what it was to take.
Test(sched_drain, who_may_go_takes_nothing_over)
{
    struct sched_case c;
    const struct leaving l = begin_leaving(&c, 1, 0);
    cr_assert(sched_case_action(&c, TSI_SCHED_COPY, 0)->peer == l.b);
    const uint32_t heir = sched_case_worker(&c, 1, 0);
    sched_case_drain(&c, l.b);
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_WORKER_DRAINED, 0)->peer == l.b);
    tsi_key key = tsi_key_of(l.job, 0);
    sched_case_feed(
        &c, (struct tsi_sched_event){.kind = TSI_SCHED_COPIED, .peer = l.b, .copied = {&key, 1}});
    sched_case_poll(&c);
    cr_assert(!sched_case_freed(&c, l.a, key) &&
              sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 0);
    const struct tsi_sched_action *copy = sched_case_action(&c, TSI_SCHED_COPY, 0);
    cr_assert(copy->peer == heir && copy->copy.locations[0].peer == l.a);
    sched_case_leave(&c, l.b, true, NULL);
    sched_case_feed(
        &c, (struct tsi_sched_event){.kind = TSI_SCHED_COPIED, .peer = heir, .copied = {&key, 1}});
    sched_case_poll(&c);
    cr_assert(sched_case_freed(&c, l.a, key) && sched_case_count(&c, TSI_SCHED_ASSIGN) == 0);
    cr_assert(sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 1);
    sched_case_fini(&c, 1);
}

Test(sched_drain, in_the_middle_of_a_job)
{
    for (int when = 0; when < 30; when++) {
        struct sched_case c;
        sched_case_init(&c, NULL);
        const uint32_t client = sched_case_client(&c);
        const uint32_t a = sched_case_worker(&c, 1, 0);
        sched_case_worker(&c, 1, 0);
        struct tsi_program *program = test_program_matmul(40, 10, 4);
        const uint32_t job = sched_case_submit(&c, client, program);
        for (int i = 0; i < when; i++) {
            sched_case_work(&c, 1, true);
        }
        sched_case_drain(&c, a);
        bool drained = false;
        for (int i = 0; i < 200 && !drained; i++) {
            sched_case_work(&c, 1, true);
            drained = sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 1;
        }
        cr_assert(drained);
        sched_case_leave(&c, a, true, NULL);
        sched_case_play(&c);
        cr_assert(c.ended == TESS_OK);
        for (uint32_t task = 0; task < program->task_count; task++) {
            cr_assert(sched_case_runs(&c, job, task) == 1, "task %u at %d", task, when);
        }
        sched_case_fini(&c, 0);
    }
}

Test(sched_drain, a_copy_that_fails_is_tried_again)
{
    struct sched_case c;
    const struct leaving l = begin_leaving(&c, 1, 0);
    const tsi_key key = sched_case_action(&c, TSI_SCHED_COPY, 0)->copy.locations[0].key;
    const struct tsi_assignment copy = {.job = l.job, .task = 0, .sequence = 0};
    sched_case_fetch_failed(&c, l.b, &copy, key, l.a);
    sched_case_poll(&c);
    cr_assert(c.actions.count == 0);
    sched_case_wait(&c, TSI_SECOND);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_COPY) == 1);
    // The one that should take it dies; then there is nobody.
    sched_case_leave(&c, l.b, false, "gone");
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_COPY) == 0);
    sched_case_fini(&c, 1);
}

// The copy may come at any time yet: for a job that came after it was given up as well.
Test(sched_drain, a_copy_that_was_given_up_is_reckoned_with_from_then_on)
{
    enum { LIMIT = 1 << 20 };
    struct sched_case c;
    const struct leaving l = begin_leaving(&c, 1, LIMIT);
    cr_assert(sched_case_action(&c, TSI_SCHED_COPY, 0)->peer == l.b);
    sched_case_leave(&c, l.a, false, "gone");
    sched_case_poll(&c);
    const struct tsi_assignment anew = *sched_case_assignment(&c, l.b, 0);
    cr_assert(anew.job == l.job);
    sched_case_done(&c, l.b, &anew);
    sched_case_poll(&c);
    const uint32_t next = sched_case_submit(&c, l.client, sched_program_leaves(1, TSI_TARGET_RUN));
    sched_case_poll(&c);
    const struct tsi_assignment only = *sched_case_assignment(&c, l.b, 0);
    cr_assert(only.job == next);
    sched_case_done(&c, l.b, &only);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK && c.ended_job == next);
    const struct tsi_sched_action *ended = sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0);
    cr_assert(ended->ended.costs.peak_bytes_predicted == LIMIT);
    sched_case_fini(&c, 1);
}

Test(sched_drain, a_copy_that_nobody_asked_for)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(2, TSI_TARGET_KEEP));
    sched_case_poll(&c);
    const tsi_key keys[3] = {tsi_key_of(job, 0), tsi_key_of(job, 77), tsi_key_of(9, 0)};
    sched_case_feed(
        &c, (struct tsi_sched_event){.kind = TSI_SCHED_COPIED, .peer = b, .copied = {keys, 3}});
    cr_assert(tsi_sched_stats(c.sched).stale_reports >= 2);
    (void)a;
    sched_case_fini(&c, 1);
}

// Of two that have a chunk and leave together each could rely on the other.
Test(sched_drain, what_two_have_that_leave_together)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_KEEP));
    sched_case_play(&c);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    const uint32_t stays = sched_case_worker(&c, 1, 0);
    const tsi_key key = tsi_key_of(job, 0);
    const struct tsi_sched_event copied = {
        .kind = TSI_SCHED_COPIED, .peer = b, .copied = {.keys = &key, .count = 1}};
    sched_case_feed(&c, copied);
    sched_case_drain(&c, a);
    sched_case_drain(&c, b);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 1, "one may go, the other not yet");
    cr_assert(sched_case_count(&c, TSI_SCHED_COPY) == 1);
    cr_assert(sched_case_action(&c, TSI_SCHED_COPY, 0)->peer == stays);
    struct tsi_sched_event at_last = copied;
    at_last.peer = stays;
    sched_case_feed(&c, at_last);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_WORKER_DRAINED) == 1, "now it may");
    sched_case_leave(&c, a, true, NULL);
    sched_case_leave(&c, b, true, NULL);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_ASSIGN) == 0, "nothing is made again");
    sched_case_fini(&c, 1);
}
