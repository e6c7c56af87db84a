// SPDX-License-Identifier: Apache-2.0
//
// The lender's file is mapped once, as large as it may become; a chunk is a place in it. Mapped
// pages stay mapped, so that the next chunk at the same place costs no page faults. But they count
// as resident memory of this process, so one whose memory is bounded keeps them as long as it has
// room (tsi_pages_keep_mapped()).
//
// When the lender wants a chunk back that is in use, or is gone, its pages are copied and the copy
// is put in their place by one call of the kernel's: whoever reads them sees the same bytes at the
// same address before and after. When such a chunk is freed, the file gets its place back.
//
// A lender that dies leaves the memory as it is; one that takes memory back changes its word first.
// So what was read was the chunk if the word is unchanged after the reading. A lender that only
// pretends can at worst give other bytes, as it could in any other way.

#include "engine/net/borrower.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/map.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/base/vec.h"

// Files that may grow larger are not mapped: the address space is for others too.
#define FILE_BYTES_MAX ((uint64_t)1 << 44)

#define PIECE_BYTES ((uint64_t)1 << 20)

struct lease {
    struct tsi_borrower *borrower;
    uint64_t lease;
    uint64_t offset;
    uint64_t bytes;         // whole steps of pages
    uint64_t copied_bytes;  // of them, from the start
    atomic_bool is_copy;    // the pages are this process's
    atomic_bool was_broken; // and were not the chunk's any more when they were copied
};

struct tsi_borrower {
    atomic_uint refs; // the source's, and one for each lease
    int socket;
    int file; // −1 before HELLO
    unsigned char *base;
    uint64_t map_bytes;
    _Atomic(uint64_t) file_bytes; // as last looked at
    size_t word;
    uint64_t generation;

    pthread_mutex_t lock; // of what follows: leases end on any thread
    TSI_VEC(struct lease *) leases;
    TSI_VEC(uint64_t) unreturned; // that could not be told
    bool is_cut;                  // only copies are mapped, and the words
};

struct tsi_borrower *
tsi_borrower_new(const char *endpoint, const char *member_public)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct tsi_borrower *borrower = tsi_calloc(1, sizeof *borrower);
    if (borrower == NULL) {
        return NULL;
    }
    borrower->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    borrower->file = -1;
    if (borrower->socket < 0 ||
        !tsi_lease_path(endpoint, member_public, address.sun_path, sizeof address.sun_path) ||
        connect(borrower->socket, (struct sockaddr *)&address, sizeof address) != 0 ||
        !tsi_lease_is_own_user(borrower->socket)) {
        if (borrower->socket >= 0) {
            close(borrower->socket);
        }
        tsi_free(borrower);
        return NULL;
    }
    atomic_init(&borrower->refs, 1);
    pthread_mutex_init(&borrower->lock, NULL);
    return borrower;
}

