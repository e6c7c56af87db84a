#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Computes on a cluster for a minute while workers are killed, stopped and cut off, disks are full
# and the scheduler is started again; every compute has to end with the right bits or a clear error.
#
#   sh scripts/chaos.sh [SECONDS [SEED]]                       (60 seconds, seed 1)
#
# As root every worker gets a network namespace, so that its cable can be pulled; as anybody else
# all of them are on the loopback interface.

set -eu

seconds=${1:-60}
seed=${2:-1}
workers=4
space=tesschaos

cd "$(dirname "$0")/.."
sh scripts/install-deps.sh test
cmake --preset test >/dev/null
cmake --build --preset test -j 2 --target cluster_chaos tessera-scheduler tessera-worker >/dev/null
TESSERA_BIN=$PWD/build/test/bin
export TESSERA_BIN

remove_network()
{
    for i in $(seq 0 $((workers - 1))); do
        ip netns del "$space-$i" 2>/dev/null || true
    done
    ip link del "$space" 2>/dev/null || true
}

# Worker i is 10.77.0.(i+2), at a cable to a switch that the scheduler's host is at too.
make_network()
{
    ip link add "$space" type bridge && ip addr add 10.77.0.1/24 dev "$space" &&
        ip link set "$space" up || return 1
    for i in $(seq 0 $((workers - 1))); do
        ip netns add "$space-$i" &&
            ip link add "tessc$i" type veth peer name net netns "$space-$i" &&
            ip link set "tessc$i" master "$space" up &&
            ip -n "$space-$i" addr add "10.77.0.$((i + 2))/24" dev net &&
            ip -n "$space-$i" link set lo up && ip -n "$space-$i" link set net up || return 1
    done
}

if [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null; then
    trap remove_network EXIT
    trap 'exit 1' HUP INT TERM
    remove_network
    if make_network; then
        build/test/tests/cluster_chaos "$seconds" "$seed" "$space" 10.77.0.1
        exit
    fi
    echo "chaos.sh: no network namespaces here; all workers are on the loopback interface"
fi
build/test/tests/cluster_chaos "$seconds" "$seed"
