// SPDX-License-Identifier: Apache-2.0
//
// Links: messages in order after random delays, and the two ways in which a link ends. When the
// peer dies, a random tail of what it had sent is lost; when the scheduler closes, what the peer
// still sends arrives or not, and the peer hears of it some time.

#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

uint32_t
sim_link_open(struct sim_world *world, struct sim_worker *worker, struct sim_client *client)
{
    TSI_CHECK(tsi_vec_push(&world->links, ((struct sim_link){
                                              .worker = worker,
                                              .client = client,
                                              .opened_ns = world->now,
                                          })));
    return (uint32_t)world->links.count - 1;
}

struct sim_mail *
sim_mail_new(struct sim_world *world, enum sim_mail_kind kind, uint32_t peer)
{
    struct sim_mail *mail = sim_alloc(sizeof *mail);
    mail->kind = kind;
    mail->peer = peer;
    world->mails++;
    return mail;
}

void
sim_mail_free(struct sim_world *world, struct sim_mail *mail)
{
    for (size_t i = 0; i < sizeof mail->blocks / sizeof *mail->blocks; i++) {
        free(mail->blocks[i]);
    }
    free(mail);
    world->mails--;
}

void *
sim_mail_copy(struct sim_mail *mail, const void *items, size_t bytes)
{
    size_t at = 0;
    while (mail->blocks[at] != NULL) {
        at++;
    }
    TSI_CHECK(at < sizeof mail->blocks / sizeof *mail->blocks);
    mail->blocks[at] = sim_alloc(bytes);
    if (bytes > 0 && items != NULL) {
        memcpy(mail->blocks[at], items, bytes);
    }
    return mail->blocks[at];
}

void
sim_mail_send(struct sim_world *world, struct sim_mail *mail)
{
    struct sim_link *link = &world->links.items[mail->peer];
    const bool is_up = mail->kind == SIM_MAIL_TO_SCHED;
    uint64_t *last = is_up ? &link->from_time : &link->to_time;
    // Now and then a message is held up, and all behind it.
    const bool is_clogged = world->config.big_workers == 0 && sim_chance(&world->random, 5);
    const uint64_t mean = is_clogged ? 100 * world->net_ns : world->net_ns;
    const uint64_t time = world->now + sim_delay(world, mean);
    *last = time > *last ? time : *last;
    mail->index = is_up ? ++link->from_sent : ++link->to_sent;
    sim_at(world, *last, SIM_MAIL)->mail = mail;
}

static void
drop(struct sim_world *world, struct sim_mail *mail)
{
    if (mail->kind == SIM_MAIL_TO_WORKER) {
        sim_worker_drop_mail(world, mail);
    }
    sim_mail_free(world, mail);
}

static void
arrive_at_sched(struct sim_world *world, struct sim_mail *mail)
{
    struct sim_link *link = &world->links.items[mail->peer];
    const bool is_leave = mail->to_sched.kind == TSI_SCHED_WORKER_LEFT ||
                          mail->to_sched.kind == TSI_SCHED_CLIENT_LEFT;
    const bool is_lost = link->dead && !is_leave && mail->index > link->from_limit;
    const bool is_ignored = link->closed && (is_leave || sim_chance(&world->random, 500));
    if (is_lost || is_ignored) {
        sim_trace(world, "peer %u: message lost", mail->peer);
    } else {
        link->from_arrived = mail->index;
        link->heard_ns = world->now - world->stalled_ns;
        if (is_leave) {
            sim_link_close(world, mail->peer);
        }
        mail->to_sched.peer = mail->peer;
        if (sim_restart_arrives(world, mail)) {
            sim_sched_feed(world, &mail->to_sched);
        }
    }
}

void
sim_mail_arrive(struct sim_world *world, struct sim_event *event)
{
    struct sim_mail *mail = event->mail;
    const struct sim_link *way = &world->links.items[mail->peer];
    const uint64_t cut = mail->kind == SIM_MAIL_TO_SCHED ? way->from_cut : way->to_cut;
    if (cut > world->now) {
        sim_postpone(world, event, cut);
        return;
    }
    if (mail->kind == SIM_MAIL_TO_SCHED) {
        arrive_at_sched(world, mail);
        sim_mail_free(world, mail);
        return;
    }
    struct sim_link *link = &world->links.items[mail->peer];
    struct sim_worker *worker = link->worker;
    const bool is_gone = worker != NULL ? !worker->alive || worker->peer != mail->peer
                                        : link->client->vanished || link->client->left;
    if (link->dead || is_gone) {
        drop(world, mail);
        return;
    }
    if (worker != NULL && worker->frozen_until > world->now) {
        sim_postpone(world, event, worker->frozen_until);
        event->mail = mail;
        return;
    }
    link->to_arrived = mail->index;
    if (mail->kind == SIM_MAIL_TO_WORKER) {
        sim_worker_feed(worker, &mail->to_worker);
    } else if (mail->kind == SIM_MAIL_TO_CLIENT) {
        sim_client_receive(link->client, &mail->to_client);
    } else if (mail->kind == SIM_MAIL_GO) {
        sim_worker_leave(worker);
    } else if (worker != NULL) {
        sim_worker_disconnected(worker);
    }
    sim_mail_free(world, mail);
}

static void
send_leave(struct sim_world *world, uint32_t peer, bool clean)
{
    struct sim_link *link = &world->links.items[peer];
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, peer);
    if (link->worker != NULL) {
        mail->to_sched.kind = TSI_SCHED_WORKER_LEFT;
        mail->to_sched.worker_left.clean = clean;
        mail->to_sched.worker_left.text = clean ? NULL : "signal 9";
    } else {
        mail->to_sched.kind = TSI_SCHED_CLIENT_LEFT;
        mail->to_sched.client_left.clean = clean;
    }
    sim_mail_send(world, mail);
}

void
sim_link_kill(struct sim_world *world, uint32_t peer, bool seen, bool clean)
{
    struct sim_link *link = &world->links.items[peer];
    const uint32_t under_way = link->from_sent - link->from_arrived;
    if (link->dead) {
        return; // with the scheduler of that time
    }
    link->dead = true;
    link->from_limit =
        clean ? link->from_sent
              : link->from_arrived + (uint32_t)sim_choose(world, (uint64_t)under_way + 1);
    if (seen && !link->closed) {
        send_leave(world, peer, clean);
    }
}

void
sim_link_close(struct sim_world *world, uint32_t peer)
{
    struct sim_link *closing = &world->links.items[peer];
    if (closing->closed) {
        return;
    }
    closing->closed = true;
    sim_book_closed(closing);
    TSI_CHECK(tsi_vec_push(&world->gone, peer));
    if (!closing->dead) {
        sim_mail_send(world, sim_mail_new(world, SIM_MAIL_DISCONNECT, peer));
    }
    for (uint32_t p = 1; p < world->links.count; p++) {
        const struct sim_link *link = &world->links.items[p];
        if (link->worker != NULL && !link->closed && !link->dead) {
            struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_WORKER, p);
            mail->to_worker.kind = TSI_WORKER_PEER_LEFT;
            mail->to_worker.peer_left.peer = peer;
            sim_mail_send(world, mail);
        }
    }
}
