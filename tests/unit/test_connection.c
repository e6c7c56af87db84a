// SPDX-License-Identifier: Apache-2.0
//
// Connection files: what is written comes back, nobody else can read it, and damaged, strange or
// missing files are told apart. Also the directory that they are in by default.

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/net/connection.h"
#include "engine/net/net.h"

static char directory[256]; // a fresh one for each test, removed at its end
static char file_path[300];

static void
begin(void)
{
    snprintf(directory, sizeof directory, "/tmp/tessera-test-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
    snprintf(file_path, sizeof file_path, "%s/scheduler.json", directory);
    setenv("XDG_RUNTIME_DIR", directory, 1);
}

static void
end(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0) {
        fprintf(stderr, "%s stays\n", directory);
    }
}

TestSuite(connection, .init = begin, .fini = end);

static struct tsi_connection
sample(bool with_keys)
{
    struct tsi_connection connection = {.epoch = 77, .pid = getpid()};
    snprintf(connection.address, sizeof connection.address, "tcp://10.0.0.1:8786");
    if (with_keys) {
        char secret[TSI_KEY_TEXT];
        cr_assert(tsi_net_make_keys(&connection, secret, NULL) == TESS_OK);
    }
    return connection;
}

static void
put_file(const char *path, const char *text, size_t count, mode_t mode)
{
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fwrite(text, 1, count, file) == count);
    fclose(file);
    cr_assert(chmod(path, mode) == 0);
}

static int
mode_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int)(info.st_mode & 07777) : -1;
}

static void
check_equal(const struct tsi_connection *a, const struct tsi_connection *b)
{
    cr_assert(strcmp(a->address, b->address) == 0 && a->epoch == b->epoch && a->pid == b->pid);
    cr_assert(a->has_keys == b->has_keys && a->insecure == b->insecure);
    cr_assert(strcmp(a->scheduler_public, b->scheduler_public) == 0);
    cr_assert(strcmp(a->member_public, b->member_public) == 0);
    cr_assert(strcmp(a->member_secret, b->member_secret) == 0);
}

Test(connection, comes_back_and_only_its_owner_can_read_it)
{
    for (int with_keys = 0; with_keys < 2; with_keys++) {
        const struct tsi_connection connection = sample(with_keys == 1);
        struct tsi_connection back;
        struct tsi_error error;
        umask(0);
        cr_assert(tsi_connection_write(file_path, &connection, &error) == TESS_OK, "%s",
                  error.text);
        cr_assert(mode_of(file_path) == 0600, "mode %o", (unsigned)mode_of(file_path));
        cr_assert(tsi_connection_read(file_path, &back, &error) == TESS_OK, "%s", error.text);
        check_equal(&connection, &back);
    }
}

Test(connection, keys_that_others_may_read_are_refused)
{
    const struct tsi_connection connection = sample(true);
    const mode_t modes[] = {0644, 0640, 0604, 0660, 0620};
    struct tsi_connection back;
    struct tsi_error error;
    cr_assert(tsi_connection_write(file_path, &connection, &error) == TESS_OK);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        cr_assert(chmod(file_path, modes[i]) == 0);
        cr_assert(tsi_connection_read(file_path, &back, &error) == TESS_EACCESS);
        cr_assert(strstr(error.text, file_path) != NULL && strstr(error.text, "600") != NULL, "%s",
                  error.text);
        cr_assert(back.member_secret[0] == '\0', "no key comes out");
    }
    struct tsi_connection open = sample(false);
    open.insecure = true;
    cr_assert(tsi_connection_write(file_path, &open, &error) == TESS_OK);
    cr_assert(chmod(file_path, 0644) == 0);
    cr_assert(tsi_connection_read(file_path, &back, &error) == TESS_OK, "nothing to hide");
    check_equal(&open, &back);
}

#define KEYS                                                                                       \
    "\"scheduler_public\":\"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\","                           \
    "\"member_public\":\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\","                              \
    "\"member_secret\":\"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\""
