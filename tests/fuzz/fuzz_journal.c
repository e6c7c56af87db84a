// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a journal: they are refused with a reason, or believed up to a record's end; and
// what was believed is believed again when only those bytes are there, with the same meaning.

#include "scheduler/wire/journal.h"
#include "tests/fuzz/fuzz.h"

unsigned long fuzz_taken;

static void
check_job(const struct tsi_journal *journal, size_t i, const uint8_t *bytes)
{
    const struct tsi_journal_job *job = &journal->jobs.items[i];
    require(job->number <= journal->last_job, "a job after the last one");
    require(i == 0 || job->number > journal->jobs.items[i - 1].number, "jobs out of order");
    require(!job->dropped || (job->program == NULL && job->taken.count == 0),
            "a job that was dropped has something left");
    require(job->program_bytes == 0 ||
                (job->program >= bytes + TSI_JOURNAL_HEAD &&
                 job->program + job->program_bytes <= bytes + journal->trusted),
            "a program outside of the journal");
    for (size_t k = 0; k < job->taken.count; k++) {
        require(job->taken.items[k].count > 0 &&
                    job->taken.items[k].count <= UINT32_MAX - job->taken.items[k].first,
                "a range of no tasks");
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct tsi_journal journal;
    struct tsi_journal again;
    struct tsi_error error = {.status = TESS_OK};
    const tess_status status = tsi_journal_read(bytes, byte_count, &journal, &error);
    if (status != TESS_OK) {
        require((status == TESS_EFORMAT || status == TESS_EVERSION) && error.text[0] != '\0',
                "an error without a message");
        return 0;
    }
    fuzz_taken += journal.jobs.count > 0 ? 1 : 0;
    require(journal.trusted <= byte_count, "trust beyond the end");
    require((journal.end == TSI_JOURNAL_WHOLE) == (journal.trusted == byte_count),
            "whole, but not all of it is trusted");
    for (size_t i = 0; i < journal.jobs.count; i++) {
        check_job(&journal, i, bytes);
    }
    require(tsi_journal_read(bytes, journal.trusted, &again, &error) == TESS_OK,
            "what was trusted is not");
    require(again.end == TSI_JOURNAL_WHOLE && again.jobs.count == journal.jobs.count &&
                again.epoch == journal.epoch && again.last_job == journal.last_job &&
                again.workers == journal.workers,
            "the trusted part says something else");
    tsi_journal_fini(&again);
    tsi_journal_fini(&journal);
    return 0;
}
