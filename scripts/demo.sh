#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds Tessera and shows it: the means of a 10,000 x 10,000 random array, first computed by the
# threads of the program itself, then by a scheduler and two workers that this script starts and
# stops. Both results have the same bits. Installs on Debian 12 what the build needs and is missing.

set -eu

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh build
cmake --preset release
cmake --build --preset release -j "$(nproc)" --target \
    tessera-scheduler tessera-worker example_demo

bin=$PWD/build/release/bin
room=$(mktemp -d)
daemons=

stop()
{
    # The process ids are words.
    # shellcheck disable=SC2086
    [ -z "$daemons" ] || kill $daemons 2>/dev/null || true
    wait
    rm -rf "$room"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM

start()
{
    name=$1
    shift
    "$@" >"$room/$name.log" 2>&1 &
    daemons="$daemons $!"
}

# Waits until the scheduler has written its connection file, or is gone.
wait_for_file()
{
    tries=100
    while [ ! -s "$1" ]; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$2"; then
            echo "demo.sh: the scheduler did not start:" >&2
            cat "$room/scheduler.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

echo
echo "== embedded: threads of this process"
"$bin/tessera-demo" embedded | tee "$room/embedded"

echo
echo "== cluster: a scheduler and two workers on this machine"
file=$room/scheduler.json
start scheduler "$bin/tessera-scheduler" --scheduler-file "$file"
wait_for_file "$file" "$!"
threads=$((($(nproc) + 1) / 2))
start worker-1 "$bin/tessera-worker" --scheduler-file "$file" --nthreads "$threads"
start worker-2 "$bin/tessera-worker" --scheduler-file "$file" --nthreads "$threads"
"$bin/tessera-demo" "$file" | tee "$room/cluster"

echo
embedded=$(grep '^digest: ' "$room/embedded")
cluster=$(grep '^digest: ' "$room/cluster")
if [ "$embedded" != "$cluster" ]; then
    echo "FAILED: embedded $embedded, cluster $cluster"
    exit 1
fi
echo "both results are equal bit by bit ($embedded)"
