// SPDX-License-Identifier: Apache-2.0
//
// Messages for which nobody waits. Each message that is sent alone costs a switch to another thread
// or two on either side, and what waits for those processors waits longer. So such messages are
// kept back for a moment, and leave with the next one to the same peer, in the order in which they
// came.

#ifndef TSI_NET_LATER_H
#define TSI_NET_LATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/clock.h"
#include "engine/base/vec.h"

// How long a message is kept back at most, when whoever has it looks in time.
#define TSI_LATER_NS (1 * TSI_MILLISECOND)

// All zero is empty.
struct tsi_later {
    TSI_VEC(unsigned char) bytes; // of each message its length and itself
    size_t count;                 // of messages
    uint64_t due_ns;              // when the first of them has to leave; 0: there is none
};

// Keeps a copy of a message; false when memory is out.
bool tsi_later_put(struct tsi_later *later, const void *bytes, size_t count, uint64_t now_ns);

// The messages, oldest first; `*at` is 0 before the first. False if there is none left.
bool tsi_later_next(const struct tsi_later *later, size_t *at, const unsigned char **bytes,
                    size_t *count);

// Forgets all of them; they were sent, or are of no use any more.
void tsi_later_clear(struct tsi_later *later);

void tsi_later_fini(struct tsi_later *later);

#endif
