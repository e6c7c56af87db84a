// SPDX-License-Identifier: Apache-2.0
//
// What the core of a scheduler or of a worker was told and what it answered, as bytes, so that the
// same can be fed to a core again: a recording of a real cluster becomes a test (sim_main
// --replay).
//
// A recording is a head and blocks behind each other, each with its length and checksum; blocks
// hold whole records. The first record is the core's configuration, which also says whose core it
// is. Numbers are little-endian.
//
//     head   8 bytes "TESSREC\n", u32 version, u32 0
//     block  u32 bytes, u64 checksum (XXH3 of the bytes), then so many bytes of records
//
// Recordings are read by the version that wrote them; another one is refused.

#ifndef TSI_RECORD_RECORD_H
#define TSI_RECORD_RECORD_H

#include "engine/base/error.h"
#include "scheduler/core/sched.h"
#include "scheduler/wire/cursor.h"
#include "worker/core/worker.h"

#define TSI_RECORD_VERSION 3

enum {
    TSI_RECORD_HEAD = 16,  // bytes before the first block
    TSI_RECORD_FRAME = 12, // bytes before the records of a block
};

// Bytes of a block at most: a program may be one record.
#define TSI_RECORD_BLOCK_MAX (TSI_PROGRAM_BYTES_MAX * 2)

enum tsi_record_type {
    TSI_RECORD_CONFIG = 1,
    TSI_RECORD_EVENT,  // tsi_sched_step()
    TSI_RECORD_POLL,   // tsi_sched_poll(), tsi_worker_poll()
    TSI_RECORD_DIGEST, // of the core's state
    TSI_RECORD_WORKER, // the configuration of a worker
    TSI_RECORD_TOLD,   // tsi_worker_step()
    TSI_RECORD_DEMAND, // tsi_worker_chunk_demand()
    TSI_RECORD_SERVED, // tsi_worker_chunk_served()
    TSI_RECORD_OFFER,  // tsi_worker_offer()
};

struct tsi_record {
    enum tsi_record_type type;
    struct tsi_sched_config config;
    struct tsi_sched_event event;
    struct tsi_worker_config worker;
    struct tsi_worker_event told;
    tsi_key key;     // of a DEMAND, SERVED
    uint64_t now_ns; // of a POLL
    // Of a POLL that of the action, 0 if there was none; of a DIGEST the digest; of a DEMAND
    // whether the chunk is there; of an OFFER that of what was offered, 0 if memory was out.
    uint64_t hash;
};

void tsi_record_put_head(struct tsi_put *put);

// Appends a record. Without memory, or for a program that cannot be encoded, `put` has failed.
void tsi_record_put(struct tsi_put *put, const struct tsi_record *record);

// Writes the frame of a block into its first TSI_RECORD_FRAME bytes; `count` is of all of it.
void tsi_record_frame(unsigned char *block, size_t count);

// A hash of all that an action says, never 0. Of programs it is the job.
uint64_t tsi_record_hash(const struct tsi_sched_action *action);
uint64_t tsi_record_worker_hash(const struct tsi_worker_action *action);
uint64_t tsi_record_worker_hash_offer(const struct tsi_worker_offer *offer);

// A recording that is read from its bytes.
struct tsi_record_reader {
    const unsigned char *bytes;
    size_t count;
    size_t at;            // of the next block
    struct tsi_take take; // in the block
    struct tsi_arena scratch;
};

// Fails with TESS_EFORMAT if the bytes are no recording, TESS_EVERSION.
tess_status tsi_record_open(struct tsi_record_reader *reader, const unsigned char *bytes,
                            size_t count, struct tsi_error *error);

// The next record, valid until the next call; the program of a JOB_SUBMITTED, JOB_RESTORED or
// PROGRAM is the caller's.
// `*is_end` when there is none, or only a part of a block whose writer died. Fails with
// TESS_EFORMAT for bytes that no writer wrote, TESS_ENOMEM.
tess_status tsi_record_next(struct tsi_record_reader *reader, struct tsi_record *record,
                            bool *is_end, struct tsi_error *error);
void tsi_record_close(struct tsi_record_reader *reader);

#endif
