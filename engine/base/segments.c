// SPDX-License-Identifier: Apache-2.0
//
// A segment is a range of addresses that begins at a multiple of its size, so the segment of a
// block is found by the address. One that has no block left goes back to the system, but for the
// last.

#include "engine/base/segments.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/extents.h"
#include "engine/base/map.h"
#include "engine/base/memory.h"

#define SEGMENT_BYTES ((size_t)32 << 20)

struct segment {
    unsigned char *base;
    struct tsi_extents free;
    size_t taken_bytes;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static TSI_VEC(struct segment *) segments;
static struct tsi_map by_place; // of its base, in segments

static size_t
whole_pages(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

// Addresses for a segment; NULL when there are none.
static unsigned char *
map_segment(void)
{
    unsigned char *range = tsi_alloc_pages(2 * SEGMENT_BYTES);
    if (range == NULL) {
        return NULL;
    }
    const size_t before = -(uintptr_t)range % SEGMENT_BYTES;
    if (before > 0) {
        munmap(range, before);
    }
    munmap(range + before + SEGMENT_BYTES, SEGMENT_BYTES - before);
    return range + before;
}

static void
free_segment(struct segment *segment)
{
    if (segment->base != NULL) {
        munmap(segment->base, SEGMENT_BYTES);
    }
    tsi_extents_fini(&segment->free);
    tsi_free(segment);
}

static uint64_t
place_of(const void *pages)
{
    return (uintptr_t)pages / SEGMENT_BYTES;
}

static struct segment *
add_segment(void)
{
    struct segment *segment = tsi_calloc(1, sizeof *segment);
    if (segment == NULL) {
        return NULL;
    }
    segment->base = map_segment();
    if (segment->base != NULL && tsi_extents_init(&segment->free, 0, SEGMENT_BYTES) &&
        tsi_vec_reserve(&segments, 1) &&
        tsi_map_put(&by_place, place_of(segment->base), (uint64_t)(uintptr_t)segment)) {
        tsi_vec_push(&segments, segment);
        return segment;
    }
    free_segment(segment);
    return NULL;
}

// Puts a segment that has no block out of the list.
static void
remove_segment(const struct segment *segment)
{
    tsi_map_remove(&by_place, place_of(segment->base));
    for (size_t i = 0; i < segments.count; i++) {
        if (segments.items[i] == segment) {
            segments.items[i] = tsi_vec_last(&segments);
            segments.count--;
            return;
        }
    }
}

static unsigned char *
take_from(struct segment *segment, size_t bytes)
{
    uint64_t offset;
    if (bytes > SEGMENT_BYTES - segment->taken_bytes ||
        !tsi_extents_take(&segment->free, bytes, &offset)) {
        return NULL;
    }
    segment->taken_bytes += bytes;
    return segment->base + offset;
}

static unsigned char *
take_from_any(size_t bytes)
{
    unsigned char *pages = NULL;
    for (size_t i = 0; i < segments.count && pages == NULL; i++) {
        pages = take_from(segments.items[i], bytes);
    }
    if (pages == NULL) {
        struct segment *fresh = add_segment();
        pages = fresh != NULL ? take_from(fresh, bytes) : NULL;
    }
    return pages;
}

void *
tsi_segments_take(size_t bytes)
{
    const size_t whole = whole_pages(bytes);
    pthread_mutex_lock(&mutex);
    unsigned char *pages = take_from_any(whole);
    pthread_mutex_unlock(&mutex);
    if (pages != NULL && !tsi_fill_pages(pages, whole)) {
        tsi_segments_give(pages, bytes);
        return NULL;
    }
    return pages;
}

void
tsi_segments_give(void *pages, size_t bytes)
{
    const size_t whole = whole_pages(bytes);
    tsi_drop_pages(pages, whole);
    pthread_mutex_lock(&mutex);
    const uint64_t *found = tsi_map_get(&by_place, place_of(pages));
    struct segment *segment = (struct segment *)(uintptr_t)*found;
    tsi_extents_give(&segment->free, (uint64_t)((unsigned char *)pages - segment->base), whole);
    segment->taken_bytes -= whole;
    const bool is_over = segment->taken_bytes == 0 && segments.count > 1;
    if (is_over) {
        remove_segment(segment);
    }
    pthread_mutex_unlock(&mutex);
    if (is_over) {
        free_segment(segment);
    }
}
