// SPDX-License-Identifier: Apache-2.0
//
// What waits to leave for one peer. libzmq's queues are bounded by messages, or not at all; an
// outbox knows the bytes, and takes no more than a bound, so that a peer that does not read cannot
// make this process grow.

#ifndef TSI_NET_OUTBOX_H
#define TSI_NET_OUTBOX_H

#include "engine/net/net.h"

// Bytes that may wait for one peer. A message that finds nothing waiting is always taken.
#define TSI_OUTBOX_BYTES_MAX ((uint64_t)128 << 20)

struct tsi_outbox;

struct tsi_outbox *tsi_outbox_new(void); // NULL when memory is out

// Messages that were sent may still leave afterwards. Accepts NULL.
void tsi_outbox_free(struct tsi_outbox *outbox);

// Bytes that wait, with what libzmq needs for each message.
uint64_t tsi_outbox_bytes(const struct tsi_outbox *outbox);

// Whether it takes `count` more.
bool tsi_outbox_has_room(const struct tsi_outbox *outbox, size_t count);

// Sends a copy of one frame as tsi_net_send() does. Fails with EAGAIN if the outbox is full too.
bool tsi_outbox_send(struct tsi_outbox *outbox, void *socket, const struct tsi_route *route,
                     const void *bytes, size_t count);

// One frame of several, as tsi_net_send_part(); `route` is NULL but for the first. Without memory
// an empty one goes instead, so that a message is always whole; the receiver drops that.
bool tsi_outbox_send_part(struct tsi_outbox *outbox, void *socket, const struct tsi_route *route,
                          const void *bytes, size_t count, bool more);

#endif
