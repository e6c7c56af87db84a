// SPDX-License-Identifier: Apache-2.0
//
// The marks in encoded programs on which writer and reader agree. Numbers travel between processes.

#ifndef TSI_PROGRAM_CODEC_FORMAT_H
#define TSI_PROGRAM_CODEC_FORMAT_H

// How an axis is written.
enum {
    TSI_FORM_WHOLE,  // size: one chunk
    TSI_FORM_CLOSED, // size, first, step less first
    TSI_FORM_LISTED, // count, sizes
};

#endif
