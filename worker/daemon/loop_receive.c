// SPDX-License-Identifier: Apache-2.0
//
// Messages of the scheduler to events of the core, and the two callbacks of the data plane.

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "worker/daemon/loop.h"

enum { MESSAGES_PER_TURN = 1000 };

// Frees what an event carried that the core did not take.
static void
take_back(const struct tsi_worker_event *event)
{
    switch (event->kind) {
    case TSI_WORKER_PROGRAM:
        tsi_program_free((struct tsi_program *)(uintptr_t)event->program.program);
        break;
    case TSI_WORKER_FETCHED:
        tsi_buf_unref(event->fetched.handle);
        break;
    case TSI_WORKER_EXECUTED:
        tsi_buf_unref(event->executed.handle);
        break;
    case TSI_WORKER_LOADED:
        tsi_buf_unref(event->loaded.handle);
        break;
    default:
        break;
    }
}

void
tsi_worker_loop_event(struct tsi_worker_loop *loop, struct tsi_worker_event *event)
{
    if (loop->core == NULL) {
        return;
    }
    event->now_ns = tsi_clock_ns();
    if (!tsi_worker_loop_step(loop, event)) {
        // The core and the scheduler would not know the same any more: others must take over.
        tsi_log(TSI_LOG_ERROR, "out of memory", "the worker cannot go on and ends");
        take_back(event);
        loop->stopping = true;
        loop->exit_code = EXIT_FAILURE;
    }
}

void
tsi_worker_loop_fetched(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk,
                        const char *text)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_FETCHED};
    if (chunk != NULL) {
        event.fetched.key = key;
        event.fetched.peer = peer;
        event.fetched.handle = chunk;
        event.fetched.bytes = chunk->bytes;
    } else {
        tsi_log(TSI_LOG_DEBUG, "fetch failed", "job=%u task=%u from=%u %s", tsi_key_job(key),
                tsi_key_task(key), peer, text);
        event.kind = TSI_WORKER_FETCH_FAILED;
        event.fetch_failed.key = key;
        event.fetch_failed.peer = peer;
        event.fetch_failed.text = text;
    }
    tsi_worker_loop_event(context, &event);
}

struct tsi_buf *
tsi_worker_loop_lookup(void *context, tsi_key key, const char **text)
{
    struct tsi_worker_loop *loop = context;
    uint64_t bytes;
    struct tsi_buf *chunk = tsi_worker_chunk(loop->core, key, &bytes);
    if (chunk != NULL && !tsi_buf_is_sound(chunk)) {
        *text = "the process that lent this chunk has taken it back";
        return NULL;
    }
    if (chunk != NULL) {
        tsi_worker_loop_served(loop, key);
    }
    *text = chunk == NULL && tsi_worker_loop_demand(loop, key)
                ? tsi_server_later
                : "the worker does not hold this chunk";
    return chunk != NULL ? tsi_buf_ref(chunk) : NULL;
}

// Inputs that came inside the message are chunks like those that were fetched.
static void
take_inline(struct tsi_worker_loop *loop, const struct tsi_location *location)
{
    struct tsi_buf *chunk = tsi_buf_new(location->bytes);
    if (chunk != NULL && location->bytes > 0) {
        memcpy(chunk->data, location->data, location->bytes);
    }
    tsi_worker_loop_fetched(loop, location->key, location->peer, chunk, "out of memory");
}

static void
take_assignments(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_ASSIGNED};
    for (size_t i = 0; i < message->assign.location_count; i++) {
        if (message->assign.locations[i].data != NULL) {
            take_inline(loop, &message->assign.locations[i]);
        }
    }
    event.assigned.items = message->assign.items;
    event.assigned.count = message->assign.count;
    event.assigned.locations = message->assign.locations;
    event.assigned.location_count = message->assign.location_count;
    tsi_worker_loop_event(loop, &event);
}

static void
take_program(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    struct tsi_error error;
    struct tsi_program *program = NULL;
    if (tsi_program_decode(message->program.bytes, message->program.count, &program, &error) !=
        TESS_OK) {
        tsi_log(TSI_LOG_ERROR, "cannot read a program", "job=%u %s", message->program.job,
                error.text);
        return;
    }
    tsi_worker_loop_reserve(loop, program);
    struct tsi_worker_event event = {.kind = TSI_WORKER_PROGRAM};
    event.program.job = message->program.job;
    event.program.program = program;
    // One that is here from before is given back at once, but its job goes on, with its files.
    if (!tsi_worker_has_program(loop->core, message->program.job)) {
        (void)tsi_map_put(&loop->programs, (uint64_t)(uintptr_t)program, loop->peer);
    }
    event.program.token = message->program.token;
    tsi_worker_loop_event(loop, &event);
}

static void
take_copy(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_COPY};
    for (size_t i = 0; i < message->copy.count; i++) {
        if (message->copy.locations[i].data != NULL) {
            take_inline(loop, &message->copy.locations[i]);
        }
    }
    event.copy.locations = message->copy.locations;
    event.copy.count = message->copy.count;
    tsi_worker_loop_event(loop, &event);
}

