#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Where the processor's time of the main job goes, as a Markdown table: samples of perf, in user
# mode, of one thread that does the job ten times.
#
#   sh scripts/bench-profile.sh [TESSERA-BENCH]

set -eu

cd "$(dirname "$0")/.."
program=${1:-build/release/bin/tessera-bench}
[ -x "$program" ] || program=build/test/bin/tessera-bench
command -v perf >/dev/null || {
    echo "bench-profile.sh: perf is not installed (Debian's package linux-perf)" >&2
    exit 1
}
samples=$(mktemp)
trap 'rm -f "$samples"' EXIT

go='go go go go go go go go go go'
# Each word is a line, and each line a run.
# shellcheck disable=SC2086
printf '%s\n' $go |
    perf record -q -e cycles:u -o "$samples" "$program" serve main-core 10000 1 >/dev/null
perf report -i "$samples" --stdio --fields overhead,dso,symbol --field-separator ';' 2>/dev/null |
    awk -F ';' '
        /^#/ || NF < 3 { next }
        {
            share = $1 + 0
            name = $3
            sub(/^.*\] */, "", name)
            sub(/ .*$/, "", name)
        }
        name ~ /^(normal_f64|drawn_normal)/ { normals += share; next }
        name ~ /^(sum_down|tsi_tile_fold|tsi_tile_drawn|fold_|merge_|start_|finish_)/ { sums += share; next }
        name ~ /^(tsi_pipeline|tsi_tiling|tsi_run_|tsi_exec|tsi_attempt|reduce_chunk|tsi_operand)/ {
            tiles += share
            next
        }
        name ~ /^tsi_(sched|worker|local|index_map|chunk_set|grid)/ { cores += share; next }
        { rest += share }
        END {
            print "| Part | Functions | Share of the time |"
            print "|---|---|---|"
            printf "| making normals and adding them to the columns | `drawn_normal` | %.1f %% |\n", normals
            printf "| adding together what tasks summed | `sum_down_f64`, `merge_*`, `finish_*` | %.1f %% |\n", sums
            printf "| going through the task | `tsi_exec_run`, `tsi_run_tile`, `tsi_attempt_*` | %.1f %% |\n", tiles
            printf "| scheduling | `tsi_sched_*`, `tsi_worker_*`, `tsi_local_*` | %.1f %% |\n", cores
            printf "| all else: start of the process, libraries | | %.1f %% |\n", rest
        }'
