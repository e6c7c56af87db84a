// SPDX-License-Identifier: Apache-2.0
//
// The files of ipc sockets. libzmq makes them, replaces whatever has the name, and leaves them
// behind.

#ifndef TSI_NET_IPC_H
#define TSI_NET_IPC_H

#include <stdbool.h>

// The path of "ipc://path", NULL for other addresses.
const char *tsi_ipc_path(const char *address);

// Whether the name has no file behind it ("ipc://@name"), so that no directory protects it.
bool tsi_ipc_is_abstract(const char *address);

// Whether somebody listens at `path`.
bool tsi_ipc_is_live(const char *path);

// Removes the sockets that processes which died left in `directory`: those named by a letter and
// the number of a process that is not there, and of lenders, at which nobody listens.
void tsi_ipc_sweep(const char *directory);

#endif
