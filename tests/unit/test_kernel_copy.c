// SPDX-License-Identifier: Apache-2.0
//
// Copies with steps of any sign and size, fills and byte swaps, against loops over bytes.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/kernel/kernel.h"

#define SIDE 80
#define BYTES ((size_t)SIDE * SIDE * 8 * 2)

static uint8_t in[BYTES];
static _Alignas(64) uint8_t out[BYTES];
static uint8_t wanted[BYTES];

struct steps {
    int64_t row;
    int64_t column;
};

// Copies from `in` + `in_start` to `out` + `out_start` both ways.
static void
check_copy(int64_t rows, int64_t columns, size_t bytes, struct steps to, size_t out_start,
           struct steps from, size_t in_start)
{
    memset(out, 0xEE, sizeof(out));
    memset(wanted, 0xEE, sizeof(wanted));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            memcpy(wanted + out_start + i * to.row + j * to.column,
                   in + in_start + i * from.row + j * from.column, bytes);
        }
    }
    tsi_kernel_copy(rows, columns, bytes, out + out_start, to.row, to.column, in + in_start,
                    from.row, from.column);
    cr_assert(memcmp(out, wanted, sizeof(out)) == 0, "%lldx%lld of %zu bytes", (long long)rows,
              (long long)columns, bytes);
}

static void
fill_input(void)
{
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)(i * 131 + i / 251);
    }
}

Test(kernel_copy, copies_any_steps)
{
    static const int64_t sizes[][2] = {{1, 1},   {1, 80},  {80, 1},  {3, 5}, {31, 33},
                                       {32, 32}, {64, 79}, {80, 80}, {0, 7}, {7, 0}};
    fill_input();
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
            const int64_t b = (int64_t)bytes;
            const int64_t rows = sizes[s][0];
            const int64_t columns = sizes[s][1];
            const struct steps plain = {SIDE * b, b};
            const struct steps transposed = {b, SIDE * b};
            const struct steps odd = {SIDE * b + 1, b};
            const struct steps repeated = {0, 0};
            const struct steps backward = {-SIDE * b, -b};
            const size_t end = (size_t)SIDE * SIDE * bytes;
            check_copy(rows, columns, bytes, plain, 0, plain, 0);
            check_copy(rows, columns, bytes, plain, 8, odd, 3);
            check_copy(rows, columns, bytes, plain, 0, transposed, 1);
            check_copy(rows, columns, bytes, transposed, 0, plain, 0);
            check_copy(rows, columns, bytes, plain, 0, repeated, 5);
            check_copy(rows, columns, bytes, plain, 0, backward, end);
            check_copy(rows, columns, bytes, backward, end, plain, 0);
        }
    }
}

Test(kernel_copy, every_instruction_set_transposes)
{
    static const int64_t sizes[][2] = {{1, 80},  {80, 1},  {3, 70},  {70, 3}, {16, 16},
                                       {17, 33}, {64, 79}, {80, 80}, {0, 7},  {7, 0}};
    const struct tsi_kernel_table *table;
    fill_input();
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            for (int log = 0; log < 4; log++) {
                const int64_t bytes = INT64_C(1) << log;
                const int64_t out_step = SIDE * bytes + 3;
                const int64_t in_step = (SIDE + 1) * bytes + 1;
                memset(out, 0xEE, sizeof(out));
                memset(wanted, 0xEE, sizeof(wanted));
                for (int64_t i = 0; i < sizes[s][0]; i++) {
                    for (int64_t j = 0; j < sizes[s][1]; j++) {
                        memcpy(wanted + 5 + i * out_step + j * bytes,
                               in + 7 + j * in_step + i * bytes, (size_t)bytes);
                    }
                }
                table->transpose[log](sizes[s][0], sizes[s][1], out + 5, out_step, in + 7, in_step,
                                      s % 2 == 0 ? 0 : 64);
                cr_assert(memcmp(out, wanted, sizeof(out)) == 0, "%s: %lldx%lld of %lld bytes",
                          table->isa, (long long)sizes[s][0], (long long)sizes[s][1],
                          (long long)bytes);
            }
        }
    }
}

Test(kernel_copy, streams_all_bytes_and_no_others)
{
    static const size_t sizes[] = {0,    1,    63,   1023,  1024,  1025,
                                   4096, 5000, 9999, 16384, 16385, 40000};
    fill_input();
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (size_t to = 0; to < 66; to += 13) {
            for (size_t from = 0; from < 66; from += 11) {
                memset(out, 0xEE, sizeof(out));
                memset(wanted, 0xEE, sizeof(wanted));
                memcpy(wanted + 64 + to, in + from, sizes[s]);
                tsi_kernel_stream(sizes[s], out + 64 + to, in + from);
                cr_assert(memcmp(out, wanted, sizeof(out)) == 0, "%zu bytes from %zu to %zu",
                          sizes[s], from, to);
            }
        }
    }
}

// Rows of the output that are whole lines apart and others, from every place in a line.
Test(kernel_copy, passes_the_caches_with_all_elements_and_no_others)
{
    static const int64_t sizes[][2] = {{1, 1},   {1, 70},  {70, 1}, {3, 5},
                                       {64, 32}, {65, 33}, {77, 75}};
    static const int64_t out_steps[] = {640, 648};
    fill_input();
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
            const int64_t b = (int64_t)bytes;
            const struct steps from[] = {
                {b, SIDE * b}, {SIDE * b, b}, {SIDE * b, 3}, {b, -SIDE * b}};
            for (size_t start = 0; start < 64; start += bytes) {
                for (size_t k = 0; k < 2 * sizeof(from) / sizeof(*from); k++) {
                    const struct steps at = from[k / 2];
                    const uint8_t *const x = in + (at.column < 0 ? SIDE * SIDE * bytes : 3);
                    memset(out, 0xEE, sizeof(out));
                    memset(wanted, 0xEE, sizeof(wanted));
                    for (int64_t i = 0; i < sizes[s][0]; i++) {
                        for (int64_t j = 0; j < sizes[s][1]; j++) {
                            memcpy(wanted + start + i * out_steps[k % 2] + j * b,
                                   x + i * at.row + j * at.column, bytes);
                        }
                    }
                    tsi_kernel_copy_past(sizes[s][0], sizes[s][1], bytes, out + start,
                                         out_steps[k % 2], x, at.row, at.column);
                    cr_assert(memcmp(out, wanted, sizeof(out)) == 0,
                              "size %zu, %zu bytes at %zu, %zu", s, bytes, start, k);
                }
            }
        }
    }
}

Test(kernel_copy, fills_with_the_first_bytes_of_the_scalar)
{
    const struct tsi_scalar scalar = {UINT64_C(0x8877665544332211)};
    for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
        for (int64_t count = 0; count < 70; count++) {
            memset(out, 0, sizeof(out));
            tsi_kernel_fill(count, out, bytes, scalar);
            for (size_t i = 0; i < (size_t)count * bytes; i++) {
                cr_assert(out[i] == 0x11 * (i % bytes + 1));
            }
            cr_assert(out[(size_t)count * bytes] == 0);
        }
    }
}

Test(kernel_copy, swaps_the_bytes_of_each_element)
{
    fill_input();
    for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
        memcpy(out, in, sizeof(out));
        tsi_kernel_swap(50, out, bytes);
        for (size_t i = 0; i < 50 * bytes; i++) {
            cr_assert(out[i] == in[i - i % bytes + (bytes - 1 - i % bytes)]);
        }
        cr_assert(memcmp(out + 50 * bytes, in + 50 * bytes, 100) == 0);
    }
}
