// SPDX-License-Identifier: Apache-2.0
//
// Which results of detached jobs are given up, in which order, also after a restart, and that
// nobody can have one any more that is given up or back while another job still reads it.

#include <criterion/criterion.h>

#include "engine/base/clock.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

#define LEASE_NS (10 * TSI_SECOND)
#define CLIENT_LEASE_NS (60 * TSI_SECOND)

static struct sched_case c;
static uint32_t worker;

static uint64_t
bytes_of(uint32_t leaves)
{
    struct tsi_program *program = sched_program_leaves(leaves, TSI_TARGET_KEEP);
    const uint64_t bytes = tsi_sched_result_bytes(program);
    tsi_program_free(program);
    return bytes;
}

// Results that nobody has may take as much as so many leaves.
static void
setup(uint32_t leaves)
{
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = config.lost_ns = 0;
    config.result_lease_ns = LEASE_NS;
    config.client_lease_ns = CLIENT_LEASE_NS;
    config.result_bytes_max = bytes_of(leaves);
    sched_case_init(&c, &config);
    worker = sched_case_worker(&c, 2, 0);
}

static uint32_t
submit(uint32_t client, uint32_t leaves)
{
    return sched_case_submit_detached(&c, client, sched_program_leaves(leaves, TSI_TARGET_KEEP));
}

// A result whose client is still there.
static uint32_t
make(uint32_t client, uint32_t leaves)
{
    const uint32_t job = submit(client, leaves);
    sched_case_play(&c);
    return job;
}

static void
leave(uint32_t client)
{
    sched_case_client_leave(&c, client);
    sched_case_hear(&c);
}

static void
wait(uint64_t ns)
{
    sched_case_wait(&c, ns);
    sched_case_hear(&c);
}

static void
feed(enum tsi_sched_event_kind kind, uint32_t client, uint32_t job)
{
    sched_case_about(&c, kind, client, job);
    sched_case_hear(&c);
}

// Whether the job is there and nobody can have its result, for this reason.
static bool
is_gone(uint32_t job, tess_status reason)
{
    tess_status why = TESS_RUNNING;
    return tsi_sched_result_is_gone(c.sched, job, &why) && why == reason;
}

static bool
can_be_had(uint32_t job)
{
    tess_status why = TESS_RUNNING;
    return !c.dropped[job] && !tsi_sched_result_is_gone(c.sched, job, &why) && why == TESS_OK;
}

// Whoever claims such a job gets no answer, and does not have it.
static void
expect_no_claim(uint32_t job)
{
    const uint32_t client = sched_case_client(&c);
    sched_case_hear(&c);
    const uint64_t stale = tsi_sched_stats(c.sched).stale_reports;
    feed(TSI_SCHED_JOB_CLAIMED, client, job);
    cr_assert(c.actions.count == 0, "%zu actions", c.actions.count);
    cr_assert(tsi_sched_stats(c.sched).stale_reports == stale + 1);
}

// A job that runs for `client`, reads `maker` and does not end. The client goes without a word.
static uint32_t
read_and_go(uint32_t client, uint32_t maker)
{
    const uint32_t reader =
        sched_case_submit(&c, client, sched_program_kept(2, maker, 0, TSI_TARGET_DELIVER));
    sched_case_hear(&c);
    cr_assert(c.ended_job != reader, "%s", c.ended_text);
    leave(client);
    return reader;
}

Test(sched_give_up, those_go_that_nobody_has_had_longest_and_no_more)
{
    setup(6);
    const uint32_t clients[4] = {sched_case_client(&c), sched_case_client(&c),
                                 sched_case_client(&c), sched_case_client(&c)};
    uint32_t jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = make(clients[i], 2);
    }
    // The last that was made waits longest.
    for (int i = 3; i > 0; i--) {
        leave(clients[i]);
        cr_assert(c.actions.count == 0, "three fit");
        wait(TSI_SECOND);
    }
    leave(clients[0]);
    cr_assert(sched_case_gone(&c, jobs[3]) == TESS_ELIMIT);
    cr_assert(can_be_had(jobs[2]) && can_be_had(jobs[1]) && can_be_had(jobs[0]));
    // There is room for what is given back, and again one goes for one of the same size.
    const uint32_t heir = sched_case_client(&c);
    feed(TSI_SCHED_JOB_CLAIMED, heir, jobs[1]);
    feed(TSI_SCHED_JOB_RELEASED, heir, jobs[1]);
    make(heir, 1);
    make(heir, 1);
    leave(heir);
    cr_assert(can_be_had(jobs[2]) && can_be_had(jobs[0]), "all fit");
    const uint32_t last = sched_case_client(&c);
    make(last, 1);
    leave(last);
    cr_assert(sched_case_gone(&c, jobs[2]) == TESS_ELIMIT && can_be_had(jobs[0]));
    sched_case_fini(&c, 4);
}

