#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Makes documents as tessera-bench writes them, has it report on them, and reads the reports with
# other people's parsers.

import copy
import csv
import html.parser
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(os.environ["TESSERA_BIN"]) / "tessera-bench"
EVIL = "<b>\"quoted\", & 'more'\\ µ</b>"
VOID = {"meta", "br", "link", "img", "input", "hr"}


def series(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {"status": "measured", "values": values, "min": min(values), "median": median,
            "max": max(values), "noise": 0.05, "peak_resident_bytes": 10000000}


def bench(name, values, better="less", **more):
    row = {"name": name, "suite": "main", "work": EVIL, "unit": "s", "better": better,
           "size": 100, "threads": 2, "rivals": [], "targets": []}
    row.update(series(values))
    row.update(more)
    return row


def document(*benches):
    return {"format": 1, "command": "tessera-bench run " + EVIL, "started": "2026-01-01T00:00:00Z",
            "quick": False, "repeat": 5,
            "machine": {"processor": EVIL, "processors": 2, "system": "Debian"},
            "versions": {"Tessera": "0.1.0", "Dask": EVIL}, "benches": list(benches)}


def full_document():
    limit = dict(series([0.08, 0.09]), name="by-hand", kind="limit", ratio=0.85)
    peer = dict(series([10.0, 12.0, 11.0]), name=EVIL, kind="peer", ratio=110.0)
    absent = {"name": "celery", "kind": "peer", "status": "absent", "why": "no " + EVIL}
    broken = {"name": "mpi", "kind": "peer", "status": "failed", "why": "it broke"}
    targets = [{"text": "≥ 120 × dask", "found": "110", "met": False},
               {"text": "≤ 1 s", "found": "100 ms", "met": True},
               {"text": "≥ 1 × mpi", "found": "", "met": None}]
    return document(
        bench("first", [0.1, 0.11, 0.09], rivals=[limit, peer, absent, broken], targets=targets),
        bench("second", [5e5, 6e5], "more", unit="tasks/s", suite="scheduler"),
        bench("zero", [0.0, 0.0]),
        {"name": "third", "suite": "scheduler", "work": EVIL, "unit": "s", "better": "less",
         "size": 1, "threads": 1, "status": "failed", "why": "killed " + EVIL, "rivals": [],
         "targets": []})


def run(*arguments, code=0):
    answer = subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=60)
    assert answer.returncode == code, (arguments, answer.returncode, answer.stdout, answer.stderr)
    return answer.stdout, answer.stderr


def write(room, name, content):
    path = room / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


