// SPDX-License-Identifier: Apache-2.0
//
// A handler that writes to a pipe, rather than blocked signals and a signalfd: libraries start
// threads when they are loaded, before anything here can block signals for them, and a signal that
// any thread has not blocked takes its default action.

#include "engine/base/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

static int ends[2] = {-1, -1};

static void
note_signal(int number)
{
    const int saved = errno;
    const unsigned char byte = (unsigned char)number;
    // A full pipe has told the loop already.
    (void)!write(ends[1], &byte, 1);
    errno = saved;
}

int
tsi_signals_open(void)
{
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -1;
    }
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        if (sigaction(caught[i], &action, NULL) != 0) {
            return -1;
        }
    }
    const bool ignores = signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGXFSZ, SIG_IGN) != SIG_ERR;
    return ignores ? ends[0] : -1;
}

int
tsi_signals_next(void)
{
    unsigned char byte;
    return read(ends[0], &byte, 1) == 1 ? byte : 0;
}
