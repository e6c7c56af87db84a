#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Rechunk, sum and x + x.T of arrays ten times as large as the memory of all workers together, which
# come from a file and are kept, under limits of 64 MiB a process: resident memory stays below, and
# the results are the right ones. As root one of the workers is in a control group, whose peak is told as well.
#
#   sh scripts/limits.sh [MEGABYTES SCALE]                      (64 7; SCALE: how large chunks are)
#
# Takes about 30 seconds. A chunk of SCALE² times 320 kB has to fit the memory for chunks, with what
# a task makes of it.

set -eu

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh test
cmake --preset test >/dev/null
cmake --build --preset test -j 2 --target cluster_limits tessera-scheduler tessera-worker >/dev/null
TESSERA_BIN=$PWD/build/test/bin
TESSERA_CHECK_MEMORY=1
export TESSERA_BIN TESSERA_CHECK_MEMORY

exec build/test/tests/cluster_limits "${1:-64}" "${2:-7}"
