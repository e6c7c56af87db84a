// SPDX-License-Identifier: Apache-2.0
//
// Chunks are looked up by task number, so that this is as plain as it can be: it is what schedulers
// are held against.

#include "tests/support/serial.h"

#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"

struct serial {
    const struct tsi_program *program;
    const struct serial_held *held;
    struct tsi_files *files;
    struct tsi_buf **outputs; // by task
};

struct chunk_list {
    TSI_VEC(struct tsi_exec_chunk) chunks;
    int64_t (*strides)[TESS_NDIM_MAX]; // one for each input
};

struct serial *
serial_new(const struct tsi_program *program, const struct serial_held *held)
{
    struct serial *const serial = tsi_calloc(1, sizeof *serial);
    if (serial == NULL) {
        return NULL;
    }
    serial->program = program;
    serial->held = held;
    serial->outputs = tsi_calloc((size_t)program->task_count + 1, sizeof(struct tsi_buf *));
    serial->files = tsi_files_new(NULL, 0);
    if (serial->outputs == NULL || serial->files == NULL) {
        serial_free(serial);
        return NULL;
    }
    return serial;
}

void
serial_free(struct serial *serial)
{
    if (serial == NULL) {
        return;
    }
    for (uint32_t i = 0; serial->outputs != NULL && i < serial->program->task_count; i++) {
        tsi_buf_unref(serial->outputs[i]);
    }
    tsi_free(serial->outputs);
    tsi_files_free(serial->files);
    tsi_free(serial);
}

void
serial_allow(struct serial *serial, const char *const *allowed, int allowed_count)
{
    tsi_files_free(serial->files);
    serial->files = tsi_files_new(allowed, allowed_count);
}

static void
whole_strides(const struct tsi_chunk_op *op, int64_t *strides)
{
    int64_t step = (int64_t)tess_dtype_bytes((tess_dtype)op->dtype);
    for (int i = op->array.ndim - 1; i >= 0; i--) {
        strides[i] = step;
        step *= op->array.axis[i].size;
    }
}

// The place of a chunk's first element in its whole array, in bytes.
static int64_t
place_of(const struct tsi_chunk_op *op, int64_t chunk, int64_t *size)
{
    int64_t strides[TESS_NDIM_MAX];
    int64_t start[TESS_NDIM_MAX];
    int64_t place = 0;
    whole_strides(op, strides);
    (void)tsi_grid_box(&op->array, chunk, start, size);
    for (int i = 0; i < op->array.ndim; i++) {
        place += start[i] * strides[i];
    }
    return place;
}

// Copies between a chunk in C order and its place in the whole array, element by element.
static void
copy_chunk(const struct tsi_chunk_op *op, int64_t chunk, unsigned char *whole, unsigned char *dense,
           bool to_whole)
{
    int64_t strides[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    int64_t at[TESS_NDIM_MAX] = {0};
    const size_t bytes = tess_dtype_bytes((tess_dtype)op->dtype);
    int64_t place = place_of(op, chunk, size);
    int64_t count = 1;
    whole_strides(op, strides);
    for (int i = 0; i < op->array.ndim; i++) {
        count *= size[i];
    }
    for (int64_t n = 0; n < count; n++) {
        unsigned char *const element = whole + place;
        memcpy(to_whole ? element : dense, to_whole ? dense : element, bytes);
        dense += bytes;
        for (int i = op->array.ndim - 1; i >= 0; i--) {
            place += strides[i];
            if (++at[i] < size[i]) {
                break;
            }
            place -= strides[i] * size[i];
            at[i] = 0;
        }
    }
}

// Makes the chunks of a client's array that are not shown in place.
static tess_status
run_held(struct serial *serial, const struct tsi_chunk_op *op, int64_t chunk,
         struct tsi_error *error)
{
    const struct serial_held *const held = &serial->held[op->held.array];
    struct tsi_buf *const buf = tsi_buf_new(tsi_chunk_op_bytes(op, chunk));
    if (buf == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "no memory for a chunk");
    }
    unsigned char *whole = NULL;
    memcpy(&whole, &held->data, sizeof whole); // it is only read
    copy_chunk(op, chunk, whole, buf->data, false);
    serial->outputs[op->task_base + (uint32_t)chunk] = buf;
    return TESS_OK;
}

