// SPDX-License-Identifier: Apache-2.0
//
// Memory that is lent: it is read where it is, cannot be written, is never used for anything else
// while somebody reads it, and comes back whatever becomes of the reader.

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/pages.h"
#include "engine/net/borrower.h"
#include "engine/net/lender.h"
#include "tests/support/random.h"

#define ENDPOINT "ipc:///somewhere"

enum { MIB = 1 << 20, CHUNKS = 4 };

static char directory[] = "/tmp/tessera-test-XXXXXX";
static struct tsi_buf *chunks[CHUNKS]; // NULL: there is none
static struct tsi_lender *lender;
static struct tsi_borrower *borrower;
static uint64_t now;  // of the lender
static bool is_later; // no chunk is there yet

static struct tsi_buf *
look_up(void *context, tsi_key key, const char **text)
{
    (void)context;
    *text = is_later ? tsi_server_later : "none";
    return !is_later && key < CHUNKS && chunks[key] != NULL ? tsi_buf_ref(chunks[key]) : NULL;
}

static void
fill(struct tsi_buf *chunk, unsigned char value)
{
    memset(chunk->data, value, chunk->bytes);
}

static bool
is_all(const struct tsi_buf *chunk, unsigned char value)
{
    for (size_t i = 0; i < chunk->bytes; i++) {
        if (chunk->data[i] != value) {
            return false;
        }
    }
    return true;
}

static void
begin(void)
{
    cr_assert(mkdtemp(directory) != NULL);
    setenv("XDG_RUNTIME_DIR", directory, 1);
    cr_assert(tsi_pages_share((uint64_t)64 * MIB), "the system shares no memory");
    for (size_t i = 0; i < CHUNKS; i++) {
        chunks[i] = tsi_buf_new((i + 1) * MIB + i);
        cr_assert(chunks[i] != NULL);
        fill(chunks[i], (unsigned char)(i + 1));
    }
    now = tsi_clock_ns();
    lender = tsi_lender_new(ENDPOINT, "", look_up, NULL);
    cr_assert(lender != NULL);
    borrower = tsi_borrower_new(ENDPOINT, "");
    cr_assert(borrower != NULL);
}

static void
end(void)
{
    char path[64];
    tsi_borrower_free(borrower, false);
    tsi_lender_free(lender);
    for (size_t i = 0; i < CHUNKS; i++) {
        tsi_buf_unref(chunks[i]);
    }
    cr_expect(tsi_buf_bytes_now() == 0, "memory is left");
    snprintf(path, sizeof path, "%s/tessera", directory);
    cr_expect(rmdir(path) == 0 && rmdir(directory) == 0, "a socket is left");
}

TestSuite(lease, .init = begin, .fini = end);

// What the lender gives of chunk `key`.
static struct tsi_buf *
borrow(tsi_key key)
{
    struct tsi_borrowed borrowed;
    enum tsi_lease_received received = TSI_LEASE_NOTHING;
    cr_assert(tsi_borrower_want(borrower, key, (key + 1) * MIB + key));
    for (int i = 0; i < 100 && received == TSI_LEASE_NOTHING; i++) {
        tsi_lender_turn(lender, now);
        received = tsi_borrower_next(borrower, &borrowed);
    }
    cr_assert(received == TSI_LEASE_GOT && borrowed.key == key);
    return borrowed.chunk;
}

// Lets both sides do what they have to; the state of the connection.
static enum tsi_lease_received
settle(void)
{
    struct tsi_borrowed borrowed;
    tsi_lender_turn(lender, now);
    const enum tsi_lease_received received = tsi_borrower_next(borrower, &borrowed);
    tsi_lender_turn(lender, now);
    return received;
}

// A second later, and another one: what is left over then was so all the time.
static void
let_time_pass(void)
{
    now += 2 * TSI_SECOND;
    tsi_lender_turn(lender, now);
    now += 1 * TSI_SECOND;
    tsi_lender_turn(lender, now);
}

