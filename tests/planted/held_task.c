// SPDX-License-Identifier: Apache-2.0
//
// Linked before the layers with --wrap, so that the calls of attempts and of the loops over tiles
// come here first. Without the file that is named in the environment, and while no kind of work is
// wanted, they only pass.

#include "tests/planted/held_task.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine/exec/pipeline.h"
#include "engine/exec/run.h"

enum { PATIENCE_MS = 30000 };

tess_status __real_tsi_exec_run(const struct tsi_exec_task *task, struct tsi_error *error);
tess_status __wrap_tsi_exec_run(const struct tsi_exec_task *task, struct tsi_error *error);
tess_status __real_tsi_run_check(const struct tsi_run *run);
tess_status __wrap_tsi_run_check(const struct tsi_run *run);
const void *__real_tsi_pipeline_run(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                                    void *out);
const void *__wrap_tsi_pipeline_run(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                                    void *out);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct held_task *shared;

// Of the task that this thread runs.
static _Thread_local int looks;
static _Thread_local bool is_wanted;

static void
map(void)
{
    static struct held_task nothing;
    const char *path = getenv(HELD_TASK_FILE);
    const int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *memory = MAP_FAILED;
    if (file >= 0 && ftruncate(file, sizeof *shared) == 0) {
        memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (file >= 0) {
        close(file);
    }
    shared = memory == MAP_FAILED ? &nothing : memory;
}

struct held_task *
held_task(void)
{
    pthread_once(&once, map);
    return shared;
}

static enum held_work
work_of(const struct tsi_chunk_op *op)
{
    switch (op->work) {
    case TSI_WORK_TILE:
        return tsi_run_is_only_load(op)           ? HELD_MOVE
               : op->tile.sink == TSI_SINK_REDUCE ? HELD_REDUCE
                                                  : HELD_STORE;
    case TSI_WORK_FOLD:
        return HELD_MERGE;
    case TSI_WORK_MATMUL:
        return HELD_PRODUCT;
    default:
        return HELD_NOTHING;
    }
}

// Until the task is cancelled, or for too long.
static void
hold(const atomic_bool *cancelled)
{
    const struct timespec pause = {0, 1000000};
    atomic_fetch_add(&held_task()->held, 1);
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (cancelled != NULL && atomic_load(cancelled)) {
            atomic_fetch_add(&held_task()->freed, 1);
            return;
        }
        nanosleep(&pause, NULL);
    }
}

tess_status
__wrap_tsi_exec_run(const struct tsi_exec_task *task, struct tsi_error *error)
{
    const int wanted = atomic_load(&held_task()->wanted);
    is_wanted = wanted != HELD_NOTHING && (int)work_of(&task->program->ops[task->op]) == wanted;
    looks = 0;
    const tess_status status = __real_tsi_exec_run(task, error);
    if (is_wanted && looks >= HELD_AT_LOOK) {
        atomic_fetch_add(&held_task()->ended, 1);
    }
    is_wanted = false;
    return status;
}

tess_status
__wrap_tsi_run_check(const struct tsi_run *run)
{
    if (is_wanted) {
        atomic_fetch_add(&held_task()->looks, 1);
        if (++looks == HELD_AT_LOOK) {
            hold(run->task->cancelled);
        }
    }
    return __real_tsi_run_check(run);
}

const void *
__wrap_tsi_pipeline_run(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at, void *out)
{
    if (is_wanted) {
        atomic_fetch_add(&held_task()->tiles, 1);
    }
    return __real_tsi_pipeline_run(pipeline, at, out);
}
