// SPDX-License-Identifier: Apache-2.0
//
// Five counters in the 64 bits of a map's value.

#include "scheduler/core/sched_trouble.h"

#include "scheduler/core/sched_job.h"

struct tsi_sched_trouble
tsi_sched_trouble_get(const struct tsi_sched_job *job, uint32_t task)
{
    const uint64_t *value = tsi_map_get(&job->attempts, task);
    const uint64_t bits = value == NULL ? 0 : *value;
    return (struct tsi_sched_trouble){
        .kills = (uint16_t)bits,
        .retries = (uint16_t)(bits >> 16),
        .fetches = (uint8_t)(bits >> 32),
        .refusals = (uint8_t)(bits >> 40),
        .drops = (uint8_t)(bits >> 48),
    };
}

bool
tsi_sched_trouble_put(struct tsi_sched_job *job, uint32_t task, struct tsi_sched_trouble trouble)
{
    const uint64_t bits = (uint64_t)trouble.kills | (uint64_t)trouble.retries << 16 |
                          (uint64_t)trouble.fetches << 32 | (uint64_t)trouble.refusals << 40 |
                          (uint64_t)trouble.drops << 48;
    return tsi_map_put(&job->attempts, task, bits);
}

uint32_t
tsi_sched_trouble_squeezes(const struct tsi_sched_job *job, uint32_t task)
{
    if (job->attempts.count == 0) {
        return 0;
    }
    const struct tsi_sched_trouble trouble = tsi_sched_trouble_get(job, task);
    return (uint32_t)trouble.refusals + (trouble.drops > 0 ? trouble.drops - 1U : 0);
}
