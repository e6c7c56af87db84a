// SPDX-License-Identifier: Apache-2.0
//
// The worker's core: which tasks wait for which inputs, what runs next, which chunks are held, what
// memory is taken. One state machine without sockets, clocks or threads, as the scheduler's
// (scheduler/core/sched.h states the rules of events and actions).
//
// Chunks and programs are the driver's objects. The core knows a chunk by its key and a handle, a
// pointer that it never looks behind; it says when the handle may go.
//
// Assignment states: NEEDS_INPUTS → READY → RUNNING → reported. Fetches are objects of their own,
// keyed by the chunk and shared by all assignments that wait for it, so that ending an assignment
// never touches a fetch.
//
// Memory is strictly bounded: what is held, fetched and reserved for runs is never more than
// memory_bytes. Where it does not suffice chunks go to disk, those first that are needed last; a
// task that has no room even so is given back. Where the limit was lowered below what is taken,
// nothing more is taken until that is less.
//
// What a worker holds is what the scheduler can know from its reports: outputs of tasks reported
// done, inputs of those tasks, and copies reported. It holds them until FREE or DROP_JOB. What came
// for tasks that did not come to be done goes when no task uses it any more. FREE of a chunk that
// tasks use takes effect after them, unless a later assignment or COPY asks for the chunk again.

#ifndef TSI_WORKER_H
#define TSI_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/program/exchange.h"
#include "engine/program/program.h"

struct tsi_worker;

struct tsi_worker_config {
    int threads;
    // Short tasks that may be given to the driver beyond its threads, for it to keep in a queue of
    // its own; none while a long task runs, behind which they would wait.
    int runs_ahead;
    uint64_t memory_bytes; // that chunks and workspaces may take
    int fetches_max;       // under way at once; 0: 64
    int spills_max;        // chunks written or read at once; 0: none is ever written
    uint64_t spill_bytes;  // that chunks may take on disk
};

enum tsi_worker_event_kind {
    TSI_WORKER_PROGRAM, // of a job, before its first assignment
    TSI_WORKER_ASSIGNED,
    TSI_WORKER_RETRACT,
    TSI_WORKER_FREE, // chunks that nobody needs
    TSI_WORKER_COPY, // chunks to fetch and keep
    TSI_WORKER_DROP_JOB,
    TSI_WORKER_PEER_LEFT, // nothing can be fetched from it any more
    // Every FETCH is answered by one of these two. Of a peer that has left answers may come or not.
    // A fetch that failed is tried again a few times before the tasks that wait for it end.
    TSI_WORKER_FETCHED, // a chunk arrived, or came with an assignment
    TSI_WORKER_FETCH_FAILED,
    TSI_WORKER_EXECUTED, // a run ended
    // Every SPILL and LOAD is answered by its own, also after a RESET.
    TSI_WORKER_SPILLED,
    TSI_WORKER_LOADED,
    // The memory that may be taken is another from now on, at most that of the configuration. Of
    // what is held beyond it as much as can leaves at once; what runs goes on.
    TSI_WORKER_LIMITED,
    // The scheduler is gone: forget everything it said. FETCHes from before are not answered any
    // more; runs end as always, unheard.
    TSI_WORKER_RESET,
    // The scheduler is gone, and another may come that knows the same jobs: as RESET, but chunks
    // and programs stay, to be offered to it, and so does what still runs.
    TSI_WORKER_PARTED,
};

struct tsi_worker_event {
    enum tsi_worker_event_kind kind;
    uint64_t now_ns;
    union {
        struct {
            uint32_t job;
            const struct tsi_program *program; // stays until RELEASE_PROGRAM gives it back
            uint64_t token;                    // the client's name of the job
        } program;
        struct {
            const struct tsi_assignment *items;
            size_t count;
            // In order of the items. A location with data has been fed as FETCHED before.
            const struct tsi_location *locations;
            size_t location_count;
        } assigned;
        struct {
            const uint32_t *sequences;
            size_t count;
        } retract;
        struct {
            const tsi_key *keys;
            size_t count;
        } free;
        struct {
            const struct tsi_location *locations; // as in `assigned`
            size_t count;
        } copy;
        struct {
            uint32_t job;
        } drop_job;
        struct {
            uint32_t peer;
        } peer_left;
        struct {
            tsi_key key;
            uint32_t peer; // from whom; TSI_PEER_NONE if it came with the next assignment or COPY
            void
                *handle; // the core's from here on, until RELEASE_CHUNK; taken even if nobody waits
            uint64_t bytes;
        } fetched;
        struct {
            tsi_key key;
            uint32_t peer;
            const char *text;
        } fetch_failed;
        struct {
            uint32_t run;
            tess_status status;
            void *handle; // of the output, if TESS_OK
            uint64_t bytes;
            uint32_t duration_us;
            const char *text; // if not TESS_OK
        } executed;
        struct {
            uint32_t run;
            tess_status status;
            void *extent;     // if TESS_OK: the core's from here on, until RELEASE_EXTENT
            const char *text; // if not
        } spilled;
        struct {
            uint32_t run;
            tess_status status;
            void *handle;     // if TESS_OK, as in `fetched`
            const char *text; // if not: the chunk is lost
        } loaded;
        struct {
            uint64_t memory_bytes;
        } limited;
    };
};

