// SPDX-License-Identifier: Apache-2.0
//
// Every block is in two lists, both in the order in which the blocks came: of all, and of those of
// its size.

#include "engine/base/kept.h"

#include "engine/base/memory.h"

struct tsi_kept_block {
    struct tsi_kept_block *older;
    struct tsi_kept_block *newer;
    struct tsi_kept_block *older_alike;
    struct tsi_kept_block *newer_alike;
    void *memory;
    size_t bytes;
};

bool
tsi_kept_put(struct tsi_kept *kept, void *memory, size_t bytes)
{
    struct tsi_kept_block *fresh = tsi_alloc(sizeof *fresh);
    const uint64_t *found = tsi_map_get(&kept->by_bytes, bytes);
    struct tsi_kept_block *alike =
        found != NULL ? (struct tsi_kept_block *)(uintptr_t)*found : NULL;
    if (fresh == NULL || !tsi_map_put(&kept->by_bytes, bytes, (uint64_t)(uintptr_t)fresh)) {
        tsi_free(fresh);
        return false;
    }
    *fresh = (struct tsi_kept_block){
        .older = kept->newest, .older_alike = alike, .memory = memory, .bytes = bytes};
    if (alike != NULL) {
        alike->newer_alike = fresh;
    }
    if (kept->newest != NULL) {
        kept->newest->newer = fresh;
    } else {
        kept->oldest = fresh;
    }
    kept->newest = fresh;
    kept->bytes += bytes;
    return true;
}

// Takes the block out of both lists; its memory.
static void *
remove_block(struct tsi_kept *kept, struct tsi_kept_block *block)
{
    if (block->newer_alike != NULL) {
        block->newer_alike->older_alike = block->older_alike;
    } else if (block->older_alike != NULL) {
        // A key that is there takes no memory.
        (void)tsi_map_put(&kept->by_bytes, block->bytes, (uint64_t)(uintptr_t)block->older_alike);
    } else {
        tsi_map_remove(&kept->by_bytes, block->bytes);
    }
    if (block->older_alike != NULL) {
        block->older_alike->newer_alike = block->newer_alike;
    }
    if (block->newer != NULL) {
        block->newer->older = block->older;
    } else {
        kept->newest = block->older;
    }
    if (block->older != NULL) {
        block->older->newer = block->newer;
    } else {
        kept->oldest = block->newer;
    }
    void *memory = block->memory;
    kept->bytes -= block->bytes;
    tsi_free(block);
    return memory;
}

bool
tsi_kept_has(const struct tsi_kept *kept, size_t bytes)
{
    return tsi_map_get(&kept->by_bytes, bytes) != NULL;
}

void *
tsi_kept_take(struct tsi_kept *kept, size_t bytes)
{
    const uint64_t *found = tsi_map_get(&kept->by_bytes, bytes);
    struct tsi_kept_block *block =
        found != NULL ? (struct tsi_kept_block *)(uintptr_t)*found : NULL;
    return block != NULL ? remove_block(kept, block) : NULL;
}

void *
tsi_kept_take_oldest(struct tsi_kept *kept, size_t *bytes)
{
    struct tsi_kept_block *block = kept->oldest;
    if (block == NULL) {
        return NULL;
    }
    *bytes = block->bytes;
    return remove_block(kept, block);
}
