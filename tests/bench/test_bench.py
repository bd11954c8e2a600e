# SPDX-License-Identifier: GPL-2.0-or-later
"""Every row of the bench runs and yields figures that can be true; how large they are is for `make bench`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.bench import table
from tests.bench.row import Bench, Row
from tests.bench.rows import ROWS
from tests.lifecycle import trees
from tests.lifecycle.repository import SigningKey

SHARES = [pytest.param(row, trees.RELEASES[place % 2], id=row.name) for place, row in enumerate(ROWS)]
"""Each row on one of the releases: all of them together take as long on each."""


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """The key of all repositories."""
    return SigningKey()


@pytest.mark.parametrize(("row", "release"), SHARES)
def test_a_row_yields_figures_that_can_be_true(row: Row, release: str, tmp_path: Path, key: SigningKey) -> None:
    lines = list(row.measure(Bench(release, 2, 1, tmp_path, seconds=1, rivals=1, key=key)))
    assert lines
    for line in lines:
        assert line.ours and all(math.isfinite(value) and value >= 0 for value in (*line.ours, *line.rival)), line
        assert bool(line.rival) == bool(line.against), line
        assert line.aim is None or (line.figure is not None and math.isfinite(line.figure)), line
    shown = table.table([table.line_json(row.name, line) for line in lines])
    assert all(line.what in shown for line in lines), shown
