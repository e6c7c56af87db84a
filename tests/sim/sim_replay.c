// SPDX-License-Identifier: Apache-2.0
//
// Feeds a recording of a real scheduler or worker to a core of this build, asks it for actions
// where the daemon asked, and tells the first place where the two differ. The invariants are
// checked on the way, which a real daemon has no time for.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "scheduler/record/record.h"
#include "tests/sim/sim_world.h"

enum { DEEP_EVERY = 256 };

struct replay {
    struct tsi_sched *sched; // one of the two
    struct tsi_worker *worker;
    uint64_t records;
    uint64_t events;
    uint64_t actions;
    uint64_t digests;
    uint64_t written; // chunks, to a worker's disk
    uint64_t read;    // back
    uint64_t now_ns;
    TSI_VEC(const struct tsi_program *) programs; // that the core has
    bool verbose;
};

static bool
differ(const struct replay *replay, const char *what, uint64_t recorded, uint64_t found)
{
    printf("record %" PRIu64 " at %" PRIu64 " ns: %s: recorded %016" PRIx64 ", found %016" PRIx64
           "\n",
           replay->records, replay->now_ns, what, recorded, found);
    return false;
}

static void
give_back(struct replay *replay, const struct tsi_program *program)
{
    for (size_t i = 0; i < replay->programs.count; i++) {
        if (replay->programs.items[i] == program) {
            replay->programs.items[i] = tsi_vec_last(&replay->programs);
            replay->programs.count--;
            tsi_program_free((struct tsi_program *)(uintptr_t)program);
            return;
        }
    }
}

static bool
verify(struct replay *replay)
{
    const char *broken = NULL;
    if (replay->worker != NULL
            ? tsi_worker_verify(replay->worker, &broken)
            : tsi_sched_verify(replay->sched, replay->events % DEEP_EVERY == 0, &broken)) {
        return true;
    }
    printf("record %" PRIu64 ": the invariant is broken: %s\n", replay->records, broken);
    return false;
}

static bool
replay_event(struct replay *replay, const struct tsi_sched_event *event)
{
    replay->now_ns = event->now_ns;
    replay->events++;
    if (replay->verbose) {
        printf("%" PRIu64 ": event %d of peer %u at %" PRIu64 "\n", replay->records,
               (int)event->kind, event->peer, event->now_ns);
        fflush(stdout); // the next step may be the last
    }
    if (event->kind == TSI_SCHED_JOB_SUBMITTED) {
        TSI_CHECK(tsi_vec_push(&replay->programs, event->job_submitted.program));
    } else if (event->kind == TSI_SCHED_JOB_RESTORED) {
        TSI_CHECK(tsi_vec_push(&replay->programs, event->job_restored.program));
    }
    tsi_sched_step(replay->sched, event);
    return verify(replay);
}

static bool
replay_told(struct replay *replay, const struct tsi_worker_event *event)
{
    replay->now_ns = event->now_ns;
    replay->events++;
    if (replay->verbose) {
        printf("%" PRIu64 ": event %d at %" PRIu64 "\n", replay->records, (int)event->kind,
               event->now_ns);
        fflush(stdout);
    }
    if (event->kind == TSI_WORKER_PROGRAM) {
        TSI_CHECK(tsi_vec_push(&replay->programs, event->program.program));
    }
    replay->written += event->kind == TSI_WORKER_SPILLED && event->spilled.status == TESS_OK;
    replay->read += event->kind == TSI_WORKER_LOADED && event->loaded.status == TESS_OK;
    TSI_CHECK(tsi_worker_step(replay->worker, event));
    return verify(replay);
}

// The hash of the next action of a scheduler or a worker, 0 if there is none.
static uint64_t
next_of_scheduler(struct replay *replay)
{
    struct tsi_sched_action action;
    if (!tsi_sched_poll(replay->sched, replay->now_ns, &action)) {
        return 0;
    }
    if (replay->verbose) {
        printf("%" PRIu64 ":   action %d for peer %u, job %u\n", replay->records, (int)action.kind,
               action.peer, action.job);
    }
    const uint64_t hash = tsi_record_hash(&action);
    if (action.kind == TSI_SCHED_JOB_DROPPED) {
        give_back(replay, action.program.program);
    }
    return hash;
}

static uint64_t
next_of_worker(struct replay *replay)
{
    struct tsi_worker_action action;
    if (!tsi_worker_poll(replay->worker, replay->now_ns, &action)) {
        return 0;
    }
    if (replay->verbose) {
        printf("%" PRIu64 ":   action %d\n", replay->records, (int)action.kind);
    }
    const uint64_t hash = tsi_record_worker_hash(&action);
    if (action.kind == TSI_WORKER_RELEASE_PROGRAM) {
        give_back(replay, action.release_program.program);
    }
    return hash;
}

