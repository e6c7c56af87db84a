#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The programs of tests/support/programs.h, which cover every operation, give the same bits in the
# embedded runtime and on one, two and three workers. All run at once, since most of the time goes
# into waiting.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"

programs=$bin/../tests/cluster_run_programs

# crew WORKERS THREADS: a cluster of its own whose file is WORKERS.json, and the programs on it.
crew()
{
    start "scheduler-$1" "$bin/tessera-scheduler" --scheduler-file "$room/$1.json"
    i=0
    while [ "$i" -lt "$1" ]; do
        start "worker-$1-$i" "$bin/tessera-worker" --scheduler-file "$room/$1.json" --nthreads "$2"
        i=$((i + 1))
    done
    wait_for 8 "a worker" has_lines "scheduler-$1" "worker joined" "$1"
    start "digests-$1" "$programs" "$room/$1.json"
    eval "run_$1=$started"
}

cd "$room"
crew 1 2
crew 2 1
crew 3 2
"$programs" embedded 1 >expected || fail "embedded: $(cat expected)"
[ "$(wc -l <expected)" -gt 20 ] || fail "too few programs"
for count in 1 2 3; do
    eval "pid=\$run_$count"
    wait_for 30 "the end of the programs" is_gone "$pid"
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq 0 ] || fail "the programs on $count workers ended with $code"
    cmp -s expected "digests-$count.log" ||
        fail "other bits on $count workers: $(diff expected "digests-$count.log" | head -n 5)"
done
