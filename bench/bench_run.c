// SPDX-License-Identifier: Apache-2.0
//
// One warm-up each, then the bench and its rivals in turn: A B C, A B C, so that a machine that
// gets slower or faster does so for all of them. While the others run, one's memory rests, and a
// virtual machine takes longer for its first touch after that: so whoever is quick enough runs once
// more, uncounted, right before each run that counts. A rival that fails drops out; if the own side
// does, the bench is over. Rivals that are not asked for are not in the document; those that are
// absent are, with the reason.

#include "bench/bench_run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_process.h"
#include "bench/bench_stats.h"
#include "bench/bench_target.h"

#define REPEAT_MAX 1000
#define ROUNDS_MIN 3
#define WHY_BYTES 512
// Whoever takes longer for a run is not asked for an uncounted one.
#define QUICK_S 0.5
#define CONTESTANTS_MAX (1 + BENCH_RIVALS_MAX)
#define ARGUMENTS_MAX 12

struct contestant {
    const struct bench_rival *rival; // NULL: the own side
    struct bench_process *process;
    enum bench_answer answer;
    char why[WHY_BYTES];
    double took_s; // its last run, as seen from here
    size_t count;
    double values[REPEAT_MAX];
    int64_t peak_bytes;
};

struct contest {
    const struct bench *bench;
    const struct bench_options *options;
    int64_t size;
    int threads;
    int count;
    struct contestant contestants[CONTESTANTS_MAX];
};

// Debian's Python, whose packages the peers are.
static const char *
python(void)
{
    return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
}

// The words that start a contestant.
struct command {
    char path[PATH_MAX + 64];
    char size[32];
    char threads[16];
    char *arguments[ARGUMENTS_MAX];
};

static void
set_arguments(struct command *command, const char *const *words)
{
    int count = 0;
    while (words[count] != NULL && count < ARGUMENTS_MAX - 1) {
        // execvp() does not change what its arguments point to.
        command->arguments[count] = (char *)(uintptr_t)words[count];
        count++;
    }
    command->arguments[count] = NULL;
}

static void
make_command(const struct contest *contest, const struct bench_rival *rival,
             struct command *command)
{
    char home[PATH_MAX];
    const int threads = rival != NULL && rival->threads > 0 ? rival->threads : contest->threads;
    bench_process_home(home, sizeof home);
    snprintf(command->size, sizeof command->size, "%lld", (long long)contest->size);
    snprintf(command->threads, sizeof command->threads, "%d", threads);
    if (rival == NULL || rival->kind == BENCH_SELF) {
        snprintf(command->path, sizeof command->path, "%s/tessera-bench", home);
        set_arguments(command,
                      (const char *const[]){command->path, "serve",
                                            rival != NULL ? rival->program : contest->bench->name,
                                            command->size, command->threads, NULL});
    } else if (rival->kind == BENCH_LIMIT) {
        snprintf(command->path, sizeof command->path, "%s/../libexec/tessera/limit-%s", home,
                 rival->program);
        set_arguments(command, (const char *const[]){command->path, rival->job, command->size,
                                                     command->threads, NULL});
    } else {
        snprintf(command->path, sizeof command->path, "%s/../libexec/tessera/peer/%s", home,
                 rival->program);
        // By its whole name, since Python starts more of itself by the name it was called.
        set_arguments(command, (const char *const[]){python(), command->path, rival->job,
                                                     command->size, command->threads, NULL});
    }
}

static void
start(const struct contest *contest, struct contestant *contestant)
{
    struct command command;
    const bool is_peer = contestant->rival != NULL && contestant->rival->kind == BENCH_PEER;
    make_command(contest, contestant->rival, &command);
    if (is_peer && access(command.path, R_OK) != 0) {
        contestant->answer = BENCH_ABSENT;
        snprintf(contestant->why, WHY_BYTES, "not installed");
        return;
    }
    contestant->answer =
        bench_process_start(&contestant->process, command.arguments, is_peer,
                            contest->options->timeout_s, contestant->why, WHY_BYTES);
}

static double
run_once(struct contestant *contestant)
{
    double value = 0;
    const double start_s = bench_now();
    contestant->answer = bench_process_run(contestant->process, &value, contestant->why, WHY_BYTES);
    contestant->took_s = bench_now() - start_s;
    return value;
}

// Each has its turn; false if the own side failed.
static bool
run_round(struct contest *contest, bool counts)
{
    for (int i = 0; i < contest->count; i++) {
        struct contestant *contestant = &contest->contestants[i];
        double value = 0;
        if (contestant->answer == BENCH_ANSWERED && counts && !contest->bench->once &&
            contestant->took_s < QUICK_S) {
            (void)run_once(contestant);
        }
        if (contestant->answer == BENCH_ANSWERED) {
            value = run_once(contestant);
        }
        if (contestant->answer != BENCH_ANSWERED && i == 0) {
            return false;
        }
        if (contestant->answer == BENCH_ANSWERED && counts) {
            contestant->values[contestant->count++] = value;
        }
    }
    return true;
}

static void
run_rounds(struct contest *contest)
{
    const struct bench *bench = contest->bench;
    const double start_s = bench_now();
    int rounds = contest->options->repeat;
    rounds = bench->repeat > 0 && bench->repeat < rounds ? bench->repeat : rounds;
    rounds = bench->once ? 1 : rounds;
    if (contest->contestants[0].answer != BENCH_ANSWERED ||
        (!bench->once && !run_round(contest, false))) {
        return;
    }
    for (int i = 0; i < rounds && i < REPEAT_MAX; i++) {
        const bool is_late = bench_now() - start_s > contest->options->seconds;
        if ((is_late && i >= ROUNDS_MIN) || !run_round(contest, true)) {
            return;
        }
    }
}