static void
unref(struct tsi_borrower *borrower)
{
    if (atomic_fetch_sub_explicit(&borrower->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (borrower->base != NULL) {
        tsi_pages_use_mapped(borrower->base, borrower->map_bytes);
        munmap(borrower->base, borrower->is_cut ? TSI_PAGES_STEP : borrower->map_bytes);
    }
    if (borrower->file >= 0) {
        close(borrower->file);
    }
    close(borrower->socket);
    pthread_mutex_destroy(&borrower->lock);
    tsi_vec_fini(&borrower->leases);
    tsi_vec_fini(&borrower->unreturned);
    tsi_free(borrower);
}

static bool
is_unchanged(const struct tsi_borrower *borrower)
{
    const _Atomic(uint64_t) *words = (const void *)borrower->base;
    __sync_synchronize(); // after what was read
    return atomic_load_explicit(&words[borrower->word], memory_order_relaxed) ==
           borrower->generation;
}

static bool
is_sound(void *owner)
{
    const struct lease *lease = owner;
    return atomic_load(&lease->is_copy) ? !atomic_load(&lease->was_broken)
                                        : is_unchanged(lease->borrower);
}

// Tells that a lease is over, now or when the lender reads again. The lock is held.
static void
tell_return(struct tsi_borrower *borrower, uint64_t lease)
{
    const struct tsi_lease_record record = {.type = TSI_LEASE_RETURN, .lease = lease};
    if (borrower->unreturned.count > 0 || !tsi_lease_send(borrower->socket, record, -1)) {
        tsi_vec_push(&borrower->unreturned, lease); // without memory the lender asks for it
    }
}

static void
tell_unreturned(struct tsi_borrower *borrower)
{
    size_t told = 0;
    pthread_mutex_lock(&borrower->lock);
    while (told < borrower->unreturned.count) {
        const struct tsi_lease_record record = {.type = TSI_LEASE_RETURN,
                                                .lease = borrower->unreturned.items[told]};
        if (!tsi_lease_send(borrower->socket, record, -1)) {
            break;
        }
        told++;
    }
    if (told > 0) {
        borrower->unreturned.count -= told;
        memmove(borrower->unreturned.items, borrower->unreturned.items + told,
                borrower->unreturned.count * sizeof *borrower->unreturned.items);
    }
    pthread_mutex_unlock(&borrower->lock);
}

// The place of a copy goes back to the file, or to the system if the file is mapped no more.
static void
drop_copy(const struct lease *lease)
{
    const struct tsi_borrower *borrower = lease->borrower;
    unsigned char *pages = borrower->base + lease->offset;
    if (borrower->is_cut || mmap(pages, lease->bytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                                 borrower->file, (off_t)lease->offset) == MAP_FAILED) {
        munmap(pages, lease->bytes);
    }
}

// A buffer over borrowed memory has lost its last reference.
static void
end_lease(void *owner)
{
    struct lease *lease = owner;
    struct tsi_borrower *borrower = lease->borrower;
    pthread_mutex_lock(&borrower->lock);
    for (size_t i = 0; i < borrower->leases.count; i++) {
        if (borrower->leases.items[i] == lease) {
            borrower->leases.items[i] = tsi_vec_last(&borrower->leases);
            borrower->leases.count--;
            break;
        }
    }
    tsi_pages_count(-(int64_t)lease->bytes);
    if (lease->copied_bytes > 0) {
        drop_copy(lease);
    }
    if (!atomic_load(&lease->is_copy)) {
        if (!tsi_pages_keep_mapped(borrower->base + lease->offset, lease->bytes)) {
            (void)madvise(borrower->base + lease->offset, lease->bytes, MADV_DONTNEED);
        }
        tell_return(borrower, lease->lease);
    }
    pthread_mutex_unlock(&borrower->lock);
    tsi_free(lease);
    unref(borrower);
}

// Puts a copy in the place of `count` bytes at `pages`; false when memory is out.
static bool
copy_piece(unsigned char *pages, size_t count)
{
    void *copy = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) {
        return false;
    }
    memcpy(copy, pages, count);
    if (mremap(copy, count, count, MREMAP_MAYMOVE | MREMAP_FIXED, pages) == MAP_FAILED) {
        munmap(copy, count);
        return false;
    }
    return true;
}

// Puts a copy in the place of borrowed pages, a piece after the other, so that there is never more
// than a piece twice. The lock is held. False when memory is out; what was copied then stays.
static bool
copy_lease(struct lease *lease)
{
    unsigned char *pages = lease->borrower->base + lease->offset;
    while (lease->copied_bytes < lease->bytes) {
        const uint64_t left = lease->bytes - lease->copied_bytes;
        const uint64_t count = left < PIECE_BYTES ? left : PIECE_BYTES;
        if (!copy_piece(pages + lease->copied_bytes, (size_t)count)) {
            return false;
        }
        lease->copied_bytes += count;
    }
    if (!atomic_load(&lease->is_copy)) {
        atomic_store(&lease->was_broken, !is_unchanged(lease->borrower));
        atomic_store(&lease->is_copy, true);
    }
    return true;
}

static int
compare_places(const void *a, const void *b)
{
    const struct lease *const *first = a;
    const struct lease *const *second = b;
    return (*first)->offset < (*second)->offset ? -1 : (*first)->offset > (*second)->offset;
}

// Copies all that is borrowed, and lets the file go but for its words: the memory of a lender that
// is gone is free when nobody maps it. The lock is held.
static void
cut(struct tsi_borrower *borrower)
{
    bool is_all = true;
    if (borrower->base == NULL || borrower->is_cut) {
        return;
    }
    for (size_t i = 0; i < borrower->leases.count; i++) {
        is_all = copy_lease(borrower->leases.items[i]) && is_all;
    }
    if (!is_all) {
        return;
    }
    if (borrower->leases.count > 0) {
        qsort(borrower->leases.items, borrower->leases.count, sizeof *borrower->leases.items,
              compare_places);
    }
    tsi_pages_use_mapped(borrower->base, borrower->map_bytes);
    uint64_t from = TSI_PAGES_STEP;
    for (size_t i = 0; i <= borrower->leases.count; i++) {
        const struct lease *lease = i < borrower->leases.count ? borrower->leases.items[i] : NULL;
        const uint64_t to = lease != NULL ? lease->offset : borrower->map_bytes;
        if (to > from) {
            munmap(borrower->base + from, to - from);
        }
        from = lease != NULL ? lease->offset + lease->bytes : from;
    }
    borrower->is_cut = true;
}

void
tsi_borrower_free(struct tsi_borrower *borrower, bool keeps)
{
    if (borrower == NULL) {
        return;
    }
    pthread_mutex_lock(&borrower->lock);
    if (keeps) {
        cut(borrower);
    }
    pthread_mutex_unlock(&borrower->lock);
    unref(borrower);
}

bool
tsi_borrower_is_idle(struct tsi_borrower *borrower)
{
    pthread_mutex_lock(&borrower->lock);
    const bool is_idle = borrower->leases.count == 0 && borrower->unreturned.count == 0;
    pthread_mutex_unlock(&borrower->lock);
    return is_idle;
}

int
tsi_borrower_socket(const struct tsi_borrower *borrower)
{
    return borrower->socket;
}

bool
tsi_borrower_want(struct tsi_borrower *borrower, tsi_key key, uint64_t bytes)
{
    const struct tsi_lease_record want = {.type = TSI_LEASE_WANT, .key = key, .bytes = bytes};
    tell_unreturned(borrower);
    return tsi_lease_send(borrower->socket, want, -1);
}

// Maps the lender's file, which must be one that cannot shrink under the reader. False if it is
// not.
static bool
take_hello(struct tsi_borrower *borrower, const struct tsi_lease_record *hello, int file)
{
    const int seals = file >= 0 && borrower->file < 0 ? fcntl(file, F_GET_SEALS) : -1;
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || hello->bytes < TSI_PAGES_STEP ||
        hello->bytes > FILE_BYTES_MAX || hello->bytes % TSI_PAGES_STEP != 0 ||
        hello->word >= TSI_PAGES_STEP / sizeof(uint64_t)) {
        if (file >= 0) {
            close(file);
        }
        return false;
    }
    borrower->file = file;
    borrower->word = (size_t)hello->word;
    borrower->generation = hello->generation;
    borrower->map_bytes = hello->bytes;
    struct stat info;
    if (fstat(file, &info) != 0 || info.st_size < (off_t)TSI_PAGES_STEP) {
        return false;
    }
    void *base = mmap(NULL, hello->bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, 0);
    borrower->base = base != MAP_FAILED ? base : NULL;
    return base != MAP_FAILED;
}

