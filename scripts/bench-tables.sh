#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Puts the tables of what was measured into README.md and docs/PERFORMANCE.md, between their marks,
# from a document that tessera-bench wrote; so no number in them is typed by hand:
#
#   tessera-bench run all --peers --json bench/results/NAME.json --html bench/results/NAME.html
#   sh scripts/bench-tables.sh bench/results/NAME.json [TESSERA-BENCH]
#
# README.md has the benches that have targets, docs/PERFORMANCE.md has all, and a profile of the main
# job that is taken now (scripts/bench-profile.sh), unless perf is missing.

set -eu

cd "$(dirname "$0")/.."
document=${1:?'bench-tables.sh: name the document of a run'}
program=${2:-build/release/bin/tessera-bench}
[ -x "$program" ] || program=build/test/bin/tessera-bench

# fill FILE NAME: puts the table between the marks of this name.
fill()
{
    awk -v table="$table" -v name="$2" '
        $0 == "<!-- " name ": end -->" { inside = 0; ends++ }
        !inside { print }
        $0 == "<!-- " name ": begin -->" {
            inside = 1
            while ((getline line < table) > 0) print line
        }
        END { exit ends == 1 && !inside ? 0 : 1 }' "$1" >"$filled" || {
        echo "bench-tables.sh: $1 does not have one pair of marks '$2'" >&2
        exit 1
    }
    cat "$filled" >"$1"
}

table=$(mktemp)
filled=$(mktemp)
trap 'rm -f "$table" "$filled"' EXIT
"$program" report "$document" --table "$table"
fill README.md bench
"$program" report "$document" --table "$table" --all
fill docs/PERFORMANCE.md bench
if command -v perf >/dev/null; then
    sh scripts/bench-profile.sh "$program" >"$table"
    fill docs/PERFORMANCE.md profile
fi
