// SPDX-License-Identifier: Apache-2.0
//
// Writes chunks to a slab and reads them back on threads of its own, for the drivers of the
// worker's core (its actions SPILL, LOAD and RELEASE_EXTENT). The file and the threads are made
// when the first chunk is written.
//
// All calls are from one thread at a time; only `wake` comes from the threads of the spill.

#ifndef TSI_IO_SPILL_H
#define TSI_IO_SPILL_H

#include <stdbool.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/io/slab.h"

// How many chunks are written or read at once.
enum { TSI_SPILL_THREADS = 2, TSI_SPILL_RUNS = 4 };

// One chunk to write or read, and what became of it.
struct tsi_spill_run {
    uint32_t run; // the core's number
    bool is_write;
    struct tsi_buf *buf;       // written: a reference of its own; read: the chunk, NULL on failure
    struct tsi_extent *extent; // written: NULL on failure
    struct tsi_error error;    // TESS_OK if it went well
    struct tsi_spill_run *next;
};

struct tsi_spill;

// `directory` NULL: tsi_slab_directory(). `wake` is called with `context` when a run has ended.
// NULL when memory is out.
struct tsi_spill *tsi_spill_new(const char *directory, uint64_t limit_bytes,
                                void (*wake)(void *context), void *context);

// Makes the file now; fails with TESS_EIO.
tess_status tsi_spill_check(struct tsi_spill *spill, struct tsi_error *error);

// Waits for the threads and frees everything but extents, which must have been given back or be
// freed with tsi_spill_release().
void tsi_spill_free(struct tsi_spill *spill);

// Begin a run, whose end comes through tsi_spill_ended(); or fail, and then nothing comes. Writing
// fails with TESS_EMEMLIMIT beyond the limit, TESS_EIO where no file can be made, TESS_ENOMEM;
// reading with TESS_ENOMEM.
tess_status tsi_spill_write(struct tsi_spill *spill, uint32_t run, struct tsi_buf *chunk,
                            struct tsi_error *error);
tess_status tsi_spill_read(struct tsi_spill *spill, uint32_t run, struct tsi_extent *extent,
                           struct tsi_error *error);

// A run that ended, to be given to tsi_spill_run_free(); NULL if there is none. What it carries is
// the caller's.
struct tsi_spill_run *tsi_spill_ended(struct tsi_spill *spill);
void tsi_spill_run_free(struct tsi_spill_run *run); // not what it carries

// The room of an extent is free again. Accepts NULL.
void tsi_spill_release(struct tsi_spill *spill, struct tsi_extent *extent);

#endif
