// SPDX-License-Identifier: Apache-2.0
//
// A lease is a reference to a chunk's buffer, held for a connection: until it is returned, or the
// connection ends. The memory of a buffer is therefore never used for anything else while it is
// lent.
//
// A lease may outlive its owner's interest in the chunk. Then the memory is in use though nobody
// here counts it, so the borrower is asked to give it back, for which it copies what it still
// needs: now and then, and at once when a thread of this process waits for memory. One that does
// not do so in time has stopped, or means harm: its connection is closed, and the memory taken.
// Each connection has a word in the file that the borrower has mapped. It changes before any memory
// is taken back; a borrower that finds it unchanged after it has read knows that what it read was
// the chunk.

#include "engine/net/lender.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/map.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/base/vec.h"

enum {
    CONNECTIONS_MAX = 1024, // of all lenders of this process
    LEASES_MAX = 65536,     // of one connection
    WAITING_MAX = 1024,     // likewise
    EVENTS_PER_TURN = 64,
    RECORDS_PER_TURN = 64,    // of one connection
    BYTES_PER_TURN = 8 << 20, // that one connection is lent, and what goes beyond with the last
    BACKLOG = 64,
};

#define CHECK_NS (1 * TSI_SECOND)
#define LEFT_OVER_NS (CHECK_NS / 2) // so the second check finds it
#define RECALL_PATIENCE_NS (10 * TSI_SECOND)
#define END_PATIENCE_NS (1 * TSI_SECOND)

struct lent {
    uint64_t lease;
    struct tsi_buf *chunk;
    uint64_t left_over_ns; // when it was first found held by leases alone; 0: it is not
    uint64_t recalled_ns;  // 0: it has not been asked for
};

struct connection {
    int socket;
    size_t word;
    bool ended;
    TSI_VEC(struct lent) leases;
    TSI_VEC(struct tsi_lease_record) waiting; // WANTs of chunks that are not there yet
    size_t answered; // of them, the first, while all are tried again: they do not wait any more
    struct tsi_map by_lease; // to the index
};

struct tsi_lender {
    int events;
    int listener;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    tsi_server_lookup *lookup;
    void *context;
    TSI_VEC(struct connection *) connections;
    struct tsi_map lent; // how often each buffer is
    size_t lease_count;
    size_t waiting_count;
    uint64_t next_lease;
    uint64_t next_check_ns;
};

// Words are the process's: several lenders may use its file.
static pthread_mutex_t words_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool words_taken[CONNECTIONS_MAX];

// A word that no connection has; false if all are taken.
static bool
take_word(size_t *word)
{
    size_t count;
    bool found = false;
    (void)tsi_pages_words(&count);
    pthread_mutex_lock(&words_mutex);
    for (size_t i = 0; i < count && i < CONNECTIONS_MAX && !found; i++) {
        if (!words_taken[i]) {
            words_taken[i] = true;
            *word = i;
            found = true;
        }
    }
    pthread_mutex_unlock(&words_mutex);
    return found;
}

// Changes the word: what its connection was lent is no longer what it was.
static void
give_word(size_t word)
{
    size_t count;
    _Atomic(uint64_t) *words = tsi_pages_words(&count);
    atomic_fetch_add(&words[word], 1);
    __sync_synchronize(); // before the memory is used again
    pthread_mutex_lock(&words_mutex);
    words_taken[word] = false;
    pthread_mutex_unlock(&words_mutex);
}

// Listens under another name first, so that a name at which nobody listens is that of the dead.
static int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int count =
        snprintf(address.sun_path, sizeof address.sun_path, "%s.%ld", path, (long)getpid());
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) {
        return -1;
    }
    unlink(address.sun_path);
    if (count < 0 || (size_t)count >= sizeof address.sun_path ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, BACKLOG) != 0 || rename(address.sun_path, path) != 0) {
        unlink(address.sun_path);
        close(listener);
        return -1;
    }
    return listener;
}

// `source` is a connection, the lender for those who wait for memory, NULL for the listener.
static bool
watch(struct tsi_lender *lender, int socket, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    return epoll_ctl(lender->events, EPOLL_CTL_ADD, socket, &event) == 0;
}

