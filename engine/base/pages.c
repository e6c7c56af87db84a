// SPDX-License-Identifier: Apache-2.0
//
// A fresh page costs a page fault and its zeroing, which for large chunks is more than the work on
// them. Freed blocks are therefore kept for the next one of the same size; the oldest go first when
// there are too many bytes of them, or when what the process expects to take is used up.
//
// Small blocks are parts of segments (segments.c), large ones mappings of their own, or places in
// the file. The file is mapped once, as large as it may ever become, and grows as blocks are taken.
// What is free of it has no memory: it is given back to the system by a hole in the file. That is
// why the file is not sealed against writing, which would forbid holes as well; others get a
// descriptor that only reads. Fresh parts are filled by one call, which is several times faster
// than a fault for each page, and tells that memory is out instead of ending the process.
//
// Pages of other processes' files that stay mapped are the first to be given up: a page fault for
// sixteen of them brings them back, since they are there.
//
// A block is counted by the pages that its buffer needs; what more a block may have got by an
// earlier, larger buffer of the same block size is less than a step.

#include "engine/base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/extents.h"
#include "engine/base/kept.h"
#include "engine/base/mapped.h"
#include "engine/base/memory.h"
#include "engine/base/segments.h"

#define PRIVATE_KEPT_BYTES_MAX ((uint64_t)256 << 20)
#define SHARED_KEPT_BYTES_MAX ((uint64_t)1 << 30)
// Of what is expected, the part that may be mapped pages of others.
#define MAPPED_PART 8

#define FILE_STEP ((uint64_t)64 << 20)

// How long a thread waits for memory to come back from other processes. Who has waited in vain goes
// beyond what is expected, but only one in so much time: what all the others wait for may be what
// this one gives back.
#define WAIT_NS (2 * TSI_SECOND)

struct block {
    void *pages;
    size_t bytes;
};

// All of it is under the mutex; `base` and `bytes_max` do not change once `base` is set.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tsi_kept kept;
static struct tsi_mapped mapped;
static uint64_t kept_bytes_max = PRIVATE_KEPT_BYTES_MAX;
static uint64_t taken_bytes;       // of blocks, as they are counted
static uint64_t leaving_bytes;     // of those that are just given back to the system
static _Atomic(int64_t) elsewhere; // may be changed without the mutex
static uint64_t expected;          // 0: no bound

static int file = -1;
static _Atomic(unsigned char *) base; // NULL: nothing is shared
static uint64_t bytes_max;            // of the file
static uint64_t file_bytes;           // now
static struct tsi_extents extents;

static pthread_cond_t returned = PTHREAD_COND_INITIALIZER;
static int watch_fd = -1;
static int waiting;
static uint64_t vain_ns;          // when somebody last went beyond what is expected
static uint64_t no_room_since_ns; // that somebody asked for; 0: there was room
static _Thread_local bool may_wait;

static bool
is_shared(const void *pages)
{
    const unsigned char *start = atomic_load_explicit(&base, memory_order_acquire);
    const unsigned char *at = pages;
    return start != NULL && at >= start && at < start + bytes_max;
}

// Whether blocks of this size are parts of segments.
static bool
is_small(size_t block_bytes)
{
    return block_bytes < TSI_PAGES_SHARED_MIN;
}

static size_t
round_up(size_t bytes, size_t step)
{
    return (bytes + step - 1) / step * step;
}

static size_t
whole_pages(size_t bytes)
{
    static _Atomic(size_t) page; // asked for once, or twice
    size_t step = atomic_load_explicit(&page, memory_order_relaxed);
    if (step == 0) {
        step = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&page, step, memory_order_relaxed);
    }
    return round_up(bytes, step);
}

// The size of a block for `bytes`. That of large ones is coarse, so that blocks fit again.
static size_t
block_bytes(size_t bytes)
{
    const size_t whole = whole_pages(bytes);
    return is_small(whole) ? whole : round_up(bytes, TSI_PAGES_STEP);
}

