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

// How a map is written.
enum {
    TSI_MAP_IDENTITY, // nothing
    TSI_MAP_CLOSED,   // for each axis of the source a byte, and the numbers that its flags say
    TSI_MAP_LISTED,   // for each loop chunk the count of its row, and the distances in it
};

// The byte of an axis of a map: its loop axis plus 1, and which of offset (signed), stride (signed),
// extent are not 0, 1, 1.
enum {
    TSI_RULE_AXIS = 31,
    TSI_RULE_OFFSET = 32,
    TSI_RULE_STRIDE = 64,
    TSI_RULE_EXTENT = 128,
};

#endif
