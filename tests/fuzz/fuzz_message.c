// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a frame: they are refused with a reason, or give a message that is written again to
// the same bytes, unless a checksum in it is wrong.

#include <string.h>

#include "scheduler/wire/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/message_case.h"

unsigned long fuzz_taken;

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct tsi_arena scratch;
    struct tsi_arena scratch_again;
    struct tsi_message message;
    struct tsi_message again;
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_wire_buf out = {0};
    tsi_arena_init(&scratch);
    tsi_arena_init(&scratch_again);
    const tess_status status = tsi_message_decode(bytes, byte_count, &scratch, &message, &error);
    if (status != TESS_OK) {
        require(error.status == status && error.text[0] != '\0', "an error without a message");
    } else {
        fuzz_taken++;
        require(tsi_message_encode(&message, &out), "a message that cannot be written");
        require(message.damaged > 0 ||
                    (out.count == byte_count && memcmp(out.bytes, bytes, byte_count) == 0),
                "a message is written differently the second time");
        require(tsi_message_decode(out.bytes, out.count, &scratch_again, &again, &error) == TESS_OK,
                error.text);
        const char *difference = test_message_difference(&message, &again);
        require(difference == NULL, difference);
    }
    tsi_arena_fini(&scratch);
    tsi_arena_fini(&scratch_again);
    tsi_wire_buf_fini(&out);
    return 0;
}
