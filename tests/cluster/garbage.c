// SPDX-License-Identifier: Apache-2.0
//
// Garbage at every socket of a cluster (the scheduler's, the data sockets of workers and of the
// client, and those where they lend memory) while a compute runs that uses all of them, over ipc,
// over tcp, and over tcp from somebody who has the keys: bytes that are no protocol, half frames,
// lengths of which no end is near, frames of random bytes, valid messages that are cut, changed, or
// sent by somebody who may not, whole conversations that were recorded and are sent again, floods.
// The compute has the right bits, nobody dies, and whoever goes on like that is thrown out.

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/net/lease.h"
#include "tests/support/random.h"
#include "tests/support/snoop.h"
#include "tests/support/stub.h"

enum {
    SOCKETS = 4,
    SIZE = 3000,
    RECORDS = 500,
    FRAMES = 300,
    FLOOD = 60000,
    SAMPLES_MAX = 32,
    RECORDS_MAX = 3000
};

struct sample {
    unsigned char bytes[4096];
    size_t count;
};

static struct tsi_connection connection; // of the cluster
static uint32_t epoch;                   // of the scheduler
static struct sample samples[SAMPLES_MAX];
static int sample_count;

// Chunks of the client's memory and of other workers, some larger and some smaller than what is
// lent.
static tess_array *
program(tess_session *session)
{
    static float memory[SIZE * SIZE];
    for (int i = 0; i < SIZE * SIZE && memory[SIZE * SIZE - 1] == 0; i++) {
        memory[i] = 1 + (float)(i % 1013);
    }
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(SIZE, SIZE), TESS_CHUNKS(250, 300), 1, 2);
    tess_array *y = tess_transpose(x, TESS_REVERSED);
    for (int i = 0; i < 8; i++) {
        y = tess_exp(tess_sin(y));
    }
    tess_array *large = tess_from_memory(session, memory, TESS_F32, TESS_SHAPE(SIZE, SIZE), NULL,
                                         TESS_CHUNKS(700, 1000));
    tess_array *small = tess_from_memory(session, memory, TESS_F32, TESS_SHAPE(SIZE, SIZE), NULL,
                                         TESS_CHUNKS(200, 300));
    tess_array *z = tess_add(tess_rechunk(y, TESS_CHUNKS(400, 500)), tess_cos(x));
    z = tess_multiply(z, tess_add(large, tess_transpose(small, TESS_REVERSED)));
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
    // Somebody who claims to have obeyed a newer scheduler.
    epoch += 1000;
    add_hello(TSI_ROLE_CLIENT);
    add_hello(TSI_ROLE_WORKER);
    epoch -= 1000;
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

// Whether the frame is no garbage but the greeting of a worker, as changes may make of one: on this
// host whoever may use the socket may be a worker.
static bool
is_good_greeting(const unsigned char *frame, size_t count)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_message message;
    struct tsi_arena scratch;
    tsi_arena_init(&scratch);
    const bool is_good = tsi_message_decode(frame, count, &scratch, &message, &error) == TESS_OK &&
                         message.type == TSI_MESSAGE_HELLO &&
                         message.hello.role == TSI_ROLE_WORKER && message.epoch <= epoch;
    tsi_arena_fini(&scratch);
    return is_good;
}

