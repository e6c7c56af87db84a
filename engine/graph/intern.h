// SPDX-License-Identifier: Apache-2.0
//
// Hash-consing: equal nodes of a session are one node.
//
// Two nodes are equal if they have the same kind, dtype, cut, operands and parameters. Where and by
// what name they were made does not count.

#ifndef TSI_GRAPH_INTERN_H
#define TSI_GRAPH_INTERN_H

#include <stdint.h>

#include "engine/graph/node.h"
#include "engine/graph/session.h"

// The node of `session` that equals `*draft`, or NULL; then `*key` is a free key under which it can
// be put into session->interned.
struct tess_array *tsi_intern_find(const struct tess_session *session,
                                   const struct tess_array *draft, uint64_t *key);

#endif
