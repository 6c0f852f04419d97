"""`make bench`, or `python -m benchmarks`: measure, and show the targets that are met or not."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import uvloop

from benchmarks import dialects, downloads, measures, report, sound, vectors

ALL = measures.ALL | dialects.ALL | vectors.ALL | sound.ALL | downloads.ALL


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=list(ALL), help="one measurement; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--write", action="store_true", help=f"write {report.PAGE.name}")
    arguments = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.exit(0, "The measurements read /proc, so they run on Linux only.\n")
    for number in (signal.SIGINT, signal.SIGTERM):  # either way the started servers are ended
        signal.signal(number, signal.default_int_handler)
    effort = measures.Effort(0.2 if arguments.quick else 1.0)
    facts = report.machine() | {"quick": arguments.quick, "load_before": report.load()}
    rows: list[measures.Row] = []
    for name in arguments.only or ALL:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        found = uvloop.run(ALL[name](effort))
        print(report.table(found), file=sys.stderr, flush=True)
        rows += found
    facts |= {"load_after": report.load(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    print(f"\n{report.sentence(facts)}\n\n{report.table(rows)}\n")
    missed = [row.measure for row in rows if row.met is False]
    unclear = [row.measure for row in rows if not row.is_clear]
    for word, names in (("Missed", missed), ("Unclear on a busy machine", unclear)):
        if names:
            print(f"{word}: {'; '.join(names)}")
    if not missed and not unclear:
        print("Every target is met.")
    if arguments.json:
        numbers = {"machine": facts, "rows": [asdict(row) | {"met": row.met} for row in rows]}
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    if arguments.write:
        report.write_page(rows, facts)


if __name__ == "__main__":
    main()
