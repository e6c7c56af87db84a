#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every public header compiles alone, as C11 and as C++17, without a warning:
#
#   headers.sh C-COMPILER

set -eu

cc=$1
include=$(cd "$(dirname "$0")/../../include" && pwd)
strict="-fsyntax-only -Wall -Wextra -Wpedantic -Werror -I$include"
failures=0

# clang compiles both languages by itself; gcc's C++ compiler is a program of its own.
case $($cc --version) in
*clang*) cxx=$cc ;;
*) cxx=${CXX:-g++} ;;
esac
if ! command -v "$cxx" >/dev/null 2>&1; then
    echo "there is no C++ compiler $cxx"
    exit 1
fi

# A source that includes the header is compiled, because a header itself is a different language
# to a compiler; twice, because it must be guarded.
for header in "$include"/tessera.h "$include"/tessera/*.h; do
    name=${header#"$include"/}
    for language in "$cc -x c -std=c11 -Wstrict-prototypes" "$cxx -x c++ -std=c++17"; do
        # The compiler and its options are words.
        # shellcheck disable=SC2086
        if ! printf '#include "%s"\n#include "%s"\nextern int nothing;\n' "$name" "$name" |
            $language $strict -; then
            echo "FAILED: $name with $language"
            failures=$((failures + 1))
        fi
    done
done
exit $((failures > 0))
