// SPDX-License-Identifier: Apache-2.0
//
// Records are read one after the other into the state of the jobs. The first record that is not
// whole, or says what cannot be, ends the reading: what stands behind it cannot be trusted, since a
// record tells only where the next one begins. Memory grows with the bytes that are there, never
// with the numbers that they claim.

#include "scheduler/wire/journal.h"

#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/map.h"

static const unsigned char magic[8] = {'T', 'E', 'S', 'S', 'J', 'N', 'L', '\n'};

void
tsi_journal_put_head(struct tsi_put *put)
{
    unsigned char *at = tsi_put_room(put, sizeof magic);
    if (at != NULL) {
        memcpy(at, magic, sizeof magic);
    }
    tsi_put_u32(put, TSI_JOURNAL_VERSION);
    tsi_put_u32(put, 0);
}

static void
put_body(struct tsi_put *put, const struct tsi_journal_record *record)
{
    tsi_put_u8(put, (uint8_t)record->type);
    tsi_put_u32(put, record->number);
    if (record->type == TSI_JOURNAL_JOB) {
        tsi_put_u64(put, record->token);
        tsi_put_u8(put, record->detached ? 1 : 0);
        tsi_put_run(put, record->program, record->program_bytes);
    } else if (record->type == TSI_JOURNAL_DROPPED) {
        tsi_put_u16(put, (uint16_t)record->status);
    } else if (record->type == TSI_JOURNAL_TAKEN) {
        tsi_put_u32(put, (uint32_t)record->range_count);
        for (size_t i = 0; i < record->range_count; i++) {
            tsi_put_u32(put, record->ranges[i].first);
            tsi_put_u32(put, record->ranges[i].count);
        }
    }
}

void
tsi_journal_put(struct tsi_put *put, const struct tsi_journal_record *record)
{
    const size_t frame = put->count;
    (void)tsi_put_room(put, TSI_JOURNAL_FRAME);
    put_body(put, record);
    if (put->failed) {
        return;
    }
    unsigned char *at = put->bytes + frame;
    const size_t bytes = put->count - frame - TSI_JOURNAL_FRAME;
    if (bytes > TSI_JOURNAL_BODY_MAX) {
        put->failed = true;
        return;
    }
    tsi_store_u32(at, (uint32_t)bytes);
    tsi_store_u64(at + 4, tsi_checksum(at + TSI_JOURNAL_FRAME, bytes));
}

// The journal as it grows while it is read.
struct reader {
    struct tsi_journal *journal;
    struct tsi_map places; // of jobs, by number
    bool no_memory;
};

static struct tsi_journal_job *
find_job(const struct reader *reader, uint32_t number)
{
    const uint64_t *place = tsi_map_get(&reader->places, number);
    struct tsi_journal_job *job = place != NULL ? &reader->journal->jobs.items[*place] : NULL;
    return job != NULL && !job->dropped ? job : NULL;
}

// Numbers rise, so that none is given twice.
static bool
take_job(struct reader *reader, uint32_t number, struct tsi_take *take)
{
    struct tsi_journal *journal = reader->journal;
    struct tsi_journal_job job = {.number = number, .token = tsi_take_u64(take)};
    const uint8_t detached = tsi_take_u8(take);
    job.detached = detached == 1;
    job.program = tsi_take_run(take, &job.program_bytes);
    if (take->failed || tsi_take_left(take) > 0 || detached > 1 || number <= journal->last_job ||
        job.program_bytes > TSI_PROGRAM_BYTES_MAX) {
        return false;
    }
    journal->last_job = number;
    reader->no_memory = !tsi_map_put(&reader->places, number, journal->jobs.count) ||
                        !tsi_vec_push(&journal->jobs, job);
    return !reader->no_memory;
}

// Whether `count` ranges of tasks are all that is left.
static bool
are_ranges(struct tsi_take take, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t first = tsi_take_u32(&take);
        const uint32_t tasks = tsi_take_u32(&take);
        if (tasks == 0 || tasks > UINT32_MAX - first) {
            return false;
        }
    }
    return !take.failed && tsi_take_left(&take) == 0;
}

static bool
take_taken(struct reader *reader, uint32_t number, struct tsi_take *take)
{
    struct tsi_journal_job *job = find_job(reader, number);
    const size_t count = tsi_take_count(take, 2 * sizeof(uint32_t));
    if (take->failed || !are_ranges(*take, count)) {
        return false;
    }
    reader->no_memory = job != NULL && !tsi_vec_reserve(&job->taken, count);
    for (size_t i = 0; i < count && !reader->no_memory; i++) {
        const uint32_t first = tsi_take_u32(take);
        const struct tsi_task_range range = {first, tsi_take_u32(take)};
        if (job != NULL) {
            (void)tsi_vec_push(&job->taken, range);
        }
    }
    return !reader->no_memory;
}

// One that was dropped before is no harm: it may be told twice.
static bool
take_end(struct reader *reader, uint8_t type, uint32_t number, struct tsi_take *take)
{
    struct tsi_journal_job *job = find_job(reader, number);
    const uint16_t status = type == TSI_JOURNAL_DROPPED ? tsi_take_u16(take) : 0;
    if (take->failed || tsi_take_left(take) > 0) {
        return false;
    }
    if (job != NULL && type == TSI_JOURNAL_ENDED) {
        job->ended = true;
    } else if (job != NULL) {
        tsi_vec_fini(&job->taken);
        job->program = NULL;
        job->program_bytes = 0;
        job->status = status < TESS_STATUS_COUNT ? (tess_status)status : TESS_EINTERNAL;
        job->dropped = true;
    }
    return true;
}

