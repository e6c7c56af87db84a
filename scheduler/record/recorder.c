// SPDX-License-Identifier: Apache-2.0
//
// The daemon's thread fills `open` and puts it at the end of a queue; the writing thread takes
// from the front. What waits there is bounded by its bytes. `stopped` is set once, by whoever finds
// that it cannot go on, who also says so; from then on nothing is collected, and what waits is
// thrown away.

#include "scheduler/record/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "scheduler/record/record.h"

enum {
    BLOCK_BYTES = 1 << 16, // a block is handed over when it has so many
    DIGEST_EVERY = 4096,   // records
    ABORT_WAITS = 1000,    // milliseconds, for the writing thread
};

// What may wait for the disk; a program that is larger may wait alone.
#define WAITING_BYTES_MAX ((size_t)64 << 20)

struct block {
    struct block *next;
    unsigned char *bytes;
    size_t count;
};

struct tsi_recorder {
    int file;
    struct tsi_put open; // starts with room for the frame
    uint64_t records;
    atomic_bool stopped;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct block *first;
    struct block *last;
    atomic_size_t waiting_bytes; // with those that are being written
    bool closing;
};

static void
stop(struct tsi_recorder *recorder, const char *why)
{
    if (!atomic_exchange(&recorder->stopped, true)) {
        tsi_log(TSI_LOG_ERROR, "recording stopped", "%s", why);
    }
}

static bool
write_all(int file, const unsigned char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t written = write(file, bytes, count);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        bytes += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static struct block *
wait_for_block(struct tsi_recorder *recorder)
{
    pthread_mutex_lock(&recorder->mutex);
    while (recorder->first == NULL && !recorder->closing) {
        pthread_cond_wait(&recorder->changed, &recorder->mutex);
    }
    struct block *block = recorder->first;
    if (block != NULL) {
        recorder->first = block->next;
        recorder->last = block->next == NULL ? NULL : recorder->last;
    }
    pthread_mutex_unlock(&recorder->mutex);
    return block;
}

static void *
write_blocks(void *context)
{
    struct tsi_recorder *recorder = context;
    struct block *block;
    // A file that may not grow is an error of write() like a full disk, not the end of the process.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    while ((block = wait_for_block(recorder)) != NULL) {
        if (!atomic_load(&recorder->stopped) &&
            !write_all(recorder->file, block->bytes, block->count)) {
            stop(recorder, strerror(errno));
        }
        atomic_fetch_sub(&recorder->waiting_bytes, block->count);
        tsi_free(block->bytes);
        tsi_free(block);
    }
    return NULL;
}

// The one that is written out when the process aborts.
static struct tsi_recorder *watched;

// The thread that aborts is the daemon's, so `open` stands still, at the end of a record.
static void
on_abort(int number)
{
    (void)number;
    struct tsi_recorder *recorder = watched;
    const struct timespec millisecond = {0, 1000000};
    for (int i = 0; i < ABORT_WAITS && atomic_load(&recorder->waiting_bytes) > 0; i++) {
        nanosleep(&millisecond, NULL);
    }
    if (!atomic_load(&recorder->stopped) && !recorder->open.failed &&
        recorder->open.count > TSI_RECORD_FRAME) {
        tsi_record_frame(recorder->open.bytes, recorder->open.count);
        (void)write_all(recorder->file, recorder->open.bytes, recorder->open.count);
    }
}

static bool
start(struct tsi_recorder *recorder, const struct tsi_record *first)
{
    struct tsi_put head = {0};
    tsi_record_put_head(&head);
    const bool is_begun = !head.failed && write_all(recorder->file, head.bytes, head.count);
    tsi_free(head.bytes);
    if (!is_begun) {
        return false;
    }
    (void)tsi_put_room(&recorder->open, TSI_RECORD_FRAME);
    tsi_record_put(&recorder->open, first);
    errno = ENOMEM;
    return !recorder->open.failed &&
           pthread_create(&recorder->thread, NULL, write_blocks, recorder) == 0;
}

