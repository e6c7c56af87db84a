// SPDX-License-Identifier: Apache-2.0
//
// What all kinds of tasks share: the chunk's place in the loop, memory, the end of a fold, and
// messages that say where an error happened.

#include "engine/exec/exec.h"

#include <fcntl.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/exec/files.h"
#include "engine/exec/operand.h"
#include "engine/exec/run.h"
#include "engine/program/mirror.h"

tess_status
tsi_run_take(struct tsi_run *run, size_t bytes, void **memory)
{
    *memory = tsi_scratch_take(run->scratch, bytes);
    if (*memory == NULL) {
        char text[TSI_BYTES_TEXT_MAX];
        return tsi_error_set(run->error, TESS_ENOMEM, "no memory for %s of workspace",
                             tsi_text_bytes(text, bytes));
    }
    return TESS_OK;
}

tess_status
tsi_run_check(const struct tsi_run *run)
{
    const atomic_bool *const cancelled = run->task->cancelled;
    if (cancelled != NULL && atomic_load_explicit(cancelled, memory_order_relaxed)) {
        return tsi_error_set(run->error, TESS_ECANCELLED, "cancelled");
    }
    return TESS_OK;
}

static bool
are_beside(const char *a, const char *b)
{
    const char *const a_end = strrchr(a, '/');
    const char *const b_end = strrchr(b, '/');
    const size_t count = a_end == NULL ? 0 : (size_t)(a_end - a) + 1;
    return count == (b_end == NULL ? 0 : (size_t)(b_end - b) + 1) && memcmp(a, b, count) == 0;
}

tess_status
tsi_run_open_target(const struct tsi_run *run, int *directory)
{
    const struct tsi_work_target_file *const file = &run->op->target_file;
    if (file->temporary == NULL) {
        return tsi_run_internal(run, "it writes a file without a name");
    }
    const tess_status status =
        tsi_files_open_target(run->task->files, file->temporary, directory, run->error);
    if (status == TESS_OK && *directory != AT_FDCWD && file->path != NULL &&
        !are_beside(file->temporary, file->path)) {
        tsi_files_close_target(*directory);
        return tsi_error_set(run->error, TESS_EACCESS, "%s and %s are in two directories",
                             file->temporary, file->path);
    }
    return status;
}

tess_status
tsi_run_internal(const struct tsi_run *run, const char *what)
{
    return tsi_error_set(run->error, TESS_EINTERNAL, "%s", what);
}

void
tsi_run_planes(const struct tsi_acc_layout *layout, int64_t count, void *memory, void **planes)
{
    for (int i = 0; i < TSI_ACC_PLANES_MAX; i++) {
        planes[i] =
            i >= layout->planes ? NULL : (unsigned char *)memory + tsi_acc_offset(layout, i, count);
    }
}

tess_status
tsi_run_finish(struct tsi_run *run, const struct tsi_run_results *results, int64_t count,
               void *const *planes)
{
    const struct tsi_kernel_reduction *const kernel =
        &run->kernel->reduction[results->reduction][results->dtype];
    const tess_dtype made = tsi_reduction_result_dtype(results->reduction, results->dtype);
    const tess_dtype wanted = (tess_dtype)run->op->dtype;
    if (kernel->finish == NULL) {
        return tsi_run_internal(run, "there is no such reduction");
    }
    const void *in[TSI_ACC_PLANES_MAX];
    for (int i = 0; i < TSI_ACC_PLANES_MAX; i++) {
        in[i] = planes[i];
    }
    if (made == wanted) {
        kernel->finish(count, run->task->out, in, results->folded, results->ddof);
        return TESS_OK;
    }
    tsi_kernel_cast *const cast = run->kernel->cast[made][wanted];
    void *plain = NULL;
    const tess_status status = tsi_run_take(run, (size_t)count * tess_dtype_bytes(made), &plain);
    if (status != TESS_OK) {
        return status;
    }
    if (cast == NULL) {
        return tsi_run_internal(run, "there is no such cast of a result");
    }
    kernel->finish(count, plain, in, results->folded, results->ddof);
    cast(count, run->task->out, plain);
    return TESS_OK;
}

// Where the loop chunk lies. This is tsi_grid_box() and tsi_grid_coords() in one pass.
static void
place_chunk(struct tsi_run *run)
{
    const struct tsi_grid *const loop = &run->op->loop;
    int64_t rest = run->task->chunk;
    run->elements = 1;
    for (int i = loop->ndim - 1; i >= 0; i--) {
        const struct tsi_axis *const axis = &loop->axis[i];
        // A division takes as long as all the rest; there is nothing to divide for the last axis.
        const int64_t above = i == 0 ? 0 : axis->count == 1 ? rest : rest / axis->count;
        run->coords[i] = rest - above * axis->count;
        rest = above;
        run->start[i] = tsi_axis_start(axis, run->coords[i]);
        run->size[i] = tsi_axis_chunk_size(axis, run->coords[i]);
        run->elements *= run->size[i];
    }
}

