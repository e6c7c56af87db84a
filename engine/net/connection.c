// SPDX-License-Identifier: Apache-2.0
//
// Connection files: written whole or not at all, read with suspicion. A file that has one key must
// have all, so that damage never turns into a connection without keys; and no message quotes a
// file's contents, since they are secrets.

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
#include <zmq.h>

#include "engine/base/clock.h"
#include "engine/base/file_name.h"
#include "engine/base/memory.h"

#define FORMAT 1
#define FILE_BYTES_MAX 65536
#define WAIT_STEP_NS (50 * TSI_MILLISECOND)

// Longer directories leave no room for a socket's name in the 107 characters that its path may
// have.
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
        const bool fits =
            temporary != NULL && temporary[0] == '/' && strlen(temporary) < DIRECTORY_MAX;
        length = snprintf(out, bytes, "%s/tessera-%ld", fits ? temporary : "/tmp", (long)geteuid());
    }
    if (length < 0 || (size_t)length >= bytes) {
        return tsi_error_set(error, TESS_ELIMIT, "the directory for sockets has too long a name");
    }
    if ((mkdir(out, 0700) != 0 && errno != EEXIST) || lstat(out, &info) != 0) {
        return fail_file(error, out);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
        return tsi_error_set(error, TESS_EACCESS,
                             "%s: must be a directory of this user that nobody else may enter",
                             out);
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

// Addresses get into messages and logs, where a control character could do mischief.
static bool
is_plain(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at == 127) {
            return false;
        }
    }
    return true;
}

static bool
copy_key(const json_t *root, const char *name, char out[TSI_KEY_TEXT])
{
    uint8_t key[32];
    const bool ok = copy_text(root, name, out, TSI_KEY_TEXT) && strlen(out) == TSI_KEY_TEXT - 1 &&
                    zmq_z85_decode(key, out) != NULL;
    explicit_bzero(key, sizeof key);
    return ok;
}

static bool
copy_keys(const json_t *root, struct tsi_connection *connection)
{
    connection->has_keys = json_object_get(root, "scheduler_public") != NULL ||
                           json_object_get(root, "member_public") != NULL ||
                           json_object_get(root, "member_secret") != NULL;
    return !connection->has_keys ||
           (copy_key(root, "scheduler_public", connection->scheduler_public) &&
            copy_key(root, "member_public", connection->member_public) &&
            copy_key(root, "member_secret", connection->member_secret));
}

// Whether tcp is meant to be without keys: only the word itself says so, not that keys are missing.
static bool
copy_insecure(const json_t *root, struct tsi_connection *connection)
{
    const json_t *word = json_object_get(root, "insecure");
    connection->insecure = json_is_true(word);
    return (word == NULL || json_is_boolean(word)) &&
           !(connection->insecure && connection->has_keys);
}

static bool
copy_fields(const json_t *root, struct tsi_connection *connection)
{
    const json_int_t epoch = json_integer_value(json_object_get(root, "epoch"));
    const json_int_t pid = json_integer_value(json_object_get(root, "pid"));
    if (epoch <= 0 || epoch > UINT32_MAX || pid <= 0 || pid > INT32_MAX) {
        return false;
    }
    connection->epoch = (uint32_t)epoch;
    connection->pid = pid;
    return copy_text(root, "address", connection->address, sizeof connection->address) &&
           is_address(connection->address) && is_plain(connection->address) &&
           copy_keys(root, connection) && copy_insecure(root, connection);
}

tess_status
tsi_connection_parse(const char *text, size_t count, struct tsi_connection *connection,
                     struct tsi_error *error)
{
    json_error_t json_error;
    json_t *root = json_loadb(text, count, JSON_REJECT_DUPLICATES, &json_error);
    *connection = (struct tsi_connection){0};
    if (root == NULL) {
        return tsi_error_set(error, TESS_EFORMAT, "no connection file: line %d is not JSON",
                             json_error.line);
    }
    const json_int_t format = json_integer_value(json_object_get(root, "tessera"));
    const bool ok = format == FORMAT && copy_fields(root, connection);
    json_decref(root);
    if (!ok) {
        explicit_bzero(connection, sizeof *connection);
        return tsi_error_set(error, TESS_EFORMAT,
                             "no connection file of format %d: a field is missing or malformed",
                             FORMAT);
    }
    return TESS_OK;
}

// Parses the open file `file`.
static tess_status
read_open(int file, const char *path, struct tsi_connection *connection, struct tsi_error *error)
{
    struct stat info;
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        return tsi_error_set(error, TESS_EIO, "%s: is no file", path);
    }
    if (info.st_size > FILE_BYTES_MAX) {
        return tsi_error_set(error, TESS_EFORMAT, "%s: too large for a connection file", path);
    }
    char *text = tsi_alloc(FILE_BYTES_MAX);
    if (text == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "%s: out of memory", path);
    }
    const ssize_t count = read(file, text, FILE_BYTES_MAX);
    const tess_status status = count < 0
                                   ? fail_file(error, path)
                                   : tsi_connection_parse(text, (size_t)count, connection, error);
    explicit_bzero(text, FILE_BYTES_MAX);
    tsi_free(text);
    if (count >= 0 && status != TESS_OK) {
        tsi_error_prefix(error, "%s", path);
    }
    if (status == TESS_OK && connection->has_keys && (info.st_mode & 077) != 0) {
        explicit_bzero(connection, sizeof *connection);
        return tsi_error_set(
            error, TESS_EACCESS,
            "%s: holds keys, but others may read it (its mode is %03o; 600 is safe)", path,
            (unsigned)info.st_mode & 0777);
    }
    return status;
}

