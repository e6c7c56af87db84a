// SPDX-License-Identifier: Apache-2.0
//
// Who may take tasks. A worker is *hungry* from the moment that something changed in its favour
// until the policy has looked at it; it is *starving* if the policy then found nothing for it. So
// the policy looks at few workers, however many there are.

#include "scheduler/core/sched_state.h"

uint32_t
tsi_sched_bits_next(const uint64_t *words, size_t count, uint32_t from)
{
    for (size_t i = from / 64; i < count; i++) {
        const uint64_t mask = i == from / 64 ? ~UINT64_C(0) << (from % 64) : ~UINT64_C(0);
        const uint64_t word = words[i] & mask;
        if (word != 0) {
            return (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word);
        }
    }
    return TSI_SLOT_NONE;
}

void
tsi_sched_wake(struct tsi_sched *sched, uint32_t slot)
{
    tsi_sched_bits_set(sched->hungry.items, slot);
    sched->policy_due = true;
}

void
tsi_sched_wake_all(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->starving.count; i++) {
        sched->hungry.items[i] |= sched->starving.items[i];
        sched->starving.items[i] = 0;
    }
    sched->policy_due = true;
}
