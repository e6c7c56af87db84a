// SPDX-License-Identifier: Apache-2.0
//
// Blocks of few sizes: each is alone in its memory, whoever took it, and slabs without blocks go
// back.

#include "engine/base/blocks.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "engine/base/memory.h"
#include "tests/support/random.h"

enum { BLOCKS = 3000, STEPS = 60000 };

static const size_t slab_bytes = (size_t)64 << 10;

static size_t
body_bytes(size_t bytes)
{
    return bytes - sizeof(struct tsi_block);
}

static bool
is_filled(const struct tsi_block *block, size_t bytes, unsigned char with)
{
    const unsigned char *body = (const unsigned char *)(block + 1);
    for (size_t i = 0; i < body_bytes(bytes); i++) {
        if (body[i] != with) {
            return false;
        }
    }
    return true;
}

Test(blocks, nothing_else_is_in_the_memory_of_a_block)
{
    static struct tsi_block *blocks[BLOCKS];
    static size_t bytes[BLOCKS];
    struct test_random random = {5};
    for (int step = 0; step < STEPS; step++) {
        const size_t i = (size_t)test_random_between(&random, 0, BLOCKS - 1);
        const unsigned char mark = (unsigned char)(i % 251);
        if (blocks[i] != NULL) {
            cr_assert(is_filled(blocks[i], bytes[i], mark));
            tsi_blocks_give(blocks[i]);
            blocks[i] = NULL;
            continue;
        }
        bytes[i] =
            sizeof(struct tsi_block) +
            (size_t)test_random_between(&random, 0, (int64_t)body_bytes(TSI_BLOCKS_BYTES_MAX));
        blocks[i] = tsi_blocks_take(bytes[i]);
        cr_assert(blocks[i] != NULL);
        cr_assert_eq((uintptr_t)blocks[i] % TSI_BLOCKS_ALIGN, 0);
        memset(blocks[i] + 1, mark, body_bytes(bytes[i]));
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i] != NULL) {
            tsi_blocks_give(blocks[i]);
        }
    }
}

static void *
give_all(void *argument)
{
    struct tsi_block **blocks = argument;
    // One that this thread takes itself, so that it has a store to be emptied at its end.
    struct tsi_block *own = tsi_blocks_take(64);
    cr_assert(own != NULL);
    for (size_t i = 0; i < BLOCKS; i++) {
        tsi_blocks_give(blocks[i]);
    }
    tsi_blocks_give(own);
    return NULL;
}

Test(blocks, what_another_thread_gave_back_leaves_at_most_a_slab_beside_a_store)
{
    static struct tsi_block *blocks[BLOCKS];
    pthread_t thread;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = tsi_blocks_take(1024);
        cr_assert(blocks[i] != NULL);
    }
    cr_assert_geq(tsi_blocks_bytes(), BLOCKS * 1024);

    cr_assert_eq(pthread_create(&thread, NULL, give_all, blocks), 0);
    pthread_join(thread, NULL);

    // The last blocks that this thread took may be in several slabs, of 63 blocks each.
    cr_assert_leq(tsi_blocks_bytes(), 4 * slab_bytes);
}

Test(blocks, says_when_memory_is_out)
{
    tsi_memory_fail_after(0);
    const struct tsi_block *block = tsi_blocks_take(100);
    tsi_memory_fail_after(-1);
    cr_assert(block == NULL);
    cr_assert((block = tsi_blocks_take(100)) != NULL);
    tsi_blocks_give((struct tsi_block *)(uintptr_t)block);
}
