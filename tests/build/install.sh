#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the build to a place of its own, and builds and runs a program against it from outside,
# once as pkg-config says and once as find_package() does:
#
#   install.sh BUILD-DIRECTORY C-COMPILER

set -eu

build=$1
cc=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

prefix=$room/prefix
cmake --install "$build" --prefix "$prefix" >"$room/log"
library=$(dirname "$(find "$prefix" -name 'libtessera.so')")
LD_LIBRARY_PATH=$library
PKG_CONFIG_PATH=$library/pkgconfig
export LD_LIBRARY_PATH PKG_CONFIG_PATH

for program in tessera-scheduler tessera-worker; do
    "$prefix/bin/$program" --version
done

mkdir "$room/outside"
cp "$source/examples/normal_mean.c" "$source/tests/build/CMakeLists.txt" "$room/outside"
cd "$room/outside"

# pkg-config answers with words.
# shellcheck disable=SC2046
"$cc" normal_mean.c $(pkg-config --cflags --libs tessera) -o with_pkg_config
./with_pkg_config >first

cmake -S . -B build -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" >>"$room/log"
cmake --build build >>"$room/log"
./build/normal_mean >second
test -s first
cmp first second

echo "installed $(pkg-config --modversion tessera), both programs ran"
