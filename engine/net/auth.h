// SPDX-License-Identifier: Apache-2.0
//
// The authenticator: a thread that answers libzmq's question whether a peer may connect (ZeroMQ RFC
// 27, ZAP). Only the key of the cluster's members is let in.

#ifndef TSI_NET_AUTH_H
#define TSI_NET_AUTH_H

#include "engine/net/connection.h"

#define TSI_AUTH_DOMAIN "tessera"

struct tsi_auth;

// Starts it in `context` and tests it: a peer with a fresh key of its own must be refused. NULL
// with the reason in `error` otherwise. `keys` must outlive it.
struct tsi_auth *tsi_auth_new(void *context, const struct tsi_connection *keys,
                              struct tsi_error *error);

// The context must have been shut down. Accepts NULL.
void tsi_auth_free(struct tsi_auth *auth);

#endif
