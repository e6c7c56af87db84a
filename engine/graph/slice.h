// SPDX-License-Identifier: Apache-2.0
//
// The cut of a slice.

#ifndef TSI_GRAPH_SLICE_H
#define TSI_GRAPH_SLICE_H

#include "engine/base/grid.h"

// The cut of the elements start, start + step, … of `axis`, `count` of them, which must all be
// there: cut where `axis` is, without empty chunks. Boundaries are kept in `arena` where there is
// no closed form. Fails with TESS_ENOMEM.
tess_status tsi_slice_axis(struct tsi_arena *arena, const struct tsi_axis *axis, int64_t start,
                           int64_t count, int64_t step, struct tsi_axis *cut,
                           struct tsi_error *error);

#endif
