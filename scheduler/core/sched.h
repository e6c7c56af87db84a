// SPDX-License-Identifier: Apache-2.0
//
// The scheduler's core: one state machine without sockets, clocks or threads.
//
// A driver (the embedded runtime, the daemon, the simulator) feeds it events, each with the time,
// and takes actions out until there are none. An event and all it points to stay the driver's; the
// core copies what it keeps. An action and all it points to belong to the core and stay valid until
// the next call. The same events at the same times give the same actions.
//
// Task states: docs/ARCHITECTURE.md has the table.

#ifndef TSI_SCHED_H
#define TSI_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/program/exchange.h"
#include "engine/program/program.h"

struct tsi_sched;

struct tsi_sched_config {
    uint64_t seed;
    // Silence after which a worker is suspected (gets nothing new) and lost (its tasks run
    // elsewhere). 0: never, as in the embedded runtime.
    uint64_t suspect_ns;
    uint64_t lost_ns;
    // A job fails when this many workers were lost while they ran the same task.
    int kills_max;
    // How often a task is tried again after an error of input or output, and the first pause
    // before.
    int retries_max;
    uint64_t retry_pause_ns;
    // Assignments beyond its threads that a worker holds ready.
    int prefetch;
    // How long the chunks and jobs of a client that went away are kept.
    uint64_t client_lease_ns;
    // How long the chunks of a detached job are kept that nobody has, and the bytes that those of
    // all of them may take together; beyond that the oldest are given up.
    uint64_t result_lease_ns;
    uint64_t result_bytes_max;
};

struct tsi_sched_config tsi_sched_config_default(void);

enum tsi_sched_event_kind {
    TSI_SCHED_WORKER_JOINED,
    TSI_SCHED_WORKER_HEARD,    // any sign of life
    TSI_SCHED_WORKER_DRAINING, // wants no more tasks and to leave when what it alone holds is
                               // elsewhere
    TSI_SCHED_WORKER_LEFT,     // disconnected or dead
    TSI_SCHED_CLIENT_JOINED,
    TSI_SCHED_CLIENT_LEFT,
    TSI_SCHED_JOB_SUBMITTED,
    TSI_SCHED_JOB_CANCELLED, // by its client
    TSI_SCHED_JOB_RELEASED,  // the kept chunks of a job are no longer wanted; a detached one that
                             // runs and that nobody uses is cancelled
    TSI_SCHED_TARGETS_TAKEN, // the client has these target chunks
    TSI_SCHED_TASKS_DONE,
    TSI_SCHED_ATTEMPT_ENDED,
    // What a scheduler that starts again tells the core, before any job is submitted: the jobs of
    // the one before, from the journal. Nothing is activated until RESTORED, so that workers can
    // say what they hold; a job, but a detached one, until its client has claimed it.
    TSI_SCHED_JOB_RESTORED,
    TSI_SCHED_RESTORED,
    TSI_SCHED_JOB_CLAIMED,  // a client says that the job is its, and hears all that it missed
    TSI_SCHED_WORKER_HOLDS, // a worker has chunks that no report of this life told
    TSI_SCHED_COPIED, // a worker holds copies: the answer to COPY, and to DROP_JOB what it holds of
                      // other jobs' chunks that only completions of the dropped one told of
    TSI_SCHED_DROPPED, // a worker has chunks no more, through nobody's fault
    TSI_SCHED_TICK,    // only the time
};

struct tsi_sched_event {
    enum tsi_sched_event_kind kind;
    uint64_t now_ns;
    uint32_t peer; // the worker or client that the event is from
    union {
        struct {
            int threads;
            uint64_t memory_bytes;
            const char *name;
            uint64_t spill_bytes; // of chunks that it may have on disk besides
        } worker_joined;
        struct {
            bool clean;       // said goodbye
            const char *text; // how it died, as far as known; may be NULL
        } worker_left;
        struct {
            bool clean; // said goodbye, and will not claim its jobs
        } client_left;
        struct {
            uint64_t token;                    // the client's own name of the job
            const struct tsi_program *program; // valid; stays until JOB_DROPPED gives it back
            bool detached;                     // goes on without its client
            uint32_t job; // its number, higher than all before; 0: the next one
        } job_submitted;
        struct {
            uint32_t job;
            uint64_t token;
            const struct tsi_program *program; // as of a job that is submitted
            bool detached;
            bool ended; // well; what is left are chunks that its client keeps
            const struct tsi_task_range *taken;
            size_t taken_count;
        } job_restored; // `peer`: who stands for the clients that are not back yet
        struct {
            uint32_t job;
            const struct tsi_task_range *ranges;
            size_t count;
        } holds;
        struct {
            uint32_t job;
        } job; // JOB_CANCELLED, JOB_RELEASED, JOB_CLAIMED
        struct {
            uint32_t job;
            const uint32_t *tasks;
            size_t count;
        } targets_taken;
        struct {
            const struct tsi_completion *items;
            size_t count;
        } done;
        struct tsi_attempt attempt;
        struct {
            const tsi_key *keys;
            size_t count;
        } copied, dropped;
    };
};

