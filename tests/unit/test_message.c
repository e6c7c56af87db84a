// SPDX-License-Identifier: Apache-2.0
//
// The wire codec: bytes as docs/PROTOCOL.md gives them, every message there and back, and what
// happens to frames that were cut, changed, or come from another version.

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "scheduler/wire/message.h"
#include "tests/support/message_case.h"

enum { ROUNDS = 100 };

static struct tsi_arena arena;   // of what a test makes
static struct tsi_arena scratch; // of the decoder
static struct tsi_wire_buf out;

static void
begin(void)
{
    tsi_arena_init(&arena);
    tsi_arena_init(&scratch);
}

static void
end(void)
{
    tsi_arena_fini(&arena);
    tsi_arena_fini(&scratch);
    tsi_wire_buf_fini(&out);
}

TestSuite(message, .init = begin, .fini = end);

// Decodes a copy of exactly `count` bytes, so that a sanitizer sees a read past its end.
static tess_status
decode(const unsigned char *bytes, size_t count, struct tsi_message *message,
       struct tsi_error *error)
{
    static unsigned char *copy;
    free(copy);
    copy = malloc(count > 0 ? count : 1);
    cr_assert(copy != NULL);
    memcpy(copy, bytes, count);
    *error = (struct tsi_error){.status = TESS_OK};
    return tsi_message_decode(copy, count, &scratch, message, error);
}

Test(message, every_type_comes_back)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct test_random random = {seed};
        for (uint8_t type = TSI_MESSAGE_HELLO; type < TSI_MESSAGE_TYPE_COUNT; type++) {
            struct tsi_message message;
            struct tsi_message back;
            struct tsi_error error;
            test_message_fill(&random, type, &arena, &message);
            cr_assert(tsi_message_encode(&message, &out));
            cr_assert(decode(out.bytes, out.count, &back, &error) == TESS_OK, "%s, seed %lu: %s",
                      tsi_message_name(type), (unsigned long)seed, error.text);
            const char *difference = test_message_difference(&message, &back);
            cr_assert(difference == NULL, "%s, seed %lu: %s", tsi_message_name(type),
                      (unsigned long)seed, difference);
        }
        tsi_arena_reset(&arena);
    }
}

Test(message, a_frame_that_was_cut_is_refused)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct test_random random = {seed};
        for (uint8_t type = TSI_MESSAGE_HELLO; type < TSI_MESSAGE_TYPE_COUNT; type++) {
            struct tsi_message message;
            struct tsi_message back;
            struct tsi_error error;
            test_message_fill(&random, type, &arena, &message);
            cr_assert(tsi_message_encode(&message, &out));
            const uint32_t body = (uint32_t)out.count - 16;
            for (size_t count = 0; count < out.count; count++) {
                cr_assert(decode(out.bytes, count, &back, &error) == TESS_EPROTOCOL,
                          "%s of %zu bytes cut to %zu", tsi_message_name(type), out.count, count);
                cr_assert(error.text[0] != '\0');
            }
            // Cut, with a length that fits the cut: the fields themselves must notice.
            for (uint32_t cut = 0; cut < body; cut++) {
                const unsigned char length[4] = {(unsigned char)cut, (unsigned char)(cut >> 8),
                                                 (unsigned char)(cut >> 16), 0};
                memcpy(out.bytes + 12, length, 4);
                cr_assert(decode(out.bytes, 16 + cut, &back, &error) == TESS_EPROTOCOL,
                          "%s with a body of %u bytes instead of %u", tsi_message_name(type), cut,
                          body);
            }
        }
        tsi_arena_reset(&arena);
    }
}

