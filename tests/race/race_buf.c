// SPDX-License-Identifier: Apache-2.0
//
// Threads that make, share and drop buffers, also large ones from the kept blocks: no two live
// buffers have the same memory, what one thread wrote is what the next one reads, and at the end
// nothing is counted any more.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"

enum { THREADS = 4, SLOTS = 8, STEPS = 4000 };

static _Atomic(struct tsi_buf *) slots[SLOTS];
static atomic_int failures;

// The first and last 8 bytes of a buffer hold its mark.
static void
mark(struct tsi_buf *buf, uint64_t value)
{
    memcpy(buf->data, &value, sizeof value);
    memcpy(buf->data + buf->bytes - sizeof value, &value, sizeof value);
}

static void
check_mark(const struct tsi_buf *buf)
{
    if (memcmp(buf->data, buf->data + buf->bytes - 8, 8) != 0) {
        atomic_fetch_add(&failures, 1);
    }
}

// Puts a new buffer into a slot and takes what was there, which another thread made.
static void *
exchange_bufs(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int step = 0; step < STEPS; step++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const size_t large = (size_t)1 << 20;
        const size_t bytes = (random >> 62) == 0 ? large + (random >> 58) % 3 * 65536 : 64;
        struct tsi_buf *buf = tsi_buf_new(bytes);
        if (buf == NULL) {
            atomic_fetch_add(&failures, 1);
            continue;
        }
        mark(buf, random);
        struct tsi_buf *mine = tsi_buf_ref(buf);
        struct tsi_buf *other = atomic_exchange(&slots[(random >> 33) % SLOTS], buf);
        if (other != NULL) {
            check_mark(other);
            tsi_buf_unref(other);
        }
        check_mark(mine);
        tsi_buf_unref(mine);
    }
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, exchange_bufs, (void *)(uintptr_t)(i + 1)) != 0) {
            return EXIT_FAILURE;
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        tsi_buf_unref(atomic_load(&slots[i]));
    }
    if (atomic_load(&failures) != 0 || tsi_buf_bytes_now() != 0) {
        fprintf(stderr, "%d failures, %llu bytes left\n", atomic_load(&failures),
                (unsigned long long)tsi_buf_bytes_now());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
