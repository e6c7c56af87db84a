# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of this folder share: a directory of their own, and daemons that never outlive them.
# shellcheck shell=sh

set -eu

bin=${TESSERA_BIN:?}
examples=$bin/../examples
room=$(mktemp -d /tmp/tessera-test-XXXXXX)
daemons=
# A sanitizer's processes are several times as slow.
slowness=1
[ -z "${TESSERA_SANITIZED-}" ] || slowness=4
XDG_RUNTIME_DIR=$room
export XDG_RUNTIME_DIR
unset TESSERA_SCHEDULER

clean_up()
{
    for pid in $daemons; do
        kill -9 "$pid" 2>/dev/null || true
    done
    wait
    # The words of a sanitizer fail the test, so they must be seen.
    grep -h -A 30 -e 'Sanitizer' -e 'runtime error:' "$room"/*.log >&2 2>/dev/null || true
    rm -rf "$room"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail()
{
    echo "FAILED: $*" >&2
    for log in "$room"/*.log; do
        echo "--- $log" >&2
        tail -n 40 "$log" >&2
    done
    exit 1
}

# The examples may have been left out of the build.
need_examples()
{
    [ -x "$examples/vector_add" ] || exit 77
}

# start NAME COMMAND...: runs it in the background, its output in NAME.log, its process in $started.
start()
{
    name=$1
    shift
    "$@" >>"$room/$name.log" 2>&1 &
    started=$!
    daemons="$daemons $started"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for()
{
    tries=$(($1 * 20 * slowness))
    what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what did not come"
        sleep 0.05
    done
}

# has_lines NAME TEXT COUNT: whether the log has so many lines with the text.
has_lines()
{
    [ "$(grep -c -e "$2" "$room/$1.log")" -ge "$3" ]
}

is_gone()
{
    ! kill -0 "$1" 2>/dev/null
}

# ends PID CODE: waits until the process ends, and checks how.
ends()
{
    wait_for 8 "the end of process $1" is_gone "$1"
    code=0
    wait "$1" || code=$?
    [ "$code" -eq "$2" ] || fail "process $1 ended with $code instead of $2"
}

# runs CODE COMMAND...: runs it to its end, with its output in $output, and checks how it ends.
runs()
{
    expected=$1
    shift
    code=0
    output=$(timeout -k 1 $((9 * slowness)) "$@" 2>&1) || code=$?
    [ "$code" -eq "$expected" ] || fail "$*: ended with $code instead of $expected: $output"
}

# says TEXT: checks that the last command's output has it.
says()
{
    case $output in
    *"$1"*) ;;
    *) fail "the output has no '$1': $output" ;;
    esac
}

# cluster WORKERS THREADS [FLAG...]: a scheduler whose file is $file, and workers that have joined.
cluster()
{
    file=$room/cluster.json
    workers=$1
    threads=$2
    shift 2
    joined=0
    [ ! -e "$room/scheduler.log" ] || joined=$(grep -c 'worker joined' "$room/scheduler.log") || true
    start scheduler "$bin/tessera-scheduler" --scheduler-file "$file"
    scheduler=$started
    wait_for 8 "the connection file" test -s "$file"
    crew=
    i=0
    while [ "$i" -lt "$workers" ]; do
        start "worker-$i" "$bin/tessera-worker" --no-nanny --scheduler-file "$file" --nthreads "$threads" "$@"
        crew="$crew $started"
        i=$((i + 1))
    done
    wait_for 8 "a worker" has_lines scheduler "worker joined" $((joined + workers))
}

# stop: ends the cluster in order.
stop()
{
    # The processes are words.
    # shellcheck disable=SC2086
    kill $crew "$scheduler"
    for pid in $crew "$scheduler"; do
        ends "$pid" 0
    done
}
