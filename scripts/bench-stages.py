#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Where the instructions of a tiny task go: a Markdown table by stage, from callgrind, for tasks of one
# element that are kept, in an embedded session with one thread and through a scheduler and two
# workers. With --time also nanoseconds on a processor, by samples of perf, of each program by itself;
# the drop of the chunks after each run is in them. What is inlined counts for the file that it is
# written in, in both.
#
#   python3 scripts/bench-stages.py [--cluster] [--time] [--tasks N]
#
# It builds build/stages, as the preset test but with the names of files. What is shown is the
# difference of two runs, of N and of 2·N tasks, so that the start of the programs is not in it. An
# embedded session needs the same instructions each time, but for batches that end by time; daemons
# also wait and look around, so theirs differ by some percent. Under callgrind everything is some
# fifty times slower: batches that time cuts are smaller than in life, and what is paid for each of
# them is larger.

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build", "stages")

# The first pattern that is found in a function's file decides.
STAGES = [
    ("open and activate", r"scheduler/core/sched_(turn|activate|want|walk|fit|drain)"),
    ("ready and place", r"scheduler/core/sched_(ready|place|wake|disown)"),
    ("assign", r"scheduler/core/sched_(assign|peer|peak|emit)"),
    ("account what is done", r"scheduler/core/"),
    ("take in and queue", r"worker/core/worker_(assign|queue)"),
    ("start", r"worker/core/worker_(task|job|spill|next|stuck|cheap)"),
    ("hold chunks, report", r"worker/core/|engine/base/table"),
    ("carry between the cores, threads", r"engine/runtime/|exec/attempt|base/ring|worker/daemon/pool"),
    ("execute", r"engine/(exec|kernel)/"),
    ("memory of outputs", r"engine/base/(buf|blocks|pages|segments|kept|extents)"),
    ("encode and decode", r"scheduler/wire/|engine/program/(packer|.*codec|.*(encode|decode))"),
    ("loops and sockets of the daemons", r"scheduler/daemon/|worker/daemon/|engine/net/"),
    ("sizes, maps, clocks", r"engine/(base|program)/"),
    ("plan and submit", r"engine/(plan|graph)/|bench/"),
]
LIBRARIES = "C library, ZeroMQ, all else"
KERNEL = "page faults and other work of the kernel"

# Samples a second, and runs of so many tasks that are sampled.
FREQUENCY = 5000
RUNS = 6
TASKS_TIMED = 1000000


def stage_of(path):
    for name, pattern in STAGES:
        if re.search(pattern, path):
            return name
    return LIBRARIES


def read_costs(path, costs):
    """Adds the own cost of each stage in a file of callgrind to `costs`."""
    names = {}
    stage = LIBRARIES
    skips = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = re.match(r"(fl|fi|fe|cfl|cfi)=\((\d+)\)(?: (.*))?$", line.rstrip())
            if found:
                kind, number, name = found.groups()
                if name:
                    names[number] = name
                if kind in ("fl", "fi", "fe"):
                    stage = stage_of(names.get(number, ""))
            elif line.startswith("calls="):
                skips = True  # the next line is the cost of what was called
            elif line[:1].isdigit() or line[:1] in "+-*":
                if not skips:
                    costs[stage] += int(line.split()[-1])
                skips = False


def count(bench, tasks):
    """Instructions of each stage of one run of a bench, all its processes together."""
    costs = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--trace-children=yes",
                   f"--callgrind-out-file={folder}/out.%p",
                   os.path.join(BUILD, "bin", "tessera-bench"), "serve", bench, str(tasks), "1"]
        done = subprocess.run(command, input="go\n", capture_output=True, text=True, check=False,
                              env=dict(os.environ, TESSERA_ISA="baseline"))
        if done.returncode != 0 or not re.search(r"^[\d.]+(e\+\d+)?$", done.stdout, re.M):
            sys.exit(f"bench-stages.py: {bench} failed: {done.stdout}{done.stderr[-2000:]}")
        for name in os.listdir(folder):
            read_costs(os.path.join(folder, name), costs)
    return costs


