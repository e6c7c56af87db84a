// SPDX-License-Identifier: Apache-2.0
//
// Writes a recording (record.h) while a scheduler runs. Records are collected in a block; a thread
// writes blocks, so the scheduler waits for no disk. A recording that cannot go on, for the disk is
// full or too slow or memory is out, stops with a line in the log, and the scheduler goes on.
//
// When the process aborts the block at hand is still written: the last event is then the one that
// the core could not take.

#ifndef TSI_RECORD_RECORDER_H
#define TSI_RECORD_RECORDER_H

#include "engine/base/error.h"
#include "scheduler/core/sched.h"

struct tsi_recorder;

// Begins the file anew. NULL after a failure: TESS_EIO, TESS_ENOMEM.
struct tsi_recorder *tsi_recorder_open(const char *path, const struct tsi_sched_config *config,
                                       struct tsi_error *error);

// Before the core takes an event in, and after it was polled: `action` NULL if there was none. All
// of them do nothing for a recorder that is NULL.
void tsi_recorder_event(struct tsi_recorder *recorder, const struct tsi_sched_event *event);
void tsi_recorder_poll(struct tsi_recorder *recorder, const struct tsi_sched *sched,
                       uint64_t now_ns, const struct tsi_sched_action *action);

// Hands over what was collected; at the end of a turn.
void tsi_recorder_flush(struct tsi_recorder *recorder);

// Writes what is left, and a digest of the core's state at the end.
void tsi_recorder_close(struct tsi_recorder *recorder, const struct tsi_sched *sched);

#endif
