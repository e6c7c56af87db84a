// SPDX-License-Identifier: Apache-2.0
//
// The journal's bytes: what is written is read again; a journal that was cut or damaged anywhere
// gives the state that its whole records tell, and nothing else.

#include "scheduler/wire/journal.h"

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/checksum.h"

static const unsigned char program_a[] = {1, 2, 3, 4, 5};
static const unsigned char program_b[] = {9, 8, 7};

enum { RECORDS = 9 };

// A life: two jobs, the first is taken in part, the second ends and goes, a third comes.
static void
put_life(struct tsi_put *put, size_t ends[RECORDS + 1])
{
    static const struct tsi_task_range some[] = {{3, 2}, {9, 1}};
    static const struct tsi_task_range more[] = {{0, 1}};
    const struct tsi_journal_record records[RECORDS] = {
        {.type = TSI_JOURNAL_EPOCH, .number = 1000},
        {.type = TSI_JOURNAL_WORKERS, .number = 3},
        {TSI_JOURNAL_JOB, 4, 77, true, program_a, sizeof program_a, NULL, 0, TESS_OK},
        {TSI_JOURNAL_JOB, 5, 78, false, program_b, sizeof program_b, NULL, 0, TESS_OK},
        {.type = TSI_JOURNAL_TAKEN, .number = 4, .ranges = some, .range_count = 2},
        {.type = TSI_JOURNAL_ENDED, .number = 5},
        {.type = TSI_JOURNAL_TAKEN, .number = 4, .ranges = more, .range_count = 1},
        {.type = TSI_JOURNAL_DROPPED, .number = 5, .status = TESS_EFORMAT},
        {TSI_JOURNAL_JOB, 9, 79, false, program_b, sizeof program_b, NULL, 0, TESS_OK},
    };
    tsi_journal_put_head(put);
    ends[0] = put->count;
    for (size_t i = 0; i < RECORDS; i++) {
        tsi_journal_put(put, &records[i]);
        ends[i + 1] = put->count;
    }
    cr_assert(!put->failed);
}

// What the first so many records of the life say.
static void
check_prefix(const struct tsi_journal *journal, size_t records)
{
    const size_t jobs_of[] = {0, 0, 0, 1, 2, 2, 2, 2, 2, 3};
    const size_t ranges_of[] = {0, 0, 0, 0, 0, 2, 2, 3, 3, 3};
    cr_assert(journal->epoch == (records >= 1 ? 1000 : 0), "%zu records", records);
    cr_assert(journal->workers == (records >= 2 ? 3 : 0), "%zu records", records);
    cr_assert(journal->jobs.count == jobs_of[records], "%zu records", records);
    const uint32_t last[] = {0, 0, 0, 4, 5, 5, 5, 5, 5, 9};
    cr_assert(journal->last_job == last[records], "%zu records", records);
    if (jobs_of[records] == 0) {
        return;
    }
    const struct tsi_journal_job *job = &journal->jobs.items[0];
    cr_assert(job->number == 4 && job->token == 77 && job->detached && !job->ended);
    cr_assert(job->program_bytes == sizeof program_a);
    cr_assert(memcmp(job->program, program_a, sizeof program_a) == 0);
    cr_assert(job->taken.count == ranges_of[records], "%zu records", records);
    if (job->taken.count == 3) {
        cr_assert(job->taken.items[1].first == 9 && job->taken.items[1].count == 1);
    }
    if (jobs_of[records] >= 2) {
        job = &journal->jobs.items[1];
        cr_assert(job->number == 5 && job->token == 78 && !job->detached);
        cr_assert(job->ended == (records >= 6), "%zu records", records);
        cr_assert(job->dropped == (records >= 8), "%zu records", records);
        cr_assert(!job->dropped || (job->status == TESS_EFORMAT && job->program == NULL));
    }
    cr_assert(jobs_of[records] < 3 || journal->jobs.items[2].number == 9);
}

Test(journal, nothing_is_an_empty_journal)
{
    struct tsi_journal journal;
    cr_assert(tsi_journal_read(NULL, 0, &journal, NULL) == TESS_OK);
    cr_assert(journal.jobs.count == 0 && journal.epoch == 0 && journal.end == TSI_JOURNAL_WHOLE);
}

Test(journal, what_is_written_is_read)
{
    struct tsi_put put = {0};
    size_t ends[RECORDS + 1];
    struct tsi_journal journal;
    put_life(&put, ends);
    cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
    cr_assert(journal.end == TSI_JOURNAL_WHOLE && journal.trusted == put.count);
    check_prefix(&journal, RECORDS);
    tsi_journal_fini(&journal);
    tsi_free(put.bytes);
}