struct tsi_recorder *
tsi_recorder_open(const char *path, const struct tsi_record *first, struct tsi_error *error)
{
    struct tsi_recorder *recorder = tsi_calloc(1, sizeof *recorder);
    if (recorder == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "out of memory");
        return NULL;
    }
    // Names of machines and small chunks of data are in it.
    recorder->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pthread_mutex_init(&recorder->mutex, NULL);
    pthread_cond_init(&recorder->changed, NULL);
    if (recorder->file < 0 || !start(recorder, first)) {
        tsi_error_set(error, TESS_EIO, "%s: cannot record: %s", path, strerror(errno));
        if (recorder->file >= 0) {
            close(recorder->file);
        }
        tsi_free(recorder->open.bytes);
        tsi_free(recorder);
        return NULL;
    }
    watched = recorder;
    const struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGABRT, &action, NULL);
    return recorder;
}

void
tsi_recorder_flush(struct tsi_recorder *recorder)
{
    if (recorder == NULL || atomic_load(&recorder->stopped) ||
        recorder->open.count <= TSI_RECORD_FRAME) {
        return;
    }
    struct block *block = tsi_calloc(1, sizeof *block);
    const size_t waiting = atomic_load(&recorder->waiting_bytes);
    const size_t count = recorder->open.count;
    if (block == NULL || recorder->open.failed || count > TSI_RECORD_BLOCK_MAX) {
        tsi_free(block);
        stop(recorder, "out of memory");
        return;
    }
    if (waiting > 0 && waiting + count > WAITING_BYTES_MAX) {
        tsi_free(block);
        stop(recorder, "the disk is too slow");
        return;
    }
    *block = (struct block){NULL, recorder->open.bytes, count};
    tsi_record_frame(block->bytes, count);
    recorder->open = (struct tsi_put){0};
    (void)tsi_put_room(&recorder->open, TSI_RECORD_FRAME);
    atomic_fetch_add(&recorder->waiting_bytes, count);
    pthread_mutex_lock(&recorder->mutex);
    if (recorder->last != NULL) {
        recorder->last->next = block;
    } else {
        recorder->first = block;
    }
    recorder->last = block;
    pthread_cond_signal(&recorder->changed);
    pthread_mutex_unlock(&recorder->mutex);
}

void
tsi_recorder_put(struct tsi_recorder *recorder, const struct tsi_record *record)
{
    if (recorder == NULL || atomic_load(&recorder->stopped)) {
        return;
    }
    if (recorder->open.count >= BLOCK_BYTES || recorder->open.failed) {
        tsi_recorder_flush(recorder);
    }
    tsi_record_put(&recorder->open, record);
    recorder->records = record->type == TSI_RECORD_DIGEST ? 0 : recorder->records + 1;
}

bool
tsi_recorder_wants_digest(const struct tsi_recorder *recorder)
{
    return recorder != NULL && recorder->records >= DIGEST_EVERY;
}

void
tsi_recorder_event(struct tsi_recorder *recorder, const struct tsi_sched_event *event)
{
    if (recorder != NULL) {
        tsi_recorder_put(recorder, &(struct tsi_record){.type = TSI_RECORD_EVENT, .event = *event});
    }
}

void
tsi_recorder_poll(struct tsi_recorder *recorder, const struct tsi_sched *sched, uint64_t now_ns,
                  const struct tsi_sched_action *action)
{
    if (recorder == NULL || atomic_load(&recorder->stopped)) {
        return;
    }
    struct tsi_record record = {.type = TSI_RECORD_POLL, .now_ns = now_ns};
    record.hash = action != NULL ? tsi_record_hash(action) : 0;
    tsi_recorder_put(recorder, &record);
    if (tsi_recorder_wants_digest(recorder)) {
        record = (struct tsi_record){.type = TSI_RECORD_DIGEST, .hash = tsi_sched_digest(sched)};
        tsi_recorder_put(recorder, &record);
    }
}

void
tsi_recorder_close(struct tsi_recorder *recorder, uint64_t digest)
{
    if (recorder == NULL) {
        return;
    }
    tsi_recorder_put(recorder, &(struct tsi_record){.type = TSI_RECORD_DIGEST, .hash = digest});
    tsi_recorder_flush(recorder);
    pthread_mutex_lock(&recorder->mutex);
    recorder->closing = true;
    pthread_cond_signal(&recorder->changed);
    pthread_mutex_unlock(&recorder->mutex);
    pthread_join(recorder->thread, NULL);
    signal(SIGABRT, SIG_DFL);
    watched = NULL;
    close(recorder->file);
    tsi_free(recorder->open.bytes);
    pthread_cond_destroy(&recorder->changed);
    pthread_mutex_destroy(&recorder->mutex);
    tsi_free(recorder);
}