static bool
replay_poll(struct replay *replay, const struct tsi_record *record)
{
    replay->now_ns = record->now_ns;
    const uint64_t hash =
        replay->worker != NULL ? next_of_worker(replay) : next_of_scheduler(replay);
    replay->actions += hash != 0 ? 1 : 0;
    return hash == record->hash ||
           differ(replay, hash != 0 ? "an action" : "no action", record->hash, hash);
}

// What peers and schedulers asked for.
static bool
replay_call(struct replay *replay, const struct tsi_record *record)
{
    struct tsi_worker_offer offer;
    uint64_t found = 0;
    if (record->type == TSI_RECORD_DEMAND) {
        found = tsi_worker_chunk_demand(replay->worker, record->key) ? 1 : 0;
    } else if (record->type == TSI_RECORD_SERVED) {
        tsi_worker_chunk_served(replay->worker, record->key);
    } else if (tsi_worker_offer(replay->worker, &offer)) {
        found = tsi_record_worker_hash_offer(&offer);
    }
    return found == record->hash || differ(replay, "an answer", record->hash, found);
}

static bool
replay_digest(struct replay *replay, const struct tsi_record *record)
{
    const uint64_t found = replay->worker != NULL ? tsi_worker_digest(replay->worker)
                                                  : tsi_sched_digest(replay->sched);
    replay->digests++;
    return found == record->hash || differ(replay, "the state", record->hash, found);
}

// Makes the core that the recording is of.
static bool
begin(struct replay *replay, const struct tsi_record *record)
{
    if (replay->sched != NULL || replay->worker != NULL) {
        printf("the recording has a second configuration\n");
        return false;
    }
    if (record->type == TSI_RECORD_WORKER) {
        replay->worker = tsi_worker_new(&record->worker);
    } else {
        replay->sched = tsi_sched_new(&record->config);
    }
    TSI_CHECK(replay->sched != NULL || replay->worker != NULL);
    return true;
}

static bool
replay_record(struct replay *replay, const struct tsi_record *record)
{
    replay->records++;
    switch (record->type) {
    case TSI_RECORD_CONFIG:
    case TSI_RECORD_WORKER:
        return begin(replay, record);
    case TSI_RECORD_EVENT:
        return replay->sched != NULL && replay_event(replay, &record->event);
    case TSI_RECORD_TOLD:
        return replay->worker != NULL && replay_told(replay, &record->told);
    case TSI_RECORD_DEMAND:
    case TSI_RECORD_SERVED:
    case TSI_RECORD_OFFER:
        return replay->worker != NULL && replay_call(replay, record);
    case TSI_RECORD_POLL:
        return (replay->worker != NULL || replay->sched != NULL) && replay_poll(replay, record);
    case TSI_RECORD_DIGEST:
        return (replay->worker != NULL || replay->sched != NULL) && replay_digest(replay, record);
    }
    return false;
}

static unsigned char *
read_all(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    unsigned char *bytes = NULL;
    size_t room = 0;
    *count = 0;
    do {
        room = room * 2 + 65536;
        bytes = realloc(bytes, room);
        TSI_CHECK(bytes != NULL);
        *count += fread(bytes + *count, 1, room - *count, file);
    } while (*count == room);
    fclose(file);
    return bytes;
}

bool
sim_replay(const char *path, bool verbose)
{
    size_t count = 0;
    unsigned char *bytes = read_all(path, &count);
    struct replay replay = {.verbose = verbose};
    struct tsi_record_reader reader;
    struct tsi_record record;
    struct tsi_error error;
    bool is_end = false;
    bool is_good = true;
    tess_status status = tsi_record_open(&reader, bytes, count, &error);
    const bool is_open = status == TESS_OK;
    while (status == TESS_OK && is_good && !is_end) {
        status = tsi_record_next(&reader, &record, &is_end, &error);
        is_good = status != TESS_OK || is_end || replay_record(&replay, &record);
    }
    if (status != TESS_OK) {
        printf("%s: %s\n", path, error.text);
    } else if (is_good) {
        printf("%" PRIu64 " events, %" PRIu64 " actions, %" PRIu64 " digests", replay.events,
               replay.actions, replay.digests);
        if (replay.worker != NULL) {
            printf(", %" PRIu64 " chunks written, %" PRIu64 " read", replay.written, replay.read);
        }
        printf(": the same%s\n", reader.at < count ? ", up to a torn block" : "");
    }
    if (is_open) {
        tsi_record_close(&reader);
    }
    tsi_sched_free(replay.sched);
    tsi_worker_free(replay.worker, NULL, NULL, NULL);
    while (replay.programs.count > 0) {
        give_back(&replay, replay.programs.items[0]);
    }
    tsi_vec_fini(&replay.programs);
    free(bytes);
    return status == TESS_OK && is_good;
}
