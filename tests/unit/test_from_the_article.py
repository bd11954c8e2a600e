# SPDX-License-Identifier: GPL-2.0-or-later
"""The page "From the article to fpmjail": every row is there, and each names tests that exist."""

import re

import pytest

from tests.lifecycle import trees

PAGE = (trees.CHECKOUT / "docs/from-the-article.md").read_text()
ROWS = dict(re.findall(r"^\| (A\d+) \|(.*)\|$", PAGE, re.MULTILINE))
TESTS = {path.stem: path.read_text() for path in (trees.CHECKOUT / "tests").glob("*/test_*.py")}


def test_no_row_is_left_out() -> None:
    assert list(ROWS) == [f"A{number}" for number in range(1, 29)]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_tests_that_there_are(row: str) -> None:
    shown = ROWS[row].rpartition("|")[2]
    named = re.findall(r"\btest_\w+", shown)
    assert named and set(named) <= set(TESTS), (row, shown)


@pytest.mark.parametrize("row", [row for row in ROWS if "check" in ROWS[row].rpartition("|")[2]])
def test_each_row_of_the_check_that_is_named_can_be_there(row: str) -> None:
    rows = re.findall(r"`([^`]+)`", ROWS[row].rpartition("|")[2].partition("row")[2])
    sources = "".join(path.read_text() for path in (trees.CHECKOUT / "hooks/fpmjail").glob("*.py"))
    defined = {path.stem for path in (trees.CHECKOUT / "hooks/capabilities").glob("*.json")}
    assert rows and all(name in defined or f'"{name}"' in sources for name in rows), rows
