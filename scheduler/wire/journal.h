// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a scheduler's journal: what a scheduler that died had promised. docs/PROTOCOL.md is
// the specification.
//
// A journal is a head and records behind each other, each with its length and checksum. Records are
// about jobs, never about tasks: programs, which targets their clients have, ends. Reading is a
// pure function of the bytes; it believes records up to the first one that is not whole, and
// nothing behind it.

#ifndef TSI_WIRE_JOURNAL_H
#define TSI_WIRE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/base/vec.h"
#include "engine/program/exchange.h"
#include "scheduler/wire/cursor.h"

#define TSI_JOURNAL_VERSION 1

enum {
    TSI_JOURNAL_HEAD = 16,  // bytes before the first record
    TSI_JOURNAL_FRAME = 12, // bytes before the body of a record
};

// Bytes of the body of a record at most. The largest one is a job's.
#define TSI_JOURNAL_BODY_MAX (TSI_PROGRAM_BYTES_MAX + 64)

// Numbers are in files: append, never move.
enum tsi_journal_type {
    TSI_JOURNAL_EPOCH = 1, // a scheduler began
    TSI_JOURNAL_JOB,       // was submitted
    TSI_JOURNAL_TAKEN,     // its client has these targets
    TSI_JOURNAL_ENDED,     // well; what is left of it are chunks that its client keeps
    TSI_JOURNAL_DROPPED,   // nothing is left of it but how it ended
    TSI_JOURNAL_WORKERS,   // so many are there
    TSI_JOURNAL_TYPE_COUNT
};

struct tsi_journal_record {
    enum tsi_journal_type type;
    uint32_t number; // the epoch, the job, or how many workers
    uint64_t token;  // of a JOB, like the rest
    bool detached;
    const unsigned char *program;
    size_t program_bytes;
    const struct tsi_task_range *ranges; // of TAKEN
    size_t range_count;
    tess_status status; // of DROPPED
};

// Appends the head, or a record, to `put`.
void tsi_journal_put_head(struct tsi_put *put);
void tsi_journal_put(struct tsi_put *put, const struct tsi_journal_record *record);

// The last jobs that were dropped are remembered: a client may not have heard of the end.
#define TSI_JOURNAL_DROPPED_MAX 1024

// A job that was there at the end of the journal, or that had just been dropped. `program` points
// into the journal's bytes.
struct tsi_journal_job {
    uint32_t number;
    uint64_t token;
    bool detached;
    bool ended;
    bool dropped; // how it ended is in `status`; what follows is nothing
    tess_status status;
    const unsigned char *program;
    size_t program_bytes;
    TSI_VEC(struct tsi_task_range) taken;
};

// How a journal ends.
enum tsi_journal_end {
    TSI_JOURNAL_WHOLE,
    TSI_JOURNAL_TORN,    // in the midst of a record: its writer died
    TSI_JOURNAL_CORRUPT, // at a record that was whole once and is not any more
};

struct tsi_journal {
    uint32_t epoch;                       // of the last scheduler; 0: none
    uint32_t last_job;                    // the highest number that was given
    uint32_t workers;                     // at the end
    TSI_VEC(struct tsi_journal_job) jobs; // in order of their numbers
    size_t trusted;                       // bytes up to the first record that is not believed
    enum tsi_journal_end end;
};

// Reads a journal. No bytes at all are one without records. Fails with TESS_EFORMAT if the bytes
// are no journal, TESS_EVERSION if they are one of another version, TESS_ENOMEM; then there is
// nothing to free.
tess_status tsi_journal_read(const unsigned char *bytes, size_t count, struct tsi_journal *journal,
                             struct tsi_error *error);
void tsi_journal_fini(struct tsi_journal *journal);

#endif
