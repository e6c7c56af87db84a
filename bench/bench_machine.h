// SPDX-License-Identifier: Apache-2.0
//
// Where something was measured, and with what.

#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>
#include <stdbool.h>

// {"processor", "processors", "memory_bytes", "caches", "kernel", "system"}, all but two of them
// texts.
json_t *bench_machine_describe(void);

// Versions of Tessera, of the libraries and the compiler, and of the peers if asked for.
json_t *bench_machine_versions(bool peers);

#endif
