// SPDX-License-Identifier: Apache-2.0
//
// The scheduler daemon's parts: loop.c starts, waits and dispatches, predecessor.c looks for a
// scheduler that runs already, members.c knows who is connected, loop_receive.c turns messages into
// events of the core, loop_send.c turns its actions into messages, detached.c gives jobs to clients
// that did not submit them.

#ifndef TSI_SCHEDULER_LOOP_H
#define TSI_SCHEDULER_LOOP_H

#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "engine/net/later.h"
#include "engine/net/outbox.h"
#include "scheduler/core/sched.h"
#include "scheduler/daemon/journal_file.h"
#include "scheduler/daemon/options.h"
#include "scheduler/record/recorder.h"
#include "scheduler/wire/journal.h"

// One connection of a worker or client.
struct tsi_member {
    uint32_t peer; // its number, never used again
    uint8_t role;  // enum tsi_role
    struct tsi_route route;
    char name[TSI_WIRE_NAME_MAX + 1];
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    char host[TSI_WIRE_NAME_MAX + 1];
    uint32_t threads; // of a worker
    uint64_t memory_bytes;
    uint64_t spill_bytes;
    struct tsi_outbox *outbox;
    struct tsi_later later;
    uint64_t joined_ns;
    uint32_t bad_frames; // that cannot be read
    bool confirmed;      // it has sent its number back: only then others hear of it
    uint32_t pid;
    bool is_watched;       // somebody will tell how it died
    uint64_t leaves_ns;    // since when `leaves_by` is known
    const char *leaves_by; // why it leaves in the next probe; NULL: it does not
};

// A submitted program and its bytes, which workers get as they came.
struct tsi_daemon_job {
    struct tsi_program *program;
    unsigned char *bytes;
    size_t count;
    uint32_t client;
    uint64_t token;
    uint32_t number;
    bool detached;
    uint32_t attached; // the client that it was given to; 0: nobody
    char *end_text;    // of a detached one that failed
    bool pending;      // the core does not have it yet: first it goes into the journal
    bool ended;        // what is left of it are chunks that its client keeps
    TSI_VEC(struct tsi_task_range) taken; // only with a journal
};

// A job that is gone, in case that its client has not heard how it ended.
struct tsi_past_job {
    uint32_t number;
    uint64_t token;
    tess_status status;
    bool kept;  // it ended well, and its chunks were given back
    char *text; // of a detached one that failed; may be NULL
};

struct tsi_loop {
    const struct tsi_scheduler_options *options;
    struct tsi_connection connection;
    char connection_path[TSI_PATH_MAX];
    struct tsi_net *net;
    void *socket;
    void *monitor;
    int signals;
    struct tsi_sched *sched;
    struct tsi_recorder *recorder; // NULL: nothing is recorded
    uint32_t next_peer;
    TSI_VEC(struct tsi_member *) members;
    struct tsi_map by_route;
    struct tsi_map by_peer;
    TSI_VEC(struct tsi_daemon_job *) jobs;
    uint32_t next_job;
    TSI_VEC(struct tsi_past_job) past; // the oldest first

    // The journal; has_journal is false without one.
    bool has_journal;
    bool journal_fails; // which was told
    struct tsi_journal_file journal;
    struct tsi_journal restored; // what was in it, until the jobs are in the core
    struct tsi_put records;      // that are not written yet
    uint64_t journal_whole;      // bytes when it was written as a whole
    uint64_t journal_sync_ns;    // the next sync
    uint64_t restore_until_ns;   // 0: jobs go on
    uint32_t restore_workers;    // that were there before

    struct tsi_arena scratch;
    struct tsi_wire_buf out;
    uint64_t later_due_ns;        // when some member's kept back messages have to leave; 0: never
    struct tsi_outbox *strangers; // answers to those who are no members
    bool has_pid_file;
    bool draining;         // no more jobs; ends when none runs
    bool stopping;         // at once
    bool superseded;       // by a scheduler with a higher epoch
    uint64_t heartbeat_ns; // how often members send a sign of life, and get one
    uint64_t next_heartbeat_ns;
    uint64_t probe_pause_ns; // until the next probe after a connection broke; 0: as ever
    uint64_t idle_since_ns;  // 0 while there is work
    uint64_t bad_frames;
    uint64_t damaged; // chunks inside messages that did not fit their checksums
};

// Runs until it is told to stop; the exit code.
int tsi_loop_run(const struct tsi_scheduler_options *options);

// predecessor.c: fails if the connection file at `path` is that of a scheduler that lives.
tess_status tsi_predecessor_check(const char *path, struct tsi_error *error);

// Whether a later scheduler has the connection file by now; then this one shall end.
bool tsi_predecessor_has_lost(const struct tsi_loop *loop);

// journal.c. Nothing of it does anything without a journal.

