// SPDX-License-Identifier: Apache-2.0
//
// Assignments: from the batch that brings them to the report that ends them.
//
// An assignment names a task; its inputs follow from the program. Each of them is pinned at once, and
// the task is ready when all are held. Ready tasks run by rank, then by sequence. The first one starts
// when a run is free and its output and workspace fit beside what is held; later ones never overtake
// it. If nothing runs it starts in any case: then nothing that the core could wait for would make
// memory free.

#include "worker/core/worker_state.h"

#include "engine/base/check.h"

static void
push_report(struct tsi_worker_reports *reports, struct tsi_worker_task *task)
{
    task->next_report = NULL;
    if (reports->last != NULL) {
        reports->last->next_report = task;
    } else {
        reports->first = task;
    }
    reports->last = task;
    reports->count++;
}

struct tsi_worker_task *
tsi_worker_task_report(struct tsi_worker_reports *reports)
{
    struct tsi_worker_task *task = reports->first;
    if (task != NULL) {
        reports->first = task->next_report;
        reports->last = reports->first != NULL ? reports->last : NULL;
        reports->count--;
    }
    return task;
}

void
tsi_worker_task_recycle(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    struct tsi_worker_job *job = task->job;
    tsi_free(task->text);
    task->text = NULL;
    if (task->next != NULL) {
        task->next->previous = task->previous;
    }
    if (task->previous != NULL) {
        task->previous->next = task->next;
    } else if (job != NULL) {
        job->tasks = task->next;
    }
    tsi_worker_pool_give(&worker->task_pool, task);
    if (job != NULL) {
        tsi_worker_job_settle(worker, job);
    }
}

// Lets go of all inputs; with `known`, those that were fetched stay.
static void
release_inputs(struct tsi_worker *worker, struct tsi_worker_task *task, bool known)
{
    for (size_t i = 0; i < task->inputs.count; i++) {
        struct tsi_worker_input *input = &task->inputs.items[i];
        struct tsi_worker_chunk *chunk = input->chunk;
        if (input->task != NULL) {
            if (input->next != NULL) {
                input->next->previous = input->previous;
            }
            if (input->previous != NULL) {
                input->previous->next = input->next;
            } else {
                chunk->waiters = input->next;
            }
        }
        if (known && !chunk->freed && !chunk->temporary) {
            chunk->known = true;
        }
        tsi_worker_chunk_unpin(worker, chunk);
    }
    tsi_vec_clear(&task->inputs);
}

// Takes a task that has not started out of everything but its job.
static void
withdraw(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    const uint64_t *named = tsi_map_get(&worker->sequences, task->sequence);
    if (named != NULL && *named == (uint64_t)(uintptr_t)task) {
        tsi_map_remove(&worker->sequences, task->sequence);
    }
    if (task->entry.at != TSI_WORKER_NOT_QUEUED) {
        tsi_worker_queue_remove(&worker->ready, &task->entry);
    }
    release_inputs(worker, task, false);
}

static void
end_task(struct tsi_worker *worker, struct tsi_worker_task *task, enum tsi_attempt_end end,
         tess_status status, const char *text)
{
    task->state = TSI_WORKER_ENDED;
    task->text = text != NULL ? tsi_strdup(text) : NULL;
    task->end = (struct tsi_attempt){
        .job = task->end.job,
        .task = task->task,
        .sequence = task->sequence,
        .end = end,
        .status = status,
        .text = task->text,
    };
    push_report(&worker->ended, task);
}

void
tsi_worker_task_input_lost(struct tsi_worker *worker, struct tsi_worker_task *task, tsi_key key,
                           uint32_t peer, const char *text)
{
    withdraw(worker, task);
    end_task(worker, task, TSI_ATTEMPT_FETCH_FAILED, TESS_ELOST, text);
    task->end.input = key;
    task->end.peer = peer;
}

void
tsi_worker_task_drop(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    withdraw(worker, task);
    tsi_worker_task_recycle(worker, task);
}

