# SPDX-License-Identifier: GPL-2.0-or-later
"""What checks leave behind, and what is somebody's still, whatever the clock did."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fpmjail import outside, prove, systemd
from fpmjail.layout import Layout

HOURS = 7200


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the directories that were removed; the PHP of `outside-live` runs."""
    removed: list[str] = []
    monkeypatch.setattr(systemd, "active", lambda unit: unit == "fpmjail-outside-live.service")
    monkeypatch.setattr(prove, "remove", lambda scratch: removed.append(scratch.root.name))
    return removed


@pytest.mark.parametrize(
    ("name", "age", "gone"),
    [
        ("outside-dead", HOURS, True),
        ("outside-dead", -HOURS, True),
        ("outside-dead", 60, False),
        ("outside-live", HOURS, False),
        ("outside-live", -HOURS, False),
        ("scratch-dead", HOURS, False),
    ],
)
def test_a_directory_is_swept_when_it_is_old_and_nothing_runs_in_it(
    tmp_path: Path, swept: list[str], name: str, age: int, gone: bool
) -> None:
    layout = Layout(tmp_path)
    place = layout.run / name
    place.mkdir(parents=True)
    os.utime(place, (time.time() - age, time.time() - age))
    outside.sweep(layout)
    assert swept == ([name] if gone else [])
