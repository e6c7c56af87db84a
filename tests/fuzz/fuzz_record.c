// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the records of a block of a recording (its checksum would keep most others out):
// they are refused with a reason, or read to their end; and what was read can be written, and read
// again as the same kinds.

#include <string.h>

#include "engine/base/memory.h"
#include "scheduler/record/record.h"
#include "tests/fuzz/fuzz.h"

enum { KINDS_MAX = 4096 };

struct kinds {
    int count;
    uint8_t items[KINDS_MAX];
};

unsigned long fuzz_taken;

// A head and one block of `bytes`.
static void
put_recording(struct tsi_put *put, const uint8_t *bytes, size_t count)
{
    tsi_record_put_head(put);
    const size_t start = put->count;
    unsigned char *block = tsi_put_room(put, TSI_RECORD_FRAME + count);
    require(block != NULL, "out of memory");
    if (count > 0) {
        memcpy(block + TSI_RECORD_FRAME, bytes, count);
    }
    tsi_record_frame(put->bytes + start, TSI_RECORD_FRAME + count);
}

static void
free_program(const struct tsi_record *record)
{
    const struct tsi_program *program = NULL;
    if (record->type == TSI_RECORD_EVENT && record->event.kind == TSI_SCHED_JOB_SUBMITTED) {
        program = record->event.job_submitted.program;
    } else if (record->type == TSI_RECORD_EVENT && record->event.kind == TSI_SCHED_JOB_RESTORED) {
        program = record->event.job_restored.program;
    } else if (record->type == TSI_RECORD_TOLD && record->told.kind == TSI_WORKER_PROGRAM) {
        program = record->told.program.program;
    }
    tsi_program_free((struct tsi_program *)(uintptr_t)program);
}

// Reads a recording to its end or first fault; writes what it says to `copy` unless that is NULL.
static tess_status
read_all(const struct tsi_put *recording, struct kinds *kinds, struct tsi_put *copy)
{
    struct tsi_record_reader reader;
    struct tsi_record record;
    struct tsi_error error = {.status = TESS_OK};
    bool is_end = false;
    require(tsi_record_open(&reader, recording->bytes, recording->count, &error) == TESS_OK,
            "a head that cannot be read");
    tess_status status = tsi_record_next(&reader, &record, &is_end, &error);
    while (status == TESS_OK && !is_end && kinds->count < KINDS_MAX) {
        kinds->items[kinds->count++] = (uint8_t)record.type;
        if (copy != NULL) {
            tsi_record_put(copy, &record);
        }
        free_program(&record);
        status = tsi_record_next(&reader, &record, &is_end, &error);
    }
    if (status == TESS_OK && !is_end) {
        free_program(&record);
    }
    require(status == TESS_OK || status == TESS_ENOMEM ||
                (status == TESS_EFORMAT && error.text[0] != '\0'),
            "an error without a message");
    tsi_record_close(&reader);
    return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct tsi_put recording = {0};
    struct tsi_put records = {0};
    struct tsi_put again = {0};
    struct kinds first = {0};
    struct kinds second = {0};
    put_recording(&recording, bytes, byte_count);
    const tess_status status = read_all(&recording, &first, &records);
    fuzz_taken += first.count > 0 ? 1 : 0;
    if (status != TESS_ENOMEM && !records.failed) {
        put_recording(&again, records.bytes, records.count);
        require(read_all(&again, &second, NULL) == TESS_OK, "what was written cannot be read");
        require(first.count == second.count &&
                    memcmp(first.items, second.items, (size_t)first.count) == 0,
                "what was written says something else");
    }
    tsi_free(recording.bytes);
    tsi_free(records.bytes);
    tsi_free(again.bytes);
    return 0;
}
