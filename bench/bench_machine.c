// SPDX-License-Identifier: Apache-2.0
//
// What the system says of itself in /proc, /sys and /etc; what is not there is left out.

#include "bench/bench_machine.h"

#include <czmq.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/bench_process.h"
#include "engine/base/machine.h"
#include "engine/kernel/kernel.h"
#include "tessera.h"

#define LINE_BYTES 512

// The rest of the first line of a file that starts with `key`, without the separator and quotes.
static bool
find_line(const char *path, const char *key, char out[LINE_BYTES])
{
    char line[LINE_BYTES];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strncmp(line, key, strlen(key)) == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    if (found) {
        const char *start = line + strlen(key) + strspn(line + strlen(key), " \t:=\"");
        snprintf(out, LINE_BYTES, "%.*s", (int)strcspn(start, "\"\n"), start);
    }
    return found;
}

// "L1d 48K, L2 1024K, L3 32768K"
static void
describe_caches(char out[LINE_BYTES])
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < 8; i++) {
        char path[128];
        char level[LINE_BYTES];
        char type[LINE_BYTES];
        char size[LINE_BYTES];
        const char *folder = "/sys/devices/system/cpu/cpu0/cache";
        snprintf(path, sizeof path, "%s/index%d/level", folder, i);
        bool known = find_line(path, "", level);
        snprintf(path, sizeof path, "%s/index%d/type", folder, i);
        known = known && find_line(path, "", type);
        snprintf(path, sizeof path, "%s/index%d/size", folder, i);
        known = known && find_line(path, "", size);
        if (known && strcmp(type, "Instruction") != 0 && used < LINE_BYTES / 2) {
            used += (size_t)snprintf(out + used, LINE_BYTES - used, "%sL%.8s%s %.16s",
                                     used > 0 ? ", " : "", level,
                                     strcmp(type, "Data") == 0 ? "d" : "", size);
        }
    }
}

json_t *
bench_machine_describe(void)
{
    char text[LINE_BYTES] = "unknown";
    struct utsname name = {0};
    json_t *machine = json_object();
    find_line("/proc/cpuinfo", "model name", text);
    json_object_set_new(machine, "processor", json_string(text));
    json_object_set_new(machine, "processors", json_integer(tsi_machine_processors()));
    json_object_set_new(machine, "memory_bytes",
                        json_integer((json_int_t)tsi_machine_memory_bytes()));
    describe_caches(text);
    json_object_set_new(machine, "caches", json_string(text));
    uname(&name);
    snprintf(text, sizeof text, "%s %s", name.sysname, name.release);
    json_object_set_new(machine, "kernel", json_string(text));
    snprintf(text, sizeof text, "unknown");
    find_line("/etc/os-release", "PRETTY_NAME", text);
    json_object_set_new(machine, "system", json_string(text));
    return machine;
}

// Python tells the versions of the packages that there are, as JSON.
static void
add_peer_versions(json_t *versions)
{
    char home[PATH_MAX];
    char command[PATH_MAX + 128];
    json_error_t error;
    bench_process_home(home, sizeof home);
    snprintf(
        command, sizeof command,
        "/usr/bin/env PATH=\"/usr/bin:$PATH\" python3 '%s/../libexec/tessera/peer/versions.py' "
        "2>/dev/null",
        home);
    // The path is that of this program.
    FILE *answer = popen(command, "re"); // NOLINT(cert-env33-c)
    json_t *peers = answer != NULL ? json_loadf(answer, 0, &error) : NULL;
    if (answer != NULL) {
        pclose(answer);
    }
    if (json_is_object(peers)) {
        json_object_update(versions, peers);
    }
    json_decref(peers);
}

// OpenBLAS tells its version to the program that is linked with it.
static bool
ask_limit(char out[LINE_BYTES])
{
    char home[PATH_MAX];
    char command[PATH_MAX + 128];
    bench_process_home(home, sizeof home);
    snprintf(command, sizeof command, "'%s/../libexec/tessera/limit-blas' --version 2>/dev/null",
             home);
    FILE *answer = popen(command, "re"); // NOLINT(cert-env33-c)
    const bool known = answer != NULL && fgets(out, LINE_BYTES, answer) != NULL;
    if (answer != NULL) {
        pclose(answer);
    }
    if (known) {
        out[strcspn(out, "\n")] = '\0';
    }
    return known;
}

json_t *
bench_machine_versions(bool peers)
{
    char text[LINE_BYTES];
    int major = 0;
    int minor = 0;
    int patch = 0;
    json_t *versions = json_object();
    json_object_set_new(versions, "Tessera", json_string(tess_version()));
    json_object_set_new(versions, "kernels", json_string(tsi_kernel()->isa));
    json_object_set_new(versions, "compiler", json_string(__VERSION__));
    if (ask_limit(text)) {
        json_object_set_new(versions, "OpenBLAS", json_string(text));
    }
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    json_object_set_new(versions, "ZeroMQ", json_string(text));
    if (peers) {
        add_peer_versions(versions);
    }
    return versions;
}
