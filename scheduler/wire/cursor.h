// SPDX-License-Identifier: Apache-2.0
//
// Little-endian fields in a frame: put them one after the other, take them one after the other.
//
// Both remember their first failure (memory ran out; the frame ended early, or a field broke its
// rule), so that a message is written or read in one go and asked once. What is taken after a
// failure is zero.

#ifndef TSI_WIRE_CURSOR_H
#define TSI_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"

struct tsi_put {
    unsigned char *bytes;
    size_t count;
    size_t capacity;
    bool failed;
};

// Room for `count` bytes at the end, to be filled by the caller; NULL when memory is out.
unsigned char *tsi_put_room(struct tsi_put *put, size_t count);
void tsi_put_u8(struct tsi_put *put, uint8_t value);
void tsi_put_u16(struct tsi_put *put, uint16_t value);
void tsi_put_u32(struct tsi_put *put, uint32_t value);
void tsi_put_u64(struct tsi_put *put, uint64_t value);
void tsi_put_run(struct tsi_put *put, const void *bytes,
                 size_t count); // u32 length, then the bytes

// u16 length, then the characters; NULL is the empty text, what is longer than `max` is cut.
void tsi_put_text(struct tsi_put *put, const char *text, size_t max);

struct tsi_take {
    const unsigned char *at;
    const unsigned char *end;
    struct tsi_arena *scratch; // for texts and arrays
    bool failed;
    bool no_memory; // and that is why
};

uint8_t tsi_take_u8(struct tsi_take *take);
uint16_t tsi_take_u16(struct tsi_take *take);
uint32_t tsi_take_u32(struct tsi_take *take);
uint64_t tsi_take_u64(struct tsi_take *take);
const unsigned char *tsi_take_run(struct tsi_take *take, size_t *count);
const char *tsi_take_text(struct tsi_take *take, size_t max);

// A u32 count of records of at least `record_bytes` each that follow, checked against what is left.
size_t tsi_take_count(struct tsi_take *take, size_t record_bytes);

// `count` items of `bytes` in the scratch memory, NULL after a failure.
void *tsi_take_array(struct tsi_take *take, size_t count, size_t bytes);

size_t tsi_take_left(const struct tsi_take *take);

// Fails unless `ok`.
void tsi_take_check(struct tsi_take *take, bool ok);

// Fields at a fixed place of a record, for arrays of records.
void tsi_store_u32(unsigned char *at, uint32_t value);
void tsi_store_u64(unsigned char *at, uint64_t value);
uint32_t tsi_load_u32(const unsigned char *at);
uint64_t tsi_load_u64(const unsigned char *at);

#endif
