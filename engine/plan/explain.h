// SPDX-License-Identifier: Apache-2.0
//
// A program as text for people: tess_explain().

#ifndef TSI_PLAN_EXPLAIN_H
#define TSI_PLAN_EXPLAIN_H

#include "engine/base/text.h"
#include "engine/program/program.h"

// Adds a table of the operations and the totals for `threads` threads; `program_bytes` is what is
// submitted.
void tsi_explain(const struct tsi_program *program, int threads, size_t program_bytes,
                 struct tsi_text *text);

#endif
