// SPDX-License-Identifier: Apache-2.0
//
// Making views: other shapes and cuts of the same elements.

#ifndef TSI_GRAPH_VIEW_H
#define TSI_GRAPH_VIEW_H

#include "engine/graph/node.h"

// The view that names each axis of an array of `ndim` axes and changes nothing.
struct tsi_node_view tsi_view_identity(int ndim);

// `x` seen through `view`, cut by `grid`, whose boundaries may be in any memory. It is `x`, or what
// `x` is a view of, where nothing changes; otherwise a node of the kind that node.h says.
struct tess_array *tsi_view_of(struct tess_array *x, const struct tsi_node_view *view,
                               const struct tsi_grid *grid, const char *name);

// `x` repeated to the shape of `grid`, which it must fit, and cut by it.
struct tess_array *tsi_view_repeat(struct tess_array *x, const struct tsi_grid *grid,
                                   const char *name);

#endif