#define START "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":5,\"pid\":7"

Test(connection, well_formed_texts_are_read)
{
    const char *const texts[] = {
        START "}",
        " \n" START ", \"unknown\": {\"later\": [1, 2]}}\n",
        START "," KEYS "}",
        "{\"tessera\":1,\"address\":\"ipc:///x/y\",\"epoch\":4294967295,\"pid\":1}",
        START ",\"insecure\":true}",
        START "," KEYS ",\"insecure\":false}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tsi_connection connection;
        struct tsi_error error;
        cr_assert(tsi_connection_parse(texts[i], strlen(texts[i]), &connection, &error) == TESS_OK,
                  "%s: %s", texts[i], error.text);
        cr_assert(connection.has_keys == (i == 2 || i == 5));
        cr_assert(connection.insecure == (i == 4));
    }
}

Test(connection, malformed_texts_are_refused)
{
    const char *const texts[] = {
        START ",\"insecure\":1}",
        START ",\"insecure\":\"true\"}",
        START "," KEYS ",\"insecure\":true}",
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\x7f\x45LF",
        "{\"tessera\":2,\"address\":\"tcp://h:1\",\"epoch\":5,\"pid\":7}",
        "{\"tessera\":\"1\",\"address\":\"tcp://h:1\",\"epoch\":5,\"pid\":7}",
        "{\"tessera\":1,\"epoch\":5,\"pid\":7}",
        "{\"tessera\":1,\"address\":5,\"epoch\":5,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"http://h:1\",\"epoch\":5,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\\n\",\"epoch\":5,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\\u0000\",\"epoch\":5,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":0,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":-1,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":4294967296,\"pid\":7}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":5}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":5,\"pid\":-1}",
        "{\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":5,\"pid\":8589934591}",
        "{\"tessera\":1,\"tessera\":1,\"address\":\"tcp://h:1\",\"epoch\":5,\"pid\":7}",
        START "} x",
        START ",\"member_secret\":\"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\"}",
        START ",\"scheduler_public\":\"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"}",
        START ",\"scheduler_public\":null}",
        START ",\"scheduler_public\":\"short\",\"member_public\":\"a\",\"member_secret\":\"b\"}",
        START ",\"scheduler_public\":\"~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\","
              "\"member_public\":\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\","
              "\"member_secret\":\"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tsi_connection connection;
        struct tsi_error error;
        cr_assert(tsi_connection_parse(texts[i], strlen(texts[i]), &connection, &error) ==
                      TESS_EFORMAT,
                  "%s", texts[i]);
        cr_assert(error.text[0] != '\0' && connection.address[0] == '\0');
    }
}

Test(connection, no_message_quotes_a_secret)
{
    const char *cut = START "," KEYS; // no closing brace: cut after the secret
    char *text = strdup(cut);
    for (size_t count = 1; count <= strlen(cut); count++) {
        struct tsi_connection connection;
        struct tsi_error error;
        cr_assert(tsi_connection_parse(text, count, &connection, &error) == TESS_EFORMAT);
        cr_assert(strstr(error.text, "JTKV") == NULL, "%s", error.text);
    }
    free(text);
}

Test(connection, long_addresses_are_refused)
{
    char text[1000];
    char host[400];
    struct tsi_connection connection;
    struct tsi_error error;
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    snprintf(text, sizeof text, "{\"tessera\":1,\"address\":\"tcp://%s\",\"epoch\":5,\"pid\":7}",
             host);
    cr_assert(tsi_connection_parse(text, strlen(text), &connection, &error) == TESS_EFORMAT);
}

