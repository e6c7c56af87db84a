// SPDX-License-Identifier: Apache-2.0
//
// What the two files of sched_case.h share.

#ifndef TSI_SUPPORT_SCHED_CREW_H
#define TSI_SUPPORT_SCHED_CREW_H

#include "tests/support/sched_case.h"

// Stops the test with a word on what is wrong.
_Noreturn void sched_case_stop(const char *what);

#endif
