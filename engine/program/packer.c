// SPDX-License-Identifier: Apache-2.0
//
// Packing of numbers. A reader that failed is at its end and stays there, so loops over what it
// says end too. Each number has one spelling: a last byte that adds nothing is refused.

#include "engine/program/packer.h"

#include <string.h>

#include "engine/base/memory.h"

enum { FIRST_CAPACITY = 256 };

// Room for `extra` more bytes.
static bool
reserve(struct tsi_packer *packer, size_t extra)
{
    if (packer->failed) {
        return false;
    }
    if (packer->capacity - packer->count >= extra) {
        return true;
    }
    size_t capacity = packer->capacity == 0 ? FIRST_CAPACITY : packer->capacity;
    while (capacity - packer->count < extra && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    unsigned char *bytes = NULL;
    if (capacity - packer->count >= extra) {
        bytes = tsi_realloc(packer->bytes, capacity, 1);
    }
    if (bytes == NULL) {
        packer->failed = true;
        return false;
    }
    packer->bytes = bytes;
    packer->capacity = capacity;
    return true;
}

void
tsi_packer_put_byte(struct tsi_packer *packer, uint8_t value)
{
    if (reserve(packer, 1)) {
        packer->bytes[packer->count++] = value;
    }
}

void
tsi_packer_put_fixed(struct tsi_packer *packer, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        tsi_packer_put_byte(packer, (uint8_t)(value >> 8 * i));
    }
}

void
tsi_packer_put_uint(struct tsi_packer *packer, uint64_t value)
{
    while (value >= 0x80) {
        tsi_packer_put_byte(packer, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    tsi_packer_put_byte(packer, (uint8_t)value);
}

void
tsi_packer_put_int(struct tsi_packer *packer, int64_t value)
{
    const uint64_t bits = (uint64_t)value << 1;
    tsi_packer_put_uint(packer, value < 0 ? ~bits : bits);
}

void
tsi_packer_put_double(struct tsi_packer *packer, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    tsi_packer_put_fixed(packer, bits);
}

void
tsi_packer_put_bytes(struct tsi_packer *packer, const void *bytes, size_t count)
{
    if (count > 0 && reserve(packer, count)) {
        memcpy(packer->bytes + packer->count, bytes, count);
        packer->count += count;
    }
}

struct tsi_unpacker
tsi_unpacker_of(const unsigned char *bytes, size_t count)
{
    // An offset to NULL is undefined, even of no bytes.
    static const unsigned char nothing[1];
    const unsigned char *start = bytes == NULL ? nothing : bytes;
    return (struct tsi_unpacker){start, start + (bytes == NULL ? 0 : count), false};
}

size_t
tsi_unpacker_left(const struct tsi_unpacker *unpacker)
{
    return (size_t)(unpacker->end - unpacker->at);
}

void
tsi_unpacker_fail(struct tsi_unpacker *unpacker)
{
    unpacker->failed = true;
    unpacker->at = unpacker->end;
}

const unsigned char *
tsi_unpacker_take_bytes(struct tsi_unpacker *unpacker, size_t count)
{
    if (count > tsi_unpacker_left(unpacker)) {
        tsi_unpacker_fail(unpacker);
        return NULL;
    }
    const unsigned char *bytes = unpacker->at;
    unpacker->at += count;
    return bytes;
}

uint8_t
tsi_unpacker_take_byte(struct tsi_unpacker *unpacker)
{
    const unsigned char *byte = tsi_unpacker_take_bytes(unpacker, 1);
    return byte == NULL ? 0 : *byte;
}

bool
tsi_unpacker_take_bool(struct tsi_unpacker *unpacker)
{
    const uint8_t value = tsi_unpacker_take_byte(unpacker);
    if (value > 1) {
        tsi_unpacker_fail(unpacker);
    }
    return value == 1;
}

uint64_t
tsi_unpacker_take_fixed(struct tsi_unpacker *unpacker)
{
    const unsigned char *bytes = tsi_unpacker_take_bytes(unpacker, 8);
    uint64_t value = 0;
    for (int i = 0; bytes != NULL && i < 8; i++) {
        value |= (uint64_t)bytes[i] << 8 * i;
    }
    return value;
}

uint64_t
tsi_unpacker_take_uint(struct tsi_unpacker *unpacker)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t byte = tsi_unpacker_take_byte(unpacker);
        const bool is_last = byte < 0x80;
        // The tenth byte has room for one bit.
        if ((shift == 63 && byte > 1) || (is_last && byte == 0 && shift > 0)) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (is_last) {
            return unpacker->failed ? 0 : value;
        }
    }
    tsi_unpacker_fail(unpacker);
    return 0;
}

int64_t
tsi_unpacker_take_int(struct tsi_unpacker *unpacker)
{
    const uint64_t bits = tsi_unpacker_take_uint(unpacker);
    const int64_t half = (int64_t)(bits >> 1);
    return (bits & 1) != 0 ? -half - 1 : half;
}

double
tsi_unpacker_take_double(struct tsi_unpacker *unpacker)
{
    const uint64_t bits = tsi_unpacker_take_fixed(unpacker);
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t
tsi_unpacker_take_up_to(struct tsi_unpacker *unpacker, uint64_t limit)
{
    const uint64_t value = tsi_unpacker_take_uint(unpacker);
    if (value > limit) {
        tsi_unpacker_fail(unpacker);
        return 0;
    }
    return value;
}

size_t
tsi_unpacker_take_count(struct tsi_unpacker *unpacker)
{
    const uint64_t count = tsi_unpacker_take_uint(unpacker);
    if (count > tsi_unpacker_left(unpacker)) {
        tsi_unpacker_fail(unpacker);
        return 0;
    }
    return (size_t)count;
}
