// SPDX-License-Identifier: Apache-2.0
//
// Whether the program is built with AddressSanitizer or ThreadSanitizer, each 0 or 1: for tests of
// what their own process takes of memory or address space, of which a sanitizer takes more.

#ifndef TESTS_SUPPORT_SANITIZER_H
#define TESTS_SUPPORT_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_WITH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define TEST_WITH_TSAN 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define TEST_WITH_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define TEST_WITH_TSAN 1
#endif

#ifndef TEST_WITH_ASAN
#define TEST_WITH_ASAN 0
#endif
#ifndef TEST_WITH_TSAN
#define TEST_WITH_TSAN 0
#endif

#endif
