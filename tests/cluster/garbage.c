// SPDX-License-Identifier: Apache-2.0
//
// Garbage at the sockets of scheduler and worker while a compute runs: plain bytes, frames of
// random bytes, valid messages that are cut, changed, or sent by somebody who may not. The compute
// has the right bits, and nobody dies.

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/net/connection.h"
#include "scheduler/wire/message.h"
#include "tests/support/processes.h"
#include "tests/support/random.h"

enum { FRAMES = 400, ADDRESSES_MAX = 8, SAMPLES_MAX = 32 };

struct sample {
    unsigned char bytes[4096];
    size_t count;
};

static uint32_t epoch; // of the scheduler
static struct sample samples[SAMPLES_MAX];
static int sample_count;

static tess_array *
program(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(3000, 3000), TESS_CHUNKS(250, 300), 1, 2);
    tess_array *y = tess_transpose(x, TESS_REVERSED);
    for (int i = 0; i < 8; i++) {
        y = tess_exp(tess_sin(y));
    }
    tess_array *z = tess_add(tess_rechunk(y, TESS_CHUNKS(400, 500)), tess_cos(x));
    return tess_sum(tess_multiply(z, z), TESS_AXIS(0));
}

static void
add_sample(struct tsi_message *message)
{
    struct tsi_wire_buf out = {NULL, 0, 0};
    message->epoch = epoch;
    message->peer = 1 + (uint32_t)sample_count % 40;
    struct sample *sample = &samples[sample_count++];
    test_check(tsi_message_encode(message, &out) && out.count <= sizeof sample->bytes,
               "cannot encode a sample");
    memcpy(sample->bytes, out.bytes, out.count);
    sample->count = out.count;
    tsi_wire_buf_fini(&out);
}

static void
add_hello(uint8_t role)
{
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = role,
                                          .name = "stranger",
                                          .library = "0",
                                          .endpoint = "ipc:///nowhere",
                                          .host = "nowhere",
                                          .threads = role == TSI_ROLE_WORKER ? 1 : 0,
                                          .memory_bytes = 1}};
    add_sample(&hello);
}

// One message of each kind that somebody may send, with numbers of nothing.
static void
make_samples(void)
{
    static const uint32_t tasks[] = {0, 1, 4000000000};
    static const tsi_key keys[] = {0, 1, UINT64_MAX};
    static const struct tsi_completion done[] = {{.job = 1, .task = 3, .sequence = 1, .bytes = 8}};
    add_hello(TSI_ROLE_CLIENT);
    struct tsi_message messages[] = {
        {.type = TSI_MESSAGE_HEARTBEAT},
        {.type = TSI_MESSAGE_GOODBYE},
        {.type = TSI_MESSAGE_DRAINING},
        {.type = TSI_MESSAGE_DONE, .done = {.items = done, .count = 1}},
        {.type = TSI_MESSAGE_COPIED, .keys = {.keys = keys, .count = 3}},
        {.type = TSI_MESSAGE_FREE, .keys = {.keys = keys, .count = 3}},
        {.type = TSI_MESSAGE_DROP_JOB, .job = {.job = 1}},
        {.type = TSI_MESSAGE_CANCEL, .job = {.job = 1}},
        {.type = TSI_MESSAGE_RELEASE, .job = {.job = 1}},
        {.type = TSI_MESSAGE_TAKEN, .taken = {.job = 1, .tasks = tasks, .count = 3}},
        {.type = TSI_MESSAGE_SUBMIT,
         .submit = {.token = 1, .bytes = samples[0].bytes, .count = 60}},
        {.type = TSI_MESSAGE_GET, .get = {.key = 1, .offset = 0, .length = 0}},
        {.type = TSI_MESSAGE_GET, .get = {.key = UINT64_MAX, .offset = UINT64_MAX, .length = 9}},
        {.type = TSI_MESSAGE_MISSING, .missing = {.key = 1, .text = "no"}},
        {.type = TSI_MESSAGE_WELCOME, .welcome = {.peer = 1, .heartbeat_ms = 1000}},
        {.type = TSI_MESSAGE_REFUSE, .refuse = {.status = TESS_ELOST, .text = "no"}},
        {.type = TSI_MESSAGE_DRAINED},
    };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        add_sample(&messages[i]);
    }
}

// A frame that is random, or a sample that is whole, cut, longer, or changed in a few places.
static size_t
make_frame(struct test_random *random, unsigned char *out)
{
    const struct sample *sample = &samples[test_random_between(random, 0, sample_count - 1)];
    size_t count = sample->count;
    memcpy(out, sample->bytes, count);
    switch (test_random_between(random, 0, 4)) {
    case 0:
        count = (size_t)test_random_between(random, 0, 300);
        for (size_t i = 0; i < count; i++) {
            out[i] = (unsigned char)test_random_bits(random);
        }
        break;
    case 1:
        count = (size_t)test_random_between(random, 0, (int64_t)count);
        break;
    case 2:
        count += (size_t)test_random_between(random, 1, 100);
        break;
    case 3:
        for (int i = 0; i < 4 && count > 0; i++) {
            out[test_random_between(random, 0, (int64_t)count - 1)] =
                (unsigned char)test_random_bits(random);
        }
        break;
    default:
        break;
    }
    return count;
}

