// SPDX-License-Identifier: Apache-2.0
//
// Copies of chunks that were lost elsewhere: a worker that fetched one in time has it, and may have
// to make it anew.

#include <criterion/criterion.h>

#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

static void
done(struct sched_case *c, uint32_t worker, uint32_t task)
{
    const struct tsi_assignment *found = sched_case_assignment(c, worker, task);
    cr_assert(found != NULL, "task %u was not assigned", task);
    sched_case_done(c, worker, found);
}

// What a task of an operation is to have beside its inputs.
static uint64_t
room_for(const struct sched_case *c, uint32_t job, int op)
{
    const struct tsi_program *program = c->programs[job];
    return SCHED_CHUNK_BYTES + tsi_chunk_op_workspace_max(program, &program->ops[op]);
}

// Worker `a` runs task 2, for which it has fetched chunk 0, when the maker of that dies; and is to
// make it anew for task 1, when it has done task 2. Returns the attempt to make chunk 0.
static struct tsi_assignment
start_with_stray_copy(struct sched_case *c, uint32_t *client, uint32_t *a)
{
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = config.lost_ns = 0;
    config.prefetch = 0;
    sched_case_init(c, &config);
    *client = sched_case_client(c);
    c->duration_us = 100000;
    const uint32_t b = sched_case_worker(c, 1, 0);
    const uint32_t job = sched_case_submit(c, *client, sched_program_broadcast(2));
    sched_case_poll(c);
    done(c, b, 0);
    sched_case_poll(c);
    cr_assert(sched_case_assignment(c, b, 1) != NULL && sched_case_assigned(c, b) == 1);
    *a = sched_case_worker(c, 3, 0);
    sched_case_poll(c);
    cr_assert(sched_case_location(c, *a, 2, tsi_key_of(job, 0)) != NULL, "it fetches it");
    const struct tsi_assignment reader = *sched_case_assignment(c, *a, 2);
    sched_case_leave(c, b, false, "gone");
    sched_case_poll(c);
    cr_assert(sched_case_assigned(c, *a) == 1 && sched_case_assignment(c, *a, 0) != NULL);
    const struct tsi_assignment maker = *sched_case_assignment(c, *a, 0);
    sched_case_done(c, *a, &reader);
    sched_case_poll(c);
    cr_assert(!sched_case_freed(c, *a, tsi_key_of(job, 0)), "that could be what it makes");
    return maker;
}

Test(sched_stray, a_copy_beside_what_is_made_anew_is_in_the_prediction)
{
    struct sched_case c;
    uint32_t client = 0;
    uint32_t a = 0;
    const struct tsi_assignment maker = start_with_stray_copy(&c, &client, &a);
    // Another job starts now: a has the copy, the output of task 2, and gets room for chunk 0.
    const uint32_t other = sched_case_submit(&c, client, sched_program_leaves(2, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 2);
    const struct tsi_assignment leaves[] = {*sched_case_assignment(&c, a, 0),
                                            *sched_case_assignment(&c, a, 1)};
    sched_case_done(&c, a, &leaves[0]);
    sched_case_done(&c, a, &leaves[1]);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK && c.ended_job == other);
    const struct tsi_job_costs *costs = &sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0)->ended.costs;
    const uint64_t most = room_for(&c, maker.job, 0) + 2 * room_for(&c, other, 0);
    cr_assert(costs->peak_bytes_predicted == 2 * SCHED_CHUNK_BYTES + most,
              "%llu were predicted, beside %llu for the tasks",
              (unsigned long long)costs->peak_bytes_predicted, (unsigned long long)most);
    // With the chunk made, there is one of it: a has that and the output of task 2, and runs
    // task 1.
    sched_case_done(&c, a, &maker);
    sched_case_poll(&c);
    const uint32_t last = sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    sched_case_poll(&c);
    done(&c, a, 0);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK && c.ended_job == last);
    cr_assert(sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0)->ended.costs.peak_bytes_predicted ==
              2 * SCHED_CHUNK_BYTES + room_for(&c, maker.job, 1) + room_for(&c, last, 0));
    sched_case_fini(&c, 1);
}

Test(sched_stray, a_copy_goes_with_the_attempt_to_make_it_anew)
{
    struct sched_case c;
    uint32_t client = 0;
    uint32_t a = 0;
    const struct tsi_assignment maker = start_with_stray_copy(&c, &client, &a);
    sched_case_end(&c, a, &maker, TSI_ATTEMPT_RETRACTED, TESS_OK, NULL);
    sched_case_poll(&c);
    cr_assert(sched_case_freed(&c, a, tsi_key_of(maker.job, maker.task)));
    cr_assert(sched_case_assignment(&c, a, 0) != NULL, "after that it may make it");
    sched_case_done(&c, a, sched_case_assignment(&c, a, 0));
    sched_case_poll(&c);
    cr_assert(sched_case_assignment(&c, a, 1) != NULL);
    cr_assert(!sched_case_freed(&c, a, tsi_key_of(maker.job, maker.task)));
    sched_case_fini(&c, 1);
}
