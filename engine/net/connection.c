// SPDX-License-Identifier: Apache-2.0
//
// Connection files: written whole or not at all, read with suspicion.

#include "engine/net/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

#define FORMAT 1
#define FILE_BYTES_MAX 65536
#define WAIT_STEP_NS (50 * TSI_MILLISECOND)

// Longer directories leave no room for a socket's name in the 107 characters that its path may have.
#define DIRECTORY_MAX 64

static tess_status
fail_file(struct tsi_error *error, const char *path)
{
    return tsi_error_set(error, errno == EACCES ? TESS_EACCESS : TESS_EIO, "%s: %s", path,
                         strerror(errno));
}

tess_status
tsi_connection_directory(char *out, size_t bytes, struct tsi_error *error)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *temporary = getenv("TMPDIR");
    struct stat info;
    int length = -1;
    if (runtime != NULL && runtime[0] == '/' && strlen(runtime) < DIRECTORY_MAX &&
        access(runtime, W_OK | X_OK) == 0) {
        length = snprintf(out, bytes, "%s/tessera", runtime);
    } else {
        const bool fits = temporary != NULL && temporary[0] == '/' &&
                          strlen(temporary) < DIRECTORY_MAX;
        length = snprintf(out, bytes, "%s/tessera-%ld", fits ? temporary : "/tmp", (long)getuid());
    }
    if (length < 0 || (size_t)length >= bytes) {
        return tsi_error_set(error, TESS_ELIMIT, "the directory for sockets has too long a name");
    }
    if ((mkdir(out, 0700) != 0 && errno != EEXIST) || lstat(out, &info) != 0) {
        return fail_file(error, out);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
        return tsi_error_set(error, TESS_EACCESS,
                             "%s: must be a directory of this user that nobody else may enter", out);
    }
    return TESS_OK;
}

tess_status
tsi_connection_default_path(char *out, size_t bytes, struct tsi_error *error)
{
    char directory[TSI_WIRE_ENDPOINT_MAX];
    const tess_status status = tsi_connection_directory(directory, sizeof directory, error);
    if (status == TESS_OK) {
        snprintf(out, bytes, "%s/scheduler.json", directory);
    }
    return status;
}

static bool
copy_text(const json_t *object, const char *name, char *out, size_t bytes)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL || strlen(text) >= bytes) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool
is_address(const char *text)
{
    return strncmp(text, "tcp://", 6) == 0 || strncmp(text, "ipc://", 6) == 0;
}

static bool
copy_keys(const json_t *root, struct tsi_connection *connection)
{
    connection->has_keys = json_object_get(root, "scheduler_public") != NULL;
    if (!connection->has_keys) {
        return true;
    }
    return copy_text(root, "scheduler_public", connection->scheduler_public, TSI_KEY_TEXT) &&
           copy_text(root, "member_public", connection->member_public, TSI_KEY_TEXT) &&
           copy_text(root, "member_secret", connection->member_secret, TSI_KEY_TEXT) &&
           strlen(connection->scheduler_public) == TSI_KEY_TEXT - 1 &&
           strlen(connection->member_public) == TSI_KEY_TEXT - 1 &&
           strlen(connection->member_secret) == TSI_KEY_TEXT - 1;
}

tess_status
tsi_connection_parse(const char *text, size_t count, struct tsi_connection *connection,
                     struct tsi_error *error)
{
    json_error_t json_error;
    json_t *root = json_loadb(text, count, JSON_REJECT_DUPLICATES, &json_error);
    *connection = (struct tsi_connection){0};
    if (root == NULL) {
        return tsi_error_set(error, TESS_EFORMAT, "no connection file: line %d: %s", json_error.line,
                             json_error.text);
    }
    const json_int_t format = json_integer_value(json_object_get(root, "tessera"));
    const json_int_t epoch = json_integer_value(json_object_get(root, "epoch"));
    const bool ok = format == FORMAT && epoch > 0 && epoch <= UINT32_MAX &&
                    copy_text(root, "address", connection->address, sizeof connection->address) &&
                    is_address(connection->address) && copy_keys(root, connection);
    connection->epoch = ok ? (uint32_t)epoch : 0;
    connection->pid = json_integer_value(json_object_get(root, "pid"));
    json_decref(root);
    return ok ? TESS_OK
              : tsi_error_set(error, TESS_EFORMAT,
                              "no connection file of format %d: a field is missing or malformed",
                              FORMAT);
}

