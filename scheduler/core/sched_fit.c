// SPDX-License-Identifier: Apache-2.0
//
// Whether a job can run at all: its largest task has to fit the largest worker. Looked at when the
// job is first activated, which is when there are workers. The inputs of an operation are those of
// a few of its chunks, since most have the same number.
//
// A refusal also tells a chunk shape that would fit: the longest axis is halved until it does. It
// is reckoned with arrays that are cut as the operation is, and so become smaller with it; of
// others whole chunks are read, however little is used of them. All roundings are upwards.

#include <stdio.h>

#include "engine/base/saturate.h"
#include "engine/base/text.h"
#include "scheduler/core/sched_state.h"

enum { INPUTS_COUNTED_MAX = 4096 };

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
            bytes = tsi_saturate_add(bytes, tsi_sched_job_bytes(job, walk.op, dep));
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
    return tsi_saturate_add(most, tsi_saturate_add(info->bytes_max, info->workspace));
}

// Whether the operation makes one element of all that a chunk has on loop axis `axis`.
static bool
is_folded(const struct tsi_chunk_op *op, int axis)
{
    if (op->work == TSI_WORK_MATMUL) {
        return axis == op->loop.ndim - 1;
    }
    const bool reduces = op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_REDUCE;
    const uint32_t axes = op->work == TSI_WORK_FOLD ? op->fold.axes
                          : reduces                 ? op->tile.reduce.axes
                                                    : 0;
    return (axes >> axis & 1) != 0;
}

// The operation with chunks of `size` in its loop, and in its array where that is cut alike.
static struct tsi_chunk_op
cut_op(const struct tsi_chunk_op *op, const int64_t size[TESS_NDIM_MAX])
{
    struct tsi_chunk_op cut = *op;
    int next = 0; // axis of the array
    for (int i = 0; i < op->loop.ndim; i++) {
        const struct tsi_axis *axis = &op->loop.axis[i];
        cut.loop.axis[i] = tsi_axis_regular(axis->size, size[i]);
        for (int k = next; k < op->array.ndim && !is_folded(op, i); k++) {
            if (tsi_axis_equal(&op->array.axis[k], axis)) {
                cut.array.axis[k] = cut.loop.axis[i];
                next = k + 1;
                break;
            }
        }
    }
    return cut;
}

// How many chunks of `step` elements `span` neighbours are in at most.
static int64_t
chunks_in(int64_t span, int64_t step, int64_t most)
{
    const int64_t chunks = (span + step - 2) / step + 1;
    return chunks < most ? chunks : most;
}

// The part of an input that a chunk reads when it is `cut`, of what it reads now. Windows and what
// takes every second element or fewer count as if they stayed.
static double
input_part(const struct tsi_chunk_op *op, const struct tsi_chunk_op *cut,
           const struct tsi_input *input, const struct tsi_grid *source)
{
    double part = 1;
    for (int i = 0; i < source->ndim && !input->map.is_explicit; i++) {
        const struct tsi_map_axis *rule = &input->map.axis[i];
        const int64_t step = tsi_axis_chunk_size_max(&source->axis[i]);
        if (rule->axis < 0 || step == 0 || rule->extent != 1) {
            continue;
        }
        const int64_t now = tsi_axis_chunk_size_max(&op->loop.axis[rule->axis]);
        const int64_t then = tsi_axis_chunk_size_max(&cut->loop.axis[rule->axis]);
        if (now == step) {
            part *= (double)then / (double)now;
        } else if (rule->stride == 1 || rule->stride == -1) {
            const int64_t chunks = (now + step - 1) / step;
            part *= (double)chunks_in(then, step, chunks) / (double)chunks;
        }
    }
    return part;
}

// What a task of `op` would need if it were cut so.
static double
bytes_if_cut(const struct tsi_program *program, const struct tsi_chunk_op *op,
             const int64_t size[TESS_NDIM_MAX])
{
    const struct tsi_chunk_op cut = cut_op(op, size);
    double bytes =
        (double)tsi_chunk_op_bytes_max(&cut) + (double)tsi_chunk_op_workspace_max(program, &cut);
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_input *input = &op->inputs[i];
        const struct tsi_chunk_op *source = &program->ops[input->op];
        if (source->work != TSI_WORK_FILE) {
            struct tsi_chunk_set set =
                tsi_index_map_deps(&input->map, &op->loop, &source->array, op->task_count / 2);
            bytes += (double)tsi_chunk_set_count(&set) * (double)tsi_chunk_op_bytes_max(source) *
                     input_part(op, &cut, input, &source->array);
        }
    }
    return bytes;
}

// Makes `size` smaller until a task fits; false if none does.
static bool
find_fitting(const struct tsi_program *program, const struct tsi_chunk_op *op, uint64_t limit,
             int64_t size[TESS_NDIM_MAX])
{
    do {
        int longest = 0;
        for (int i = 1; i < op->loop.ndim; i++) {
            longest = size[i] > size[longest] ? i : longest;
        }
        if (op->loop.ndim == 0 || size[longest] <= 1) {
            return false;
        }
        size[longest] = (size[longest] + 1) / 2;
    } while (bytes_if_cut(program, op, size) > (double)limit);
    return true;
}

// What may be done about it, in words.
static const char *
advise(char out[TSI_SHAPE_TEXT_MAX + 64], const struct tsi_program *program,
       const struct tsi_chunk_op *op, uint64_t limit, int64_t size[TESS_NDIM_MAX])
{
    char shape[TSI_SHAPE_TEXT_MAX];
    if (!find_fitting(program, op, limit, size)) {
        return "no smaller chunk would fit unless its inputs have smaller chunks as well";
    }
    snprintf(out, TSI_SHAPE_TEXT_MAX + 64, "chunks of shape %s would fit",
             tsi_text_shape(shape, op->loop.ndim, size));
    return out;
}

static void
refuse(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint64_t bytes)
{
    const struct tsi_chunk_op *largest = &job->program->ops[op];
    char place[TSI_ERROR_TEXT_MAX / 2];
    char shape[TSI_SHAPE_TEXT_MAX];
    char needed[TSI_BYTES_TEXT_MAX];
    char limit[TSI_BYTES_TEXT_MAX];
    char advice[TSI_SHAPE_TEXT_MAX + 64];
    int64_t size[TESS_NDIM_MAX] = {0};
    for (int i = 0; i < largest->loop.ndim; i++) {
        size[i] = tsi_axis_chunk_size_max(&largest->loop.axis[i]);
    }
    tsi_chunk_op_place(largest, place, sizeof place);
    tsi_text_shape(shape, largest->loop.ndim, size);
    tsi_sched_job_doom(sched, job, TESS_EMEMLIMIT,
                       "%s: one chunk of shape %s needs %s with its inputs, the largest worker may "
                       "use %s; %s",
                       place, shape, tsi_text_bytes(needed, bytes),
                       tsi_text_bytes(limit, sched->memory_max),
                       advise(advice, job->program, largest, sched->memory_max, size));
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
