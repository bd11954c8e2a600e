# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds of a profile."""

from __future__ import annotations

from pathlib import Path

import pytest
import world
from images import ID, build

from fpmjail import holds
from fpmjail.holds import Hold
from fpmjail.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


def test_a_hold_is_remembered_until_it_is_cleared(layout: Layout) -> None:
    build(layout)
    assert holds.read(layout, ID) is None
    made = holds.write(layout, ID, "0" * 16, "bad", manual=True)
    assert holds.read(layout, ID) == made == Hold("0" * 16, "bad", made.since, True)
    (layout.image(ID) / "hold.json").write_text("{")
    assert holds.read(layout, ID) is None
    assert holds.clear(layout, ID)
    assert not holds.clear(layout, ID)
