// SPDX-License-Identifier: Apache-2.0
//
// Memory that one process lends to another of the same user on the same host: what the two sides
// say to each other, over a socket of the kernel's beside ZeroMQ. lender.[ch] and borrower.[ch] are
// the sides.
//
// Each record is one packet. Both sides are of one build or one version, so it is a plain struct,
// but nothing in it is believed: sizes, numbers and places are held against what is known.

#ifndef TSI_NET_LEASE_H
#define TSI_NET_LEASE_H

#include "engine/net/net.h"

#define TSI_LEASE_MAGIC UINT32_C(0x4C53544C)

enum tsi_lease_type {
    TSI_LEASE_HELLO = 1, // lender: its file (a descriptor comes along), word and generation
    TSI_LEASE_WANT,      // borrower: `key`, of `bytes`
    TSI_LEASE_LENT,      // lender: `key` is at `offset`, as `lease`, until that is returned
    TSI_LEASE_REFUSED,   // lender: `key` cannot be lent; it may be fetched
    TSI_LEASE_RETURN,    // borrower: `lease` is over
    TSI_LEASE_RECALL,    // lender: wants `lease` back soon
};

struct tsi_lease_record {
    uint32_t magic;
    uint32_t type;
    uint64_t key;
    uint64_t lease;
    uint64_t offset;
    uint64_t bytes; // of HELLO: what the file may grow to
    uint64_t word;
    uint64_t generation;
};

// Where the peer that serves chunks at `endpoint` lends its memory: a socket in the directory of
// this user, named after the endpoint and the cluster's key. False if there is no such directory.
bool tsi_lease_path(const char *endpoint, const char *member_public, char *out, size_t bytes);

// Sends without blocking, with `file` if that is not negative. False if the other side is gone or
// does not read.
bool tsi_lease_send(int socket, struct tsi_lease_record record, int file);

// Receives without blocking. A descriptor that came along goes to `*file`, else that is −1.
enum tsi_lease_received { TSI_LEASE_GOT, TSI_LEASE_NOTHING, TSI_LEASE_END };
enum tsi_lease_received tsi_lease_receive(int socket, struct tsi_lease_record *record, int *file);

// Whether the process at the other end is of this user.
bool tsi_lease_is_own_user(int socket);

#endif
