// SPDX-License-Identifier: Apache-2.0
//
// What a worker takes beside chunks was measured; docs/decisions/0011 has the numbers. What is
// there when it starts is asked for. What comes later is estimated: code that is used for the first
// time, records, buffers of sockets, stacks and workspaces of threads.
//
// Address space is another matter than memory. Where it is limited, stacks and heaps take far more
// of it than they take memory, and what other processes lend is mapped as large as it may become.
// So then memory is not lent unless there is plenty.

#include "worker/daemon/room.h"

#include <malloc.h>
#include <pthread.h>

#include "engine/base/cgroup.h"
#include "engine/base/clock.h"
#include "engine/base/machine.h"
#include "engine/base/pages.h"
#include "engine/base/text.h"

#define MIB ((uint64_t)1 << 20)

#define LATER_BYTES (7 * MIB)      // by code that is used later, records, sockets
#define THREAD_BYTES (3 * MIB / 4) // by a thread: its workspace is 512 KiB
#define LIBRARY_BYTES (4 * MIB)    // by the code of OpenBLAS
#define GROUP_BYTES (1 * MIB)      // in a control group: the nanny, and what the kernel charges
#define CHUNK_BYTES_MIN (8 * MIB)
#define WIRE_BYTES_MIN (1 * MIB)
#define WIRE_BYTES_MAX (64 * MIB)
#define MAPPED_BYTES_MIN (2 * MIB) // by the C library, each by itself: more than a segment
#define LIMIT_PAUSE_NS (1 * TSI_SECOND)
#define LOOK_NS (100 * TSI_MILLISECOND)

// Address space for ranges of small blocks, the C library's heap, and libraries that are loaded
// later.
#define ADDRESSES_LATER_BYTES (160 * MIB)

// Threads beside those of the pool: of sockets and of the disk.
enum { OTHER_THREADS = 4 };

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void
tsi_room_prepare(void)
{
    // All threads take from one heap, since what one frees another needs: with heaps of their own
    // each would keep its peak. What is free at its end goes back, but for what messages under way
    // may take: fresh pages for each of them cost more than they do.
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, (int)MAPPED_BYTES_MIN);
    (void)mallopt(M_TRIM_THRESHOLD, (int)WIRE_BYTES_MIN);
}

static uint64_t
stack_bytes(void)
{
    pthread_attr_t attributes;
    size_t bytes = 8 * MIB;
    if (pthread_getattr_default_np(&attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &bytes);
        pthread_attr_destroy(&attributes);
    }
    return bytes;
}

// Cuts what chunks may take to the addresses that are left for them.
static void
fit_addresses(struct tsi_room *room, int threads)
{
    const uint64_t left = tsi_machine_addresses_left();
    room->has_addresses = true;
    if (left == UINT64_MAX) {
        return;
    }
    const uint64_t others =
        ADDRESSES_LATER_BYTES + (uint64_t)(threads + OTHER_THREADS) * stack_bytes();
    const uint64_t usable = less(left, others);
    room->pages_bytes = least(room->pages_bytes, usable);
    // The file of its own, of twice the size, and those of others.
    room->has_addresses = usable / 16 > room->pages_bytes;
}

static uint64_t
find_limit(uint64_t wanted_bytes)
{
    const uint64_t most = tsi_machine_memory_bytes();
    return wanted_bytes == 0 ? most : least(wanted_bytes, most);
}

tess_status
tsi_room_find(struct tsi_room *room, uint64_t wanted_bytes, int threads, struct tsi_error *error)
{
    const uint64_t limit = find_limit(wanted_bytes);
    const uint64_t wire = limit / 16 < WIRE_BYTES_MIN ? WIRE_BYTES_MIN : limit / 16;
    *room = (struct tsi_room){
        .limit_bytes = limit, .most_bytes = limit, .wire_bytes = least(wire, WIRE_BYTES_MAX)};
    room->reserve_bytes = tsi_machine_resident_bytes() + LATER_BYTES +
                          (uint64_t)threads * THREAD_BYTES + room->wire_bytes + limit / 64;
    if (limit >= tsi_cgroup_limits("").memory_bytes) {
        room->reserve_bytes += GROUP_BYTES;
    }
    room->pages_bytes = less(limit, room->reserve_bytes);
    (void)mallopt(M_TRIM_THRESHOLD, (int)room->wire_bytes);
    fit_addresses(room, threads);
    // Blocks are whole pages, and may have got more by an earlier use.
    room->chunk_bytes = room->pages_bytes - room->pages_bytes / 32;
    room->chunk_bytes_now = room->chunk_bytes;
    room->pages_bytes_now = room->pages_bytes;
    if (room->chunk_bytes < CHUNK_BYTES_MIN) {
        char least_text[TSI_BYTES_TEXT_MAX];
        char limit_text[TSI_BYTES_TEXT_MAX];
        return tsi_error_set(
            error, TESS_EMEMLIMIT,
            "a memory limit of %s is too little: a worker with %d threads needs %s",
            tsi_text_bytes(limit_text, limit), threads,
            tsi_text_bytes(least_text, room->reserve_bytes + CHUNK_BYTES_MIN * 33 / 32));
    }
    return TESS_OK;
}

// Gives back all that is free where the process comes near its limit.
static void
trim(const struct tsi_room *room)
{
    if (tsi_machine_resident_bytes() > room->limit_bytes - room->limit_bytes / 64) {
        tsi_pages_trim();
        (void)malloc_trim(0);
    }
}

// Cuts what chunks may take now to the limit and the reserve. What the process had at its start is
// the most.
static void
fit_limit(struct tsi_room *room)
{
    const uint64_t left = less(room->limit_bytes, room->reserve_bytes);
    const uint64_t pages = least(left > MIB ? left : MIB, room->pages_bytes);
    tsi_pages_expect((int64_t)pages - (int64_t)room->pages_bytes_now);
    room->pages_bytes_now = pages;
    room->chunk_bytes_now = pages - pages / 32;
}

bool
tsi_room_reserve(struct tsi_room *room, uint64_t bytes, int threads)
{
    const uint64_t all = bytes == 0 ? 0 : LIBRARY_BYTES + (uint64_t)threads * bytes;
    const uint64_t before = room->chunk_bytes_now;
    if (all <= room->library_bytes) {
        return false;
    }
    room->reserve_bytes += all - room->library_bytes;
    room->library_bytes = all;
    fit_limit(room);
    return room->chunk_bytes_now != before;
}

bool
tsi_room_watch(struct tsi_room *room, uint64_t wanted_bytes, uint64_t now_ns)
{
    if (now_ns >= room->next_look_ns) {
        room->next_look_ns = now_ns + LOOK_NS;
        trim(room);
    }
    if (now_ns < room->next_limit_ns) {
        return false;
    }
    room->next_limit_ns = now_ns + LIMIT_PAUSE_NS;
    const uint64_t limit = least(find_limit(wanted_bytes), room->most_bytes);
    if (limit == room->limit_bytes) {
        return false;
    }
    room->limit_bytes = limit;
    fit_limit(room);
    return true;
}
