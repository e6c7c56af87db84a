// SPDX-License-Identifier: Apache-2.0
//
// The simulator must find mistakes. This program has a copy of the cores into which the mistakes of
// engine/base/planted.h can be put, and runs seeds with each of them until one fails:
//
//     sim_planted_main [NAME...]    (all, when none is named)
//
// It fails if a mistake is not found within so many seeds. Each run is a process of its own, since
// a simulation that fails ends its process; what it printed last is the finding.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/planted.h"
#include "tests/sim/sim_world.h"

enum { SEEDS = 1000, TEXT_MAX = 1 << 16, ALARM_SECONDS = 60 };

enum tsi_planted tsi_planted = TSI_PLANTED_NONE;

static const struct {
    const char *name;
    const char *text;
} mistakes[] = {{"none", "nothing"},
#define MISTAKE(name, text) {#name, text},
                TSI_PLANTED_LIST(MISTAKE)
#undef MISTAKE
};

_Noreturn static void
run_all(enum tsi_planted planted, int output)
{
    tsi_planted = planted;
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        alarm(ALARM_SECONDS); // a core that goes round for ever is a finding too
        // A crash says nothing by itself.
        printf("seed %llu crashed\n", (unsigned long long)seed);
        fflush(stdout);
        const struct sim_config config = {.seed = seed};
        sim_run(&config);
    }
    _exit(0);
}

// The last line of what was written to the file.
static const char *
last_line(int file, char *text)
{
    const off_t end = lseek(file, 0, SEEK_END);
    const off_t start = end < TEXT_MAX ? 0 : end - TEXT_MAX + 1;
    const ssize_t count = pread(file, text, TEXT_MAX - 1, start);
    size_t chars = count > 0 ? (size_t)count : 0;
    while (chars > 0 && text[chars - 1] == '\n') {
        chars--;
    }
    text[chars] = '\0';
    const char *line = strrchr(text, '\n');
    return line == NULL ? text : line + 1;
}

// Whether the simulator finds it.
static bool
is_found(enum tsi_planted planted)
{
    static char text[TEXT_MAX];
    char name[] = "/tmp/sim_planted_XXXXXX";
    const int file = mkstemp(name);
    unlink(name);
    fflush(stdout);
    const pid_t child = fork();
    if (file < 0 || child < 0) {
        perror("sim_planted_main");
        exit(2);
    }
    if (child == 0) {
        run_all(planted, file);
    }
    int status = 0;
    waitpid(child, &status, 0);
    const bool found = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%-24s %s\n", mistakes[planted].name,
           found ? last_line(file, text) : "NOT FOUND, though");
    if (!found) {
        printf("    %s\n", mistakes[planted].text);
    }
    close(file);
    return found;
}

int
main(int argc, char **argv)
{
    bool all_found = true;
    int tried = 0;
    for (int planted = 1; planted < TSI_PLANTED_COUNT; planted++) {
        bool is_asked = argc == 1;
        for (int i = 1; i < argc; i++) {
            is_asked = is_asked || strcmp(argv[i], mistakes[planted].name) == 0;
        }
        if (is_asked) {
            all_found = is_found((enum tsi_planted)planted) && all_found;
            tried++;
        }
    }
    printf("%d mistakes: %s\n", tried, all_found ? "all found" : "NOT ALL FOUND");
    return all_found && tried > 0 ? 0 : 1;
}
