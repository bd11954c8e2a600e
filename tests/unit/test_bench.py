# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench makes of its samples."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tests.bench import document, plain, table
from tests.bench.__main__ import chosen, merged
from tests.bench.row import Aim, Bench, Compare, Line
from tests.bench.rows import ROWS
from tests.bench.rows.refresh import Step
from tests.lifecycle.repository import SigningKey
from tests.sites import planned, shop, text

MACHINE = {
    "processor": "Abacus", "cores": 2, "memory": 4.0, "kernel": "6.1", "system": "Debian", "servers": "trixie",
    "load": [0.5, 0.4, 0.3],
}  # fmt: skip


@pytest.mark.parametrize(
    ("compare", "limit", "figure", "met"),
    [
        (Compare.TIMES, 2, 1.5, True),
        (Compare.TIMES, 1.4, 1.5, False),
        (Compare.FASTER, 100, 2 / 3, False),
        (Compare.FASTER, 0.5, 2 / 3, True),
        (Compare.MORE, 1, 1.0, True),
        (Compare.PERCENT, 2, 50.0, False),
        (Compare.LESS, 2, -50.0, True),
        (Compare.ALONE, 2, 3.0, False),
    ],
)
def test_an_aim_compares_medians(compare: Compare, limit: float, figure: float, met: bool) -> None:
    aim = Aim(compare, limit)
    assert aim.figure((9.0, 3.0, 1.0), (2.0, 2.0)) == pytest.approx(figure)
    assert aim.met(aim.figure((9.0, 3.0, 1.0), (2.0, 2.0))) is met


def test_a_line_without_an_aim_has_no_verdict() -> None:
    line = Line("thing", "s", (1.0,))
    assert line.figure is None and line.met is None
    assert table.cells(table.line_json("row", line)) == ("thing", "1 s", "", "", "", "")


def test_the_table_shows_median_spread_verdict_and_reason() -> None:
    line = Line("thing", "s", (1.0, 3.0, 2.0), "the other", (1.0,), Aim(Compare.TIMES, 1.5), "Because.")
    shown = table.table([table.line_json("row", line)]).splitlines()
    assert shown[2] == "| thing | 2 s (1 to 3) | the other: 1 s | 2.00 times | at most 1.5 times | **missed** [1] |"
    assert shown[-1] == "[1] Because."


def test_jails_of_a_rival_count_for_all_sites() -> None:
    assert Step(100, (1.0,), 10, (2.0, 3.0)).rival == (20.0, 30.0)


def test_sites_go_up_by_powers_of_ten(tmp_path: Path) -> None:
    def steps(sites: int) -> tuple[int, ...]:
        return Bench("trixie", sites, 1, tmp_path, key=SigningKey()).steps

    assert steps(1000) == (1, 10, 100, 1000)
    assert steps(25) == (1, 10, 25)
    assert steps(1) == (1,)


def test_rows_are_chosen_by_name() -> None:
    assert chosen("") == ROWS
    assert [row.name for row in chosen("noop, build")] == ["noop", "build"]
    with pytest.raises(argparse.ArgumentTypeError, match="no such row: nop; there are refresh, noop"):
        chosen("nop")


def test_rows_that_were_not_measured_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    old = [{"row": "refresh", "what": "old"}, {"row": "noop", "what": "old"}, {"row": "gone", "what": "old"}]
    path.write_text(json.dumps({"lines": old}))
    found = merged(path, [{"row": "noop", "what": "new"}, {"row": "build", "failed": "why"}], {})
    assert [(line["row"], line["what"]) for line in found["lines"]] == [("refresh", "old"), ("noop", "new")]


def test_the_manual_keeps_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "bench.md"
    path.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
    lines = [table.line_json("noop", Line("thing", "s", (1.0,)))]
    document.write(path, {"machine": MACHINE, "sites": 3, "repeat": 2, "lines": lines})
    written = path.read_text()
    assert written.startswith("before\n") and written.endswith(f"{document.END}\nafter\n") and "old" not in written
    assert "Abacus, 2 cores" in written and "| thing | 1 s |" in written
    path.write_text("no marks\n")
    with pytest.raises(ValueError, match="lacks"):
        document.write(path, {"machine": MACHINE, "sites": 3, "repeat": 2, "lines": lines})


def test_the_rival_of_a_jail_has_its_settings_and_nothing_of_its_places() -> None:
    pool = plain.pool(text(planned(shop()), "pool.conf"), "shop")
    assert pool.startswith("[site-shop-plain]\nuser = _site-shop\n")
    assert pool.count("listen = ") == 1 and "[global]" not in pool and "slowlog" not in pool
    assert "pm.max_children = 8" in pool
    vhost = plain.virtual_host(text(planned(shop()), "apache.conf"), "shop")
    assert "/run/php/plain-shop.sock|fcgi://site-shop-plain" in vhost and ":80>" not in vhost