static bool
add_input(struct serial *serial, const struct tsi_chunk_op *op, int input, int64_t chunk,
          struct chunk_list *list)
{
    const struct tsi_input *const from = &op->inputs[input];
    const struct tsi_chunk_op *const source = &serial->program->ops[from->op];
    int64_t size[TESS_NDIM_MAX];
    int64_t next = 0;
    if (source->work == TSI_WORK_FILE) {
        return true;
    }
    const bool in_place =
        source->work == TSI_WORK_HELD && !serial->held[source->held.array].is_copied;
    if (in_place) {
        whole_strides(source, list->strides[input]);
    }
    struct tsi_chunk_set set = tsi_index_map_deps(&from->map, &op->loop, &source->array, chunk);
    while (tsi_chunk_set_next(&set, &next)) {
        struct tsi_exec_chunk part = {.data = NULL};
        if (in_place) {
            part.data = (const unsigned char *)serial->held[source->held.array].data +
                        place_of(source, next, size);
            part.strides = list->strides[input];
        } else {
            part.data = serial->outputs[source->task_base + (uint32_t)next]->data;
        }
        if (!tsi_vec_push(&list->chunks, part)) {
            return false;
        }
    }
    return true;
}

// A task with its inputs and room for its output.
struct ready {
    struct chunk_list list;
    struct tsi_buf *buf;
    struct tsi_exec_task run;
};

static bool
make_ready(struct serial *serial, uint32_t task, const atomic_bool *cancelled, struct ready *ready)
{
    const int index = tsi_program_op_of(serial->program, task);
    const struct tsi_chunk_op *const op = &serial->program->ops[index];
    const int64_t chunk = task - op->task_base;
    struct chunk_list *const list = &ready->list;
    *list =
        (struct chunk_list){{0}, tsi_calloc((size_t)op->input_count + 1, sizeof *list->strides)};
    ready->buf = tsi_buf_new(tsi_chunk_op_bytes(op, chunk));
    bool has_memory = list->strides != NULL && ready->buf != NULL;
    for (int i = 0; has_memory && i < op->input_count; i++) {
        has_memory = add_input(serial, op, i, chunk, list);
    }
    if (has_memory) {
        ready->run = (struct tsi_exec_task){
            serial->program,  index, chunk,     list->chunks.items, list->chunks.count,
            ready->buf->data, NULL,  cancelled, serial->files};
    }
    return has_memory;
}

// Keeps the output of a task that has run.
static void
end_ready(struct serial *serial, uint32_t task, struct ready *ready, tess_status status)
{
    tsi_vec_fini(&ready->list.chunks);
    tsi_free(ready->list.strides);
    if (status != TESS_OK) {
        tsi_buf_unref(ready->buf);
        return;
    }
    tsi_buf_unref(serial->outputs[task]);
    serial->outputs[task] = ready->buf;
}

tess_status
serial_run_task(struct serial *serial, uint32_t task, const atomic_bool *cancelled,
                struct tsi_error *error)
{
    const struct tsi_chunk_op *const op =
        &serial->program->ops[tsi_program_op_of(serial->program, task)];
    if (op->work == TSI_WORK_HELD) {
        return run_held(serial, op, task - op->task_base, error);
    }
    struct ready ready;
    tess_status status = TESS_ENOMEM;
    if (make_ready(serial, task, cancelled, &ready)) {
        status = tsi_exec_run(&ready.run, error);
    }
    end_ready(serial, task, &ready, status);
    return status;
}

void
serial_run_both(struct serial *serial, const uint32_t tasks[2],
                const atomic_bool *const cancelled[2], struct tsi_error *const errors[2],
                tess_status statuses[2])
{
    struct ready ready[2];
    bool has_memory = true;
    for (int i = 0; i < 2; i++) {
        has_memory = make_ready(serial, tasks[i], cancelled[i], &ready[i]) && has_memory;
        statuses[i] = TESS_ENOMEM;
    }
    if (has_memory) {
        const struct tsi_exec_task *const runs[2] = {&ready[0].run, &ready[1].run};
        tsi_exec_run_both(runs, errors, statuses);
    }
    for (int i = 0; i < 2; i++) {
        end_ready(serial, tasks[i], &ready[i], statuses[i]);
    }
}

tess_status
serial_run(struct serial *serial, struct tsi_error *error)
{
    for (uint32_t task = 0; task < serial->program->task_count; task++) {
        const tess_status status = serial_run_task(serial, task, NULL, error);
        if (status != TESS_OK) {
            return status;
        }
    }
    return TESS_OK;
}

const void *
serial_chunk(const struct serial *serial, uint32_t task)
{
    return serial->outputs[task] == NULL ? NULL : serial->outputs[task]->data;
}

void *
serial_gather(const struct serial *serial, int op)
{
    const struct tsi_chunk_op *const from = &serial->program->ops[op];
    const int64_t elements = tsi_grid_element_count(&from->array);
    unsigned char *const whole =
        tsi_alloc((size_t)elements * tess_dtype_bytes((tess_dtype)from->dtype) + 1);
    for (int64_t chunk = 0; whole != NULL && chunk < from->task_count; chunk++) {
        copy_chunk(from, chunk, whole, serial->outputs[from->task_base + (uint32_t)chunk]->data,
                   true);
    }
    return whole;
}
