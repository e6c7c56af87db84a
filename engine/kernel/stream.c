// SPDX-License-Identifier: Apache-2.0
//
// A plain copy of memory that is not in cache reads the lines that it is going to overwrite, and
// waits at each page for the processor to find out that a new one has begun. Stores that pass the
// caches avoid the first, and walking through four pages at once hides the second; together they
// are nearly twice as fast as memcpy for blocks larger than the caches. They are not for what
// somebody reads again soon: that must then come from memory.
//
// Only whole lines pass the caches. What is before the first and after the last one of `out` is
// copied as usual.
//
// A transpose writes short runs, one in each row of `out`. It is made tile by tile in the first
// cache, and each tile's rows pass the caches; tiles begin where lines do.

#include <string.h>

#include "engine/kernel/kernel.h"

#define LINE ((size_t)64)

// A tile of a transpose: so many rows of so many bytes. If the rows of `out` are not whole lines
// apart, each row of a tile begins and ends within a line; then it is longer.
#define TILE_ROWS 64
#define TILE_BYTES 256
#define UNEVEN_ROWS 16
#define UNEVEN_BYTES 1024

#if defined(__SSE2__)

#include <emmintrin.h>

// Places of memory that are walked through at once, and how far they are apart: more than a page,
// but no whole pages, since lines at the same place of several pages are in each other's way on
// their way past the caches. That makes some processors five times as slow.
#define WALKS 4
#define APART ((size_t)80 * LINE)

// Below this there is nothing to gain.
#define BYTES_MIN (16 * LINE)

// `out` is the start of a line.
static inline void
stream_line(uint8_t *out, const uint8_t *in)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)in);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(in + 16));
    const __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(in + 32));
    const __m128i d = _mm_loadu_si128((const __m128i *)(const void *)(in + 48));
    _mm_stream_si128((__m128i *)(void *)out, a);
    _mm_stream_si128((__m128i *)(void *)(out + 16), b);
    _mm_stream_si128((__m128i *)(void *)(out + 32), c);
    _mm_stream_si128((__m128i *)(void *)(out + 48), d);
}

// Copies WALKS pieces of `bytes`, whole lines, one after another in memory.
static void
stream_pieces(size_t bytes, uint8_t *out, const uint8_t *in)
{
    for (size_t i = 0; i < bytes; i += LINE) {
        for (size_t walk = 0; walk < WALKS; walk++) {
            stream_line(out + walk * bytes + i, in + walk * bytes + i);
        }
    }
}

// Without the fence after it.
static void
stream_short(size_t bytes, uint8_t *out, const uint8_t *in)
{
    const size_t before = (size_t)(-(uintptr_t)out % LINE);
    if (before >= bytes) {
        memcpy(out, in, bytes);
        return;
    }
    size_t done = before;
    if (before > 0) {
        memcpy(out, in, before);
    }
    for (; bytes - done >= LINE; done += LINE) {
        stream_line(out + done, in + done);
    }
    if (done < bytes) {
        memcpy(out + done, in + done, bytes - done);
    }
}

static void
stream_fence(void)
{
    _mm_sfence(); // whoever is told of the copy sees it
}

void
tsi_kernel_stream(size_t bytes, void *out, const void *in)
{
    uint8_t *to = out;
    const uint8_t *from = in;
    const size_t before = (size_t)(-(uintptr_t)to % LINE);
    if (bytes < BYTES_MIN) {
        memcpy(out, in, bytes);
        return;
    }
    memcpy(to, from, before);
    size_t done = before;
    while (bytes - done >= WALKS * LINE) {
        const size_t left = (bytes - done) / (WALKS * LINE) * LINE;
        const size_t piece = left < APART ? left : APART;
        stream_pieces(piece, to + done, from + done);
        done += WALKS * piece;
    }
    memcpy(to + done, from + done, bytes - done);
    stream_fence();
}

#else

static void
stream_short(size_t bytes, uint8_t *out, const uint8_t *in)
{
    memcpy(out, in, bytes);
}

static void
stream_fence(void)
{
}

void
tsi_kernel_stream(size_t bytes, void *out, const void *in)
{
    memcpy(out, in, bytes);
}

#endif

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// out[i][j] = in[j][i], with dense rows on both sides.
static void
transpose_past(int64_t rows, int64_t columns, size_t bytes, uint8_t *out, int64_t out_step,
               const uint8_t *in, int64_t in_step)
{
    _Alignas(LINE) uint8_t tile[TILE_ROWS * (TILE_BYTES + LINE)];
    _Static_assert(sizeof(tile) >= UNEVEN_ROWS * (UNEVEN_BYTES + LINE), "a tile has room");
    tsi_kernel_transpose *const transpose = tsi_kernel()->transpose[__builtin_ctzll(bytes)];
    const bool is_even = out_step % (int64_t)LINE == 0;
    const int64_t height = is_even ? TILE_ROWS : UNEVEN_ROWS;
    const int64_t step = (is_even ? TILE_BYTES : UNEVEN_BYTES) + (int64_t)LINE;
    const int64_t width = (is_even ? TILE_BYTES : UNEVEN_BYTES) / (int64_t)bytes;
    const int64_t item = (int64_t)bytes;
    // The first tile is short of a line or less, so that the next ones begin with a line.
    const int64_t short_of = is_even ? (int64_t)((uintptr_t)out % LINE / bytes) : 0;
    for (int64_t i = 0; i < rows; i += height) {
        const int64_t now_rows = smaller(height, rows - i);
        int64_t now = smaller(width - short_of, columns);
        for (int64_t j = 0; j < columns; j += now, now = smaller(width, columns - j)) {
            const bool is_last = j + now == columns;
            const int64_t ahead = is_last ? height * item - j * in_step : now * in_step;
            transpose(now_rows, now, tile, step, in + j * in_step + i * item, in_step, ahead);
            for (int64_t k = 0; k < now_rows; k++) {
                stream_short((size_t)(now * item), out + (i + k) * out_step + j * item,
                             tile + k * step);
            }
        }
    }
    stream_fence();
}

void
tsi_kernel_copy_past(int64_t rows, int64_t columns, size_t bytes, void *out, int64_t out_row_step,
                     const void *in, int64_t in_row_step, int64_t in_column_step)
{
    uint8_t *const to = out;
    const uint8_t *const from = in;
    const int64_t item = (int64_t)bytes;
    if (rows > 1 && columns > 1 && in_row_step == item) {
        transpose_past(rows, columns, bytes, to, out_row_step, from, in_column_step);
    } else if (in_column_step == item) {
        for (int64_t i = 0; i < rows; i++) {
            tsi_kernel_stream((size_t)(columns * item), to + i * out_row_step,
                              from + i * in_row_step);
        }
    } else {
        tsi_kernel_copy(rows, columns, bytes, out, out_row_step, item, in, in_row_step,
                        in_column_step);
    }
}
