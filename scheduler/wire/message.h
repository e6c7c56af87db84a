// SPDX-License-Identifier: Apache-2.0
//
// The messages between scheduler, workers and clients, and their bytes. docs/PROTOCOL.md is the
// specification.
//
// A message is one frame: a fixed header, then the fields of its type, all little-endian. Encoding
// appends to a buffer; decoding checks every length, count and number against the frame before it
// is used, and gives a struct whose pointers are into the frame or into the decoder's scratch
// memory. Whether a peer, job or task that a message names exists is for the receiver to check.
//
// The bytes of a chunk that travel inside a message are followed by their checksum. Those that do
// not fit it are left out: the chunk then counts as one that did not come along and is fetched.

#ifndef TSI_WIRE_MESSAGE_H
#define TSI_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/program/exchange.h"

// The version that this library speaks. A peer of another version is refused with a readable text;
// the layout of the header, HELLO's first fields and REFUSE never change, so that refusals can be
// read.
#define TSI_WIRE_VERSION 4

// Bytes of a control message at most, and of the part of a chunk in one SEGMENT.
#define TSI_WIRE_MESSAGE_MAX ((size_t)80 << 20)
#define TSI_WIRE_SEGMENT_MAX ((size_t)4 << 20)

#define TSI_WIRE_NAME_MAX 128
#define TSI_WIRE_ENDPOINT_MAX 256

// Numbers travel: append, never move.
enum tsi_message_type {
    // either way
    TSI_MESSAGE_NONE,
    TSI_MESSAGE_HELLO,     // first message of a worker or client
    TSI_MESSAGE_WELCOME,   // the scheduler's answer
    TSI_MESSAGE_REFUSE,    // or this: why not
    TSI_MESSAGE_HEARTBEAT, // sign of life
    TSI_MESSAGE_GOODBYE,   // leaves in order
    TSI_MESSAGE_PEER,      // to all: where a peer serves its chunks, or that it is gone
    // scheduler → worker
    TSI_MESSAGE_PROGRAM,
    TSI_MESSAGE_ASSIGN,
    TSI_MESSAGE_RETRACT,
    TSI_MESSAGE_FREE,
    TSI_MESSAGE_COPY,
    TSI_MESSAGE_DROP_JOB,
    TSI_MESSAGE_DRAINED,
    // worker → scheduler
    TSI_MESSAGE_DRAINING,
    TSI_MESSAGE_DONE,
    TSI_MESSAGE_ENDED,
    TSI_MESSAGE_COPIED,
    // client → scheduler
    TSI_MESSAGE_SUBMIT,
    TSI_MESSAGE_CANCEL,
    TSI_MESSAGE_RELEASE,
    TSI_MESSAGE_TAKEN,
    // scheduler → client
    TSI_MESSAGE_ACCEPTED,
    TSI_MESSAGE_READY,
    TSI_MESSAGE_PROGRESS,
    TSI_MESSAGE_JOB_ENDED,
    // whoever needs a chunk → whoever has it, and back
    TSI_MESSAGE_GET,
    TSI_MESSAGE_SEGMENT,
    TSI_MESSAGE_MISSING,
    // whoever watches over a worker → scheduler
    TSI_MESSAGE_OBITUARY, // the worker has died, and how
    // worker → scheduler
    TSI_MESSAGE_DROPPED,
    // after a scheduler was lost
    TSI_MESSAGE_HOLDS,  // worker → scheduler: the chunks that it has of earlier jobs
    TSI_MESSAGE_CLAIM,  // client → scheduler: a job that was submitted before is its
    TSI_MESSAGE_ATTACH, // client → scheduler: it wants the detached job of another one
    TSI_MESSAGE_TYPE_COUNT
};

enum tsi_role { TSI_ROLE_WORKER = 1, TSI_ROLE_CLIENT = 2 };

struct tsi_hello {
    uint8_t role;
    const char *name;    // of a worker, for people; at most TSI_WIRE_NAME_MAX characters
    const char *library; // version of the library
    uint32_t threads;
    uint64_t memory_bytes;
    uint64_t spill_bytes; // that chunks may take on its disk besides
    const char *endpoint; // where it serves chunks, as other peers reach it
    const char *host;     // identity of its host: equal on one host only
    uint32_t pid;
    bool is_watched; // somebody will tell how it died
};

struct tsi_welcome {
    uint32_t peer;         // the number of the receiver
    uint32_t heartbeat_ms; // how often to send a sign of life
    bool keeps_journal;    // when it dies the next scheduler may know the jobs
};

// Names a worker as its HELLO did.
struct tsi_obituary {
    const char *host;
    uint32_t pid;
    const char *text; // how it died
};