Test(message, bytes_after_the_end_are_refused)
{
    struct test_random random = {7};
    for (uint8_t type = TSI_MESSAGE_HELLO; type < TSI_MESSAGE_TYPE_COUNT; type++) {
        struct tsi_message message;
        struct tsi_error error;
        unsigned char bytes[8192];
        test_message_fill(&random, type, &arena, &message);
        cr_assert(tsi_message_encode(&message, &out) && out.count + 1 < sizeof bytes);
        memcpy(bytes, out.bytes, out.count);
        bytes[out.count] = 0;
        cr_assert(decode(bytes, out.count + 1, &message, &error) == TESS_EPROTOCOL);
        const uint32_t body = (uint32_t)out.count + 1 - 16;
        bytes[12] = (unsigned char)body;
        bytes[13] = (unsigned char)(body >> 8);
        cr_assert(decode(bytes, out.count + 1, &message, &error) == TESS_EPROTOCOL, "%s",
                  tsi_message_name(type));
    }
}

// Whatever a changed byte does, the frame is refused, or gives a message that can be written again
// and then gives the same bytes, or one that leaves a chunk out which no longer fits its checksum.
static void
check_changed(const unsigned char *bytes, size_t count)
{
    static struct tsi_wire_buf again;
    struct tsi_message message;
    struct tsi_error error;
    const tess_status status = decode(bytes, count, &message, &error);
    if (status != TESS_OK) {
        cr_assert(status == TESS_EPROTOCOL || status == TESS_EVERSION);
        cr_assert(error.text[0] != '\0');
        return;
    }
    cr_assert(tsi_message_encode(&message, &again));
    cr_assert(message.damaged > 0 ||
                  (again.count == count && memcmp(again.bytes, bytes, count) == 0),
              "%s is written differently the second time", tsi_message_name(message.type));
}

Test(message, a_changed_byte_does_no_harm)
{
    struct test_random random = {11};
    for (int round = 0; round < 8; round++) {
        for (uint8_t type = TSI_MESSAGE_HELLO; type < TSI_MESSAGE_TYPE_COUNT; type++) {
            struct tsi_message message;
            test_message_fill(&random, type, &arena, &message);
            cr_assert(tsi_message_encode(&message, &out));
            for (size_t i = 0; i < out.count; i++) {
                const unsigned char was = out.bytes[i];
                const unsigned char changes[] = {0,
                                                 1,
                                                 255,
                                                 (unsigned char)(was ^ 1),
                                                 (unsigned char)(was ^ 128),
                                                 (unsigned char)(was + 1)};
                for (size_t c = 0; c < sizeof changes; c++) {
                    out.bytes[i] = changes[c];
                    check_changed(out.bytes, out.count);
                }
                out.bytes[i] = was;
            }
        }
        tsi_arena_reset(&arena);
    }
}

static void
check_bytes(const struct tsi_message *message, const char *hex)
{
    char text[1024] = "";
    cr_assert(tsi_message_encode(message, &out));
    for (size_t i = 0; i < out.count; i++) {
        snprintf(text + 2 * i, sizeof text - 2 * i, "%02x", out.bytes[i]);
    }
    cr_assert(strcmp(text, hex) == 0, "%s\n  is %s\nwanted %s", tsi_message_name(message->type),
              text, hex);
}

// Written by hand from the tables of docs/PROTOCOL.md.
Test(message, bytes_of_a_greeting_are_those_of_the_specification)
{
    struct tsi_message heartbeat = {.type = TSI_MESSAGE_HEARTBEAT, .epoch = 0x01020304, .peer = 9};
    check_bytes(&heartbeat, "5453040404030201090000000"
                            "0000000");

    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = TSI_ROLE_WORKER,
                                          .name = "w",
                                          .library = "1.2",
                                          .threads = 8,
                                          .memory_bytes = UINT64_C(0x100000000),
                                          .spill_bytes = 0x3000,
                                          .endpoint = "ipc://x",
                                          .host = "h",
                                          .pid = 0x4d2,
                                          .is_watched = true}};
    check_bytes(&hello, "54530401"
                        "0000000000000000"
                        "2e000000"
                        "01"
                        "0300312e32"
                        "010077"
                        "08000000"
                        "0000000001000000"
                        "0030000000000000"
                        "07006970633a2f2f78"
                        "010068"
                        "d2040000"
                        "01");

    struct tsi_message refuse = {
        .type = TSI_MESSAGE_REFUSE, .epoch = 1, .refuse = {.status = TESS_EVERSION, .text = "no"}};
    check_bytes(&refuse, "54530403"
                         "0100000000000000"
                         "06000000"
                         "1100"
                         "02006e6f");
}