// Whether the file has these bytes.
static bool
is_in_file(struct tsi_borrower *borrower, uint64_t offset, uint64_t bytes)
{
    struct stat info;
    if (borrower->base == NULL || bytes > borrower->map_bytes || offset < TSI_PAGES_STEP ||
        offset % TSI_PAGES_STEP != 0 || offset > borrower->map_bytes - bytes) {
        return false;
    }
    if (offset + bytes > borrower->file_bytes && fstat(borrower->file, &info) == 0) {
        borrower->file_bytes = (uint64_t)info.st_size;
    }
    return offset + bytes <= borrower->file_bytes;
}

// Whether a lease of this connection has some of these bytes already. The lock is held.
static bool
overlaps(const struct tsi_borrower *borrower, uint64_t offset, uint64_t bytes)
{
    for (size_t i = 0; i < borrower->leases.count; i++) {
        const struct lease *lease = borrower->leases.items[i];
        if (offset < lease->offset + lease->bytes && lease->offset < offset + bytes) {
            return true;
        }
    }
    return false;
}

// NULL when memory is out, or the place has been lent already.
static struct tsi_buf *
make_chunk(struct tsi_borrower *borrower, const struct tsi_lease_record *lent, uint64_t whole)
{
    struct lease *lease = tsi_calloc(1, sizeof *lease);
    struct tsi_buf *chunk = lease == NULL ? NULL
                                          : tsi_buf_wrap(borrower->base + lent->offset,
                                                         (size_t)lent->bytes, end_lease, lease);
    if (chunk != NULL) {
        *lease = (struct lease){
            .borrower = borrower, .lease = lent->lease, .offset = lent->offset, .bytes = whole};
        pthread_mutex_lock(&borrower->lock);
        tsi_pages_use_mapped(borrower->base + lent->offset, (size_t)whole);
        const bool ok =
            !overlaps(borrower, lent->offset, whole) && tsi_vec_push(&borrower->leases, lease);
        pthread_mutex_unlock(&borrower->lock);
        if (ok) {
            atomic_fetch_add_explicit(&borrower->refs, 1, memory_order_relaxed);
            chunk->is_sound = is_sound;
            tsi_pages_count((int64_t)whole);
            return chunk;
        }
    }
    tsi_free(chunk);
    tsi_free(lease);
    pthread_mutex_lock(&borrower->lock);
    tell_return(borrower, lent->lease);
    pthread_mutex_unlock(&borrower->lock);
    return NULL;
}

