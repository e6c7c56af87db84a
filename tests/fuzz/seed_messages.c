// SPDX-License-Identifier: Apache-2.0
//
// Writes messages of every type into a directory, a file each, for the corpus of fuzz_message when
// the protocol has a new version:
//
//   tests/fuzz_seed_messages DIR COUNT
//
// writes COUNT of each type; docs/anatomy-of-an-op.md says what to do with them.

#include <stdio.h>
#include <stdlib.h>

#include "scheduler/wire/message.h"
#include "tests/support/message_case.h"

static int
write_message(const char *directory, const struct tsi_message *message, int number)
{
    char path[4096];
    struct tsi_wire_buf out = {0};
    const int length =
        snprintf(path, sizeof path, "%s/%s-%d", directory, tsi_message_name(message->type), number);
    FILE *file =
        length < (int)sizeof path && tsi_message_encode(message, &out) ? fopen(path, "wb") : NULL;
    if (file == NULL) {
        tsi_wire_buf_fini(&out);
        return -1;
    }
    const size_t written = fwrite(out.bytes, 1, out.count, file);
    const int is_closed = fclose(file) == 0;
    const int is_whole = is_closed && written == out.count;
    tsi_wire_buf_fini(&out);
    return is_whole ? 0 : -1;
}

int
main(int argument_count, char **arguments)
{
    struct test_random random = {1};
    struct tsi_arena arena;
    if (argument_count != 3) {
        fprintf(stderr, "usage: fuzz_seed_messages DIR COUNT\n");
        return 2;
    }
    tsi_arena_init(&arena);
    for (uint8_t type = TSI_MESSAGE_HELLO; type < TSI_MESSAGE_TYPE_COUNT; type++) {
        for (int i = 0; i < atoi(arguments[2]); i++) {
            struct tsi_message message;
            test_message_fill(&random, type, &arena, &message);
            if (write_message(arguments[1], &message, i) != 0) {
                perror(arguments[1]);
                return EXIT_FAILURE;
            }
            tsi_arena_reset(&arena);
        }
    }
    tsi_arena_fini(&arena);
    return EXIT_SUCCESS;
}
