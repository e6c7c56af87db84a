// SPDX-License-Identifier: Apache-2.0
//
// The side that reads chunks of another process of this user on this host where they are. One
// borrower is one connection to one lender (lender.h); it belongs to a source of the fetcher. What
// was borrowed may be used and freed on any thread, and outlives the borrower.

#ifndef TSI_NET_BORROWER_H
#define TSI_NET_BORROWER_H

#include "engine/base/buf.h"
#include "engine/net/lease.h"

struct tsi_borrower;

// Connects to the lender of the peer at `endpoint`; NULL if it has none, or is of another user.
struct tsi_borrower *tsi_borrower_new(const char *endpoint, const char *member_public);

// `keeps`: what is still lent is copied, since it will be used; otherwise nobody will.
void tsi_borrower_free(struct tsi_borrower *borrower, bool keeps); // accepts NULL

// Whether nothing is borrowed.
bool tsi_borrower_is_idle(struct tsi_borrower *borrower);

int tsi_borrower_socket(const struct tsi_borrower *borrower);

// Asks for a chunk. False if the connection is over.
bool tsi_borrower_want(struct tsi_borrower *borrower, tsi_key key, uint64_t bytes);

// What the lender answered: the chunk, whose reference is the caller's, or NULL if it is to be
// fetched.
struct tsi_borrowed {
    tsi_key key;
    struct tsi_buf *chunk;
};

// The next answer, also doing what the lender asks for. TSI_LEASE_END: the connection is over, and
// there will be no more answers; what was borrowed stays good, or is found not to be.
enum tsi_lease_received tsi_borrower_next(struct tsi_borrower *borrower,
                                          struct tsi_borrowed *borrowed);

#endif