Test(connection, files_that_are_none_are_refused)
{
    struct tsi_connection connection;
    struct tsi_error error;
    cr_assert(tsi_connection_read(file_path, &connection, &error) == TESS_EIO);
    cr_assert(strstr(error.text, file_path) != NULL, "%s", error.text);
    cr_assert(tsi_connection_read(directory, &connection, &error) == TESS_EIO);

    char *huge = malloc(1 << 20);
    memset(huge, ' ', 1 << 20);
    put_file(file_path, huge, 1 << 20, 0600);
    cr_assert(tsi_connection_read(file_path, &connection, &error) == TESS_EFORMAT);
    cr_assert(strstr(error.text, "too large") != NULL, "%s", error.text);
    free(huge);

    put_file(file_path, "\0\1\2", 3, 0600);
    cr_assert(tsi_connection_read(file_path, &connection, &error) == TESS_EFORMAT);
    cr_assert(strstr(error.text, file_path) != NULL, "%s", error.text);

    unlink(file_path);
    cr_assert(mkfifo(file_path, 0600) == 0);
    cr_assert(tsi_connection_read(file_path, &connection, &error) == TESS_EIO, "and no waiting");
}

Test(connection, a_failed_write_leaves_the_old_file)
{
    const struct tsi_connection first = sample(true);
    struct tsi_connection second = sample(true);
    struct tsi_connection back;
    struct tsi_error error;
    char missing[400];
    cr_assert(tsi_connection_write(file_path, &first, &error) == TESS_OK);
    tsi_connection_read(file_path, &back, NULL);
    check_equal(&first, &back);

    second.epoch = first.epoch + 1;
    cr_assert(tsi_connection_write(file_path, &second, &error) == TESS_OK);
    tsi_connection_read(file_path, &back, NULL);
    check_equal(&second, &back);

    snprintf(missing, sizeof missing, "%s/no/such/place", directory);
    cr_assert(tsi_connection_write(missing, &first, &error) == TESS_EIO);
    cr_assert(strstr(error.text, missing) != NULL, "%s", error.text);

    // A directory has the name: the rename fails, and the temporary file goes.
    char taken[400];
    char temporary[450];
    snprintf(taken, sizeof taken, "%s/taken", directory);
    snprintf(temporary, sizeof temporary, "%s.%ld", taken, (long)getpid());
    cr_assert(mkdir(taken, 0700) == 0);
    cr_assert(tsi_connection_write(taken, &first, &error) != TESS_OK);
    cr_assert(access(temporary, F_OK) != 0, "nothing is left behind");
}

Test(connection, what_lies_in_the_way_is_not_followed)
{
    const struct tsi_connection connection = sample(true);
    char temporary[400];
    char target[400];
    struct tsi_error error;
    snprintf(temporary, sizeof temporary, "%s.%ld", file_path, (long)getpid());
    snprintf(target, sizeof target, "%s/target", directory);
    put_file(target, "precious", 8, 0644);
    cr_assert(symlink(target, temporary) == 0);
    cr_assert(tsi_connection_write(file_path, &connection, &error) == TESS_OK);
    struct stat info;
    cr_assert(stat(target, &info) == 0 && info.st_size == 8, "the target is untouched");
    cr_assert(lstat(file_path, &info) == 0 && S_ISREG(info.st_mode));
}

static pid_t
start_sleeper(void)
{
    const pid_t child = fork();
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    return child;
}

Test(connection, a_newer_scheduler_that_runs_keeps_its_file)
{
    struct tsi_connection newer = sample(false);
    struct tsi_connection mine = sample(false);
    struct tsi_connection back;
    struct tsi_error error;
    const pid_t child = start_sleeper();
    newer.pid = child;
    newer.epoch = 100;
    mine.epoch = 99;
    cr_assert(tsi_connection_write(file_path, &newer, &error) == TESS_OK);
    cr_assert(tsi_connection_write(file_path, &mine, &error) == TESS_EACCESS);
    cr_assert(strstr(error.text, file_path) != NULL, "%s", error.text);
    tsi_connection_read(file_path, &back, NULL);
    check_equal(&newer, &back);

    mine.epoch = 101;
    cr_assert(tsi_connection_write(file_path, &mine, &error) == TESS_OK, "an older one gives way");
    cr_assert(tsi_connection_write(file_path, &newer, &error) == TESS_EACCESS);
    unlink(file_path);

    cr_assert(tsi_connection_write(file_path, &newer, &error) == TESS_OK);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    mine.epoch = 99;
    cr_assert(tsi_connection_write(file_path, &mine, &error) == TESS_OK, "so does a dead one");
}

