// SPDX-License-Identifier: Apache-2.0
//
// A save on a cluster that fails in the middle, while other tasks write, leaves no file behind, and
// the file that had the name before is as it was. One that succeeds writes long runs.

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/processes.h"

enum { ROWS = 60, COLUMNS = 40000, SIDE = 2000, CUT = 100 };

static bool
has_file(const char *part)
{
    bool found = false;
    DIR *entries = opendir(test_place("."));
    test_check(entries != NULL, "no directory");
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        found = found || strstr(entry->d_name, part) != NULL;
    }
    closedir(entries);
    return found;
}

// An array whose last rows cannot be read: its file is cut after it was opened.
static tess_array *
broken_array(tess_session *session, const char *path)
{
    tess_array *x =
        tess_ones(session, TESS_SHAPE(ROWS, COLUMNS), TESS_CHUNKS(1, COLUMNS), TESS_F64);
    test_check(tess_save_npy(x, path) == TESS_OK, "%s", tess_session_error(session));
    test_check(!has_file(".part"), "a save leaves a temporary file");
    tess_array *broken = tess_load_npy(session, path, TESS_CHUNKS(1, COLUMNS));
    test_check(tess_array_status(broken) == TESS_OK, "%s", tess_array_error(broken));
    test_check(truncate(path, (off_t)(ROWS - 1) * COLUMNS * 8) == 0, "cannot cut");
    return broken;
}

// Kept chunks, which have 800 bytes of a row each, are written as parts with whole rows: the client
// heard how much memory the workers have.
static void
check_wide_parts(tess_session *session, const char *path)
{
    double apart = -1;
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(SIDE, SIDE), TESS_CHUNKS(CUT, CUT), 0, 1);
    test_check(tess_persist(x) == TESS_OK, "%s", tess_session_error(session));
    test_check(tess_save_npy(x, path) == TESS_OK, "%s", tess_session_error(session));
    const uint64_t tasks = tess_session_report(session).tasks;
    test_check(tasks < (SIDE / CUT) * (SIDE / CUT) / 2, "%llu tasks", (unsigned long long)tasks);
    tess_array *saved = tess_load_npy(session, path, TESS_CHUNKS(CUT, SIDE));
    tess_array *most = tess_max(tess_abs(tess_subtract(x, saved)), TESS_AXES_ALL);
    test_check(tess_compute(most, &apart, sizeof apart) == TESS_OK, "%s",
               tess_session_error(session));
    test_check(apart == 0, "what was saved is %g from what was kept", apart);
}

int
main(void)
{
    struct test_cluster cluster;
    char input[TEST_PATH_MAX];
    char output[TEST_PATH_MAX];
    char text[8] = "";
    test_place_open(60);
    snprintf(input, sizeof input, "%s", test_place("input.npy"));
    snprintf(output, sizeof output, "%s", test_place("output.npy"));
    FILE *before = fopen(output, "w");
    test_check(before != NULL && fputs("before", before) >= 0 && fclose(before) == 0, "no file");
    test_cluster_start(&cluster, 2, 2);
    tess_session *session = test_session(&cluster);
    tess_array *x = broken_array(session, input);
    for (int i = 0; i < 6; i++) {
        x = tess_exp(tess_sin(x));
    }
    for (int round = 0; round < 4; round++) {
        test_check(tess_save_npy(x, output) != TESS_OK, "what cannot be read was saved");
        const uint64_t end = test_now_ms() + 5000;
        while (has_file(".part") && test_now_ms() < end) {
            test_sleep_ms(10);
        }
        test_check(!has_file(".part"), "round %d: a temporary file is left", round);
    }
    FILE *after = fopen(output, "r");
    test_check(after != NULL && fgets(text, sizeof text, after) != NULL && fclose(after) == 0 &&
                   strcmp(text, "before") == 0,
               "the file of before is now “%s”", text);
    check_wide_parts(session, output);
    tess_session_close(session);
    test_cluster_stop(&cluster);
    puts("save: ok");
    return EXIT_SUCCESS;
}
