// SPDX-License-Identifier: Apache-2.0
//
// A compute is cancelled while one long task of it runs, of each kind of work that has a loop: the
// task ends at the next tile, counted and not timed, the compute is cancelled, and its memory is
// there for the next one. In this process and on a worker.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "tests/planted/held_task.h"
#include "tests/support/processes.h"

// A chunk of 32 MB. Two of them and what else a compute takes are more than MEMORY. A worker with a
// sanitizer takes most of that for itself.
enum { ROWS = 2000, COLUMNS = 2000 };
#define MEMORY "72MB"
#define MEMORY_SANITIZED "400MB"
#define MEMORY_BYTES 60000000

static tess_array *
normal(tess_session *session, int64_t chunk)
{
    return tess_random_normal(session, TESS_SHAPE(ROWS, COLUMNS), TESS_CHUNKS(chunk, chunk), 0, 1);
}

// More than one tile in one task of the given kind, which is too long for a worker to execute it
// between two messages.
static tess_array *
program(tess_session *session, enum held_work work)
{
    switch (work) {
    case HELD_STORE:
        return tess_sqrt(tess_abs(normal(session, ROWS)));
    case HELD_REDUCE:
        return tess_var(tess_exp(normal(session, ROWS)), TESS_AXIS(1), 0);
    case HELD_MOVE: {
        tess_array *x =
            tess_random_normal(session, TESS_SHAPE(800, 800), TESS_CHUNKS(200, 800), 0, 1);
        return tess_rechunk(tess_matmul(x, x), TESS_CHUNKS(800, 800));
    }
    case HELD_MERGE:
        return tess_var(
            tess_random_normal(session, TESS_SHAPE(1600, 10000), TESS_CHUNKS(100, 10000), 0, 1),
            TESS_AXIS(0), 0);
    default: {
        tess_array *x =
            tess_random_normal(session, TESS_SHAPE(8, 200, 200), TESS_CHUNKS(8, 200, 200), 0, 1);
        return tess_matmul(x, x);
    }
    }
}

static void
wait_for(const atomic_int *counter, int wanted, const char *where, enum held_work work,
         const char *what)
{
    const uint64_t end = test_now_ms() + 40000;
    while (atomic_load(counter) < wanted) {
        test_check(test_now_ms() < end, "%s, work %d: %s", where, (int)work, what);
        test_sleep_ms(1);
    }
}

// Chunk memory of this process, which is that of the embedded runtime, is what it was.
static void
wait_for_memory(uint64_t bytes, const char *where, enum held_work work)
{
    const uint64_t end = test_now_ms() + 20000;
    while (tsi_buf_bytes_now() > bytes) {
        test_check(test_now_ms() < end, "%s, work %d: %llu bytes are not given back", where,
                   (int)work, (unsigned long long)(tsi_buf_bytes_now() - bytes));
        test_sleep_ms(1);
    }
}

static void
begin(enum held_work work)
{
    struct held_task *task = held_task();
    task->held = 0;
    task->looks = 0;
    task->tiles = 0;
    task->ended = 0;
    task->freed = 0;
    task->wanted = (int)work;
}

// Cancels the compute when a task of it has made two tiles and is about to make the third.
static void
cancel_one(tess_session *session, enum held_work work, const char *where)
{
    struct held_task *task = held_task();
    tess_array *x = program(session, work);
    size_t bytes = tess_array_bytes(x);
    void *out = malloc(bytes);
    test_check(out != NULL, "out of memory");
    const uint64_t memory = tsi_buf_bytes_now();
    begin(work);
    tess_future *future = tess_submit(&x, &out, &bytes, 1);
    wait_for(&task->held, 1, where, work, "no task looks between its tiles whether it is wanted");
    test_check(tess_future_poll(future) == TESS_RUNNING, "%s: it ended early", where);
    tess_future_cancel(future);
    const tess_status status = tess_future_wait(future, 30000);
    test_check(status == TESS_ECANCELLED, "%s, work %d: a cancelled compute is %s: %s", where,
               (int)work, tess_status_name(status), tess_session_error(session));
    wait_for(&task->ended, atomic_load(&task->held), where, work, "the task goes on");
    const int held = task->held;
    test_check(task->freed == held, "%s, work %d: the task did not hear of it", where, (int)work);
    test_check(task->looks == HELD_AT_LOOK * held && task->tiles <= (HELD_AT_LOOK - 1) * held,
               "%s, work %d: cancelled, %d tasks went on to %d looks and %d tiles", where,
               (int)work, held, (int)task->looks, (int)task->tiles);
    task->wanted = HELD_NOTHING;
    tess_future_free(future);
    wait_for_memory(memory, where, work);
    free(out);
}

// All kinds, and after each a compute that only has room if the one before has given up its memory.
static void
cancel_all(tess_session *session, uint64_t digest, const char *where)
{
    // The first array of a session has the same random numbers as that of another.
    tess_array *whole = program(session, HELD_STORE);
    for (int work = HELD_STORE; work <= HELD_PRODUCT; work++) {
        cancel_one(session, (enum held_work)work, where);
        test_check(test_digest(whole) == digest, "%s, after work %d was cancelled: a wrong result",
                   where, work);
    }
}

static void
embedded(int threads, uint64_t digest)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = threads;
    options.memory_limit_bytes = MEMORY_BYTES;
    options.spill_limit_bytes = -1;
    tess_session *session = tess_session_open_with("embedded", &options);
    cancel_all(session, digest, threads == 1 ? "one thread" : "two threads");
    tess_session_close(session);
}

static void
on_a_worker(uint64_t digest)
{
    struct test_cluster cluster = {.scheduler = 0};
    test_scheduler_start(&cluster, NULL);
    const char *const argv[] = {test_program("../tests/held_worker"),
                                "--no-nanny",
                                "--scheduler-file",
                                cluster.file,
                                "--nthreads",
                                "1",
                                "--memory-limit",
                                test_is_sanitized() ? MEMORY_SANITIZED : MEMORY,
                                "--spill-limit",
                                "0",
                                NULL};
    const pid_t worker = test_start("worker.log", argv);
    test_workers_await(&cluster, 1);
    tess_session *session = test_session(&cluster);
    cancel_all(session, digest, "a worker");
    tess_session_close(session);
    test_signal(worker, SIGTERM);
    test_check(test_wait(worker, 10000) == 0, "the worker did not end in order");
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(200);
    setenv(HELD_TASK_FILE, test_place("held"), 1);
    tess_session *session = tess_session_open("embedded");
    const uint64_t digest = test_digest(program(session, HELD_STORE));
    tess_session_close(session);
    embedded(1, digest);
    embedded(2, digest);
    on_a_worker(digest);
    puts("cancel: ok");
    return EXIT_SUCCESS;
}