// Frames of one to three parts, some with a name of the sender's choice.
static void
throw_frames(const char *address, struct test_random *random)
{
    static unsigned char frame[8192];
    struct test_stub stub = test_stub_open(address, &connection);
    const int linger = 200;
    zmq_setsockopt(stub.socket, ZMQ_LINGER, &linger, sizeof linger);
    if (test_random_one_in(random, 2)) {
        char name[64];
        const int64_t count = test_random_between(random, 1, 60);
        memset(name, 'n', sizeof name);
        zmq_setsockopt(stub.socket, ZMQ_ROUTING_ID, name, (size_t)count);
        zmq_disconnect(stub.socket, address);
        test_check(zmq_connect(stub.socket, address) == 0, "%s", address);
    }
    for (int i = 0; i < FRAMES; i++) {
        const bool more = test_random_one_in(random, 4) && i + 1 < FRAMES;
        size_t count = make_frame(random, frame);
        while (is_good_greeting(frame, count)) {
            count = make_frame(random, frame);
        }
        zmq_send(stub.socket, frame, count, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    }
    test_stub_close(&stub);
}

// A plain connection to the socket at `address`, -1 if there is none.
static int
open_plain(const char *address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in internet = {.sin_family = AF_INET};
    const bool is_ipc = strncmp(address, "ipc://", 6) == 0;
    const int file = socket(is_ipc ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result;
    if (is_ipc) {
        snprintf(local.sun_path, sizeof local.sun_path, "%s", address + 6);
        result = connect(file, (struct sockaddr *)&local, sizeof local);
    } else {
        internet.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
        internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        result = connect(file, (struct sockaddr *)&internet, sizeof internet);
    }
    test_check(file >= 0 && result == 0, "%s: %s", address, strerror(errno));
    return file;
}

// What a sound peer says first (ZMTP 3.0 without security), so that what follows is read as frames.
static size_t
put_greeting(unsigned char *out)
{
    static const unsigned char ready[] = {4,   25,  5,   'R', 'E', 'A', 'D', 'Y', 11,  'S',
                                          'o', 'c', 'k', 'e', 't', '-', 'T', 'y', 'p', 'e',
                                          0,   0,   0,   6,   'D', 'E', 'A', 'L', 'E', 'R'};
    memset(out, 0, 64);
    out[0] = 0xFF;
    out[9] = 0x7F;
    out[10] = 3;
    memcpy(out + 12, "NULL", 4);
    memcpy(out + 64, ready, sizeof ready);
    out[65] = sizeof ready - 2;
    return 64 + sizeof ready;
}

// Bytes that are no ZMTP, or stop being it after a while.
static void
throw_bytes(const char *address, struct test_random *random)
{
    static const unsigned char endless[][9] = {
        {2, 0x7F, 255, 255, 255, 255, 255, 255, 255}, // a frame that never ends
        {2, 255, 255, 255, 255, 255, 255, 255, 255},
        {2, 0, 0, 0, 0, 0x10, 0, 0, 0},  // one that is larger than may be
        {3, 0, 0, 0, 0, 4, 0, 0, 0},     // a part of 64 MiB of which nothing comes
        {4, 200, 'X', 0, 0, 0, 0, 0, 0}, // half a command
    };
    unsigned char bytes[512];
    size_t count = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)test_random_bits(random);
    }
    const int64_t kind = test_random_between(random, 0, 6);
    if (kind < 5) {
        count = put_greeting(bytes);
        memcpy(bytes + count, endless[kind], 9);
        count += 9 + (size_t)test_random_between(random, 0, 100);
    } else {
        count = (size_t)test_random_between(random, 1, sizeof bytes);
    }
    const int file = open_plain(address);
    (void)!send(file, bytes, count, MSG_NOSIGNAL);
    if (kind < 5) {
        test_sleep_ms(5); // its greeting is read before the connection ends
    }
    close(file);
}

// Sends one valid message as fast as it goes.
static void
flood(const char *address, struct test_random *random)
{
    struct test_stub stub = test_stub_open(address, &connection);
    const struct sample *sample = &samples[test_random_between(random, 1, sample_count - 1)];
    for (int i = 0; i < FLOOD; i++) {
        zmq_send(stub.socket, sample->bytes, sample->count, ZMQ_DONTWAIT);
    }
    test_stub_close(&stub);
}

// What somebody between the members and the scheduler recorded.
struct recorder {
    pthread_mutex_t lock;
    struct sample records[RECORDS_MAX];
    int count;
};

static struct recorder recorder = {.lock = PTHREAD_MUTEX_INITIALIZER};

// Records what members say, and repeats it on their own connections, but for what ends or begins
// the membership.
static int
record(void *context, bool to_server, zmq_msg_t *frames, int count)
{
    (void)context;
    (void)count;
    const size_t bytes = zmq_msg_size(&frames[0]);
    const unsigned char *frame = zmq_msg_data(&frames[0]);
    if (!to_server || bytes < 16 || bytes > sizeof recorder.records[0].bytes) {
        return 1;
    }
    pthread_mutex_lock(&recorder.lock);
    if (recorder.count < RECORDS_MAX) {
        struct sample *sample = &recorder.records[recorder.count++];
        memcpy(sample->bytes, frame, bytes);
        sample->count = bytes;
    }
    pthread_mutex_unlock(&recorder.lock);
    return frame[3] == TSI_MESSAGE_HELLO || frame[3] == TSI_MESSAGE_GOODBYE ||
                   frame[3] == TSI_MESSAGE_DRAINING
               ? 1
               : 2;
}

// All that was recorded, from connections of one's own.
static void
replay(const char *address)
{
    for (int round = 0; round < 3; round++) {
        struct test_stub stub = test_stub_open(address, &connection);
        const int linger = 200;
        zmq_setsockopt(stub.socket, ZMQ_LINGER, &linger, sizeof linger);
        pthread_mutex_lock(&recorder.lock);
        for (int i = 0; i < recorder.count; i++) {
            const struct sample *sample = &recorder.records[i];
            zmq_send(stub.socket, sample->bytes, sample->count, ZMQ_DONTWAIT);
        }
        pthread_mutex_unlock(&recorder.lock);
        test_stub_close(&stub);
    }
}

