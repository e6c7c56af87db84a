// SPDX-License-Identifier: Apache-2.0
//
// Signals that ask a daemon to end, as a descriptor that its loop polls.

#ifndef TSI_BASE_SIGNALS_H
#define TSI_BASE_SIGNALS_H

// Catches SIGTERM, SIGINT and SIGHUP for the whole process, and ignores SIGPIPE and SIGXFSZ: a peer
// that is gone and a file that may not grow are errors of one call, not the end of a daemon.
// Returns a descriptor that is readable when a signal came, −1 on failure. Call it once.
int tsi_signals_open(void);

// The next signal that came, 0 if there is none.
int tsi_signals_next(void);

#endif
