# SPDX-License-Identifier: GPL-2.0-or-later
"""Each file's mistakes end with the places of the manual that say more, which there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fpmjail_deb import document, layers, references
from fpmjail_deb.errors import Problem
from fpmjail_deb.location import Location
from fpmjail_deb.schema import BY_PATH

MANUAL = (Path(__file__).parents[2] / "debian/man/fpmjail-site.5.md").read_text()


def problem(key: str, line: int = 1, file: str = "a.yaml", section: str = "") -> Problem:
    return Problem(Location(file, line, 1), key, "expected x, found y", "write x", section)


@pytest.mark.parametrize(
    ("key", "heading"),
    [
        ("domains", "domains"),
        ("domains[1]", "domains"),
        ("cron[0].schedule", "cron"),
        ("php.settings.memory_limit", "php.settings"),
        ("jail.mounts[2].source", "jail.mounts"),
        ("php.poool", "KEYS"),
        ("web_server", "KEYS"),
    ],
)
def test_the_reference_names_the_key_as_the_manual_has_it(key: str, heading: str) -> None:
    assert references.see([problem(key)]) == f'see fpmjail-site(5), "{heading}"'


def test_every_key_leads_to_itself() -> None:
    assert [key for key in BY_PATH if references.see([problem(key)]) != f'see fpmjail-site(5), "{key}"'] == []


def test_each_file_has_one_reference_after_its_problems() -> None:
    problems = [
        problem("domains", 9),
        problem("site", file="b.yaml"),
        problem("domains", 2),
        problem("php.pool.process"),
    ]
    lines = list(references.told(problems))
    assert [re.sub(r"expected.*", "...", line) for line in lines] == [
        "a.yaml:1:1: php.pool.process: ...",
        "a.yaml:2:1: domains: ...",
        "a.yaml:9:1: domains: ...",
        'a.yaml: see fpmjail-site(5), "KEYS", "domains"',
        "b.yaml:1:1: site: ...",
        'b.yaml: see fpmjail-site(5), "site"',
    ]


def test_many_keys_are_told_as_the_section_of_all() -> None:
    many = [problem(key) for key in ("site", "domains", "uid", "user")]
    assert references.see(many) == 'see fpmjail-site(5), "KEYS"'


def test_what_the_manual_says_nothing_of_has_no_reference() -> None:
    assert list(references.told([problem("")])) == ["a.yaml:1:1: expected x, found y; write x"]


def test_every_section_that_is_referred_to_is_in_the_manual() -> None:
    assert f"# {references.ALL_KEYS}\n" in MANUAL
    assert f"# {document.SECTION}\n" in MANUAL
    (shared,) = layers.of_one_site(document.read(b"site: a\n", "defaults.yaml").root)
    assert f"# {shared.section}\n" in MANUAL
