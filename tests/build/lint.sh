#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# scripts/lint.py finds what is wrong, remembers what is clean, and forgets it when anything that
# clang-tidy saw has changed:
#
#   lint.sh

set -eu

source=$(cd "$(dirname "$0")/../.." && pwd)
for tool in clang clang-tidy-14; do
    command -v "$tool" >/dev/null 2>&1 || exit 77
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/build"
clean='int twice(int x);'
dirty='static inline int half(int x) { if (x > 1) return x / 2; return 0; }'
cp "$source/.clang-tidy" "$place/.clang-tidy"
mkdir "$place/engine"
echo "$clean" >"$place/engine/a.h"
printf '#include "a.h"\nint twice(int x) { return 2 * x; }\n' >"$place/engine/a.c"
echo 'int other(void) { return 1; }' >"$place/engine/b.c"

# compile OPTIONS: a build that compiles a.c twice, with the options, and b.c.
compile()
{
    cat >"$place/build/compile_commands.json" <<END
[{"directory": "$place/build", "file": "$place/engine/a.c",
  "command": "clang $1 -MD -MF a.d -o a.o -c $place/engine/a.c"},
 {"directory": "$place/build", "file": "$place/engine/a.c",
  "command": "clang $1 -mavx2 -o a2.o -c $place/engine/a.c"},
 {"directory": "$place/build", "file": "$place/engine/b.c",
  "command": "clang -o b.o -c $place/engine/b.c"}]
END
}

# expect WHEN STATUS LAST-LINE [PREFIX]
expect()
{
    status=0
    python3 "$source/scripts/lint.py" "$place/build" ${4:+"$4"} >"$place/out" 2>&1 || status=$?
    if [ "$status" -ne "$2" ] || [ "$(tail -n 1 "$place/out")" != "$3" ]; then
        echo "FAILED: $1: status $status, wanted $2 and: $3"
        cat "$place/out"
        exit 1
    fi
}

compile -Wall
expect "at first" 0 "2 files, 2 looked at, 0 with complaints"
expect "again" 0 "2 files, 0 looked at, 0 with complaints"
expect "one of them" 0 "1 files, 0 looked at, 0 with complaints" "$place/engine/b"
expect "none of them" 1 "0 files, 0 looked at, 0 with complaints" "$place/engine/c"
echo "$dirty" >>"$place/engine/a.h"
expect "a header with a fault" 1 "2 files, 1 looked at, 1 with complaints"
grep -q 'a.h:2:.*braces-around-statements' "$place/out" || { cat "$place/out"; exit 1; }
expect "the same once more" 1 "2 files, 1 looked at, 1 with complaints"
echo "$clean // As before." >"$place/engine/a.h"
expect "mended" 0 "2 files, 1 looked at, 0 with complaints"
expect "mended, again" 0 "2 files, 0 looked at, 0 with complaints"
compile "-Wall -DNAME=1"
expect "another command" 0 "2 files, 1 looked at, 0 with complaints"
echo '  - key: bugprone-nothing' >>"$place/.clang-tidy"
echo '    value: 1' >>"$place/.clang-tidy"
expect "other settings" 0 "2 files, 2 looked at, 0 with complaints"
echo 'Checks: -readability-braces-around-statements' >"$place/engine/.clang-tidy"
expect "settings of a folder" 0 "2 files, 2 looked at, 0 with complaints"
rm "$place/engine/.clang-tidy"
echo 'int other(void) { return nothing_known; }' >"$place/engine/b.c"
expect "what does not compile" 1 "2 files, 2 looked at, 1 with complaints"
echo 'gone' >"$place/engine/a.c"
rm "$place/engine/a.h"
expect "a header that is gone" 1 "2 files, 2 looked at, 2 with complaints"
