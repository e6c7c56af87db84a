// SPDX-License-Identifier: Apache-2.0
//
// Every bound of the system, with its reason.

#ifndef TSI_BASE_LIMITS_H
#define TSI_BASE_LIMITS_H

enum {
    // Operations of one program: an op is named by 16 bits on the wire.
    TSI_PROGRAM_OPS_MAX = 65535,
    // Inputs of one chunk operation: an input is named by 8 bits in a tile instruction.
    TSI_OP_INPUTS_MAX = 64,
    // Instructions and registers of one tile program: registers of 2,048 doubles fill the
    // second-level
    // cache at about 64 of them, and a longer chain gains nothing from fusion.
    TSI_TILE_INSTRUCTIONS_MAX = 256,
    TSI_TILE_REGISTERS_MAX = 64,
    // Elements of one tile: 16 KiB of doubles, so that a handful of registers stays in 64 KiB of
    // first-level cache or close to it.
    TSI_TILE_ELEMENTS = 2048,
    // Tiles of a large output that pass by the caches together: a small part of the second-level
    // cache, and enough for the four walks of a copy (stream.c).
    TSI_PAST_BLOCK_BYTES = 64 << 10,
    // Fan-in of one node of a reduction tree.
    TSI_FOLD_FANIN = 16,
    // Executor threads of one process: OpenBLAS has 128 buffer slots (2 × 64).
    TSI_THREADS_MAX = 64,
    // Short tasks that wait in the queue of an executor's threads: enough to keep them busy while
    // the cores are asked for more, few enough that they can still be given to others.
    TSI_RUNS_AHEAD = 192,
    // Characters of one error message, the final zero included.
    TSI_ERROR_TEXT_MAX = 1024,
    // A result chunk of at most this many bytes travels inside the message that reports it.
    TSI_INLINE_BYTES_MAX = 256,
    // Bytes of a file name that travels in a program.
    TSI_PATH_MAX = 4096,
};

// Chunks of one program: a task is named by 32 bits. The last value is "no task".
#define TSI_PROGRAM_TASKS_MAX UINT32_C(0xFFFFFFFE)
#define TSI_TASK_NONE UINT32_C(0xFFFFFFFF)
// Bytes of one program on the wire.
#define TSI_PROGRAM_BYTES_MAX ((size_t)64 << 20)
// Chunk boundaries that one axis lists; a longer list does not travel in a small program.
#define TSI_AXIS_BOUNDS_MAX ((int64_t)1 << 22)

#endif
