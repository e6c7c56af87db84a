// SPDX-License-Identifier: Apache-2.0
//
// The side that lends its chunks to processes of the same user on the same host, which read them
// where they are. A part of the server of chunks (server.c), on its thread.

#ifndef TSI_NET_LENDER_H
#define TSI_NET_LENDER_H

#include "engine/net/lease.h"
#include "engine/net/transfer.h"

struct tsi_lender;

// Lends beside the server at `endpoint`. NULL if this process shares no memory
// (tsi_pages_share()), or cannot listen.
struct tsi_lender *tsi_lender_new(const char *endpoint, const char *member_public,
                                  tsi_server_lookup *lookup, void *context);

// Asks for what is lent back and waits a moment for it; then takes it back: whoever still reads it
// finds out (tsi_buf_is_sound()). Accepts NULL.
void tsi_lender_free(struct tsi_lender *lender);

// Readable when a turn is needed.
int tsi_lender_fd(const struct tsi_lender *lender);
void tsi_lender_turn(struct tsi_lender *lender, uint64_t now_ns);
uint64_t tsi_lender_deadline(const struct tsi_lender *lender); // UINT64_MAX: none

// Leases that have not been returned.
size_t tsi_lender_count(const struct tsi_lender *lender);

#endif
