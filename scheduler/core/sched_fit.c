// SPDX-License-Identifier: Apache-2.0
//
// Whether a job can run at all: its largest task has to fit the largest worker. Looked at when the
// job is first activated, which is when there are workers.
//
// A task needs all its inputs at once, kept ones too, each once however often it is read. How many
// there are differs between the chunks of an operation: x + x.T reads one on the diagonal and two
// beside it. So where the most that the index maps allow would not fit, the chunks are looked at
// one by one; elsewhere, which is nearly always, they need not be.
//
// A refusal also tells a chunk shape that would fit: the longest axis is halved until it does. A
// product takes several chunks of its inner axis at once, so that one is proposed smaller by as
// many. It is reckoned with arrays that are cut as the operation is, and so become smaller with it;
// of others whole chunks are read, however little is used of them. All roundings are upwards.

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/saturate.h"
#include "engine/base/text.h"
#include "scheduler/core/sched_state.h"

enum {
    INPUTS_COUNTED_MAX = 4096, // of a task
    // Tasks of an operation that are looked at, of each a few, and inputs of all tasks of a job.
    // What is missed then ends with refusals by workers.
    TASKS_COUNTED_MAX = 1 << 18,
    TASKS_COUNTED_MIN = 3,
    INPUTS_LOOKED_AT_MAX = 1 << 20,
};

// The task that needs most, as far as is known.
struct need {
    uint64_t bytes;
    uint32_t op;
    uint32_t chunk;
};

static int
compare_tasks(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Bytes of the inputs of a chunk. How many there are is subtracted from `budget`.
static uint64_t
input_bytes(struct tsi_sched_job *job, uint32_t op, uint32_t chunk, int64_t *budget)
{
    uint32_t deps[INPUTS_COUNTED_MAX];
    struct tsi_sched_walk walk;
    size_t count = 0;
    uint64_t bytes = 0;
    tsi_sched_walk_deps(&walk, job, op, job->ops[op].base + chunk);
    while (count < INPUTS_COUNTED_MAX && tsi_sched_walk_next_dep(&walk, &deps[count])) {
        count++;
    }
    if (job->program->ops[op].input_count > 1) {
        qsort(deps, count, sizeof deps[0], compare_tasks);
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || deps[i] != deps[i - 1]) {
            const uint32_t source = tsi_sched_job_op(job, deps[i]);
            bytes = tsi_saturate_add(bytes, tsi_sched_job_bytes(job, source, deps[i]));
        }
    }
    *budget -= (int64_t)count + 1;
    return bytes;
}

// How many chunks of a source axis a chunk of the loop touches at most.
static int64_t
touched_max(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
            const struct tsi_axis *source)
{
    if (tsi_map_axis_touches_one(rule, loop, source)) {
        return 1;
    }
    if (source->bounds != NULL || source->step <= 0 || rule->stride == INT64_MIN) {
        return source->count;
    }
    const int64_t indices = rule->axis < 0 ? 1 : tsi_axis_chunk_size_max(&loop->axis[rule->axis]);
    const int64_t stride = rule->stride < 0 ? -rule->stride : rule->stride;
    const int64_t apart = tsi_saturate_multiply_i64(indices > 0 ? indices - 1 : 0, stride);
    // From the first element to the last.
    const int64_t span = apart > INT64_MAX - rule->extent ? INT64_MAX : apart + rule->extent - 1;
    const int64_t crossed = span / source->step + (span % source->step > 0);
    return crossed < source->count ? crossed + 1 : source->count;
}

// No chunk of the operation has inputs of more bytes.
static uint64_t
input_bytes_bound(const struct tsi_sched_job *job, uint32_t op)
{
    const struct tsi_chunk_op *reader = &job->program->ops[op];
    uint64_t bytes = 0;
    for (int i = 0; i < reader->input_count; i++) {
        const struct tsi_input *input = &reader->inputs[i];
        const struct tsi_sched_op *source = &job->ops[input->op];
        const struct tsi_grid *grid = &job->program->ops[input->op].array;
        uint64_t chunks = 1;
        for (int k = 0; k < grid->ndim && !input->map.is_explicit; k++) {
            const int64_t touched = touched_max(&input->map.axis[k], &reader->loop, &grid->axis[k]);
            chunks = tsi_saturate_multiply(chunks, (uint64_t)touched);
        }
        if (input->map.is_explicit || chunks > source->count) {
            chunks = source->count;
        }
        bytes = tsi_saturate_add(bytes, tsi_saturate_multiply(chunks, source->bytes_max));
    }
    return bytes;
}

// Finds the task of the operation that needs most; without looking for it if all of them fit. What
// is looked at is subtracted from `budget`.
static struct need
op_need(struct tsi_sched_job *job, uint32_t op, uint64_t limit, int64_t *budget)
{
    const struct tsi_sched_op *info = &job->ops[op];
    const uint64_t own = tsi_saturate_add(info->bytes_max, info->workspace);
    struct need need = {own, op, 0};
    if (tsi_saturate_add(own, input_bytes_bound(job, op)) <= limit) {
        return need;
    }
    // Evenly, where there are too many.
    const uint32_t tasks_max = *budget > 0 ? TASKS_COUNTED_MAX : TASKS_COUNTED_MIN;
    const uint32_t step = info->count / tasks_max + 1;
    uint32_t looked = 0;
    for (uint64_t chunk = 0; chunk < info->count; chunk += step) {
        if (*budget <= 0 && looked++ >= TASKS_COUNTED_MIN) {
            break;
        }
        const uint64_t inputs = input_bytes(job, op, (uint32_t)chunk, budget);
        const uint64_t bytes = tsi_saturate_add(own, inputs);
        if (bytes > need.bytes) {
            need = (struct need){bytes, op, (uint32_t)chunk};
        }
    }
    return need;
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

// What chunk `chunk` of `op` would need if it were cut so.
static double
bytes_if_cut(const struct tsi_program *program, const struct tsi_chunk_op *op, uint32_t chunk,
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
                tsi_index_map_deps(&input->map, &op->loop, &source->array, chunk);
            bytes += (double)tsi_chunk_set_count(&set) * (double)tsi_chunk_op_bytes_max(source) *
                     input_part(op, &cut, input, &source->array);
        }
    }
    return bytes;
}

