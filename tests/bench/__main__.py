# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench`: measure every row, or those of ROWS=a,b; print the table, write JSON and docs/bench.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import document, machine, table
from tests.bench.row import Bench, Row
from tests.bench.rows import ROWS
from tests.lifecycle import trees

JSON = trees.CHECKOUT / "docs/bench.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    names = ", ".join(row.name for row in ROWS)
    made = argparse.ArgumentParser(prog="python3 -m tests.bench", description=__doc__, epilog=f"rows: {names}")
    made.add_argument("--rows", type=chosen, default=ROWS, help="names with commas between; all without it")
    made.add_argument("--release", choices=trees.RELEASES, default="trixie", help="of the servers")
    made.add_argument("--sites", type=int, default=1000)
    made.add_argument("--repeat", type=int, default=5)
    made.add_argument("--seconds", type=float, default=5.0, help="how long each run of wrk takes")
    made.add_argument("--rivals", type=int, default=10, help="the most jails that jailkit gets, over 100 MB each")
    made.add_argument("--directory", type=Path, help="for temporary files; the system's without it")
    made.add_argument("--json", type=Path, default=JSON, help="where the figures go; rows not measured stay in it")
    made.add_argument("--document", type=Path, help="write the table into this manual as well")
    return made


def chosen(text: str) -> tuple[Row, ...]:
    """The rows of a list of names; empty means all. Raises argparse.ArgumentTypeError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {row.name: row for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or ROWS


def measured(rows: tuple[Row, ...], bench: Bench) -> Iterator[dict[str, Any]]:
    """Each line as soon as it is known; a row that fails is told, and the others go on."""
    for row in rows:
        bench.tell(f"{row.name}: {row.about}")
        try:
            for line in row.measure(bench):
                found = {**table.line_json(row.name, line), "on": datetime.now(UTC).date().isoformat()}
                bench.tell("  " + " | ".join(filter(None, table.cells(found))))
                yield found
        except Exception:
            traceback.print_exc()
            yield {"row": row.name, "failed": traceback.format_exc(limit=1)}


def merged(path: Path, lines: list[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """What the file held of other rows stays there with its day, as do rows that failed now; in the order of ROWS."""
    lines = [line for line in lines if "failed" not in line]
    new = {line["row"] for line in lines}
    old = json.loads(path.read_text())["lines"] if path.exists() else []
    kept = [line for line in old if line["row"] not in new]
    order = [row.name for row in ROWS]
    known = [line for line in (*kept, *lines) if line["row"] in order]
    return {**about, "lines": sorted(known, key=lambda line: order.index(line["row"]))}


def main() -> int:
    """Run the bench; exit status 1 if a row could not be measured. An aim that is missed is no failure."""
    options = parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as directory:
        place = Path(directory)
        bench = Bench(options.release, options.sites, options.repeat, place, options.seconds, options.rivals)
        lines = list(measured(options.rows, bench))
    seen = machine.look(options.release)
    about = {"machine": asdict(seen), "sites": options.sites, "repeat": options.repeat}
    result = merged(options.json, lines, about)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    good = [line for line in lines if "failed" not in line]
    print(f"{table.head(seen, options.sites, options.repeat)}\n\n{table.table(good)}")
    if options.document:
        document.write(options.document, result)
    return 0 if len(good) == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
