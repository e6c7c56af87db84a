// SPDX-License-Identifier: Apache-2.0
//
// Takes ready tasks out of their places: those of a job that ends, and those of a worker that
// leaves or may get nothing more.

#include "scheduler/core/sched_place.h"
#include "scheduler/core/sched_state.h"
#include "scheduler/core/sched_trouble.h"

static size_t
purge_heap(struct tsi_sched_heap *heap, uint32_t job_slot)
{
    struct tsi_sched_heap left = *heap;
    size_t kept = 0;
    for (size_t i = 0; i < left.places.count; i++) {
        if (left.places.items[i].job_slot != job_slot) {
            left.places.items[kept++] = left.places.items[i];
        }
    }
    const size_t gone = left.places.count - kept;
    heap->places.count = kept;
    if (gone > 0) {
        tsi_sched_ready_reorder(heap);
    }
    return gone;
}

// Empties the stripes of a job. They are found empty, and taken out of use, by who looks at them
// next.
static void
purge_stripes(struct tsi_sched *sched, uint32_t job_slot)
{
    struct tsi_sched_stripes *stripes = &sched->stripes;
    for (size_t i = 0; i < stripes->items.count; i++) {
        struct tsi_sched_stripe *stripe = &stripes->items.items[i];
        if (stripe->ticket != 0 && stripe->job_slot == job_slot) {
            if (stripe->owner != TSI_SLOT_NONE) {
                sched->stealable -= stripe->tasks.count - stripe->first;
            }
            stripe->first = 0;
            tsi_vec_clear(&stripe->tasks);
        }
    }
    sched->jobs.items[job_slot]->open_stripe = TSI_STRIPE_NONE;
}

void
tsi_sched_ready_purge(struct tsi_sched *sched, uint32_t job_slot)
{
    for (size_t i = 0; i < sched->workers.count; i++) {
        sched->stealable -= purge_heap(&sched->workers.items[i]->heap, job_slot);
        purge_heap(&sched->workers.items[i]->steered, job_slot);
    }
    purge_heap(&sched->loose, job_slot);
    purge_stripes(sched, job_slot);
}

// Makes all tasks of a heap loose; false when memory is out.
static bool
loosen(struct tsi_sched *sched, struct tsi_sched_heap *heap)
{
    bool has_memory = true;
    while (heap->places.count > 0) {
        const struct tsi_sched_place place = tsi_vec_pop(&heap->places);
        struct tsi_sched_job *job = sched->jobs.items[place.job_slot];
        const struct tsi_sched_task *record = &job->tasks[place.task];
        if (tsi_sched_task_state(record) == TSI_TASK_QUEUED && record->link == place.ticket &&
            !tsi_sched_ready_push(sched, job, place.task, TSI_SLOT_NONE)) {
            tsi_sched_job_doom_memory(sched, job);
            has_memory = false;
        }
    }
    return has_memory;
}

void
tsi_sched_ready_resteer(struct tsi_sched *sched)
{
    struct tsi_sched_heap all = {0};
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_heap *heap = &sched->workers.items[i]->steered;
        // Without memory for it they stay where they are.
        if (heap->places.count > 0 && tsi_vec_reserve(&all.places, heap->places.count)) {
            for (size_t k = 0; k < heap->places.count; k++) {
                (void)tsi_vec_push(&all.places, heap->places.items[k]);
            }
            tsi_vec_clear(&heap->places);
        }
    }
    for (size_t i = 0; i < all.places.count; i++) {
        const struct tsi_sched_place *place = &all.places.items[i];
        struct tsi_sched_job *job = sched->jobs.items[place->job_slot];
        const struct tsi_sched_task *record = &job->tasks[place->task];
        if (tsi_sched_task_state(record) == TSI_TASK_QUEUED && record->link == place->ticket) {
            const uint32_t slot =
                tsi_sched_place_roomiest(sched, job, tsi_sched_job_op(job, place->task),
                                         place->task, tsi_sched_trouble_squeezes(job, place->task));
            if (!tsi_sched_ready_steer(sched, job, place->task, slot)) {
                tsi_sched_job_doom_memory(sched, job);
            }
        }
    }
    tsi_vec_fini(&all.places);
}

bool
tsi_sched_ready_disown(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    tsi_sched_ready_free_own(sched, worker);
    sched->stealable -= worker->heap.places.count;
    const bool has_memory = loosen(sched, &worker->heap);
    return loosen(sched, &worker->steered) && has_memory;
}

void
tsi_sched_ready_fini(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->stripes.items.count; i++) {
        tsi_vec_fini(&sched->stripes.items.items[i].tasks);
    }
    tsi_vec_fini(&sched->stripes.items);
    tsi_vec_fini(&sched->loose.places);
}