Test(sched_give_up, among_equals_the_lowest_numbers_go)
{
    setup(4);
    const uint32_t client = sched_case_client(&c);
    const uint32_t first = make(client, 1);
    const uint32_t jobs[3] = {make(client, 2), make(client, 2), make(client, 1)};
    feed(TSI_SCHED_JOB_RELEASED, client, first);
    // It has the place of the first in the list, but a higher number than all.
    const uint32_t youngest = make(client, 1);
    leave(client);
    cr_assert(sched_case_gone(&c, jobs[0]) == TESS_ELIMIT && can_be_had(jobs[1]) &&
              can_be_had(jobs[2]) && can_be_had(youngest));
    sched_case_fini(&c, 3);
}

// The driver feeds many events before it asks for actions. Between two of them a result is lost for
// good, since a chunk of it could not be made again.
Test(sched_give_up, one_that_has_failed_takes_no_room)
{
    setup(3);
    const uint32_t clients[2] = {sched_case_client(&c), sched_case_client(&c)};
    const uint32_t oldest = make(clients[0], 1);
    const uint32_t failing = make(clients[0], 2);
    leave(clients[0]);
    const uint32_t newest = make(clients[1], 2);
    cr_assert(can_be_had(oldest) && can_be_had(failing), "they fit");
    const uint32_t heir = sched_case_worker(&c, 4, 0);
    sched_case_leave(&c, worker, false, "killed");
    sched_case_poll(&c);
    const struct tsi_assignment *lost = NULL;
    const struct tsi_sched_action *assign = sched_case_action(&c, TSI_SCHED_ASSIGN, 0);
    for (size_t i = 0; i < assign->assign.count; i++) {
        lost = assign->assign.items[i].job == failing ? &assign->assign.items[i] : lost;
    }
    cr_assert(lost != NULL && assign->peer == heir);
    sched_case_end(&c, heir, lost, TSI_ATTEMPT_FAILED, TESS_EFORMAT, "broken");
    sched_case_client_leave(&c, clients[1]);
    sched_case_poll(&c);
    cr_assert(sched_case_gone(&c, failing) == TESS_EFORMAT, "%s",
              tess_status_name(sched_case_gone(&c, failing)));
    cr_assert(can_be_had(oldest) && can_be_had(newest));
    sched_case_fini(&c, 2);
}

Test(sched_give_up, what_is_given_up_while_it_is_read_cannot_be_had)
{
    setup(10);
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = make(client, 2);
    read_and_go(client, job);
    cr_assert(can_be_had(job));
    wait(LEASE_NS + TSI_SECOND);
    cr_assert(!c.dropped[job] && is_gone(job, TESS_ETIMEOUT));
    cr_assert(strstr(tsi_sched_result_text(TESS_ETIMEOUT), "--result-lease") != NULL);
    expect_no_claim(job);
    sched_case_wait(&c, CLIENT_LEASE_NS - 2 * LEASE_NS);
    cr_assert(is_gone(job, TESS_ETIMEOUT), "it is still read");
    sched_case_wait(&c, 2 * LEASE_NS);
    sched_case_poll(&c);
    cr_assert(sched_case_gone(&c, job) == TESS_ETIMEOUT || c.dropped[job]);
    sched_case_fini(&c, 0);
}

Test(sched_give_up, what_is_given_up_for_room_while_it_is_read_cannot_be_had)
{
    setup(3);
    const uint32_t clients[2] = {sched_case_client(&c), sched_case_client(&c)};
    const uint32_t job = make(clients[0], 2);
    make(clients[1], 2);
    read_and_go(clients[0], job);
    cr_assert(can_be_had(job));
    leave(clients[1]);
    cr_assert(!c.dropped[job] && is_gone(job, TESS_ELIMIT));
    cr_assert(strstr(tsi_sched_result_text(TESS_ELIMIT), "--result-limit") != NULL);
    expect_no_claim(job);
    // What is given up does not count any more.
    const uint32_t other = sched_case_client(&c);
    const uint32_t more = make(other, 1);
    leave(other);
    cr_assert(can_be_had(more) && c.programs_dropped == 0);
    sched_case_fini(&c, 4);
}

Test(sched_give_up, what_is_given_back_while_it_is_read_cannot_be_had)
{
    setup(10);
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = make(client, 2);
    const uint32_t reader =
        sched_case_submit(&c, client, sched_program_kept(2, job, 0, TSI_TARGET_DELIVER));
    sched_case_hear(&c);
    feed(TSI_SCHED_JOB_RELEASED, client, job);
    cr_assert(!c.dropped[job] && is_gone(job, TESS_OK));
    expect_no_claim(job);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK && c.ended_job == reader && c.dropped[job]);
    sched_case_fini(&c, 0);
}