enum tsi_sched_action_kind {
    TSI_SCHED_SEND_PROGRAM,   // to a worker, before its first task of the job
    TSI_SCHED_ASSIGN,         // to a worker
    TSI_SCHED_RETRACT,        // to a worker: give these attempts back if they have not started
    TSI_SCHED_FREE,           // to a worker: these chunks are not needed any more
    TSI_SCHED_COPY,           // to a worker: fetch these chunks, then report COPIED
    TSI_SCHED_DROP_JOB,       // to a worker: drop tasks, chunks and the program of the job
    TSI_SCHED_DROP_WORKER,    // the worker is lost: close its connection, tell the others
    TSI_SCHED_WORKER_DRAINED, // the worker may go
    TSI_SCHED_JOB_ACCEPTED,   // to a client
    TSI_SCHED_TARGETS_READY,  // to a client
    TSI_SCHED_JOB_PROGRESS,   // to a client, at most ten times a second
    TSI_SCHED_JOB_ENDED, // to a client, or to nobody if it is detached and its client has left; of
                         // a job with kept chunks it means that they are all there
    TSI_SCHED_JOB_DROPPED, // nothing of the job is left: the program is the driver's again
};

// A target chunk and who has it. `data` as in a completion.
struct tsi_sched_ready {
    uint32_t task;
    uint32_t peer;
    uint64_t bytes;
    const void *data;
};

struct tsi_sched_action {
    enum tsi_sched_action_kind kind;
    uint32_t peer; // the worker or client that it is for
    uint32_t job;
    union {
        struct {
            const struct tsi_program *program;
            tess_status status; // of JOB_DROPPED: how the job ended, if its client did not hear;
                                // TESS_ETIMEOUT, TESS_ELIMIT: its result was given up
        } program;              // SEND_PROGRAM, JOB_DROPPED
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
        } free;
        struct {
            const struct tsi_location *locations;
            size_t count;
        } copy;
        struct {
            const char *text;
        } drop_worker;
        struct {
            uint64_t token;
        } accepted;
        struct {
            const struct tsi_sched_ready *items;
            size_t count;
            // No target is left to be told of, as far as is known: a client that has all of them,
            // and nothing else to wait for, need not wait for JOB_ENDED. It would say this.
            bool is_last;
            struct tsi_job_costs costs;
        } ready;
        struct tsi_sched_progress {
            uint64_t tasks_done;
            uint64_t tasks_total;
            int workers;
        } progress;
        struct {
            tess_status status;
            const char *text;
            struct tsi_job_costs costs;
        } ended;
    };
};

// NULL when memory is out.
struct tsi_sched *tsi_sched_new(const struct tsi_sched_config *config);
void tsi_sched_free(struct tsi_sched *sched);

// Takes one event in. Events about peers, jobs or attempts that the core does not know (any more)
// have no effect but a count; nothing that a peer sends can break the core.
void tsi_sched_step(struct tsi_sched *sched, const struct tsi_sched_event *event);

// Runs the policy as far as needed and gives the next action; false if there is none now.
bool tsi_sched_poll(struct tsi_sched *sched, uint64_t now_ns, struct tsi_sched_action *action);

// When the driver must send a TICK at the latest; UINT64_MAX if never.
uint64_t tsi_sched_deadline(const struct tsi_sched *sched);

// What is going on, for logs and tools.
struct tsi_sched_stats {
    int workers;
    int threads;
    int clients;
    int jobs;
    uint64_t tasks_done;
    uint64_t tasks_assigned; // now
    uint64_t stale_reports;  // ignored, since they were about the past
    uint64_t workers_lost;
    uint64_t bytes_held; // in chunks of all workers
};
struct tsi_sched_stats tsi_sched_stats(const struct tsi_sched *sched);

// Bytes of the chunks that a program keeps.
uint64_t tsi_sched_result_bytes(const struct tsi_program *program);

// Whether the result of a detached job is only there since another job reads it, and nobody can
// have it any more: who claims the job gets no answer from the core. `*why` is TESS_ETIMEOUT or
// TESS_ELIMIT if it was given up, and TESS_OK if it was given back.
bool tsi_sched_result_is_gone(const struct tsi_sched *sched, uint32_t job, tess_status *why);

// Why one was given up, in words.
const char *tsi_sched_result_text(tess_status why);

// Checks the invariants of scheduler/core/sched_verify.c, all of them if `deep`; true if they hold,
// else the name of the broken one in `*broken`.
bool tsi_sched_verify(const struct tsi_sched *sched, bool deep, const char **broken);

// A hash of the whole state: equal for equal histories.
uint64_t tsi_sched_digest(const struct tsi_sched *sched);

#endif
