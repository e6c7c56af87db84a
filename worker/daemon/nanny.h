// SPDX-License-Identifier: Apache-2.0
//
// Who stays alive to tell how a worker died: the worker runs in a child process, and this one waits
// for its end.

#ifndef TSI_WORKER_NANNY_H
#define TSI_WORKER_NANNY_H

#include <stdbool.h>

#include "worker/daemon/options.h"

// Whether this process is the child of a nanny. The first call decides, and hides the mark from
// processes that this one starts.
bool tsi_nanny_watches(void);

// Starts this program again, with the same arguments, as a child, hands it the signals that ask for
// an end, and waits for it. If it did not end in order, tells the scheduler how it died, so that
// messages can say it. The exit code of the child; 128 and the signal, if one ended it.
int tsi_nanny_run(char **argv, const struct tsi_worker_options *options);

#endif
