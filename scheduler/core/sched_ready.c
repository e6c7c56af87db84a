// SPDX-License-Identifier: Apache-2.0
//
// Ready tasks: heaps and stripes.
//
// A stripe takes tasks of one job while it is open. It ends when it is long enough and the
// activation comes to the next group of tasks with a common user, or when it is twice as long as
// that. How long is enough: half of what a worker would get if all got the same, so that the last
// stripes are still small enough to share, and a multiple of the fan-in of reductions. A worker
// without ready tasks of its own, or with later ones of another job, takes the first stripe without
// an owner, else the second half of
// the longest stripe of another, else from the end of the fullest heap of another.

#include "scheduler/core/sched_ready.h"

#include <string.h>

#include "engine/base/check.h"
#include "scheduler/core/sched_place.h"
#include "scheduler/core/sched_state.h"

enum { STRIPE_TASKS_MAX = 1024 };

static bool
place_before(const struct tsi_sched_place *a, const struct tsi_sched_place *b)
{
    return tsi_sched_rank_before(a->rank, b->rank);
}

static void
sift_down(struct tsi_sched_heap *heap, size_t at)
{
    struct tsi_sched_place *places = heap->places.items;
    const size_t count = heap->places.count;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            least = place_before(&places[child], &places[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        const struct tsi_sched_place swapped = places[at];
        places[at] = places[least];
        places[least] = swapped;
        at = least;
    }
}

static bool
push(struct tsi_sched_heap *heap, const struct tsi_sched_place *place)
{
    if (!tsi_vec_push(&heap->places, *place)) {
        return false;
    }
    struct tsi_sched_place *places = heap->places.items;
    size_t at = heap->places.count - 1;
    while (at > 0 && place_before(&places[at], &places[(at - 1) / 2])) {
        const struct tsi_sched_place swapped = places[at];
        places[at] = places[(at - 1) / 2];
        places[(at - 1) / 2] = swapped;
        at = (at - 1) / 2;
    }
    return true;
}

static void
pop(struct tsi_sched_heap *heap)
{
    heap->places.items[0] = heap->places.items[--heap->places.count];
    sift_down(heap, 0);
}

void
tsi_sched_ready_reorder(struct tsi_sched_heap *heap)
{
    for (size_t i = heap->places.count / 2; i-- > 0;) {
        sift_down(heap, i);
    }
}

// The job of a place or stripe, if the task is still where the ticket says.
static struct tsi_sched_job *
job_of(const struct tsi_sched *sched, uint32_t job_slot, uint32_t task, uint32_t ticket)
{
    struct tsi_sched_job *job = sched->jobs.items[job_slot];
    const struct tsi_sched_task *record = &job->tasks[task];
    const bool there = tsi_sched_task_state(record) == TSI_TASK_QUEUED && record->link == ticket;
    return there ? job : NULL;
}

static uint32_t
new_ticket(struct tsi_sched *sched)
{
    sched->next_ticket += sched->next_ticket == UINT32_MAX ? 2 : 1;
    return sched->next_ticket;
}

bool
tsi_sched_ready_push(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                     uint32_t slot)
{
    struct tsi_sched_task *record = &job->tasks[task];
    const struct tsi_sched_place place = {record->where, job->slot, task, new_ticket(sched)};
    struct tsi_sched_heap *heap =
        slot == TSI_SLOT_NONE ? &sched->loose : &sched->workers.items[slot]->heap;
    if (!push(heap, &place)) {
        return false;
    }
    record->link = place.ticket;
    if (slot == TSI_SLOT_NONE) {
        tsi_sched_wake_all(sched);
        return true;
    }
    sched->stealable++;
    tsi_sched_wake(sched, slot);
    if (heap->places.count > 1) {
        tsi_sched_wake_all(sched);
    }
    return true;
}

bool
tsi_sched_ready_steer(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                      uint32_t slot)
{
    struct tsi_sched_task *record = &job->tasks[task];
    const struct tsi_sched_place place = {record->where, job->slot, task, new_ticket(sched)};
    if (!push(&sched->workers.items[slot]->steered, &place)) {
        return false;
    }
    record->link = place.ticket;
    tsi_sched_wake(sched, slot);
    return true;
}

static size_t
reckon_length(const struct tsi_sched_job *job, uint32_t op, uint64_t workers)
{
    uint64_t length = (job->ops[op].count + 2 * workers - 1) / (2 * workers);
    length = length < STRIPE_TASKS_MAX ? length : STRIPE_TASKS_MAX;
    return (size_t)(length < TSI_FOLD_FANIN ? length : length / TSI_FOLD_FANIN * TSI_FOLD_FANIN);
}

// How many tasks of operation `op` make a stripe. The last answer is remembered: it takes
// divisions.
static size_t
stripe_length(const struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op)
{
    const uint32_t workers = sched->worker_count > 0 ? sched->worker_count : 1;
    struct tsi_sched_stripe_length *known = &job->stripe_length;
    if (known->op != op || known->workers != workers) {
        *known = (struct tsi_sched_stripe_length){op, workers, reckon_length(job, op, workers)};
    }
    return known->length;
}

// Puts a stripe among those without an owner, mostly at the end.
static void
add_free_stripe(struct tsi_sched *sched, uint32_t at)
{
    struct tsi_sched_stripes *stripes = &sched->stripes;
    struct tsi_sched_stripe *items = stripes->items.items;
    const uint32_t rank = items[at].rank;
    uint32_t *place = &stripes->first;
    if (stripes->first != TSI_STRIPE_NONE &&
        !tsi_sched_rank_before(rank, items[stripes->last].rank)) {
        place = &items[stripes->last].next;
    }
    while (*place != TSI_STRIPE_NONE && !tsi_sched_rank_before(rank, items[*place].rank)) {
        place = &items[*place].next;
    }
    items[at].owner = TSI_SLOT_NONE;
    items[at].next = *place;
    *place = at;
    if (items[at].next == TSI_STRIPE_NONE) {
        stripes->last = at;
    }
}

void
tsi_sched_ready_free_own(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    while (worker->stripe != TSI_STRIPE_NONE) {
        const uint32_t at = worker->stripe;
        const struct tsi_sched_stripe *stripe = &sched->stripes.items.items[at];
        sched->stealable -= stripe->tasks.count - stripe->first;
        worker->stripe = stripe->next;
        add_free_stripe(sched, at);
        tsi_sched_wake_all(sched);
    }
}

// An empty stripe, TSI_STRIPE_NONE when memory is out.
static uint32_t
new_stripe(struct tsi_sched *sched, uint32_t job_slot)
{
    struct tsi_sched_stripes *stripes = &sched->stripes;
    uint32_t at = stripes->unused;
    if (at != TSI_STRIPE_NONE) {
        stripes->unused = stripes->items.items[at].next;
    } else {
        if (!tsi_vec_reserve(&stripes->items, 1)) {
            return TSI_STRIPE_NONE;
        }
        at = (uint32_t)stripes->items.count++;
        stripes->items.items[at] = (struct tsi_sched_stripe){0};
    }
    struct tsi_sched_stripe *stripe = &stripes->items.items[at];
    stripe->job_slot = job_slot;
    stripe->ticket = new_ticket(sched);
    stripe->first = 0;
    stripe->owner = TSI_SLOT_NONE;
    stripe->next = TSI_STRIPE_NONE;
    tsi_vec_clear(&stripe->tasks);
    return at;
}

// Takes an owned or just made stripe out of use.
static void
free_stripe(struct tsi_sched *sched, uint32_t at)
{
    struct tsi_sched_stripes *stripes = &sched->stripes;
    struct tsi_sched_stripe *stripe = &stripes->items.items[at];
    struct tsi_sched_job *job = sched->jobs.items[stripe->job_slot];
    if (stripe->owner != TSI_SLOT_NONE) {
        uint32_t *place = &sched->workers.items[stripe->owner]->stripe;
        while (*place != at) {
            place = &stripes->items.items[*place].next;
        }
        *place = stripe->next;
        sched->stealable -= stripe->tasks.count - stripe->first;
    }
    if (job != NULL && job->open_stripe == at) {
        job->open_stripe = TSI_STRIPE_NONE;
    }
    stripe->ticket = 0;
    stripe->owner = TSI_SLOT_NONE;
    stripe->next = stripes->unused;
    stripes->unused = at;
}

bool
tsi_sched_ready_push_stripe(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                            uint32_t task)
{
    struct tsi_sched_stripes *stripes = &sched->stripes;
    const size_t length = stripe_length(sched, job, op);
    const bool alone = job->ops[op].target_mode != TSI_SCHED_NO_TARGET;
    if (job->open_stripe != TSI_STRIPE_NONE &&
        stripes->items.items[job->open_stripe].tasks.count >= (alone ? length : 2 * length)) {
        job->open_stripe = TSI_STRIPE_NONE;
    }
    if (job->open_stripe == TSI_STRIPE_NONE) {
        const uint32_t made = new_stripe(sched, job->slot);
        if (made == TSI_STRIPE_NONE) {
            return false;
        }
        stripes->items.items[made].rank = job->tasks[task].where;
        add_free_stripe(sched, made);
        job->open_stripe = made;
    }
    struct tsi_sched_stripe *stripe = &stripes->items.items[job->open_stripe];
    if (!tsi_vec_push(&stripe->tasks, task)) {
        return false;
    }
    job->tasks[task].link = stripe->ticket;
    if (stripe->owner != TSI_SLOT_NONE) {
        sched->stealable++;
        tsi_sched_wake(sched, stripe->owner);
    }
    if (stripe->tasks.count == 1 || stripe->owner != TSI_SLOT_NONE) {
        tsi_sched_wake_all(sched);
    }
    return true;
}

void
tsi_sched_ready_cut(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    if (job->open_stripe == TSI_STRIPE_NONE) {
        return;
    }
    const struct tsi_sched_stripe *open = &sched->stripes.items.items[job->open_stripe];
    const uint32_t op = tsi_sched_job_op(job, open->tasks.items[0]);
    if (open->tasks.count >= stripe_length(sched, job, op)) {
        job->open_stripe = TSI_STRIPE_NONE;
    }
}

static void
own_stripe(struct tsi_sched *sched, struct tsi_sched_worker *worker, uint32_t at)
{
    struct tsi_sched_stripe *stripe = &sched->stripes.items.items[at];
    stripe->owner = worker->slot;
    stripe->next = worker->stripe;
    worker->stripe = at;
    sched->stealable += stripe->tasks.count - stripe->first;
}

// Takes the first stripe without an owner.
static bool
take_free_stripe(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    struct tsi_sched_stripes *stripes = &sched->stripes;
    const uint32_t at = stripes->first;
    if (at == TSI_STRIPE_NONE) {
        return false;
    }
    stripes->first = stripes->items.items[at].next;
    own_stripe(sched, worker, at);
    return true;
}

// Moves the second half of the longest stripe of another worker, or all of it if that one has all
// the tasks that it can run.
static bool
split_stripe(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    uint32_t longest = TSI_STRIPE_NONE;
    size_t most = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        uint32_t at = sched->workers.items[i]->stripe;
        while (at != TSI_STRIPE_NONE) {
            const struct tsi_sched_stripe *stripe = &sched->stripes.items.items[at];
            const size_t left = stripe->tasks.count - stripe->first;
            longest = left > most ? at : longest;
            most = left > most ? left : most;
            at = stripe->next;
        }
    }
    if (longest == TSI_STRIPE_NONE) {
        return false;
    }
    size_t moved = (most + 1) / 2;
    moved = moved < TSI_FOLD_FANIN ? moved : moved / TSI_FOLD_FANIN * TSI_FOLD_FANIN;
    const uint32_t made = new_stripe(sched, sched->stripes.items.items[longest].job_slot);
    if (made == TSI_STRIPE_NONE) {
        return false;
    }
    struct tsi_sched_stripe *from = &sched->stripes.items.items[longest];
    struct tsi_sched_stripe *to = &sched->stripes.items.items[made];
    if (!tsi_vec_reserve(&to->tasks, moved)) {
        free_stripe(sched, made);
        return false;
    }
    struct tsi_sched_job *job = sched->jobs.items[from->job_slot];
    for (size_t i = from->tasks.count - moved; i < from->tasks.count; i++) {
        const uint32_t task = from->tasks.items[i];
        if (job_of(sched, from->job_slot, task, from->ticket) != NULL) {
            job->tasks[task].link = to->ticket;
            to->tasks.items[to->tasks.count++] = task;
        }
    }
    to->rank = from->rank;
    from->tasks.count -= moved;
    sched->stealable -= moved;
    if (from->tasks.count == from->first) {
        free_stripe(sched, longest);
    }
    own_stripe(sched, worker, made);
    return true;
}