// A member that sends what nobody can read.
static void
misbehave(const struct test_cluster *cluster)
{
    static const char nonsense[40] = "TS";
    const int before = test_log_count("scheduler.log", "cannot be read");
    struct test_stub stub = test_stub_join(cluster, TSI_ROLE_CLIENT);
    for (int i = 0; i < 200; i++) {
        zmq_send(stub.socket, nonsense, sizeof nonsense, 0);
    }
    test_log_wait("scheduler.log", "why=it sends frames that cannot be read", before + 1, 5000);
    test_stub_close(&stub);
}

// Records to somebody who lends memory: for chunks that are and are not there, with leases that
// nobody gave, of types that nobody knows, too short and too long, and none at all; then it is
// gone. What it was lent goes back with it.
static void
borrow_badly(const char *path, struct test_random *random)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    unsigned char bytes[2 * sizeof(struct tsi_lease_record)];
    snprintf(local.sun_path, sizeof local.sun_path, "%s", path);
    const int file = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    test_check(file >= 0 && connect(file, (struct sockaddr *)&local, sizeof local) == 0, "%s: %s",
               path, strerror(errno));
    for (int i = 0; i < RECORDS; i++) {
        struct tsi_lease_record record = {
            .magic = TSI_LEASE_MAGIC,
            .type = (uint32_t)test_random_between(random, 0, 8),
            .key = tsi_key_of((uint32_t)test_random_between(random, 1, 3),
                              (uint32_t)test_random_between(random, 0, 200)),
            .lease = test_random_one_in(random, 2) ? (uint64_t)test_random_between(random, 0, 50)
                                                   : test_random_bits(random),
            .offset = test_random_bits(random),
            .bytes = test_random_one_in(random, 2) ? 700 * 1000 * 4 : test_random_bits(random),
            .word = test_random_bits(random),
            .generation = test_random_bits(random)};
        size_t count = sizeof record;
        if (test_random_one_in(random, 60)) {
            record.magic = (uint32_t)test_random_bits(random);
        }
        memset(bytes, 0xA5, sizeof bytes);
        memcpy(bytes, &record, sizeof record);
        if (test_random_one_in(random, 60)) {
            count = (size_t)test_random_between(random, 0, sizeof bytes);
        }
        if (send(file, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) {
            break; // it was thrown out
        }
    }
    close(file);
}

// At every socket where memory is lent.
static void
borrow_everywhere(struct test_random *random)
{
    char directory[TEST_PATH_MAX];
    char path[2 * TEST_PATH_MAX];
    int lenders = 0;
    test_check(tsi_connection_directory(directory, sizeof directory, NULL) == TESS_OK, "no room");
    DIR *list = opendir(directory);
    test_check(list != NULL, "%s", directory);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        if (entry->d_name[0] == 'm' && strchr(entry->d_name, '.') == NULL) {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            lenders++;
            for (int i = 0; i < 3; i++) {
                borrow_badly(path, random);
            }
        }
    }
    closedir(list);
    test_check(lenders >= 3, "only %d lend memory", lenders);
}

static void
throw_everything(char addresses[SOCKETS][TEST_PATH_MAX], int count, struct test_random *random)
{
    for (int i = 0; i < 3 * count; i++) {
        const char *address = addresses[i % count];
        throw_bytes(address, random);
        throw_bytes(address, random);
        throw_frames(address, random);
    }
    for (int i = 0; i < count; i++) {
        flood(addresses[i], random);
    }
    borrow_everywhere(random);
    replay(addresses[0]);
}

