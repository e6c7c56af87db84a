// SPDX-License-Identifier: Apache-2.0
//
// Moving elements without looking at them. Loads and stores go through memcpy of a constant size,
// which is one instruction and needs no alignment. Where rows of one side are columns of the other,
// and both are dense, the table's transposes do it.

#include <string.h>

#include "engine/kernel/kernel.h"

// Rows and columns of one block of a transpose: 32 × 32 elements of 8 bytes are 8 KiB on either
// side, and every cache line that is touched is used whole.
#define BLOCK 32

// Columns below which it pays to walk along rows instead, if these are longer.
#define SHORT 8

#define LINE 64

// One row; the case of one element that is repeated by itself, as its loop needs no loads.
#define COPY_ROW(bits)                                                                             \
    static void copy_row_##bits(int64_t columns, uint8_t *out, int64_t out_step,                   \
                                const uint8_t *in, int64_t in_step)                                \
    {                                                                                              \
        uint##bits##_t x;                                                                          \
        if (in_step == 0 && out_step == bits / 8 && columns > 0) {                                 \
            memcpy(&x, in, sizeof(x));                                                             \
            for (int64_t j = 0; j < columns; j++) {                                                \
                memcpy(out + j * (bits / 8), &x, sizeof(x));                                       \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t j = 0; j < columns; j++) {                                                    \
            memcpy(&x, in + j * in_step, sizeof(x));                                               \
            memcpy(out + j * out_step, &x, sizeof(x));                                             \
        }                                                                                          \
    }

COPY_ROW(8)
COPY_ROW(16)
COPY_ROW(32)
COPY_ROW(64)

typedef void copy_row(int64_t columns, uint8_t *out, int64_t out_step, const uint8_t *in,
                      int64_t in_step);

static copy_row *
copy_row_of(size_t bytes)
{
    switch (bytes) {
    case 1:
        return copy_row_8;
    case 2:
        return copy_row_16;
    case 4:
        return copy_row_32;
    default:
        return copy_row_64;
    }
}

// Whether walking along rows of the input misses a cache line at every element while walking along
// columns would not.
static bool
is_transpose(int64_t rows, int64_t columns, size_t bytes, int64_t in_row_step,
             int64_t in_column_step)
{
    const int64_t row = in_row_step < 0 ? -in_row_step : in_row_step;
    const int64_t column = in_column_step < 0 ? -in_column_step : in_column_step;
    return rows > 1 && columns > 1 && row < column && column > 4 * (int64_t)bytes;
}

static void
copy_blocks(int64_t rows, int64_t columns, size_t bytes, uint8_t *out, int64_t out_row_step,
            int64_t out_column_step, const uint8_t *in, int64_t in_row_step, int64_t in_column_step)
{
    copy_row *row = copy_row_of(bytes);
    for (int64_t j = 0; j < columns; j += BLOCK) {
        const int64_t now = columns - j < BLOCK ? columns - j : BLOCK;
        for (int64_t i = 0; i < rows; i++) {
            row(now, out + i * out_row_step + j * out_column_step, out_column_step,
                in + i * in_row_step + j * in_column_step, in_column_step);
        }
    }
}

static void
swap_steps(int64_t *a, int64_t *b)
{
    const int64_t c = *a;
    *a = *b;
    *b = c;
}

static tsi_kernel_transpose *
transpose_of(size_t bytes)
{
    return tsi_kernel()->transpose[__builtin_ctzll(bytes)];
}

void
tsi_kernel_copy(int64_t rows, int64_t columns, size_t bytes, void *out, int64_t out_row_step,
                int64_t out_column_step, const void *in, int64_t in_row_step,
                int64_t in_column_step)
{
    uint8_t *to = out;
    const uint8_t *from = in;
    const int64_t step = (int64_t)bytes;
    if (rows <= 0 || columns <= 0) {
        return;
    }
    if (rows > 1 && columns > 1 && in_row_step == step && out_column_step == step) {
        transpose_of(bytes)(rows, columns, out, out_row_step, in, in_column_step, 0);
        return;
    }
    if (rows > 1 && columns > 1 && in_column_step == step && out_row_step == step) {
        transpose_of(bytes)(columns, rows, out, out_column_step, in, in_row_step, 0);
        return;
    }
    if (columns >= SHORT && is_transpose(rows, columns, bytes, in_row_step, in_column_step)) {
        copy_blocks(rows, columns, bytes, to, out_row_step, out_column_step, from, in_row_step,
                    in_column_step);
        return;
    }
    if (columns < SHORT && rows > columns) {
        swap_steps(&rows, &columns);
        swap_steps(&out_row_step, &out_column_step);
        swap_steps(&in_row_step, &in_column_step);
    }
    copy_row *row = copy_row_of(bytes);
    for (int64_t i = 0; i < rows; i++) {
        if (out_column_step == step && in_column_step == step) {
            memcpy(to + i * out_row_step, from + i * in_row_step, (size_t)columns * bytes);
        } else {
            row(columns, to + i * out_row_step, out_column_step, from + i * in_row_step,
                in_column_step);
        }
    }
}

void
tsi_kernel_ask(const void *from, int64_t ahead, int64_t bytes)
{
    const uintptr_t next = (uintptr_t)from + (uintptr_t)ahead;
    for (int64_t k = 0; k < bytes; k += LINE) {
        __builtin_prefetch((const void *)(next + (uintptr_t)k), 0, 2);
    }
}

// Asks for the cache lines of a row of `columns` elements.
static void
ask_for_row(const uint8_t *in, int64_t ahead, int64_t columns, int64_t step)
{
    const int64_t span = columns * step;
    const uintptr_t from = (uintptr_t)in + (uintptr_t)(ahead + (span < 0 ? span : 0));
    const int64_t bytes = span < 0 ? -span : span;
    const int64_t stride = step > LINE ? step : -step > LINE ? -step : LINE;
    for (int64_t k = 0; k < bytes; k += stride) {
        __builtin_prefetch((const void *)(from + (uintptr_t)k), 0, 2);
    }
}

void
tsi_kernel_load(int64_t rows, int64_t columns, size_t bytes, void *out, const void *in,
                int64_t in_row_step, int64_t in_column_step, int64_t ahead)
{
    const int64_t step = (int64_t)bytes;
    const int64_t out_step = columns * step;
    if (rows > 1 && columns > 1 && in_row_step == step) {
        transpose_of(bytes)(rows, columns, out, out_step, in, in_column_step, ahead);
        return;
    }
    if (ahead == 0 || columns < SHORT ||
        is_transpose(rows, columns, bytes, in_row_step, in_column_step)) {
        tsi_kernel_copy(rows, columns, bytes, out, out_step, step, in, in_row_step, in_column_step);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *const from = (const uint8_t *)in + i * in_row_step;
        ask_for_row(from, ahead, columns, in_column_step);
        tsi_kernel_copy(1, columns, bytes, (uint8_t *)out + i * out_step, 0, step, from, 0,
                        in_column_step);
    }
}

void
tsi_kernel_fill(int64_t count, void *out, size_t bytes, struct tsi_scalar scalar)
{
    if (count > 0) {
        uint8_t value[8];
        memcpy(value, &scalar.bits, sizeof(value));
        copy_row_of(bytes)(count, out, (int64_t)bytes, value, 0);
    }
}

#define SWAP(bits)                                                                                 \
    static void swap_##bits(int64_t count, uint8_t *data)                                          \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            uint##bits##_t x;                                                                      \
            memcpy(&x, data + i * (bits / 8), sizeof(x));                                          \
            x = __builtin_bswap##bits(x);                                                          \
            memcpy(data + i * (bits / 8), &x, sizeof(x));                                          \
        }                                                                                          \
    }

SWAP(16)
SWAP(32)
SWAP(64)

void
tsi_kernel_swap(int64_t count, void *data, size_t bytes)
{
    switch (bytes) {
    case 2:
        swap_16(count, data);
        break;
    case 4:
        swap_32(count, data);
        break;
    case 8:
        swap_64(count, data);
        break;
    default:
        break;
    }
}
