# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's table: rows that were not measured this time stay, with the day on which they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench import table
from tests.bench.__main__ import merged
from tests.bench.document import body
from tests.bench.row import Aim, Compare, Line
from tests.lifecycle import trees


def line(row: str, what: str, seconds: float, on: str) -> dict[str, Any]:
    found = Line(what, "s", (seconds,), "the rival", (1.0,), Aim(Compare.TIMES, 3))
    return {**table.line_json(row, found), "on": on}


def test_rows_that_were_not_measured_or_failed_stay_in_the_order_of_the_table(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    old = [line(row, f"old {row}", 2.0, "2026-01-01") for row in ("refresh", "install", "publish")]
    file.write_text(json.dumps({"lines": old}))
    new = [line("install", "new install", 4.0, "2026-02-02"), {"row": "publish", "failed": "ValueError"}]
    kept = merged(file, new, {"sites": 10})
    assert [one["what"] for one in kept["lines"]] == ["old refresh", "new install", "old publish"]
    shown = table.table(kept["lines"]).splitlines()
    assert shown[0].endswith("| measured on |")
    assert [row.rpartition("| ")[2] for row in shown[2:]] == ["2026-01-01 |", "2026-02-02 |", "2026-01-01 |"]


def test_days_that_are_all_the_same_are_not_told_on_each_line() -> None:
    text = table.table([line("refresh", "a", 2.0, "2026-01-01"), line("noop", "b", 4.0, "2026-01-01")])
    assert "2026-01-01" not in text and "measured on" not in text


def test_a_figure_is_more_or_less_and_never_less_than_nothing() -> None:
    def told(compare: Compare, ours: float) -> str:
        found = Line("a", "ms", (ours,), "b", (100.0,), Aim(compare, 3))
        return table.figure_words(table.line_json("a", found))

    kinds = (Compare.MORE, Compare.PERCENT, Compare.LESS)
    assert [told(kind, 104) for kind in kinds] == ["4 ms more", "4.0 % more", "4.0 % more"]
    assert [told(kind, 96) for kind in kinds] == ["4 ms less", "4.0 % less", "4.0 % less"]
    assert (told(Compare.TIMES, 200), told(Compare.FASTER, 1)) == ("2.00 times", "100 times faster")


def test_the_manual_shows_what_is_in_the_figures() -> None:
    figures = json.loads((trees.CHECKOUT / "docs/bench.json").read_text())
    assert body(figures) in (trees.CHECKOUT / "docs/bench.md").read_text()