static void
make_ready(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    task->state = TSI_WORKER_READY;
    tsi_worker_queue_push(&worker->ready, &task->entry);
}

void
tsi_worker_task_input_arrived(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    task->missing--;
    if (task->missing == 0) {
        make_ready(worker, task);
    }
}

// The locations of one assignment. They are in the order of the inputs as a rule, so the search goes
// on from where the last one ended.
struct places {
    const struct tsi_location *items;
    size_t count;
    size_t at;
};

static const struct tsi_location *
find_place(struct places *places, tsi_key key)
{
    for (size_t i = 0; i < places->count; i++) {
        const struct tsi_location *place = &places->items[places->at];
        places->at = places->at + 1 < places->count ? places->at + 1 : 0;
        if (place->key == key) {
            return place;
        }
    }
    return NULL;
}

// The key of chunk `chunk` of operation `source`, as job `job` reads it.
static tsi_key
key_of(uint32_t job, const struct tsi_chunk_op *source, int64_t chunk)
{
    if (source->work == TSI_WORK_KEPT) {
        return tsi_key_of((uint32_t)source->kept.job, source->kept.base + (uint32_t)chunk);
    }
    return tsi_key_of(job, source->task_base + (uint32_t)chunk);
}

enum added { ADDED, NO_MEMORY, NO_PLACE };

// Pins the chunk and sees to it that it comes.
static enum added
add_input(struct tsi_worker *worker, struct tsi_worker_task *task, tsi_key key, uint64_t bytes,
          struct places *places)
{
    if (!tsi_vec_reserve(&task->inputs, 1)) {
        return NO_MEMORY;
    }
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_add(worker, key);
    if (chunk == NULL) {
        return NO_MEMORY;
    }
    chunk->pins++;
    (void)tsi_vec_push(&task->inputs, (struct tsi_worker_input){.chunk = chunk});
    const bool is_held = chunk->state == TSI_WORKER_HELD;
    if (chunk->state == TSI_WORKER_NOWHERE) {
        chunk->bytes = bytes;
    }
    const uint64_t priority = (uint64_t)task->rank << 32 | task->sequence;
    const struct tsi_location *place = is_held ? NULL : find_place(places, key);
    return tsi_worker_chunk_want(worker, chunk, priority, place) ? ADDED : NO_PLACE;
}

// Adds all inputs of the task, in order. The last one that was added is the one that failed.
static enum added
add_inputs(struct tsi_worker *worker, struct tsi_worker_task *task, struct places *places)
{
    const struct tsi_program *program = task->job->program;
    const struct tsi_chunk_op *op = &program->ops[task->op];
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_input *input = &op->inputs[i];
        const struct tsi_chunk_op *source = &program->ops[input->op];
        if (source->work == TSI_WORK_FILE) {
            continue;
        }
        struct tsi_chunk_set set =
            tsi_index_map_deps(&input->map, &op->loop, &source->array, task->chunk);
        int64_t chunk = 0;
        while (tsi_chunk_set_next(&set, &chunk)) {
            const enum added added =
                add_input(worker, task, key_of(task->job->number, source, chunk),
                          tsi_chunk_op_bytes(source, chunk), places);
            if (added != ADDED) {
                return added;
            }
        }
    }
    const size_t count = task->inputs.count;
    return tsi_vec_reserve(&worker->input_handles, count) &&
                   tsi_vec_reserve(&worker->input_keys, count)
               ? ADDED
               : NO_MEMORY;
}

// Puts the task into the lists of waiters of what is not held.
static void
await_inputs(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    for (size_t i = 0; i < task->inputs.count; i++) {
        struct tsi_worker_input *input = &task->inputs.items[i];
        struct tsi_worker_chunk *chunk = input->chunk;
        if (chunk->state == TSI_WORKER_HELD) {
            continue;
        }
        input->task = task;
        input->next = chunk->waiters;
        if (input->next != NULL) {
            input->next->previous = input;
        }
        chunk->waiters = input;
        task->missing++;
    }
    task->state = TSI_WORKER_NEEDS_INPUTS;
    if (task->missing == 0) {
        make_ready(worker, task);
    }
}

