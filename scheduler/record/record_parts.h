// SPDX-License-Identifier: Apache-2.0
//
// What the records of both cores are made of.

#ifndef TSI_RECORD_PARTS_H
#define TSI_RECORD_PARTS_H

#include "scheduler/record/record.h"

// A text that may be none.
void tsi_record_put_text(struct tsi_put *put, const char *text);
const char *tsi_record_take_text(struct tsi_take *take);

void tsi_record_put_program(struct tsi_put *put, const struct tsi_program *program);
const struct tsi_program *tsi_record_take_program(struct tsi_take *take);

void tsi_record_put_keys(struct tsi_put *put, const tsi_key *keys, size_t count);
const tsi_key *tsi_record_take_keys(struct tsi_take *take, size_t *count);

uint64_t tsi_record_put_mix(uint64_t hash, uint64_t value);

// record_worker_put.c, record_worker_take.c

void tsi_record_worker_put(struct tsi_put *put, const struct tsi_record *record);
void tsi_record_worker_take(struct tsi_take *take, struct tsi_record *record);

#endif
