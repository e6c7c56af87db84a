#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the comparison with other systems needs on Debian 12: NumPy, numexpr, Dask, Open MPI
# with mpi4py, Celery with Redis. Then
#
#   tessera-bench run all --peers
#
# The Redis that a bench needs it starts itself, on a socket of its own.

set -eu

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh bench
