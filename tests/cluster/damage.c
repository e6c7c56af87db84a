// SPDX-License-Identifier: Apache-2.0
//
// Somebody flips bits on the way between processes: in segments of chunks, in small chunks that
// travel inside messages, and in arrays of the caller. What is damaged is noticed, counted and
// asked for again; the result has the right bits. What is damaged again and again is reported.

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/wire/message.h"
#include "tests/support/processes.h"
#include "tests/support/snoop.h"

enum { VANDALS_MAX = 8, SIDE = 700 };

// What somebody does to the messages of one socket.
struct vandal {
    struct test_snoop snoop;
    struct tsi_arena scratch;
    bool running;
    int seen;    // messages with bytes of chunks
    int damaged; // of them
};

static struct vandal vandals[VANDALS_MAX];
static int vandal_count;
static atomic_int every; // one of so many is damaged; 0: none

static void
flip(unsigned char *byte)
{
    *byte ^= 16;
}

// The first chunk inside a message of the scheduler or to it, NULL if there is none.
static const void *
find_data(const struct tsi_message *message)
{
    switch (message->type) {
    case TSI_MESSAGE_DONE:
        return message->done.count > 0 ? message->done.items[0].data : NULL;
    case TSI_MESSAGE_READY:
        return message->ready.count > 0 ? message->ready.items[0].data : NULL;
    case TSI_MESSAGE_ASSIGN:
        return message->assign.location_count > 0 ? message->assign.locations[0].data : NULL;
    default:
        return NULL;
    }
}

static int
look(void *context, bool to_server, zmq_msg_t *frames, int count)
{
    struct vandal *vandal = context;
    struct tsi_message message = {.type = TSI_MESSAGE_NONE};
    const void *data = NULL;
    (void)to_server;
    for (int i = 0; i < count && data == NULL && message.type != TSI_MESSAGE_SEGMENT; i++) {
        if (tsi_message_decode(zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]), &vandal->scratch,
                               &message, NULL) != TESS_OK) {
            return 1;
        }
        data = find_data(&message);
    }
    if (message.type == TSI_MESSAGE_SEGMENT && count > 1 && zmq_msg_size(&frames[1]) > 0) {
        data = (unsigned char *)zmq_msg_data(&frames[1]) + zmq_msg_size(&frames[1]) / 2;
    }
    const int now = atomic_load(&every);
    if (data != NULL && now > 0 && vandal->seen++ % now == 0) {
        flip((unsigned char *)(uintptr_t)data);
        vandal->damaged++;
    }
    return 1;
}

static void
step_between(const char *path)
{
    struct vandal *vandal = &vandals[vandal_count++];
    *vandal = (struct vandal){.running = true};
    tsi_arena_init(&vandal->scratch);
    test_check(test_snoop_interpose(&vandal->snoop, path, look, vandal), "no snoop at %s", path);
}

// All sockets in the directory of the daemons whose names begin with `letter`.
static void
step_between_all(char letter)
{
    static char paths[VANDALS_MAX][TEST_PATH_MAX];
    int count = 0;
    DIR *entries = opendir(test_place("tessera"));
    test_check(entries != NULL, "no directory of sockets");
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL && vandal_count + count < VANDALS_MAX) {
        if (entry->d_name[0] == letter && strstr(entry->d_name, ".behind") == NULL) {
            snprintf(paths[count++], TEST_PATH_MAX, "%s/%s", test_place("tessera"), entry->d_name);
        }
    }
    closedir(entries);
    test_check(count > 0, "no socket %c", letter);
    for (int i = 0; i < count; i++) {
        step_between(paths[i]);
    }
}

// An array of the caller and one that is rechunked between the workers.
static tess_array *
program(tess_session *session, const double *memory)
{
    tess_array *x = tess_from_memory(session, memory, TESS_F64, TESS_SHAPE(SIDE, SIDE), NULL,
                                     TESS_CHUNKS(100, 300));
    tess_array *y = tess_random_normal(session, TESS_SHAPE(SIDE, SIDE), TESS_CHUNKS(70, 700), 0, 1);
    tess_array *z = tess_multiply(tess_rechunk(y, TESS_CHUNKS(300, 100)), tess_sin(x));
    return tess_add(z, tess_exp(z));
}

// Sums whose parts are small enough to travel inside messages.
static tess_array *
small_program(tess_session *session)
{
    tess_array *x = tess_random_normal(session, TESS_SHAPE(3000, 60), TESS_CHUNKS(50, 10), 0, 1);
    return tess_sum(x, TESS_AXIS(0));
}

static void
sometimes_damaged(const struct test_cluster *cluster, const double *memory,
                  const uint64_t expected[2])
{
    tess_session *session = test_session(cluster);
    step_between_all('d');
    atomic_store(&every, 5);
    test_check(test_digest(program(session, memory)) == expected[0], "the result has other bits");
    test_check(test_digest(small_program(session)) == expected[1], "the sums have other bits");
    tess_session_close(session);
}

static void
always_damaged(const struct test_cluster *cluster)
{
    tess_session *session = test_session(cluster);
    tess_array *x = tess_ones(session, TESS_SHAPE(1000), TESS_CHUNKS(1000), TESS_F64);
    double out[1000];
    atomic_store(&every, 1);
    tess_array *sum = tess_add(x, tess_rechunk(x, TESS_CHUNKS(500)));
    const tess_status status = tess_compute(sum, out, sizeof out);
    test_check(status == TESS_EIO && strstr(tess_session_error(session), "damaged") != NULL,
               "the status is %s, the text “%s”", tess_status_name(status),
               tess_session_error(session));
    tess_session_close(session);
}

int
main(void)
{
    static double memory[SIDE * SIDE];
    struct test_cluster cluster = {.scheduler = 0};
    test_place_open(60);
    for (int i = 0; i < SIDE * SIDE; i++) {
        memory[i] = (double)i / 7;
    }
    tess_session *embedded = tess_session_open("embedded");
    const uint64_t expected[] = {test_digest(program(embedded, memory)),
                                 test_digest(small_program(embedded))};
    tess_session_close(embedded);

    test_scheduler_start(&cluster, NULL);
    step_between_all('s');
    test_worker_start(&cluster, 1, NULL);
    test_worker_start(&cluster, 1, NULL);
    test_workers_await(&cluster, 2);
    sometimes_damaged(&cluster, memory, expected);
    always_damaged(&cluster);
    atomic_store(&every, 0);
    test_cluster_stop(&cluster);
    int damaged = 0;
    for (int i = 0; i < vandal_count; i++) {
        test_snoop_stop(&vandals[i].snoop);
        tsi_arena_fini(&vandals[i].scratch);
        test_check(vandals[i].damaged > 0 || i > 0, "nothing passed vandal %d", i);
        damaged += vandals[i].damaged;
    }
    test_check(damaged > 10, "only %d were damaged", damaged);
    test_check(test_log_count("scheduler.log", "damaged=0") == 0, "the scheduler saw no damage");
    test_check(test_log_count("worker-0.log", "damaged=0") == 0, "worker 0 saw no damage");
    printf("damage: ok, %d\n", damaged);
    return EXIT_SUCCESS;
}
