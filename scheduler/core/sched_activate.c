// SPDX-License-Identifier: Apache-2.0
//
// Activation: which tasks are there at all.
//
// Targets are opened in order, a few at a time. Each is walked depth first down to tasks that can
// run at once, by a stack of tasks to visit that the job keeps, so that the walk can stop anywhere
// and go on later. It stops when enough tasks are ready; so a job of millions of tasks has few
// records, and what is open is finished before more is opened. Tasks of a job are ranked in the
// order of their visits: a task comes before all that it needs, hence before all that is opened
// later. The ranks of a job go on by the time that its tasks take, and begin at the rank of what
// workers take next: so jobs that are at work side by side get about the same time each, and a
// short one is not behind all that a long one has opened.
//
// A task that makes much less of its inputs, such as those of a reduction, is activated as soon as
// they are there even if its target is not open, and comes as early as they did, so that two
// reductions of one array do not keep the array.

#include "engine/base/check.h"
#include "scheduler/core/sched_place.h"
#include "scheduler/core/sched_state.h"
#include "scheduler/core/sched_trouble.h"
#include "scheduler/core/sched_want.h"

enum {
    VISITS_OF_TURN = 64,
    // Uses beyond which those who wait are looked for among the active tasks instead of all users.
    USERS_WALKED_MAX = 4096,
    // What a step of ranks stands for, and the most steps from one task to the next. Ranks wrap
    // around, so those of all tasks that are waited for have to be within 2³¹ steps.
    RANK_US = 1024,
    RANK_STEPS_MAX = 256,
};

static void visit(struct tsi_sched *sched, struct tsi_sched_job *job,
                  const struct tsi_sched_visit *item, bool is_loose);

bool
tsi_sched_activate_demand(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                          uint32_t rank, bool is_ranked)
{
    const struct tsi_sched_visit visit = {task, rank, is_ranked};
    sched->policy_due = true;
    if (!tsi_vec_push(&job->stack, visit)) {
        tsi_sched_job_doom_memory(sched, job);
        return false;
    }
    return true;
}

// The task that reads the same chunks as this one (mirror.h); itself if there is none.
static uint32_t
mirror_of(const struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_op *info = &job->ops[op];
    return info->base + (uint32_t)tsi_mirror_chunk(&info->mirror, &job->program->ops[op].loop,
                                                   task - info->base);
}

// The worker to whose heap a task with inputs goes. One whose mirror image was placed just before
// goes where that went: several workers may be equally good for the two.
static uint32_t
choose_worker(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    if (job->ops[op].mirror.low < 0) {
        return tsi_sched_place_best(sched, job, op, task);
    }
    const uint32_t mirror = mirror_of(job, op, task);
    const uint32_t slot = job->placed_slot;
    const bool follows = mirror != task && job->placed_task == mirror && slot != TSI_SLOT_NONE &&
                         tsi_sched_worker_is_open(sched, sched->workers.items[slot]);
    job->placed_task = task;
    job->placed_slot = follows ? slot : tsi_sched_place_best(sched, job, op, task);
    return job->placed_slot;
}

// A task of which all inputs are there finds its place. With `is_new` it may go into a stripe,
// which is in order of ranks as long as those are new.
static void
find_place(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task,
           bool is_loose, bool is_new)
{
    tsi_sched_job_move(job, op, task, TSI_TASK_QUEUED);
    sched->queued++;
    const uint32_t squeezes = tsi_sched_trouble_squeezes(job, task);
    const uint32_t roomiest =
        squeezes > 0 ? tsi_sched_place_roomiest(sched, job, op, task, squeezes) : TSI_SLOT_NONE;
    if (roomiest != TSI_SLOT_NONE) {
        if (!tsi_sched_ready_steer(sched, job, task, roomiest)) {
            tsi_sched_job_doom_memory(sched, job);
        }
        return;
    }
    const bool has_inputs = job->program->ops[op].input_count > 0;
    const uint32_t slot =
        has_inputs && !is_loose ? choose_worker(sched, job, op, task) : TSI_SLOT_NONE;
    const bool in_stripe = slot == TSI_SLOT_NONE && !is_loose && is_new;
    const bool pushed = in_stripe ? tsi_sched_ready_push_stripe(sched, job, op, task)
                                  : tsi_sched_ready_push(sched, job, task, slot);
    if (!pushed) {
        tsi_sched_job_doom_memory(sched, job);
    }
}

