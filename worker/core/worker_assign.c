// SPDX-License-Identifier: Apache-2.0
//
// How an assignment becomes a task. It names a task of a program; its inputs follow from the index
// maps. Each of them is pinned at once, and what is not held is fetched from where the assignment
// says.

#include "worker/core/worker_state.h"

// The locations of one assignment. They are in the order of the inputs as a rule, so the search
// goes on from where the last one ended.
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
    chunk->unclaimed = false;
    (void)tsi_vec_push(&task->inputs, (struct tsi_worker_input){.chunk = chunk});
    const bool is_held = chunk->state == TSI_WORKER_HELD;
    if (chunk->state == TSI_WORKER_NOWHERE) {
        chunk->bytes = bytes;
    }
    const uint64_t priority = tsi_worker_task_priority(task);
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

// Puts the task into the lists of users of its inputs, and counts those that are not held.
static void
await_inputs(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    for (size_t i = 0; i < task->inputs.count; i++) {
        struct tsi_worker_input *input = &task->inputs.items[i];
        struct tsi_worker_chunk *chunk = input->chunk;
        input->task = task;
        input->next = chunk->users;
        if (input->next != NULL) {
            input->next->previous = input;
        }
        chunk->users = input;
        task->missing += chunk->state == TSI_WORKER_HELD ? 0 : 1;
    }
    task->state = TSI_WORKER_NEEDS_INPUTS;
    if (task->missing == 0) {
        tsi_worker_task_make_ready(worker, task);
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
    struct tsi_worker_needs *needs = &task->job->needs[task->op];
    needs->frontier = task->chunk < needs->frontier ? needs->frontier : task->chunk + 1;
    return op->work != TSI_WORK_HELD && op->work != TSI_WORK_KEPT && op->work != TSI_WORK_FILE;
}

// A record as it is before anything is known but what the assignment says. What is set when the
// task starts or ends stays as it was in its last use, and so does the room for inputs.
static struct tsi_worker_task *
new_task(struct tsi_worker *worker, const struct tsi_assignment *item)
{
    struct tsi_worker_task *task = tsi_worker_pool_take(&worker->task_pool);
    struct tsi_worker_job *job = tsi_worker_job_find(worker, item->job);
    task->entry = (struct tsi_worker_entry){item->rank, item->sequence, TSI_WORKER_NOT_QUEUED};
    task->job = job;
    task->next = NULL;
    task->previous = NULL;
    tsi_vec_clear(&task->inputs);
    task->missing = 0;
    task->task = item->task;
    task->sequence = item->sequence;
    task->rank = item->rank;
    task->run = 0;
    task->state = TSI_WORKER_NEEDS_INPUTS;
    task->orphan = false;
    task->output = NULL;
    task->end.job = item->job;
    task->text = NULL;
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
    struct tsi_worker_task *task = new_task(worker, item);
    if (!resolve(task) || tsi_table_get(&worker->sequences, task->sequence) != NULL) {
        tsi_worker_task_end(worker, task, TSI_ATTEMPT_FAILED, TESS_EPROTOCOL, "no such task");
        return;
    }
    const bool has_inputs = task->job->program->ops[task->op].input_count > 0;
    enum added added = has_inputs ? add_inputs(worker, task, places) : ADDED;
    if (added == ADDED && !tsi_table_put(&worker->sequences, task->sequence, task)) {
        added = NO_MEMORY;
    }
    if (added == NO_PLACE) {
        const tsi_key key = tsi_vec_last(&task->inputs).chunk->key;
        tsi_worker_task_input_lost(worker, task, key, TSI_PEER_NONE, "nobody has it");
    } else if (added == NO_MEMORY) {
        tsi_worker_task_withdraw(worker, task);
        tsi_worker_task_end(worker, task, TSI_ATTEMPT_REFUSED, TESS_ENOMEM, NULL);
    } else {
        await_inputs(worker, task);
    }
}

bool
tsi_worker_assign_batch(struct tsi_worker *worker, const struct tsi_assignment *items, size_t count,
                        const struct tsi_location *locations, size_t location_count)
{
    if (!tsi_worker_pool_reserve(&worker->task_pool, count) ||
        !tsi_worker_queue_reserve(&worker->ready, worker->task_pool.used_count + count)) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t left = locations != NULL ? location_count - at : 0;
        const size_t own = items[i].location_count < left ? items[i].location_count : left;
        struct places places = {.items = locations != NULL ? locations + at : NULL, .count = own};
        assign(worker, &items[i], &places);
        at += own;
    }
    // What came along with a task that could not be taken is of no use.
    for (size_t i = 0; i < location_count && locations != NULL; i++) {
        struct tsi_worker_chunk *chunk =
            locations[i].data != NULL ? tsi_worker_chunk_find(worker, locations[i].key) : NULL;
        if (chunk != NULL) {
            chunk->unclaimed = false;
            tsi_worker_chunk_settle(worker, chunk);
        }
    }
    return true;
}
