// SPDX-License-Identifier: Apache-2.0
//
// The invariants of the core, by number. The shallow ones take time by what is assigned, the deep
// ones by what is active.
//
//   I1  sequences rise: in the list of a worker's attempts, below the next one
//   I2  attempts are assigned: an attempt's task is ASSIGNED, and its record points to the attempt
//   I4  claims on jobs add up: uses of kept chunks
//   I5  reserved bytes add up: of attempts, and of copies under way
//       outstanding counts add up: of attempts, estimates, tasks in ASSIGNED
//       queued tasks add up: over jobs
//
// and the deep ones:
//
//   I3  memory has a holder: or a copy of the core, or the client's
//       holders are alive: and know the job
//   I4  claims add up: users_left, counted anew
//   I5  states add up: of each job, and the tasks of each block
//       held bytes add up: of each worker
//       targets add up: done, active, to be delivered
//       done tasks add up
//       cells are in use once, sets are in use once
//   I7  ready has its inputs: QUEUED and ASSIGNED were; QUEUED still is
//       waiting counts its inputs: WAITING counts exactly those that are not there
//   I8  waiting is worked for: an input that is not there is pending, demanded, or will be retried
//       open targets are worked for
//       queued has a place: where its ticket says
//
// tests/sim/sim_book.c has those that only an observer can check.

#include "scheduler/core/sched_verify.h"
#include "engine/base/check.h"

bool
tsi_verify_that(struct tsi_verify *verify, bool holds, const char *name)
{
    if (!holds && verify->broken == NULL) {
        verify->broken = name;
    }
    return holds;
}

static void
check_attempt(struct tsi_verify *verify, const struct tsi_sched_worker *worker, uint32_t at)
{
    const struct tsi_sched_attempt *attempt = &worker->attempts.items[at];
    const struct tsi_sched_job *job = verify->sched->jobs.items[attempt->job_slot];
    if (!tsi_verify_that(verify, job != NULL && !job->dropping, "I2: attempts are assigned")) {
        return;
    }
    const struct tsi_sched_task *record = &job->tasks[attempt->task];
    tsi_verify_that(verify,
                    tsi_sched_task_state(record) == TSI_TASK_ASSIGNED &&
                        record->where == worker->slot && record->link == at,
                    "I2: attempts are assigned");
    const bool rises = attempt->previous == TSI_ATTEMPT_NONE ||
                       worker->attempts.items[attempt->previous].sequence < attempt->sequence;
    tsi_verify_that(verify, rises && attempt->sequence < worker->next_sequence,
                    "I1: sequences rise");
}

static uint64_t
copying_bytes(const struct tsi_sched *sched, uint32_t peer)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < sched->copies.count; i++) {
        bytes += sched->copies.items[i].to == peer ? sched->copies.items[i].bytes : 0;
    }
    return bytes;
}

static uint32_t
check_worker(struct tsi_verify *verify, const struct tsi_sched_worker *worker)
{
    uint64_t reserved = copying_bytes(verify->sched, worker->peer);
    uint64_t estimates = 0;
    uint32_t count = 0;
    uint32_t retracting = 0;
    uint32_t at = worker->attempt_first;
    while (at != TSI_ATTEMPT_NONE && verify->broken == NULL) {
        check_attempt(verify, worker, at);
        reserved += worker->attempts.items[at].bytes;
        estimates += worker->attempts.items[at].estimate_us;
        retracting += worker->attempts.items[at].retracting ? 1 : 0;
        count++;
        at = worker->attempts.items[at].next;
    }
    tsi_verify_that(verify, reserved == worker->reserved_bytes, "I5: reserved bytes add up");
    tsi_verify_that(verify,
                    count == worker->outstanding && estimates == worker->queued_us &&
                        retracting == worker->retracting,
                    "I5: outstanding counts add up");
    return count;
}

static void
check_refs(struct tsi_verify *verify)
{
    const struct tsi_sched *sched = verify->sched;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *maker = sched->jobs.items[i];
        uint32_t refs = 0;
        for (size_t k = 0; maker != NULL && k < sched->jobs.count; k++) {
            const struct tsi_sched_job *user = sched->jobs.items[k];
            for (int op = 0; user != NULL && op < user->program->op_count; op++) {
                refs += user->ops[op].kept_slot == maker->slot ? 1 : 0;
            }
        }
        tsi_verify_that(verify, maker == NULL || refs == maker->refs, "I4: claims on jobs add up");
    }
}

