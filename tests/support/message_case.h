// SPDX-License-Identifier: Apache-2.0
//
// Messages for tests: random ones that keep the rules of the protocol, and a comparison field by
// field.

#ifndef TESS_TEST_MESSAGE_CASE_H
#define TESS_TEST_MESSAGE_CASE_H

#include "scheduler/wire/message.h"
#include "tests/support/random.h"

// A message of `type` with random fields; what it points to is in `arena`.
void test_message_fill(struct test_random *random, uint8_t type, struct tsi_arena *arena,
                       struct tsi_message *message);

// The name of the first field in which two messages differ, NULL if there is none. The bytes of a
// SEGMENT are not looked at, since they are no part of its head.
const char *test_message_difference(const struct tsi_message *a, const struct tsi_message *b);

#endif
