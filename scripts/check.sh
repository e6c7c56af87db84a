#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every gate that a change has to pass, one line each, what each took, and a verdict:
#
#   scripts/check.sh [--long] [GATE...]          (all gates, when none is named)
#
#   format   clang-format 14 would change nothing
#   tidy     the project's own rules, scripts/tidy.py
#   lint     clang-tidy 14 has no complaint; it looks again only at what has changed
#   gcc      gcc builds everything, warnings are errors; all tests pass, optimized
#   clang    clang builds everything, warnings are errors
#   asan     all tests pass under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan     race, sim and the examples pass under ThreadSanitizer, with --long unit, api and cluster
#   sim      the simulator passes 1,000 seeds that the tests do not have, with --long 10,000
#   fuzz     the fuzz targets pass their corpus, with --long a minute each of new inputs
#   instructions  the scheduler's core and tile programs need no more instructions than before
#            (scripts/instructions.sh; its --update takes the counts of now as the new ones)
#   aarch64  with --long or when named: it builds for AArch64, and what computes passes its tests under
#            qemu-user (scripts/aarch64.sh)
#
# What a gate printed is in build/check/GATE.log; the end of it is shown when the gate fails. What a
# run has built serves the next one.

set -eu

cd "$(dirname "$0")/.."
all_gates="format tidy lint gcc clang asan tsan sim fuzz instructions"
logs=build/check
jobs=$(nproc)
seeds=1000
fuzz_seconds=0
tsan_labels='race|sim|examples'

gate_format()
{
    # normal_mean.c stands in the README and in the header as it is.
    find bench engine examples include scheduler tests worker -name '*.[ch]' \
        ! -name normal_mean.c -print0 |
        xargs -0 -r clang-format-14 --dry-run -Werror
}

gate_tidy()
{
    python3 scripts/tidy.py
}

gate_lint()
{
    cmake --preset clang
    python3 scripts/lint.py --jobs "$jobs" --slowest 5 build/clang
}

# Configures and builds a preset.
build()
{
    cmake --preset "$1"
    cmake --build --preset "$1" -j "$jobs"
}

gate_gcc()
{
    build test
    ctest --preset test
}

gate_clang()
{
    build clang
}

gate_asan()
{
    build asan
    ctest --preset asan
}

gate_tsan()
{
    build tsan
    ctest --preset tsan -L "$tsan_labels"
}

gate_sim()
{
    build test
    build/test/tests/sim_main --seeds 1001 "$seeds"
}

gate_fuzz()
{
    build fuzz
    ctest --preset fuzz -L fuzz
    [ "$fuzz_seconds" -gt 0 ] || return 0
    for target in build/fuzz/tests/fuzz_*; do
        name=$(basename "$target")
        mkdir -p "build/fuzz/new/$name"
        (cd build/fuzz && "../../$target" -max_total_time="$fuzz_seconds" "new/$name" \
            "../../tests/fuzz/corpus/$name")
    done
}

gate_instructions()
{
    sh scripts/instructions.sh
}

gate_aarch64()
{
    sh scripts/aarch64.sh
}

gates=
for word in "$@"; do
    case $word in
    --long)
        seeds=10000
        fuzz_seconds=60
        tsan_labels='race|sim|examples|api|cluster|unit'
        all_gates="$all_gates aarch64"
        ;;
    aarch64) gates="$gates aarch64" ;;
    *)
        case " $all_gates " in
        *" $word "*) gates="$gates $word" ;;
        *)
            echo "check.sh: no gate is called $word; there are: $all_gates" >&2
            exit 2
            ;;
        esac
        ;;
    esac
done

sh scripts/install-deps.sh check
mkdir -p "$logs"
failed=
times=
count=0
begin=$(date +%s)
for gate in ${gates:-$all_gates}; do
    start=$(date +%s)
    # A process of its own: set -e has no effect inside the condition of an if.
    ( set -e; "gate_$gate" ) >"$logs/$gate.log" 2>&1 &
    if wait "$!"; then
        verdict=ok
    else
        verdict=FAILED
        failed="$failed $gate"
        tail -n 40 "$logs/$gate.log" | sed 's/^/    /'
    fi
    seconds=$(($(date +%s) - start))
    echo "$gate $verdict, $seconds s"
    times="$times $gate $seconds,"
    count=$((count + 1))
done

echo "check: seconds:${times%,}"
if [ -n "$failed" ]; then
    echo "check: FAILED:$failed"
    exit 1
fi
echo "check: ok, $count gates in $(($(date +%s) - begin)) s"