static void
restore(uint32_t ghost, struct tsi_program *program, bool is_detached)
{
    const uint32_t job = ++c.jobs_seen;
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_RESTORED, .peer = ghost};
    event.job_restored.job = job;
    event.job_restored.token = 1000 + job;
    event.job_restored.program = program;
    event.job_restored.detached = is_detached;
    event.job_restored.ended = is_detached;
    c.programs[job] = program;
    sched_case_feed(&c, event);
}

Test(sched_give_up, after_a_restart_the_lowest_numbers_go_and_time_begins_anew)
{
    setup(4);
    const uint32_t ghost = c.next_peer++;
    for (int i = 0; i < 4; i++) {
        restore(ghost, sched_program_leaves(2, TSI_TARGET_KEEP), true);
    }
    const uint32_t client = sched_case_client(&c);
    feed(TSI_SCHED_JOB_CLAIMED, client, 1);
    wait(2 * LEASE_NS);
    cr_assert(c.programs_dropped == 0, "nothing is given up before the scheduler goes on");
    sched_case_feed(&c, (struct tsi_sched_event){.kind = TSI_SCHED_RESTORED});
    sched_case_play(&c);
    cr_assert(c.dropped[2], "the lowest number that nobody has come for");
    cr_assert(can_be_had(1) && can_be_had(3) && can_be_had(4));
    wait(LEASE_NS - TSI_SECOND);
    cr_assert(can_be_had(3) && can_be_had(4));
    wait(2 * TSI_SECOND);
    cr_assert(c.dropped[3] && c.dropped[4] && can_be_had(1), "somebody has it");
    sched_case_fini(&c, 1);
}

// A job comes back from the journal with what it reads, but somebody else came for that before.
Test(sched_give_up, who_claims_a_job_does_not_take_what_it_reads_from_others)
{
    setup(10);
    const uint32_t ghost = c.next_peer++;
    restore(ghost, sched_program_leaves(2, TSI_TARGET_KEEP), true);
    restore(ghost, sched_program_kept(2, 1, 0, TSI_TARGET_DELIVER), false);
    sched_case_feed(&c, (struct tsi_sched_event){.kind = TSI_SCHED_RESTORED});
    const uint32_t other = sched_case_client(&c);
    feed(TSI_SCHED_JOB_CLAIMED, other, 1);
    const uint32_t back = sched_case_client(&c);
    feed(TSI_SCHED_JOB_CLAIMED, back, 2);
    const uint32_t used =
        sched_case_submit(&c, other, sched_program_kept(2, 1, 0, TSI_TARGET_KEEP));
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK, "%s", c.ended_text);
    cr_assert(c.dropped[2] && !c.dropped[used], "both jobs have what they read");
    leave(back);
    wait(2 * LEASE_NS);
    cr_assert(can_be_had(1), "its client is there");
    feed(TSI_SCHED_JOB_RELEASED, other, 1);
    cr_assert(is_gone(1, TESS_OK) || c.dropped[1]);
    sched_case_fini(&c, c.dropped[1] ? 1 : 2);
}

// A program may keep more than there are numbers for, though nobody can compute it.
Test(sched_give_up, too_much_to_count_is_too_much)
{
    enum { TARGETS = 16 };
    struct tsi_program *program = sched_program_leaves(1, TSI_TARGET_KEEP);
    const struct tsi_target whole = program->targets[0];
    struct tsi_target targets[TARGETS];
    for (int i = 0; i < TARGETS; i++) {
        targets[i] = whole;
        targets[i].op = 0;
    }
    struct tsi_chunk_op op = program->ops[whole.op];
    const int64_t most = INT64_C(1) << 58; // elements of an array
    op.array = (struct tsi_grid){.ndim = 1, .axis = {tsi_axis_regular(most, most)}};
    op.dtype = TESS_F64;
    const struct tsi_program huge = {
        .ops = &op, .op_count = 1, .targets = targets, .target_count = TARGETS};
    cr_assert_eq(tsi_sched_result_bytes(&huge), UINT64_MAX);
    tsi_program_free(program);
}

Test(sched_give_up, who_waits_for_ever_for_clients_waits)
{
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = config.lost_ns = 0;
    config.client_lease_ns = UINT64_MAX;
    sched_case_init(&c, &config);
    worker = sched_case_worker(&c, 1, 0);
    c.now_ns = TSI_SECOND;
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(2, TSI_TARGET_KEEP));
    sched_case_play(&c);
    leave(client);
    wait(TSI_SECOND);
    cr_assert(!c.dropped[job]);
    sched_case_fini(&c, 1);
}
