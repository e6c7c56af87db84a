#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What tessera-bench takes on its command line and what it refuses, before it runs anything; and what
# it says of what is not there.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"

bench=$bin/tessera-bench
cd "$room"

runs 0 "$bench" --help
says "Usage: tessera-bench"
says "Exit status"
runs 0 "$bench" --version
says "tessera-bench "
runs 0 "$bench" list
for suite in main elementwise reduce random linalg movement scheduler transfer memory scaling; do
    says "$suite: "
done
runs 2 "$bench"
says "Usage: tessera-bench"
runs 2 "$bench" measure
says "no such command 'measure'"
runs 2 "$bench" list main
says "unexpected argument 'main'"
runs 2 "$bench" run no-such-bench
says "no such suite or bench 'no-such-bench'"
runs 2 "$bench" run first-result --no-such-option
says "--no-such-option"
runs 2 "$bench" run --repeat
for value in 0 -1 1001 x 3x "" 99999999999999999999; do
    runs 2 "$bench" run first-result --repeat "$value"
    says "--repeat: not from 1 to 1000: '$value'"
done
runs 2 "$bench" run first-result --threads 0
runs 2 "$bench" run first-result --timeout soon
runs 2 "$bench" run first-result --seconds 0
runs 2 "$bench" report
says "report takes one file"
runs 2 "$bench" report a.json b.json
runs 2 "$bench" serve
runs 2 "$bench" serve no-such-bench 1 1
runs 2 "$bench" serve first-result 0 1
runs 2 "$bench" serve first-result 1 many

# Files that cannot be written or read are found before anything runs.
for option in json csv html table; do
    runs 1 "$bench" run first-result --quick "--$option" "$room/none/out"
    says "$room/none/out: No such file or directory"
    case $output in *"runs; peak"*) fail "it ran before it looked at --$option" ;; esac
done
runs 1 "$bench" run first-result --quick --baseline "$room/none.json"
says "$room/none.json"
runs 1 "$bench" report "$room/none.json"
says "$room/none.json"
echo "no JSON" >not.json
runs 1 "$bench" report not.json
says "not.json: "
echo '{"format": 2, "benches": []}' >other.json
runs 1 "$bench" report other.json
says "this is no document of tessera-bench"
echo '{"format": 1, "benches": []}' >bare.json
runs 1 "$bench" report bare.json
says "it does not say where it was measured"

# Writing that fails later is not silent either.
if [ -e /dev/full ]; then
    runs 1 "$bench" run first-result --quick --csv /dev/full
    says "/dev/full: it cannot be written in full"
fi

# What is chosen: names, suites, patterns; nothing is a run of nothing.
runs 0 "$bench" run first-result --quick --repeat 3 --only 'first-*'
says "3 runs"
says "1 benches"
runs 0 "$bench" --quick --only 'no-*'
says "0 benches"

# Words that are no UTF-8 are left out of the document.
runs 0 "$bench" --quick --only "$(printf 'x\377')" --json -
says '"command": "tessera-bench"'

# In a directory without daemons, limits and peers these are absent, what needs them fails, and the
# rest goes on.
mkdir -p alone/bin
cp "$bench" alone/bin/tessera-bench
alone=$room/alone/bin/tessera-bench
runs 1 "$alone" run main-core latency-p50 first-result --quick --peers
says "normal-mean        absent: not installed"
says "numpy              absent: not installed"
says "latency-p50           FAILED: "
says "first-result          "
says "3 benches"

# More threads than there are processors are skipped, which is no failure.
runs 0 "$bench" run threads-8 --quick --threads 4
says "skipped: needs 8 processors"

# What the contestant says of itself.
runs 0 "$bench" serve first-result 1 1 </dev/null
says "ready"
