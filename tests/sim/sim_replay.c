// SPDX-License-Identifier: Apache-2.0
//
// Feeds a recording of a real scheduler to a core of this build, asks it for actions where the
// scheduler asked, and tells the first place where the two differ. The invariants are checked on
// the way, which a real scheduler has no time for.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "scheduler/record/record.h"
#include "tests/sim/sim_world.h"

enum { DEEP_EVERY = 256 };

struct replay {
    struct tsi_sched *sched;
    uint64_t records;
    uint64_t events;
    uint64_t actions;
    uint64_t digests;
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
    if (tsi_sched_verify(replay->sched, replay->events % DEEP_EVERY == 0, &broken)) {
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
replay_poll(struct replay *replay, const struct tsi_record *record)
{
    struct tsi_sched_action action;
    replay->now_ns = record->now_ns;
    const bool any = tsi_sched_poll(replay->sched, record->now_ns, &action);
    const uint64_t hash = any ? tsi_record_hash(&action) : 0;
    replay->actions += any ? 1 : 0;
    if (replay->verbose && any) {
        printf("%" PRIu64 ":   action %d for peer %u, job %u\n", replay->records, (int)action.kind,
               action.peer, action.job);
    }
    if (any && action.kind == TSI_SCHED_JOB_DROPPED) {
        give_back(replay, action.program.program);
    }
    if (hash != record->hash) {
        return differ(replay, any ? "an action" : "no action", record->hash, hash);
    }
    return true;
}

static bool
replay_record(struct replay *replay, const struct tsi_record *record)
{
    replay->records++;
    if (replay->sched == NULL && record->type != TSI_RECORD_CONFIG) {
        printf("the recording does not begin with a configuration\n");
        return false;
    }
    switch (record->type) {
    case TSI_RECORD_CONFIG:
        tsi_sched_free(replay->sched);
        replay->sched = tsi_sched_new(&record->config);
        TSI_CHECK(replay->sched != NULL);
        return true;
    case TSI_RECORD_EVENT:
        return replay_event(replay, &record->event);
    case TSI_RECORD_POLL:
        return replay_poll(replay, record);
    case TSI_RECORD_DIGEST: {
        const uint64_t found = tsi_sched_digest(replay->sched);
        replay->digests++;
        return found == record->hash || differ(replay, "the state", record->hash, found);
    }
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
        printf("%" PRIu64 " events, %" PRIu64 " actions, %" PRIu64 " digests: the same%s\n",
               replay.events, replay.actions, replay.digests,
               reader.at < count ? ", up to a torn block" : "");
    }
    if (is_open) {
        tsi_record_close(&reader);
    }
    tsi_sched_free(replay.sched);
    while (replay.programs.count > 0) {
        give_back(&replay, replay.programs.items[0]);
    }
    tsi_vec_fini(&replay.programs);
    free(bytes);
    return status == TESS_OK && is_good;
}
