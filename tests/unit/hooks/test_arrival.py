# SPDX-License-Identifier: GPL-2.0-or-later
"""Of sites that are configured together one that fails stops no other, and what is new about each is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from arrivals import arriving

from fpmjail import (
    arrival,
    configure,
    files,
)
from fpmjail.arrival import Arrival, Failures
from fpmjail.layout import Layout


def test_a_step_that_fails_for_one_site_is_taken_for_the_others() -> None:
    failures: Failures = {}

    def step(one: Arrival) -> Arrival:
        if one.site.name == "b":
            raise OSError(28, "No space left on device")
        return one

    left = arrival.each(step, [arriving("a"), arriving("b"), arriving("c")], failures)
    assert [one.site.name for one in left] == ["a", "c"]
    assert "No space left" in str(failures.pop("b")) and not failures


def test_what_nobody_thought_of_stops_the_site_that_it_happens_to_alone() -> None:
    failures: Failures = {}

    def step(one: Arrival) -> Arrival:
        if one.site.name == "b":
            raise KeyError("www-data")
        return one

    left = arrival.each(step, [arriving("a"), arriving("b"), arriving("c")], failures)
    assert [one.site.name for one in left] == ["a", "c"]
    assert "KeyError: 'www-data' (arrival.py:" in str(failures["b"]), "the last place of ours"


def test_a_site_of_which_nothing_can_be_known_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(layout: Layout, name: str, *_: object) -> Arrival:
        if name == "b":
            raise files.UnsafePath("/var/lib/fpmjail belongs to uid 905")
        return arriving(name)

    monkeypatch.setattr(configure, "arriving", known)
    failures: Failures = {}
    found = configure.looked_at(Layout(tmp_path), dict.fromkeys("abc", print), failures)
    assert [one.site.name for one in found] == ["a", "c"]
    assert str(failures["b"]).endswith("belongs to uid 905\n  put that right, then: fpmjail configure b")


def test_what_a_comment_of_a_unit_says_is_no_reason_to_replace_anything(tmp_path: Path) -> None:
    unit, other = tmp_path / "a.socket", tmp_path / "b.socket"
    unit.write_text("# made by fpmjail-deb 1.0 from a.yaml\n[Socket]\n")
    other.write_text("# made by fpmjail-deb 1.1 from sites/a.yaml\n[Socket]\n")
    assert arrival.fingerprint(unit) == arrival.fingerprint(other) != arrival.fingerprint(tmp_path / "none")
    other.write_text("# made by fpmjail-deb 1.1 from sites/a.yaml\n[Socket]\nBacklog=3\n")
    assert arrival.fingerprint(unit) != arrival.fingerprint(other)