// Gives the memory back to the system. The mutex is not held.
static void
drop_block(struct block block)
{
    if (is_small(block.bytes)) {
        tsi_segments_give(block.pages, block.bytes);
        return;
    }
    if (!is_shared(block.pages)) {
        munmap(block.pages, block.bytes);
        return;
    }
    const uint64_t offset = (uint64_t)((unsigned char *)block.pages - atomic_load(&base));
    (void)fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                    (off_t)block.bytes);
    pthread_mutex_lock(&mutex);
    tsi_extents_give(&extents, offset, block.bytes);
    pthread_mutex_unlock(&mutex);
}

static void *
map_private(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

// A place in the file; false when memory is out or the file is full. The mutex is held.
static bool
take_place(size_t bytes, uint64_t *offset)
{
    if (!tsi_extents_take(&extents, bytes, offset)) {
        return false;
    }
    const uint64_t end = *offset + bytes;
    if (end > file_bytes) {
        const uint64_t grown = (end + FILE_STEP - 1) / FILE_STEP * FILE_STEP;
        const uint64_t wanted = grown < bytes_max ? grown : bytes_max;
        if (ftruncate(file, (off_t)wanted) != 0) {
            tsi_extents_give(&extents, *offset, bytes);
            return false;
        }
        file_bytes = wanted;
    }
    return true;
}

static void *
map_fresh(size_t block_bytes, size_t filled_bytes)
{
    if (is_small(block_bytes)) {
        return tsi_segments_take(block_bytes);
    }
    uint64_t offset = 0;
    unsigned char *start = atomic_load_explicit(&base, memory_order_acquire);
    pthread_mutex_lock(&mutex);
    const bool found = start != NULL && take_place(block_bytes, &offset);
    pthread_mutex_unlock(&mutex);
    if (!found) {
        return map_private(block_bytes);
    }
    if (!tsi_fill_pages(start + offset, filled_bytes)) {
        drop_block((struct block){start + offset, block_bytes});
        return NULL;
    }
    return start + offset;
}

static uint64_t
all_bytes(void)
{
    const int64_t other = atomic_load_explicit(&elsewhere, memory_order_relaxed);
    return taken_bytes + leaving_bytes + kept.bytes + mapped.bytes +
           (other > 0 ? (uint64_t)other : 0);
}

// Whether there is more than is expected with `more` bytes. The mutex is held.
static bool
is_beyond(uint64_t more)
{
    return expected > 0 && all_bytes() + more > expected;
}

static void
tell_returned(void)
{
    if (waiting > 0) {
        pthread_cond_broadcast(&returned);
    }
}

// Gives a block back to the system, which takes its time: until then it counts. The mutex is held,
// but not all the time.
static void
let_leave(struct block block)
{
    leaving_bytes += block.bytes;
    pthread_mutex_unlock(&mutex);
    drop_block(block);
    pthread_mutex_lock(&mutex);
    leaving_bytes -= block.bytes;
    tell_returned();
}

// Drops the oldest of the kept blocks; false if there is none. The mutex is held, but not all the
// time.
static bool
drop_oldest(void)
{
    struct block block = {NULL, 0};
    block.pages = tsi_kept_take_oldest(&kept, &block.bytes);
    if (block.pages == NULL) {
        return false;
    }
    let_leave(block);
    return true;
}

// Drops the oldest of all that can be had again, what is mapped first; false if there is nothing.
// The mutex is held, but not all the time.
static bool
drop_something(void)
{
    return tsi_mapped_drop_oldest(&mapped) || drop_oldest();
}

// Drops what is kept and may not be. The mutex is held, but not all the time.
static void
drop_surplus(void)
{
    while (is_beyond(0) && drop_something()) {
    }
    while (kept.bytes > kept_bytes_max && drop_oldest()) {
    }
}

// Has the other processes asked for what they read. The mutex is held.
static void
ask_back(void)
{
    if (watch_fd >= 0) {
        (void)!write(watch_fd, &(uint64_t){1}, sizeof(uint64_t));
    }
}

static uint64_t
later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

// Whether who waits since `start` may take what is beyond, now. The mutex is held.
static bool
goes_beyond(uint64_t start)
{
    const uint64_t now = tsi_clock_ns();
    const bool may = now >= later(start, vain_ns) + WAIT_NS;
    vain_ns = may ? now : vain_ns;
    return may;
}

static void
sleep_until(uint64_t ns)
{
    const struct timespec deadline = {(time_t)(ns / TSI_SECOND), (long)(ns % TSI_SECOND)};
    (void)pthread_cond_clockwait(&returned, &mutex, CLOCK_MONOTONIC, &deadline);
}

// Waits for what others read of this process's memory, or other threads take. What is waited for
// is not counted as taken, since several may wait. The mutex is held, but not all the time.
static void
wait_for_room(uint64_t bytes)
{
    if (!may_wait || !is_beyond(bytes)) {
        return;
    }
    const uint64_t start = tsi_clock_ns();
    waiting++;
    ask_back();
    while (is_beyond(bytes) && !goes_beyond(start)) {
        if (!drop_something()) {
            sleep_until(later(start, vain_ns) + WAIT_NS);
        }
    }
    waiting--;
}

void *
tsi_pages_take(size_t bytes)
{
    const size_t whole = whole_pages(bytes);
    const size_t block = block_bytes(bytes);
    pthread_mutex_lock(&mutex);
    void *pages = tsi_kept_take(&kept, block);
    if (pages == NULL) {
        while (is_beyond(whole) && drop_something()) {
        }
        wait_for_room(whole);
    }
    taken_bytes += whole;
    pthread_mutex_unlock(&mutex);
    if (pages != NULL) {
        return pages;
    }
    pages = map_fresh(block, whole);
    if (pages == NULL) {
        pthread_mutex_lock(&mutex);
        taken_bytes -= whole;
        tell_returned();
        pthread_mutex_unlock(&mutex);
    }
    return pages;
}

void
tsi_pages_give(void *pages, size_t bytes)
{
    const struct block block = {pages, block_bytes(bytes)};
    pthread_mutex_lock(&mutex);
    taken_bytes -= whole_pages(bytes);
    // Pages from before the file are not for others to read, so the next block is better fresh.
    const bool keeps =
        block.bytes <= kept_bytes_max &&
        (is_small(block.bytes) || is_shared(pages) ||
         atomic_load_explicit(&base, memory_order_relaxed) == NULL) &&
        (expected == 0 || all_bytes() - kept.bytes - mapped.bytes + block.bytes <= expected) &&
        tsi_kept_put(&kept, pages, block.bytes);
    if (!keeps) {
        let_leave(block);
    }
    drop_surplus();
    tell_returned();
    pthread_mutex_unlock(&mutex);
}

bool
tsi_pages_are_kept(size_t bytes)
{
    pthread_mutex_lock(&mutex);
    const bool are_kept = tsi_kept_has(&kept, block_bytes(bytes));
    pthread_mutex_unlock(&mutex);
    return are_kept;
}

void
tsi_pages_expect(int64_t bytes)
{
    pthread_mutex_lock(&mutex);
    expected += (uint64_t)bytes;
    drop_surplus();
    pthread_mutex_unlock(&mutex);
}

uint64_t
tsi_pages_expected(void)
{
    pthread_mutex_lock(&mutex);
    const uint64_t bytes = expected;
    pthread_mutex_unlock(&mutex);
    return bytes;
}

void
tsi_pages_count(int64_t bytes)
{
    atomic_fetch_add_explicit(&elsewhere, bytes, memory_order_relaxed);
    if (bytes > (int64_t)TSI_PAGES_STEP) {
        pthread_mutex_lock(&mutex);
        drop_surplus();
        pthread_mutex_unlock(&mutex);
    }
}

bool
tsi_pages_keep_mapped(void *pages, size_t bytes)
{
    pthread_mutex_lock(&mutex);
    const bool keeps =
        expected == 0 || (!is_beyond(bytes) && mapped.bytes + bytes <= expected / MAPPED_PART &&
                          tsi_mapped_put(&mapped, pages, bytes));
    pthread_mutex_unlock(&mutex);
    return keeps;
}

void
tsi_pages_use_mapped(const void *pages, size_t bytes)
{
    pthread_mutex_lock(&mutex);
    tsi_mapped_take(&mapped, pages, bytes);
    pthread_mutex_unlock(&mutex);
}

uint64_t
tsi_pages_bytes(void)
{
    pthread_mutex_lock(&mutex);
    const uint64_t bytes = all_bytes();
    pthread_mutex_unlock(&mutex);
    return bytes;
}

uint64_t
tsi_pages_kept_bytes(void)
{
    pthread_mutex_lock(&mutex);
    const uint64_t bytes = kept.bytes;
    pthread_mutex_unlock(&mutex);
    return bytes;
}

void
tsi_pages_trim(void)
{
    pthread_mutex_lock(&mutex);
    while (drop_something()) {
    }
    pthread_mutex_unlock(&mutex);
}

int
tsi_pages_watch(void)
{
    pthread_mutex_lock(&mutex);
    if (watch_fd < 0) {
        watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    const int fd = watch_fd;
    pthread_mutex_unlock(&mutex);
    return fd;
}

void
tsi_pages_watched(void)
{
    uint64_t count;
    pthread_mutex_lock(&mutex);
    (void)!read(watch_fd, &count, sizeof count);
    pthread_mutex_unlock(&mutex);
}

void
tsi_pages_may_wait(void)
{
    may_wait = true;
}

// The mutex is held.
static bool
has_room(uint64_t bytes)
{
    return expected == 0 || all_bytes() - kept.bytes - mapped.bytes + bytes <= expected;
}

bool
tsi_pages_has_room(size_t bytes)
{
    pthread_mutex_lock(&mutex);
    bool is_enough = has_room(whole_pages(bytes));
    if (!is_enough) {
        no_room_since_ns = no_room_since_ns != 0 ? no_room_since_ns : tsi_clock_ns();
        is_enough = goes_beyond(no_room_since_ns);
    }
    if (is_enough) {
        no_room_since_ns = 0;
    } else {
        ask_back();
    }
    pthread_mutex_unlock(&mutex);
    return is_enough;
}

// A file that nobody can make smaller, with its first step filled with zeros, and mapped.
static unsigned char *
open_file(void)
{
    file = memfd_create("tessera", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0 || ftruncate(file, (off_t)TSI_PAGES_STEP) != 0 || fchmod(file, 0400) != 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0 ||
        !tsi_extents_init(&extents, TSI_PAGES_STEP, bytes_max - TSI_PAGES_STEP)) {
        return NULL;
    }
    unsigned char *start =
        mmap(NULL, bytes_max, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    // A child of this process is no part of it.
    (void)madvise(start, bytes_max, MADV_DONTFORK);
    if (!tsi_fill_pages(start, TSI_PAGES_STEP)) {
        munmap(start, bytes_max);
        return NULL;
    }
    return start;
}

bool
tsi_pages_share(uint64_t wanted)
{
    static bool tried;
    pthread_mutex_lock(&mutex);
    const char *wish = getenv("TESSERA_SHARE_MEMORY");
    tried = tried || (wish != NULL && strcmp(wish, "0") == 0);
    if (!tried) {
        tried = true;
        // Twice what is needed: free extents may be too small for a block.
        bytes_max = 2 * wanted / TSI_PAGES_STEP * TSI_PAGES_STEP + FILE_STEP;
        unsigned char *start = open_file();
        if (start == NULL && file >= 0) {
            close(file);
            file = -1;
        }
        if (start != NULL) {
            const uint64_t part = wanted / 8;
            file_bytes = TSI_PAGES_STEP;
            kept_bytes_max = part > SHARED_KEPT_BYTES_MAX ? SHARED_KEPT_BYTES_MAX : part;
            atomic_store_explicit(&base, start, memory_order_release);
            // Large ones are private.
            while (drop_oldest()) {
            }
        }
    }
    const bool shares = atomic_load_explicit(&base, memory_order_relaxed) != NULL;
    pthread_mutex_unlock(&mutex);
    return shares;
}

bool
tsi_pages_place(const void *data, uint64_t *offset)
{
    if (!is_shared(data)) {
        return false;
    }
    *offset = (uint64_t)((const unsigned char *)data - atomic_load(&base));
    return true;
}

int
tsi_pages_open(uint64_t *most)
{
    char path[64];
    if (atomic_load_explicit(&base, memory_order_acquire) == NULL) {
        return -1;
    }
    *most = bytes_max;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

_Atomic(uint64_t) *
tsi_pages_words(size_t *count)
{
    unsigned char *start = atomic_load_explicit(&base, memory_order_acquire);
    *count = start != NULL ? TSI_PAGES_STEP / sizeof(uint64_t) : 0;
    return (_Atomic(uint64_t) *)(void *)start;
}