static tess_status
run_work(struct tsi_run *run)
{
    switch (run->op->work) {
    case TSI_WORK_TILE:
        return tsi_run_tile(run);
    case TSI_WORK_FOLD:
        return tsi_run_fold(run);
    case TSI_WORK_MATMUL:
        return tsi_run_matmul(run);
    case TSI_WORK_JOIN:
        return tsi_run_join(run);
    default:
        return tsi_run_internal(run, "its chunks are not made by tasks");
    }
}

static void
name_place(const struct tsi_run *run)
{
    if (run->error == NULL) {
        return;
    }
    const struct tsi_grid *const array = &run->op->array;
    int64_t coords[TESS_NDIM_MAX];
    tsi_grid_coords(array, run->task->chunk, coords);
    char place[TSI_ERROR_TEXT_MAX / 2];
    char at[TSI_SHAPE_TEXT_MAX];
    tsi_chunk_op_place(run->op, place, sizeof place);
    tsi_error_prefix(run->error, "%s, chunk %lld %s", place, (long long)run->task->chunk,
                     tsi_text_shape(at, array->ndim, coords));
}

// Whether each axis of the source is the loop's axis of the same place, index by index.
static bool
is_identity(const struct tsi_index_map *map, int loop_ndim)
{
    bool is_same = !map->is_explicit && map->ndim == loop_ndim;
    for (int i = 0; i < map->ndim && is_same; i++) {
        is_same = map->axis[i].axis == i && map->axis[i].stride == 1 && map->axis[i].extent == 1;
    }
    return is_same;
}

bool
tsi_exec_takes_strides(const struct tsi_program *program, int op)
{
    const struct tsi_chunk_op *const made = &program->ops[op];
    if (!tsi_run_is_only_load(made)) {
        return made->work == TSI_WORK_TILE && made->tile.sink == TSI_SINK_STORE;
    }
    return !made->inputs[0].map.is_explicit &&
           program->ops[made->inputs[0].op].work != TSI_WORK_FILE;
}

struct tsi_buf *
tsi_exec_find_made(const struct tsi_exec_task *task)
{
    const struct tsi_chunk_op *const op = &task->program->ops[task->op];
    if (!tsi_run_is_only_load(op) || task->chunk_count != 1 || task->chunks[0].own == NULL ||
        task->chunks[0].strides != NULL || !is_identity(&op->inputs[0].map, op->loop.ndim)) {
        return NULL;
    }
    // The loop chunk lies in one chunk of the source. If that has as many elements it has the same.
    struct tsi_buf *const own = task->chunks[0].own;
    return own->bytes == tsi_chunk_op_bytes(op, task->chunk) ? own : NULL;
}

static void
open_run(struct tsi_run *run, const struct tsi_exec_task *task, struct tsi_error *error,
         struct tsi_scratch *scratch)
{
    TSI_CHECK(task->op >= 0 && task->op < task->program->op_count);
    run->task = task;
    run->op = &task->program->ops[task->op];
    run->kernel = tsi_kernel();
    run->error = error;
    run->files = NULL;
    run->next_chunk = 0;
    run->scratch = scratch;
    place_chunk(run);
}

static tess_status
close_run(struct tsi_run *run, tess_status status)
{
    tsi_operand_release(run);
    if (status != TESS_OK) {
        name_place(run);
    }
    return status;
}

tess_status
tsi_exec_run(const struct tsi_exec_task *task, struct tsi_error *error)
{
    struct tsi_run run;
    struct tsi_scratch scratch;
    tsi_scratch_open(&scratch);
    open_run(&run, task, error, &scratch);
    const tess_status status = close_run(&run, run_work(&run));
    tsi_scratch_close(&scratch);
    return status;
}

// Whether the two are different tasks that tsi_run_reduce_both() can fold at once.
static bool
are_mirrored(const struct tsi_exec_task *a, const struct tsi_exec_task *b)
{
    if (a->program != b->program || a->op != b->op || a->chunk == b->chunk) {
        return false;
    }
    const struct tsi_chunk_op *const op = &a->program->ops[a->op];
    const struct tsi_mirror mirror = tsi_mirror_find(op);
    return mirror.low >= 0 && tsi_mirror_chunk(&mirror, &op->loop, a->chunk) == b->chunk;
}

void
tsi_exec_run_both(const struct tsi_exec_task *const tasks[2], struct tsi_error *const errors[2],
                  tess_status statuses[2])
{
    struct tsi_run runs[2];
    struct tsi_scratch scratch;
    if (!are_mirrored(tasks[0], tasks[1])) {
        statuses[0] = tsi_exec_run(tasks[0], errors[0]);
        statuses[1] = tsi_exec_run(tasks[1], errors[1]);
        return;
    }
    tsi_scratch_open(&scratch);
    for (int i = 0; i < 2; i++) {
        open_run(&runs[i], tasks[i], errors[i], &scratch);
    }
    tsi_run_reduce_both(runs, statuses);
    for (int i = 0; i < 2; i++) {
        statuses[i] = close_run(&runs[i], statuses[i]);
    }
    tsi_scratch_close(&scratch);
}
