// SPDX-License-Identifier: Apache-2.0
//
// Goes through a valid program as those who run it do.

#ifndef TESS_TEST_PROGRAM_WALK_H
#define TESS_TEST_PROGRAM_WALK_H

#include "engine/program/program.h"

// Asks everything that there is to ask about the first, the last and some other chunks of each
// operation, and makes sure that dependencies and users are each other's inverse. Sets are gone
// through up to a bound, so the time is bounded for programs of any number of chunks. Returns NULL,
// or what is wrong.
const char *test_program_walk(const struct tsi_program *program);

#endif