Test(message, bytes_of_work_are_those_of_the_specification)
{
    const struct tsi_assignment item = {1, 2, 3, 4, 2};
    const struct tsi_location places[] = {{.key = tsi_key_of(1, 7), .peer = 5},
                                          {.key = 6, .peer = 0, .bytes = 2, .data = "hi"}};
    struct tsi_message assign = {
        .type = TSI_MESSAGE_ASSIGN, .epoch = 1, .peer = 2, .assign = {&item, 1, places, 2}};
    check_bytes(&assign, "54530408"
                         "0100000002000000"
                         "46000000"
                         "0100000002000000"
                         "0100000002000000030000000400000002000000"
                         "0700000001000000"
                         "0500000000000000"
                         "0600000000000000"
                         "0000000003000000"
                         "6869"
                         "9a6eead7bb00232a");

    const struct tsi_completion done_item = {1, 2, 3, 1000, 4, 0x60, "\x01\x02\x03\x04"};
    struct tsi_message done = {
        .type = TSI_MESSAGE_DONE, .epoch = 1, .peer = 2, .done = {&done_item, 1}};
    check_bytes(&done, "5453040f"
                       "0100000002000000"
                       "34000000"
                       "01000000"
                       "010000000200000003000000e8030000"
                       "0400000000000000"
                       "6000000000000000"
                       "01000000"
                       "01020304"
                       "2246ac33907b8b98");

    struct tsi_message get = {.type = TSI_MESSAGE_GET, .get = {tsi_key_of(1, 2), 4096, 1}};
    check_bytes(&get, "5453041a"
                      "0000000000000000"
                      "18000000"
                      "0200000001000000"
                      "0010000000000000"
                      "0100000000000000");
}

Test(message, bytes_of_an_end_are_those_of_the_specification)
{
    const struct tsi_worker_peak peaks[] = {{7, "w", 0x100, 0xff}, {8, "", 1, 0}};
    struct tsi_message ended = {.type = TSI_MESSAGE_JOB_ENDED,
                                .epoch = 1,
                                .peer = 2,
                                .job_ended = {.job = 3,
                                              .token = 4,
                                              .status = TESS_OK,
                                              .text = "",
                                              .costs = {5, 0x100, 0xff, peaks, 2}}};
    check_bytes(&ended, "54530419"
                        "0100000002000000"
                        "59000000"
                        "03000000"
                        "0400000000000000"
                        "0000"
                        "0000"
                        "0500000000000000"
                        "0001000000000000"
                        "ff00000000000000"
                        "02000000"
                        "07000000"
                        "010077"
                        "0001000000000000"
                        "ff00000000000000"
                        "08000000"
                        "0000"
                        "0100000000000000"
                        "0000000000000000");

    struct tsi_message attach = {
        .type = TSI_MESSAGE_ATTACH, .epoch = 1, .peer = 2, .claim = {.token = 0x1122334455667788}};
    check_bytes(&attach, "54530421"
                         "0100000002000000"
                         "08000000"
                         "8877665544332211");
}

static void
flip(size_t bit)
{
    out.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
}

// The last bytes of `message` are a chunk and its checksum.
static void
check_damage(const struct tsi_message *message, size_t chunk_bytes,
             const void *(*data_of)(const struct tsi_message *))
{
    struct tsi_message back;
    struct tsi_error error;
    cr_assert(tsi_message_encode(message, &out));
    cr_assert(decode(out.bytes, out.count, &back, &error) == TESS_OK);
    cr_assert(back.damaged == 0 && data_of(&back) != NULL);
    for (size_t bit = 8 * (out.count - chunk_bytes - 8); bit < 8 * out.count; bit++) {
        flip(bit);
        cr_assert(decode(out.bytes, out.count, &back, &error) == TESS_OK, "%s", error.text);
        cr_assert(back.damaged == 1 && data_of(&back) == NULL, "%s: bit %zu",
                  tsi_message_name(message->type), bit);
        flip(bit);
    }
}

