// SPDX-License-Identifier: Apache-2.0
//
// A socket file is dead if connecting to it is refused. A number of a process alone proves nothing:
// it may be of another namespace that shares the directory. Refusal alone proves nothing either:
// there is a moment between a socket's name and its first listening. Only both together do.

#include "engine/net/ipc.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *
tsi_ipc_path(const char *address)
{
    return strncmp(address, "ipc://", 6) == 0 ? address + 6 : NULL;
}

bool
tsi_ipc_is_abstract(const char *address)
{
    const char *path = tsi_ipc_path(address);
    return path != NULL && path[0] == '@';
}

// The error of connecting to `path`, 0 if somebody listens there.
static int
try_connecting(const char *path, int kind)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path));
    const int probe = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        return errno;
    }
    const int result = connect(probe, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(probe);
    return result;
}

bool
tsi_ipc_is_live(const char *path)
{
    const int result = try_connecting(path, SOCK_STREAM);
    return result == 0 || result == EAGAIN;
}

// The process that `name` is named after, 0 if it is no name of a socket of ours.
static pid_t
process_of(const char *name)
{
    char *end = NULL;
    const long number = name[0] == 'd' || name[0] == 's' ? strtol(name + 1, &end, 10) : 0;
    return number > 0 && number <= INT32_MAX && (*end == '\0' || *end == '-') ? (pid_t)number : 0;
}

// Whether `name` is that of a lender's socket (lease.h). It is given only to one that listens.
static bool
is_lender(const char *name)
{
    return name[0] == 'm' && strlen(name) == 17 &&
           strspn(name + 1, "0123456789abcdef") == strlen(name) - 1;
}

static void
sweep_one(const char *directory, const char *name)
{
    char path[sizeof(struct sockaddr_un)];
    struct stat info;
    const pid_t process = process_of(name);
    const int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    const bool is_dead =
        is_lender(name) || (process > 0 && kill(process, 0) != 0 && errno == ESRCH);
    if (is_dead && length > 0 && (size_t)length < sizeof path && lstat(path, &info) == 0 &&
        S_ISSOCK(info.st_mode) &&
        try_connecting(path, is_lender(name) ? SOCK_SEQPACKET : SOCK_STREAM) == ECONNREFUSED) {
        unlink(path);
    }
}

void
tsi_ipc_sweep(const char *directory)
{
    DIR *entries = opendir(directory);
    if (entries == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        sweep_one(directory, entry->d_name);
    }
    closedir(entries);
}
