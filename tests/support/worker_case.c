// SPDX-License-Identifier: Apache-2.0
//
// The handles are addresses of counters in the case itself, so that one that is released twice or
// never is seen.

#include "tests/support/worker_case.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/memory.h"

enum { OPS = 6, CHUNKS = 4, CHUNK = 1000 };

static struct tsi_chunk_op *
add_op(struct tsi_program *program, enum tsi_work work, int inputs)
{
    struct tsi_chunk_op *op = &program->ops[program->op_count++];
    const struct tsi_grid grid = {.ndim = 1, .axis = {tsi_axis_regular(CHUNKS * CHUNK, CHUNK)}};
    const size_t bytes = sizeof(struct tsi_input) * (size_t)(inputs > 0 ? inputs : 1);
    *op = (struct tsi_chunk_op){
        .work = (uint8_t)work,
        .dtype = TESS_F64,
        .loop = grid,
        .array = grid,
        .input_count = inputs,
        .inputs = tsi_arena_alloc(&program->arena, bytes),
        .label = "op",
        .site = "",
    };
    TSI_CHECK(op->inputs != NULL);
    return op;
}

static void
set_input(struct tsi_chunk_op *op, int index, uint16_t source)
{
    op->inputs[index] = (struct tsi_input){source, tsi_index_map_identity(&op->loop)};
}

struct tsi_program *
worker_case_program(void)
{
    struct tsi_program *program = tsi_program_new();
    TSI_CHECK(program != NULL);
    program->ops = tsi_arena_alloc(&program->arena, sizeof(struct tsi_chunk_op) * OPS);
    TSI_CHECK(program->ops != NULL);
    add_op(program, TSI_WORK_TILE, 0);
    add_op(program, TSI_WORK_HELD, 0);
    add_op(program, TSI_WORK_KEPT, 0)->kept =
        (struct tsi_work_kept){.job = CASE_KEPT_JOB, .base = CASE_KEPT_BASE};
    struct tsi_chunk_op *op = add_op(program, TSI_WORK_TILE, 2);
    set_input(op, 0, 0);
    set_input(op, 1, 1);
    op = add_op(program, TSI_WORK_TILE, 3);
    set_input(op, 0, 3);
    set_input(op, 1, 2);
    set_input(op, 2, 3);
    op = add_op(program, TSI_WORK_JOIN, 1);
    op->loop = (struct tsi_grid){.ndim = 0};
    op->array = op->loop;
    op->inputs[0].op = 3;
    op->inputs[0].map.ndim = 1;
    op->inputs[0].map.axis[0] =
        (struct tsi_map_axis){.axis = -1, .extent = (int64_t)CHUNKS * CHUNK};
    program->targets = tsi_arena_alloc(&program->arena, sizeof *program->targets);
    TSI_CHECK(program->targets != NULL);
    program->targets[0] = (struct tsi_target){.op = 0, .mode = TSI_TARGET_KEEP};
    program->target_count = 1;
    TSI_CHECK(tsi_program_number(program, NULL) == TESS_OK);
    return program;
}

void
worker_case_init(struct worker_case *c, int threads, uint64_t memory_bytes)
{
    worker_case_init_disk(c, threads, memory_bytes, 0);
}

void
worker_case_init_disk(struct worker_case *c, int threads, uint64_t memory_bytes,
                      uint64_t spill_bytes)
{
    memset(c, 0, sizeof *c);
    const struct tsi_worker_config config = {
        .threads = threads,
        .memory_bytes = memory_bytes,
        .spills_max = spill_bytes > 0 ? 1 : 0,
        .spill_bytes = spill_bytes,
    };
    c->worker = tsi_worker_new(&config);
    c->program = worker_case_program();
    c->actions = tsi_calloc(CASE_ACTIONS_MAX, sizeof *c->actions);
    TSI_CHECK(c->worker != NULL && c->actions != NULL);
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_PROGRAM,
                            .program = {.job = CASE_JOB, .program = c->program},
                        });
}