static const void *
data_of_done(const struct tsi_message *message)
{
    return message->done.items[0].data;
}

static const void *
data_of_ready(const struct tsi_message *message)
{
    return message->ready.items[0].data;
}

static const void *
data_of_assign(const struct tsi_message *message)
{
    return message->assign.locations[0].data;
}

static const void *
data_of_copy(const struct tsi_message *message)
{
    return message->copy.locations[0].data;
}

Test(message, a_chunk_that_was_damaged_counts_as_one_that_did_not_come_along)
{
    const struct tsi_completion done = {1, 2, 3, 1000, 5, 0, "hello"};
    const struct tsi_ready_item ready = {1, 2, 5, "hello"};
    const struct tsi_assignment item = {1, 2, 3, 4, 1};
    const struct tsi_location place = {.key = 6, .peer = 7, .bytes = 5, .data = "hello"};
    check_damage(&(struct tsi_message){.type = TSI_MESSAGE_DONE, .done = {&done, 1}}, 5,
                 data_of_done);
    check_damage(&(struct tsi_message){.type = TSI_MESSAGE_READY,
                                       .ready = {.job = 1, .items = &ready, .count = 1}},
                 5, data_of_ready);
    check_damage(&(struct tsi_message){.type = TSI_MESSAGE_ASSIGN, .assign = {&item, 1, &place, 1}},
                 5, data_of_assign);
    check_damage(&(struct tsi_message){.type = TSI_MESSAGE_COPY, .copy = {&place, 1}}, 5,
                 data_of_copy);
}

Test(message, the_head_of_a_segment_is_its_encoding)
{
    struct test_random random = {3};
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char head[TSI_WIRE_SEGMENT_HEAD];
        struct tsi_message message;
        test_message_fill(&random, TSI_MESSAGE_SEGMENT, &arena, &message);
        cr_assert(tsi_message_encode(&message, &out));
        cr_assert(tsi_message_segment_head(&message, head) == out.count);
        cr_assert(memcmp(head, out.bytes, out.count) == 0);
    }
}

// A HELLO of another version, whose body goes on in a way that nobody here knows.
Test(message, another_version_is_named_and_its_hello_readable)
{
    static const unsigned char hello[] = {'T', 'S', 9,   TSI_MESSAGE_HELLO,
                                          0,   0,   0,   0,
                                          0,   0,   0,   0,
                                          11,  0,   0,   0,
                                          2,   5,   0,   '9',
                                          '.', '0', '.', '1',
                                          7,   7,   7};
    struct tsi_message message;
    struct tsi_error error;
    cr_assert(decode(hello, sizeof hello, &message, &error) == TESS_EVERSION);
    cr_assert(message.type == TSI_MESSAGE_HELLO && message.hello.role == TSI_ROLE_CLIENT);
    cr_assert(strcmp(message.hello.library, "9.0.1") == 0);
    cr_assert(strcmp(error.text, "protocol version 9 of Tessera 9.0.1, but this side speaks "
                                 "version 4") == 0,
              "%s", error.text);

    // One that is too short for even that.
    static const unsigned char bare[] = {'T', 'S', 9, TSI_MESSAGE_HELLO, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                         0,   0,   0};
    cr_assert(decode(bare, sizeof bare, &message, &error) == TESS_EVERSION);
    cr_assert(strcmp(error.text, "protocol version 9, but this side speaks version 4") == 0);
}