Test(journal, a_cut_anywhere_leaves_the_whole_records)
{
    struct tsi_put put = {0};
    size_t ends[RECORDS + 1];
    put_life(&put, ends);
    size_t whole = 0;
    for (size_t cut = 1; cut <= put.count; cut++) {
        struct tsi_journal journal;
        unsigned char *bytes = tsi_alloc(cut); // of its exact size: a sanitizer sees what is beyond
        memcpy(bytes, put.bytes, cut);
        cr_assert(tsi_journal_read(bytes, cut, &journal, NULL) == TESS_OK, "cut at %zu", cut);
        while (whole < RECORDS && ends[whole + 1] <= cut) {
            whole++;
        }
        const bool is_whole = cut == ends[whole];
        cr_assert(journal.end == (is_whole ? TSI_JOURNAL_WHOLE : TSI_JOURNAL_TORN), "%zu", cut);
        cr_assert(cut < TSI_JOURNAL_HEAD || journal.trusted == ends[whole], "cut at %zu", cut);
        check_prefix(&journal, whole);
        tsi_journal_fini(&journal);
        tsi_free(bytes);
    }
    cr_assert(whole == RECORDS);
    tsi_free(put.bytes);
}

Test(journal, a_flipped_bit_ends_the_trust_at_its_record)
{
    struct tsi_put put = {0};
    size_t ends[RECORDS + 1];
    put_life(&put, ends);
    size_t whole = 0;
    for (size_t bit = 8 * TSI_JOURNAL_HEAD; bit < 8 * put.count; bit++) {
        struct tsi_journal journal;
        put.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        while (ends[whole + 1] <= bit / 8) {
            whole++;
        }
        cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
        cr_assert(journal.end != TSI_JOURNAL_WHOLE, "bit %zu", bit);
        cr_assert(journal.trusted == ends[whole], "bit %zu", bit);
        check_prefix(&journal, whole);
        tsi_journal_fini(&journal);
        put.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    tsi_free(put.bytes);
}

Test(journal, damage_in_the_middle_is_told_from_a_torn_end)
{
    struct tsi_put put = {0};
    size_t ends[RECORDS + 1];
    struct tsi_journal journal;
    put_life(&put, ends);
    put.bytes[ends[4] - 1] ^= 1;
    cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
    cr_assert(journal.end == TSI_JOURNAL_CORRUPT);
    tsi_journal_fini(&journal);
    put.bytes[ends[4] - 1] ^= 1;
    put.bytes[put.count - 1] ^= 1;
    cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
    cr_assert(journal.end == TSI_JOURNAL_TORN);
    tsi_journal_fini(&journal);
    tsi_free(put.bytes);
}

Test(journal, other_files_and_versions_are_refused)
{
    struct tsi_put put = {0};
    struct tsi_journal journal;
    struct tsi_error error;
    static const unsigned char text[] = "{\"tessera\": 1, \"address\": \"ipc:///tmp/x\"}";
    cr_assert(tsi_journal_read(text, sizeof text, &journal, &error) == TESS_EFORMAT);
    cr_assert(tsi_journal_read(text, 1, &journal, &error) == TESS_EFORMAT);
    tsi_journal_put_head(&put);
    tsi_store_u32(put.bytes + 8, TSI_JOURNAL_VERSION + 1);
    cr_assert(tsi_journal_read(put.bytes, put.count, &journal, &error) == TESS_EVERSION);
    cr_assert(strstr(error.text, "version 2") != NULL, "%s", error.text);
    tsi_free(put.bytes);
}

// A record with a sound checksum and this body.
static void
put_raw(struct tsi_put *put, const unsigned char *body, size_t bytes)
{
    tsi_put_u32(put, (uint32_t)bytes);
    tsi_put_u64(put, tsi_checksum(body, bytes));
    memcpy(tsi_put_room(put, bytes), body, bytes);
}

Test(journal, records_that_no_scheduler_writes_are_not_believed)
{
    static const struct {
        const char *what;
        unsigned char body[24];
        size_t bytes;
    } cases[] = {
        {"no body", {0}, 0},
        {"type 0", {0, 1, 0, 0, 0}, 5},
        {"a type of the future", {TSI_JOURNAL_TYPE_COUNT, 1, 0, 0, 0}, 5},
        {"a short number", {TSI_JOURNAL_EPOCH, 1, 0, 0}, 4},
        {"an epoch that does not rise", {TSI_JOURNAL_EPOCH, 5, 0, 0, 0}, 5},
        {"more than it should have", {TSI_JOURNAL_DROPPED, 1, 0, 0, 0, 0, 0, 0}, 8},
        {"an end without a status", {TSI_JOURNAL_DROPPED, 1, 0, 0, 0}, 5},
        {"a job number again", {TSI_JOURNAL_JOB, 4, 0, 0, 0}, 18},
        {"a program beyond the record", {TSI_JOURNAL_JOB, 9, 0, 0, 0, [14] = 1}, 18},
        {"neither detached nor not", {TSI_JOURNAL_JOB, 9, 0, 0, 0, [13] = 2}, 18},
        {"more ranges than bytes", {TSI_JOURNAL_TAKEN, 4, 0, 0, 0, 2}, 17},
        {"an empty range", {TSI_JOURNAL_TAKEN, 4, 0, 0, 0, 1}, 17},
        {"a range past the numbers",
         {TSI_JOURNAL_TAKEN, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255},
         17},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tsi_put put = {0};
        struct tsi_journal journal;
        tsi_journal_put_head(&put);
        tsi_journal_put(&put, &(struct tsi_journal_record){.type = TSI_JOURNAL_EPOCH, .number = 5});
        tsi_journal_put(&put, &(struct tsi_journal_record){.type = TSI_JOURNAL_JOB, .number = 4});
        const size_t trusted = put.count;
        put_raw(&put, cases[i].body, cases[i].bytes);
        tsi_journal_put(&put, &(struct tsi_journal_record){.type = TSI_JOURNAL_EPOCH, .number = 6});
        cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
        cr_assert(journal.end == TSI_JOURNAL_CORRUPT, "%s", cases[i].what);
        cr_assert(journal.trusted == trusted && journal.epoch == 5, "%s", cases[i].what);
        cr_assert(journal.jobs.count == 1 && journal.jobs.items[0].number == 4);
        tsi_journal_fini(&journal);
        tsi_free(put.bytes);
    }
}

Test(journal, only_the_last_ends_are_remembered)
{
    struct tsi_put put = {0};
    struct tsi_journal journal;
    const uint32_t count = TSI_JOURNAL_DROPPED_MAX + 100;
    tsi_journal_put_head(&put);
    for (uint32_t i = 1; i <= count; i++) {
        tsi_journal_put(&put, &(struct tsi_journal_record){.type = TSI_JOURNAL_JOB, .number = i});
        tsi_journal_put(&put,
                        &(struct tsi_journal_record){.type = TSI_JOURNAL_DROPPED, .number = i});
    }
    cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
    cr_assert(journal.end == TSI_JOURNAL_WHOLE && journal.last_job == count);
    cr_assert(journal.jobs.count == TSI_JOURNAL_DROPPED_MAX);
    cr_assert(journal.jobs.items[0].number == 101);
    tsi_journal_fini(&journal);
    tsi_free(put.bytes);
}

Test(journal, lengths_that_are_not_there_take_no_memory)
{
    struct tsi_put put = {0};
    struct tsi_journal journal;
    tsi_journal_put_head(&put);
    tsi_put_u32(&put, UINT32_MAX);
    tsi_put_u64(&put, 0);
    tsi_memory_fail_after(0);
    cr_assert(tsi_journal_read(put.bytes, put.count, &journal, NULL) == TESS_OK);
    tsi_memory_fail_after(-1);
    cr_assert(journal.end == TSI_JOURNAL_CORRUPT && journal.trusted == TSI_JOURNAL_HEAD);
    tsi_journal_fini(&journal);
    tsi_free(put.bytes);
}

Test(journal, want_of_memory_is_an_error)
{
    struct tsi_put put = {0};
    size_t ends[RECORDS + 1];
    put_life(&put, ends);
    int failures = 0;
    for (int i = 0; i < 100; i++) {
        struct tsi_journal journal;
        struct tsi_error error;
        tsi_memory_fail_after(i);
        const tess_status status = tsi_journal_read(put.bytes, put.count, &journal, &error);
        tsi_memory_fail_after(-1);
        if (status == TESS_OK) {
            check_prefix(&journal, RECORDS);
            tsi_journal_fini(&journal);
            break;
        }
        cr_assert(status == TESS_ENOMEM);
        failures++;
    }
    cr_assert(failures > 0 && failures < 100);
    tsi_free(put.bytes);
}
