# SPDX-License-Identifier: Apache-2.0
#
# What all peers share: the arguments JOB SIZE THREADS, and the words that tessera-bench understands:
# `ready`, then for each line that is read a number; `absent` or `failed` and why.

import atexit
import importlib
import os
import shutil
import sys
import tempfile
import time

# A peer may be imported by processes that it starts, which have arguments of their own.
ARGUMENTS = sys.argv[1:] if len(sys.argv) == 4 and sys.argv[2].isdigit() else ["", "1", "1"]
JOB = ARGUMENTS[0]
SIZE = int(ARGUMENTS[1])
THREADS = int(ARGUMENTS[2])


def tell(word, why):
    print(word, str(why).splitlines()[0] if str(why) else why, flush=True)


def need(*names):
    """The modules of these names, or the word that they are not there."""
    modules = []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ImportError as error:
            tell("absent", error)
            sys.exit(0)
    return modules[0] if len(modules) == 1 else modules


def scratch_file():
    """The path of a file that goes with this process."""
    room = tempfile.mkdtemp(prefix="tessera-bench-")
    atexit.register(shutil.rmtree, room, True)
    return os.path.join(room, "x.npy")


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * share))]


def serve(measure):
    print("ready", flush=True)
    for _ in sys.stdin:
        try:
            print(measure(), flush=True)
        except Exception as error:  # whatever it is, the bench goes on without this peer
            tell("failed", f"{type(error).__name__}: {error}")
            sys.exit(1)


def serve_job(jobs):
    """Serves the job of the command line; `jobs` maps names to functions that prepare one and
    return what measures it."""
    if JOB not in jobs:
        tell("absent", f"it has no job {JOB}")
        sys.exit(0)
    try:
        measure = jobs[JOB]()
    except Exception as error:
        tell("absent" if isinstance(error, AttributeError) else "failed",
             f"{type(error).__name__}: {error}")
        sys.exit(1)
    serve(measure)
