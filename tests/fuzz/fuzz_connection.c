// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a connection file: they are refused with a reason and leave nothing behind, or give
// fields that are what the file's rules say.

#include <string.h>

#include "engine/net/connection.h"
#include "tests/fuzz/fuzz.h"

unsigned long fuzz_taken;

static bool
has_all_keys(const struct tsi_connection *connection)
{
    return strlen(connection->scheduler_public) == TSI_KEY_TEXT - 1 &&
           strlen(connection->member_public) == TSI_KEY_TEXT - 1 &&
           strlen(connection->member_secret) == TSI_KEY_TEXT - 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct tsi_connection connection;
    struct tsi_error error = {.status = TESS_OK};
    const tess_status status =
        tsi_connection_parse((const char *)bytes, byte_count, &connection, &error);
    if (status != TESS_OK) {
        require(status == TESS_EFORMAT && error.text[0] != '\0', "an error without a message");
        require(connection.address[0] == '\0' && connection.member_secret[0] == '\0' &&
                    connection.epoch == 0 && !connection.has_keys && !connection.insecure,
                "a refused file left fields");
        return 0;
    }
    fuzz_taken++;
    require(strncmp(connection.address, "tcp://", 6) == 0 ||
                strncmp(connection.address, "ipc://", 6) == 0,
            "an address of another kind");
    require(connection.epoch > 0 && connection.pid > 0, "a number out of its range");
    require(connection.has_keys ? has_all_keys(&connection) : connection.member_secret[0] == '\0',
            "some keys, but not all");
    require(!(connection.has_keys && connection.insecure), "keys, and none");
    return 0;
}
