#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the daemons take on their command lines, what they refuse, and how they end.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"
need_examples

cd "$room"

for program in tessera-scheduler tessera-worker; do
    runs 0 "$bin/$program" --help
    says "Usage: $program"
    says "Exit status"
    runs 0 "$bin/$program" --version
    says "$program "
    runs 2 "$bin/$program" --no-such-flag
    says "--help"
    runs 2 "$bin/$program" --log-level loud
    says "--log-level: cannot use 'loud'"
    runs 2 "$bin/$program" --log-format xml
    runs 2 "$bin/$program" --interface no-such-interface
    says "no-such-interface"
    runs 2 "$bin/$program" one two
    says "unexpected argument"
    # Every flag of the help has a value that is missing here, or is unknown with a value.
    runs 2 "$bin/$program" --scheduler-file
done
runs 2 "$bin/tessera-scheduler" --port 70000
says "--port: cannot use '70000'"
runs 2 "$bin/tessera-scheduler" --port 12x
runs 2 "$bin/tessera-scheduler" --worker-ttl 0
runs 2 "$bin/tessera-scheduler" --worker-ttl soon
runs 2 "$bin/tessera-scheduler" --idle-timeout -- -1s
runs 2 "$bin/tessera-worker" --nthreads 0
runs 2 "$bin/tessera-worker" --nthreads many
runs 2 "$bin/tessera-worker" --memory-limit lots
runs 2 "$bin/tessera-worker" --memory-limit -5
runs 2 "$bin/tessera-worker" --death-timeout never

# An empty value is refused, not taken for the default: an empty path would allow all files.
runs 2 "$bin/tessera-worker" --allow-path ""
says "--allow-path: cannot use ''"
runs 2 "$bin/tessera-scheduler" --host ""
runs 2 "$bin/tessera-scheduler" --scheduler-file=

# Places that cannot be used.
runs 1 "$bin/tessera-scheduler" --scheduler-file "$room/none/scheduler.json"
says "$room/none/scheduler.json"
runs 1 "$bin/tessera-scheduler" --pid-file "$room/none/pid" --scheduler-file "$room/x.json"
says "$room/none/pid"
[ ! -e "$room/x.json" ] || fail "a scheduler that could not start left its file"
mkfifo "$room/pipe"
runs 1 "$bin/tessera-scheduler" --scheduler-file "$room/pipe"
says "cannot replace $room/pipe"
runs 1 "$bin/tessera-scheduler" --pid-file "$room/pipe" --scheduler-file "$room/x.json"
says "$room/pipe: it is no file"
[ -p "$room/pipe" ] || fail "a pipe was replaced by a file"
runs 1 "$bin/tessera-scheduler" --host 203.0.113.77 --scheduler-file "$room/x.json"
says "203.0.113.77"
runs 1 "$bin/tessera-worker" --local-directory "$room/none"
says "$room/none"
mkdir -m 755 "$room/open" "$room/open/tessera"
XDG_RUNTIME_DIR=$room/open runs 1 "$bin/tessera-scheduler"
says "nobody else may enter"

# No scheduler within the time.
runs 3 "$bin/tessera-worker" --scheduler-file "$room/none.json" --death-timeout 300ms
says "no scheduler"
runs 3 "$bin/tessera-worker" tcp://127.0.0.1:9 --insecure --death-timeout 2300ms
says "none answers at tcp://127.0.0.1:9"

# Without its keys a tcp address is refused at once, and the message says where they are.
runs 1 "$bin/tessera-worker" tcp://127.0.0.1:9
says "connection file"
says "scheduler.json"
says "--insecure"

# A worker and a client that are there before the scheduler; the default file; json logs; names.
start early-worker "$bin/tessera-worker" --name "Ada \"L\"" --nthreads 1 --log-format json
worker=$started
start early-client env TESSERA_SCHEDULER="$room/tessera/scheduler.json" "$examples/vector_add"
client=$started
sleep 0.3
start json "$bin/tessera-scheduler" --log-format json --log-level debug --pid-file "$room/pid"
scheduler=$started
ends "$client" 0
[ "$(cat pid)" = "$scheduler" ] || fail "the pid file has $(cat pid) instead of $scheduler"
grep -q 'Ada \\"L\\"' json.log || fail "the worker has another name"

# A second scheduler does not take the file away from one that runs.
runs 1 "$bin/tessera-scheduler"
says "$room/tessera/scheduler.json"
[ "$(cat pid)" = "$scheduler" ] || fail "the pid file is gone"
runs 0 env TESSERA_SCHEDULER="$room/tessera/scheduler.json" "$examples/vector_add"

# With a relative path, and by its address.
runs 0 sh -c "cd '$room/tessera' && '$examples/normal_mean' scheduler.json"
kill "$worker"
ends "$worker" 0
kill "$scheduler"
ends "$scheduler" 0
[ ! -e "$room/pid" ] || fail "the pid file is still there"
[ ! -e "$room/tessera/scheduler.json" ] || fail "the connection file is still there"
[ -z "$(ls "$room/tessera")" ] || fail "sockets are left: $(ls "$room/tessera")"

# Each line is a JSON object with the four members.
for log in json early-worker; do
    lines=$(wc -l <"$log.log")
    good=$(grep -c '^{"time":"[^"]*","level":"[a-z]*","event":"[^"]*","text":"\([^"\\]\|\\.\)*"}$' \
        "$log.log")
    [ "$lines" -eq "$good" ] || fail "$log.log: $good of $lines lines are JSON"
    [ "$lines" -gt 2 ] || fail "$log.log: only $lines lines"
    if command -v python3 >/dev/null; then
        python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <"$log.log" ||
            fail "$log.log is no JSON"
    fi
done

# Levels: at "error" nothing is said about a good run.
start quiet "$bin/tessera-scheduler" --log-level error --idle-timeout 400ms
quiet=$started
ends "$quiet" 0
[ ! -s quiet.log ] || fail "a quiet scheduler says $(cat quiet.log)"
