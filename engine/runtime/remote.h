// SPDX-License-Identifier: Apache-2.0
//
// The client of a scheduler daemon: remote.c takes the session's calls, remote_thread.c is the one
// thread that owns the sockets, remote_link.c opens them, and again when the scheduler comes back,
// remote_receive.c is what the thread does with messages, remote_gather.c how chunks come and go,
// remote_held.c the caller's own arrays.

#ifndef TSI_RUNTIME_REMOTE_H
#define TSI_RUNTIME_REMOTE_H

#include <pthread.h>

#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "engine/net/later.h"
#include "engine/net/transfer.h"
#include "engine/runtime/backend.h"

// A target chunk to fetch.
struct tsi_remote_chunk {
    uint32_t task;
    uint32_t peer;
    uint64_t bytes;
};

// A chunk of the caller's memory as it is sent.
struct tsi_remote_copy {
    tsi_key key;
    struct tsi_buf *chunk;
};

// One submitted program.
struct tsi_remote_job {
    uint64_t token;
    uint32_t number; // 0 until it is accepted
    struct tess_future *future;
    bool cancelled;
    uint64_t started_ns;
    uint64_t workerless_since_ns;            // 0 while there are workers
    TSI_VEC(struct tsi_remote_chunk) wanted; // ready, not asked for yet; taken from the front
    size_t wanted_taken;
    uint64_t ask_again_ns;   // after a fetch that failed: not before
    int failures;            // of fetches
    uint64_t *delivered;     // one bit a task: its chunk is in its place
    uint64_t left;           // chunks to be delivered that are not in their places
    bool only_delivers;      // nothing else is to be done
    bool has_fetched;        // chunks that did not come with a message
    bool is_told;            // of all targets; then the future has what the job took
    int damages;             // of these, for a wrong checksum
    TSI_VEC(uint32_t) taken; // delivered, not told yet
};

// What the session's thread asks of the socket thread.
enum tsi_remote_wish {
    TSI_REMOTE_SUBMIT,
    TSI_REMOTE_ATTACH,
    TSI_REMOTE_CANCEL,
    TSI_REMOTE_RELEASE,
    TSI_REMOTE_CLOSE
};

struct tsi_remote_command {
    enum tsi_remote_wish wish;
    struct tess_future *future; // SUBMIT, ATTACH: a reference; CANCEL: to compare only
    unsigned char *bytes;       // SUBMIT: the program
    size_t count;
    uint32_t job;   // RELEASE
    uint64_t token; // ATTACH
};

// A job whose chunks are kept.
struct tsi_remote_kept {
    uint32_t number;
    uint64_t token;
    struct tsi_error *error; // why there are none, of one that was attached to; NULL
};

// A detached job that is asked for.
struct tsi_remote_attach {
    uint64_t token;
    struct tess_future *future;
};

struct tsi_remote {
    struct tsi_backend backend;
    char *place;                       // what the user named, where the scheduler is found again
    bool insecure;                     // it may be one without keys
    int64_t return_timeout_ns;         // negative: for ever
    char where[TSI_WIRE_ENDPOINT_MAX]; // the scheduler's address
    int64_t worker_timeout_ns;         // negative: for ever
    pthread_t thread;
    int wake_fd;

    pthread_mutex_t lock; // of the next three, which both threads touch
    pthread_cond_t settled_cond;
    TSI_VEC(struct tsi_remote_command) commands;
    tess_status settled; // TESS_RUNNING until the scheduler has answered the hello
    struct tsi_error refusal;
    uint32_t worker_threads; // of all workers that are there now
    uint64_t worker_bytes;   // the least that chunks may take at one that was there; 0: none was

    // The socket thread's own.
    struct tsi_connection connection;
    struct tsi_net *net;
    void *socket;
    void *monitor;
    struct tsi_server *server;
    struct tsi_fetcher *fetcher;
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    char host[TSI_WIRE_NAME_MAX + 1]; // identity
    uint32_t peer;
    uint64_t next_heartbeat_ns;
    uint64_t heard_ns;
    bool closing;
    bool broke;           // its connection, in this turn
    bool lost;            // the scheduler is gone; every job fails
    bool may_return;      // the scheduler keeps a journal
    uint64_t parted_ns;   // since when it is gone and may come back; 0: it is not
    uint64_t next_try_ns; // to reach it
    uint64_t hello_ns;    // when it was greeted
    uint32_t epoch_obeyed;
    char parted_why[128];
    TSI_VEC(struct tsi_remote_kept) kept;
    TSI_VEC(struct tsi_remote_attach) attaches;
    TSI_VEC(struct tsi_remote_job *) jobs;
    uint64_t bytes_fetching;
    size_t chunks_fetching;
    uint64_t damaged;                       // segments, as the fetcher last told
    TSI_VEC(struct tsi_remote_copy) copies; // the one used last is the last
    uint64_t bytes_copied;
    bool has_processors;       // more than one
    struct tsi_helper *helper; // for large copies, from the first one on
    struct tsi_arena scratch;
    struct tsi_wire_buf out;
    struct tsi_later later; // to the scheduler
};

