#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Reports of a document made by hand: reports.py, with Python's own CSV, JSON and HTML parsers as
# judges.

command -v python3 >/dev/null || exit 77
exec python3 "${TESSERA_SOURCE:?}/tests/bench/reports.py"
