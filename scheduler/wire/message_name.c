// SPDX-License-Identifier: Apache-2.0
//
// Names of the messages, as docs/PROTOCOL.md and logs write them.

#include "scheduler/wire/message.h"

static const char *const names[TSI_MESSAGE_TYPE_COUNT] = {
    [TSI_MESSAGE_NONE] = "NONE",           [TSI_MESSAGE_HELLO] = "HELLO",
    [TSI_MESSAGE_WELCOME] = "WELCOME",     [TSI_MESSAGE_REFUSE] = "REFUSE",
    [TSI_MESSAGE_HEARTBEAT] = "HEARTBEAT", [TSI_MESSAGE_GOODBYE] = "GOODBYE",
    [TSI_MESSAGE_PEER] = "PEER",           [TSI_MESSAGE_PROGRAM] = "PROGRAM",
    [TSI_MESSAGE_ASSIGN] = "ASSIGN",       [TSI_MESSAGE_RETRACT] = "RETRACT",
    [TSI_MESSAGE_FREE] = "FREE",           [TSI_MESSAGE_COPY] = "COPY",
    [TSI_MESSAGE_DROP_JOB] = "DROP_JOB",   [TSI_MESSAGE_DRAINED] = "DRAINED",
    [TSI_MESSAGE_DRAINING] = "DRAINING",   [TSI_MESSAGE_DONE] = "DONE",
    [TSI_MESSAGE_ENDED] = "ENDED",         [TSI_MESSAGE_COPIED] = "COPIED",
    [TSI_MESSAGE_DROPPED] = "DROPPED",     [TSI_MESSAGE_SUBMIT] = "SUBMIT",
    [TSI_MESSAGE_CANCEL] = "CANCEL",       [TSI_MESSAGE_RELEASE] = "RELEASE",
    [TSI_MESSAGE_TAKEN] = "TAKEN",         [TSI_MESSAGE_ACCEPTED] = "ACCEPTED",
    [TSI_MESSAGE_READY] = "READY",         [TSI_MESSAGE_PROGRESS] = "PROGRESS",
    [TSI_MESSAGE_JOB_ENDED] = "JOB_ENDED", [TSI_MESSAGE_GET] = "GET",
    [TSI_MESSAGE_SEGMENT] = "SEGMENT",     [TSI_MESSAGE_MISSING] = "MISSING",
    [TSI_MESSAGE_OBITUARY] = "OBITUARY",   [TSI_MESSAGE_HOLDS] = "HOLDS",
    [TSI_MESSAGE_CLAIM] = "CLAIM",         [TSI_MESSAGE_ATTACH] = "ATTACH",
};

const char *
tsi_message_name(uint8_t type)
{
    return type < TSI_MESSAGE_TYPE_COUNT ? names[type] : "unknown message";
}
