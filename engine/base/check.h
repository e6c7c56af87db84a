// SPDX-License-Identifier: Apache-2.0
//
// Checks of our own invariants. They are never used for what users, files or peers send.

#ifndef TSI_BASE_CHECK_H
#define TSI_BASE_CHECK_H

// Prints the broken invariant with its place and aborts. Always on, outside kernels.
_Noreturn void tsi_check_failed(const char *expression, const char *file, int line);

#define TSI_CHECK(expression)                                                                      \
    ((expression) ? (void)0 : tsi_check_failed(#expression, __FILE__, __LINE__))

// The same where it costs too much for release builds.
#ifdef NDEBUG
#define TSI_DEBUG_CHECK(expression) ((void)sizeof((expression) ? 1 : 0))
#else
#define TSI_DEBUG_CHECK(expression) TSI_CHECK(expression)
#endif

#endif
