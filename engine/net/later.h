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

// What leaves: the messages that were kept back, oldest first, and one more behind them. Nothing
// may be put in meanwhile.
struct tsi_later_parts {
    const struct tsi_later *later;
    const unsigned char *last; // the one more, NULL: none
    size_t last_count;
    size_t left; // messages
    size_t at;
    size_t frames; // of one message of the transport, so far
    // Of the message that tsi_later_next_part() has found:
    const unsigned char *bytes;
    size_t count;
    bool more; // it leaves together with the next one (tsi_net_send_part())
};

struct tsi_later_parts tsi_later_parts(const struct tsi_later *later, const unsigned char *last,
                                       size_t last_count);
bool tsi_later_next_part(struct tsi_later_parts *parts); // false if there is none left

// Forgets all of them; they were sent, or are of no use any more.
void tsi_later_clear(struct tsi_later *later);

void tsi_later_fini(struct tsi_later *later);

#endif