// The owner gives its chunk up, and makes other ones until the memory would have been used again.
static void
give_up(size_t key)
{
    struct tsi_buf *others[8];
    tsi_buf_unref(chunks[key]);
    chunks[key] = NULL;
    for (size_t i = 0; i < 8; i++) {
        others[i] = tsi_buf_new((key + 1) * MIB + key);
        cr_assert(others[i] != NULL);
        fill(others[i], 0xEE);
    }
    for (size_t i = 0; i < 8; i++) {
        tsi_buf_unref(others[i]);
    }
}

Test(lease, is_the_memory_of_the_lender_and_cannot_be_written)
{
    struct tsi_buf *lent = borrow(2);
    cr_assert(lent != NULL && lent->bytes == chunks[2]->bytes && is_all(lent, 3));
    cr_assert(lent->data != chunks[2]->data);
    fill(chunks[2], 77); // nobody should, but it shows that there is one memory
    cr_assert(is_all(lent, 77));
    unsigned char *page = lent->data;
    cr_assert(mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0 && errno == EACCES);
    cr_assert(tsi_buf_is_sound(lent));
    tsi_buf_unref(lent);
    settle();
    cr_assert(tsi_lender_count(lender) == 0);
}

Test(lease, keeps_the_memory_until_it_is_returned)
{
    struct tsi_buf *lent = borrow(1);
    give_up(1);
    cr_assert(is_all(lent, 2) && tsi_buf_is_sound(lent));
    cr_assert(tsi_lender_count(lender) == 1);
    tsi_buf_unref(lent);
    settle();
    cr_assert(tsi_lender_count(lender) == 0);
}

Test(lease, ends_for_a_copy_when_the_owner_wants_its_memory_back)
{
    struct tsi_buf *first = borrow(0);
    struct tsi_buf *lent = borrow(1);
    const unsigned char *place = lent->data;
    tsi_buf_unref(chunks[1]);
    chunks[1] = NULL;
    let_time_pass();
    cr_assert(settle() == TSI_LEASE_NOTHING);
    cr_assert(tsi_lender_count(lender) == 1, "the one that its owner has stays lent");
    chunks[1] = tsi_buf_new(2 * MIB + 1); // the same memory
    cr_assert(chunks[1] != NULL);
    fill(chunks[1], 0xEE);
    cr_assert(lent->data == place && is_all(lent, 2) && tsi_buf_is_sound(lent));
    cr_assert(borrow(1) == NULL, "the place is in use, so the next one is fetched");
    tsi_buf_unref(lent);
    struct tsi_buf *next = borrow(1);
    cr_assert(next != NULL && is_all(next, 0xEE) && tsi_buf_is_sound(next));
    tsi_buf_unref(next);
    tsi_buf_unref(first);
}

Test(lease, of_what_its_owner_gave_up_a_moment_ago_is_not_asked_back)
{
    struct tsi_buf *lent = borrow(1);
    tsi_buf_unref(chunks[1]);
    chunks[1] = NULL;
    now += 2 * TSI_SECOND;
    tsi_lender_turn(lender, now); // finds it for the first time
    cr_assert(settle() == TSI_LEASE_NOTHING);
    cr_assert(tsi_lender_count(lender) == 1, "the reader has copied what it is about to return");
    tsi_buf_unref(lent);
    settle();
    cr_assert(tsi_lender_count(lender) == 0);
}

Test(lease, of_one_reader_with_many_questions_does_not_keep_others_waiting)
{
    struct tsi_borrower *other = tsi_borrower_new(ENDPOINT, "");
    cr_assert(other != NULL);
    tsi_lender_turn(lender, now); // admits both
    for (size_t key = CHUNKS; key-- > 0;) {
        cr_assert(tsi_borrower_want(borrower, key, (key + 1) * MIB + key));
    }
    cr_assert(tsi_borrower_want(other, 0, MIB));
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 4, "three of nine megabytes, and the other's");
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 5);
    tsi_borrower_free(other, false);
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 4);
}