// Makes two loop axes equal that go along the same axis of a source, as in x + x.T: it cannot be
// cut in two ways. Returns whether that changes anything.
static bool
tie_axes(const struct tsi_program *program, const struct tsi_chunk_op *op,
         const struct tsi_input *x, const struct tsi_input *y, int64_t size[TESS_NDIM_MAX])
{
    bool changes = false;
    const struct tsi_grid *source = &program->ops[x->op].array;
    if (x->op != y->op || x->map.is_explicit || y->map.is_explicit) {
        return false;
    }
    for (int i = 0; i < source->ndim; i++) {
        const int a = x->map.axis[i].axis;
        const int b = y->map.axis[i].axis;
        if (a >= 0 && b >= 0 && size[a] != size[b] &&
            tsi_axis_equal(&op->loop.axis[a], &source->axis[i]) &&
            tsi_axis_equal(&op->loop.axis[b], &source->axis[i])) {
            size[a] = size[b] = size[a] < size[b] ? size[a] : size[b];
            changes = true;
        }
    }
    return changes;
}

static void
tie_all_axes(const struct tsi_program *program, const struct tsi_chunk_op *op,
             int64_t size[TESS_NDIM_MAX])
{
    bool changes = true;
    while (changes) {
        changes = false;
        for (int i = 1; i < op->input_count; i++) {
            for (int k = 0; k < i; k++) {
                changes |= tie_axes(program, op, &op->inputs[i], &op->inputs[k], size);
            }
        }
    }
}

// Whether a loop axis is the inner one of a product. A block takes several chunks of it, as many as
// before or more if they are smaller.
static bool
is_inner(const struct tsi_chunk_op *op, int axis)
{
    return op->work == TSI_WORK_MATMUL && axis == op->loop.ndim - 1;
}

// The axis to be halved; the inner one of a product only if there is nothing else.
static int
longest_axis(const struct tsi_chunk_op *op, const int64_t size[TESS_NDIM_MAX])
{
    int longest = 0;
    for (int i = 1; i < op->loop.ndim; i++) {
        const bool is_longer = size[i] > size[longest];
        longest = is_longer && (!is_inner(op, i) || size[longest] == 1) ? i : longest;
    }
    return longest;
}

// The chunks of an inner axis of `all` elements of which a block takes `block` elements. A block
// that has all of them now has all of them then: parts of a product are added up in tasks of their
// own, which need more.
static int64_t
inner_chunk(int64_t block, int64_t all)
{
    const int64_t up = block == all ? TSI_MATMUL_GROUP_MAX - 1 : 0;
    const int64_t chunk = (block + up) / TSI_MATMUL_GROUP_MAX;
    return chunk > 0 ? chunk : 1;
}

// Makes `size` smaller until a task fits; false if none does.
static bool
find_fitting(const struct tsi_program *program, const struct need *need, uint64_t limit,
             int64_t size[TESS_NDIM_MAX])
{
    const struct tsi_chunk_op *op = &program->ops[need->op];
    do {
        const int longest = longest_axis(op, size);
        if (op->loop.ndim == 0 || size[longest] <= 1) {
            return false;
        }
        size[longest] = (size[longest] + 1) / 2;
        tie_all_axes(program, op, size);
    } while (bytes_if_cut(program, op, need->chunk, size) > (double)limit);
    if (op->work == TSI_WORK_MATMUL) {
        const int inner = op->loop.ndim - 1;
        size[inner] = inner_chunk(size[inner], op->loop.axis[inner].size);
    }
    return true;
}

// What may be done about it, in words.
static const char *
advise(char out[TSI_SHAPE_TEXT_MAX + 64], const struct tsi_program *program,
       const struct need *need, uint64_t limit, int64_t size[TESS_NDIM_MAX])
{
    char shape[TSI_SHAPE_TEXT_MAX];
    if (!find_fitting(program, need, limit, size)) {
        return "no smaller chunk would fit unless its inputs have smaller chunks as well";
    }
    snprintf(out, TSI_SHAPE_TEXT_MAX + 64, "chunks of shape %s would fit",
             tsi_text_shape(shape, program->ops[need->op].loop.ndim, size));
    return out;
}

static void
refuse(struct tsi_sched *sched, struct tsi_sched_job *job, const struct need *need)
{
    const struct tsi_chunk_op *largest = &job->program->ops[need->op];
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
                       place, shape, tsi_text_bytes(needed, need->bytes),
                       tsi_text_bytes(limit, sched->memory_max),
                       advise(advice, job->program, need, sched->memory_max, size));
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
    struct need most = {0, 0, 0};
    int64_t budget = INPUTS_LOOKED_AT_MAX;
    for (int op = 0; op < job->program->op_count; op++) {
        if (job->ops[op].count > 0 && tsi_sched_op_runs(&job->ops[op])) {
            const struct need need = op_need(job, (uint32_t)op, sched->memory_max, &budget);
            most = need.bytes > most.bytes ? need : most;
        }
    }
    if (most.bytes > sched->memory_max) {
        refuse(sched, job, &most);
        return false;
    }
    return true;
}
