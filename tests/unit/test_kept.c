// SPDX-License-Identifier: Apache-2.0
//
// Kept blocks against a plain list, the last one at the end.

#include "engine/base/kept.h"

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "tests/support/random.h"

enum { MODEL_MAX = 300, STEPS = 20000 };

struct model {
    unsigned char *block[MODEL_MAX];
    size_t bytes[MODEL_MAX];
    size_t count;
};

static unsigned char blocks[MODEL_MAX]; // stand for memory, which nobody touches

static unsigned char *
remove_at(struct model *model, size_t index)
{
    unsigned char *block = model->block[index];
    model->count--;
    memmove(&model->block[index], &model->block[index + 1],
            (model->count - index) * sizeof model->block[0]);
    memmove(&model->bytes[index], &model->bytes[index + 1],
            (model->count - index) * sizeof model->bytes[0]);
    return block;
}

// The block of that size that came last.
static unsigned char *
take(struct model *model, size_t bytes)
{
    for (size_t i = model->count; i-- > 0;) {
        if (model->bytes[i] == bytes) {
            return remove_at(model, i);
        }
    }
    return NULL;
}

static uint64_t
sum(const struct model *model)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        bytes += model->bytes[i];
    }
    return bytes;
}

Test(kept, gives_the_last_of_a_size_and_the_oldest_of_all)
{
    struct test_random random = {11};
    struct tsi_kept kept = {.bytes = 0};
    struct model model = {.count = 0};
    size_t free_count = MODEL_MAX;
    unsigned char *unused[MODEL_MAX];
    for (size_t i = 0; i < MODEL_MAX; i++) {
        unused[i] = &blocks[i];
    }
    for (int step = 0; step < STEPS; step++) {
        const size_t bytes = (size_t)test_random_between(&random, 1, 7) * 4096;
        const int64_t what = test_random_between(&random, 0, 9);
        unsigned char *got = NULL;
        if (what < 5 && free_count > 0) {
            unsigned char *block = unused[--free_count];
            cr_assert(tsi_kept_put(&kept, block, bytes));
            model.block[model.count] = block;
            model.bytes[model.count++] = bytes;
        } else if (what < 9) {
            const bool is_there = tsi_kept_has(&kept, bytes);
            got = tsi_kept_take(&kept, bytes);
            cr_assert(is_there == (got != NULL), "step %d", step);
            cr_assert(got == take(&model, bytes), "step %d", step);
        } else {
            size_t oldest_bytes = 0;
            const size_t expected = model.count > 0 ? model.bytes[0] : 0;
            got = tsi_kept_take_oldest(&kept, &oldest_bytes);
            cr_assert(got == (model.count > 0 ? remove_at(&model, 0) : NULL), "step %d", step);
            cr_assert_eq(oldest_bytes, expected);
        }
        if (got != NULL) {
            unused[free_count++] = got;
        }
        cr_assert_eq(kept.bytes, sum(&model));
    }
    size_t bytes;
    while (tsi_kept_take_oldest(&kept, &bytes) != NULL) {
    }
    cr_assert(kept.bytes == 0 && kept.oldest == NULL && kept.newest == NULL);
    tsi_map_fini(&kept.by_bytes);
}

Test(kept, has_nothing_of_what_there_was_no_memory_for)
{
    struct tsi_kept kept = {.bytes = 0};
    for (int64_t successes = 0; successes < 2; successes++) {
        tsi_memory_fail_after(successes);
        cr_assert(!tsi_kept_put(&kept, &blocks[0], 4096));
        tsi_memory_fail_after(-1);
        size_t bytes;
        cr_assert(tsi_kept_take(&kept, 4096) == NULL);
        cr_assert(tsi_kept_take_oldest(&kept, &bytes) == NULL && kept.bytes == 0);
    }
}
