// SPDX-License-Identifier: Apache-2.0
//
// Numbers and texts as bytes, one after the other: the alphabet of the program codec.
//
// Whole numbers take seven bits a byte, the low ones first, the eighth saying that more follow;
// signed ones are first put in the order 0, −1, 1, −2, …. Everything of fixed width is
// little-endian. Writer and reader remember their first failure, so that a caller may put or take
// many things and ask once.

#ifndef TSI_PROGRAM_PACKER_H
#define TSI_PROGRAM_PACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsi_packer {
    unsigned char *bytes; // freed with tsi_free() by whoever takes it
    size_t count;
    size_t capacity;
    bool failed; // memory ran out
};

void tsi_packer_put_byte(struct tsi_packer *packer, uint8_t value);
void tsi_packer_put_fixed(struct tsi_packer *packer, uint64_t value); // 8 bytes
void tsi_packer_put_uint(struct tsi_packer *packer, uint64_t value);
void tsi_packer_put_int(struct tsi_packer *packer, int64_t value);
void tsi_packer_put_double(struct tsi_packer *packer, double value); // 8 bytes, any bits
void tsi_packer_put_bytes(struct tsi_packer *packer, const void *bytes, size_t count);

struct tsi_unpacker {
    const unsigned char *at;
    const unsigned char *end;
    bool failed; // the bytes ended early, or are no such number
};

struct tsi_unpacker tsi_unpacker_of(const unsigned char *bytes, size_t count);

// What these return after a failure is zero.
uint8_t tsi_unpacker_take_byte(struct tsi_unpacker *unpacker);
bool tsi_unpacker_take_bool(struct tsi_unpacker *unpacker); // fails unless 0 or 1
uint64_t tsi_unpacker_take_fixed(struct tsi_unpacker *unpacker);
uint64_t tsi_unpacker_take_uint(struct tsi_unpacker *unpacker);
int64_t tsi_unpacker_take_int(struct tsi_unpacker *unpacker);
double tsi_unpacker_take_double(struct tsi_unpacker *unpacker);

// `count` bytes where they are, or NULL.
const unsigned char *tsi_unpacker_take_bytes(struct tsi_unpacker *unpacker, size_t count);

// A whole number of at most `limit`; a larger one is a failure.
uint64_t tsi_unpacker_take_up_to(struct tsi_unpacker *unpacker, uint64_t limit);

// How many things of at least one byte each follow; more than there are bytes is a failure.
size_t tsi_unpacker_take_count(struct tsi_unpacker *unpacker);

size_t tsi_unpacker_left(const struct tsi_unpacker *unpacker);
void tsi_unpacker_fail(struct tsi_unpacker *unpacker);

#endif
