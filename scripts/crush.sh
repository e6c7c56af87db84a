#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs a battery of TestU01 over the bits of random arrays, a test a process, and sums it up:
#
#   sh scripts/crush.sh small|crush|big [JOBS [TEST...]]
#
# JOBS is the number of processors unless told otherwise; tests are all, unless some are named. The
# bits are those of seed 42, or of CRUSH_SEED in the environment: for a test that was suspect once.
#
# What a test told is in build/crush/BATTERY/SEED/N.txt, and a test that is there is not run again: a
# battery that was stopped goes on. SmallCrush takes seconds, some tests of BigCrush minutes each. It
# needs the package libtestu01-0-dev of Debian's section non-free, on which nothing else depends and no
# script installs.

set -eu

cd "$(dirname "$0")/.."
battery=${1:-}
jobs=${2:-$(nproc)}
case $battery in
small) tests=10 ;;
crush) tests=96 ;;
big) tests=106 ;;
*)
    echo "usage: crush.sh small|crush|big [JOBS [TEST...]]" >&2
    exit 2
    ;;
esac

cmake --preset test >/dev/null
if ! cmake --build --preset test -j "$jobs" --target crush >/dev/null; then
    echo "crush.sh: it does not build; is libtestu01-0-dev installed?" >&2
    exit 1
fi
seed=${CRUSH_SEED:-42}
results=build/crush/$battery/$seed
mkdir -p "$results"
[ $# -lt 2 ] || shift
[ $# -eq 0 ] || shift

# A result appears under its name when it is whole, also that of a test that fails, which ends with 1.
# shellcheck disable=SC2016
if [ $# -gt 0 ]; then printf '%s\n' "$@"; else seq "$tests"; fi | xargs -P "$jobs" -I N sh -c '
    [ ! -e "$2/N.txt" ] || exit 0
    status=0
    build/test/tests/crush "$1" N "$3" 2>"$2/N.part" >/dev/null || status=$?
    [ "$status" -gt 1 ] || mv "$2/N.part" "$2/N.txt"' sh "$battery" "$results" "$seed"

# TestU01 calls a probability beyond 10^-10 a failure, and one beyond 0.001 suspect.
cat "$results"/*.txt | sort -n | awk -v tests="$(find "$results" -name '*.txt' | wc -l)" -v all="$tests" '
    {
        p = $NF
        count++
        least = count == 1 || p < least ? p : least
        most = count == 1 || p > most ? p : most
        if (p < 0.001 || p > 0.999) {
            suspect++
            print
        }
        failed += p < 1e-10 || p > 1 - 1e-10
    }
    END {
        printf "%d of %d tests, %d statistics, from %.3g to %.6g: %d beyond 0.001, %d failed\n",
            tests, all, count, least, most, suspect, failed
        exit failed > 0
    }'
