// SPDX-License-Identifier: Apache-2.0
//
// The smallest programs that the tests of the scheduler's core need. All arrays are float64 with
// chunks of 10 elements, so 80 bytes, in one axis.

#ifndef TSI_SUPPORT_SCHED_PROGRAMS_H
#define TSI_SUPPORT_SCHED_PROGRAMS_H

#include <stdint.h>

#include "engine/program/program.h"

enum { SCHED_CHUNK_BYTES = 80 };

// Tasks 0 … n−1 make chunks; a target of `mode`.
struct tsi_program *sched_program_leaves(int64_t n, enum tsi_target_mode mode);

// Operation i + 1 reads chunk c of operation i; tasks i·n + c. The last of `length` is a target.
struct tsi_program *sched_program_chain(int64_t n, int length, enum tsi_target_mode mode);

// Tasks 0 … n−1 make chunks; task n waits for all of them, and task n is run.
struct tsi_program *sched_program_join(int64_t n);

// Tasks 0 … n−1 are held by the client; tasks n … 2n−1 read one each, delivered.
struct tsi_program *sched_program_held(int64_t n);

// Tasks 0 … n−1 are chunks of job `job` from its task `base` on; tasks n … 2n−1 read one each, a
// target of `mode`.
struct tsi_program *sched_program_kept(int64_t n, uint32_t job, uint32_t base,
                                       enum tsi_target_mode mode);

// Tasks 0 … n−1 make chunks; tasks n … 2n−1 read chunk c of them twice, delivered.
struct tsi_program *sched_program_twice(int64_t n);

// Task 0 makes a chunk; tasks 1 … n read it all, delivered.
struct tsi_program *sched_program_broadcast(int64_t n);

// Tasks 0 … n−1 make chunks; tasks n … 2n−1 write one each to a file; task 2n gives the file its
// name.
struct tsi_program *sched_program_write(int64_t n);

#endif
