#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy 14 over every file that a build compiles, or over those whose path begins with one
# of the prefixes:
#
#   python3 scripts/lint.py [--jobs N] [--slowest N] BUILD-DIRECTORY [PREFIX]...
#
# Each file once, although those for several instruction sets are compiled several times, and each
# in a process of its own: with several files in one, version 14 takes va_start() for missing.
#
# A file without complaints is remembered in BUILD-DIRECTORY/lint by a hash of all that clang-tidy
# saw: the file and every header that it includes, those of the system too, as they stand, since
# comments and macros count; the command; the settings; the version. It is not looked at again until
# one of them changes. Complaints are not remembered, so they are shown until they are mended.

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

CLANG_TIDY = "clang-tidy-14"
OF_A_COMPILATION = {"-c": 0, "-o": 1, "-MD": 0, "-MMD": 0, "-MF": 1, "-MT": 1, "-MQ": 1}


def first_commands(build):
    """The compilation database with the first command of each file only."""
    commands = {}
    for command in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        commands.setdefault(command["file"], command)
    return commands


@functools.lru_cache(maxsize=None)
def hash_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def settings_of(path):
    """The files that clang-tidy may take its settings from, nearest first."""
    places = (folder / ".clang-tidy" for folder in pathlib.Path(path).parents)
    return [str(place) for place in places if place.is_file()]


def included(command):
    """The file of the command and every header that it includes; None if it does not compile."""
    words, skip = [], 0
    for word in shlex.split(command["command"]):
        if skip > 0:
            skip -= 1
        elif word in OF_A_COMPILATION:
            skip = OF_A_COMPILATION[word]
        else:
            words.append(word)
    run = subprocess.run(words + ["-M"], cwd=command["directory"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, check=False)
    if run.returncode != 0:
        return None
    paths = shlex.split(run.stdout.replace("\\\n", " "))[1:]
    return sorted({os.path.join(command["directory"], path) for path in paths})


def key_of(command, version):
    """What the verdict over a file depends on, in one hash; None if it has no good verdict."""
    paths = included(command)
    if paths is None:
        return None
    seen = [version, command["directory"], command["command"]]
    for path in paths + settings_of(command["file"]):
        seen += [path, hash_of(path)]
    return hashlib.sha256("\0".join(seen).encode()).hexdigest()


class Linter:
    def __init__(self, build, database):
        self.verdicts = build / "lint"
        self.verdicts.mkdir(exist_ok=True)
        self.database = database
        self.version = subprocess.run([CLANG_TIDY, "--version"], stdout=subprocess.PIPE,
                                      text=True, check=True).stdout

    def lint(self, command):
        """Whether the file is clean, whether it was looked at, and the seconds that took."""
        path = command["file"]
        verdict = self.verdicts / hashlib.sha256(path.encode()).hexdigest()
        key = key_of(command, self.version)
        if key is not None and verdict.is_file() and verdict.read_text(encoding="ascii") == key:
            return True, False, 0
        start = time.monotonic()
        run = subprocess.run([CLANG_TIDY, "--quiet", "-p", self.database, path],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            print(run.stdout or run.stderr, end="", flush=True)
        elif key is not None and key == self.key_again(command):
            verdict.write_text(key, encoding="ascii")
        return run.returncode == 0, True, time.monotonic() - start

    def key_again(self, command):
        """The key as the files stand now: one that was edited meanwhile has no verdict."""
        hash_of.cache_clear()
        return key_of(command, self.version)


def arguments():
    parser = argparse.ArgumentParser(description="clang-tidy over every file that a build compiles")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="tell the slowest N files")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("prefixes", nargs="*", type=os.path.abspath)
    return parser.parse_args()


def main():
    options = arguments()
    commands = first_commands(options.build)
    paths = [path for path in commands
             if not options.prefixes or path.startswith(tuple(options.prefixes))]
    # The largest files first, so that no processor waits for a large one at the end.
    paths.sort(key=os.path.getsize, reverse=True)
    with tempfile.TemporaryDirectory() as database:
        pathlib.Path(database, "compile_commands.json").write_text(
            json.dumps(list(commands.values())), encoding="utf-8")
        linter = Linter(options.build, database)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(lambda path: linter.lint(commands[path]), paths))
    for seconds, path in sorted(((result[2], path) for result, path in zip(results, paths)),
                                reverse=True)[:options.slowest]:
        print(f"{seconds:6.1f} s {os.path.relpath(path)}")
    complaints = sum(not clean for clean, _, _ in results)
    looked = sum(looked for _, looked, _ in results)
    print(f"{len(results)} files, {looked} looked at, {complaints} with complaints")
    return 1 if complaints > 0 or not results else 0


if __name__ == "__main__":
    sys.exit(main())
