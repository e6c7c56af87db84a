#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The programs of tests/support/programs.h, which cover every operation, give the same bits in the
# embedded runtime and on one, two and three workers.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"

programs=$bin/../tests/cluster_run_programs

same()
{
    "$programs" "$1" "$2" >"$room/digests" || fail "$3: $(grep -i -e error -e fail "$room/digests")"
    cmp -s "$room/expected" "$room/digests" ||
        fail "$3: other bits than embedded: $(diff "$room/expected" "$room/digests" | head -n 5)"
}

cd "$room"
"$programs" embedded 1 >expected || fail "embedded: $(cat expected)"
[ "$(wc -l <expected)" -gt 20 ] || fail "too few programs"
cluster 1 1
same "$file" 0 "one worker"
stop
cluster 2 1
same "$file" 0 "two workers"
stop
cluster 3 2
same "$file" 0 "three workers of two threads"
stop