void *tsi_remote_thread(void *argument);

// remote_link.c

// Makes the sockets for the scheduler that `connection` tells of.
tess_status tsi_remote_open_sockets(struct tsi_remote *remote, struct tsi_error *error);
void tsi_remote_close_sockets(struct tsi_remote *remote, int linger_ms);
void tsi_remote_say_hello(struct tsi_remote *remote);
// The scheduler is gone: waits for it if it may come back, else loses it.
void tsi_remote_part(struct tsi_remote *remote, const char *why);
// While it is gone: tries to reach it, and gives up in time.
void tsi_remote_seek(struct tsi_remote *remote, uint64_t now);
// It welcomes the client, for the first time or again; false if it is an older one than before.
bool tsi_remote_welcomed(struct tsi_remote *remote, const struct tsi_message *message);
// The job has a number again: tells what the scheduler may not know.
void tsi_remote_retell(struct tsi_remote *remote, struct tsi_remote_job *job);
void tsi_remote_submit(struct tsi_remote *remote, struct tsi_remote_job *job);

// remote_receive.c
void tsi_remote_receive(struct tsi_remote *remote);
void tsi_remote_send(struct tsi_remote *remote, struct tsi_message *message);
// The same, but it may leave a moment later, with what else there is to send.
void tsi_remote_send_later(struct tsi_remote *remote, struct tsi_message *message);
// Sends what was kept back.
void tsi_remote_flush(struct tsi_remote *remote);
struct tsi_remote_job *tsi_remote_job(const struct tsi_remote *remote, uint32_t number);
// Whether a job was submitted whose number is not known yet.
bool tsi_remote_awaits_number(const struct tsi_remote *remote);
void tsi_remote_end_job(struct tsi_remote *remote, struct tsi_remote_job *job, tess_status status,
                        const char *text);
void tsi_remote_lose(struct tsi_remote *remote, const char *why);

// remote_detached.c

// Asks for a detached job; all that are asked for again, when the scheduler has come back; gives
// them all up.
void tsi_remote_attach(struct tsi_remote *remote, struct tess_future *future, uint64_t token);
void tsi_remote_attach_again(struct tsi_remote *remote);
void tsi_remote_attach_fail(struct tsi_remote *remote, tess_status status, const char *text);
// What the scheduler answers: the job's program, or by JOB_ENDED that there is none. False if the
// latter is about no job that is asked for.
void tsi_remote_attached(struct tsi_remote *remote, const struct tsi_message *message);
bool tsi_remote_not_attached(struct tsi_remote *remote, const struct tsi_message *message);
// A job whose chunks this session keeps has failed: those who use them hear why.
void tsi_remote_kept_failed(struct tsi_remote *remote, const struct tsi_message *message);
// Why a program cannot be computed: chunks that it uses were to be kept, and never were made.
const struct tsi_error *tsi_remote_kept_error(const struct tsi_remote *remote,
                                              const struct tsi_program *program);
// The chunks of a job are the user's, and are not any more.
bool tsi_remote_keep(struct tsi_remote *remote, uint32_t number, uint64_t token);
bool tsi_remote_keeps(const struct tsi_remote *remote, uint32_t number);
void tsi_remote_forget(struct tsi_remote *remote, uint32_t number);

// remote_gather.c

// Who helps to copy so many bytes; NULL: nobody.
struct tsi_helper *tsi_remote_helper(struct tsi_remote *remote, uint64_t bytes);
void tsi_remote_ready(struct tsi_remote *remote, struct tsi_remote_job *job,
                      const struct tsi_message *message);
void tsi_remote_gather(struct tsi_remote *remote);
void tsi_remote_fetched(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk,
                        const char *text);
// Before the future of a job ends: nothing is written to the caller's memory any more.
void tsi_remote_give_up_fetches(struct tsi_remote *remote, uint32_t job);
struct tsi_buf *tsi_remote_lookup(void *context, tsi_key key, const char **text);

// remote_held.c
struct tsi_buf *tsi_remote_held(struct tsi_remote *remote, tsi_key key,
                                const struct tsi_chunk_op *op, const struct tess_array *array);
void tsi_remote_drop_copies(struct tsi_remote *remote, uint32_t job);

#endif
