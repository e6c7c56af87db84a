// SPDX-License-Identifier: Apache-2.0
//
// A join has nothing to compute: that it runs means that its inputs are there. The last join of a
// file gives the file its name. What is in the file is known by the operation that wrote its
// chunks.

#include <string.h>

#include "engine/exec/files.h"
#include "engine/exec/pipeline.h"
#include "engine/exec/run.h"
#include "engine/io/npy.h"

// The operation that writes the chunks of `temporary`, found along first inputs; NULL if there is
// none. Inputs are earlier operations, so this ends.
static const struct tsi_chunk_op *
find_writer(const struct tsi_program *program, const struct tsi_chunk_op *op, const char *temporary)
{
    while (op->input_count > 0) {
        op = &program->ops[op->inputs[0].op];
        if (op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_WRITE &&
            op->target_file.temporary != NULL && op->tile.instruction_count > 0 &&
            strcmp(op->target_file.temporary, temporary) == 0) {
            return op;
        }
    }
    return NULL;
}

static tess_status
commit_in(struct tsi_run *run, const int *directory)
{
    const struct tsi_work_target_file *const file = &run->op->target_file;
    const struct tsi_chunk_op *const writer =
        find_writer(run->task->program, run->op, file->temporary);
    if (writer == NULL) {
        return tsi_run_internal(run, "nothing writes the file that it ends");
    }
    const struct tsi_npy_target target = {
        .path = file->path,
        .temporary = file->temporary,
        .dtype = tsi_pipeline_dtype(&writer->tile, writer->tile.instruction_count - 1),
        .shape = tsi_grid_shape(&writer->loop),
        .chunk_count = tsi_grid_chunk_count(&writer->loop),
        .directory = directory,
    };
    // Nothing waits for empty chunks, so those of an array without elements are written here.
    if (tsi_grid_element_count(&writer->loop) == 0) {
        int64_t start[TESS_NDIM_MAX];
        int64_t size[TESS_NDIM_MAX];
        for (int64_t chunk = 0; chunk < target.chunk_count; chunk++) {
            tsi_grid_box(&writer->loop, chunk, start, size);
            const tess_status written =
                tsi_npy_write_chunk(&target, chunk, start, size, NULL, run->error);
            if (written != TESS_OK) {
                return written;
            }
        }
    }
    return tsi_npy_commit(&target, run->error);
}

tess_status
tsi_run_join(struct tsi_run *run)
{
    int directory = 0;
    if (run->op->target_file.path == NULL) {
        return TESS_OK;
    }
    tess_status status = tsi_run_open_target(run, &directory);
    if (status == TESS_OK) {
        status = commit_in(run, &directory);
        tsi_files_close_target(directory);
    }
    return status;
}
