#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Rules of the project that no compiler knows. Prints one line for each breach and exits with 1 if
# there is one:
#
#   python3 scripts/tidy.py
#
# The rules: sizes of files and functions, the licence line, no allocation around engine/base, the
# direction of includes (the table of layers is the one in CMakeLists.txt), where ZeroMQ and BLAS
# may be seen, the map of files in docs/ARCHITECTURE.md, every public name documented, no dead
# links in the documentation, no paths of somebody's machine, no part of Criterion that tests/plain
# does not have.

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
ARCHITECTURE_LINES_MAX = 250
PRODUCT = ("engine/", "scheduler/", "worker/")
LICENCE_LINE = "SPDX-License-Identifier: Apache-2.0"
ALLOCATION = re.compile(
    r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc"
    r"|posix_memalign|asprintf|vasprintf)\s*\(")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")
HOST_PATH = re.compile(r"(?<![\w./*}$-])/(?:home|root|work|Users)/\w")

breaches = []


def breach(path, line, text):
    place = f"{path}:{line}" if line else path
    breaches.append(f"{place}: {text}")


def project_files():
    """The text of every file by its path, without build trees, hidden folders and fuzz inputs."""
    texts = {}
    for path in sorted(ROOT.rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/")) and name != ".ci/run"
        foreign = name.startswith(("build/", "tests/fuzz/corpus/")) or "__pycache__" in name
        if hidden or foreign or not path.is_file():
            continue
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
    return texts


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def without_comments(text):
    """C text with comments and literals blanked out, line by line as long as before."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def is_code(name):
    return name.endswith((".c", ".h", ".def"))


def is_commented_with_hash(name):
    return name.endswith((".py", ".sh", ".cmake", "CMakeLists.txt")) or name == ".ci/run"


def check_sizes(name, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        breach(name, 0, f"{len(lines)} lines, at most {FILE_LINES_MAX}")
    start = 0
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start - 1 > FUNCTION_LINES_MAX:
                breach(name, start, f"a function of {number - start - 1} lines, "
                                    f"at most {FUNCTION_LINES_MAX}")
            start = 0


def check_licence(name, text):
    lines = text.splitlines()[:2]
    mark = "// " if is_code(name) else "# "
    first = lines[1:] if lines and lines[0].startswith("#!") else lines[:1]
    if first != [mark + LICENCE_LINE]:
        breach(name, 1, f"the first line is not '{mark}{LICENCE_LINE}'")


def check_words(name, text):
    for match in UNFINISHED.finditer(text):
        breach(name, line_of(text, match.start()), f"unfinished work ({match.group()})")
    for match in HOST_PATH.finditer(text):
        breach(name, line_of(text, match.start()), "a path of somebody's machine")
    if text and not text.endswith("\n"):
        breach(name, 0, "no newline at the end")
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            breach(name, number, "white space at the end of the line")


def check_allocation(name, code):
    if not name.startswith(PRODUCT) or name in ("engine/base/memory.c", "engine/base/memory.h"):
        return
    for match in ALLOCATION.finditer(code):
        breach(name, line_of(code, match.start()),
               f"{match.group(1)}() instead of engine/base/memory.h")


def read_layers(cmake):
    """Folder of each layer and program, and the folders it may include from, as CMake links them."""
    folders, needs = {}, {}
    code = re.sub(r"#[^\n]*", "", cmake)
    for match in re.finditer(r"tess_(?:layer|program)\(([^)]*)\)", code):
        words = match.group(1).split()
        name, folder, rest = words[0], words[1], words[2:]
        rest = rest[: rest.index("LIBRARIES")] if "LIBRARIES" in rest else rest
        folders[name] = folder
        needs[name] = [word for word in rest if word not in ("DEPENDS", "WHOLE")]

    def reach(name, seen):
        for need in needs[name]:
            if need not in seen:
                seen.add(need)
                reach(need, seen)
        return seen

    return {folders[name]: {folders[n] for n in reach(name, {name})} for name in folders}


def check_includes(name, text, layers, files):
    folder = name.rsplit("/", 1)[0] if "/" in name else ""
    for match in INCLUDE.finditer(text):
        style, target = match.groups()
        line = line_of(text, match.start())
        target_folder = target.rsplit("/", 1)[0] if "/" in target else ""
        if style == '"' and target not in files and "include/" + target not in files:
            breach(name, line, f'"{target}" is no file of the project, seen from its root')
        if folder in layers and target_folder in layers and target_folder not in layers[folder]:
            breach(name, line, f"{folder} may not see {target_folder}")
        if name.startswith("include/") and not target.startswith("tessera/") and style == '"':
            breach(name, line, "a public header includes an internal one")
        if name.startswith("examples/") and style == '"' and target != "tessera.h":
            breach(name, line, "an example sees tessera.h and nothing else of the project")
        check_library_include(name, line, target)


def check_library_include(name, line, target):
    if not name.startswith(PRODUCT):
        return
    if target in ("zmq.h", "czmq.h"):
        remote = name.startswith("engine/runtime/") and "remote" in name
        if not (name.startswith("engine/net/") or "/daemon/" in name or remote):
            breach(name, line, f"{target} outside engine/net, the daemons and the remote runtime")
    if target == "jansson.h" and not name.startswith("engine/net/"):
        breach(name, line, "jansson.h outside engine/net")
    if target == "sleef.h" and not name.startswith("engine/kernel/"):
        breach(name, line, "sleef.h outside engine/kernel")


def check_blas(files):
    users = [name for name, text in files.items() if name.startswith(PRODUCT)
             and any(match.group(2) == "cblas.h" for match in INCLUDE.finditer(text))]
    if len(users) > 1 or any(not name.startswith("engine/kernel/") for name in users):
        breach(", ".join(users), 0, "cblas.h is for one file of engine/kernel")


def check_criterion(files):
    """Builds that cannot run Criterion's runner have the part of it that tests/plain knows, and
    helpers, which programs without it are linked with, have none."""
    known = set(re.findall(r"#define (cr_\w+)", files["tests/plain/criterion/criterion.h"]))
    for name, text in files.items():
        if not name.startswith("tests/") or not is_code(name):
            continue
        found = text.find("<criterion/")
        if name.startswith("tests/support/") and name.endswith(".c") and found >= 0:
            breach(name, line_of(text, found), "a helper without Criterion is for all programs")
        for match in re.finditer(r"\bcr_\w+", without_comments(text)):
            if match.group() not in known:
                breach(name, line_of(text, match.start()),
                       f"{match.group()} is missing in tests/plain/criterion/criterion.h")


def expand(pattern):
    """The names that `stem.[ch]` and `stem_{a,b}.c` stand for."""
    match = re.search(r"\[(\w+)\]|\{([^{}]*)\}", pattern)
    if not match:
        return [pattern]
    choices = match.group(1) if match.group(1) else match.group(2).split(",")
    return [name for choice in choices
            for name in expand(pattern[: match.start()] + choice + pattern[match.end():])]


def check_architecture(files):
    name = "docs/ARCHITECTURE.md"
    if name not in files:
        breach(name, 0, "missing")
        return
    text = files[name]
    if len(text.splitlines()) > ARCHITECTURE_LINES_MAX:
        breach(name, 0, f"more than {ARCHITECTURE_LINES_MAX} lines")

    sources = {path for path in files if is_code(path)}
    basenames = {path.rsplit("/", 1)[-1] for path in sources}
    mentioned = set()
    for match in re.finditer(r"[\w/{},-]+\.(?:\[\w+\]|c\b|h\b|def\b)", text):
        for word in expand(match.group()):
            mentioned.add(word)
            known = word in sources or "include/" + word in sources or word in basenames
            if not known:
                breach(name, line_of(text, match.start()), f"there is no {word}")
    for path in sorted(sources):
        is_mapped = path.startswith(PRODUCT + ("include/", "bench/", "tests/support/"))
        short = path[len("include/"):] if path.startswith("include/") else path
        if is_mapped and not mentioned & {path, short, path.rsplit("/", 1)[-1]}:
            breach(name, 0, f"the map does not have {path}")


def check_public_names(files):
    """Every declared function stands below a comment, or is explained in the documentation."""
    prose = "\n".join(text for name, text in files.items() if name.endswith(".md"))
    for name, text in files.items():
        if not name.startswith("include/tessera"):
            continue
        comments = " ".join(re.findall(r"//([^\n]*)", text))
        for block in re.split(r"\n\s*\n", text):
            lines = block.strip().split("\n")
            if lines[0].startswith("//"):
                continue
            code = re.sub(r"^#.*$", "", block, flags=re.M)
            for match in re.finditer(r"TESS_API\b[^(;]*?\b(tess_\w+)\(", code):
                if not re.search(rf"\b{match.group(1)}\b", prose + comments):
                    breach(name, line_of(text, text.index(match.group())),
                           f"{match.group(1)} is documented nowhere")


def check_links(name, text, files):
    folder = pathlib.PurePosixPath(name).parent
    for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        target = match.group(1)
        if "://" in target or target.startswith("mailto:"):
            continue
        if not (ROOT / folder / target).exists():
            breach(name, line_of(text, match.start()), f"there is no {target}")


def main():
    files = project_files()
    layers = read_layers(files["CMakeLists.txt"])
    for name, text in files.items():
        check_words(name, text)
        if is_code(name) or is_commented_with_hash(name):
            check_sizes(name, text)
            check_licence(name, text)
        if is_code(name):
            check_allocation(name, without_comments(text))
            check_includes(name, text, layers, files)
        if name.endswith(".md"):
            check_links(name, text, files)
    check_blas(files)
    check_criterion(files)
    check_architecture(files)
    check_public_names(files)
    print("\n".join(breaches) if breaches else f"{len(files)} files, no breach")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
