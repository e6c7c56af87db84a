// SPDX-License-Identifier: Apache-2.0
//
// ZeroMQ as this project uses it: one context a process, sockets with all options set before they
// bind or connect, CURVE with enforced authentication on tcp.
//
// A socket belongs to one thread. Nothing here uses CZMQ's globals, so that a program that embeds
// the library keeps its signal handlers.

#ifndef TSI_NET_NET_H
#define TSI_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "engine/net/connection.h"

struct tsi_net; // the context, and the authenticator if there are keys

// `connection` gives the member keys; `scheduler_secret` (may be NULL) is for the scheduler alone.
// With keys, an authenticator is started first and tested: a stranger's key must be refused. NULL
// on failure.
struct tsi_net *tsi_net_new(const struct tsi_connection *connection, const char *scheduler_secret,
                            struct tsi_error *error);
void tsi_net_free(struct tsi_net *net); // all sockets must be closed

// Whether what goes to `address`, or comes from there, is encrypted.
bool tsi_net_encrypts(const struct tsi_net *net, const char *address);

// The public key of the cluster's members, "" without keys.
const char *tsi_net_member_public(const struct tsi_net *net);

// Fills the keys of `connection` and `scheduler_secret` with fresh ones.
tess_status tsi_net_make_keys(struct tsi_connection *connection,
                              char scheduler_secret[TSI_KEY_TEXT], struct tsi_error *error);

enum tsi_net_use {
    TSI_NET_CONTROL, // messages of scheduler and members: no high-water mark for what is sent
    TSI_NET_DATA,    // chunks: a ROUTER takes nothing larger than a question
};

// A ROUTER bound to `address` ("tcp://host:0" and "tcp://host:*" take any free port); where it
// really is in `bound`. With keys the scheduler binds with its own, everybody else with those of
// the members; without keys tcp is refused, unless the connection says that it is insecure. Over
// ipc only processes of the same user get in. Fails for an ipc path at which somebody listens.
void *tsi_net_bind(struct tsi_net *net, enum tsi_net_use use, const char *address, char *bound,
                   size_t bound_bytes, struct tsi_error *error);

// A DEALER connected to `address`. `server_public` (NULL or "": no keys) is the key of whoever is
// there; only an insecure network connects to a tcp address without one.
void *tsi_net_connect(struct tsi_net *net, enum tsi_net_use use, const char *address,
                      const char *server_public, struct tsi_error *error);

// A socket that becomes readable when a connection of `socket` breaks; tsi_net_broke() empties it
// and tells whether one did.
void *tsi_net_monitor(struct tsi_net *net, void *socket, struct tsi_error *error);
bool tsi_net_broke(void *monitor);

// Closes `monitor` (which may be NULL), and must do so before `socket` is closed: a monitor that is
// only closed leaves the transport's thread waiting for a reader of the next event, for ever.
void tsi_net_unwatch(void *socket, void *monitor);

// Closes; what is queued gets `linger_ms` to leave. Accepts NULL.
void tsi_net_close(void *socket, int linger_ms);

// A fresh ipc address in the user's directory, or "tcp://<host>:*" where `like` is a tcp address:
// for data sockets that must be reached from where `like` is.
tess_status tsi_net_data_address(const char *like, const char *host, char *out, size_t bytes,
                                 struct tsi_error *error);

// Sends one frame to the peer behind `route` of a ROUTER (NULL, 0: a DEALER has one peer). Never
// blocks. false: the peer is gone (errno EHOSTUNREACH) or its queue is full (EAGAIN).
struct tsi_route {
    unsigned char bytes[16];
    size_t count;
};
bool tsi_net_send(void *socket, const struct tsi_route *route, const void *bytes, size_t count);

// The same with a frame of libzmq's, which it takes whether it is sent or not.
bool tsi_net_send_frame(void *socket, const struct tsi_route *route, zmq_msg_t *frame);

// The same, but with `more` it leaves only with the next one, together with which it is one message
// of the transport; that one then has no route. A receiver takes so many frames at once.
enum { TSI_NET_FRAMES_MAX = 4 };
bool tsi_net_send_part(void *socket, const struct tsi_route *route, zmq_msg_t *frame, bool more);

// Whether the transport made the route: five bytes, of which the first is 0. A peer may choose
// another name for itself, but none of ours does, and such a name could be taken for somebody
// else's number.
bool tsi_net_is_own_route(const struct tsi_route *route);

// Receives one message without blocking: its route (ROUTER only; NULL for a DEALER) and its frames;
// in data messages, a head and a payload. Frames beyond `frame_count` are dropped. 0: nothing
// there; otherwise the number of frames, which the caller closes. A route that is none of libzmq's
// own (a peer may choose a longer one) comes as one of 0 bytes: nothing can be sent there.
int tsi_net_receive(void *socket, struct tsi_route *route, zmq_msg_t *frames, int frame_count);
void tsi_net_close_frames(zmq_msg_t *frames, int count);

// The identity of this host: boot, namespaces and user, so that equal means that ipc and shared
// memory reach. At most TSI_WIRE_NAME_MAX characters.
void tsi_net_host_identity(char *out, size_t bytes);

#endif