struct tsi_lender *
tsi_lender_new(const char *endpoint, const char *member_public, tsi_server_lookup *lookup,
               void *context)
{
    size_t words;
    struct tsi_lender *lender =
        tsi_pages_words(&words) != NULL ? tsi_calloc(1, sizeof *lender) : NULL;
    if (lender == NULL) {
        return NULL;
    }
    lender->lookup = lookup;
    lender->context = context;
    lender->events = epoll_create1(EPOLL_CLOEXEC);
    lender->listener = -1;
    if (tsi_lease_path(endpoint, member_public, lender->path, sizeof lender->path)) {
        lender->listener = listen_at(lender->path);
    }
    if (lender->events < 0 || lender->listener < 0 || !watch(lender, lender->listener, NULL) ||
        !watch(lender, tsi_pages_watch(), lender)) {
        tsi_lender_free(lender);
        return NULL;
    }
    return lender;
}

// How often `chunk` is lent, changed by `step`; false when memory is out.
static bool
count_lent(struct tsi_lender *lender, const struct tsi_buf *chunk, int step)
{
    const uint64_t key = (uint64_t)(uintptr_t)chunk;
    const uint64_t *before = tsi_map_get(&lender->lent, key);
    const uint64_t now = (before != NULL ? *before : 0) + (uint64_t)(int64_t)step;
    if (now == 0) {
        tsi_map_remove(&lender->lent, key);
        return true;
    }
    return tsi_map_put(&lender->lent, key, now);
}

static bool
add_lease(struct tsi_lender *lender, struct connection *connection, struct tsi_buf *chunk,
          uint64_t *lease)
{
    const struct lent lent = {.lease = ++lender->next_lease, .chunk = chunk};
    if (connection->leases.count == LEASES_MAX || !tsi_vec_reserve(&connection->leases, 1) ||
        !tsi_map_put(&connection->by_lease, lent.lease, connection->leases.count)) {
        return false;
    }
    if (!count_lent(lender, chunk, 1)) {
        tsi_map_remove(&connection->by_lease, lent.lease);
        return false;
    }
    tsi_vec_push(&connection->leases, lent);
    lender->lease_count++;
    *lease = lent.lease;
    return true;
}

static void
remove_lease(struct tsi_lender *lender, struct connection *connection, size_t index)
{
    const struct lent lent = connection->leases.items[index];
    const struct lent last = tsi_vec_last(&connection->leases);
    tsi_map_remove(&connection->by_lease, lent.lease);
    connection->leases.count--;
    if (last.lease != lent.lease) {
        connection->leases.items[index] = last;
        tsi_map_put(&connection->by_lease, last.lease, index); // a place that is there
    }
    lender->lease_count--;
    count_lent(lender, lent.chunk, -1);
    tsi_buf_unref(lent.chunk);
}

// Ends a connection: its word changes first.
static void
end_connection(struct tsi_lender *lender, struct connection *connection)
{
    give_word(connection->word);
    while (connection->leases.count > 0) {
        remove_lease(lender, connection, connection->leases.count - 1);
    }
    lender->waiting_count -= connection->waiting.count;
    close(connection->socket);
    tsi_vec_fini(&connection->waiting);
    tsi_vec_fini(&connection->leases);
    tsi_map_fini(&connection->by_lease);
    tsi_free(connection);
}

static bool
say_hello(const struct connection *connection)
{
    size_t count;
    struct tsi_lease_record hello = {.type = TSI_LEASE_HELLO, .word = connection->word};
    const int file = tsi_pages_open(&hello.bytes);
    hello.generation = atomic_load(&tsi_pages_words(&count)[connection->word]);
    const bool ok = file >= 0 && tsi_lease_send(connection->socket, hello, file);
    if (file >= 0) {
        close(file);
    }
    return ok;
}

static void
admit(struct tsi_lender *lender, int socket)
{
    struct connection *connection = tsi_calloc(1, sizeof *connection);
    if (connection == NULL || !tsi_lease_is_own_user(socket) || !take_word(&connection->word)) {
        tsi_free(connection);
        close(socket);
        return;
    }
    connection->socket = socket;
    if (!say_hello(connection) || !tsi_vec_reserve(&lender->connections, 1) ||
        !watch(lender, socket, connection)) {
        end_connection(lender, connection);
        return;
    }
    tsi_vec_push(&lender->connections, connection);
}