struct tsi_refuse {
    tess_status status;
    const char *text;
};

struct tsi_peer_news {
    uint32_t peer;
    bool is_there;
    uint32_t threads;      // of a worker, also of one that is gone; 0 of a client
    uint64_t memory_bytes; // that chunks may take there; 0 of a client, or if it is gone
    const char *endpoint;  // "" if it is gone
    const char *host;
};

struct tsi_ready_item {
    uint32_t task;
    uint32_t peer;
    uint64_t bytes;
    const void *data; // of `bytes`, at most TSI_INLINE_BYTES_MAX; NULL: to be fetched from the peer
};

struct tsi_message {
    uint8_t type;
    uint32_t epoch;   // of the scheduler; in HELLO the highest that was obeyed before, or 0
    uint32_t peer;    // the sender's own number, or the receiver's in messages of the scheduler
    uint32_t damaged; // of a decoded message: chunks left out because of their checksum
    union {
        struct tsi_hello hello;
        struct tsi_welcome welcome;
        struct tsi_refuse refuse;
        struct tsi_obituary obituary;
        struct tsi_peer_news news;
        struct {
            uint32_t job;
            uint64_t token; // the client's name of the job
            const unsigned char *bytes;
            size_t count;
        } program;
        struct {
            const struct tsi_holding *items;
            size_t count;
            const struct tsi_task_range *ranges;
            size_t range_count;
        } holds;
        struct {
            uint64_t token;
        } claim; // CLAIM, ATTACH
        struct {
            const struct tsi_assignment *items;
            size_t count;
            const struct tsi_location *locations;
            size_t location_count;
        } assign;
        struct {
            const uint32_t *sequences;
            size_t count;
        } retract;
        struct {
            const tsi_key *keys;
            size_t count;
        } keys; // FREE, COPIED, DROPPED
        struct {
            const struct tsi_location *locations;
            size_t count;
        } copy;
        struct {
            uint32_t job;
        } job; // DROP_JOB, CANCEL, RELEASE
        struct {
            const struct tsi_completion *items;
            size_t count;
        } done;
        struct tsi_attempt ended;
        struct {
            uint64_t token;
            bool detached;
            const unsigned char *bytes;
            size_t count;
        } submit;
        struct {
            uint32_t job;
            const uint32_t *tasks;
            size_t count;
        } taken;
        struct {
            uint64_t token;
            uint32_t job;
        } accepted;
        struct {
            uint32_t job;
            bool is_last; // as far as is known; else nothing is said of the costs
            struct tsi_job_costs costs;
            const struct tsi_ready_item *items;
            size_t count;
        } ready;
        struct {
            uint32_t job;
            uint64_t done;
            uint64_t total;
            uint32_t workers;
        } progress;
        struct {
            uint32_t job;
            uint64_t token; // for a submission that was refused before it had a job number
            tess_status status;
            const char *text;
            struct tsi_job_costs costs;
        } job_ended;
        struct {
            tsi_key key;
            uint64_t offset;
            uint64_t length; // 0: to the end
        } get;
        struct {
            tsi_key key;
            uint64_t offset;
            uint64_t total;    // bytes of the whole chunk
            uint64_t checksum; // of the bytes, which the receiver compares
            const unsigned char *bytes;
            size_t count;
        } segment;
        struct {
            tsi_key key;
            const char *text;
        } missing;
    };
};

struct tsi_wire_buf {
    unsigned char *bytes;
    size_t count;
    size_t capacity;
};

void tsi_wire_buf_fini(struct tsi_wire_buf *buf);

// Writes `message` to `buf`, whose contents it replaces; false when memory is out, or the message
// would be larger than TSI_WIRE_MESSAGE_MAX. Of a SEGMENT it writes the head.
bool tsi_message_encode(const struct tsi_message *message, struct tsi_wire_buf *buf);

// The bytes of a SEGMENT before its payload, so that the payload can be sent without a copy.
// Returns their count, at most TSI_WIRE_SEGMENT_HEAD.
#define TSI_WIRE_SEGMENT_HEAD 64
size_t tsi_message_segment_head(const struct tsi_message *message,
                                unsigned char out[TSI_WIRE_SEGMENT_HEAD]);

// Reads a frame. Strings and arrays are in `scratch`, which the call empties first; byte runs point
// into the frame. Fails with TESS_EPROTOCOL, TESS_EVERSION for another version (then type, and for
// HELLO and REFUSE the fields that never change, are read as far as they can be), TESS_ENOMEM.
tess_status tsi_message_decode(const unsigned char *frame, size_t count, struct tsi_arena *scratch,
                               struct tsi_message *message, struct tsi_error *error);

// "ASSIGN", for logs.
const char *tsi_message_name(uint8_t type);

#endif