static void
check_shallow(struct tsi_verify *verify)
{
    const struct tsi_sched *sched = verify->sched;
    uint64_t outstanding = 0;
    uint64_t assigned = 0;
    uint64_t queued = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        if (sched->workers.items[i]->peer != TSI_PEER_NONE) {
            outstanding += check_worker(verify, sched->workers.items[i]);
        }
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && !job->dropping) {
            assigned += job->counts[TSI_TASK_ASSIGNED];
            queued += job->counts[TSI_TASK_QUEUED];
        }
    }
    tsi_verify_that(verify, outstanding == assigned && assigned == sched->tasks_assigned,
                    "I5: outstanding counts add up");
    tsi_verify_that(verify, queued == sched->queued, "I5: queued tasks add up");
    check_refs(verify);
}

static bool
note_heap(struct tsi_verify *verify, const struct tsi_sched_heap *heap)
{
    for (size_t i = 0; i < heap->places.count; i++) {
        const struct tsi_sched_place *place = &heap->places.items[i];
        const struct tsi_sched_job *job = verify->sched->jobs.items[place->job_slot];
        if (job->tasks[place->task].link == place->ticket &&
            !tsi_map_put(&verify->places, tsi_key_of(place->job_slot, place->task),
                         place->ticket)) {
            return false;
        }
    }
    return true;
}

// Notes the places of ready tasks; false when memory is out.
static bool
note_places(struct tsi_verify *verify)
{
    const struct tsi_sched *sched = verify->sched;
    bool noted = note_heap(verify, &sched->loose);
    uint64_t stealable = 0;
    for (size_t i = 0; i < sched->workers.count && noted; i++) {
        noted = note_heap(verify, &sched->workers.items[i]->heap) &&
                note_heap(verify, &sched->workers.items[i]->steered);
        stealable += sched->workers.items[i]->heap.places.count;
    }
    for (size_t i = 0; i < sched->stripes.items.count && noted; i++) {
        const struct tsi_sched_stripe *stripe = &sched->stripes.items.items[i];
        if (stripe->ticket == 0) {
            continue;
        }
        stealable += stripe->owner != TSI_SLOT_NONE ? stripe->tasks.count - stripe->first : 0;
        for (size_t k = stripe->first; k < stripe->tasks.count && noted; k++) {
            const uint32_t task = stripe->tasks.items[k];
            if (sched->jobs.items[stripe->job_slot]->tasks[task].link == stripe->ticket) {
                noted = tsi_map_put(&verify->places, tsi_key_of(stripe->job_slot, task),
                                    stripe->ticket);
            }
        }
    }
    tsi_verify_that(verify, !noted || stealable == sched->stealable, "I8: queued has a place");
    return noted;
}

// Notes what will be visited; false when memory is out.
static bool
note_demands(struct tsi_verify *verify)
{
    const struct tsi_sched *sched = verify->sched;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        for (size_t k = 0; job != NULL && k < job->stack.count; k++) {
            if (!tsi_map_put(&verify->demanded, tsi_key_of(job->slot, job->stack.items[k].task),
                             1)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < sched->retries.count; i++) {
        const uint64_t *slot = tsi_map_get(&sched->job_slots, sched->retries.items[i].job);
        if (slot != NULL &&
            !tsi_map_put(&verify->demanded,
                         tsi_key_of((uint32_t)*slot, sched->retries.items[i].task), 1)) {
            return false;
        }
    }
    return true;
}

static void
check_deep(struct tsi_verify *verify)
{
    const struct tsi_sched *sched = verify->sched;
    verify->held = tsi_calloc(sched->workers.count, sizeof *verify->held);
    if (verify->held == NULL || !note_places(verify) || !note_demands(verify)) {
        return; // without memory nothing is known to be broken
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL && !sched->jobs.items[i]->dropping) {
            tsi_verify_job(verify, sched->jobs.items[i]);
        }
    }
    for (size_t i = 0; i < sched->workers.count; i++) {
        tsi_verify_that(verify, verify->held[i] == sched->workers.items[i]->held_bytes,
                        "I5: held bytes add up");
    }
    uint64_t cells = 0;
    uint64_t cells_free = 0;
    for (int size = 0; size < TSI_SCHED_CELL_SIZES; size++) {
        cells += sched->cells[size].count;
        cells_free += sched->cells[size].unused.count + sched->cells[size].limbo.count;
    }
    tsi_verify_that(verify, cells == verify->cells + cells_free, "I5: cells are in use once");
    const uint64_t sets =
        sched->sets.bits.count == 0 ? 0 : sched->sets.bits.count / sched->sets.words - 1;
    tsi_verify_that(verify, sets == verify->sets + sched->sets.unused.count,
                    "I5: sets are in use once");
}

bool
tsi_sched_verify(const struct tsi_sched *sched, bool deep, const char **broken)
{
    struct tsi_verify verify = {.sched = sched};
    check_shallow(&verify);
    if (deep && verify.broken == NULL) {
        check_deep(&verify);
    }
    tsi_map_fini(&verify.demanded);
    tsi_map_fini(&verify.places);
    tsi_free(verify.held);
    *broken = verify.broken;
    return verify.broken == NULL;
}