class Page(html.parser.HTMLParser):
    """Keeps track of open elements, of text, and of everything that could fetch something."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags, self.fetches = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetches += [(tag, key, value) for key, value in attributes
                         if key in ("src", "href", "srcset", "data", "action") or "url(" in (value or "")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open, self.getpos())
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def check_html(room, path):
    run("report", path, "--html", str(room / "page.html"))
    source = (room / "page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(source)
    page.close()
    text = "".join(page.text)
    assert not page.open, page.open
    assert not page.fetches, page.fetches
    assert "script" not in page.tags and "@import" not in source and "url(" not in source
    assert "http://" not in source and "https://" not in source
    assert source.startswith("<!DOCTYPE html>") and "@media print" in source
    assert page.tags.count("svg") == 3, "each measured bench has a chart"
    assert "<b>\"quoted\"" not in source and "<b>&quot;quoted&quot;" not in source
    for word in (EVIL, "first", "second", "third", "by-hand", "Targets missed", "it broke",
                 "logarithmic", "100 ms", "550 ktasks/s", "85 %"):
        assert word in text, word
    assert "nan" not in source and "inf" not in source


def check_csv(path):
    out, _ = run("report", path, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(out), strict=True))
    assert [(r["bench"], r["kind"], r["status"]) for r in rows] == [
        ("first", "own", "measured"), ("first", "limit", "measured"),
        ("first", "peer", "measured"), ("first", "peer", "absent"), ("first", "peer", "failed"),
        ("second", "own", "measured"), ("zero", "own", "measured"), ("third", "own", "failed")]
    assert rows[2]["name"] == EVIL and float(rows[2]["median"]) == 11
    assert float(rows[2]["ratio"]) == 110.0 and rows[2]["runs"] == "3"
    assert rows[3]["median"] == "" and all(None not in r for r in rows)


def check_table(path):
    out, _ = run("report", path, "--table", "-")
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert len(lines) == 3 and all(line.count("|") == lines[0].count("|") for line in lines), lines
    assert "MISSED" in lines[2] and "**110 ×**" in lines[2] and "**85 %**" in lines[2]
    out, _ = run("report", path, "--table", "-", "--all")
    assert len([line for line in out.splitlines() if line.startswith("|")]) == 6


def check_json(path):
    out, words = run("run", "first-result", "--quick", "--json", "-")
    made = json.loads(out)
    assert made["quick"] is True and made["benches"][0]["name"] == "first-result"
    assert made["benches"][0]["targets"][0]["met"] is None, "quick runs are not judged"
    assert len(made["benches"][0]["values"]) == 2 and "first-result" in words
    assert made["machine"]["processors"] >= 1 and made["versions"]["Tessera"]
    text, _ = run("report", path)
    assert "1 met, 1 missed" in text and "FAILED: killed" in text and "absent: no" in text


def compare(room, before, now, code):
    old = write(room, "old.json", document(*before))
    new = write(room, "new.json", document(*now))
    out, _ = run("report", new, "--baseline", old, code=code)
    return out


def check_baseline(room):
    quiet = [1.00, 1.01, 0.99, 1.00, 1.02]
    slower = [value * 1.2 for value in quiet]
    wild = [0.8, 1.0, 1.2, 1.4, 0.9]
    assert "0 regressions" in compare(room, [bench("x", quiet)], [bench("x", quiet)], 0)
    assert "REGRESSION" in compare(room, [bench("x", quiet)], [bench("x", slower)], 1)
    assert "better" in compare(room, [bench("x", slower)], [bench("x", quiet)], 0)
    # For rates less is worse.
    assert "REGRESSION" in compare(room, [bench("x", slower, "more")], [bench("x", quiet, "more")],
                                   1)
    compare(room, [bench("x", quiet, "more")], [bench("x", slower, "more")], 0)
    # 4 % is less than what is taken for noise; so is 20 % where the runs themselves differ by more.
    compare(room, [bench("x", quiet)], [bench("x", [v * 1.04 for v in quiet])], 0)
    compare(room, [bench("x", wild)], [bench("x", [v * 1.2 for v in wild])], 0)
    # One disturbed run is no regression.
    compare(room, [bench("x", quiet)], [bench("x", quiet[:4] + [50.0])], 0)
    # Nor is what cannot be compared.
    out = compare(room, [bench("x", quiet)], [bench("x", slower, size=7), bench("y", slower)], 0)
    assert out.count("is not in the baseline") == 2
    failed = dict(bench("x", quiet), status="failed", why="broken", values=[])
    assert "not compared" in compare(room, [bench("x", quiet)], [failed], 0)
    # One of two is enough.
    compare(room, [bench("x", quiet), bench("y", quiet)], [bench("x", quiet), bench("y", slower)],
            1)


def check_damage(room):
    """Whatever is taken away from a document, it is refused or reported; nothing breaks."""
    whole = full_document()
    for key in whole["benches"][0]:
        damaged = copy.deepcopy(whole)
        del damaged["benches"][0][key]
        path = write(room, "damaged.json", damaged)
        code = 0 if key == "noise" else 1
        run("report", path, "--html", str(room / "x.html"), code=code)
    for key, value in (("values", ["a"]), ("name", 3), ("rivals", [1]), ("targets", [{}]),
                       ("status", None), ("min", "0")):
        damaged = copy.deepcopy(whole)
        damaged["benches"][0][key] = value
        run("report", write(room, "damaged.json", damaged), code=1)


def main():
    with tempfile.TemporaryDirectory() as name:
        room = pathlib.Path(name)
        path = write(room, "full.json", full_document())
        check_html(room, path)
        check_csv(path)
        check_table(path)
        check_json(path)
        check_baseline(room)
        check_damage(room)
    return 0


if __name__ == "__main__":
    sys.exit(main())