static uint32_t
rank_of(const struct tsi_sched_pick *pick)
{
    return pick->job->tasks[pick->task].where;
}

// Skips what is stale at the front of the worker's stripes; the best task there, if any.
static bool
peek_stripes(struct tsi_sched *sched, const struct tsi_sched_worker *worker,
             struct tsi_sched_pick *pick)
{
    bool any = false;
    uint32_t next = TSI_STRIPE_NONE;
    for (uint32_t at = worker->stripe; at != TSI_STRIPE_NONE; at = next) {
        struct tsi_sched_stripe *stripe = &sched->stripes.items.items[at];
        next = stripe->next;
        struct tsi_sched_pick found = {.source = TSI_PICK_STRIPE, .from = at};
        while (found.job == NULL && stripe->first < stripe->tasks.count) {
            found.task = stripe->tasks.items[stripe->first];
            found.job = job_of(sched, stripe->job_slot, found.task, stripe->ticket);
            if (found.job == NULL) {
                stripe->first++;
                sched->stealable--;
            }
        }
        if (found.job == NULL) {
            free_stripe(sched, at);
            continue;
        }
        stripe->rank = rank_of(&found);
        if (!any || tsi_sched_rank_before(rank_of(&found), rank_of(pick))) {
            *pick = found;
            any = true;
        }
    }
    return any;
}

