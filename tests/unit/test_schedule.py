# SPDX-License-Identifier: GPL-2.0-or-later
"""Times of jobs; that systemd takes each of ACCEPTED is shown in tests/package/test_calendar.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail_deb.schedule import SHORTHANDS, from_cron, is_calendar, is_cron
from tests.sites import ACCEPTED_TIMES

CRON = {
    "@hourly": "hourly",
    "@midnight": "daily",
    "* * * * *": "*-*-* *:*",
    "*/5 * * * *": "*-*-* *:00/5",
    "30 2 * * *": "*-*-* 02:30",
    "0 9-17/2 * * 1-5": "Mon..Fri *-*-* 09..17/2:00",
    "15,45 */6 1 jan,jul *": "*-01,07-01 00/6:15,45",
    "0 0 */10 * *": "*-*-01/10 00:00",
    "0 4 * * sun": "Sun *-*-* 04:00",
    "0 4 * * 6,7": "Sat,Sun *-*-* 04:00",
}


@pytest.mark.parametrize("text", ACCEPTED_TIMES)
def test_what_systemd_takes_is_taken(text: str) -> None:
    assert is_calendar(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "often", "daily daily", "*", "UTC", "24:00", "12:60", "1:2:3:4", "12", "*/5:00", "17..9:00",
        "0/60:00", "Mon Tue", "Mon-Fri", "Fri..Mon", "mon", "*-13-01", "*-*-32", "*-*~29", "*-*~", "2026-01-01T02:30",
        "02:30 ", "-1:00", "*-*-* *-*-*", "02:30 *-*-*", "daily Utc", "9..9:00", "1969-01-01", "*:0/15/2",
        "02:30 Mars/olympus", "5:5" * 99,
    ],
)  # fmt: skip
def test_anything_else_is_not(text: str) -> None:
    assert not is_calendar(text)


@pytest.mark.parametrize(("text", "meant"), CRON.items())
def test_a_line_of_a_crontab_is_told_in_systemds_words(text: str, meant: str) -> None:
    assert from_cron(text) == meant
    assert is_calendar(meant)


@pytest.mark.parametrize(
    "text",
    ["@reboot", "0 0 1 * 1", "61 * * * *", "* * * *", "0 0 * * 5-1", "0 0 * * */2", "*,5 * * * *", "5/10 * * * *"],
)
def test_what_has_no_equivalent_gets_none(text: str) -> None:
    meant = from_cron(text)
    assert meant is None or not is_calendar(meant)


def test_what_belongs_into_a_crontab_is_known_even_without_an_equivalent() -> None:
    assert is_cron("@reboot") and is_cron("0 0 1 * 1") and not is_cron("*-*-* 02:30") and not is_cron("daily")


FIELD = st.from_regex(r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[1-9][0-9]?)?(,[0-9]{1,2})?", fullmatch=True)


@given(st.lists(FIELD, min_size=5, max_size=5))
def test_a_suggestion_never_leaves_the_grammar(fields: list[str]) -> None:
    meant = from_cron(" ".join(fields))
    assert meant is None or set(meant) <= set("0123456789*-:.,/ ") | set("MonTueWedThuFriSatSun")


def test_every_shorthand_is_one() -> None:
    assert all(map(is_calendar, SHORTHANDS))
