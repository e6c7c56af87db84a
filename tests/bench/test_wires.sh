#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The benches that move the same by one way after the other do so by the way that they name: where
# their scheduler listens, whether it has keys, and whether any of their processes has shared memory.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"

[ -r "/proc/$$/task/$$/children" ] || exit 77
cd "$room"

# Chunks of 2 MB, which are lent where memory is.
elements=4000000

children_of()
{
    cat "/proc/$1/task/$1/children"
}

# The connection file that the bench's scheduler was told to write.
file_of()
{
    for child in $(children_of "$1"); do
        tr '\0' '\n' <"/proc/$child/cmdline" | sed -n '/^--scheduler-file$/{n;p;q;}'
    done | head -n 1
}

# shares PID: the bench or one of its daemons has mapped memory that can be lent.
shares()
{
    for child in "$1" $(children_of "$1"); do
        if grep -q 'memfd:tessera' "/proc/$child/maps"; then
            return 0
        fi
    done
    return 1
}

# uses BENCH ADDRESS KEYS SHARES: runs it once, and looks at it before it ends.
uses()
{
    rm -f words
    mkfifo words
    # For both, so that neither opening waits for the other; the bench must not have it.
    exec 3<>words
    "$bin/tessera-bench" serve "$1" "$elements" 2 <words >"$room/$1.log" 2>&1 3>&- &
    pid=$!
    daemons="$daemons $pid"
    wait_for 20 "the beginning of $1" has_lines "$1" ready 1
    echo go >&3
    wait_for 20 "a number from $1" has_lines "$1" '^[0-9.e+-]*$' 1
    file=$(file_of "$pid")
    grep -q "\"address\": \"$2://" "$file" || fail "$1 is not on $2: $(cat "$file")"
    keys=no
    if grep -q member_secret "$file"; then keys=yes; fi
    [ "$keys" = "$3" ] || fail "$1: keys: $keys"
    shared=no
    if shares "$pid"; then shared=yes; fi
    [ "$shared" = "$4" ] || fail "$1: shared memory: $shared"
    exec 3>&-
    ends "$pid" 0
}

for bench in gather-1GB vector-add-80MB broadcast-100MB; do
    uses "$bench" ipc no yes
    uses "$bench-curve" tcp yes no
done
for bench in gather-1GB vector-add-80MB; do
    uses "$bench-ipc" ipc no no
    uses "$bench-tcp" tcp no no
done
