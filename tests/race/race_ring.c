// SPDX-License-Identifier: Apache-2.0
//
// One thread puts numbers into a ring, every third one to be taken along with the one before, and
// others take them: each number comes out once, with what was written before it was put.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/ring.h"

enum { THREADS = 3, NUMBERS = 200000 };

static struct tsi_ring ring;
static int written[NUMBERS];
static atomic_uchar taken[NUMBERS];
static atomic_int failures;
static atomic_int left = NUMBERS;

static void *
take(void *argument)
{
    (void)argument;
    uint32_t last = 0;
    uint32_t numbers[2];
    while (atomic_load(&left) > 0) {
        const uint32_t count = tsi_ring_take_along(&ring, numbers);
        if (count == 2 && (numbers[1] != numbers[0] + 1 || numbers[1] % 3 != 0)) {
            atomic_fetch_add(&failures, 1);
        }
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t number = numbers[i];
            const int before = atomic_fetch_add(&taken[number], 1);
            const bool is_later = number >= last;
            if (before != 0 || !is_later || written[number] != (int)number * 7) {
                atomic_fetch_add(&failures, 1);
            }
            last = number;
            atomic_fetch_sub(&left, 1);
        }
    }
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, take, NULL) != 0) {
            return EXIT_FAILURE;
        }
    }
    for (uint32_t i = 0; i < NUMBERS;) {
        written[i] = (int)i * 7;
        i += tsi_ring_put(&ring, i % 3 == 0 ? i | TSI_RING_ALONG : i) ? 1 : 0;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (uint32_t i = 0; i < NUMBERS; i++) {
        if (atomic_load(&taken[i]) != 1) {
            atomic_fetch_add(&failures, 1);
        }
    }
    printf("%d failures\n", atomic_load(&failures));
    return atomic_load(&failures) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
