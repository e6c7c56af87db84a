// SPDX-License-Identifier: Apache-2.0
//
// Jobs that go on without the client that submitted them, and how others come by them. Whoever
// names the token gets the program, which tells what the job makes, and is the job's client from
// then on, as if it had submitted it. One client at a time: while that one is there, nobody else
// gets it. A job that is gone leaves how it ended.

#include <stdio.h>

#include "engine/base/memory.h"
#include "scheduler/daemon/loop.h"

static const struct tsi_past_job *
find_past(const struct tsi_loop *loop, uint64_t token)
{
    for (size_t i = 0; i < loop->past.count; i++) {
        if (loop->past.items[i].token == token) {
            return &loop->past.items[i];
        }
    }
    return NULL;
}

// Tells that there is nothing to attach to, by how the job ended or was given up or back.
static void
tell_end(struct tsi_loop *loop, const struct tsi_member *member, uint64_t token, tess_status status,
         const char *text)
{
    if (status == TESS_OK) {
        status = TESS_EINVAL;
        text = "the result of this compute was given back by tess_release()";
    } else if ((status == TESS_ETIMEOUT || status == TESS_ELIMIT) && text == NULL) {
        text = tsi_sched_result_text(status);
    }
    tsi_loop_refuse_job(loop, member->peer, token, status,
                        text != NULL ? text : tess_status_text(status));
}

static void
tell_gone(struct tsi_loop *loop, const struct tsi_member *member, uint64_t token)
{
    const struct tsi_past_job *past = find_past(loop, token);
    if (past != NULL) {
        tell_end(loop, member, token, past->status, past->text);
        return;
    }
    tsi_loop_refuse_job(loop, member->peer, token, TESS_EINVAL,
                        "there is no such compute: the scheduler never had it, has forgotten it, "
                        "or was started again without its journal");
}

bool
tsi_detached_is_gone(struct tsi_loop *loop, const struct tsi_member *member,
                     const struct tsi_daemon_job *job)
{
    tess_status why = TESS_OK;
    if (!tsi_sched_result_is_gone(loop->sched, job->number, &why)) {
        return false;
    }
    tell_end(loop, member, job->token, why, NULL);
    return true;
}

bool
tsi_detached_is_taken(struct tsi_loop *loop, const struct tsi_member *member,
                      const struct tsi_daemon_job *job)
{
    if (!job->detached || job->attached == 0 || job->attached == member->peer ||
        tsi_members_by_peer(loop, job->attached) == NULL) {
        return false;
    }
    tsi_loop_refuse_job(loop, member->peer, job->token, TESS_EACCESS,
                        "another session has attached to this compute, and still is there");
    return true;
}

void
tsi_detached_attach(struct tsi_loop *loop, struct tsi_member *member, uint64_t token)
{
    tsi_loop_act(loop); // what is about to go is gone
    struct tsi_daemon_job *job = tsi_loop_job_by_token(loop, token);
    if (job == NULL || !job->detached || job->pending) {
        tell_gone(loop, member, token);
        return;
    }
    if (tsi_detached_is_gone(loop, member, job) || tsi_detached_is_taken(loop, member, job)) {
        return;
    }
    struct tsi_message message = {
        .type = TSI_MESSAGE_PROGRAM,
        .program = {
            .job = job->number, .token = job->token, .bytes = job->bytes, .count = job->count}};
    tsi_log(TSI_LOG_INFO, "job attached", "job=%u client=%u", job->number, member->peer);
    tsi_loop_send(loop, member, &message);
    job->client = job->attached = member->peer;
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_CLAIMED, .peer = member->peer};
    event.job.job = job->number;
    tsi_loop_event(loop, &event);
}

bool
tsi_detached_is_too_large(struct tsi_loop *loop, const struct tsi_member *member,
                          const struct tsi_message *submit, const struct tsi_program *program)
{
    const uint64_t most = loop->options->result_bytes_max;
    const uint64_t bytes = tsi_sched_result_bytes(program);
    char text[256];
    if (!submit->submit.detached || bytes <= most) {
        return false;
    }
    snprintf(text, sizeof text,
             "the result of the detached compute has %llu bytes, and the scheduler keeps at most "
             "%llu of those that nobody has (--result-limit)",
             (unsigned long long)bytes, (unsigned long long)most);
    tsi_loop_refuse_job(loop, member->peer, submit->submit.token, TESS_ELIMIT, text);
    return true;
}

void
tsi_detached_note_end(struct tsi_daemon_job *job, tess_status status, const char *text)
{
    if (job->detached && status != TESS_OK && job->end_text == NULL && text != NULL) {
        job->end_text = tsi_strdup(text); // without memory for it the status speaks
    }
}
