#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The examples print the same embedded and on a cluster, and a worker reads a file that is larger than
# the memory it may take.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"
need_examples

cd "$room"

# Times and peaks of memory differ from run to run; numbers of seconds and megabytes are not compared.
without_measures()
{
    sed -e 's/[0-9.]* *\(ns\|us\|ms\|s\|seconds\|MB\|MiB\|GB\|GiB\|GFLOPS\)\b/…/g'
}

same()
{
    runs "$1" "$examples/$2" embedded
    here=$(echo "$output" | without_measures)
    runs "$1" "$examples/$2" "$file"
    there=$(echo "$output" | without_measures)
    [ "$here" = "$there" ] || fail "$2 prints '$there' instead of '$here'"
}

limit=60000000
# A sanitizer's process begins with more memory.
[ -z "${TESSERA_SANITIZED-}" ] || limit=100000000
cluster 2 1 --memory-limit "$limit"
same 0 normal_mean
same 0 vector_add
runs 0 "$examples/matmul" "$file"
says "largest relative difference"
runs 0 "$examples/errors"

# 320 MB, made by the workers, read by both runtimes.
runs 0 "$examples/out_of_core_mean" --make "$room/big.npy" 40000 1000 "$file"
[ "$(wc -c <big.npy)" -eq 320000128 ] || fail "big.npy has $(wc -c <big.npy) bytes"
runs 0 "$examples/out_of_core_mean" "$room/big.npy" embedded
here=$(echo "$output" | tail -n 4)
# Pages of the mapped file are the system's to take back; what the worker took itself is watched.
peak=0
start mean "$examples/out_of_core_mean" "$room/big.npy" "$file"
while ! is_gone "$started"; do
    for pid in $crew; do
        now=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status")
        [ "$now" -le "$peak" ] || peak=$now
    done
done
ends "$started" 0
there=$(tail -n 4 mean.log)
[ "$here" = "$there" ] || fail "the means are '$there' instead of '$here'"
[ "$peak" -gt 0 ] || fail "the memory of the workers was not seen"
[ -n "${TESSERA_SANITIZED-}" ] || [ "$peak" -lt 60000 ] ||
    fail "a worker took $peak kB with a limit of 60 MB"
stop