// Opens the journal that the options name, and reads it.
tess_status tsi_journal_open(struct tsi_loop *loop, struct tsi_error *error);
// Gives the core the jobs that were in it, and begins it anew with this scheduler's epoch.
tess_status tsi_journal_begin(struct tsi_loop *loop, struct tsi_error *error);
// Jobs that were submitted since the last call are written down and brought to the disk, then
// accepted; where that fails, refused.
void tsi_journal_admit(struct tsi_loop *loop);
void tsi_journal_note_taken(struct tsi_loop *loop, struct tsi_daemon_job *job,
                            const uint32_t *tasks, size_t count);
void tsi_journal_note_ended(struct tsi_loop *loop, const struct tsi_daemon_job *job);
void tsi_journal_note_dropped(struct tsi_loop *loop, struct tsi_daemon_job *job,
                              tess_status status);
void tsi_journal_note_workers(struct tsi_loop *loop);
// Frees what is remembered of jobs that are gone, with or without a journal.
void tsi_past_forget(struct tsi_loop *loop);
// What is due by the time: a sync, the end of the wait for workers.
void tsi_journal_turn(struct tsi_loop *loop, uint64_t now);
uint64_t tsi_journal_deadline(const struct tsi_loop *loop);
void tsi_journal_close(struct tsi_loop *loop);

// detached.c

// Gives `member` the detached job that has this token, unless somebody else has it.
void tsi_detached_attach(struct tsi_loop *loop, struct tsi_member *member, uint64_t token);
// Whether its result was given up or back, and is only there since another job reads it; then
// `member` is told.
bool tsi_detached_is_gone(struct tsi_loop *loop, const struct tsi_member *member,
                          const struct tsi_daemon_job *job);
// Whether somebody else has the detached job; then `member` is told.
bool tsi_detached_is_taken(struct tsi_loop *loop, const struct tsi_member *member,
                           const struct tsi_daemon_job *job);
// Whether a detached program keeps more than may be kept; then its client is told.
bool tsi_detached_is_too_large(struct tsi_loop *loop, const struct tsi_member *member,
                               const struct tsi_message *submit, const struct tsi_program *program);
// Takes down how a detached job ended, for whoever asks.
void tsi_detached_note_end(struct tsi_daemon_job *job, tess_status status, const char *text);
// members.c
struct tsi_member *tsi_members_by_route(const struct tsi_loop *loop, const struct tsi_route *route);
struct tsi_member *tsi_members_by_peer(const struct tsi_loop *loop, uint32_t peer);
void tsi_members_join(struct tsi_loop *loop, const struct tsi_route *route,
                      const struct tsi_hello *hello);
// Takes a member in that has shown that it knows its number. Whoever sends a recorded HELLO again
// does not get that far.
void tsi_members_confirm(struct tsi_loop *loop, struct tsi_member *member);
void tsi_members_leave(struct tsi_loop *loop, struct tsi_member *member, bool clean,
                       const char *text);
// A worker is dead; nothing happens if it is no member.
void tsi_members_bury(struct tsi_loop *loop, const struct tsi_obituary *obituary);

// Counts a frame that cannot be read; after too many the member leaves.
void tsi_members_count_bad(struct tsi_loop *loop, struct tsi_member *member);
// Sends everyone a sign of life; who cannot be reached any more, does not read, or has not
// confirmed in time leaves.
void tsi_members_probe(struct tsi_loop *loop);
void tsi_members_free(struct tsi_loop *loop);

// loop_receive.c: takes in what has arrived, a bounded number of messages.
void tsi_loop_receive(struct tsi_loop *loop);
void tsi_loop_event(struct tsi_loop *loop, struct tsi_sched_event *event);

// The job that has this token, NULL if there is none.
struct tsi_daemon_job *tsi_loop_job_by_token(const struct tsi_loop *loop, uint64_t token);

// Gives a submitted job to the core.
void tsi_loop_admit_job(struct tsi_loop *loop, struct tsi_daemon_job *job);
void tsi_loop_refuse_job(struct tsi_loop *loop, uint32_t peer, uint64_t token, tess_status status,
                         const char *text);

// loop_send.c: carries out all actions of the core.
void tsi_loop_act(struct tsi_loop *loop);

// Sends `message` to `member`; if it is gone, does not read, or memory is out, it leaves in the
// next probe: with a message lost, it and the core would not know the same any more.
void tsi_loop_send(struct tsi_loop *loop, struct tsi_member *member, struct tsi_message *message);
// The same, but it may leave a moment later, with what else there is to send to the member.
void tsi_loop_send_later(struct tsi_loop *loop, struct tsi_member *member,
                         struct tsi_message *message);
// Sends what was kept back for all members.
void tsi_loop_flush(struct tsi_loop *loop);

// Sends `message` to somebody who is no member, unless too much waits for such already.
void tsi_loop_send_stranger(struct tsi_loop *loop, const struct tsi_route *route,
                            struct tsi_message *message);

// The job whose program is `program`, NULL if there is none.
struct tsi_daemon_job *tsi_loop_job(const struct tsi_loop *loop, const struct tsi_program *program);
void tsi_loop_free_job(struct tsi_loop *loop, struct tsi_daemon_job *job);

#endif