Test(lease, of_pages_that_stay_mapped_counts_once)
{
    const uint64_t before = tsi_pages_bytes();
    tsi_pages_expect((int64_t)64 * MIB);
    tsi_buf_unref(borrow(2));
    settle();
    const uint64_t mapped = tsi_pages_bytes() - before;
    cr_assert(mapped >= 3 * MIB + 2, "%llu", (unsigned long long)mapped);
    struct tsi_buf *again = borrow(2);
    cr_assert(tsi_pages_bytes() - before == mapped && is_all(again, 3));
    tsi_buf_unref(again);
    tsi_pages_trim();
    cr_assert(tsi_pages_bytes() == before);
    tsi_buf_unref(borrow(2));
    tsi_pages_expect((int64_t)before + MIB - (int64_t)64 * MIB); // less than is mapped
    cr_assert(tsi_pages_bytes() == before);
    again = borrow(2);
    cr_assert(is_all(again, 3));
    tsi_buf_unref(again);
    cr_assert(tsi_pages_bytes() == before, "there is no room for it");
    tsi_pages_expect(-(int64_t)before - MIB);
}

Test(lease, of_a_borrower_that_does_not_answer_is_taken_back)
{
    struct tsi_buf *lent = borrow(3);
    struct tsi_buf *other = borrow(0);
    tsi_buf_unref(chunks[3]);
    chunks[3] = NULL;
    let_time_pass(); // asks
    now += 9 * TSI_SECOND;
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 2 && tsi_buf_is_sound(lent));
    now += 2 * TSI_SECOND;
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 0);
    cr_assert(!tsi_buf_is_sound(lent) && !tsi_buf_is_sound(other));
    struct tsi_borrowed borrowed;
    cr_assert(tsi_borrower_next(borrower, &borrowed) == TSI_LEASE_END);
    tsi_borrower_free(borrower, true);
    borrower = NULL;
    cr_assert(!tsi_buf_is_sound(lent) && !tsi_buf_is_sound(other), "a copy of it is no better");
    tsi_buf_unref(lent);
    tsi_buf_unref(other);
}

Test(lease, of_a_lender_that_ends_is_found_to_be_over)
{
    struct tsi_buf *lent = borrow(2);
    tsi_lender_free(lender); // nobody answers the recall
    lender = NULL;
    cr_assert(!tsi_buf_is_sound(lent));
    tsi_buf_unref(lent);
}

Test(lease, is_copied_when_the_connection_is_given_up_and_stays_good)
{
    struct tsi_buf *lent = borrow(2);
    struct tsi_buf *second = borrow(0);
    tsi_borrower_free(borrower, true);
    borrower = NULL;
    tsi_buf_unref(second);
    give_up(2);
    cr_assert(is_all(lent, 3) && tsi_buf_is_sound(lent));
    tsi_buf_unref(lent);
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 0);
}

Test(lease, ends_with_the_process_that_has_it)
{
    int pipes[2];
    char byte;
    cr_assert(pipe(pipes) == 0);
    const pid_t child = fork();
    if (child == 0) {
        struct tsi_borrower *mine = tsi_borrower_new(ENDPOINT, "");
        const bool ok = mine != NULL && tsi_borrower_want(mine, 1, 2 * MIB + 1);
        (void)!write(pipes[1], ok ? "y" : "n", 1);
        pause();
    }
    cr_assert(read(pipes[0], &byte, 1) == 1 && byte == 'y');
    tsi_lender_turn(lender, now); // admits
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 0);
    close(pipes[0]);
    close(pipes[1]);
}

Test(lease, is_refused_for_what_is_not_there_or_not_in_shared_memory)
{
    struct tsi_buf *own = chunks[3];
    struct tsi_borrowed borrowed;
    chunks[3] = NULL;
    cr_assert(borrow(3) == NULL);
    chunks[3] = tsi_buf_new(100);
    cr_assert(borrow(3) == NULL);
    tsi_buf_unref(chunks[3]);
    chunks[3] = own;
    cr_assert(tsi_borrower_want(borrower, 1, 5)); // another size
    tsi_lender_turn(lender, now);
    cr_assert(tsi_borrower_next(borrower, &borrowed) == TSI_LEASE_GOT && borrowed.chunk == NULL);
    cr_assert(tsi_borrower_new("ipc:///elsewhere", "") == NULL);
    cr_assert(tsi_borrower_new(ENDPOINT, "another key") == NULL);
}

// A plain connection to the lender.
static int
open_plain(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int plain = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert(tsi_lease_path(ENDPOINT, "", address.sun_path, sizeof address.sun_path));
    cr_assert(connect(plain, (struct sockaddr *)&address, sizeof address) == 0);
    return plain;
}

