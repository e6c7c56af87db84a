#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian 12 packages that the groups named on the command line need:
#
#   sh scripts/install-deps.sh [build] [test] [check] [aarch64] [bench]        (build, when none is named)
#
# Only packages that are missing are installed; when none is, nothing runs and no rights are
# needed. Otherwise apt-get runs directly as root, and through sudo as anybody else.

set -eu

# g++ is there for the test that compiles every public header as C++.
packages_of()
{
    case $1 in
    build)
        echo gcc libc6-dev cmake ninja-build pkg-config libzmq3-dev libczmq-dev \
            libopenblas-dev libsleef-dev libjansson-dev libxxhash-dev
        ;;
    test)
        packages_of build
        echo g++ make libcriterion-dev python3-minimal python3-numpy
        ;;
    check)
        packages_of test
        echo clang clang-tidy clang-format libclang-rt-14-dev valgrind
        ;;
    aarch64)
        packages_of test
        echo gcc-aarch64-linux-gnu qemu-user
        ;;
    bench)
        packages_of build
        echo python3-numpy python3-numexpr python3-dask python3-distributed openmpi-bin \
            python3-mpi4py python3-cryptography python3-celery python3-redis redis-server
        ;;
    *)
        echo "install-deps.sh: no group is called $1; there are build, test, check, aarch64, bench" >&2
        exit 2
        ;;
    esac
}

is_installed()
{
    dpkg -s "$1" 2>/dev/null | grep -q '^Status: install ok installed'
}

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

if ! command -v dpkg >/dev/null 2>&1; then
    echo "install-deps.sh: this is not a Debian system; install these by hand:" >&2
    for group in "${@:-build}"; do packages_of "$group"; done >&2
    exit 1
fi

wanted=$(for group in "${@:-build}"; do packages_of "$group"; done)
missing=
for package in $wanted; do
    case " $missing " in
    *" $package "*) ;;
    *) is_installed "$package" || missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    exit 0
fi

echo "installing:$missing"
as_root apt-get update -q
# The list is split into words on purpose.
# shellcheck disable=SC2086
as_root apt-get install -y -q --no-install-recommends $missing