def files_of(program, addresses):
    """The file of the innermost function, inlined or not, at each address of a program."""
    done = subprocess.run(["addr2line", "-e", os.path.join(BUILD, "bin", program)],
                          input="\n".join(addresses), capture_output=True, text=True, check=True)
    return dict(zip(addresses, done.stdout.splitlines()))


def sample(bench):
    """Nanoseconds a task of each stage of a bench, by program: of all its processes together."""
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf")
        record = ["perf", "record", "-q", "-F", str(FREQUENCY), "-o", data,
                  os.path.join(BUILD, "bin", "tessera-bench"), "serve", bench,
                  str(TASKS_TIMED), "1"]
        script = ["perf", "script", "-i", data, "-F", "pid,ip,dso"]
        for command, text in ((record, "go\n" * RUNS), (script, "")):
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"bench-stages.py: perf failed: {done.stderr[-2000:]}")
    samples = collections.Counter(re.findall(r"^\s*(\d+)\s+([0-9a-f]+)\s+\((.*)\)\s*$",
                                             done.stdout, re.M))
    programs = {}
    addresses = collections.defaultdict(set)
    for pid, address, path in samples:
        if os.path.dirname(path) == os.path.join(BUILD, "bin"):
            if programs.get(pid, "tessera-bench") == "tessera-bench":  # before it starts another
                programs[pid] = os.path.basename(path)
            addresses[path].add(address)
    files = {path: files_of(os.path.basename(path), sorted(found))
             for path, found in addresses.items()}
    times = collections.defaultdict(collections.Counter)
    for (pid, address, path), count in samples.items():
        if path.startswith("[") and not path.startswith("[vdso"):
            stage = KERNEL
        else:
            stage = stage_of(files[path][address]) if path in files else LIBRARIES
        times[programs.get(pid, "")][stage] += count * 1e9 / FREQUENCY / RUNS / TASKS_TIMED
    return times


def build():
    # An address that was sampled is one of the file.
    for command in (["cmake", "--preset", "test", "-B", BUILD, "-DCMAKE_C_FLAGS=-g1",
                     "-DCMAKE_EXE_LINKER_FLAGS=-no-pie", "-DTESSERA_TESTS=OFF"],
                    ["cmake", "--build", BUILD, "-j", "2"]):
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench-stages.py: the build failed:\n{done.stdout[-2000:]}{done.stderr}")


def main():
    parser = argparse.ArgumentParser(description="Instructions of a tiny task by stage.")
    parser.add_argument("--cluster", action="store_true", help="through daemons as well")
    parser.add_argument("--time", action="store_true", help="nanoseconds as well")
    parser.add_argument("--tasks", type=int, default=50000)
    options = parser.parse_args()
    build()
    benches = ["tasks-embedded"] + (["tasks-cluster"] if options.cluster else [])
    columns = []
    for bench in benches:
        few = count(bench, options.tasks)
        many = count(bench, 2 * options.tasks)
        columns.append({name: (many[name] - few[name]) / options.tasks for name in many})
    heads = ["embedded, one thread", "scheduler and two workers"][:len(columns)]
    names = [name for name, _ in STAGES] + [LIBRARIES]
    if options.time:
        names.append(KERNEL)
        columns.append(sample("tasks-embedded")["tessera-bench"])
        heads.append("embedded, ns")
    if options.time and options.cluster:
        times = sample("tasks-cluster")
        for program, head in (("tessera-bench", "client, ns"), ("tessera-scheduler", "scheduler, ns"),
                              ("tessera-worker", "both workers, ns")):
            columns.append(times[program])
            heads.append(head)
    print("| instructions or ns a task | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(columns))
    for name in names:
        cells = [f"{round(column.get(name, 0))}" for column in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("| together | " + " | ".join(f"{round(sum(c.values()))}" for c in columns) + " |")


if __name__ == "__main__":
    main()
