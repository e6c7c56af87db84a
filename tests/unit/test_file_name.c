// SPDX-License-Identifier: Apache-2.0

#include "engine/base/file_name.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tessera_name_XXXXXX";
static char path[64];

static void
setup(void)
{
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/name", folder);
}

static void
teardown(void)
{
    cr_assert(remove(path) == 0 || access(path, F_OK) != 0);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(file_name, .init = setup, .fini = teardown);

Test(file_name, nothing_a_file_and_a_link_leave_it_free)
{
    cr_assert(tsi_file_name_is_free(AT_FDCWD, path));
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(file >= 0 && close(file) == 0);
    cr_assert(tsi_file_name_is_free(AT_FDCWD, path));
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/dev/null", path), 0);
    cr_assert(tsi_file_name_is_free(AT_FDCWD, path), "the link is what would be replaced");
}

Test(file_name, what_is_no_file_keeps_its_name)
{
    cr_assert(!tsi_file_name_is_free(AT_FDCWD, "/dev/null"));
    cr_assert(!tsi_file_name_is_free(AT_FDCWD, folder));
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert(!tsi_file_name_is_free(AT_FDCWD, path));
}

Test(file_name, a_name_is_seen_from_its_directory)
{
    const int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert(directory >= 0);
    cr_assert(tsi_file_name_is_free(directory, "name"));
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert(!tsi_file_name_is_free(directory, "name"));
    close(directory);
}