// One input of a waiting task came; it was made with rank `rank`.
static void
input_came(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task,
           uint32_t rank)
{
    struct tsi_sched_task *record = &job->tasks[task];
    const uint32_t missing = tsi_sched_task_count(record);
    TSI_CHECK(missing > 0);
    tsi_sched_task_set_count(record, missing - 1);
    if (missing == 1) {
        if (job->ops[op].shrinks && tsi_sched_rank_before(rank, record->where)) {
            record->where = rank;
        }
        find_place(sched, job, op, task, false, false);
    }
}

// How often `user` reads `task`, which is of operation `op`.
static uint32_t
count_uses(const struct tsi_sched_job *job, uint32_t user_op, uint32_t user, uint32_t task)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    uint32_t uses = 0;
    tsi_sched_walk_deps(&walk, job, user_op, user);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        uses += dep == task ? 1 : 0;
    }
    return uses;
}

// Tells the waiting tasks of one operation that read `task`.
static void
tell_active(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t user_op, uint32_t task,
            uint32_t rank)
{
    const struct tsi_sched_op *info = &job->ops[user_op];
    const uint32_t end = info->base + info->count;
    uint32_t user = info->base;
    while (user < end) {
        if (job->active[user / TSI_SCHED_BLOCK] == 0) {
            const uint64_t next = (uint64_t)(user / TSI_SCHED_BLOCK + 1) * TSI_SCHED_BLOCK;
            user = next < end ? (uint32_t)next : end;
            continue;
        }
        if (tsi_sched_task_state(&job->tasks[user]) == TSI_TASK_WAITING) {
            for (uint32_t uses = count_uses(job, user_op, user, task); uses > 0; uses--) {
                input_came(sched, job, user_op, user, rank);
            }
        }
        user++;
    }
}

// Whether `user` makes much less of its inputs, can do so at once, and will have to some time. Then
// it is better done while they are here than when its turn comes.
static bool
is_worth_now(struct tsi_sched_job *job, uint32_t user_op, uint32_t user)
{
    if (!job->ops[user_op].shrinks || tsi_sched_job_is_retired(job, user) ||
        !tsi_sched_want(job, user_op, user)) {
        return false;
    }
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, user_op, user);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        if (!tsi_sched_task_is_there(&job->tasks[dep])) {
            return false;
        }
    }
    return true;
}

void
tsi_sched_activate_users(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                         uint32_t task, uint32_t rank)
{
    if (job->tasks[task].users_left > USERS_WALKED_MAX) {
        const struct tsi_sched_op *info = &job->ops[op];
        uint32_t last = UINT32_MAX;
        for (uint32_t i = 0; i < info->edge_count; i++) {
            const uint32_t user_op = job->edges[info->edge_first + i].op;
            if (user_op != last) { // edges of one user are neighbours
                tell_active(sched, job, user_op, task, rank);
            }
            last = user_op;
        }
        return;
    }
    struct tsi_sched_walk walk;
    uint32_t user = 0;
    tsi_sched_walk_users(&walk, job, op, task);
    while (tsi_sched_walk_next_user(&walk, &user)) {
        const enum tsi_task_state state = tsi_sched_task_state(&job->tasks[user]);
        if (state == TSI_TASK_WAITING) {
            input_came(sched, job, walk.op, user, rank);
        } else if (state == TSI_TASK_RELEASED && is_worth_now(job, walk.op, user)) {
            const struct tsi_sched_visit item = {user, rank, true};
            visit(sched, job, &item, false);
        }
    }
}

// A task that does not run is there.
static void
provide(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    struct tsi_sched_task *record = &job->tasks[task];
    tsi_sched_task_set_count(record, 0);
    tsi_sched_job_move(job, op, task, TSI_TASK_MEMORY);
    record->where = TSI_SLOT_NONE;
    record->link = 0;
    if (job->ops[op].target_mode != TSI_SCHED_NO_TARGET) {
        tsi_sched_target_reached(sched, job, op, task);
    }
}

