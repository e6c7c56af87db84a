#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds everything for AArch64 and runs the tests of the layers that compute under qemu-user:
#
#   scripts/aarch64.sh [TESTS]       (a regular expression of ctest; without it, base to exec)
#
# The cross compiler and qemu are installed where they are missing; Debian's arm64 packages of the
# libraries are not, but laid out under build/aarch64/root, which the compiler and qemu take for the
# root of the file system. Criterion's runner does not run there, so tests/plain takes its place. apt keeps its books of them there too, so the system's are not touched.

set -eu

cd "$(dirname "$0")/.."
tests=${1:-'^unit\.(angle|arena|buf|checksum|dtype|geometry|grid|index_map|kernel_.*|exec_.*|map|op|program.*|table|vec)$'}
home=$PWD/build/aarch64
root=$home/root
packages="libc6-dev libzmq3-dev libczmq-dev libopenblas-pthread-dev libsleef-dev libjansson-dev
    libxxhash-dev"

# apt for another architecture, which thinks that nothing is installed.
apt_of_root()
{
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
        -o Dir::State="$home/apt" -o Dir::State::status="$home/apt/status" \
        -o Dir::Cache="$home/apt/cache" -o APT::Sandbox::User= "$@"
}

lay_out_root()
{
    mkdir -p "$home/apt/lists/partial" "$home/apt/cache/archives/partial" "$root"
    : >"$home/apt/status"
    apt_of_root update
    # The list is split into words on purpose.
    # shellcheck disable=SC2086
    apt_of_root install -y --download-only --no-install-recommends $packages
    for package in "$home"/apt/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    # A link to a place in the system means the one in this root.
    find "$root" -type l -lname '/*' | while read -r link; do
        ln -sfn "$root$(readlink "$link")" "$link"
    done
    touch "$home/laid-out"
}

# What the package does when it is installed, not when it is unpacked: the one OpenBLAS of several.
choose_openblas()
{
    ln -sfn openblas-pthread/libopenblas.so.0 "$root/usr/lib/aarch64-linux-gnu/libopenblas.so.0"
}

sh scripts/install-deps.sh aarch64
[ -e "$home/laid-out" ] || lay_out_root
choose_openblas

cmake -S . -B "$home/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTESSERA_WERROR=ON \
    -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DTESSERA_ROOT="$root" -DTESSERA_PLAIN_TESTS=ON \
    -DCMAKE_C_FLAGS_RELEASE="-O2 -DNDEBUG"
cmake --build "$home/build" -j "$(nproc)"
ctest --test-dir "$home/build" --output-on-failure -j "$(nproc)" -R "$tests"
