// SPDX-License-Identifier: Apache-2.0
//
// The identity of this host, for whether two peers can reach each other by ipc: that takes the same
// kernel, the same files and the same user. Where one of these cannot be told, the identity is a
// number that nobody else has, since a wrong yes hurts and a wrong no only costs time.

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/net.h"

static bool
read_boot(char *out, size_t bytes)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    const bool ok = file != NULL && fgets(out, (int)bytes, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (ok) {
        out[strcspn(out, "\n")] = '\0';
    }
    return ok;
}

void
tsi_net_host_identity(char *out, size_t bytes)
{
    char boot[40];
    struct stat net;
    struct stat files;
    if (read_boot(boot, sizeof boot) && stat("/proc/self/ns/net", &net) == 0 &&
        stat("/proc/self/ns/mnt", &files) == 0) {
        snprintf(out, bytes, "%s.%lu.%lu.%ld", boot, (unsigned long)net.st_ino,
                 (unsigned long)files.st_ino, (long)geteuid());
        return;
    }
    uint64_t random[2] = {tsi_clock_wall_ns(), (uint64_t)getpid()};
    (void)!getrandom(random, sizeof random, 0);
    snprintf(out, bytes, "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}
