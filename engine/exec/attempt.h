// SPDX-License-Identifier: Apache-2.0
//
// One attempt at a task: makes room for the output, runs the task, and says what went wrong.

#ifndef TSI_EXEC_ATTEMPT_H
#define TSI_EXEC_ATTEMPT_H

#include "engine/base/buf.h"
#include "engine/exec/exec.h"

// Runs `task`, whose `out` is not set, and gives the output in `*output` if the result is TESS_OK.
tess_status tsi_attempt_run(struct tsi_exec_task *task, size_t output_bytes,
                            struct tsi_buf **output, struct tsi_error *error);

#endif
