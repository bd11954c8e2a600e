# SPDX-License-Identifier: GPL-2.0-or-later
"""gconv-modules files as glibc writes them."""

from __future__ import annotations

import pytest

from fpmjail.charset import Modules, parse

MODULES = """
# comment
alias	MS-ANSI//		CP1252//
alias	WINDOWS-1252//		CP1252//
module	CP1252//		INTERNAL		CP1252		1
module	INTERNAL		CP1252//		CP1252		1
alias	LOOP1//	LOOP2//
alias	LOOP2//	LOOP1//
alias	AGAIN//	MS-ANSI//
short line
"""
EXTRA = """
module	EUC-KR//	INTERNAL	EUC-KR	1
module	INTERNAL	EUC-KR//	EUC-KR	1
module	INTERNAL	ONEWAY//	ONEWAY.so	1
module	TWO//	INTERNAL	TWO-IN	1
module	INTERNAL	TWO//	TWO-OUT	1
"""


@pytest.fixture
def modules() -> Modules:
    return parse((MODULES, EXTRA))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("CP1252", ("CP1252",)),
        ("cp1252", ("CP1252",)),
        ("windows-1252", ("CP1252",)),
        ("again", ("CP1252",)),
        ("euc-kr", ("EUC-KR",)),
        ("ONEWAY", ("ONEWAY.so",)),
        ("TWO", ("TWO-IN", "TWO-OUT")),
        ("utf-8", ()),
        ("ASCII", ()),
        ("no-such", None),
        ("loop1", None),
        ("INTERNAL", None),
    ],
)
def test_a_charset_leads_to_its_modules(modules: Modules, name: str, files: tuple[str, ...] | None) -> None:
    assert modules.of(name) == files
