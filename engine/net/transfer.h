// SPDX-License-Identifier: Apache-2.0
//
// Chunks between processes: whoever needs one pulls it from whoever has it.
//
// A server answers GET with SEGMENTs, sent straight from the chunk's memory. A fetcher has one
// DEALER for each peer that it pulls from, asks for some segments ahead, and puts them together in
// a fresh chunk. Large chunks of a peer on the same host are borrowed instead (lease.h): what the
// fetcher gives is then the peer's own memory, which cannot be written. Both belong to the thread
// that makes them, which polls their sockets.

#ifndef TSI_NET_TRANSFER_H
#define TSI_NET_TRANSFER_H

#include "engine/base/buf.h"
#include "engine/net/net.h"

struct tsi_server;

// What a lookup may say: the chunk is not there yet, ask again.
extern const char tsi_server_later[];

// Looks a chunk up: a reference that the server gives back, or NULL. `*text` may say why not. A
// chunk may be looked up several times for one question.
// With tsi_server_later the question waits.
typedef struct tsi_buf *tsi_server_lookup(void *context, tsi_key key, const char **text);

// `address` as tsi_net_data_address() gives it; where it is bound in `endpoint`.
struct tsi_server *tsi_server_new(struct tsi_net *net, const char *address,
                                  tsi_server_lookup *lookup, void *context,
                                  char endpoint[TSI_WIRE_ENDPOINT_MAX], struct tsi_error *error);
void tsi_server_free(struct tsi_server *server);
void *tsi_server_socket(const struct tsi_server *server);

// Another descriptor to poll for reading, -1 if there is none.
int tsi_server_fd(const struct tsi_server *server);

// Answers what has arrived, a bounded number of requests. Bad frames are dropped and counted.
void tsi_server_turn(struct tsi_server *server);

// When a turn is needed at the latest because answers wait for room in a queue; UINT64_MAX if none
// does. Answers to a fetcher never wait: it asks for less than a queue holds.
uint64_t tsi_server_deadline(const struct tsi_server *server);

// Frames that were dropped: not questions, or too many of them.
uint64_t tsi_server_bad_frames(const struct tsi_server *server);

struct tsi_fetcher;

// Called from tsi_fetcher_turn(): the chunk, which is the receiver's to unref, or NULL and why.
typedef void tsi_fetcher_done(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk,
                              const char *text);

struct tsi_fetcher *tsi_fetcher_new(struct tsi_net *net, tsi_fetcher_done *done, void *context);

// Lets at most `bytes` be under way, in smaller segments where that is little. Without a call it is
// 4 MiB from each peer. Before fetches start.
void tsi_fetcher_bound(struct tsi_fetcher *fetcher, uint64_t bytes);
void tsi_fetcher_free(struct tsi_fetcher *fetcher); // fetches under way are forgotten

// Tells where `peer` serves, and whether that is this host; or that it is gone: then fetches from
// it fail in the next turn.
bool tsi_fetcher_peer(struct tsi_fetcher *fetcher, uint32_t peer, const char *endpoint,
                      bool is_here);
void tsi_fetcher_peer_gone(struct tsi_fetcher *fetcher, uint32_t peer);

// Starts to fetch chunk `key`, which has `bytes`, from `peer`; false when memory is out, and then
// nothing is reported. It fails in a turn if the peer is not known, has no such chunk, sends
// something else or something that does not fit its checksum, cannot be connected to again and
// again, or is silent for a minute; or if the same is being fetched already.
//
// What comes in segments goes to `place`, memory that stays until the fetch is reported or given up
// and holds anything meanwhile; NULL: to memory of its own. What is borrowed is where it is.
bool tsi_fetcher_start(struct tsi_fetcher *fetcher, tsi_key key, uint32_t peer, uint64_t bytes,
                       void *place);

// Gives up the fetches of `job` that are under way: they are not reported, and nothing is written
// to their places any more. Returns how many there were, and their bytes in `*bytes`.
size_t tsi_fetcher_give_up(struct tsi_fetcher *fetcher, uint32_t job, uint64_t *bytes);

// The sockets to poll for reading, at most `max`; returns how many there are.
int tsi_fetcher_sockets(struct tsi_fetcher *fetcher, void **sockets, int max);

// Another descriptor to poll for reading, -1 if there is none.
int tsi_fetcher_fd(const struct tsi_fetcher *fetcher);

// Takes in what has arrived and reports fetches that ended.
void tsi_fetcher_turn(struct tsi_fetcher *fetcher, uint64_t now_ns);

// Chunks that were borrowed, so far.
uint64_t tsi_fetcher_borrowed(const struct tsi_fetcher *fetcher);

// Segments that did not fit their checksums, so far.
uint64_t tsi_fetcher_damaged(const struct tsi_fetcher *fetcher);

// When a turn is needed at the latest; UINT64_MAX if never.
uint64_t tsi_fetcher_deadline(const struct tsi_fetcher *fetcher);

#endif