static void
release_handle(void *context, void *handle)
{
    struct worker_case *c = context;
    if (handle != NULL) {
        int *live = handle;
        TSI_CHECK(*live == 1);
        *live = 0;
    }
    (void)c;
}

static void
release_program(void *context, const struct tsi_program *program)
{
    struct worker_case *c = context;
    TSI_CHECK(program == c->program);
    c->programs_released++;
}

void
worker_case_fini(struct worker_case *c)
{
    tsi_worker_free_extents(c->worker, release_handle, c);
    tsi_worker_free(c->worker, release_handle, release_program, c);
    for (int i = 0; i < c->handles; i++) {
        TSI_CHECK(c->live_handles[i] == 0);
    }
    TSI_CHECK(c->programs_released == 1);
    tsi_program_free(c->program);
    tsi_free(c->actions);
}

void *
worker_case_handle(struct worker_case *c)
{
    TSI_CHECK(c->handles < CASE_ACTIONS_MAX * 4);
    int *live = &c->live_handles[c->handles++];
    *live = 1;
    return live;
}

void
worker_case_feed(struct worker_case *c, struct tsi_worker_event event)
{
    if (!tsi_worker_step(c->worker, &event)) {
        c->out_of_memory = true;
        void *handle = event.kind == TSI_WORKER_FETCHED    ? event.fetched.handle
                       : event.kind == TSI_WORKER_EXECUTED ? event.executed.handle
                                                           : NULL;
        release_handle(c, handle);
        c->programs_released += event.kind == TSI_WORKER_PROGRAM;
    }
    const char *broken = NULL;
    if (!tsi_worker_verify(c->worker, &broken)) {
        tsi_check_failed(broken, __FILE__, __LINE__);
    }
}

void
worker_case_fetch_lost(struct worker_case *c, tsi_key key, uint32_t peer)
{
    bool again = true;
    while (again) {
        worker_case_fetch_failed(c, key, peer);
        worker_case_poll(c);
        const struct worker_case_action *fetch = worker_case_first(c, TSI_WORKER_FETCH);
        again = fetch != NULL && fetch->action.fetch.key == key;
    }
}

uint32_t
worker_case_assign_from(struct worker_case *c, uint32_t task, uint32_t rank,
                        const struct tsi_location *places, size_t count)
{
    const struct tsi_assignment item = {
        .job = CASE_JOB,
        .task = task,
        .sequence = ++c->sequence,
        .rank = rank,
        .location_count = (uint32_t)count,
    };
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_ASSIGNED,
                            .assigned = {&item, 1, places, count},
                        });
    return c->sequence;
}

uint32_t
worker_case_assign(struct worker_case *c, uint32_t task, uint32_t rank)
{
    return worker_case_assign_from(c, task, rank, NULL, 0);
}

void *
worker_case_arrived(struct worker_case *c, tsi_key key, uint32_t from)
{
    void *handle = worker_case_handle(c);
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_FETCHED,
                            .fetched = {key, from, handle, CASE_CHUNK_BYTES},
                        });
    return handle;
}

void *
worker_case_fetched(struct worker_case *c, tsi_key key)
{
    return worker_case_arrived(c, key, CASE_PEER);
}

void
worker_case_fetch_failed(struct worker_case *c, tsi_key key, uint32_t peer)
{
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_FETCH_FAILED,
                            .fetch_failed = {key, peer, "no such chunk"},
                        });
}

void *
worker_case_executed(struct worker_case *c, uint32_t run)
{
    void *handle = worker_case_handle(c);
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_EXECUTED,
                            .executed = {.run = run,
                                         .status = TESS_OK,
                                         .handle = handle,
                                         .bytes = CASE_CHUNK_BYTES,
                                         .duration_us = 5},
                        });
    return handle;
}

