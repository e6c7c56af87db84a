#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Files that workers read and write: relative to their own directory, and only where they may.

# shellcheck source=tests/cluster/common.sh
. "${TESSERA_SOURCE:?}/tests/cluster/common.sh"
need_examples

cd "$room"
mkdir allowed other
mkdir -p real/deep
ln -s real linked
cluster 2 1 --allow-path "$room/allowed" --allow-path "$room/linked/deep" --local-directory "$room/other"

runs 0 "$examples/out_of_core_mean" --make "$room/allowed/a.npy" 2000 100 "$file"
runs 0 "$examples/out_of_core_mean" "$room/allowed/a.npy" embedded
here=$(echo "$output" | tail -n 4)
runs 0 "$examples/out_of_core_mean" "$room/allowed/a.npy" "$file"
[ "$here" = "$(echo "$output" | tail -n 4)" ] || fail "other means: $output"

runs 1 "$examples/out_of_core_mean" --make "$room/b.npy" 2000 100 "$file"
says "$room/b.npy"
cp allowed/a.npy c.npy
runs 1 "$examples/out_of_core_mean" "$room/c.npy" "$file"
says "$room/c.npy"
runs 1 "$examples/out_of_core_mean" "$room/allowed/../c.npy" "$file"
says "outside the directories"
# A second directory is allowed as well, by whatever name it is called, and nothing beside it.
cp c.npy real/deep/e.npy
runs 0 "$examples/out_of_core_mean" "$room/linked/deep/e.npy" "$file"
runs 0 "$examples/out_of_core_mean" "$room/real/deep/e.npy" "$file"
cp c.npy real/f.npy
runs 1 "$examples/out_of_core_mean" "$room/linked/deep/../f.npy" "$file"
ln -s "$room/real" allowed/directory
runs 1 "$examples/out_of_core_mean" "$room/allowed/directory/f.npy" "$file"
runs 1 "$examples/out_of_core_mean" --make "$room/allowed/directory/g.npy" 2000 100 "$file"
ln -s "$room/c.npy" allowed/link.npy
runs 1 "$examples/out_of_core_mean" "$room/allowed/link.npy" "$file"
runs 1 "$examples/out_of_core_mean" --make "$room/allowed/none/d.npy" 2000 100 "$file"
[ -z "$(find "$room" -name '*.npy*' ! -name a.npy ! -name c.npy ! -name e.npy ! -name f.npy ! -name link.npy)" ] ||
    fail "files are left: $(find "$room" -name '*.npy*')"
grep -q "status=TESS_EACCESS" "$room/scheduler.log" || fail "no job ended with TESS_EACCESS"
stop