// Whether the program has such a task. A scheduler that keeps to the protocol names no other.
static bool
resolve(struct tsi_worker_task *task)
{
    const struct tsi_program *program = task->job != NULL ? task->job->program : NULL;
    if (program == NULL || task->task >= program->task_count) {
        return false;
    }
    task->op = tsi_program_op_of(program, task->task);
    const struct tsi_chunk_op *op = &program->ops[task->op];
    task->chunk = (int64_t)(task->task - op->task_base);
    return op->work != TSI_WORK_HELD && op->work != TSI_WORK_KEPT && op->work != TSI_WORK_FILE;
}

static struct tsi_worker_task *
new_record(struct tsi_worker *worker, const struct tsi_assignment *item)
{
    struct tsi_worker_task *task = tsi_worker_pool_take(&worker->task_pool);
    struct tsi_worker_job *job = tsi_worker_job_find(worker, item->job);
    struct tsi_worker_input *inputs = task->inputs.items;
    const size_t capacity = task->inputs.capacity;
    *task = (struct tsi_worker_task){
        .entry = {item->rank, item->sequence, TSI_WORKER_NOT_QUEUED},
        .job = job,
        .task = item->task,
        .sequence = item->sequence,
        .rank = item->rank,
        .end.job = item->job,
    };
    task->inputs.items = inputs;
    task->inputs.capacity = capacity;
    if (job != NULL) {
        task->next = job->tasks;
        job->tasks = task;
        if (task->next != NULL) {
            task->next->previous = task;
        }
    }
    worker->assignments++;
    return task;
}

static void
assign(struct tsi_worker *worker, const struct tsi_assignment *item, struct places *places)
{
    struct tsi_worker_task *task = new_record(worker, item);
    if (!resolve(task) || tsi_map_get(&worker->sequences, task->sequence) != NULL) {
        end_task(worker, task, TSI_ATTEMPT_FAILED, TESS_EPROTOCOL, "no such task");
        return;
    }
    enum added added = add_inputs(worker, task, places);
    if (added == ADDED &&
        !tsi_map_put(&worker->sequences, task->sequence, (uint64_t)(uintptr_t)task)) {
        added = NO_MEMORY;
    }
    if (added == NO_PLACE) {
        const tsi_key key = tsi_vec_last(&task->inputs).chunk->key;
        tsi_worker_task_input_lost(worker, task, key, TSI_PEER_NONE, "nobody has it");
    } else if (added == NO_MEMORY) {
        withdraw(worker, task);
        end_task(worker, task, TSI_ATTEMPT_REFUSED, TESS_ENOMEM, NULL);
    } else {
        await_inputs(worker, task);
    }
}

bool
tsi_worker_task_assign(struct tsi_worker *worker, const struct tsi_assignment *items, size_t count,
                       const struct tsi_location *locations, size_t location_count)
{
    if (!tsi_worker_pool_reserve(&worker->task_pool, count) ||
        !tsi_worker_queue_reserve(&worker->ready, worker->task_pool.used_count + count)) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t left = location_count - at;
        const size_t own = items[i].location_count < left ? items[i].location_count : left;
        struct places places = {.items = locations != NULL ? locations + at : NULL, .count = own};
        assign(worker, &items[i], &places);
        at += own;
    }
    // What came along with a task that could not be taken is of no use.
    for (size_t i = 0; i < location_count; i++) {
        struct tsi_worker_chunk *chunk =
            locations[i].data != NULL ? tsi_worker_chunk_find(worker, locations[i].key) : NULL;
        if (chunk != NULL) {
            tsi_worker_chunk_settle(worker, chunk);
        }
    }
    return true;
}

