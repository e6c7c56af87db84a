// SPDX-License-Identifier: Apache-2.0
//
// Buffers of all sizes, their references and the count of their bytes.

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "engine/base/memory.h"

static const size_t mebibyte = (size_t)1 << 20;

Test(buf, data_of_every_size_is_aligned_and_its_own)
{
    const size_t sizes[] = {0,
                            1,
                            TSI_BUF_TINY,
                            TSI_BUF_TINY + 1,
                            63,
                            64,
                            4097,
                            1000000,
                            mebibyte - 1,
                            mebibyte,
                            mebibyte + 1,
                            5 * mebibyte,
                            70 * mebibyte};
    struct tsi_buf *bufs[sizeof sizes / sizeof sizes[0]];
    const size_t count = sizeof sizes / sizeof sizes[0];

    for (size_t i = 0; i < count; i++) {
        bufs[i] = tsi_buf_new(sizes[i]);
        cr_assert(bufs[i] != NULL);
        cr_assert_eq(bufs[i]->bytes, sizes[i]);
        const uintptr_t boundary = sizes[i] <= TSI_BUF_TINY ? TSI_BUF_TINY : TSI_BUF_ALIGN;
        cr_assert_eq((uintptr_t)bufs[i]->data % boundary, 0);
        memset(bufs[i]->data, (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] > 0) {
            cr_assert_eq(bufs[i]->data[0], i + 1);
            cr_assert_eq(bufs[i]->data[sizes[i] - 1], i + 1);
        }
        tsi_buf_unref(bufs[i]);
    }
    cr_assert_eq(tsi_buf_bytes_now(), 0);
}

Test(buf, lives_until_the_last_reference_goes)
{
    struct tsi_buf *buf = tsi_buf_new(100);

    cr_assert(tsi_buf_ref(buf) == buf);
    tsi_buf_unref(buf);
    cr_assert_eq(tsi_buf_bytes_now(), 100);
    tsi_buf_unref(buf);
    cr_assert_eq(tsi_buf_bytes_now(), 0);
    tsi_buf_unref(NULL);
}

Test(buf, counts_bytes_now_and_at_most)
{
    struct tsi_buf *small = tsi_buf_new(1000);
    struct tsi_buf *large = tsi_buf_new(3 * mebibyte);
    tsi_buf_unref(large);

    cr_assert_eq(tsi_buf_bytes_now(), 1000);
    cr_assert_eq(tsi_buf_bytes_peak(), 1000 + 3 * mebibyte);
    tsi_buf_reset_peak();
    cr_assert_eq(tsi_buf_bytes_peak(), 1000);
    tsi_buf_unref(small);
    cr_assert_eq(tsi_buf_bytes_peak(), 1000);
}

static void
count_free(void *owner)
{
    (*(int *)owner)++;
}

Test(buf, wrapped_memory_is_given_back_once_and_not_counted)
{
    int freed = 0;
    char memory[] = "mine";
    struct tsi_buf *buf = tsi_buf_wrap(memory, sizeof memory, count_free, &freed);

    cr_assert(buf->data == (unsigned char *)memory);
    cr_assert_eq(tsi_buf_bytes_now(), 0);
    (void)tsi_buf_ref(buf);
    tsi_buf_unref(buf);
    cr_assert_eq(freed, 0);
    tsi_buf_unref(buf);
    cr_assert_eq(freed, 1);
    cr_assert_eq(tsi_buf_bytes_now(), 0);
}

Test(buf, wrapped_memory_of_large_size_is_not_ours)
{
    unsigned char *memory = tsi_alloc(2 * mebibyte);
    struct tsi_buf *buf = tsi_buf_wrap(memory, 2 * mebibyte, NULL, NULL);

    tsi_buf_unref(buf);

    memory[0] = 1;
    cr_assert_eq(tsi_buf_bytes_now(), 0);
    tsi_free(memory);
}

Test(buf, says_when_memory_is_out)
{
    const size_t sizes[] = {0, 100, 2 * mebibyte};
    int freed = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tsi_memory_fail_after(0);
        const struct tsi_buf *buf = tsi_buf_new(sizes[i]);
        tsi_memory_fail_after(-1);
        cr_assert(buf == NULL, "%zu bytes", sizes[i]);
    }
    tsi_memory_fail_after(0);
    cr_assert(tsi_buf_wrap(&freed, sizeof freed, count_free, &freed) == NULL);
    tsi_memory_fail_after(-1);
    cr_assert_eq(freed, 0);
    cr_assert(tsi_buf_new(SIZE_MAX) == NULL);
    cr_assert(tsi_buf_new(SIZE_MAX / 4) == NULL);
    cr_assert_eq(tsi_buf_bytes_now(), 0);
    cr_assert_eq(tsi_buf_bytes_peak(), 0);
}

// The block of a freed buffer serves the next of its size and none of another size.
Test(buf, freed_blocks_serve_again)
{
    struct tsi_buf *first = tsi_buf_new(4 * mebibyte);
    const unsigned char *data = first->data;
    tsi_buf_unref(first);

    struct tsi_buf *other = tsi_buf_new(3 * mebibyte);
    struct tsi_buf *second = tsi_buf_new(4 * mebibyte);
    struct tsi_buf *third = tsi_buf_new(4 * mebibyte);

    cr_assert(other->data != data);
    cr_assert(second->data == data);
    cr_assert(third->data != data);
    tsi_buf_unref(other);
    tsi_buf_unref(second);
    tsi_buf_unref(third);
}

// More blocks than are kept, of a dozen sizes: none is lost and none is given to two buffers.
Test(buf, many_blocks_come_and_go)
{
    enum { LIVE = 40, STEPS = 3000 };
    static struct tsi_buf *live[LIVE];
    uint64_t random = 1;

    for (int step = 0; step < STEPS; step++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        const size_t slot = (size_t)(random >> 40) % LIVE;
        const size_t bytes = mebibyte + ((random >> 50) % 12) * 100000;
        if (live[slot] != NULL) {
            cr_assert_eq(live[slot]->data[0], (unsigned char)slot);
            cr_assert_eq(live[slot]->data[live[slot]->bytes - 1], (unsigned char)slot);
            tsi_buf_unref(live[slot]);
            live[slot] = NULL;
        } else {
            live[slot] = tsi_buf_new(bytes);
            live[slot]->data[0] = (unsigned char)slot;
            live[slot]->data[bytes - 1] = (unsigned char)slot;
        }
    }
    for (size_t i = 0; i < LIVE; i++) {
        tsi_buf_unref(live[i]);
    }
    cr_assert_eq(tsi_buf_bytes_now(), 0);
}

// The races of buffers are for race/; here only that the counts of several threads add up.
static void *
ref_and_unref(void *argument)
{
    struct tsi_buf *buf = argument;
    for (int i = 0; i < 10000; i++) {
        tsi_buf_unref(tsi_buf_ref(buf));
    }
    return NULL;
}

Test(buf, references_of_several_threads_add_up)
{
    struct tsi_buf *buf = tsi_buf_new(10);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, ref_and_unref, buf), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }

    cr_assert_eq(atomic_load(&buf->refs), 1);
    tsi_buf_unref(buf);
}