void
tsi_sched_activate_waiters(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task)
{
    size_t kept = 0;
    const size_t count = job->waiters.count;
    for (size_t i = 0; i < count; i++) {
        const struct tsi_sched_waiter waiter = job->waiters.items[i];
        if (waiter.source != task) {
            job->waiters.items[kept++] = waiter;
            continue;
        }
        struct tsi_sched_job *user = tsi_sched_job_find(sched, waiter.job);
        if (user != NULL && tsi_sched_task_state(&user->tasks[waiter.task]) == TSI_TASK_WAITING) {
            const uint32_t op = tsi_sched_job_op(user, waiter.task);
            provide(sched, user, op, waiter.task);
            tsi_sched_activate_users(sched, user, op, waiter.task, user->next_rank);
        }
    }
    job->waiters.count = kept;
}

// Visits a kept chunk: it is there if it is there in the job that made it.
static void
visit_kept(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, op, task);
    if (tsi_sched_task_is_there(chunk.record)) {
        provide(sched, job, op, task);
        return;
    }
    const struct tsi_sched_waiter waiter = {chunk.task, job->id, task};
    if (!tsi_vec_push(&chunk.job->waiters, waiter)) {
        tsi_sched_job_doom_memory(sched, job);
        return;
    }
    tsi_sched_task_set_count(&job->tasks[task], 1);
    tsi_sched_job_move(job, op, task, TSI_TASK_WAITING);
    if (tsi_sched_task_state(chunk.record) == TSI_TASK_RELEASED) {
        tsi_sched_activate_demand(sched, chunk.job, chunk.task, job->tasks[task].where, true);
    }
}

// Counts the inputs of a task that are not there, and pushes those that nobody demanded yet, the
// first one on top.
static uint64_t
visit_inputs(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
             const struct tsi_sched_visit *item, uint32_t rank)
{
    const size_t bottom = job->stack.count;
    uint64_t missing = 0;
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, item->task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_task *record = &job->tasks[dep];
        const struct tsi_sched_visit next = {dep, rank, item->is_ranked};
        if (tsi_sched_task_state(record) == TSI_TASK_RELEASED &&
            !tsi_sched_op_runs(&job->ops[walk.op])) {
            visit(sched, job, &next, false);
        }
        if (tsi_sched_task_is_there(record)) {
            continue;
        }
        missing++;
        if (tsi_sched_task_state(record) == TSI_TASK_RELEASED && !tsi_vec_push(&job->stack, next)) {
            tsi_sched_job_doom_memory(sched, job);
            break;
        }
    }
    if (job->stack.count > bottom) {
        tsi_sched_ready_cut(sched, job);
        struct tsi_sched_visit *low = &job->stack.items[bottom];
        struct tsi_sched_visit *high = &tsi_vec_last(&job->stack);
        for (; low < high; low++, high--) {
            const struct tsi_sched_visit swapped = *low;
            *low = *high;
            *high = swapped;
        }
    }
    return missing;
}

// A target is demanded for the first time.
static void
open_target(struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const bool is_target = job->ops[op].target_mode != TSI_SCHED_NO_TARGET;
    if (is_target && !tsi_sched_job_is_opened(job, task)) {
        tsi_sched_bits_set(job->opened, task);
        if (job->ops[op].target_mode == TSI_TARGET_DELIVER) {
            job->deliver_bytes += tsi_sched_job_bytes(job, op, task);
            job->deliver_count++;
        }
    }
}

bool
tsi_sched_activate_claim(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                         uint32_t task)
{
    const bool was_retired = tsi_sched_job_is_retired(job, task);
    const uint64_t claims = tsi_sched_hold_claims(job, op, task);
    if (claims == 0) {
        if (!was_retired) {
            tsi_sched_hold_retire(sched, job, op, task);
        }
        return false;
    }
    if (claims >= UINT32_MAX / 2) {
        char place[TSI_ERROR_TEXT_MAX / 2];
        tsi_sched_job_place(job, task, place, sizeof place);
        tsi_sched_job_doom(sched, job, TESS_ELIMIT, "%s: too many uses of one chunk", place);
        return false;
    }
    if (was_retired) {
        tsi_sched_job_set_retired(job, task, false);
        job->tasks_done -= tsi_sched_op_runs(&job->ops[op]) ? 1 : 0;
        tsi_sched_hold_restore_inputs(job, op, task);
    }
    job->tasks[task].users_left = (uint32_t)claims;
    open_target(job, op, task);
    return true;
}

