# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of the manual is made from the cases, and names each once."""

from __future__ import annotations

from tests.attacks import native, scripts, table, visits

CASES: tuple[table.Case, ...] = (*scripts.SCRIPTS.values(), *native.SCRIPTS.values(), *visits.VISITS.values())


def test_the_page_is_what_the_cases_and_the_records_say() -> None:
    assert table.PAGE.read_text() == table.page(table.recorded()), "make attacks-table"


def test_nothing_that_was_seen_differs_from_what_is_expected() -> None:
    assert "expected " not in "".join(line for line in table.PAGE.read_text().splitlines() if line.startswith("| **"))


def test_no_two_attacks_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_attack_on_a_jail_that_works_says_why() -> None:
    silent = [
        case.name
        for case in CASES
        if not case.note
        and any(word == "OPEN" for place, word in case.expected.items() if place not in ("plain", "all"))
    ]
    assert silent == []
