// SPDX-License-Identifier: Apache-2.0
//
// libzmq calls back, on a thread of its own, when it needs the bytes of a message no longer: they
// are the transport's now, or the connection is gone. Until then the message counts, and holds a
// reference to the outbox.

#include "engine/net/outbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/memory.h"

// What a message costs beside its bytes: our head, libzmq's, the allocator's, a place in a queue.
#define MESSAGE_OVERHEAD 192

struct tsi_outbox {
    atomic_uint_fast64_t bytes;
    atomic_uint refs;
};

struct parcel {
    atomic_bool is_made; // handed over with what is written before it
    struct tsi_outbox *outbox;
    uint64_t charge;
    unsigned char bytes[];
};

struct tsi_outbox *
tsi_outbox_new(void)
{
    struct tsi_outbox *outbox = tsi_calloc(1, sizeof *outbox);
    if (outbox != NULL) {
        atomic_init(&outbox->refs, 1);
    }
    return outbox;
}

void
tsi_outbox_free(struct tsi_outbox *outbox)
{
    if (outbox != NULL && atomic_fetch_sub_explicit(&outbox->refs, 1, memory_order_acq_rel) == 1) {
        tsi_free(outbox);
    }
}

uint64_t
tsi_outbox_bytes(const struct tsi_outbox *outbox)
{
    return atomic_load_explicit(&outbox->bytes, memory_order_relaxed);
}

bool
tsi_outbox_has_room(const struct tsi_outbox *outbox, size_t count)
{
    const uint64_t waits = tsi_outbox_bytes(outbox);
    return waits == 0 || waits + count + MESSAGE_OVERHEAD <= TSI_OUTBOX_BYTES_MAX;
}

static void
free_parcel(void *bytes, void *hint)
{
    struct parcel *parcel = hint;
    (void)bytes;
    (void)atomic_load_explicit(&parcel->is_made, memory_order_acquire);
    atomic_fetch_sub_explicit(&parcel->outbox->bytes, parcel->charge, memory_order_relaxed);
    tsi_outbox_free(parcel->outbox);
    tsi_free(parcel);
}

// A message of libzmq over a copy of the bytes; false when memory is out.
static bool
make_frame(struct tsi_outbox *outbox, const void *bytes, size_t count, zmq_msg_t *frame)
{
    struct parcel *parcel = tsi_alloc(sizeof *parcel + count);
    if (parcel == NULL) {
        return false;
    }
    *parcel = (struct parcel){.outbox = outbox, .charge = count + MESSAGE_OVERHEAD};
    memcpy(parcel->bytes, bytes, count);
    atomic_fetch_add_explicit(&outbox->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&outbox->bytes, parcel->charge, memory_order_relaxed);
    atomic_store_explicit(&parcel->is_made, true, memory_order_release);
    if (zmq_msg_init_data(frame, parcel->bytes, count, free_parcel, parcel) != 0) {
        free_parcel(parcel->bytes, parcel);
        return false;
    }
    return true;
}

bool
tsi_outbox_send_part(struct tsi_outbox *outbox, void *socket, const struct tsi_route *route,
                     const void *bytes, size_t count, bool more)
{
    zmq_msg_t frame;
    const bool is_made = make_frame(outbox, bytes, count, &frame);
    if (!is_made) {
        zmq_msg_init(&frame);
    }
    const bool is_sent = tsi_net_send_part(socket, route, &frame, more && is_made);
    if (is_sent && !is_made) {
        errno = ENOMEM;
    }
    return is_sent && is_made;
}

bool
tsi_outbox_send(struct tsi_outbox *outbox, void *socket, const struct tsi_route *route,
                const void *bytes, size_t count)
{
    zmq_msg_t frame;
    if (!tsi_outbox_has_room(outbox, count)) {
        errno = EAGAIN;
        return false;
    }
    if (!make_frame(outbox, bytes, count, &frame)) {
        errno = ENOMEM;
        return false;
    }
    return tsi_net_send_frame(socket, route, &frame);
}
