// SPDX-License-Identifier: Apache-2.0
//
// What operands of different shapes have in common.

#ifndef TSI_GRAPH_BROADCAST_H
#define TSI_GRAPH_BROADCAST_H

#include "engine/base/text.h"
#include "engine/graph/node.h"

// The grid to which `count` operands are broadcast, without the last `dropped` axes of each. An
// axis is cut as the largest operand that is not repeated along it, the leftmost of equals.
// Boundaries are those of the operands. Fails with TESS_ESHAPE if sizes differ; the message names
// them.
tess_status tsi_broadcast_grid(struct tess_array *const *operands, int count, int dropped,
                               struct tsi_grid *grid, struct tsi_error *error);

// "(3, 4)", "(3, 4) and (5,)", "(), (3,) and (4,)" for messages. Returns `out`.
#define TSI_OPERANDS_TEXT_MAX (3 * TSI_SHAPE_TEXT_MAX + 16)
char *tsi_broadcast_text(char out[TSI_OPERANDS_TEXT_MAX], struct tess_array *const *operands,
                         int count);

#endif
