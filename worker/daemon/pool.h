// SPDX-License-Identifier: Apache-2.0
//
// The worker daemon's threads: each takes runs from a queue, executes them, and puts their ends
// into another queue, whose descriptor wakes the loop.

#ifndef TSI_WORKER_DAEMON_POOL_H
#define TSI_WORKER_DAEMON_POOL_H

#include "engine/base/buf.h"
#include "engine/exec/exec.h"

// One execution. `inputs` belong to the run; the caller of tsi_pool_ended() frees them.
struct tsi_run {
    uint32_t run;
    const struct tsi_program *program;
    int op;
    int64_t chunk;
    size_t output_bytes;
    struct tsi_exec_chunk *inputs;
    size_t input_count;
    atomic_bool cancelled;

    tess_status status; // from here on: how it ended
    struct tsi_buf *output;
    uint32_t duration_us;
    struct tsi_error error;
    struct tsi_run *next;
};

struct tsi_pool;

struct tsi_pool *tsi_pool_new(int threads,
                              struct tsi_files *files); // NULL if not all threads start
void tsi_pool_free(struct tsi_pool *pool); // waits for what runs; runs not ended are dropped

void tsi_pool_start(struct tsi_pool *pool, struct tsi_run *run);

// The runs that ended since the last call, oldest first, linked by `next`.
struct tsi_run *tsi_pool_ended(struct tsi_pool *pool);

// Readable while there are ended runs.
int tsi_pool_fd(const struct tsi_pool *pool);

#endif
