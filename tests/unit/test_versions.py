# SPDX-License-Identifier: GPL-2.0-or-later
"""The version that comes next is higher, whatever the last one and the clock say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail_deb.rules import package_version
from fpmjail_deb.site import AUTOMATIC
from fpmjail_deb.versions import automatic, is_higher, newest, successor

NOON = 1795435200  # 2026-11-23
VERSIONS = st.from_regex(r"[0-9][A-Za-z0-9.+~]{0,12}", fullmatch=True)


def test_debians_order_decides_what_is_newest() -> None:
    assert newest(["1.9", "1.10", "1.10~rc1", "1.2"]) == "1.10"
    assert newest([]) is None


@pytest.mark.parametrize(
    ("version", "following"),
    [("1.0.0", "1.0.1"), ("1.9", "1.10"), ("2", "3"), ("1.09", "1.10"), ("1.0~rc1", "1.0~rc2"), ("2.0b", "2.0b.1")],
)
def test_the_last_number_is_raised(version: str, following: str) -> None:
    assert successor(version) == following


@given(VERSIONS)
def test_what_follows_is_a_good_version_and_higher(version: str) -> None:
    for following in (successor(version), automatic(version, NOON)):
        assert is_higher(following, version)
        assert package_version(AUTOMATIC).convert(following) == following


@pytest.mark.parametrize(
    ("last", "made"),
    [
        (None, "20261123.1"),
        ("1.0.0", "20261123.1"),
        ("20261122.7", "20261123.1"),
        ("20261123.1", "20261123.2"),
        ("20261123.9", "20261123.10"),
        ("20301231.4", "20301231.5"),  # the clock was wrong, or is
        ("99999999.9", "99999999.10"),
        ("20270101", "20270102"),
    ],
)
def test_an_automatic_version_is_the_day_and_a_counter(last: str | None, made: str) -> None:
    assert automatic(last, NOON) == made
