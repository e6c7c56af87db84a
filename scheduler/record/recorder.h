// SPDX-License-Identifier: Apache-2.0
//
// Writes a recording (record.h) while a daemon runs. Records are collected in a block; a thread
// writes blocks, so the daemon waits for no disk. A recording that cannot go on, for the disk is
// full or too slow or memory is out, stops with a line in the log, and the daemon goes on.
//
// When the process aborts the block at hand is still written: the last event is then the one that
// the core could not take.

#ifndef TSI_RECORD_RECORDER_H
#define TSI_RECORD_RECORDER_H

#include "engine/base/error.h"
#include "scheduler/core/sched.h"

struct tsi_recorder;
struct tsi_record;

// Begins the file anew, with the configuration of a core, `first`. NULL after a failure: TESS_EIO,
// TESS_ENOMEM. All others do nothing for a recorder that is NULL.
struct tsi_recorder *tsi_recorder_open(const char *path, const struct tsi_record *first,
                                       struct tsi_error *error);

// Adds what was told to a core, before it takes that in, or what it answered.
void tsi_recorder_put(struct tsi_recorder *recorder, const struct tsi_record *record);

// Whether it is time for a digest of the core's state, which is put like any other record.
bool tsi_recorder_wants_digest(const struct tsi_recorder *recorder);

// Of a scheduler: an event that is to come, and a poll that was made, `action` NULL if there was
// none.
void tsi_recorder_event(struct tsi_recorder *recorder, const struct tsi_sched_event *event);
void tsi_recorder_poll(struct tsi_recorder *recorder, const struct tsi_sched *sched,
                       uint64_t now_ns, const struct tsi_sched_action *action);

// Hands over what was collected; at the end of a turn.
void tsi_recorder_flush(struct tsi_recorder *recorder);

// Writes what is left, and at the end the digest of the core's state.
void tsi_recorder_close(struct tsi_recorder *recorder, uint64_t digest);

#endif
