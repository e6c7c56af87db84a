// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a program: they are refused, or give a program that can be gone through and that is
// written and read again to the same bytes.

#include <string.h>

#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/program_walk.h"

unsigned long fuzz_taken;

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct tsi_error error = {0};
    struct tsi_program *program = NULL;
    if (tsi_program_decode(bytes, byte_count, &program, &error) != TESS_OK) {
        require(program == NULL && error.text[0] != '\0', "an error without a message");
        return 0;
    }
    fuzz_taken++;
    const char *wrong = test_program_walk(program);
    require(wrong == NULL, wrong);

    unsigned char *once = NULL;
    unsigned char *twice = NULL;
    size_t once_count = 0;
    size_t twice_count = 0;
    struct tsi_program *again = NULL;
    require(tsi_program_encode(program, &once, &once_count, &error) == TESS_OK, error.text);
    require(tsi_program_decode(once, once_count, &again, &error) == TESS_OK, error.text);
    require(tsi_program_encode(again, &twice, &twice_count, &error) == TESS_OK, error.text);
    require(once_count == twice_count && memcmp(once, twice, once_count) == 0,
            "a program is written differently the second time");
    tsi_free(once);
    tsi_free(twice);
    tsi_program_free(program);
    tsi_program_free(again);
    return 0;
}
