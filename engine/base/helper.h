// SPDX-License-Identifier: Apache-2.0
//
// A thread that does one thing at a time beside its owner, and sleeps otherwise: for half of a copy
// that is too long for one processor.

#ifndef TSI_BASE_HELPER_H
#define TSI_BASE_HELPER_H

struct tsi_helper;

struct tsi_helper *tsi_helper_new(void); // NULL without memory or thread
void tsi_helper_free(struct tsi_helper *helper);

// Has the thread call work(argument). What was begun before must have been waited for.
void tsi_helper_begin(struct tsi_helper *helper, void (*work)(void *argument), void *argument);
// Returns when it has.
void tsi_helper_wait(struct tsi_helper *helper);

#endif
