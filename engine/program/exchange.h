// SPDX-License-Identifier: Apache-2.0
//
// What scheduler and worker tell each other about tasks, as plain data. The two cores, the wire and
// the embedded runtime agree on these records.
//
// A peer is one connection of a worker or a client to the scheduler: one *incarnation*. Its number
// is never used again within the life of a scheduler, so what an old incarnation still says is
// known by its number. A job is one submitted program; its number is never used again either.

#ifndef TSI_PROGRAM_EXCHANGE_H
#define TSI_PROGRAM_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/limits.h"
#include "tessera/status.h"

#define TSI_PEER_NONE UINT32_C(0)
#define TSI_JOB_NONE UINT32_C(0)

// The name of a chunk in a cluster: the job and the task that makes it.
typedef uint64_t tsi_key;

static inline tsi_key
tsi_key_of(uint32_t job, uint32_t task)
{
    return (uint64_t)job << 32 | task;
}

static inline uint32_t
tsi_key_job(tsi_key key)
{
    return (uint32_t)(key >> 32);
}

static inline uint32_t
tsi_key_task(tsi_key key)
{
    return (uint32_t)key;
}

// Tasks that follow each other.
struct tsi_task_range {
    uint32_t first;
    uint32_t count;
};

// What a worker holds of a job: chunks of so many of the ranges that come with it. The token is
// the client's name of the job, which is never used twice: a job of the same number may be another.
struct tsi_holding {
    uint32_t job;
    uint64_t token;
    size_t range_count;
};

// Where an input is that the worker may not have: a peer that has it, or the bytes themselves
// (`data` not NULL).
struct tsi_location {
    tsi_key key;
    uint32_t peer;
    uint32_t bytes; // of `data`
    const void *data;
};

// One task given to one worker. `sequence` names this attempt: it rises by one with each assignment
// to this incarnation and is never used for anything else. Lower `rank` runs first. The next
// `location_count` locations of the batch are this task's.
struct tsi_assignment {
    uint32_t job;
    uint32_t task;
    uint32_t sequence;
    uint32_t rank;
    uint32_t location_count;
};

// One finished attempt. `data` is the output itself if it has at most TSI_INLINE_BYTES_MAX bytes
// and came with the report, else NULL.
struct tsi_completion {
    uint32_t job;
    uint32_t task;
    uint32_t sequence;
    uint32_t duration_us;
    uint64_t bytes;
    uint64_t peak_bytes; // of chunk memory that the worker took since it got the job's program
    const void *data;
};

// The most chunk memory that one worker was promised for a job, by the scheduler's books, and took,
// by its own.
struct tsi_worker_peak {
    uint32_t peer;
    const char *name;
    uint64_t predicted;
    uint64_t measured;
};

// What a job took: attempts that finished, repeats included, of the worker that had most chunk
// memory what it was given at most, by the scheduler's books, and what it took, by its own, and the
// same of each worker that knew of the job.
struct tsi_job_costs {
    uint64_t tasks_run;
    uint64_t peak_bytes_predicted;
    uint64_t peak_bytes_measured;
    const struct tsi_worker_peak *workers;
    size_t worker_count;
};

// Why an attempt ended without an output.
enum tsi_attempt_end {
    TSI_ATTEMPT_FAILED,       // the task itself: the status and text say why
    TSI_ATTEMPT_FETCH_FAILED, // an input could not be had: `input` and `peer` say which and from
                              // whom
    TSI_ATTEMPT_REFUSED,      // no memory for it now
    TSI_ATTEMPT_RETRACTED,    // given back before it started, as asked
};

struct tsi_attempt {
    uint32_t job;
    uint32_t task;
    uint32_t sequence;
    enum tsi_attempt_end end;
    tess_status status;
    tsi_key input;
    uint32_t peer;
    const char *text; // may be NULL
};

#endif