static void
take_news(struct tsi_worker_loop *loop, const struct tsi_peer_news *news)
{
    if (news->is_there) {
        const bool is_here = loop->room.has_addresses && strcmp(news->host, loop->host) == 0;
        if (!tsi_fetcher_peer(loop->fetcher, news->peer, news->endpoint, is_here)) {
            tsi_log(TSI_LOG_ERROR, "out of memory", "peer=%u cannot be noted", news->peer);
        }
        return;
    }
    struct tsi_worker_event event = {.kind = TSI_WORKER_PEER_LEFT};
    event.peer_left.peer = news->peer;
    tsi_fetcher_peer_gone(loop->fetcher, news->peer);
    tsi_worker_loop_event(loop, &event);
}

static void
take_welcome(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    if (loop->peer != 0) {
        return;
    }
    if (!tsi_link_welcome(loop, message)) {
        return;
    }
    if (message->welcome.heartbeat_ms >= 10 && message->welcome.heartbeat_ms <= 60000) {
        loop->heartbeat_ns = message->welcome.heartbeat_ms * TSI_MILLISECOND;
        loop->next_heartbeat_ns = loop->heard_ns + loop->heartbeat_ns;
    }
    struct tsi_message heartbeat = {.type = TSI_MESSAGE_HEARTBEAT};
    tsi_link_send(loop, &heartbeat); // whoever knows its number is a member
    loop->alone_since_ns = 0;
    loop->told_waiting = false;
    tsi_log(TSI_LOG_INFO, "joined", "scheduler=%s epoch=%u peer=%u", loop->connection.address,
            message->epoch, loop->peer);
}

// A worker that was given up says hello again as a new one; any other refusal is final.
static void
take_refusal(struct tsi_worker_loop *loop, const struct tsi_refuse *refuse)
{
    tsi_log(TSI_LOG_ERROR, "refused by the scheduler", "%s: %s", tess_status_name(refuse->status),
            refuse->text);
    if (refuse->status == TESS_ELOST) {
        loop->heard_ns = 0;
    } else {
        loop->stopping = true;
        loop->exit_code = TSI_WORKER_EXIT_REFUSED;
    }
}

static void
take_task_message(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_RETRACT};
    switch (message->type) {
    case TSI_MESSAGE_PROGRAM:
        take_program(loop, message);
        return;
    case TSI_MESSAGE_ASSIGN:
        take_assignments(loop, message);
        return;
    case TSI_MESSAGE_COPY:
        take_copy(loop, message);
        return;
    case TSI_MESSAGE_RETRACT:
        event.retract.sequences = message->retract.sequences;
        event.retract.count = message->retract.count;
        break;
    case TSI_MESSAGE_FREE:
        event.kind = TSI_WORKER_FREE;
        event.free.keys = message->keys.keys;
        event.free.count = message->keys.count;
        break;
    case TSI_MESSAGE_DROP_JOB:
        event.kind = TSI_WORKER_DROP_JOB;
        event.drop_job.job = message->job.job;
        break;
    default:
        return;
    }
    tsi_worker_loop_event(loop, &event);
}

static void
take_message(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    loop->heard_ns = tsi_clock_ns();
    if (message->type == TSI_MESSAGE_WELCOME) {
        take_welcome(loop, message);
        return;
    }
    if (message->type == TSI_MESSAGE_REFUSE) {
        take_refusal(loop, &message->refuse);
        return;
    }
    if (loop->peer == 0 || message->epoch != loop->connection.epoch ||
        message->peer != loop->peer) {
        return;
    }
    switch (message->type) {
    case TSI_MESSAGE_PEER:
        take_news(loop, &message->news);
        break;
    case TSI_MESSAGE_DRAINED:
        loop->stopping = true;
        break;
    case TSI_MESSAGE_GOODBYE:
        tsi_log(TSI_LOG_INFO, "the scheduler ended", "%s", loop->connection.address);
        loop->heard_ns = 0;
        break;
    default:
        take_task_message(loop, message);
        break;
    }
}

static void
take_frame(struct tsi_worker_loop *loop, zmq_msg_t *frame)
{
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_message message;
    const tess_status status = tsi_message_decode(zmq_msg_data(frame), zmq_msg_size(frame),
                                                  &loop->scratch, &message, &error);
    loop->damaged += message.damaged;
    if (status == TESS_OK || (status == TESS_EVERSION && message.type == TSI_MESSAGE_REFUSE)) {
        take_message(loop, &message);
    } else {
        tsi_log(TSI_LOG_WARNING, "dropped a frame", "%s", error.text);
    }
}

static bool
listens(const struct tsi_worker_loop *loop)
{
    return loop->socket != NULL && loop->heard_ns != 0;
}

void
tsi_worker_loop_receive(struct tsi_worker_loop *loop)
{
    for (int i = 0; i < MESSAGES_PER_TURN && listens(loop); i++) {
        zmq_msg_t frames[TSI_NET_FRAMES_MAX];
        const int count = tsi_net_receive(loop->socket, NULL, frames, TSI_NET_FRAMES_MAX);
        if (count == 0) {
            return;
        }
        for (int k = 0; k < count && listens(loop); k++) {
            take_frame(loop, &frames[k]);
        }
        tsi_net_close_frames(frames, count);
    }
}
