// SPDX-License-Identifier: Apache-2.0
//
// A core that stores to a line reads it from memory first. For an output that its caches do not
// hold until somebody reads it, that is a third of what an addition moves, and stores past the
// caches save it. They need long runs to be fast, several pages at once, and whole lines. So tiles
// gather in a block that the second cache holds, and the block goes on from there.
//
// Where the arithmetic takes longer than memory does, ordinary stores are hidden behind it, and
// passing on the block would not be.

#include "engine/exec/past.h"

#include "engine/program/program.h"

tess_status
tsi_past_open(struct tsi_run *run, struct tsi_past *past)
{
    void *block = NULL;
    tess_status status = TESS_OK;
    if (tsi_chunk_op_passes_caches(run->op)) {
        status = tsi_run_take(run, TSI_PAST_BLOCK_BYTES, &block);
    }
    *past = (struct tsi_past){.block = block};
    return status;
}

static void
pass_on(struct tsi_past *past)
{
    if (past->held > 0) {
        tsi_kernel_stream(past->held, past->to, past->block);
        past->held = 0;
    }
}

void *
tsi_past_place(struct tsi_past *past, void *to, size_t bytes)
{
    if (past->block == NULL || bytes > TSI_PAST_BLOCK_BYTES) {
        tsi_past_close(past);
        return to;
    }
    if (past->held > 0 && ((unsigned char *)to != past->to + past->held ||
                           past->held + bytes > TSI_PAST_BLOCK_BYTES)) {
        pass_on(past);
    }
    if (past->held == 0) {
        past->to = to;
    }
    past->held += bytes;
    return past->block + past->held - bytes;
}

void
tsi_past_close(struct tsi_past *past)
{
    pass_on(past);
}