// A job that comes, or that has had nothing ready for a while, goes on where the others are.
static void
catch_up(const struct tsi_sched *sched, struct tsi_sched_job *job)
{
    if (job->counts[TSI_TASK_QUEUED] == 0) {
        const uint32_t front = tsi_sched_ready_front(sched);
        const bool is_idle = job->counts[TSI_TASK_WAITING] + job->counts[TSI_TASK_ASSIGNED] == 0;
        if (is_idle || tsi_sched_rank_before(job->next_rank, front)) {
            job->next_rank = front;
        }
    }
}

// The rank of a task that is opened: the next one of its job, which goes on by what the task takes.
static uint32_t
new_rank(struct tsi_sched_job *job, uint32_t op)
{
    const uint32_t rank = job->next_rank;
    const uint32_t steps = job->ops[op].duration_us / RANK_US;
    job->next_rank += steps < 1 ? 1 : steps < RANK_STEPS_MAX ? steps : RANK_STEPS_MAX;
    return rank;
}

// The mirror image of a task that was just placed comes right after it, if it can be done at once:
// whoever does both reads their chunks once.
static void
visit_mirror(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
             const struct tsi_sched_visit *item)
{
    if (job->ops[op].mirror.low < 0) {
        return;
    }
    const uint32_t mirror = mirror_of(job, op, item->task);
    if (tsi_sched_task_state(&job->tasks[mirror]) == TSI_TASK_RELEASED &&
        is_worth_now(job, op, mirror)) {
        const struct tsi_sched_visit next = {mirror, item->rank, item->is_ranked};
        visit(sched, job, &next, false);
    }
}

static void
visit(struct tsi_sched *sched, struct tsi_sched_job *job, const struct tsi_sched_visit *item,
      bool is_loose)
{
    const uint32_t task = item->task;
    struct tsi_sched_task *record = &job->tasks[task];
    if (tsi_sched_task_state(record) != TSI_TASK_RELEASED) {
        return;
    }
    const uint32_t op = tsi_sched_job_op(job, task);
    if (!tsi_sched_activate_claim(sched, job, op, task)) {
        return;
    }
    record->where = item->is_ranked ? item->rank : new_rank(job, op);
    if (job->ops[op].work == TSI_WORK_HELD) {
        provide(sched, job, op, task);
        return;
    }
    if (job->ops[op].work == TSI_WORK_KEPT) {
        visit_kept(sched, job, op, task);
        return;
    }
    const uint64_t missing =
        tsi_sched_walk_has_deps(job, op) ? visit_inputs(sched, job, op, item, record->where) : 0;
    if (missing == 0) {
        find_place(sched, job, op, task, is_loose, !item->is_ranked);
        if (!is_loose) {
            visit_mirror(sched, job, op, item);
        }
        return;
    }
    if (missing > TSI_TASK_DEPS_MAX) {
        char place[TSI_ERROR_TEXT_MAX / 2];
        tsi_sched_job_place(job, task, place, sizeof place);
        tsi_sched_job_doom(sched, job, TESS_ELIMIT, "%s: too many input chunks", place);
    }
    tsi_sched_task_set_count(record, (uint32_t)(missing & TSI_TASK_DEPS_MAX));
    tsi_sched_job_move(job, op, task, TSI_TASK_WAITING);
}

void
tsi_sched_activate_again(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                         uint32_t rank)
{
    const struct tsi_sched_visit item = {task, rank, true};
    visit(sched, job, &item, true);
    sched->policy_due = true;
}

bool
tsi_sched_activate_visit_some(struct tsi_sched *sched, struct tsi_sched_job *job,
                              uint64_t queued_max)
{
    bool any = false;
    catch_up(sched, job);
    for (int i = 0; i < VISITS_OF_TURN && job->stack.count > 0 && !job->doomed; i++) {
        if (job->counts[TSI_TASK_QUEUED] >= queued_max) {
            break;
        }
        const struct tsi_sched_visit item = tsi_vec_pop(&job->stack);
        visit(sched, job, &item, false);
        any = true;
    }
    return any;
}