enum tsi_worker_action_kind {
    TSI_WORKER_EXECUTE,
    TSI_WORKER_CANCEL_RUN, // its job is gone: stop it at the next tile; EXECUTED still follows
    TSI_WORKER_FETCH,
    TSI_WORKER_RELEASE_CHUNK,   // the handle is the driver's again
    TSI_WORKER_RELEASE_PROGRAM, // the program is the driver's again
    TSI_WORKER_SPILL,           // write the chunk to disk; the handle stays the core's
    TSI_WORKER_LOAD,            // read it back into a fresh handle
    TSI_WORKER_RELEASE_EXTENT,  // the room on disk is the driver's again
    TSI_WORKER_REPORT_DONE,     // to the scheduler
    TSI_WORKER_REPORT_ENDED,    // to the scheduler; sequence 0: a copy that could not be made
    TSI_WORKER_REPORT_DROPPED,  // to the scheduler: these chunks are here no more
    TSI_WORKER_REPORT_COPIED,   // to the scheduler; also of what only a dropped job told of
    TSI_WORKER_REPORT_HELD,     // to the scheduler: there since the offer, from the life before
};

struct tsi_worker_done {
    struct tsi_completion completion; // `data` NULL: the driver adds it for small outputs
    void *handle;
};

// What a worker holds, job by job; the ranges of the first one first.
struct tsi_worker_offer {
    const struct tsi_holding *holdings;
    size_t count;
    const struct tsi_task_range *ranges;
    size_t range_count;
};

struct tsi_worker_action {
    enum tsi_worker_action_kind kind;
    union {
        struct {
            uint32_t run; // below threads + runs_ahead; free again when EXECUTED was fed
            uint32_t job;
            uint32_t task;
            const struct tsi_program *program;
            int op;
            int64_t chunk;
            // In the order that tsi_exec_task wants them.
            void *const *inputs;
            const tsi_key *input_keys;
            size_t input_count;
            uint64_t output_bytes;
            uint64_t cost_ns; // how long it is expected to take
            // It reads what the task of the EXECUTE before reads: a thread that takes both executes
            // them best at once. They end as any other two.
            bool is_along;
        } execute;
        struct {
            uint32_t run;
        } cancel_run;
        struct {
            tsi_key key;
            uint32_t peer;
            uint64_t bytes; // of the chunk; 0 if that is not known
        } fetch;
        struct {
            void *handle;
        } release_chunk;
        struct {
            const struct tsi_program *program;
        } release_program;
        struct {
            uint32_t run; // below spills_max; of SPILLs and LOADs alike
            void *handle;
            uint64_t bytes;
        } spill;
        struct {
            uint32_t run;
            void *extent;
            uint64_t bytes;
        } load;
        struct {
            void *extent;
        } release_extent;
        struct {
            const struct tsi_worker_done *items;
            size_t count;
        } done;
        struct tsi_attempt ended;
        struct {
            const tsi_key *keys;
            size_t count;
        } copied, dropped;
        struct tsi_worker_offer held;
    };
};

struct tsi_worker *
tsi_worker_new(const struct tsi_worker_config *config); // NULL when memory is out

// Frees the core. Handles and programs that it still has are given to `release_chunk` and
// `release_program` (either may be NULL).
void tsi_worker_free(struct tsi_worker *worker, void (*release_chunk)(void *context, void *handle),
                     void (*release_program)(void *context, const struct tsi_program *program),
                     void *context);

// Gives all extents that the core has to `release_extent`, for before it is freed.
void tsi_worker_free_extents(struct tsi_worker *worker,
                             void (*release_extent)(void *context, void *extent), void *context);

// Takes one event in. False when memory is out: the event had no effect, and what it carried is
// still the driver's. The driver should then end the worker.
bool tsi_worker_step(struct tsi_worker *worker, const struct tsi_worker_event *event);

// Gives the next action; false if there is none now. Completions are told last, so that a round of
// polling tells them together.
bool tsi_worker_poll(struct tsi_worker *worker, uint64_t now_ns, struct tsi_worker_action *action);

// Whether the program of a job is here; another one that comes for it is given back at once.
bool tsi_worker_has_program(const struct tsi_worker *worker, uint32_t job);

// What is held of all jobs whose program is here, to be told to a scheduler that was joined before
// anything else is. A job of which only tasks run is told without ranges. Valid until the next
// call. False when memory is out.
bool tsi_worker_offer(struct tsi_worker *worker, struct tsi_worker_offer *offer);

// The handle and size of a chunk that is held in memory, NULL (and `*bytes` as it was) if it is
// not; for serving peers.
void *tsi_worker_chunk(const struct tsi_worker *worker, tsi_key key, uint64_t *bytes);

// Whether the worker has the chunk on disk. If so it will be read back before all others. The
// driver should look for it with tsi_worker_chunk() before it polls after LOADED.
bool tsi_worker_chunk_demand(struct tsi_worker *worker, tsi_key key);

// A peer has got a chunk that is in memory. One that was demanded stays there until then, but for
// at most a second, and not where nothing else could leave.
void tsi_worker_chunk_served(struct tsi_worker *worker, tsi_key key);

struct tsi_worker_stats {
    size_t assignments; // not reported yet
    size_t running;
    size_t chunks;
    size_t fetches;          // under way, those from disk included
    size_t spills;           // chunks being written, or about to be
    uint64_t bytes_held;     // in chunks in memory
    uint64_t bytes_reserved; // for what runs: outputs and workspaces
    uint64_t bytes_fetching; // for what is fetched or read
    uint64_t bytes_peak;     // of the three together, since the last tsi_worker_reset_peak()
    uint64_t bytes_spilled;  // on disk, or about to be
    uint64_t spills_done;    // chunks written
    uint64_t loads_done;     // chunks read back
    uint64_t chunks_lost;    // that could not be read back
    uint64_t chunks_dropped; // since it is cheaper to make them again than to write them
};
struct tsi_worker_stats tsi_worker_stats(const struct tsi_worker *worker);
void tsi_worker_reset_peak(struct tsi_worker *worker);

bool tsi_worker_verify(const struct tsi_worker *worker, const char **broken);
uint64_t tsi_worker_digest(const struct tsi_worker *worker);

#endif
