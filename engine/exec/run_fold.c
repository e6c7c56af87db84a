// SPDX-License-Identifier: Apache-2.0
//
// Merges the accumulators of a window of chunks, in chunk order, into accumulators that start from
// nothing; so a node of a reduction tree gives the same bits whatever made its inputs.

#include "engine/exec/run.h"

static tess_status
merge_chunks(struct tsi_run *run, const struct tsi_kernel_reduction *kernel,
             const struct tsi_acc_layout *layout, void *const *planes)
{
    const struct tsi_exec_task *const task = run->task;
    for (size_t i = 0; i < task->chunk_count; i++) {
        const tess_status status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        const unsigned char *const data = task->chunks[i].data;
        const void *other[TSI_ACC_PLANES_MAX];
        for (int k = 0; k < TSI_ACC_PLANES_MAX; k++) {
            other[k] = k < layout->planes ? data + tsi_acc_offset(layout, k, run->elements) : NULL;
        }
        kernel->merge(run->elements, planes, other);
    }
    return TESS_OK;
}

tess_status
tsi_run_fold(struct tsi_run *run)
{
    const struct tsi_work_fold *const fold = &run->op->fold;
    const enum tsi_reduction reduction = (enum tsi_reduction)fold->reduction;
    const tess_dtype dtype = (tess_dtype)fold->dtype;
    const struct tsi_kernel_reduction *const kernel = &run->kernel->reduction[reduction][dtype];
    const struct tsi_acc_layout layout = tsi_acc_layout(reduction, dtype);
    // Folded axes of the loop have one element a chunk, so its elements are the accumulators.
    const int64_t count = run->elements;
    void *memory = run->task->out;
    void *planes[TSI_ACC_PLANES_MAX];
    if (kernel->merge == NULL) {
        return tsi_run_internal(run, "there is no such reduction");
    }
    if (fold->finish) {
        const tess_status status =
            tsi_run_take(run, tsi_acc_offset(&layout, layout.planes, count), &memory);
        if (status != TESS_OK) {
            return status;
        }
    }
    tsi_run_planes(&layout, count, memory, planes);
    kernel->start(count, planes);
    const tess_status status = merge_chunks(run, kernel, &layout, planes);
    if (status != TESS_OK || !fold->finish) {
        return status;
    }
    const struct tsi_run_results results = {reduction, dtype, fold->folded, fold->ddof};
    return tsi_run_finish(run, &results, count, planes);
}
