// SPDX-License-Identifier: Apache-2.0
//
// Whether a job can run at all: its largest task has to fit the largest worker. Looked at when the
// job is first activated, which is when there are workers. The inputs of an operation are those of
// a few of its chunks, since most have the same number.

#include "engine/base/text.h"
#include "scheduler/core/sched_state.h"

enum { INPUTS_COUNTED_MAX = 4096 };

static uint64_t
add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
input_bytes(const struct tsi_sched_job *job, uint32_t op, uint32_t chunk)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    uint64_t bytes = 0;
    uint32_t last = TSI_TASK_NONE;
    tsi_sched_walk_deps(&walk, job, op, job->ops[op].base + chunk);
    for (int i = 0; i < INPUTS_COUNTED_MAX && tsi_sched_walk_next_dep(&walk, &dep); i++) {
        if (dep != last) {
            bytes = add(bytes, tsi_sched_job_bytes(job, walk.op, dep));
        }
        last = dep;
    }
    return bytes;
}

static uint64_t
task_bytes(const struct tsi_sched_job *job, uint32_t op)
{
    const struct tsi_sched_op *info = &job->ops[op];
    const uint32_t samples[3] = {0, info->count / 2, info->count - 1};
    uint64_t most = 0;
    for (int i = 0; i < 3; i++) {
        const uint64_t bytes = input_bytes(job, op, samples[i]);
        most = bytes > most ? bytes : most;
    }
    return add(most, add(info->bytes_max, info->workspace));
}

static void
refuse(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint64_t bytes)
{
    const struct tsi_chunk_op *largest = &job->program->ops[op];
    char place[TSI_ERROR_TEXT_MAX / 2];
    char shape[TSI_SHAPE_TEXT_MAX];
    char needed[TSI_BYTES_TEXT_MAX];
    char limit[TSI_BYTES_TEXT_MAX];
    int64_t size[TESS_NDIM_MAX] = {0};
    for (int i = 0; i < largest->loop.ndim; i++) {
        size[i] = tsi_axis_chunk_size_max(&largest->loop.axis[i]);
    }
    tsi_chunk_op_place(largest, place, sizeof place);
    tsi_sched_job_doom(sched, job, TESS_EMEMLIMIT,
                       "%s: one chunk of shape %s needs %s with its inputs, the largest worker may "
                       "use %s; smaller chunks would fit",
                       place, tsi_text_shape(shape, largest->loop.ndim, size),
                       tsi_text_bytes(needed, bytes), tsi_text_bytes(limit, sched->memory_max));
}

bool
tsi_sched_fit_check(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    if (job->fits_checked) {
        return true;
    }
    job->fits_checked = true;
    if (sched->memory_max == UINT64_MAX) {
        return true;
    }
    uint64_t most = 0;
    uint32_t largest = 0;
    for (int op = 0; op < job->program->op_count; op++) {
        if (job->ops[op].count > 0 && tsi_sched_op_runs(&job->ops[op])) {
            const uint64_t bytes = task_bytes(job, (uint32_t)op);
            largest = bytes > most ? (uint32_t)op : largest;
            most = bytes > most ? bytes : most;
        }
    }
    if (most > sched->memory_max) {
        refuse(sched, job, largest, most);
        return false;
    }
    return true;
}
