#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the tests need, builds everything with warnings as errors, and runs all tests.
# Further arguments go to ctest: sh scripts/test.sh -R unit

set -eu

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh test
cmake --preset test
cmake --build --preset test -j 2
ctest --preset test "$@"
