// SPDX-License-Identifier: Apache-2.0
//
// The worker daemon's threads: they execute what the loop gives them, and a descriptor wakes the
// loop when there is something to collect.

#ifndef TSI_WORKER_DAEMON_POOL_H
#define TSI_WORKER_DAEMON_POOL_H

#include "engine/exec/attempt.h"

struct tsi_pool;

struct tsi_pool *tsi_pool_new(int threads,
                              struct tsi_files *files); // NULL if not all threads start
void tsi_pool_free(struct tsi_pool *pool); // cancels what runs; what is not collected is dropped

// The slots of the runs, to be prepared and read by the loop alone.
struct tsi_attempts *tsi_pool_attempts(struct tsi_pool *pool);

// Gives a run to the threads; `cost_ns` is how long it is expected to take, UINT64_MAX if it may
// wait for something; `is_along` is as for tsi_attempts_start().
void tsi_pool_start(struct tsi_pool *pool, uint32_t run, uint64_t cost_ns, bool is_along);

// Executes what was started since the threads were woken, in the thread of the loop, if all of them
// sleep and it takes less time than to wake one. True if there is something to collect.
bool tsi_pool_run_here(struct tsi_pool *pool);

// Wakes threads for what was started since the last call.
void tsi_pool_wake(struct tsi_pool *pool);

// The runs that ended since the last call, oldest first; how many.
size_t tsi_pool_ended(struct tsi_pool *pool, uint32_t runs[TSI_ATTEMPT_SLOTS]);

// Readable while there are ended runs.
int tsi_pool_fd(const struct tsi_pool *pool);

#endif
