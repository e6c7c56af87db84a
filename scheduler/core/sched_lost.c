// SPDX-License-Identifier: Apache-2.0
//
// What is lost, and what follows.
//
// A lost chunk goes back to RELEASED with its claims on its inputs. Its users that wait or are
// ready wait for it again, and only if there are such users, or it is a target, is it demanded
// again: so nothing is made again but ancestors of lost chunks, and only those that somebody needs.
// Users that a worker already has are left alone: they may have fetched it, and if not, they say
// so.
//
// What is made again goes through activation and admission as everything else, with the rank of the
// first that needs it.

#include <stdio.h>

#include "engine/base/check.h"
#include "engine/base/planted.h"
#include "scheduler/core/sched_state.h"
#include "scheduler/core/sched_trouble.h"

// How often a chunk may be given up by its holder.
enum { DROPS_MAX = 100 };

void
tsi_sched_lost_attempt(struct tsi_sched *sched, struct tsi_sched_worker *worker, uint32_t attempt,
                       enum tsi_task_state to)
{
    const struct tsi_sched_attempt gone = worker->attempts.items[attempt];
    struct tsi_sched_job *job = sched->jobs.items[gone.job_slot];
    const uint32_t op = tsi_sched_job_op(job, gone.task);
    tsi_sched_worker_remove_attempt(worker, attempt);
    sched->tasks_assigned--;
    tsi_sched_wake(sched, worker->slot);
    tsi_sched_job_move(job, op, gone.task, to);
}

// The users of a chunk that is not there any more wait for it. Gives the lowest rank of those that
// do; false if there are none.
static bool
make_users_wait(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task,
                uint32_t *rank)
{
    bool any = false;
    struct tsi_sched_walk walk;
    uint32_t user = 0;
    tsi_sched_walk_users(&walk, job, op, task);
    while (tsi_sched_walk_next_user(&walk, &user)) {
        struct tsi_sched_task *record = &job->tasks[user];
        const enum tsi_task_state state = tsi_sched_task_state(record);
        if (state == TSI_TASK_QUEUED && !TSI_PLANTED(forgotten_users)) {
            tsi_sched_job_move(job, walk.op, user, TSI_TASK_WAITING);
            sched->queued--;
        } else if (state != TSI_TASK_WAITING) {
            continue;
        }
        tsi_sched_task_set_count(record, tsi_sched_task_count(record) + 1);
        if (!any || tsi_sched_rank_before(record->where, *rank)) {
            *rank = record->where;
        }
        any = true;
    }
    return any;
}

static void lose(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task);

// Other jobs have a chunk no more that stands for a kept one of `job`.
static void
lose_aliases(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task)
{
    for (size_t i = 0; i < sched->jobs.count && job->refs > 0; i++) {
        struct tsi_sched_job *user = sched->jobs.items[i];
        if (user == NULL || user->dropping) {
            continue;
        }
        for (int op = 0; op < user->program->op_count; op++) {
            const struct tsi_sched_op *info = &user->ops[op];
            const uint32_t chunk = task - user->program->ops[op].kept.base;
            if (info->kept_slot == job->slot && chunk < info->count &&
                tsi_sched_task_is_there(&user->tasks[info->base + chunk])) {
                lose(sched, user, (uint32_t)op, info->base + chunk);
            }
        }
    }
}

// A chunk of any kind is there no more.
static void
lose(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const bool wanted =
        job->ops[op].target_mode != TSI_SCHED_NO_TARGET && !tsi_sched_job_is_satisfied(job, task);
    job->disturbed = true;
    sched->policy_due = true;
    tsi_sched_job_move(job, op, task, TSI_TASK_RELEASED);
    job->tasks_done -= tsi_sched_op_runs(&job->ops[op]) ? 1 : 0;
    if (!TSI_PLANTED(early_free)) {
        tsi_sched_hold_restore_inputs(job, op, task);
    }
    if (job->ops[op].target_mode == TSI_TARGET_KEEP) {
        job->targets_done--;
    }
    uint32_t rank = job->next_rank;
    const bool waited_for = make_users_wait(sched, job, op, task, &rank);
    if (job->ops[op].target_mode == TSI_TARGET_KEEP) {
        lose_aliases(sched, job, task);
    }
    if (waited_for || wanted) {
        tsi_sched_activate_demand(sched, job, task, rank, true);
    }
}

void
tsi_sched_lost_chunk(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task)
{
    lose(sched, job, tsi_sched_job_op(job, task), task);
}

// Takes the worker from the holders of one chunk.
static void
forget_holder(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task, uint32_t slot)
{
    struct tsi_sched_task *record = &job->tasks[task];
    if (!tsi_sched_task_is_there(record) || !tsi_sched_chunk_is_at(sched, record, slot)) {
        return;
    }
    const uint32_t op = tsi_sched_job_op(job, task);
    const struct tsi_sched_chunk chunk = {job, op, task, record};
    tsi_sched_chunk_remove(sched, &chunk, slot);
    uint32_t bytes = 0;
    if (tsi_sched_chunk_holder(sched, record, 0) == TSI_SLOT_NONE &&
        job->ops[op].work != TSI_WORK_HELD && tsi_sched_chunk_data(sched, record, &bytes) == NULL) {
        lose(sched, job, op, task);
    }
}