// As tsi_connection_read(); `*absent` tells whether there was no file.
static tess_status
read_file(const char *path, struct tsi_connection *connection, bool *absent,
          struct tsi_error *error)
{
    *connection = (struct tsi_connection){0};
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *absent = file < 0 && errno == ENOENT;
    if (file < 0) {
        return fail_file(error, path);
    }
    const tess_status status = read_open(file, path, connection, error);
    close(file);
    return status;
}

tess_status
tsi_connection_read(const char *path, struct tsi_connection *connection, struct tsi_error *error)
{
    bool absent;
    return read_file(path, connection, &absent, error);
}

// Whether a scheduler with a higher epoch than `epoch` wrote the file at `path` and still runs
// here.
static bool
is_taken(const char *path, const struct tsi_connection *mine)
{
    struct tsi_connection other;
    return tsi_connection_read(path, &other, NULL) == TESS_OK && other.epoch > mine->epoch &&
           other.pid != mine->pid && (kill((pid_t)other.pid, 0) == 0 || errno == EPERM);
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

static bool
add_text(json_t *root, const char *name, const char *text)
{
    return json_object_set_new(root, name, json_string(text)) == 0;
}

// The text of the file, with a final zero; NULL when memory is out.
static char *
format_file(const struct tsi_connection *connection)
{
    json_t *root =
        json_pack("{s:i, s:s, s:I, s:I}", "tessera", FORMAT, "address", connection->address,
                  "epoch", (json_int_t)connection->epoch, "pid", (json_int_t)connection->pid);
    char *text = tsi_calloc(FILE_BYTES_MAX, 1);
    bool ok = root != NULL && text != NULL;
    if (ok && connection->has_keys) {
        ok = add_text(root, "scheduler_public", connection->scheduler_public) &&
             add_text(root, "member_public", connection->member_public) &&
             add_text(root, "member_secret", connection->member_secret);
    }
    if (ok && connection->insecure) {
        ok = json_object_set_new(root, "insecure", json_true()) == 0;
    }
    const size_t count = ok ? json_dumpb(root, text, FILE_BYTES_MAX - 1, JSON_INDENT(2)) : 0;
    json_decref(root);
    if (count == 0 || count >= FILE_BYTES_MAX) {
        tsi_free(text);
        return NULL;
    }
    return text;
}

// Writes `text` to a new file at `temporary`, then gives that the name `path`.
static tess_status
replace_file(const char *path, const char *temporary, const char *text, struct tsi_error *error)
{
    unlink(temporary); // of a process that had the same number and died
    const int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        const tess_status status = fail_file(error, path);
        tsi_error_prefix(error, "cannot write the connection file");
        return status;
    }
    const bool ok = fchmod(file, 0600) == 0 && write_whole(file, text, strlen(text)) &&
                    rename(temporary, path) == 0;
    const tess_status status = ok ? TESS_OK : fail_file(error, path);
    close(file);
    if (!ok) {
        unlink(temporary);
    }
    return status;
}

tess_status
tsi_connection_write(const char *path, const struct tsi_connection *connection,
                     struct tsi_error *error)
{
    char temporary[TSI_PATH_MAX];
    if (is_taken(path, connection)) {
        return tsi_error_set(error, TESS_EACCESS, "%s: belongs to a newer scheduler that runs",
                             path);
    }
    if (!tsi_file_name_is_free(AT_FDCWD, path)) {
        return tsi_error_set(error, TESS_EIO, "cannot replace %s: it is no file", path);
    }
    const int length = snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return tsi_error_set(error, TESS_ELIMIT, "%.200s…: the name is too long", path);
    }
    char *text = format_file(connection);
    if (text == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "%s: out of memory", path);
    }
    const tess_status status = replace_file(path, temporary, text, error);
    explicit_bzero(text, FILE_BYTES_MAX);
    tsi_free(text);
    return status;
}

// An address that the user gave: the keys are in the connection file if it tells of the same
// scheduler.
static tess_status
find_address(const char *address, bool insecure, struct tsi_connection *connection,
             struct tsi_error *error)
{
    char path[TSI_PATH_MAX] = "";
    if (tsi_connection_default_path(path, sizeof path, NULL) == TESS_OK &&
        tsi_connection_read(path, connection, NULL) == TESS_OK &&
        strcmp(connection->address, address) == 0) {
        return TESS_OK;
    }
    *connection = (struct tsi_connection){0};
    snprintf(connection->address, sizeof connection->address, "%s", address);
    connection->insecure = insecure && strncmp(address, "tcp://", 6) == 0;
    if (strncmp(address, "tcp://", 6) == 0 && !insecure) {
        return tsi_error_set(error, TESS_EACCESS,
                             "%s: the keys of this scheduler are not known. Give its connection "
                             "file, which carries them, instead of its address (by default "
                             "tessera-scheduler writes %s). A scheduler without keys is only used "
                             "where --insecure says so, or in a program TESSERA_INSECURE=1 or the "
                             "option `insecure` of its session",
                             address, path[0] != '\0' ? path : "scheduler.json");
    }
    return TESS_OK;
}

tess_status
tsi_connection_find(const char *where, bool insecure, uint64_t deadline_ns, bool (*stop)(void),
                    struct tsi_connection *connection, struct tsi_error *error)
{
    char standard[TSI_PATH_MAX];
    if (where != NULL && is_address(where)) {
        if (strlen(where) >= sizeof connection->address) {
            return tsi_error_set(error, TESS_EINVAL, "the address of the scheduler is too long");
        }
        return find_address(where, insecure, connection, error);
    }
    if (where == NULL || *where == '\0') {
        const tess_status status = tsi_connection_default_path(standard, sizeof standard, error);
        if (status != TESS_OK) {
            return status;
        }
        where = standard;
    }
    for (;;) {
        bool absent;
        const tess_status status = read_file(where, connection, &absent, error);
        if (!absent) {
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
