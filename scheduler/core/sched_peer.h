// SPDX-License-Identifier: Apache-2.0
//
// Peers: workers, each in a slot that is used again after it left, and clients.

#ifndef TSI_SCHED_PEER_H
#define TSI_SCHED_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/vec.h"
#include "scheduler/core/sched.h"
#include "scheduler/core/sched_ready.h"

struct tsi_sched;
struct tsi_sched_job;

#define TSI_ATTEMPT_NONE UINT32_C(0xFFFFFFFF)

// One assignment that a worker has not answered yet. They are in a list, oldest first.
struct tsi_sched_attempt {
    uint32_t sequence;
    uint32_t job_slot;
    uint32_t task;
    uint32_t rank;
    uint32_t previous;
    uint32_t next;
    uint32_t estimate_us;
    bool retracting;
    bool has_copy;  // the worker has what is to be made, from elsewhere
    uint64_t bytes; // reserved for it, and of the copy
};

// A job that a worker was told of.
struct tsi_sched_known {
    uint32_t job;
    bool has_program;
    uint64_t peak_bytes; // of the books, from when it was told to the last call of sched_peak.c
    uint64_t peak_bytes_measured; // as the worker reported it
};

struct tsi_sched_worker {
    uint32_t peer; // TSI_PEER_NONE: the slot is free
    uint32_t slot;
    char *name;
    int threads;
    uint64_t memory_bytes; // UINT64_MAX: no limit
    uint64_t spill_bytes;  // that chunks may take on its disk besides
    uint64_t heard_ns;
    bool suspect;
    bool is_unsure; // it may have what the books do not know of: it had an earlier life, or was to
                    // copy what was given up meanwhile
    bool draining;
    bool drained_told;
    bool drained_due;
    uint64_t refused_until_ns; // it had no memory for a task: nothing new before

    TSI_VEC(struct tsi_sched_attempt) attempts;
    uint32_t attempt_unused; // list through `next`
    uint32_t attempt_first;
    uint32_t attempt_last;
    uint32_t outstanding;
    uint32_t retracting;
    uint32_t next_sequence;
    uint64_t queued_us;
    uint64_t held_bytes;
    uint64_t reserved_bytes;
    uint64_t peak_bytes;    // of the two together, since a job was last told
    uint64_t inlined_bytes; // of chunks that were sent inside messages, ever

    struct tsi_sched_heap heap;            // ready tasks that it is the best place for
    struct tsi_sched_heap steered;         // ready tasks that others had no room for
    uint32_t stripe;                       // the first one that it owns, or TSI_STRIPE_NONE
    TSI_VEC(struct tsi_sched_known) known; // by slot of the job

    // What it is to be told.
    TSI_VEC(uint32_t) programs; // jobs
    TSI_VEC(tsi_key) frees;
    TSI_VEC(struct tsi_assignment) assigns;
    TSI_VEC(struct tsi_location) locations;
    TSI_VEC(uint32_t) retracts;
    TSI_VEC(struct tsi_location) copies;
    size_t programs_sent;
    size_t frees_sent;
    size_t assigns_sent;
    size_t locations_sent;
    size_t retracts_sent;
    size_t copies_sent;
};

struct tsi_sched_client {
    uint32_t peer;
    bool left;
    uint64_t lease_ns; // when its jobs are cancelled, once it left
};

// The worker or client of a peer; NULL if it is none.
struct tsi_sched_worker *tsi_sched_peer_worker(const struct tsi_sched *sched, uint32_t peer);
struct tsi_sched_client *tsi_sched_peer_client(const struct tsi_sched *sched, uint32_t peer);

// Makes the record of a worker or client; NULL when memory is out.
struct tsi_sched_worker *tsi_sched_peer_add_worker(struct tsi_sched *sched, uint32_t peer,
                                                   const char *name);
struct tsi_sched_client *tsi_sched_peer_add_client(struct tsi_sched *sched, uint32_t peer);

// Takes the record of a worker away; nothing refers to its slot any more.
void tsi_sched_peer_remove_worker(struct tsi_sched *sched, struct tsi_sched_worker *worker);
void tsi_sched_peer_remove_client(struct tsi_sched *sched, uint32_t peer);
void tsi_sched_worker_free(struct tsi_sched_worker *worker);

// Whether it may get new tasks at all.
bool tsi_sched_worker_is_open(const struct tsi_sched *sched, const struct tsi_sched_worker *worker);

// Adds an attempt to the worker's list; TSI_ATTEMPT_NONE when memory is out.
uint32_t tsi_sched_worker_add_attempt(struct tsi_sched_worker *worker,
                                      const struct tsi_sched_attempt *attempt);
void tsi_sched_worker_remove_attempt(struct tsi_sched_worker *worker, uint32_t attempt);

// Whether an attempt is among the first as many as the worker has threads, so it may be running.
bool tsi_sched_worker_may_run(const struct tsi_sched_worker *worker, uint32_t attempt);

// Notes that the worker knows of a job; false when memory is out.
bool tsi_sched_worker_know(struct tsi_sched_worker *worker, const struct tsi_sched_job *job);
// The same, and sends it the program before whatever else it is told, unless it has that.
bool tsi_sched_worker_give_program(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                                   const struct tsi_sched_job *job);
bool tsi_sched_worker_knows(const struct tsi_sched_worker *worker, const struct tsi_sched_job *job);

// Whether the batches of the worker hold anything that was not told.
bool tsi_sched_worker_has_news(const struct tsi_sched_worker *worker);
void tsi_sched_worker_clear_news(struct tsi_sched_worker *worker);

#endif
