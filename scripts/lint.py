#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy 14 over every file that a build compiles:
#
#   python3 scripts/lint.py BUILD-DIRECTORY [JOBS]
#
# Each file once, although those for several instruction sets are compiled several times, and each
# in a process of its own: with several files in one, version 14 takes va_start() for missing.

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def first_commands(build):
    """The compilation database with the first command of each file only."""
    commands = {}
    for command in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        commands.setdefault(command["file"], command)
    return commands


def lint(database, path):
    run = subprocess.run(["clang-tidy-14", "--quiet", "-p", database, path],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        print(run.stdout or run.stderr, end="", flush=True)
    return run.returncode == 0


def main():
    build = pathlib.Path(sys.argv[1])
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else len(os.sched_getaffinity(0))
    commands = first_commands(build)
    # The largest files first, so that no processor waits for a large one at the end.
    paths = sorted(commands, key=os.path.getsize, reverse=True)
    with tempfile.TemporaryDirectory() as database:
        pathlib.Path(database, "compile_commands.json").write_text(
            json.dumps(list(commands.values())), encoding="utf-8")
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            clean = list(pool.map(lambda path: lint(database, path), paths))
    print(f"{len(clean)} files, {clean.count(False)} with complaints")
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
