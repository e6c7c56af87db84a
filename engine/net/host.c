// SPDX-License-Identifier: Apache-2.0
//
// The identity of this host, for whether two peers can reach each other by ipc.

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/net/net.h"

void
tsi_net_host_identity(char *out, size_t bytes)
{
    char boot[64] = "unknown";
    struct stat space = {0};
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file != NULL) {
        if (fgets(boot, sizeof boot, file) != NULL) {
            boot[strcspn(boot, "\n")] = '\0';
        }
        fclose(file);
    }
    stat("/proc/self/ns/net", &space);
    snprintf(out, bytes, "%s.%lu.%ld", boot, (unsigned long)space.st_ino, (long)geteuid());
}