// Frames of one to three parts, some with a name of the sender's choice.
static void
throw_frames(void *context, const char *address, struct test_random *random)
{
    static unsigned char frame[8192];
    void *socket = zmq_socket(context, ZMQ_DEALER);
    const int linger = 200;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    if (test_random_one_in(random, 2)) {
        char name[64];
        const int64_t count = test_random_between(random, 1, 60);
        memset(name, 'n', sizeof name);
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, name, (size_t)count);
    }
    test_check(zmq_connect(socket, address) == 0, "%s: %s", address, zmq_strerror(errno));
    for (int i = 0; i < FRAMES; i++) {
        const bool more = test_random_one_in(random, 4) && i + 1 < FRAMES;
        const size_t count = make_frame(random, frame);
        zmq_send(socket, frame, count, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    }
    zmq_close(socket);
}

// Bytes that are no ZMTP, into the same socket.
static void
throw_bytes(const char *path, struct test_random *random)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char bytes[512];
    const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_check(file >= 0 && strlen(path) < sizeof address.sun_path, "%s", path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)test_random_bits(random);
    }
    if (test_random_one_in(random, 2)) {
        // The beginning of a greeting, so that more is read.
        static const unsigned char greeting[] = {0xff, 0,   0, 0, 0,   0,   0,   0,
                                                 1,    127, 3, 0, 'N', 'U', 'L', 'L'};
        memcpy(bytes, greeting, sizeof greeting);
    }
    if (connect(file, (struct sockaddr *)&address, sizeof address) == 0) {
        (void)!send(file, bytes, (size_t)test_random_between(random, 1, sizeof bytes),
                    MSG_NOSIGNAL);
    }
    close(file);
}

// The sockets in the directory of the daemons: "s" of the scheduler, "d" of data.
static int
find_sockets(char paths[ADDRESSES_MAX][TEST_PATH_MAX])
{
    int count = 0;
    const char *directory = test_place("tessera");
    DIR *entries = opendir(directory);
    test_check(entries != NULL, "%s cannot be read", directory);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL && count < ADDRESSES_MAX) {
        if (entry->d_name[0] == 's' || entry->d_name[0] == 'd') {
            snprintf(paths[count++], TEST_PATH_MAX, "%s/%s", directory, entry->d_name);
        }
    }
    closedir(entries);
    return count;
}

int
main(void)
{
    static char paths[ADDRESSES_MAX][TEST_PATH_MAX];
    struct test_random random = {.state = 20240607};
    struct test_cluster cluster;
    test_place_open(60);
    tess_session *embedded = tess_session_open("embedded");
    const uint64_t expected = test_digest(program(embedded));
    tess_session_close(embedded);
    test_cluster_start(&cluster, 2, 1);
    struct tsi_connection connection;
    test_check(tsi_connection_read(cluster.file, &connection, NULL) == TESS_OK, "no file");
    epoch = connection.epoch;
    make_samples();
    tess_session *session = test_session(&cluster);
    tess_array *x = program(session);
    size_t bytes = tess_array_bytes(x);
    void *out = malloc(bytes);
    const int sockets = find_sockets(paths);
    test_check(out != NULL && sockets >= 4, "there are %d sockets", sockets);
    void *context = zmq_ctx_new();
    for (int round = 0; round < 3; round++) {
        tess_future *future = tess_submit(&x, &out, &bytes, 1);
        test_check(test_wait_progress(future, 1), "the compute ended too early");
        for (int i = 0; i < 4 * sockets; i++) {
            char address[TEST_PATH_MAX + 8];
            snprintf(address, sizeof address, "ipc://%s", paths[i % sockets]);
            throw_bytes(paths[i % sockets], &random);
            throw_frames(context, address, &random);
        }
        const tess_status status = tess_future_wait(future, 15000);
        test_check(status == TESS_OK, "round %d: %s", round, tess_session_error(session));
        test_check(test_hash(out, bytes) == expected, "round %d has other bits", round);
        tess_future_free(future);
    }
    zmq_ctx_term(context);
    free(out);
    tess_session_close(session);
    for (int i = 0; i < cluster.worker_count; i++) {
        test_check(test_is_running(cluster.workers[i]), "worker %d has died", i);
    }
    test_cluster_stop(&cluster);
    test_check(test_log_count("scheduler.log", "bad_frames=0") == 0,
               "no garbage came to the scheduler");
    puts("garbage: ok");
    return EXIT_SUCCESS;
}