static void
check_cluster(const char *what, const char *const *flags, uint64_t expected)
{
    static char addresses[SOCKETS][TEST_PATH_MAX];
    struct test_random random = {.state = 20240607};
    struct test_cluster cluster = {.scheduler = 0};
    struct test_snoop snoop;
    const int clients = test_log_count("scheduler.log", "client joined");
    test_scheduler_start(&cluster, flags);
    test_check(tsi_connection_read(cluster.file, &connection, NULL) == TESS_OK, "no file");
    const bool is_ipc = strncmp(connection.address, "ipc://", 6) == 0;
    epoch = connection.epoch;
    sample_count = recorder.count = 0;
    make_samples();
    test_check(!is_ipc || test_snoop_interpose(&snoop, connection.address + 6, record, NULL),
               "nobody can record");
    test_worker_start(&cluster, 1, NULL);
    test_worker_start(&cluster, 1, NULL);
    test_workers_await(&cluster, 2);
    tess_session *session = test_session(&cluster);
    test_log_wait("scheduler.log", "client joined", clients + 1, 4000);
    snprintf(addresses[0], TEST_PATH_MAX, "%s", connection.address);
    test_endpoints("worker joined", &addresses[1], 2);
    test_endpoints("client joined", &addresses[3], 1);
    tess_array *x = program(session);
    size_t bytes = tess_array_bytes(x);
    void *out = malloc(bytes);
    test_check(out != NULL, "out of memory");
    for (int round = 0; round < 2; round++) {
        tess_future *future = tess_submit(&x, &out, &bytes, 1);
        test_check(test_wait_progress(future, 1), "%s: the compute ended too early", what);
        throw_everything(addresses, SOCKETS, &random);
        const tess_status status = tess_future_wait(future, 20000);
        test_check(status == TESS_OK, "%s, round %d: %s", what, round, tess_session_error(session));
        test_check(test_hash(out, bytes) == expected, "%s, round %d: other bits", what, round);
        tess_future_free(future);
    }
    free(out);
    tess_session_close(session);
    misbehave(&cluster);
    for (int i = 0; i < cluster.worker_count; i++) {
        test_check(test_is_running(cluster.workers[i]), "%s: worker %d has died", what, i);
    }
    test_check(test_log_count("scheduler.log", "worker joined") == cluster.joined_before + 2,
               "%s: somebody became a worker by what he recorded", what);
    test_check(!is_ipc || recorder.count > 20, "nothing was recorded");
    test_cluster_stop(&cluster);
    if (is_ipc) {
        test_snoop_stop(&snoop);
    }
}

// `count` frames that nobody can read, and then one that is answered, by when all have come.
static void
throw_counted(const char *address, int count, struct tsi_message *last)
{
    static const char nonsense[40] = "TS";
    char answer[512];
    struct test_stub stub = test_stub_open(address, &connection);
    for (int i = 0; i < count; i++) {
        zmq_send(stub.socket, nonsense, sizeof nonsense, 0);
    }
    test_stub_send(&stub, last);
    test_check(zmq_recv(stub.socket, answer, sizeof answer, 0) >= 0, "%s: no answer", address);
    test_stub_close(&stub);
}

// A cluster without work, at which just so many bad frames are thrown, counts just so many.
static void
all_are_counted(void)
{
    enum { AT_SCHEDULER = 73, AT_WORKER = 41 };
    char line[64];
    char endpoint[1][TEST_PATH_MAX];
    struct test_cluster cluster;
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = TSI_ROLE_CLIENT,
                                          .name = "counted",
                                          .library = "0",
                                          .endpoint = "ipc:///nowhere",
                                          .host = "nowhere"}};
    struct tsi_message get = {.type = TSI_MESSAGE_GET, .get = {.key = 77}};
    test_cluster_start_with(&cluster, NULL, 1, NULL);
    test_check(tsi_connection_read(cluster.file, &connection, NULL) == TESS_OK, "no file");
    test_endpoints("worker joined", endpoint, 1);
    throw_counted(connection.address, AT_SCHEDULER, &hello);
    throw_counted(endpoint[0], AT_WORKER, &get);
    test_cluster_stop(&cluster);
    snprintf(line, sizeof line, "workers_lost=0 bad_frames=%d ", AT_SCHEDULER);
    test_check(test_log_count("scheduler.log", line) == 1, "the scheduler did not count %d",
               AT_SCHEDULER);
    snprintf(line, sizeof line, "damaged=0 bad_frames=%d\n", AT_WORKER);
    test_check(test_log_count("worker-0.log", line) == 1, "the worker did not count %d", AT_WORKER);
}

int
main(void)
{
    static const char *const open[] = {"--port", "0", "--insecure", NULL};
    static const char *const with_keys[] = {"--port", "0", NULL};
    test_place_open(80);
    tess_session *embedded = tess_session_open("embedded");
    const uint64_t expected = test_digest(program(embedded));
    tess_session_close(embedded);
    check_cluster("ipc", NULL, expected);
    check_cluster("tcp", open, expected);
    check_cluster("tcp with keys", with_keys, expected);
    test_check(test_log_count("scheduler.log", "bad_frames=0") == 0,
               "no garbage came to a scheduler");
    test_check(test_log_count("worker-0.log", "bad_frames=0") == 0 &&
                   test_log_count("worker-1.log", "bad_frames=0") == 0,
               "no garbage came to a worker");
    all_are_counted();
    puts("garbage: ok");
    return EXIT_SUCCESS;
}