// False if what is lent is not where it is said to be.
static bool
take_lent(struct tsi_borrower *borrower, const struct tsi_lease_record *lent,
          struct tsi_borrowed *borrowed)
{
    const uint64_t whole = lent->bytes <= FILE_BYTES_MAX ? (lent->bytes + TSI_PAGES_STEP - 1) /
                                                               TSI_PAGES_STEP * TSI_PAGES_STEP
                                                         : UINT64_MAX;
    if (lent->bytes == 0 || !is_in_file(borrower, lent->offset, whole)) {
        return false;
    }
    *borrowed = (struct tsi_borrowed){lent->key, make_chunk(borrower, lent, whole)};
    return true;
}

static void
take_recall(struct tsi_borrower *borrower, uint64_t number)
{
    pthread_mutex_lock(&borrower->lock);
    for (size_t i = 0; i < borrower->leases.count; i++) {
        struct lease *lease = borrower->leases.items[i];
        if (lease->lease == number && !atomic_load(&lease->is_copy) && copy_lease(lease)) {
            tell_return(borrower, number);
        }
    }
    pthread_mutex_unlock(&borrower->lock);
}

enum tsi_lease_received
tsi_borrower_next(struct tsi_borrower *borrower, struct tsi_borrowed *borrowed)
{
    bool ok = true;
    *borrowed = (struct tsi_borrowed){0, NULL};
    while (ok) {
        struct tsi_lease_record record;
        int file;
        const enum tsi_lease_received received =
            tsi_lease_receive(borrower->socket, &record, &file);
        if (received == TSI_LEASE_NOTHING) {
            tell_unreturned(borrower);
            return TSI_LEASE_NOTHING;
        }
        if (received == TSI_LEASE_END) {
            break;
        }
        if (record.type == TSI_LEASE_HELLO) {
            ok = take_hello(borrower, &record, file);
            continue;
        }
        if (file >= 0) {
            close(file);
            break;
        }
        borrowed->key = record.key;
        switch (record.type) {
        case TSI_LEASE_LENT:
            if (take_lent(borrower, &record, borrowed)) {
                return TSI_LEASE_GOT;
            }
            ok = false;
            break;
        case TSI_LEASE_REFUSED:
            return TSI_LEASE_GOT;
        case TSI_LEASE_RECALL:
            take_recall(borrower, record.lease);
            break;
        default:
            ok = false;
            break;
        }
    }
    return TSI_LEASE_END;
}
