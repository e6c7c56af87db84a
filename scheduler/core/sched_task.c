// SPDX-License-Identifier: Apache-2.0
//
// The transitions, as the table in the header has them. tsi_sched_job_move() is the one place that
// changes a state.
//
//     RELEASED → WAITING    demanded, an input is missing
//     RELEASED → QUEUED     demanded, all inputs are there
//     RELEASED → MEMORY     demanded, and the chunk is there without running: held or kept
//     WAITING  → QUEUED     the last input came
//     WAITING  → MEMORY     the kept chunk that it stands for came
//     RELEASED → MEMORY, DURABLE   a worker had it from the life of the scheduler before
//     QUEUED   → WAITING    an input was lost
//     QUEUED   → ASSIGNED   placed
//     ASSIGNED → MEMORY     done
//     ASSIGNED → DURABLE    done, and there are no bytes to lose
//     ASSIGNED → RELEASED   the attempt ended without an output; demanded again if still needed
//     ASSIGNED → ERRED      failed for good: its job fails
//     MEMORY, DURABLE → RELEASED   nobody needs it any more, or the last holder was lost
//     WAITING, QUEUED → RELEASED   nobody needs it any more

#include "scheduler/core/sched_task.h"

const char *
tsi_sched_task_state_name(enum tsi_task_state state)
{
    static const char *const names[TSI_TASK_STATES] = {
        [TSI_TASK_RELEASED] = "RELEASED", [TSI_TASK_WAITING] = "WAITING",
        [TSI_TASK_QUEUED] = "QUEUED",     [TSI_TASK_ASSIGNED] = "ASSIGNED",
        [TSI_TASK_MEMORY] = "MEMORY",     [TSI_TASK_DURABLE] = "DURABLE",
        [TSI_TASK_ERRED] = "ERRED",
    };
    return names[state];
}