static void
admit_all(struct tsi_lender *lender)
{
    for (int i = 0; i < BACKLOG; i++) {
        const int socket = accept4(lender->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (socket < 0) {
            return;
        }
        admit(lender, socket);
    }
}

// A question for a chunk that is on its way into memory waits; false if it cannot.
static bool
put_off(struct tsi_lender *lender, struct connection *connection,
        const struct tsi_lease_record *want)
{
    const size_t waiting = connection->waiting.count - connection->answered;
    if (waiting == WAITING_MAX || !tsi_vec_push(&connection->waiting, *want)) {
        return false;
    }
    lender->waiting_count++;
    return true;
}

// False if the borrower does not read what it asks for.
static bool
answer(struct tsi_lender *lender, struct connection *connection,
       const struct tsi_lease_record *want)
{
    const char *text = NULL;
    struct tsi_lease_record lent = {.type = TSI_LEASE_LENT, .key = want->key};
    struct tsi_buf *chunk = lender->lookup(lender->context, want->key, &text);
    if (chunk == NULL && text == tsi_server_later && put_off(lender, connection, want)) {
        return true;
    }
    if (chunk == NULL || chunk->bytes != want->bytes || chunk->on_free != NULL ||
        !tsi_pages_place(chunk->data, &lent.offset) ||
        !add_lease(lender, connection, chunk, &lent.lease)) {
        tsi_buf_unref(chunk);
        lent.type = TSI_LEASE_REFUSED;
    } else {
        atomic_store_explicit(&chunk->was_lent, true, memory_order_relaxed);
    }
    lent.bytes = want->bytes;
    return tsi_lease_send(connection->socket, lent, -1);
}

// False if the record breaks a rule.
static bool
obey(struct tsi_lender *lender, struct connection *connection,
     const struct tsi_lease_record *record)
{
    const uint64_t *index;
    switch (record->type) {
    case TSI_LEASE_WANT:
        return answer(lender, connection, record);
    case TSI_LEASE_RETURN:
        index = tsi_map_get(&connection->by_lease, record->lease);
        if (index == NULL) {
            return false;
        }
        remove_lease(lender, connection, (size_t)*index);
        return true;
    default:
        return false;
    }
}

// What is lent may have to be copied first, as the caller's arrays are, and one connection's list
// of questions may be long; so others have their turn after a few megabytes.
static void
hear(struct tsi_lender *lender, struct connection *connection)
{
    uint64_t bytes = 0;
    for (int i = 0; i < RECORDS_PER_TURN && bytes < BYTES_PER_TURN && !connection->ended; i++) {
        struct tsi_lease_record record;
        int file;
        const enum tsi_lease_received received =
            tsi_lease_receive(connection->socket, &record, &file);
        if (received == TSI_LEASE_NOTHING) {
            return;
        }
        if (file >= 0) {
            close(file);
        }
        bytes += received != TSI_LEASE_END && record.type == TSI_LEASE_WANT ? record.bytes : 0;
        connection->ended =
            received == TSI_LEASE_END || file >= 0 || !obey(lender, connection, &record);
    }
}

// Tries all again that were put off.
static void
answer_waiting(struct tsi_lender *lender, struct connection *connection)
{
    const size_t count = connection->waiting.count;
    for (size_t i = 0; i < count && !connection->ended; i++) {
        const struct tsi_lease_record want = connection->waiting.items[i];
        connection->answered = i + 1;
        connection->ended = !answer(lender, connection, &want);
    }
    connection->answered = 0;
    // Behind them are those that have to wait on.
    connection->waiting.count -= count;
    lender->waiting_count -= count;
    if (connection->waiting.count > 0) {
        memmove(connection->waiting.items, connection->waiting.items + count,
                connection->waiting.count * sizeof connection->waiting.items[0]);
    }
}

static void
recall(struct connection *connection, struct lent *lent, uint64_t now_ns)
{
    const struct tsi_lease_record record = {.type = TSI_LEASE_RECALL, .lease = lent->lease};
    if (lent->recalled_ns == 0 && tsi_lease_send(connection->socket, record, -1)) {
        lent->recalled_ns = now_ns;
    } else if (lent->recalled_ns == 0 || now_ns > lent->recalled_ns + RECALL_PATIENCE_NS) {
        connection->ended = true;
    }
}

// Whether only leases hold the chunk.
static bool
is_left_over(const struct tsi_lender *lender, const struct tsi_buf *chunk)
{
    const uint64_t *lent = tsi_map_get(&lender->lent, (uint64_t)(uintptr_t)chunk);
    return lent != NULL && atomic_load_explicit(&chunk->refs, memory_order_acquire) == *lent;
}

// Asks for a chunk that only leases hold. Whoever reads it has to copy it then, and most come back
// by themselves soon; so only where memory is short at once.
static void
recall_if_left_over(struct tsi_lender *lender, struct connection *connection, struct lent *lent,
                    bool is_short, uint64_t now_ns)
{
    if (!is_left_over(lender, lent->chunk)) {
        lent->left_over_ns = 0;
        return;
    }
    if (lent->left_over_ns == 0) {
        lent->left_over_ns = now_ns;
    }
    if (is_short || now_ns >= lent->left_over_ns + LEFT_OVER_NS) {
        recall(connection, lent, now_ns);
    }
}

static void
recall_left_over(struct tsi_lender *lender, bool is_short, uint64_t now_ns)
{
    for (size_t i = 0; i < lender->connections.count; i++) {
        struct connection *connection = lender->connections.items[i];
        for (size_t k = 0; k < connection->leases.count && !connection->ended; k++) {
            recall_if_left_over(lender, connection, &connection->leases.items[k], is_short, now_ns);
        }
    }
}

static void
remove_ended(struct tsi_lender *lender)
{
    size_t kept = 0;
    for (size_t i = 0; i < lender->connections.count; i++) {
        struct connection *connection = lender->connections.items[i];
        if (connection->ended) {
            end_connection(lender, connection);
        } else {
            lender->connections.items[kept++] = connection;
        }
    }
    lender->connections.count = kept;
}

int
tsi_lender_fd(const struct tsi_lender *lender)
{
    return lender->events;
}

void
tsi_lender_turn(struct tsi_lender *lender, uint64_t now_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    const int count = epoll_wait(lender->events, events, EVENTS_PER_TURN, 0);
    bool is_short = false; // of memory
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) {
            admit_all(lender);
        } else if (events[i].data.ptr == lender) {
            tsi_pages_watched();
            is_short = true;
        } else {
            hear(lender, events[i].data.ptr);
        }
    }
    for (size_t i = 0; lender->waiting_count > 0 && i < lender->connections.count; i++) {
        answer_waiting(lender, lender->connections.items[i]);
    }
    if (is_short || now_ns >= lender->next_check_ns) {
        lender->next_check_ns = now_ns + CHECK_NS;
        recall_left_over(lender, is_short, now_ns);
    }
    remove_ended(lender);
}

