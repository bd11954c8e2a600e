# SPDX-License-Identifier: GPL-2.0-or-later
"""Which publishes a repository remembers, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail_deb.repository import Incoming, Package, Publish, RefusedError, decide, early, remembered


@pytest.mark.parametrize(
    ("versions", "stay"),
    [
        ("", []),
        ("a", [1]),
        ("abcd", [2, 3, 4]),
        ("abcc", [1, 2, 3, 4]),  # c was signed again
        ("abbbbc", [1, 2, 6]),
        ("abcbbbb", [2, 3, 4, 7]),  # back to b is another state than b was
        ("aaaa", [1, 4]),
    ],
)
def test_two_states_before_the_served_one_stay_however_often_they_were_signed(versions: str, stay: list[int]) -> None:
    assert remembered(list(enumerate(versions, 1)), 2) == stay


@pytest.mark.parametrize(("ahead", "wait"), [(-3600, 0), (0, 0), (4, 0), (5, 1), (9, 5), (10, 0), (3600, 0)])
def test_a_publish_waits_for_the_clock_when_many_ran_ahead_of_it(ahead: int, wait: int) -> None:
    assert early(Publish(7, 1000 + ahead, "", "O", "O", ()), 1000) == wait


def test_a_version_whose_file_would_take_the_place_of_another_s_is_refused() -> None:
    there, comes = (Package("site-a-jail", version, "all", "trixie", version) for version in ("1.0", "1:1.0"))
    last = Publish(7, 1000, "", "O", "O", (there,))
    with pytest.raises(RefusedError, match=r"a\.deb: .*1:1\.0.* has the file name of 1\.0, without the epoch"):
        decide(last, [Incoming(comes, Path("a.deb"))], keep=5)
    with pytest.raises(RefusedError, match="has the file name of"):
        decide(Publish(0, 0, "", "O", "O"), [Incoming(there, Path("b.deb")), Incoming(comes, Path("a.deb"))], keep=5)
    later = Package("site-a-jail", "1:1.1", "all", "trixie", "x")
    assert decide(last, [Incoming(later, Path("c.deb"))], keep=5).added == (later,)