Test(connection, the_directory_is_made_private)
{
    char out[256];
    char path[400];
    char expected[300];
    struct tsi_error error;
    umask(0);
    snprintf(expected, sizeof expected, "%s/tessera", directory);
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_OK, "%s", error.text);
    cr_assert(strcmp(out, expected) == 0 && mode_of(out) == 0700);
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_OK, "again");
    cr_assert(tsi_connection_default_path(path, sizeof path, &error) == TESS_OK);
    cr_assert(strstr(path, "/tessera/scheduler.json") != NULL);
    cr_assert(tsi_connection_directory(out, 8, &error) == TESS_ELIMIT);
}

Test(connection, a_directory_that_others_may_enter_is_refused)
{
    const mode_t modes[] = {0755, 0701, 0770, 0777};
    char out[256];
    char place[300];
    struct tsi_error error;
    snprintf(place, sizeof place, "%s/tessera", directory);
    cr_assert(mkdir(place, 0700) == 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        cr_assert(chmod(place, modes[i]) == 0);
        cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_EACCESS);
        cr_assert(strstr(error.text, place) != NULL, "%s", error.text);
        cr_assert(tsi_connection_default_path(out, sizeof out, &error) == TESS_EACCESS);
    }
    cr_assert(rmdir(place) == 0);

    cr_assert(symlink("/tmp", place) == 0);
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_EACCESS, "a link");
    unlink(place);
    put_file(place, "", 0, 0600);
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_EACCESS, "a file");
    unlink(place);

    if (geteuid() == 0) {
        cr_assert(mkdir(place, 0700) == 0 && chown(place, 12345, 12345) == 0);
        cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_EACCESS, "an owner");
    }
}

Test(connection, without_a_runtime_directory_temporary_files_are_the_place)
{
    char out[256];
    char expected[300];
    struct tsi_error error;
    unsetenv("XDG_RUNTIME_DIR");
    setenv("TMPDIR", directory, 1);
    snprintf(expected, sizeof expected, "%s/tessera-%ld", directory, (long)geteuid());
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_OK, "%s", error.text);
    cr_assert(strcmp(out, expected) == 0 && mode_of(out) == 0700, "%s", out);
    setenv("XDG_RUNTIME_DIR", "/no/such/place", 1);
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_OK);
    cr_assert(strcmp(out, expected) == 0, "%s", out);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    cr_assert(tsi_connection_directory(out, sizeof out, &error) == TESS_OK);
    cr_assert(strcmp(out, expected) == 0, "%s", out);
}

static void *
write_later(void *argument)
{
    const struct tsi_connection *connection = argument;
    nanosleep(&(struct timespec){.tv_nsec = 150 * 1000 * 1000}, NULL);
    tsi_connection_write(file_path, connection, NULL);
    return NULL;
}

Test(connection, a_file_that_appears_is_waited_for)
{
    struct tsi_connection connection = sample(true);
    struct tsi_connection found;
    struct tsi_error error;
    pthread_t thread;
    const uint64_t start = tsi_clock_ns();
    cr_assert(pthread_create(&thread, NULL, write_later, &connection) == 0);
    const tess_status status =
        tsi_connection_find(file_path, false, start + 20 * TSI_SECOND, NULL, &found, &error);
    pthread_join(thread, NULL);
    cr_assert(status == TESS_OK, "%s", error.text);
    check_equal(&connection, &found);
    cr_assert(tsi_clock_ns() - start < 10 * TSI_SECOND);
}

static int stop_calls;