// The worker gave a chunk up that the books have there. Whoever makes it again may have to give it
// up again, so that is counted, and ends.
static void
count_drop(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
           const struct tsi_sched_worker *worker)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    if (!tsi_sched_task_is_there(record) || !tsi_sched_chunk_is_at(sched, record, worker->slot)) {
        return;
    }
    struct tsi_sched_trouble trouble = tsi_sched_trouble_get(job, task);
    trouble.drops++;
    if (!tsi_sched_trouble_put(job, task, trouble)) {
        tsi_sched_job_doom_memory(sched, job);
    } else if (trouble.drops > DROPS_MAX) {
        char place[TSI_ERROR_TEXT_MAX / 2];
        tsi_sched_job_place(job, task, place, sizeof place);
        tsi_sched_job_doom(sched, job, TESS_EMEMLIMIT,
                           "%s: its chunk was lost %u times, by workers that had no room for it",
                           place, (unsigned)trouble.drops);
    }
}

void
tsi_sched_on_dropped(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    const struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    for (size_t i = 0; i < event->dropped.count; i++) {
        const tsi_key key = event->dropped.keys[i];
        struct tsi_sched_job *job = tsi_sched_job_find(sched, tsi_key_job(key));
        if (worker == NULL || job == NULL || job->dropping ||
            tsi_key_task(key) >= job->program->task_count ||
            job->ops[tsi_sched_job_op(job, tsi_key_task(key))].work == TSI_WORK_KEPT) {
            sched->stale_reports++;
            continue;
        }
        count_drop(sched, job, tsi_key_task(key), worker);
        forget_holder(sched, job, tsi_key_task(key), worker->slot);
    }
}

// Takes the worker from the holders of all chunks.
static void
forget_chunks(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t slot)
{
    const uint32_t count = job->program->task_count;
    for (uint32_t block = 0; (uint64_t)block * TSI_SCHED_BLOCK < count; block++) {
        const uint32_t first = block * TSI_SCHED_BLOCK;
        for (uint32_t i = 0; i < TSI_SCHED_BLOCK && i < count - first; i++) {
            if (job->active[block] == 0) {
                break;
            }
            forget_holder(sched, job, first + i, slot);
        }
    }
}

// Notes how the worker died for the job's message; without memory the message is shorter.
static void
note_death(struct tsi_sched_job *job, uint32_t task, const struct tsi_sched_worker *worker,
           const char *text)
{
    char line[TSI_ERROR_TEXT_MAX / 4];
    snprintf(line, sizeof line, "%s (%s)", worker->name, text);
    struct tsi_sched_death death = {task, tsi_strdup(line)};
    if (death.text != NULL && !tsi_vec_push(&job->deaths, death)) {
        tsi_free(death.text);
    }
}

// Fails a job since too many workers died of one task.
static void
doom_poison(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task, uint32_t kills)
{
    char place[TSI_ERROR_TEXT_MAX / 2];
    char deaths[TSI_ERROR_TEXT_MAX / 2] = "";
    size_t used = 0;
    for (size_t i = 0; i < job->deaths.count; i++) {
        if (job->deaths.items[i].task == task && used < sizeof deaths) {
            const int added = snprintf(deaths + used, sizeof deaths - used, "%s%s",
                                       used == 0 ? "" : ", ", job->deaths.items[i].text);
            used += added > 0 ? (size_t)added : 0;
        }
    }
    tsi_sched_job_place(job, task, place, sizeof place);
    tsi_sched_job_doom(sched, job, TESS_ELOST, "%s: %u workers were lost while they ran it: %s",
                       place, kills, deaths);
}

// The task may have been running when its worker died.
static void
blame(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
      const struct tsi_sched_worker *worker, const char *text)
{
    struct tsi_sched_trouble trouble = tsi_sched_trouble_get(job, task);
    if (!TSI_PLANTED(uncounted_kill)) {
        trouble.kills++;
    }
    note_death(job, task, worker, text);
    if (!tsi_sched_trouble_put(job, task, trouble)) {
        tsi_sched_job_doom_memory(sched, job);
        return;
    }
    if ((int)trouble.kills >= sched->config.kills_max) {
        doom_poison(sched, job, task, trouble.kills);
    }
}

// Its tasks are demanded again.
static void
requeue_attempts(struct tsi_sched *sched, struct tsi_sched_worker *worker, const char *text)
{
    uint32_t at = worker->attempt_first;
    for (int i = 0; text != NULL && i < worker->threads && at != TSI_ATTEMPT_NONE; i++) {
        const struct tsi_sched_attempt *attempt = &worker->attempts.items[at];
        blame(sched, sched->jobs.items[attempt->job_slot], attempt->task, worker, text);
        at = attempt->next;
    }
    while (worker->attempt_last != TSI_ATTEMPT_NONE) {
        const struct tsi_sched_attempt attempt = worker->attempts.items[worker->attempt_last];
        struct tsi_sched_job *job = sched->jobs.items[attempt.job_slot];
        tsi_sched_lost_attempt(sched, worker, worker->attempt_last, TSI_TASK_RELEASED);
        tsi_sched_activate_demand(sched, job, attempt.task, attempt.rank, true);
    }
}

void
tsi_sched_lost_worker(struct tsi_sched *sched, struct tsi_sched_worker *worker, const char *text)
{
    tsi_sched_peak_of_worker(sched, worker);
    tsi_sched_ready_disown(sched, worker);
    requeue_attempts(sched, worker, text);
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL && !sched->jobs.items[i]->dropping) {
            forget_chunks(sched, sched->jobs.items[i], worker->slot);
        }
    }
    tsi_sched_drain_forget(sched, worker->peer);
    TSI_CHECK(worker->held_bytes == 0 && worker->reserved_bytes == 0);
    tsi_sched_peer_remove_worker(sched, worker);
    tsi_sched_peer_sum(sched);
    sched->policy_due = true;
    sched->drain_due = true;
    sched->emit_due = true;
}
