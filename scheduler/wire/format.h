// SPDX-License-Identifier: Apache-2.0
//
// Sizes of the parts of a frame, in bytes.

#ifndef TSI_WIRE_FORMAT_H
#define TSI_WIRE_FORMAT_H

#define TSI_FORMAT_MAGIC_0 'T'
#define TSI_FORMAT_MAGIC_1 'S'

enum {
    TSI_FORMAT_HEADER = 16,
    TSI_FORMAT_LENGTH_AT = 12, // where the header tells the length of the body
    TSI_FORMAT_ASSIGNMENT = 20,
    TSI_FORMAT_LOCATION = 16,
    TSI_FORMAT_COMPLETION = 36,
    TSI_FORMAT_READY = 20,
    TSI_FORMAT_HOLDING = 16,
    TSI_FORMAT_RANGE = 8,
    TSI_FORMAT_PEAK = 22,    // at least: the name is of any length
    TSI_FORMAT_SEGMENT = 40, // body of the head of a SEGMENT
    TSI_FORMAT_CHECKSUM = 8,
};

#endif