Test(message, a_refusal_of_another_version_is_readable)
{
    struct tsi_message refuse = {
        .type = TSI_MESSAGE_REFUSE,
        .refuse = {.status = TESS_EVERSION, .text = "version 9 is needed"}};
    struct tsi_message message;
    struct tsi_error error;
    cr_assert(tsi_message_encode(&refuse, &out));
    out.bytes[2] = 9;
    cr_assert(decode(out.bytes, out.count, &message, &error) == TESS_EVERSION);
    cr_assert(message.type == TSI_MESSAGE_REFUSE && message.refuse.status == TESS_EVERSION);
    cr_assert(strcmp(message.refuse.text, "version 9 is needed") == 0);

    out.bytes[16] = 200; // a status that only the other side knows
    cr_assert(decode(out.bytes, out.count, &message, &error) == TESS_EVERSION);
    cr_assert(message.refuse.status == TESS_EVERSION);
    cr_assert(strcmp(message.refuse.text, "version 9 is needed") == 0);
}

Test(message, frames_that_are_none_are_refused)
{
    struct tsi_message message;
    struct tsi_error error;
    unsigned char frame[16] = {'T', 'S', TSI_WIRE_VERSION, TSI_MESSAGE_HEARTBEAT};
    cr_assert(decode(frame, sizeof frame, &message, &error) == TESS_OK);
    cr_assert(tsi_message_decode(NULL, 0, &scratch, &message, &error) == TESS_EPROTOCOL);
    frame[1] = 'X';
    cr_assert(decode(frame, sizeof frame, &message, &error) == TESS_EPROTOCOL);
    frame[1] = 'S';
    frame[3] = TSI_MESSAGE_NONE;
    cr_assert(decode(frame, sizeof frame, &message, &error) == TESS_EPROTOCOL);
    frame[3] = TSI_MESSAGE_TYPE_COUNT;
    cr_assert(decode(frame, sizeof frame, &message, &error) == TESS_EPROTOCOL);
    cr_assert(strstr(error.text, "unknown message") != NULL, "%s", error.text);
    frame[3] = TSI_MESSAGE_HEARTBEAT;
    frame[15] = 0x80; // a length far beyond the frame
    cr_assert(decode(frame, sizeof frame, &message, &error) == TESS_EPROTOCOL);
}

// Encodes, changes 4 bytes of the body at `at` to all ones, and expects a refusal.
static void
check_huge(const struct tsi_message *message, size_t at)
{
    struct tsi_message back;
    struct tsi_error error;
    cr_assert(tsi_message_encode(message, &out));
    memset(out.bytes + 16 + at, 255, 4);
    cr_assert(decode(out.bytes, out.count, &back, &error) == TESS_EPROTOCOL, "%s at %zu",
              tsi_message_name(message->type), at);
}

Test(message, huge_counts_are_refused)
{
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_ASSIGN}, 0);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_ASSIGN}, 4);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_COPY}, 0);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_DONE}, 0);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_RETRACT}, 0);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_FREE}, 0);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_READY}, 32);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_TAKEN}, 4);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_PROGRAM}, 12);
    check_huge(&(struct tsi_message){.type = TSI_MESSAGE_SUBMIT}, 9);
}

