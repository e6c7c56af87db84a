// SPDX-License-Identifier: Apache-2.0
//
// Bytes are moved with shifts, never by casting: frames are not aligned, and the order of bytes is
// that of the protocol, not that of the machine. Compilers make single moves of it where the two
// agree.

#include "scheduler/wire/cursor.h"

#include <string.h>

#include "engine/base/memory.h"

void
tsi_store_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

void
tsi_store_u64(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

uint32_t
tsi_load_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t
tsi_load_u64(const unsigned char *at)
{
    return tsi_load_u32(at) | (uint64_t)tsi_load_u32(at + 4) << 32;
}

unsigned char *
tsi_put_room(struct tsi_put *put, size_t count)
{
    if (put->failed || count > SIZE_MAX / 4 - put->count) {
        put->failed = true;
        return NULL;
    }
    if (put->capacity - put->count < count) {
        const size_t wanted = (put->count + count) * 2;
        unsigned char *bytes = tsi_realloc(put->bytes, wanted, 1);
        if (bytes == NULL) {
            put->failed = true;
            return NULL;
        }
        put->bytes = bytes;
        put->capacity = wanted;
    }
    put->count += count;
    return put->bytes + put->count - count;
}

void
tsi_put_u8(struct tsi_put *put, uint8_t value)
{
    unsigned char *at = tsi_put_room(put, 1);
    if (at != NULL) {
        *at = value;
    }
}

void
tsi_put_u16(struct tsi_put *put, uint16_t value)
{
    tsi_put_u8(put, (uint8_t)value);
    tsi_put_u8(put, (uint8_t)(value >> 8));
}

void
tsi_put_u32(struct tsi_put *put, uint32_t value)
{
    unsigned char *at = tsi_put_room(put, 4);
    if (at != NULL) {
        tsi_store_u32(at, value);
    }
}

void
tsi_put_u64(struct tsi_put *put, uint64_t value)
{
    unsigned char *at = tsi_put_room(put, 8);
    if (at != NULL) {
        tsi_store_u64(at, value);
    }
}

static void
put_bytes(struct tsi_put *put, const void *bytes, size_t count)
{
    unsigned char *at = tsi_put_room(put, count);
    if (at != NULL && count > 0) {
        memcpy(at, bytes, count);
    }
}

void
tsi_put_run(struct tsi_put *put, const void *bytes, size_t count)
{
    if (count > UINT32_MAX) {
        put->failed = true;
        return;
    }
    tsi_put_u32(put, (uint32_t)count);
    put_bytes(put, bytes, count);
}

void
tsi_put_text(struct tsi_put *put, const char *text, size_t max)
{
    const size_t length = text != NULL ? strnlen(text, max) : 0;
    tsi_put_u16(put, (uint16_t)length);
    put_bytes(put, text, length);
}

// `count` bytes where they are, or NULL.
static const unsigned char *
take_bytes(struct tsi_take *take, size_t count)
{
    if (take->failed || (size_t)(take->end - take->at) < count) {
        take->failed = true;
        return NULL;
    }
    take->at += count;
    return take->at - count;
}

uint8_t
tsi_take_u8(struct tsi_take *take)
{
    const unsigned char *at = take_bytes(take, 1);
    return at != NULL ? *at : 0;
}

uint16_t
tsi_take_u16(struct tsi_take *take)
{
    const unsigned char *at = take_bytes(take, 2);
    return at != NULL ? (uint16_t)((unsigned)at[0] | (unsigned)at[1] << 8) : 0;
}

uint32_t
tsi_take_u32(struct tsi_take *take)
{
    const unsigned char *at = take_bytes(take, 4);
    return at != NULL ? tsi_load_u32(at) : 0;
}

uint64_t
tsi_take_u64(struct tsi_take *take)
{
    const unsigned char *at = take_bytes(take, 8);
    return at != NULL ? tsi_load_u64(at) : 0;
}

const unsigned char *
tsi_take_run(struct tsi_take *take, size_t *count)
{
    *count = tsi_take_count(take, 1);
    return take_bytes(take, *count);
}

const char *
tsi_take_text(struct tsi_take *take, size_t max)
{
    const size_t length = tsi_take_u16(take);
    const unsigned char *at = take_bytes(take, length);
    tsi_take_check(take, length <= max);
    if (at == NULL || take->failed || memchr(at, 0, length) != NULL) {
        take->failed = true;
        return "";
    }
    char *text = tsi_take_array(take, length + 1, 1);
    if (text == NULL) {
        return "";
    }
    memcpy(text, at, length);
    text[length] = '\0';
    return text;
}

size_t
tsi_take_count(struct tsi_take *take, size_t record_bytes)
{
    const size_t count = tsi_take_u32(take);
    tsi_take_check(take, count <= tsi_take_left(take) / record_bytes);
    return take->failed ? 0 : count;
}

void *
tsi_take_array(struct tsi_take *take, size_t count, size_t bytes)
{
    if (take->failed) {
        return NULL;
    }
    void *array = tsi_arena_alloc(take->scratch, count * bytes + 1);
    if (array == NULL) {
        take->failed = true;
        take->no_memory = true;
    }
    return array;
}

size_t
tsi_take_left(const struct tsi_take *take)
{
    return take->failed ? 0 : (size_t)(take->end - take->at);
}

void
tsi_take_check(struct tsi_take *take, bool ok)
{
    if (!ok) {
        take->failed = true;
    }
}
