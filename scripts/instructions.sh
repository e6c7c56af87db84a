#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Counts the instructions of the scheduler's core, the planner and tile programs with callgrind, and
# holds them against bench/instructions/baseline.txt. Unlike times they repeat, on a busy machine too.
#
#   sh scripts/instructions.sh [--update] [CASE]...
#
# It builds the preset test. A case fails if it needs more than 3 % more than before. With --update
# the counts of now become the baseline: commit it with the change that explains it.
#
# The kernels are the baseline ones, which every processor has. Another compiler, or another C
# library, makes other counts.

set -eu

cd "$(dirname "$0")/.."
baseline=bench/instructions/baseline.txt
program=build/test/libexec/tessera/instructions
tolerance_percent=3
all_cases="sched-leaves sched-tree sched-product plan tile-small tile-large tile-normal tile-program"

update=
cases=
for word in "$@"; do
    case $word in
    --update) update=yes ;;
    -*)
        echo "instructions.sh: unknown option $word" >&2
        exit 2
        ;;
    *)
        case " $all_cases " in
        *" $word "*) cases="$cases $word" ;;
        *)
            echo "instructions.sh: no case is called $word; there are: $all_cases" >&2
            exit 2
            ;;
        esac
        ;;
    esac
done

if ! command -v valgrind >/dev/null 2>&1; then
    echo "instructions.sh: valgrind is not installed; scripts/install-deps.sh check installs it" >&2
    exit 1
fi
cmake --preset test >/dev/null
cmake --build --preset test -j 2 --target instructions >/dev/null

# Only what runs inside of these functions is counted.
counted_functions()
{
    case $1 in
    sched-*) echo "--toggle-collect=tsi_sched_step --toggle-collect=tsi_sched_poll" ;;
    plan) echo "--toggle-collect=tsi_plan_make" ;;
    tile-*) echo "--toggle-collect=tsi_exec_run" ;;
    esac
}

# The part of tile-large that is not inside of kernels, whose names end in a type.
count_program()
{
    TESSERA_ISA=baseline valgrind --tool=callgrind --callgrind-out-file="$new.functions" \
        --toggle-collect=tsi_exec_run "$program" tile-large >/dev/null 2>&1
    callgrind_annotate --threshold=100 "$new.functions" | awk '
        /\(.*%\)/ && /\/instructions\]/ {
            name = $0
            sub(/^.*:/, "", name)
            sub(/ .*$/, "", name)
            if (name !~ /_(f32|f64)$/ && name !~ /^tsi_isa_/) {
                gsub(/,/, "", $1)
                sum += $1
            }
        }
        END { printf "%d\n", sum }'
    rm -f "$new.functions"
}

count()
{
    if [ "$1" = tile-program ]; then
        count_program
        return
    fi
    # The options are words.
    # shellcheck disable=SC2046
    TESSERA_ISA=baseline valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        $(counted_functions "$1") "$program" "$1" 2>&1 | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

new=$(mktemp)
trap 'rm -f "$new"' EXIT
failed=
for case in ${cases:-$all_cases}; do
    now=$(count "$case")
    before=$(sed -n "s/^$case \([0-9]*\)\$/\1/p" "$baseline" 2>/dev/null || true)
    if [ -z "$now" ] || [ "$now" -eq 0 ]; then
        echo "$case: nothing was counted"
        failed=yes
        continue
    fi
    echo "$case $now" >>"$new"
    if [ -n "$update" ]; then
        echo "$case: $now, was ${before:-not known}"
    elif [ -z "$before" ]; then
        echo "$case: $now, and $baseline does not have it"
        failed=yes
    else
        verdict=$(awk -v now="$now" -v before="$before" -v bound="$tolerance_percent" 'BEGIN {
            change = 100 * (now - before) / before
            word = change > bound ? "TOO MANY" : change < -bound ? "fewer: update the baseline" : "ok"
            printf "%+.2f %%, %s", change, word }')
        echo "$case: $now, was $before: $verdict"
        case $verdict in *"TOO MANY"*) failed=yes ;; esac
    fi
done

if [ -n "$failed" ]; then
    echo "instructions.sh: if this is meant, run it with --update and commit $baseline" >&2
    exit 1
fi
if [ -n "$update" ]; then
    # Cases that were not counted keep their lines.
    for case in $all_cases; do
        sed -n "/^$case /p" "$new" | grep . || sed -n "/^$case /p" "$baseline" 2>/dev/null || true
    done >"$new.all"
    {
        echo "# Instructions of each case of bench/instructions, by scripts/instructions.sh --update."
        cat "$new.all"
    } >"$baseline"
    rm -f "$new.all"
fi
