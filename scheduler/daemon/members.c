// SPDX-License-Identifier: Apache-2.0
//
// Who is connected. A member is one connection: it begins with HELLO, has a number that is never
// used again, and ends with GOODBYE, with silence, or when its connection breaks. Everyone is told
// about everyone who serves chunks.
//
// A member counts from the first message with the number that WELCOME told it. A HELLO that was
// recorded and is sent again, by whomever, therefore makes nobody a worker or client.

#include "scheduler/daemon/loop.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

// Frames that cannot be read after which a member is no longer one.
#define BAD_FRAMES_MAX 64

// How long a member may take to send its number back.
#define CONFIRM_NS (15 * TSI_SECOND)

// How long a worker whose connection broke may wait for the word of who watches over it.
#define OBITUARY_NS (250 * TSI_MILLISECOND)

// Routes are 5 bytes, those that the transport makes: a number.
static uint64_t
route_key(const struct tsi_route *route)
{
    uint64_t key = 0;
    for (size_t i = 0; i < route->count && i < sizeof key; i++) {
        key = key << 8 | route->bytes[i];
    }
    return key;
}

struct tsi_member *
tsi_members_by_route(const struct tsi_loop *loop, const struct tsi_route *route)
{
    const uint64_t *found = tsi_map_get(&loop->by_route, route_key(route));
    return found != NULL ? (struct tsi_member *)(uintptr_t)*found : NULL;
}

struct tsi_member *
tsi_members_by_peer(const struct tsi_loop *loop, uint32_t peer)
{
    const uint64_t *found = tsi_map_get(&loop->by_peer, peer);
    return found != NULL ? (struct tsi_member *)(uintptr_t)*found : NULL;
}

static void
send_news(struct tsi_loop *loop, struct tsi_member *to, const struct tsi_member *about,
          bool is_there)
{
    struct tsi_message message = {.type = TSI_MESSAGE_PEER,
                                  .news = {.peer = about->peer,
                                           .is_there = is_there,
                                           .threads = about->threads,
                                           .memory_bytes = is_there ? about->memory_bytes : 0,
                                           .endpoint = is_there ? about->endpoint : "",
                                           .host = is_there ? about->host : ""}};
    tsi_loop_send(loop, to, &message);
}

// Clients fetch from workers, workers from workers and clients.
static bool
needs_news(const struct tsi_member *to, const struct tsi_member *about)
{
    return to != about && (to->role == TSI_ROLE_WORKER || about->role == TSI_ROLE_WORKER);
}

static void
tell_everyone(struct tsi_loop *loop, struct tsi_member *about, bool is_there)
{
    for (size_t i = 0; i < loop->members.count; i++) {
        struct tsi_member *other = loop->members.items[i];
        if (!other->confirmed) {
            continue;
        }
        if (needs_news(other, about)) {
            send_news(loop, other, about, is_there);
        }
        if (is_there && needs_news(about, other)) {
            send_news(loop, about, other, true);
        }
    }
}

static void
free_member(struct tsi_member *member)
{
    tsi_outbox_free(member->outbox);
    tsi_later_fini(&member->later);
    tsi_free(member);
}

static struct tsi_member *
new_member(struct tsi_loop *loop, const struct tsi_route *route, const struct tsi_hello *hello)
{
    struct tsi_member *member = tsi_calloc(1, sizeof *member);
    if (member == NULL) {
        return NULL;
    }
    member->outbox = tsi_outbox_new();
    member->peer = loop->next_peer;
    member->memory_bytes = hello->memory_bytes;
    member->spill_bytes = hello->spill_bytes;
    member->joined_ns = tsi_clock_ns();
    member->role = hello->role;
    member->threads = hello->role == TSI_ROLE_WORKER ? hello->threads : 0;
    member->route = *route;
    member->pid = hello->pid;
    member->is_watched = hello->is_watched;
    snprintf(member->name, sizeof member->name, "%s", hello->name);
    snprintf(member->endpoint, sizeof member->endpoint, "%s", hello->endpoint);
    snprintf(member->host, sizeof member->host, "%s", hello->host);
    if (member->outbox == NULL ||
        !tsi_map_put(&loop->by_route, route_key(route), (uint64_t)(uintptr_t)member)) {
        free_member(member);
        return NULL;
    }
    if (!tsi_map_put(&loop->by_peer, member->peer, (uint64_t)(uintptr_t)member) ||
        !tsi_vec_push(&loop->members, member)) {
        tsi_map_remove(&loop->by_route, route_key(route));
        tsi_map_remove(&loop->by_peer, member->peer);
        free_member(member);
        return NULL;
    }
    loop->next_peer++;
    return member;
}

static void
introduce(struct tsi_loop *loop, const struct tsi_member *member)
{
    struct tsi_sched_event event = {.peer = member->peer};
    if (member->role == TSI_ROLE_WORKER) {
        event.kind = TSI_SCHED_WORKER_JOINED;
        event.worker_joined.threads = (int)member->threads;
        event.worker_joined.memory_bytes = member->memory_bytes;
        event.worker_joined.spill_bytes = member->spill_bytes;
        event.worker_joined.name = member->name;
        tsi_log(TSI_LOG_INFO, "worker joined", "peer=%u name=%s threads=%u endpoint=%s",
                member->peer, member->name, member->threads, member->endpoint);
    } else {
        event.kind = TSI_SCHED_CLIENT_JOINED;
        tsi_log(TSI_LOG_INFO, "client joined", "peer=%u endpoint=%s", member->peer,
                member->endpoint);
    }
    tsi_loop_event(loop, &event);
}

