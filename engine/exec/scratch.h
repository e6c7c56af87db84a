// SPDX-License-Identifier: Apache-2.0
//
// Memory that a task needs while it runs, given back all at once when it ends.

#ifndef TSI_EXEC_SCRATCH_H
#define TSI_EXEC_SCRATCH_H

#include <stddef.h>

struct tsi_scratch_extra;

struct tsi_scratch {
    unsigned char *block; // this thread's own, NULL until it is needed
    size_t used;
    struct tsi_scratch_extra *extra; // what did not fit
};

// At most one scratch is open on a thread.
void tsi_scratch_open(struct tsi_scratch *scratch);
void tsi_scratch_close(struct tsi_scratch *scratch);

// What is taken after a mark is given back by going back to it; marks nest.
struct tsi_scratch_mark {
    size_t used;
    struct tsi_scratch_extra *extra;
};
struct tsi_scratch_mark tsi_scratch_mark(const struct tsi_scratch *scratch);
void tsi_scratch_rewind(struct tsi_scratch *scratch, struct tsi_scratch_mark mark);

// `bytes` of undefined contents on a boundary of TSI_BUF_ALIGN; NULL when memory is out.
void *tsi_scratch_take(struct tsi_scratch *scratch, size_t bytes);

#endif