Test(lease, survives_garbage)
{
    struct test_random random = {5};
    for (int i = 0; i < 300; i++) {
        unsigned char bytes[200];
        const int plain = open_plain();
        struct tsi_lease_record record = {.type = (uint32_t)test_random_between(&random, 0, 8),
                                          .key = (uint64_t)test_random_between(&random, 0, 5),
                                          .lease = (uint64_t)test_random_between(&random, 0, 5),
                                          .bytes = 2 * MIB + 1};
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (unsigned char)test_random_bits(&random);
        }
        if (test_random_one_in(&random, 2)) {
            tsi_lease_send(plain, record, test_random_one_in(&random, 3) ? 0 : -1);
        }
        (void)!send(plain, bytes, (size_t)test_random_between(&random, 0, sizeof bytes),
                    MSG_NOSIGNAL);
        tsi_lender_turn(lender, now);
        tsi_lender_turn(lender, now);
        close(plain);
    }
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 0);
    struct tsi_buf *lent = borrow(1);
    cr_assert(lent != NULL && is_all(lent, 2));
    tsi_buf_unref(lent);
}

// Somebody that wants and never reads loses its connection, not the lender its memory.
Test(lease, of_one_that_floods_ends)
{
    const int plain = open_plain();
    const struct tsi_lease_record want = {.type = TSI_LEASE_WANT, .key = 1, .bytes = 2 * MIB + 1};
    int sent = 0;
    for (int i = 0; i < 5000 && tsi_lease_send(plain, want, -1); i++) {
        tsi_lender_turn(lender, now);
        sent++;
    }
    cr_assert(sent < 5000, "nothing stops it");
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 0);
    close(plain);
}

// Takes the answers that have come; how many of them refuse.
static int
read_refusals(int plain)
{
    struct tsi_lease_record record;
    int file = -1;
    int refusals = 0;
    while (tsi_lease_receive(plain, &record, &file) == TSI_LEASE_GOT) {
        refusals += record.type == TSI_LEASE_REFUSED;
        if (file >= 0) {
            close(file);
        }
    }
    return refusals;
}

// Of what is not there yet so many questions wait, however often they are looked at; the others are
// told to fetch it.
Test(lease, so_many_questions_of_a_reader_wait)
{
    enum { WAITING_MAX = 1024, TOO_MANY = 100 };
    const int plain = open_plain();
    const struct tsi_lease_record want = {.type = TSI_LEASE_WANT, .key = 1, .bytes = 2 * MIB + 1};
    int refusals = 0;
    is_later = true;
    tsi_lender_turn(lender, now);
    for (int i = 0; i < WAITING_MAX + TOO_MANY; i++) {
        cr_assert(tsi_lease_send(plain, want, -1));
        tsi_lender_turn(lender, now);
        refusals += read_refusals(plain);
        cr_assert(refusals == 0 || i >= WAITING_MAX, "only %d wait", i);
    }
    for (int i = 0; i < 10; i++) {
        tsi_lender_turn(lender, now);
        refusals += read_refusals(plain);
    }
    cr_assert(refusals == TOO_MANY, "%d were refused", refusals);
    close(plain);
    is_later = false;
    tsi_lender_turn(lender, now);
    struct tsi_buf *lent = borrow(1);
    cr_assert(lent != NULL && is_all(lent, 2), "others are served");
    tsi_buf_unref(lent);
}

Test(lease, so_many_leases_of_one_reader_are_there_at_a_time)
{
    enum { LEASES_MAX = 65536, TOO_MANY = 10 };
    const int plain = open_plain();
    const struct tsi_lease_record want = {.type = TSI_LEASE_WANT, .key = 0, .bytes = MIB};
    int refusals = 0;
    tsi_lender_turn(lender, now);
    for (int i = 0; i < LEASES_MAX + TOO_MANY; i++) {
        cr_assert(tsi_lease_send(plain, want, -1));
        tsi_lender_turn(lender, now);
        refusals += read_refusals(plain);
    }
    cr_assert(tsi_lender_count(lender) == LEASES_MAX && refusals == TOO_MANY,
              "%zu leases, %d refusals", (size_t)tsi_lender_count(lender), refusals);
    close(plain);
    tsi_lender_turn(lender, now);
    cr_assert(tsi_lender_count(lender) == 0);
}

