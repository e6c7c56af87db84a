// SPDX-License-Identifier: Apache-2.0
//
// Runs whole programs, one task after another in the order of their numbers, without a scheduler.
// Every chunk is kept to the end. What a program means is what it gives here.
//
//     struct serial *serial = serial_new(program, held);
//     status = serial_run(serial, &error);
//     double *y = serial_gather(serial, program->targets[0].op);
//     …
//     tsi_free(y);
//     serial_free(serial);

#ifndef TSI_SUPPORT_SERIAL_H
#define TSI_SUPPORT_SERIAL_H

#include <stdbool.h>

#include "engine/exec/exec.h"
#include "engine/program/program.h"

// An array of the client, whole and in C order. Its chunks are shown in place, with the array's
// strides, or copied first.
struct serial_held {
    const void *data;
    bool is_copied;
};

struct serial;

// `held` is indexed by tsi_work_held.array and may be NULL if there is none; program and arrays
// must outlive the result. The program has been numbered. NULL when memory is out.
struct serial *serial_new(const struct tsi_program *program, const struct serial_held *held);
void serial_free(struct serial *serial); // accepts NULL

// Runs all tasks, until one fails.
tess_status serial_run(struct serial *serial, struct tsi_error *error);

// Runs one task whose inputs have been run.
tess_status serial_run_task(struct serial *serial, uint32_t task, const atomic_bool *cancelled,
                            struct tsi_error *error);

// Runs two tasks of one operation whose inputs have been run, at once: tsi_exec_run_both().
// `cancelled` are theirs, each may be NULL.
void serial_run_both(struct serial *serial, const uint32_t tasks[2],
                     const atomic_bool *const cancelled[2], struct tsi_error *const errors[2],
                     tess_status statuses[2]);

// The files that its tasks read, to be made with allowed directories before the first task; by
// default all directories are allowed.
void serial_allow(struct serial *serial, const char *const *allowed, int allowed_count);

// The output of one task; NULL if it has not run.
const void *serial_chunk(const struct serial *serial, uint32_t task);

// The array of an operation that has run and has no planes, in C order, freed with tsi_free(). NULL
// when memory is out.
void *serial_gather(const struct serial *serial, int op);

#endif