tess_status
tsi_connection_read(const char *path, struct tsi_connection *connection, struct tsi_error *error)
{
    struct stat info;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &info) != 0) {
        const tess_status status = fail_file(error, path);
        if (file >= 0) {
            close(file);
        }
        return status;
    }
    char *text = tsi_alloc(FILE_BYTES_MAX);
    const ssize_t count = text != NULL && S_ISREG(info.st_mode) ? read(file, text, FILE_BYTES_MAX)
                                                                : -1;
    close(file);
    if (count < 0) {
        tsi_free(text);
        return tsi_error_set(error, TESS_EIO, "%s: cannot be read", path);
    }
    const tess_status status = tsi_connection_parse(text, (size_t)count, connection, error);
    tsi_free(text);
    if (status != TESS_OK) {
        tsi_error_prefix(error, "%s", path);
        return status;
    }
    if (connection->has_keys && (info.st_mode & 077) != 0) {
        return tsi_error_set(error, TESS_EACCESS,
                             "%s: holds keys, but others may read it (its mode is %03o; 600 is safe)",
                             path, (unsigned)info.st_mode & 0777);
    }
    return TESS_OK;
}

// Whether a scheduler with a higher epoch than `epoch` wrote the file at `path` and still runs here.
static bool
is_taken(const char *path, const struct tsi_connection *mine)
{
    struct tsi_connection other;
    return tsi_connection_read(path, &other, NULL) == TESS_OK && other.epoch > mine->epoch &&
           other.pid != mine->pid && other.pid > 0 &&
           (kill((pid_t)other.pid, 0) == 0 || errno == EPERM);
}

static bool
write_whole(int file, const char *text, size_t count)
{
    while (count > 0) {
        const ssize_t written = write(file, text, count);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        text += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return fsync(file) == 0;
}

static char *
format_file(const struct tsi_connection *connection)
{
    json_t *root = json_pack("{s:i, s:s, s:I, s:I}", "tessera", FORMAT, "address",
                             connection->address, "epoch", (json_int_t)connection->epoch, "pid",
                             (json_int_t)connection->pid);
    if (root != NULL && connection->has_keys) {
        json_object_set_new(root, "scheduler_public", json_string(connection->scheduler_public));
        json_object_set_new(root, "member_public", json_string(connection->member_public));
        json_object_set_new(root, "member_secret", json_string(connection->member_secret));
    }
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

tess_status
tsi_connection_write(const char *path, const struct tsi_connection *connection,
                     struct tsi_error *error)
{
    char temporary[TSI_PATH_MAX];
    if (is_taken(path, connection)) {
        return tsi_error_set(error, TESS_EACCESS, "%s: belongs to a newer scheduler that runs", path);
    }
    const int length = snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return tsi_error_set(error, TESS_ELIMIT, "%.200s…: the name is too long", path);
    }
    char *text = format_file(connection);
    if (text == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "%s: out of memory", path);
    }
    const int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    const bool ok = file >= 0 && fchmod(file, 0600) == 0 &&
                    write_whole(file, text, strlen(text)) && rename(temporary, path) == 0;
    const tess_status status = ok ? TESS_OK : fail_file(error, path);
    free(text);
    if (file >= 0) {
        close(file);
    }
    if (!ok) {
        unlink(temporary);
    }
    return status;
}

// An address that the user gave: the keys are in the connection file if it tells of the same scheduler.
static tess_status
find_address(const char *address, struct tsi_connection *connection)
{
    char path[TSI_PATH_MAX];
    if (tsi_connection_default_path(path, sizeof path, NULL) == TESS_OK &&
        tsi_connection_read(path, connection, NULL) == TESS_OK &&
        strcmp(connection->address, address) == 0) {
        return TESS_OK;
    }
    *connection = (struct tsi_connection){0};
    snprintf(connection->address, sizeof connection->address, "%s", address);
    return TESS_OK;
}

tess_status
tsi_connection_find(const char *where, uint64_t deadline_ns, bool (*stop)(void),
                    struct tsi_connection *connection, struct tsi_error *error)
{
    char standard[TSI_PATH_MAX];
    if (where != NULL && is_address(where)) {
        if (strlen(where) >= sizeof connection->address) {
            return tsi_error_set(error, TESS_EINVAL, "the address of the scheduler is too long");
        }
        return find_address(where, connection);
    }
    if (where == NULL || *where == '\0') {
        const tess_status status = tsi_connection_default_path(standard, sizeof standard, error);
        if (status != TESS_OK) {
            return status;
        }
        where = standard;
    }
    for (;;) {
        const tess_status status = tsi_connection_read(where, connection, error);
        if (status == TESS_OK || access(where, F_OK) == 0) {
            return status;
        }
        if (tsi_clock_ns() >= deadline_ns || (stop != NULL && stop())) {
            return tsi_error_set(error, TESS_ECONNECT,
                                 "%s: no scheduler has written this connection file; start "
                                 "tessera-scheduler first",
                                 where);
        }
        nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_NS}, NULL);
    }
}
