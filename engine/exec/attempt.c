// SPDX-License-Identifier: Apache-2.0
//
// What the threads of every runtime do with a task.

#include "engine/exec/attempt.h"

tess_status
tsi_attempt_run(struct tsi_exec_task *task, size_t output_bytes, struct tsi_buf **output,
                struct tsi_error *error)
{
    *output = tsi_buf_new(output_bytes);
    if (*output == NULL) {
        char place[256];
        tsi_chunk_op_place(&task->program->ops[task->op], place, sizeof place);
        return tsi_error_set(error, TESS_ENOMEM, "%s: out of memory for a chunk of %zu bytes",
                             place, output_bytes);
    }
    task->out = (*output)->data;
    const tess_status status = tsi_exec_run(task, error);
    if (status != TESS_OK) {
        tsi_buf_unref(*output);
        *output = NULL;
    }
    return status;
}