void
tsi_members_join(struct tsi_loop *loop, const struct tsi_route *route,
                 const struct tsi_hello *hello)
{
    struct tsi_member *known = tsi_members_by_route(loop, route);
    if (known != NULL) {
        tsi_members_leave(loop, known, false, "said hello again");
    }
    struct tsi_member *member = new_member(loop, route, hello);
    if (member == NULL) {
        struct tsi_message message = {
            .type = TSI_MESSAGE_REFUSE,
            .refuse = {.status = TESS_ENOMEM, .text = "the scheduler is out of memory"}};
        tsi_loop_send_stranger(loop, route, &message);
        return;
    }
    struct tsi_message welcome = {
        .type = TSI_MESSAGE_WELCOME,
        .welcome = {.peer = member->peer,
                    .heartbeat_ms = (uint32_t)(loop->heartbeat_ns / TSI_MILLISECOND),
                    .keeps_journal = loop->has_journal}};
    tsi_loop_send(loop, member, &welcome);
}

void
tsi_members_confirm(struct tsi_loop *loop, struct tsi_member *member)
{
    if (!member->confirmed) {
        member->confirmed = true;
        tell_everyone(loop, member, true);
        introduce(loop, member);
        if (member->role == TSI_ROLE_WORKER) {
            tsi_journal_note_workers(loop);
        }
    }
}

void
tsi_members_count_bad(struct tsi_loop *loop, struct tsi_member *member)
{
    if (++member->bad_frames == BAD_FRAMES_MAX) {
        member->leaves_by = "it sends frames that cannot be read";
        loop->next_heartbeat_ns = 0; // probe soon
    }
}

static void
forget(struct tsi_loop *loop, struct tsi_member *member)
{
    tsi_map_remove(&loop->by_route, route_key(&member->route));
    tsi_map_remove(&loop->by_peer, member->peer);
    for (size_t i = 0; i < loop->members.count; i++) {
        if (loop->members.items[i] == member) {
            memmove(&loop->members.items[i], &loop->members.items[i + 1],
                    (loop->members.count - i - 1) * sizeof *loop->members.items);
            loop->members.count--;
            break;
        }
    }
}

void
tsi_members_leave(struct tsi_loop *loop, struct tsi_member *member, bool clean, const char *text)
{
    const bool is_worker = member->role == TSI_ROLE_WORKER;
    if (!member->confirmed) {
        forget(loop, member);
        free_member(member);
        return;
    }
    tsi_log(clean ? TSI_LOG_INFO : TSI_LOG_WARNING, is_worker ? "worker left" : "client left",
            "peer=%u name=%s why=%s", member->peer, member->name, text);
    forget(loop, member);
    tell_everyone(loop, member, false);
    struct tsi_sched_event event = {
        .kind = is_worker ? TSI_SCHED_WORKER_LEFT : TSI_SCHED_CLIENT_LEFT, .peer = member->peer};
    if (is_worker) {
        event.worker_left.clean = clean;
        event.worker_left.text = text;
        tsi_journal_note_workers(loop);
    } else {
        event.client_left.clean = clean;
    }
    tsi_loop_event(loop, &event);
    free_member(member);
}

// Tells a member that it is none any more, in case it still listens. The message is small enough
// to be sent whatever waits.
static void
dismiss(struct tsi_loop *loop, struct tsi_member *member)
{
    struct tsi_message message = {.type = TSI_MESSAGE_REFUSE,
                                  .peer = member->peer,
                                  .refuse = {.status = TESS_ELOST, .text = member->leaves_by}};
    const char *why = member->leaves_by;
    tsi_loop_send_stranger(loop, &member->route, &message);
    tsi_members_leave(loop, member, false, why);
}

void
tsi_members_bury(struct tsi_loop *loop, const struct tsi_obituary *obituary)
{
    for (size_t i = 0; i < loop->members.count; i++) {
        struct tsi_member *member = loop->members.items[i];
        if (member->is_watched && member->pid == obituary->pid &&
            strcmp(member->host, obituary->host) == 0) {
            tsi_members_leave(loop, member, false, obituary->text);
            return;
        }
    }
}

// Whether it is time to let a member go that shall leave. Who is watched over is given
// a moment, for the word of how it died to come first.
static bool
is_gone(struct tsi_loop *loop, const struct tsi_member *member)
{
    const uint64_t until = member->leaves_ns + (member->is_watched ? OBITUARY_NS : 0);
    if (member->leaves_by == NULL) {
        return false;
    }
    if (tsi_clock_ns() >= until) {
        return true;
    }
    loop->next_heartbeat_ns = until < loop->next_heartbeat_ns ? until : loop->next_heartbeat_ns;
    return false;
}

void
tsi_members_probe(struct tsi_loop *loop)
{
    struct tsi_message message = {.type = TSI_MESSAGE_HEARTBEAT};
    size_t i = 0;
    while (i < loop->members.count) {
        struct tsi_member *member = loop->members.items[i];
        tsi_loop_send(loop, member, &message);
        if (!member->confirmed && tsi_clock_ns() > member->joined_ns + CONFIRM_NS) {
            member->leaves_by = "it did not answer the welcome";
        }
        if (is_gone(loop, member)) {
            dismiss(loop, member);
        } else {
            i++;
        }
    }
}

void
tsi_members_free(struct tsi_loop *loop)
{
    for (size_t i = 0; i < loop->members.count; i++) {
        free_member(loop->members.items[i]);
    }
    tsi_vec_fini(&loop->members);
    tsi_map_fini(&loop->by_route);
    tsi_map_fini(&loop->by_peer);
}
