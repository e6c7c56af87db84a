// SPDX-License-Identifier: Apache-2.0
//
// Ready tasks that no worker has yet.
//
// A task with inputs in a worker's memory waits in the heap of the worker that is the best place
// for it. Tasks without wait in stripes: runs of tasks that were activated one after the other,
// which one worker takes from first to last, so that what reads them finds most of them in one
// place; of several jobs at work, a worker may own a stripe each. Tasks that came back from a
// worker are loose: any worker may take them. Those that a worker had no room for are steered to
// one that has: nobody else may take them.
//
// A place is named by a ticket, which is also in the task's record. A task that left QUEUED and
// came again has another ticket, and its old place is skipped when it is found.

#ifndef TSI_SCHED_READY_H
#define TSI_SCHED_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/vec.h"

struct tsi_sched;
struct tsi_sched_job;
struct tsi_sched_worker;

#define TSI_STRIPE_NONE UINT32_C(0xFFFFFFFF)

struct tsi_sched_place {
    uint32_t rank;
    uint32_t job_slot;
    uint32_t task;
    uint32_t ticket;
};

// A binary heap, the lowest rank first.
struct tsi_sched_heap {
    TSI_VEC(struct tsi_sched_place) places;
};

struct tsi_sched_stripe {
    uint32_t job_slot;
    uint32_t ticket; // of all its tasks; 0: not in use
    uint32_t owner;  // slot, or TSI_SLOT_NONE
    uint32_t next;   // in the list of its owner, of stripes without one, or of unused ones
    uint32_t rank;   // of the first task, as it was when somebody looked
    size_t first;    // of those still to be taken
    TSI_VEC(uint32_t) tasks;
};

struct tsi_sched_stripes {
    TSI_VEC(struct tsi_sched_stripe) items;
    uint32_t unused;
    uint32_t first; // without an owner, lowest rank first
    uint32_t last;
};

// Where a ready task was found.
enum tsi_sched_pick_source {
    TSI_PICK_OWN,
    TSI_PICK_STEERED,
    TSI_PICK_LOOSE,
    TSI_PICK_STRIPE,
    TSI_PICK_STOLEN,
};

struct tsi_sched_pick {
    enum tsi_sched_pick_source source;
    uint32_t from; // slot of the victim if STOLEN, the stripe if STRIPE
    struct tsi_sched_job *job;
    uint32_t task;
};

// Whether rank `a` comes before rank `b`; ranks wrap around.
static inline bool
tsi_sched_rank_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

// Puts a task in the heap of `slot`, or with TSI_SLOT_NONE among the loose ones; false when memory
// is out.
bool tsi_sched_ready_push(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                          uint32_t slot);

// Leaves a task to the worker in `slot` alone; false when memory is out.
bool tsi_sched_ready_steer(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                           uint32_t slot);

// Appends a task to the open stripe of its job; false when memory is out.
bool tsi_sched_ready_push_stripe(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                                 uint32_t task);

// Says that the tasks of the job to come belong together, so a stripe that is long enough ends
// here.
void tsi_sched_ready_cut(struct tsi_sched *sched, struct tsi_sched_job *job);

// The best task for a worker, which stays where it is; false if there is none. With `may_steal`,
// what others own is looked at too if there is nothing else.
bool tsi_sched_ready_peek(struct tsi_sched *sched, struct tsi_sched_worker *worker, bool may_steal,
                          struct tsi_sched_pick *pick);
// The rank of what workers take next.
uint32_t tsi_sched_ready_front(const struct tsi_sched *sched);

// Takes out what was found.
void tsi_sched_ready_take(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                          const struct tsi_sched_pick *pick);

// Takes out all tasks of a job.
void tsi_sched_ready_purge(struct tsi_sched *sched, uint32_t job_slot);

// Makes a heap of places in any order.
void tsi_sched_ready_reorder(struct tsi_sched_heap *heap);

// The stripes of a worker go back to those without an owner.
void tsi_sched_ready_free_own(struct tsi_sched *sched, struct tsi_sched_worker *worker);

// Chooses anew for all steered tasks, among more workers than before.
void tsi_sched_ready_resteer(struct tsi_sched *sched);

// Gives up what belongs to a worker, for others to take; false when memory is out.
bool tsi_sched_ready_disown(struct tsi_sched *sched, struct tsi_sched_worker *worker);

void tsi_sched_ready_fini(struct tsi_sched *sched);

#endif