// Numbers of a message that are out of their range.
Test(message, fields_outside_their_range_are_refused)
{
    static unsigned char large[TSI_INLINE_BYTES_MAX + 1];
    const struct tsi_completion done = {.bytes = sizeof large, .data = large};
    const struct tsi_location location = {.bytes = sizeof large, .data = large};
    const struct tsi_message wrong[] = {
        {.type = TSI_MESSAGE_HELLO, .hello = {.role = 3, .threads = 1}},
        {.type = TSI_MESSAGE_HELLO, .hello = {.role = TSI_ROLE_WORKER, .threads = 0}},
        {.type = TSI_MESSAGE_HELLO, .hello = {.role = TSI_ROLE_WORKER, .threads = 5000}},
        {.type = TSI_MESSAGE_REFUSE, .refuse = {.status = TESS_OK}},
        {.type = TSI_MESSAGE_REFUSE, .refuse = {.status = TESS_STATUS_COUNT}},
        {.type = TSI_MESSAGE_ENDED, .ended = {.end = TSI_ATTEMPT_FAILED, .status = TESS_OK}},
        {.type = TSI_MESSAGE_ENDED, .ended = {.end = (enum tsi_attempt_end)9}},
        {.type = TSI_MESSAGE_JOB_ENDED, .job_ended = {.status = TESS_RUNNING}},
        {.type = TSI_MESSAGE_GET, .get = {0, UINT64_MAX, 2}},
        {.type = TSI_MESSAGE_SEGMENT, .segment = {.offset = 2, .total = 1}},
        {.type = TSI_MESSAGE_SEGMENT, .segment = {.offset = 1, .total = 2, .count = 2}},
        {.type = TSI_MESSAGE_SEGMENT,
         .segment = {.total = UINT64_MAX, .count = TSI_WIRE_SEGMENT_MAX + 1}},
        {.type = TSI_MESSAGE_DONE, .done = {&done, 1}},
        {.type = TSI_MESSAGE_COPY, .copy = {&location, 1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tsi_message back;
        struct tsi_error error;
        cr_assert(tsi_message_encode(&wrong[i], &out));
        cr_assert(decode(out.bytes, out.count, &back, &error) == TESS_EPROTOCOL, "case %zu: %s", i,
                  tsi_message_name(wrong[i].type));
        cr_assert(strstr(error.text, tsi_message_name(wrong[i].type)) != NULL, "%s", error.text);
    }
}

Test(message, long_texts_are_cut_to_what_may_travel)
{
    char text[3000];
    struct tsi_message back;
    struct tsi_error error;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct tsi_message message = {.type = TSI_MESSAGE_MISSING, .missing = {.text = text}};
    cr_assert(tsi_message_encode(&message, &out));
    cr_assert(decode(out.bytes, out.count, &back, &error) == TESS_OK);
    cr_assert(strlen(back.missing.text) == TSI_ERROR_TEXT_MAX - 1);
}

Test(message, memory_that_runs_out_is_an_error)
{
    struct test_random random = {5};
    for (uint8_t type = TSI_MESSAGE_HELLO; type < TSI_MESSAGE_TYPE_COUNT; type++) {
        struct tsi_message message;
        struct tsi_message back;
        struct tsi_error error = {.status = TESS_OK};
        tsi_wire_buf_fini(&out);
        test_message_fill(&random, type, &arena, &message);
        tsi_memory_fail_after(0);
        cr_assert(!tsi_message_encode(&message, &out), "%s", tsi_message_name(type));
        tsi_memory_fail_after(-1);
        cr_assert(tsi_message_encode(&message, &out));
        tsi_arena_fini(&scratch);
        tsi_arena_init(&scratch);
        tsi_memory_fail_after(0);
        const tess_status status =
            tsi_message_decode(out.bytes, out.count, &scratch, &back, &error);
        tsi_memory_fail_after(-1);
        cr_assert(status == TESS_OK || status == TESS_ENOMEM, "%s", tsi_message_name(type));
        cr_assert(status == TESS_ENOMEM || type != TSI_MESSAGE_HELLO, "a HELLO has texts");
    }
}

Test(message, one_that_is_too_large_is_not_sent)
{
    const size_t count = TSI_WIRE_MESSAGE_MAX;
    unsigned char *bytes = calloc(1, count);
    struct tsi_message message = {.type = TSI_MESSAGE_SUBMIT,
                                  .submit = {.bytes = bytes, .count = count}};
    cr_assert(!tsi_message_encode(&message, &out));
    message.submit.count = (size_t)64 << 20;
    cr_assert(tsi_message_encode(&message, &out), "the largest program fits");
    free(bytes);
}

Test(message, names_are_those_of_the_protocol)
{
    cr_assert(strcmp(tsi_message_name(TSI_MESSAGE_JOB_ENDED), "JOB_ENDED") == 0);
    cr_assert(strcmp(tsi_message_name(255), "unknown message") == 0);
    for (uint8_t type = 0; type < TSI_MESSAGE_TYPE_COUNT; type++) {
        cr_assert(tsi_message_name(type) != NULL && tsi_message_name(type)[0] != '\0');
    }
}