// Whether the lender has greeted the connection, and not ended it.
static bool
is_let_in(int plain)
{
    struct tsi_lease_record record;
    int file = -1;
    tsi_lender_turn(lender, now);
    const bool is_in = tsi_lease_receive(plain, &record, &file) == TSI_LEASE_GOT;
    if (file >= 0) {
        close(file);
    }
    return is_in;
}

Test(lease, so_many_readers_are_let_in)
{
    enum { CONNECTIONS_MAX = 1024, FILES = 2 * CONNECTIONS_MAX + 200 };
    static int readers[CONNECTIONS_MAX];
    struct rlimit files;
    cr_assert(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    if (files.rlim_max < FILES || setrlimit(RLIMIT_NOFILE, &files) != 0) {
        puts("lease: this process may not have enough files");
        return;
    }
    tsi_lender_turn(lender, now); // the borrower that all tests have
    for (int i = 0; i < CONNECTIONS_MAX - 1; i++) {
        readers[i] = open_plain();
        cr_assert(is_let_in(readers[i]), "only %d are let in", i);
    }
    const int turned_away = open_plain();
    cr_assert(!is_let_in(turned_away), "one too many");
    close(turned_away);
    close(readers[0]);
    tsi_lender_turn(lender, now);
    readers[0] = open_plain();
    cr_assert(is_let_in(readers[0]), "there is room again");
    for (int i = 0; i < CONNECTIONS_MAX - 1; i++) {
        close(readers[i]);
    }
    tsi_lender_turn(lender, now);
}

// What a lender that means harm says after HELLO.
static void
check_false_lender(int seals, const struct tsi_lease_record *hello,
                   const struct tsi_lease_record *lent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct tsi_borrowed borrowed;
    enum tsi_lease_received received;
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const int file = memfd_create("false", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(ftruncate(file, 4 * MIB) == 0 && fcntl(file, F_ADD_SEALS, seals) == 0);
    cr_assert(tsi_lease_path("ipc:///false", "", address.sun_path, sizeof address.sun_path));
    cr_assert(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(listener, 1) == 0);
    struct tsi_borrower *mine = tsi_borrower_new("ipc:///false", "");
    const int accepted = accept(listener, NULL, NULL);
    cr_assert(mine != NULL && tsi_borrower_want(mine, 7, 2 * MIB) && accepted >= 0);
    cr_assert(tsi_lease_send(accepted, *hello, file) && tsi_lease_send(accepted, *lent, -1));
    received = tsi_borrower_next(mine, &borrowed);
    cr_assert(received == TSI_LEASE_END && borrowed.chunk == NULL);
    tsi_borrower_free(mine, true);
    close(accepted);
    close(listener);
    close(file);
    unlink(address.sun_path);
}

Test(lease, is_not_believed_where_it_cannot_be)
{
    const struct tsi_lease_record hello = {.type = TSI_LEASE_HELLO, .bytes = 64 * MIB};
    const struct tsi_lease_record lent = {
        .type = TSI_LEASE_LENT, .key = 7, .lease = 1, .offset = 64 << 10, .bytes = 2 * MIB};
    struct tsi_lease_record other = hello;
    check_false_lender(0, &hello, &lent); // a file that may shrink under the reader
    other.word = UINT64_MAX;
    check_false_lender(F_SEAL_SHRINK, &other, &lent);
    other = hello;
    other.bytes = UINT64_MAX / 2 + 1;
    check_false_lender(F_SEAL_SHRINK, &other, &lent);
    const uint64_t offsets[] = {0, 1, 3 * MIB, 64 * MIB, UINT64_MAX - MIB + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        other = lent;
        other.offset = offsets[i];
        check_false_lender(F_SEAL_SHRINK, &hello, &other);
    }
    const uint64_t sizes[] = {0, 5 * MIB, 64 * MIB, UINT64_MAX, UINT64_MAX - 65535};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        other = lent;
        other.bytes = sizes[i];
        check_false_lender(F_SEAL_SHRINK, &hello, &other);
    }
}