static bool
stop_at_third(void)
{
    return ++stop_calls == 3;
}

Test(connection, waiting_ends_with_a_reason)
{
    struct tsi_connection found;
    struct tsi_error error;
    const uint64_t start = tsi_clock_ns();
    cr_assert(tsi_connection_find(file_path, false, 0, NULL, &found, &error) == TESS_ECONNECT);
    cr_assert(strstr(error.text, file_path) != NULL &&
                  strstr(error.text, "start tessera-scheduler first") != NULL,
              "%s", error.text);
    cr_assert(tsi_connection_find(file_path, false, start + 200 * TSI_MILLISECOND, NULL, &found,
                                  &error) == TESS_ECONNECT);
    cr_assert(tsi_clock_ns() - start >= 200 * TSI_MILLISECOND);
    cr_assert(tsi_connection_find(file_path, false, UINT64_MAX, stop_at_third, &found, &error) ==
              TESS_ECONNECT);
    cr_assert(stop_calls == 3);

    put_file(file_path, "{}", 2, 0600);
    cr_assert(tsi_connection_find(file_path, false, UINT64_MAX, NULL, &found, &error) ==
                  TESS_EFORMAT,
              "what is wrong does not get right by waiting");
}

Test(connection, the_default_path_is_found_without_a_name)
{
    struct tsi_connection connection = sample(true);
    struct tsi_connection found;
    struct tsi_error error;
    char path[400];
    cr_assert(tsi_connection_default_path(path, sizeof path, &error) == TESS_OK);
    cr_assert(tsi_connection_write(path, &connection, &error) == TESS_OK);
    cr_assert(tsi_connection_find(NULL, false, 0, NULL, &found, &error) == TESS_OK);
    check_equal(&connection, &found);
    cr_assert(tsi_connection_find("", true, 0, NULL, &found, &error) == TESS_OK);
    check_equal(&connection, &found);

    // An address takes the keys of the default file if that is about the same scheduler.
    cr_assert(tsi_connection_find(connection.address, false, 0, NULL, &found, &error) == TESS_OK);
    check_equal(&connection, &found);
    cr_assert(!found.insecure);
    cr_assert(tsi_connection_find(connection.address, true, 0, NULL, &found, &error) == TESS_OK);
    check_equal(&connection, &found);

    // Another one goes without keys only if somebody says so.
    cr_assert(tsi_connection_find("tcp://10.0.0.2:1", false, 0, NULL, &found, &error) ==
              TESS_EACCESS);
    cr_assert(strstr(error.text, path) != NULL && strstr(error.text, "tcp://10.0.0.2:1") != NULL &&
                  strstr(error.text, "--insecure") != NULL,
              "%s", error.text);
    cr_assert(tsi_connection_find("ipc:///x/y", true, 0, NULL, &found, &error) == TESS_OK);
    cr_assert(!found.insecure && !found.has_keys, "the kernel knows who connects there");
    cr_assert(tsi_connection_find("tcp://10.0.0.2:1", true, 0, NULL, &found, &error) == TESS_OK);
    cr_assert(strcmp(found.address, "tcp://10.0.0.2:1") == 0 && !found.has_keys && found.insecure);
    cr_assert(found.member_secret[0] == '\0' && found.epoch == 0);

    char address[400] = "tcp://";
    memset(address + 6, 'h', 380);
    cr_assert(tsi_connection_find(address, true, 0, NULL, &found, &error) == TESS_EINVAL);
}

Test(connection, memory_that_runs_out_is_an_error)
{
    const struct tsi_connection connection = sample(true);
    struct tsi_connection back;
    struct tsi_error error;
    cr_assert(tsi_connection_write(file_path, &connection, &error) == TESS_OK);
    tsi_memory_fail_after(0);
    const tess_status status = tsi_connection_read(file_path, &back, &error);
    tsi_memory_fail_after(-1);
    cr_assert(status == TESS_ENOMEM);
}
