#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The shared library exports tess_* and nothing else, and every function that a public header
# promises:
#
#   exports.sh LIBRARY

set -eu

include=$(cd "$(dirname "$0")/../../include" && pwd)
exported=$(nm -D --defined-only "$1" | awk '{ print $NF }' | sort)
status=0

# Run-time libraries of the sanitizers add symbols of their own, all with two underscores in front.
foreign=$(echo "$exported" | grep -v -e '^tess_' -e '^__' || true)
if [ -n "$foreign" ]; then
    echo "exported, though not public:"
    echo "$foreign"
    status=1
fi

# A declaration starts a line with TESS_API, after TESS_NODISCARD if it has that, and the name is
# the first tess_ word before a parenthesis; it may stand on the next line.
promised=$(cat "$include"/tessera.h "$include"/tessera/*.h | grep -v '^#' | tr '\n' ' ' |
    grep -oE 'TESS_API [^(;]*\(' | grep -oE 'tess_[a-z0-9_]+\(' | tr -d '(' | sort -u)
if [ -z "$promised" ]; then
    echo "no declarations found in $include"
    exit 1
fi
for name in $promised; do
    if ! echo "$exported" | grep -qx "$name"; then
        echo "declared in a public header, but not exported: $name"
        status=1
    fi
done
exit $status