static bool
peek_heap(struct tsi_sched *sched, struct tsi_sched_heap *heap, bool counts,
          enum tsi_sched_pick_source source, struct tsi_sched_pick *pick)
{
    while (heap->places.count > 0) {
        const struct tsi_sched_place *top = &heap->places.items[0];
        struct tsi_sched_job *job = job_of(sched, top->job_slot, top->task, top->ticket);
        if (job != NULL) {
            *pick = (struct tsi_sched_pick){source, 0, job, top->task};
            return true;
        }
        pop(heap);
        sched->stealable -= counts ? 1 : 0;
    }
    return false;
}

// The last place in the fullest heap of another worker, if moving it pays.
static bool
peek_stolen(struct tsi_sched *sched, const struct tsi_sched_worker *worker,
            struct tsi_sched_pick *pick)
{
    for (;;) {
        struct tsi_sched_worker *victim = NULL;
        for (size_t i = 0; i < sched->workers.count; i++) {
            struct tsi_sched_worker *other = sched->workers.items[i];
            if (other != worker && other->heap.places.count > 0 &&
                (victim == NULL || other->heap.places.count > victim->heap.places.count)) {
                victim = other;
            }
        }
        if (victim == NULL) {
            return false;
        }
        const struct tsi_sched_place *last = &tsi_vec_last(&victim->heap.places);
        struct tsi_sched_job *job = job_of(sched, last->job_slot, last->task, last->ticket);
        if (job == NULL) {
            victim->heap.places.count--;
            sched->stealable--;
            continue;
        }
        *pick = (struct tsi_sched_pick){TSI_PICK_STOLEN, victim->slot, job, last->task};
        sched->steals_pay = tsi_sched_place_pays(sched, job, last->task, worker, victim);
        return sched->steals_pay;
    }
}

