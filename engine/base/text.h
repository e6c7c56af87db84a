// SPDX-License-Identifier: Apache-2.0
//
// Text that grows. All zero is empty; a text whose memory ran out stays at what it held and says
// so.

#ifndef TSI_BASE_TEXT_H
#define TSI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/geometry.h"

struct tsi_text {
    char *chars; // ends with a zero; NULL while empty
    size_t count;
    size_t capacity;
    bool failed;
};

void tsi_text_fini(struct tsi_text *text);
void tsi_text_add(struct tsi_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *tsi_text_chars(const struct tsi_text *text); // never NULL

// "(3, 4)", "(5,)", "()" as NumPy writes shapes, in `out`, cut if it does not fit. Returns `out`.
#define TSI_SHAPE_TEXT_MAX 384
char *tsi_text_shape(char out[TSI_SHAPE_TEXT_MAX], int ndim, const int64_t *size);

// "1.5 GiB", "300 B".
#define TSI_BYTES_TEXT_MAX 24
char *tsi_text_bytes(char out[TSI_BYTES_TEXT_MAX], uint64_t bytes);

// Reads "4GiB", "500 MB", "1e9", "0.5" (a share of `whole`), as in memory limits; false if it is
// none of these.
bool tsi_text_parse_bytes(const char *text, uint64_t whole, uint64_t *bytes);

// Reads "30", "30s", "5 min", "200ms" as nanoseconds; a bare number is seconds. False if malformed.
bool tsi_text_parse_duration(const char *text, uint64_t *nanoseconds);

#endif
