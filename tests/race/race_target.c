// SPDX-License-Identifier: Apache-2.0
//
// Files are saved into an allowed directory while another thread swaps a part of their path: now a
// directory inside, now a link to one outside. A save may fail, but leaves nothing outside.

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/exec/files.h"
#include "tests/support/exec_case.h"

// To end a file waits for the disk, so not all are ended.
enum { SAVES = 20000, ENDS_EVERY = 64, PATH_BYTES = 128 };

static char folder[] = "/tmp/tessera-race-XXXXXX";
static char inside[PATH_BYTES];
static char outside[PATH_BYTES];
static char swapped[PATH_BYTES];
static atomic_bool is_over;

// `swapped` is a link to `to` from here on, without a moment in which it is not there.
static void
lead_to(const char *to)
{
    char other[PATH_BYTES + 8];
    (void)snprintf(other, sizeof other, "%s.new", swapped);
    TSI_CHECK(symlink(to, other) == 0 && rename(other, swapped) == 0);
}

static void *
swap(void *argument)
{
    (void)argument;
    while (!atomic_load(&is_over)) {
        lead_to(outside);
        lead_to(inside);
    }
    return NULL;
}

// A tile that writes the array, and the join that gives the file its name.
static int
add_save(struct exec_case *c, const char *path, const char *temporary)
{
    const struct tsi_grid one = {1, {tsi_axis_regular(1, 1)}};
    const struct tsi_index_map map = tsi_index_map_identity(&one);
    const struct tsi_index_map all = {.ndim = 1, .axis = {{-1, 0, 1, 1}}};
    const int array = exec_case_held(c, TESS_F64, &one, EXEC_CASE_SMALL);
    const int op = exec_case_op(c, TSI_WORK_TILE, TESS_F64, &one, NULL);
    exec_case_input(c, op, array, &map);
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F64, 0, 0, {0}, 0});
    c->program->ops[op].tile.sink = TSI_SINK_WRITE;
    c->program->ops[op].target_file.temporary = temporary;
    const int join = exec_case_op(c, TSI_WORK_JOIN, TESS_F64, &one, NULL);
    exec_case_input(c, join, op, &all);
    c->program->ops[join].target_file.path = path;
    c->program->ops[join].target_file.temporary = temporary;
    return op;
}

static tess_status
run(const struct exec_case *c, struct tsi_files *files, int op)
{
    struct tsi_error error;
    const double value = 1;
    const struct tsi_exec_chunk chunk = {.data = &value};
    const struct tsi_exec_task task = {
        .program = c->program, .op = op, .chunks = &chunk, .chunk_count = 1, .files = files};
    const tess_status status = tsi_exec_run(&task, &error);
    if (status != TESS_OK && status != TESS_EACCESS && status != TESS_EIO) {
        (void)fprintf(stderr, "%s\n", error.text);
        TSI_CHECK(false);
    }
    return status;
}

// How many files there are, all of which are removed.
static int
clear(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    TSI_CHECK(directory != NULL);
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            TSI_CHECK(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
            count++;
        }
    }
    (void)closedir(directory);
    return count;
}

int
main(void)
{
    char allowed[PATH_BYTES];
    char path[PATH_BYTES + 8];
    char temporary[PATH_BYTES + 8];
    TSI_CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(allowed, sizeof allowed, "%s/allowed", folder);
    (void)snprintf(inside, sizeof inside, "%s/allowed/real", folder);
    (void)snprintf(outside, sizeof outside, "%s/outside", folder);
    (void)snprintf(swapped, sizeof swapped, "%s/allowed/link", folder);
    (void)snprintf(path, sizeof path, "%s/a.npy", swapped);
    (void)snprintf(temporary, sizeof temporary, "%s/a.part", swapped);
    TSI_CHECK(mkdir(allowed, 0700) == 0 && mkdir(inside, 0700) == 0 && mkdir(outside, 0700) == 0);
    lead_to(inside);

    struct exec_case c;
    exec_case_init(&c, 1);
    const int op = add_save(&c, path, temporary);
    struct tsi_error error;
    TSI_CHECK(tsi_program_number(c.program, &error) == TESS_OK);
    const char *const names[] = {allowed};
    struct tsi_files *files = tsi_files_new(names, 1);
    TSI_CHECK(files != NULL);
    TSI_CHECK(run(&c, files, op) == TESS_OK && run(&c, files, op + 1) == TESS_OK);
    TSI_CHECK(clear(inside) == 1);

    pthread_t swapper;
    TSI_CHECK(pthread_create(&swapper, NULL, swap, NULL) == 0);
    int refused = 0;
    int written = 0;
    int strays = 0;
    for (int i = 0; i < SAVES; i++) {
        const tess_status status = run(&c, files, op);
        written += status == TESS_OK ? 1 : 0;
        refused += status == TESS_EACCESS ? 1 : 0;
        if (i % ENDS_EVERY == 0) {
            (void)run(&c, files, op + 1);
            tsi_files_remove_temporaries(files, c.program);
        }
        strays += clear(outside);
    }
    atomic_store(&is_over, true);
    TSI_CHECK(pthread_join(swapper, NULL) == 0);
    (void)clear(inside);
    tsi_files_free(files);
    exec_case_fini(&c);
    TSI_CHECK(unlink(swapped) == 0 && rmdir(inside) == 0 && rmdir(outside) == 0);
    TSI_CHECK(rmdir(allowed) == 0 && rmdir(folder) == 0);
    (void)printf("%d written, %d refused, %d outside\n", written, refused, strays);
    return strays == 0 && written > 0 && refused > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
