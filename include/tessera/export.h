// SPDX-License-Identifier: Apache-2.0
//
// The marks that public declarations carry.

#ifndef TESSERA_EXPORT_H
#define TESSERA_EXPORT_H

#if defined(__GNUC__)
#define TESS_API __attribute__((visibility("default")))
#define TESS_NODISCARD __attribute__((warn_unused_result))
#define TESS_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define TESS_API
#define TESS_NODISCARD
#define TESS_PRINTF(text, first)
#endif

#ifdef __cplusplus
#define TESS_BEGIN extern "C" {
#define TESS_END }
#else
#define TESS_BEGIN
#define TESS_END
#endif

// The place of a call in the program's source, as "file:line".
#define TESS_TEXT_OF(x) #x
#define TESS_TEXT(x) TESS_TEXT_OF(x)
#define TESS_HERE (__FILE__ ":" TESS_TEXT(__LINE__))

#endif
