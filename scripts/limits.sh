#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Rechunk, sum and x + x.T of arrays ten times as large as the memory of all workers together, under
# limits of 64 and 128 MiB a process: resident memory stays below, and the bits are those of a run
# with room enough. As root one of the workers is in a control group, whose peak is told as well.
#
#   sh scripts/limits.sh [MEGABYTES SCALE]        (64 8, then 128 16; SCALE: how large chunks are)
#
# Takes about 30 seconds and 4 GB of memory for the run with room for 64 MiB, twice that for 128.

set -eu

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh test
cmake --preset test >/dev/null
cmake --build --preset test -j 2 --target cluster_limits tessera-scheduler tessera-worker >/dev/null
TESSERA_BIN=$PWD/build/test/bin
export TESSERA_BIN

if [ $# -gt 0 ]; then
    exec build/test/tests/cluster_limits "$@"
fi
build/test/tests/cluster_limits 64 8
build/test/tests/cluster_limits 128 16