uint32_t
tsi_sched_ready_front(const struct tsi_sched *sched)
{
    const struct tsi_sched_stripe *items = sched->stripes.items.items;
    uint32_t front = sched->stripes.first != TSI_STRIPE_NONE ? items[sched->stripes.first].rank
                                                             : sched->rank_now;
    for (size_t i = 0; i < sched->workers.count; i++) {
        uint32_t at = sched->workers.items[i]->stripe;
        for (; at != TSI_STRIPE_NONE; at = items[at].next) {
            if (items[at].first < items[at].tasks.count &&
                tsi_sched_rank_before(items[at].rank, front)) {
                front = items[at].rank;
            }
        }
    }
    return front;
}

// The best of what the worker owns and of what is loose; false if there is none.
static bool
peek_own(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_pick *pick)
{
    struct tsi_sched_pick found[4];
    int count = 0;
    if (worker->heap.places.count + worker->steered.places.count + sched->loose.places.count == 0) {
        return peek_stripes(sched, worker, pick);
    }
    if (worker->heap.places.count > 0) {
        count += peek_heap(sched, &worker->heap, true, TSI_PICK_OWN, &found[count]) ? 1 : 0;
    }
    if (worker->steered.places.count > 0) {
        count += peek_heap(sched, &worker->steered, false, TSI_PICK_STEERED, &found[count]) ? 1 : 0;
    }
    if (sched->loose.places.count > 0) {
        count += peek_heap(sched, &sched->loose, false, TSI_PICK_LOOSE, &found[count]) ? 1 : 0;
    }
    count += peek_stripes(sched, worker, &found[count]) ? 1 : 0;
    for (int i = 0; i < count; i++) {
        if (i == 0 || tsi_sched_rank_before(rank_of(&found[i]), rank_of(pick))) {
            *pick = found[i];
        }
    }
    return count > 0;
}

