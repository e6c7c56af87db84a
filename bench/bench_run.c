// SPDX-License-Identifier: Apache-2.0
//
// One warm-up each, then the bench and its peers in turn: A B A B, so that a machine that gets
// slower or faster does so for all of them. Medians are compared; the smallest and largest show the
// noise.

#include "bench/bench_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tessera.h"

#define REPEAT_MAX 1000

struct series {
    int count;
    double values[REPEAT_MAX];
};

double
bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
add(struct series *series, double value)
{
    series->values[series->count++] = value;
    qsort(series->values, (size_t)series->count, sizeof(double), compare);
}

static double
median(const struct series *series)
{
    const int half = series->count / 2;
    if (series->count == 0) {
        return 0.0;
    }
    return series->count % 2 == 1 ? series->values[half]
                                  : (series->values[half - 1] + series->values[half]) / 2;
}

// How many times as good as the peer: above 1 is better.
static double
ratio(const struct bench *bench, const struct series *own, const struct series *peer)
{
    return bench->more_is_better ? median(own) / median(peer) : median(peer) / median(own);
}

struct contest {
    const struct bench *bench;
    void *state;
    struct series own;
    struct bench_peer_process *processes[BENCH_PEERS_MAX];
    struct series peers[BENCH_PEERS_MAX];
};

static bool
run_turn(struct contest *contest, bool counts)
{
    const double value = contest->bench->run(contest->state);
    if (value < 0) {
        return false;
    }
    if (counts) {
        add(&contest->own, value);
    }
    for (int i = 0; i < BENCH_PEERS_MAX; i++) {
        const double other =
            contest->processes[i] != NULL ? bench_peer_run(contest->processes[i]) : -1;
        if (other >= 0 && counts) {
            add(&contest->peers[i], other);
        }
    }
    return true;
}

static void
print_json(const struct contest *contest, FILE *out)
{
    const struct bench *bench = contest->bench;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(out,
            "{\"name\":\"%s\",\"configuration\":\"%s\",\"unit\":\"%s\",\"version\":\"%s\","
            "\"runs\":%d,\"min\":%.9g,\"median\":%.9g,\"max\":%.9g,\"peak_resident_bytes\":%lld,"
            "\"peers\":{",
            bench->name, bench->configuration, bench->unit, tess_version(), contest->own.count,
            contest->own.values[0], median(&contest->own),
            contest->own.values[contest->own.count - 1], (long long)usage.ru_maxrss * 1024);
    const char *comma = "";
    for (int i = 0; i < BENCH_PEERS_MAX; i++) {
        if (contest->peers[i].count > 0) {
            fprintf(out, "%s\"%s\":{\"median\":%.9g,\"ratio\":%.4g}", comma, bench->peers[i].name,
                    median(&contest->peers[i]), ratio(bench, &contest->own, &contest->peers[i]));
            comma = ",";
        }
    }
    fprintf(out, "}}\n");
    fflush(out);
}

static void
print_line(const struct contest *contest, bool peers)
{
    const struct bench *bench = contest->bench;
    printf("%-16s %.4g %s (%.4g … %.4g, %d runs)", bench->name, median(&contest->own), bench->unit,
           contest->own.values[0], contest->own.values[contest->own.count - 1], contest->own.count);
    for (int i = 0; i < BENCH_PEERS_MAX && peers; i++) {
        if (contest->peers[i].count > 0) {
            printf("; %s %.4g %s: %.2f times as good", bench->peers[i].name,
                   median(&contest->peers[i]), bench->unit,
                   ratio(bench, &contest->own, &contest->peers[i]));
        } else if (bench->peers[i].name != NULL) {
            printf("; %s is not installed", bench->peers[i].name);
        }
    }
    printf("\n");
    fflush(stdout);
}

static bool
run_contest(struct contest *contest, const struct bench_options *options)
{
    bool ok = run_turn(contest, false);
    for (int i = 0; i < options->repeat && i < REPEAT_MAX && ok; i++) {
        ok = run_turn(contest, true);
    }
    if (ok) {
        print_line(contest, options->peers);
    }
    if (ok && options->json != NULL) {
        print_json(contest, options->json);
    }
    return ok;
}

bool
bench_run(const struct bench *bench, const struct bench_options *options)
{
    static struct contest contest;
    memset(&contest, 0, sizeof contest);
    contest.bench = bench;
    contest.state = bench->open();
    if (contest.state == NULL) {
        return false;
    }
    for (int i = 0; i < BENCH_PEERS_MAX && options->peers; i++) {
        if (bench->peers[i].name != NULL) {
            contest.processes[i] = bench_peer_start(&bench->peers[i]);
        }
    }
    const bool ok = run_contest(&contest, options);
    for (int i = 0; i < BENCH_PEERS_MAX; i++) {
        bench_peer_stop(contest.processes[i]);
    }
    bench->close(contest.state);
    return ok;
}
