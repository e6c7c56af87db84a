#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every bench runs once in its smallest size, none fails, and the document that comes of it is whole.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"

cd "$room"

# Under a sanitizer it would take minutes.
[ -z "${TESSERA_SANITIZED:-}" ] || exit 77

code=0
"$bin/tessera-bench" --quick --repeat 1 --json all.json --html all.html >all.log 2>&1 || code=$?
[ "$code" -eq 0 ] || fail "it ended with $code"
ran=$(grep -c '"suite"' all.json)
listed=$("$bin/tessera-bench" list | grep -c '^  ')
[ "$ran" -eq "$listed" ] || fail "$ran of $listed benches ran"
if grep -E 'FAILED|failed:' all.log; then
    fail "a bench or a limit failed"
fi

# A second run against the first is compared, bench by bench.
code=0
output=$("$bin/tessera-bench" run first-result --quick --baseline all.json) || code=$?
says "against the baseline:"
says "noise"