// Whether the worker should take a stripe: it has nothing (`pick` NULL), or another job's turn is
// earlier than that of the task that it would run.
static bool
wants_stripe(const struct tsi_sched *sched, const struct tsi_sched_pick *pick)
{
    const uint32_t at = sched->stripes.first;
    if (at == TSI_STRIPE_NONE || pick == NULL) {
        return at != TSI_STRIPE_NONE;
    }
    const struct tsi_sched_stripe *stripe = &sched->stripes.items.items[at];
    return stripe->job_slot != pick->job->slot &&
           tsi_sched_rank_before(stripe->rank, rank_of(pick));
}

bool
tsi_sched_ready_peek(struct tsi_sched *sched, struct tsi_sched_worker *worker, bool may_steal,
                     struct tsi_sched_pick *pick)
{
    bool any = peek_own(sched, worker, pick);
    while (wants_stripe(sched, any ? pick : NULL) && take_free_stripe(sched, worker)) {
        any = peek_own(sched, worker, pick);
    }
    while (!any && may_steal && sched->stealable > 0 && split_stripe(sched, worker)) {
        any = peek_stripes(sched, worker, pick);
    }
    return any || (may_steal && sched->steals_pay && sched->stealable > 0 &&
                   peek_stolen(sched, worker, pick));
}

void
tsi_sched_ready_take(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                     const struct tsi_sched_pick *pick)
{
    switch (pick->source) {
    case TSI_PICK_OWN:
        pop(&worker->heap);
        sched->stealable--;
        break;
    case TSI_PICK_STEERED:
        pop(&worker->steered);
        break;
    case TSI_PICK_LOOSE:
        pop(&sched->loose);
        break;
    case TSI_PICK_STRIPE:
        sched->stripes.items.items[pick->from].first++;
        sched->stealable--;
        break;
    case TSI_PICK_STOLEN:
        sched->workers.items[pick->from]->heap.places.count--;
        sched->stealable--;
        break;
    }
}