void
tsi_worker_task_retract(struct tsi_worker *worker, uint32_t sequence)
{
    const uint64_t *value = tsi_map_get(&worker->sequences, sequence);
    if (value != NULL) {
        struct tsi_worker_task *task = (struct tsi_worker_task *)(uintptr_t)*value;
        withdraw(worker, task);
        end_task(worker, task, TSI_ATTEMPT_RETRACTED, TESS_OK, NULL);
    }
}

struct tsi_worker_task *
tsi_worker_task_start(struct tsi_worker *worker)
{
    struct tsi_worker_entry *entry = tsi_worker_queue_first(&worker->ready);
    if (entry == NULL || worker->free_run_count == 0) {
        return NULL;
    }
    struct tsi_worker_task *task = (struct tsi_worker_task *)(void *)entry;
    struct tsi_worker_job *job = task->job;
    const uint64_t output = tsi_chunk_op_bytes(&job->program->ops[task->op], task->chunk);
    const uint64_t reserved = output + tsi_worker_job_workspace(job, task->op);
    const uint64_t taken = worker->bytes_held + worker->bytes_reserved;
    const bool something_runs = worker->free_run_count < (size_t)worker->threads;
    if (something_runs && taken + reserved > worker->memory_bytes) {
        return NULL;
    }
    tsi_worker_queue_remove(&worker->ready, entry);
    tsi_map_remove(&worker->sequences, task->sequence);
    task->state = TSI_WORKER_RUNNING;
    task->output_bytes = output;
    task->reserved = reserved;
    task->run = worker->free_runs[--worker->free_run_count];
    worker->runs[task->run] = task;
    worker->bytes_reserved += reserved;
    job->running++;
    return task;
}

static void
leave_run(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    if (worker->cancels[task->run]) {
        worker->cancels[task->run] = false;
        worker->cancel_count--;
    }
    worker->runs[task->run] = NULL;
    worker->free_runs[worker->free_run_count++] = task->run;
    worker->bytes_reserved -= task->reserved;
    task->job->running--;
}

// Puts the output where its key says.
static void
finish(struct tsi_worker *worker, struct tsi_worker_task *task, struct tsi_worker_chunk *output,
       const struct tsi_worker_event *event)
{
    if (output->state == TSI_WORKER_HELD) {
        // A copy from elsewhere is as good: a chunk is the same wherever it was computed.
        (void)tsi_vec_push(&worker->releases, event->executed.handle);
    } else {
        tsi_worker_chunk_arrived(worker, output, event->executed.handle, event->executed.bytes);
    }
    output->known = true;
    output->freed = false;
    output->temporary = false;
    output->pins++;
    task->output = output;
    task->state = TSI_WORKER_DONE;
    task->completion = (struct tsi_completion){
        .job = task->job->number,
        .task = task->task,
        .sequence = task->sequence,
        .duration_us = event->executed.duration_us,
        .bytes = output->bytes,
    };
    push_report(&worker->done, task);
}

bool
tsi_worker_task_executed(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    const bool is_good = event->executed.status == TESS_OK;
    struct tsi_worker_task *task =
        event->executed.run < (uint32_t)worker->threads ? worker->runs[event->executed.run] : NULL;
    TSI_CHECK(task != NULL);
    if (is_good && !tsi_worker_chunk_reserve_release(worker)) {
        return false;
    }
    struct tsi_worker_job *job = task->job;
    struct tsi_worker_chunk *output = NULL;
    if (is_good && !job->detached) {
        output = tsi_worker_chunk_add(worker, tsi_key_of(job->number, task->task));
        if (output == NULL) {
            return false;
        }
    }
    leave_run(worker, task);
    if (job->detached) {
        if (is_good) {
            (void)tsi_vec_push(&worker->releases, event->executed.handle);
        }
        release_inputs(worker, task, false);
        tsi_worker_task_recycle(worker, task);
        return true;
    }
    release_inputs(worker, task, is_good);
    if (is_good) {
        finish(worker, task, output, event);
    } else {
        end_task(worker, task, TSI_ATTEMPT_FAILED, event->executed.status, event->executed.text);
    }
    return true;
}
