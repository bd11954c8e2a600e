# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables: aligned, wrapped, safe for any terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail import table
from fpmjail.finding import Finding, Level
from fpmjail.table import Paper

GOOD = Finding("capability", "php", Level.GOOD, "works (3 ms)")
WARNING = Finding("web", "PHP outside jails", Level.WARNING, "the www pool", "switch it off")
BAD = Finding("capability", "charsets", Level.BAD, "CP1252: Wrong encoding", "fpmjail refresh", "example.yaml:14")


def test_columns_begin_at_the_same_place_in_every_line() -> None:
    lines = table.render(("A", "BB"), [("x", "1"), ("longer", "2")]).splitlines()
    assert lines == ["A       BB", "x       1", "longer  2"]


def test_a_table_without_rows_is_nothing() -> None:
    assert table.render(("A", "B"), []) == ""


def test_a_long_last_column_goes_on_below_itself() -> None:
    lines = table.render(("A", "B"), [("x", "word " * 20)], width=40).splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 40 for line in lines)
    assert lines[2].startswith("   word")


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5), st.integers(30, 120))
def test_no_cell_can_break_the_table_or_steer_the_terminal(rows: list[tuple[str, str, str]], width: int) -> None:
    text = table.render(("A", "B", "C"), rows, width)
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_is_not_good_comes_with_its_remedy_worst_first() -> None:
    assert table.remedies([GOOD, WARNING, BAD]).splitlines() == [
        "BAD: capability, charsets (example.yaml:14)",
        "    fpmjail refresh",
        "WARNING: web, PHP outside jails",
        "    switch it off",
    ]


def test_findings_are_counted() -> None:
    assert table.summary([GOOD, GOOD, BAD]) == "2 good, 1 bad"
    assert table.summary([WARNING]) == "0 good, 1 warning"


def test_findings_are_a_table_with_remedies_and_a_count() -> None:
    lines = table.findings([GOOD, BAD], Paper()).splitlines()
    assert lines[0].split() == ["VERDICT", "TOPIC", "WHAT", "SEEN"]
    assert lines[1].split()[:3] == ["good", "capability", "php"]
    assert lines[2].split()[:3] == ["BAD", "capability", "charsets"]
    assert lines[-1] == "1 good, 1 bad"


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert "\x1b" not in table.findings([BAD])
    monkeypatch.setattr("sys.stdout", Terminal())
    assert "\x1b[1;31mBAD\x1b[0m " in table.findings([BAD])
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in table.findings([BAD])
