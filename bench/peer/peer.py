# SPDX-License-Identifier: Apache-2.0
#
# What all peers share: say `ready`, then work once for each line read and print what was measured.

import sys


def serve(work):
    print("ready", flush=True)
    for _ in sys.stdin:
        print(work(), flush=True)
