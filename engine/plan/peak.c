// SPDX-License-Identifier: Apache-2.0
//
// The peak of memory is estimated from the maps alone, one pass over the operations.
//
// Each thread works its way through one target chunk, depth first. To make one chunk of an
// operation the inputs are made one after another, each kept until the chunk is done; so
//
//     need(op) = max over its inputs i of (what inputs before i keep + need(i)),
//                or all inputs + output + workspace, if that is more.
//
// Chunks with one reader go when it has run. Chunks with several readers may all wait for the last
// of them, so of such an operation everything is counted once, apart from the threads. Chunks in
// the client's memory are copied to workers, so they count as made; files are read in place.

#include "engine/plan/peak.h"

#include "engine/base/memory.h"
#include "engine/base/saturate.h"

// Chunks of a window that the scheduler may have open beside the one that a thread works on.
#define OPEN_PER_THREAD 2u

struct op_peak {
    uint64_t chunk_bytes; // of the largest chunk
    uint64_t need;        // to make one chunk
    uint64_t readers;     // tasks that read one chunk, at most; saturated
    bool is_target;
    bool shared; // counted as a whole
};

uint64_t
tsi_estimate_op_bytes(const struct tsi_chunk_op *op)
{
    return tsi_saturate_multiply(op->task_count, tsi_chunk_op_bytes_max(op));
}

// The chunks of input `input` that one chunk of `op` reads: those of a chunk in the middle of the
// grid, which no edge makes smaller.
static uint64_t
degree(const struct tsi_program *program, const struct tsi_chunk_op *op,
       const struct tsi_input *input)
{
    const struct tsi_grid *source = &program->ops[input->op].array;
    struct tsi_chunk_set set =
        tsi_index_map_deps(&input->map, &op->loop, source, op->task_count / 2);
    const int64_t count = tsi_chunk_set_count(&set);
    return count > 0 ? (uint64_t)count : 1;
}

static uint64_t
readers_through(const struct tsi_chunk_op *source, const struct tsi_chunk_op *op,
                const struct tsi_input *input)
{
    struct tsi_chunk_set set =
        tsi_index_map_users(&input->map, &op->loop, &source->array, source->task_count / 2);
    return (uint64_t)tsi_chunk_set_count(&set);
}

static void
count_readers(const struct tsi_program *program, struct op_peak *peaks)
{
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        for (int k = 0; k < op->input_count; k++) {
            const int source = op->inputs[k].op;
            if (program->ops[source].work != TSI_WORK_FILE) {
                peaks[source].readers += readers_through(&program->ops[source], op, &op->inputs[k]);
            }
        }
    }
}

static void
find_need(const struct tsi_program *program, int i, struct op_peak *peaks)
{
    const struct tsi_chunk_op *op = &program->ops[i];
    struct op_peak *peak = &peaks[i];
    uint64_t kept = 0;
    uint64_t most = 0;
    if (op->work == TSI_WORK_FILE) {
        return;
    }
    peak->chunk_bytes = tsi_chunk_op_bytes_max(op);
    for (int k = 0; k < op->input_count; k++) {
        const struct op_peak *source = &peaks[op->inputs[k].op];
        if (program->ops[op->inputs[k].op].work == TSI_WORK_FILE || source->shared) {
            continue;
        }
        const uint64_t all =
            tsi_saturate_multiply(degree(program, op, &op->inputs[k]), source->chunk_bytes);
        const uint64_t making = tsi_saturate_add(kept, tsi_saturate_add(all, source->need));
        most = making > most ? making : most;
        kept = tsi_saturate_add(kept, all);
    }
    const uint64_t running = tsi_saturate_add(
        kept, tsi_saturate_add(peak->chunk_bytes, tsi_chunk_op_workspace_max(program, op)));
    peak->need = running > most ? running : most;
}

// Everything of operations that count as a whole, and for each thread the open chunks of the target
// that needs most.
static uint64_t
total_peak(const struct tsi_program *program, const struct op_peak *peaks, int threads)
{
    uint64_t whole = 0;
    uint64_t need = 0;
    for (int i = 0; i < program->op_count; i++) {
        if (peaks[i].shared) {
            whole = tsi_saturate_add(whole, tsi_estimate_op_bytes(&program->ops[i]));
        }
        need = peaks[i].need > need ? peaks[i].need : need;
    }
    return tsi_saturate_add(whole,
                            tsi_saturate_multiply(need, (uint64_t)threads * OPEN_PER_THREAD));
}

struct tsi_estimate
tsi_estimate(const struct tsi_program *program, int threads)
{
    struct tsi_estimate estimate = {.tasks = program->task_count};
    struct op_peak *peaks = tsi_calloc((size_t)program->op_count + 1, sizeof *peaks);
    if (peaks == NULL) {
        estimate.peak_bytes = UINT64_MAX;
        return estimate;
    }
    for (int i = 0; i < program->target_count; i++) {
        peaks[program->targets[i].op].is_target = true;
    }
    count_readers(program, peaks);
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        peaks[i].shared = op->work != TSI_WORK_FILE && op->work != TSI_WORK_KEPT &&
                          (peaks[i].is_target || peaks[i].readers > 1);
        find_need(program, i, peaks);
        estimate.bytes_written = tsi_saturate_add(
            estimate.bytes_written, op->work == TSI_WORK_HELD ? 0 : tsi_estimate_op_bytes(op));
        for (int k = 0; k < op->input_count; k++) {
            const struct tsi_chunk_op *source = &program->ops[op->inputs[k].op];
            const uint64_t chunk = tsi_chunk_op_bytes_max(source);
            const uint64_t read =
                source->work == TSI_WORK_FILE
                    ? chunk
                    : tsi_saturate_multiply(op->task_count,
                                            degree(program, op, &op->inputs[k]) * chunk);
            estimate.bytes_read = tsi_saturate_add(estimate.bytes_read, read);
        }
    }
    estimate.peak_bytes = total_peak(program, peaks, threads);
    tsi_free(peaks);
    return estimate;
}