void *
worker_case_spilled(struct worker_case *c, uint32_t run, bool is_good)
{
    void *extent = is_good ? worker_case_handle(c) : NULL;
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_SPILLED,
                            .spilled = {.run = run,
                                        .status = is_good ? TESS_OK : TESS_EIO,
                                        .extent = extent,
                                        .text = "the disk is full"},
                        });
    return extent;
}

void *
worker_case_loaded(struct worker_case *c, uint32_t run, bool is_good)
{
    void *handle = is_good ? worker_case_handle(c) : NULL;
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_LOADED,
                            .loaded = {.run = run,
                                       .status = is_good ? TESS_OK : TESS_EIO,
                                       .handle = handle,
                                       .text = "the disk forgot"},
                        });
    return handle;
}

void
worker_case_free(struct worker_case *c, tsi_key key)
{
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_FREE,
                            .free = {&key, 1},
                        });
}

// Keeps what the action points to.
static void
note(struct worker_case *c, struct worker_case_action *kept)
{
    const struct tsi_worker_action *action = &kept->action;
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        TSI_CHECK(action->execute.input_count <= CASE_INPUTS_MAX);
        for (size_t i = 0; i < action->execute.input_count; i++) {
            kept->inputs[i] = action->execute.inputs[i];
            kept->input_keys[i] = action->execute.input_keys[i];
        }
        break;
    case TSI_WORKER_REPORT_DONE:
        memcpy(kept->done, action->done.items, action->done.count * sizeof *kept->done);
        break;
    case TSI_WORKER_REPORT_COPIED:
        memcpy(kept->copied, action->copied.keys, action->copied.count * sizeof *kept->copied);
        break;
    case TSI_WORKER_REPORT_DROPPED:
        memcpy(kept->dropped, action->dropped.keys, action->dropped.count * sizeof *kept->dropped);
        break;
    case TSI_WORKER_RELEASE_CHUNK:
        release_handle(c, action->release_chunk.handle);
        break;
    case TSI_WORKER_RELEASE_EXTENT:
        release_handle(c, action->release_extent.extent);
        break;
    case TSI_WORKER_RELEASE_PROGRAM:
        release_program(c, action->release_program.program);
        break;
    default:
        break;
    }
}

void
worker_case_poll(struct worker_case *c)
{
    c->action_count = 0;
    const char *broken = NULL;
    while (tsi_worker_poll(c->worker, 0, &c->actions[c->action_count].action)) {
        TSI_CHECK(c->action_count < CASE_ACTIONS_MAX - 1);
        note(c, &c->actions[c->action_count++]);
        if (!tsi_worker_verify(c->worker, &broken)) {
            tsi_check_failed(broken, __FILE__, __LINE__);
        }
    }
}

int
worker_case_count(const struct worker_case *c, enum tsi_worker_action_kind kind)
{
    int count = 0;
    for (int i = 0; i < c->action_count; i++) {
        count += c->actions[i].action.kind == kind;
    }
    return count;
}

const struct worker_case_action *
worker_case_first(const struct worker_case *c, enum tsi_worker_action_kind kind)
{
    for (int i = 0; i < c->action_count; i++) {
        if (c->actions[i].action.kind == kind) {
            return &c->actions[i];
        }
    }
    return NULL;
}

bool
worker_case_released(const struct worker_case *c, const void *handle)
{
    for (int i = 0; i < c->action_count; i++) {
        const struct tsi_worker_action *action = &c->actions[i].action;
        if (action->kind == TSI_WORKER_RELEASE_CHUNK && action->release_chunk.handle == handle) {
            return true;
        }
    }
    return false;
}

void
worker_case_run(struct worker_case *c, uint32_t task)
{
    worker_case_poll(c);
    const struct worker_case_action *execute = worker_case_first(c, TSI_WORKER_EXECUTE);
    TSI_CHECK(execute != NULL && execute->action.execute.task == task);
    worker_case_executed(c, execute->action.execute.run);
    worker_case_poll(c);
}