uint64_t
tsi_lender_deadline(const struct tsi_lender *lender)
{
    return lender->lease_count + lender->waiting_count > 0 ? lender->next_check_ns : UINT64_MAX;
}

size_t
tsi_lender_count(const struct tsi_lender *lender)
{
    return lender->lease_count;
}

// Wants everything back, and lends nothing more.
static void
wait_for_returns(struct tsi_lender *lender)
{
    const uint64_t start = tsi_clock_ns();
    uint64_t now = start;
    for (size_t i = 0; i < lender->connections.count; i++) {
        struct connection *connection = lender->connections.items[i];
        for (size_t k = 0; k < connection->leases.count && !connection->ended; k++) {
            recall(connection, &connection->leases.items[k], now);
        }
    }
    while (lender->lease_count > 0 && now < start + END_PATIENCE_NS) {
        struct pollfd events = {.fd = lender->events, .events = POLLIN};
        (void)poll(&events, 1, 20);
        now = tsi_clock_ns();
        lender->next_check_ns = UINT64_MAX;
        tsi_lender_turn(lender, now);
    }
}

static struct tsi_buf *
have_nothing(void *context, tsi_key key, const char **text)
{
    (void)context;
    (void)key;
    (void)text;
    return NULL;
}

void
tsi_lender_free(struct tsi_lender *lender)
{
    if (lender == NULL) {
        return;
    }
    if (lender->listener >= 0) {
        close(lender->listener);
        unlink(lender->path);
    }
    lender->lookup = have_nothing;
    wait_for_returns(lender);
    for (size_t i = 0; i < lender->connections.count; i++) {
        end_connection(lender, lender->connections.items[i]);
    }
    if (lender->events >= 0) {
        close(lender->events);
    }
    tsi_vec_fini(&lender->connections);
    tsi_map_fini(&lender->lent);
    tsi_free(lender);
}
