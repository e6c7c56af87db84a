// SPDX-License-Identifier: Apache-2.0
//
// One peer that chunks are fetched from: its connection, its fetches in the order of their start,
// and what is under way. The fetcher's own; transfer.h is the interface.

#ifndef TSI_NET_SOURCE_H
#define TSI_NET_SOURCE_H

#include "engine/base/map.h"
#include "engine/net/borrower.h"
#include "engine/net/transfer.h"

struct tsi_fetch {
    tsi_key key;
    uint32_t peer;
    struct tsi_fetch *next; // in the list of its source, or of those that failed
    struct tsi_fetch *before;
    uint64_t bytes;
    void *place;           // for what comes in segments; NULL: memory of its own
    bool is_wanted;        // it is to be borrowed
    struct tsi_buf *chunk; // NULL while it is, and until it is asked for
    uint64_t asked;        // up to here
    uint64_t arrived;      // up to here
    uint32_t gets;         // under way
    uint64_t heard_ns;
    const char *failed; // why, once it has
};

// What all sources of a fetcher may have under way: it comes as messages, which take memory beside
// the chunks. Each may have one segment whatever the others have, so none waits for another.
struct tsi_source_bounds {
    uint64_t segment_bytes;
    uint64_t ahead_bytes_max;
    uint64_t ahead_bytes;
};

struct tsi_source {
    struct tsi_net *net;
    struct tsi_source_bounds *bounds;
    uint32_t peer;
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    uint64_t used_ns; // when the last fetch was started
    bool may_borrow;
    bool is_encrypted;
    struct tsi_borrower *borrower;  // NULL until it is needed
    struct tsi_fetch *wanted_first; // to be borrowed, in order of their start
    struct tsi_fetch *wanted_last;
    struct tsi_fetch *wanted_asking; // all before it have been asked for
    uint32_t wanted_asked;           // how many these are
    bool waits;                      // for memory, with the next to be asked for
    void *socket;                    // NULL until it is needed
    void *monitor;
    struct tsi_fetch *first; // in order of their start
    struct tsi_fetch *last;
    struct tsi_fetch *asking; // all before it have been asked for to their end
    struct tsi_map by_key;
    uint32_t gets; // under way
    uint64_t bytes_ahead;
    int breaks; // of the connection, without a segment in between
    struct tsi_wire_buf out;
};

struct tsi_source *tsi_source_new(struct tsi_net *net, struct tsi_source_bounds *bounds,
                                  uint32_t peer, const char *endpoint, bool may_borrow);
void tsi_source_free(struct tsi_source *source); // with its fetches
void tsi_source_free_fetches(struct tsi_fetch *fetch);

// The fetch of `key`, NULL if there is none.
struct tsi_fetch *tsi_source_find(const struct tsi_source *source, tsi_key key);

// Puts a fetch to the end, or takes it out. False when memory is out.
bool tsi_source_link(struct tsi_source *source, struct tsi_fetch *fetch);
void tsi_source_unlink(struct tsi_source *source, struct tsi_fetch *fetch);

// The same for one that is to be borrowed.
bool tsi_source_link_wanted(struct tsi_source *source, struct tsi_fetch *fetch);
void tsi_source_unlink_wanted(struct tsi_source *source, struct tsi_fetch *fetch);

// Frees the fetches of `job`; returns how many there were, and adds their bytes to `*bytes`.
size_t tsi_source_give_up(struct tsi_source *source, uint32_t job, uint64_t *bytes);

// Asks to borrow as many as may be asked for at once and have room; false if the lender cannot be
// reached.
bool tsi_source_ask_wanted(struct tsi_source *source);

// Asks for as much as may be under way and has room; false if the peer cannot be connected to, or
// there is no memory for the chunk that is next.
bool tsi_source_ask(struct tsi_source *source);

// The bytes that answer the oldest GET under way of `fetch`.
uint64_t tsi_source_next_bytes(const struct tsi_source *source, const struct tsi_fetch *fetch);

// Notes that these bytes arrived.
void tsi_source_arrived(struct tsi_source *source, struct tsi_fetch *fetch, uint64_t bytes);

// Whether the connection has broken since the last call.
bool tsi_source_broke(const struct tsi_source *source);

// Begins anew with a fresh connection after the old one broke; false if that has happened too
// often.
bool tsi_source_start_again(struct tsi_source *source);
void tsi_source_disconnect(struct tsi_source *source);

#endif
