// SPDX-License-Identifier: Apache-2.0
//
// What all calls share that make an array from a shape and chunks.

#ifndef TSI_GRAPH_CREATE_H
#define TSI_GRAPH_CREATE_H

#include "engine/base/arena.h"
#include "engine/graph/chunks.h"
#include "engine/graph/node.h"
#include "engine/graph/session.h"

// A failed array if `session` can make none or `dtype` is no dtype, else NULL.
struct tess_array *tsi_create_bad(struct tess_session *session, const char *name, tess_dtype dtype);

// Fills draft->grid for draft->dtype, with boundaries in `scratch`. A failed array if shape or
// chunks are wrong, else NULL.
struct tess_array *tsi_create_cut(struct tess_session *session, const struct tess_shape *shape,
                                  const struct tess_chunks *chunks, enum tsi_chunks_way way,
                                  struct tsi_arena *scratch, struct tess_array *draft);

// Makes the node of `*draft` with such a grid. A SOURCE gets the indices of C order.
struct tess_array *tsi_create_node(struct tess_session *session, const struct tess_shape *shape,
                                   const struct tess_chunks *chunks, struct tess_array *draft);

// The distance of neighbours on each axis of an array in C order, `unit` on the last; 0 where an
// axis has only one element.
void tsi_create_steps(const struct tsi_grid *grid, int64_t unit, int64_t step[TESS_NDIM_MAX]);

#endif
