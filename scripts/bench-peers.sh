#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the comparison with other systems needs on Debian 12 (Dask, NumPy, numexpr).

set -eu

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh bench
