// SPDX-License-Identifier: Apache-2.0
//
// What this process may use of its machine.

#ifndef TSI_BASE_MACHINE_H
#define TSI_BASE_MACHINE_H

#include <stdint.h>

// Processors: the affinity mask, cut by the cpu.max of the control group and all above it; at
// least 1.
int tsi_machine_processors(void);

// Bytes of memory: the least of the physical memory, RLIMIT_AS, and memory.max and memory.high of
// the control group (v2, else v1) and all above it.
uint64_t tsi_machine_memory_bytes(void);

// What of that chunks may take: the rest is for code, stacks and the buffers of libraries.
uint64_t tsi_machine_chunk_bytes(void);

// Addresses that this process may still map: what RLIMIT_AS leaves; UINT64_MAX without a limit.
uint64_t tsi_machine_addresses_left(void);

// Resident bytes of this process now and at most; 0 if unknown.
uint64_t tsi_machine_resident_bytes(void);
uint64_t tsi_machine_resident_peak_bytes(void);

#endif
