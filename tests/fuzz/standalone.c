// SPDX-License-Identifier: Apache-2.0
//
// A main() for fuzz targets in builds without libFuzzer: runs the target once over each file named
// on the command line, and over each file of each directory named there. So the committed corpus is
// a test under every compiler and sanitizer. A path that does not exist is an error, an empty
// directory is not. A corpus of which hardly anything is taken for what it is meant to be tests
// only refusals: it is of an older version of its format, and an error too.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum {
    PATH_BYTES = 4096,
    TAKEN_PART = 4, // of a corpus, the part that must be taken
};

// Reads all of `file` into memory of its exact size, so that a sanitizer sees a read past its end.
static uint8_t *
read_all(FILE *file, size_t byte_count)
{
    uint8_t *bytes = malloc(byte_count > 0 ? byte_count : 1);
    if (bytes == NULL || fread(bytes, 1, byte_count, file) != byte_count) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static int
run_file(const char *path, size_t byte_count)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file != NULL ? read_all(file, byte_count) : NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (bytes == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        return -1;
    }
    // Printed first, so that a crash leaves the name of its input.
    printf("%s\n", path);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(bytes, byte_count);
    free(bytes);
    return 1;
}

// Runs the file at `path`, or all files below it. Returns how many ran, -1 after an error.
static int
run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        fprintf(stderr, "no such file or directory: %s\n", path);
        return -1;
    }
    if (!S_ISDIR(status.st_mode)) {
        return run_file(path, (size_t)status.st_size);
    }

    struct dirent **entries = NULL;
    const int entry_count = scandir(path, &entries, NULL, alphasort);
    int run_count = entry_count < 0 ? -1 : 0;
    for (int i = 0; i < entry_count; i++) {
        char below[PATH_BYTES];
        const int length = snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && run_count >= 0) {
            const int count = length < PATH_BYTES ? run_path(below) : -1;
            run_count = count < 0 ? -1 : run_count + count;
        }
        free(entries[i]);
    }
    free(entries);
    return run_count;
}

int
main(int argument_count, char **arguments)
{
    int run_count = 0;
    for (int i = 1; i < argument_count; i++) {
        const int count = run_path(arguments[i]);
        if (count < 0) {
            return EXIT_FAILURE;
        }
        run_count += count;
    }
    printf("%d inputs, %lu of them taken\n", run_count, fuzz_taken);
    if (fuzz_taken * TAKEN_PART < (unsigned long)run_count) {
        fprintf(stderr, "too few are taken: is the corpus of an older version of the format?\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
