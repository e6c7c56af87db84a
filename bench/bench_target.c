// SPDX-License-Identifier: Apache-2.0
//
// A target is about medians. It is not judged where its rival is absent, and not with --quick,
// whose sizes are too small to mean anything.

#include "bench/bench_target.h"

#include <stdio.h>
#include <string.h>

#include "bench/bench_text.h"

double
bench_target_ratio(const struct bench *bench, double own, double other)
{
    const double better = bench->more_is_better ? own : other;
    const double worse = bench->more_is_better ? other : own;
    return worse > 0 ? better / worse : 0.0;
}

static enum bench_rival_kind
kind_of(const struct bench *bench, const char *rival)
{
    for (int i = 0; i < BENCH_RIVALS_MAX && bench->rivals[i].kind != BENCH_NONE; i++) {
        if (strcmp(bench->rivals[i].name, rival) == 0) {
            return bench->rivals[i].kind;
        }
    }
    return BENCH_NONE;
}

static void
say(const struct bench *bench, const struct bench_target *target, char *out, size_t bytes)
{
    char bound[BENCH_TEXT_BYTES];
    char slack[BENCH_TEXT_BYTES];
    switch (target->check) {
    case BENCH_RATIO:
        if (kind_of(bench, target->rival) == BENCH_LIMIT) {
            snprintf(out, bytes, "≥ %g of %s", target->bound, target->rival);
        } else {
            snprintf(out, bytes, "≥ %g × %s", target->bound, target->rival);
        }
        break;
    case BENCH_TIMES:
        snprintf(out, bytes, "≤ %g × %s + %s", target->bound, target->rival,
                 bench_text_round(target->slack, bench->unit, slack));
        break;
    case BENCH_PEAK:
        snprintf(out, bytes, "peak ≤ %s", bench_text_round(target->bound, "B", bound));
        break;
    default:
        snprintf(out, bytes, "%s %s", target->check == BENCH_AT_LEAST ? "≥" : "≤",
                 bench_text_round(target->bound, bench->unit, bound));
    }
}

// Whether it is met, and the number that says so in words. False also if a rival is missing.
static bool
check(const struct bench *bench, const struct bench_target *target,
      const struct bench_target_facts *facts, char found[BENCH_TEXT_BYTES])
{
    switch (target->check) {
    case BENCH_RATIO: {
        const double ratio = bench_target_ratio(bench, facts->own, facts->other);
        bench_text_factor(ratio, found);
        return ratio >= target->bound;
    }
    case BENCH_TIMES:
        bench_text_value(facts->own, bench->unit, found);
        return facts->own <= target->bound * facts->other + target->slack;
    case BENCH_PEAK:
        bench_text_value(facts->peak_bytes, "B", found);
        return facts->peak_bytes <= target->bound;
    default:
        bench_text_value(facts->own, bench->unit, found);
        return target->check == BENCH_AT_LEAST ? facts->own >= target->bound
                                               : facts->own <= target->bound;
    }
}

json_t *
bench_target_judge(const struct bench *bench, const struct bench_target *target,
                   const struct bench_target_facts *facts)
{
    char text[256];
    char found[BENCH_TEXT_BYTES] = "";
    const bool needs_rival = target->check == BENCH_RATIO || target->check == BENCH_TIMES;
    const bool is_known = facts->own >= 0 && (!needs_rival || facts->other >= 0);
    const bool met = is_known && check(bench, target, facts, found);
    say(bench, target, text, sizeof text);
    return json_pack("{s:s, s:s, s:o}", "text", text, "found", found, "met",
                     is_known && facts->judged ? json_boolean(met) : json_null());
}
