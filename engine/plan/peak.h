// SPDX-License-Identifier: Apache-2.0
//
// What a program moves and how much memory it takes, known before it runs.

#ifndef TSI_PLAN_PEAK_H
#define TSI_PLAN_PEAK_H

#include "engine/program/program.h"

struct tsi_estimate {
    uint64_t tasks;
    uint64_t bytes_read;    // of inputs, over all tasks
    uint64_t bytes_written; // of outputs, over all tasks
    uint64_t peak_bytes;    // of chunk memory in one process that runs all of it
};

// For `threads` threads. The peak is a bound from above for the order in which the scheduler runs
// tasks: chunks that several tasks read are counted as if all of their array were held at once.
struct tsi_estimate tsi_estimate(const struct tsi_program *program, int threads);

// Bytes of all chunks of `op`, at most.
uint64_t tsi_estimate_op_bytes(const struct tsi_chunk_op *op);

#endif
