// SPDX-License-Identifier: Apache-2.0
//
// How many bytes of results a client asks for at once, and that it counts those of a job no more
// that has ended. Here no worker is there, so nothing comes.

#include <criterion/criterion.h>

#include "engine/runtime/remote.h"

#define MIB ((uint64_t)1 << 20)
#define FETCHING_BYTES_MAX (256 * MIB)

enum { JOB = 3, CHUNKS = 100 };

static struct tsi_remote remote;
static struct tsi_remote_job job;
static struct tess_future future; // of a program without tasks, so no chunk has a place
static struct tsi_program program;

static void
start(void)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    remote = (struct tsi_remote){.net = tsi_net_new(&connection, NULL, &error)};
    remote.fetcher = tsi_fetcher_new(remote.net, tsi_remote_fetched, &remote);
    future.plan.program = &program;
    job = (struct tsi_remote_job){.number = JOB, .left = CHUNKS, .future = &future};
    cr_assert(remote.net != NULL && remote.fetcher != NULL && tsi_vec_push(&remote.jobs, &job));
}

static void
end(void)
{
    tsi_vec_fini(&job.wanted);
    tsi_vec_fini(&remote.jobs);
    tsi_fetcher_free(remote.fetcher);
    tsi_net_free(remote.net);
}

static void
want(uint32_t task, uint64_t bytes)
{
    const struct tsi_remote_chunk chunk = {.task = task, .peer = 9, .bytes = bytes};
    cr_assert(tsi_vec_push(&job.wanted, chunk));
}

Test(remote_gather, so_many_bytes_are_asked_for_at_once)
{
    start();
    for (uint32_t i = 0; i < CHUNKS; i++) {
        want(i, 10 * MIB);
    }
    tsi_remote_gather(&remote);
    cr_assert(job.wanted_taken == FETCHING_BYTES_MAX / (10 * MIB));
    cr_assert(remote.bytes_fetching == job.wanted_taken * 10 * MIB);
    cr_assert(remote.chunks_fetching == job.wanted_taken);
    tsi_remote_gather(&remote);
    cr_assert(remote.bytes_fetching <= FETCHING_BYTES_MAX, "it asks on");
    end();
}

Test(remote_gather, one_that_is_larger_is_asked_for_alone)
{
    start();
    want(0, 2 * FETCHING_BYTES_MAX);
    want(1, 8);
    tsi_remote_gather(&remote);
    cr_assert(job.wanted_taken == 1 && remote.chunks_fetching == 1);
    end();
}

Test(remote_gather, what_a_job_has_under_way_ends_with_it)
{
    enum { OTHER = 4 };
    start();
    cr_assert(tsi_fetcher_peer(remote.fetcher, 9, "ipc:///nowhere/at-all", false));
    want(0, MIB);
    want(1, MIB);
    tsi_remote_gather(&remote);
    cr_assert(remote.chunks_fetching == 2 && remote.bytes_fetching == 2 * MIB);
    tsi_remote_give_up_fetches(&remote, OTHER);
    cr_assert(remote.chunks_fetching == 2 && remote.bytes_fetching == 2 * MIB);
    tsi_remote_give_up_fetches(&remote, JOB);
    cr_assert(remote.chunks_fetching == 0 && remote.bytes_fetching == 0);
    // They are not reported, which would count them once more.
    tsi_fetcher_turn(remote.fetcher, 0);
    cr_assert(remote.chunks_fetching == 0);
    end();
}