// Takes one record in; false if it says what no scheduler writes, or memory is out. A record that
// is not believed leaves no mark: its end is looked at before anything is noted.
static bool
take_record(struct reader *reader, const unsigned char *body, size_t bytes)
{
    struct tsi_take take = {.at = body, .end = body + bytes};
    const uint8_t type = tsi_take_u8(&take);
    const uint32_t number = tsi_take_u32(&take);
    const bool ends = !take.failed && tsi_take_left(&take) == 0;
    if (take.failed) {
        return false;
    }
    switch (type) {
    case TSI_JOURNAL_EPOCH:
        if (ends && number > reader->journal->epoch) {
            reader->journal->epoch = number;
            return true;
        }
        return false;
    case TSI_JOURNAL_JOB:
        return take_job(reader, number, &take);
    case TSI_JOURNAL_TAKEN:
        return take_taken(reader, number, &take);
    case TSI_JOURNAL_ENDED:
    case TSI_JOURNAL_DROPPED:
        return take_end(reader, type, number, &take);
    case TSI_JOURNAL_WORKERS:
        reader->journal->workers = ends ? number : reader->journal->workers;
        return ends;
    default:
        return false;
    }
}

// Reads records up to the first one that is not believed.
static void
take_records(struct reader *reader, const unsigned char *bytes, size_t count)
{
    struct tsi_journal *journal = reader->journal;
    while (journal->trusted < count && !reader->no_memory) {
        const unsigned char *at = bytes + journal->trusted;
        const size_t left = count - journal->trusted;
        const uint32_t body = left >= TSI_JOURNAL_FRAME ? tsi_load_u32(at) : 0;
        if (body > TSI_JOURNAL_BODY_MAX) {
            journal->end = TSI_JOURNAL_CORRUPT;
            return;
        }
        if (left < TSI_JOURNAL_FRAME || left - TSI_JOURNAL_FRAME < body) {
            journal->end = TSI_JOURNAL_TORN;
            return;
        }
        const size_t whole = TSI_JOURNAL_FRAME + (size_t)body;
        if (tsi_checksum(at + TSI_JOURNAL_FRAME, body) != tsi_load_u64(at + 4)) {
            journal->end = whole == left ? TSI_JOURNAL_TORN : TSI_JOURNAL_CORRUPT;
            return;
        }
        if (!take_record(reader, at + TSI_JOURNAL_FRAME, body)) {
            journal->end = TSI_JOURNAL_CORRUPT;
            return;
        }
        journal->trusted += whole;
    }
}

static tess_status
check_head(const unsigned char *bytes, size_t count, struct tsi_error *error)
{
    const size_t compared = count < sizeof magic ? count : sizeof magic;
    if (memcmp(bytes, magic, compared) != 0) {
        return tsi_error_set(error, TESS_EFORMAT, "is no journal of a scheduler");
    }
    if (count >= TSI_JOURNAL_HEAD && tsi_load_u32(bytes + sizeof magic) != TSI_JOURNAL_VERSION) {
        return tsi_error_set(error, TESS_EVERSION,
                             "is a journal of version %u; this scheduler reads version %d",
                             tsi_load_u32(bytes + sizeof magic), TSI_JOURNAL_VERSION);
    }
    return TESS_OK;
}

// Takes the jobs that were dropped long ago out of the list.
static void
sweep(struct tsi_journal *journal)
{
    size_t dropped = 0;
    for (size_t i = 0; i < journal->jobs.count; i++) {
        dropped += journal->jobs.items[i].dropped ? 1 : 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < journal->jobs.count; i++) {
        const struct tsi_journal_job job = journal->jobs.items[i];
        if (!job.dropped || dropped <= TSI_JOURNAL_DROPPED_MAX) {
            journal->jobs.items[kept++] = job;
        }
        dropped -= job.dropped ? 1 : 0;
    }
    journal->jobs.count = kept;
}

tess_status
tsi_journal_read(const unsigned char *bytes, size_t count, struct tsi_journal *journal,
                 struct tsi_error *error)
{
    *journal = (struct tsi_journal){.end = TSI_JOURNAL_WHOLE};
    if (count == 0) {
        return TESS_OK;
    }
    const tess_status status = check_head(bytes, count, error);
    if (status != TESS_OK) {
        return status;
    }
    if (count < TSI_JOURNAL_HEAD) {
        journal->end = TSI_JOURNAL_TORN;
        return TESS_OK;
    }
    struct reader reader = {.journal = journal};
    journal->trusted = TSI_JOURNAL_HEAD;
    take_records(&reader, bytes, count);
    tsi_map_fini(&reader.places);
    if (reader.no_memory) {
        tsi_journal_fini(journal);
        return tsi_error_set(error, TESS_ENOMEM, "out of memory for the journal");
    }
    sweep(journal);
    return TESS_OK;
}

void
tsi_journal_fini(struct tsi_journal *journal)
{
    for (size_t i = 0; i < journal->jobs.count; i++) {
        tsi_vec_fini(&journal->jobs.items[i].taken);
    }
    tsi_vec_fini(&journal->jobs);
}