static void
add_series(json_t *object, const struct contestant *contestant)
{
    static const char *const names[] = {"measured", "absent", "failed"};
    const struct bench_summary summary = bench_summarize(contestant->values, contestant->count);
    json_object_set_new(object, "status", json_string(names[contestant->answer]));
    if (contestant->answer != BENCH_ANSWERED) {
        json_object_set_new(object, "why", json_string(contestant->why));
        return;
    }
    json_t *values = json_array();
    for (size_t i = 0; i < contestant->count; i++) {
        json_array_append_new(values, json_real(contestant->values[i]));
    }
    json_object_set_new(object, "values", values);
    json_object_set_new(object, "min", json_real(summary.min));
    json_object_set_new(object, "median", json_real(summary.median));
    json_object_set_new(object, "max", json_real(summary.max));
    json_object_set_new(object, "noise", json_real(bench_noise(&summary)));
    json_object_set_new(object, "peak_resident_bytes", json_integer(contestant->peak_bytes));
}

// −1 for one that was not measured.
static double
median_of(const struct contestant *contestant)
{
    return contestant->answer == BENCH_ANSWERED && contestant->count > 0
               ? bench_summarize(contestant->values, contestant->count).median
               : -1.0;
}

static json_t *
tell_rivals(const struct contest *contest)
{
    static const char *const kinds[] = {"", "limit", "peer", "self"};
    json_t *rivals = json_array();
    const double own = median_of(&contest->contestants[0]);
    for (int i = 1; i < contest->count; i++) {
        const struct contestant *contestant = &contest->contestants[i];
        const double other = median_of(contestant);
        json_t *object = json_pack("{s:s, s:s}", "name", contestant->rival->name, "kind",
                                   kinds[contestant->rival->kind]);
        add_series(object, contestant);
        if (own >= 0 && other >= 0) {
            json_object_set_new(object, "ratio",
                                json_real(bench_target_ratio(contest->bench, own, other)));
        }
        json_array_append_new(rivals, object);
    }
    return rivals;
}

static double
median_of_rival(const struct contest *contest, const char *name)
{
    for (int i = 1; i < contest->count && name != NULL; i++) {
        if (strcmp(contest->contestants[i].rival->name, name) == 0) {
            return median_of(&contest->contestants[i]);
        }
    }
    return -1.0;
}

static json_t *
tell_targets(const struct contest *contest)
{
    json_t *targets = json_array();
    for (int i = 0; i < BENCH_TARGETS_MAX && contest->bench->targets[i].check != 0; i++) {
        const struct bench_target *target = &contest->bench->targets[i];
        const struct bench_target_facts facts = {
            .own = median_of(&contest->contestants[0]),
            .other = median_of_rival(contest, target->rival),
            .peak_bytes = (double)contest->contestants[0].peak_bytes,
            .judged = !contest->options->quick,
        };
        json_array_append_new(targets, bench_target_judge(contest->bench, target, &facts));
    }
    return targets;
}

static json_t *
tell(const struct contest *contest, const struct bench_suite *suite)
{
    const struct bench *bench = contest->bench;
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:i}", "name", bench->name, "suite",
                               suite->name, "work", bench->work, "unit", bench->unit, "better",
                               bench->more_is_better ? "more" : "less", "size",
                               (json_int_t)contest->size, "threads", contest->threads);
    if (object != NULL) {
        add_series(object, &contest->contestants[0]);
        json_object_set_new(object, "rivals", tell_rivals(contest));
        json_object_set_new(object, "targets", tell_targets(contest));
    }
    return object;
}

// A bench of more threads than there are is not run.
static bool
has_threads(struct contest *contest)
{
    struct contestant *own = &contest->contestants[0];
    if (contest->bench->threads <= contest->options->threads) {
        return true;
    }
    own->answer = BENCH_ABSENT;
    snprintf(own->why, WHY_BYTES, "needs %d processors", contest->bench->threads);
    return false;
}

static void
choose_contestants(struct contest *contest)
{
    contest->count = 1;
    for (int i = 0; i < BENCH_RIVALS_MAX && contest->bench->rivals[i].kind != BENCH_NONE; i++) {
        const struct bench_rival *rival = &contest->bench->rivals[i];
        if (rival->kind != BENCH_PEER || contest->options->peers) {
            contest->contestants[contest->count++].rival = rival;
        }
    }
}

json_t *
bench_run(const struct bench_suite *suite, const struct bench *bench,
          const struct bench_options *options)
{
    static struct contest contest;
    memset(&contest, 0, sizeof contest);
    contest.bench = bench;
    contest.options = options;
    contest.size = options->quick ? bench->quick_size : bench->size;
    contest.threads = bench->threads > 0 ? bench->threads : options->threads;
    choose_contestants(&contest);
    if (has_threads(&contest)) {
        for (int i = 0; i < contest.count; i++) {
            start(&contest, &contest.contestants[i]);
            if (contest.contestants[0].answer != BENCH_ANSWERED) {
                contest.count = 1;
            }
        }
        run_rounds(&contest);
    } else {
        contest.count = 1;
    }
    for (int i = 0; i < contest.count; i++) {
        contest.contestants[i].peak_bytes = bench_process_end(contest.contestants[i].process);
    }
    return tell(&contest, suite);
}
