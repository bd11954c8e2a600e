# SPDX-License-Identifier: GPL-2.0-or-later
"""Locales are compiled once for each state of the host's definitions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import world

from fpmjail import locales
from fpmjail.host import Host
from fpmjail.layout import Layout
from fpmjail.wanted import Wanted

FRENCH = locales.parse("fr_FR.UTF-8")
# A stand-in for localedef(1): it writes where it is told, or complains.
COMPILER = """#!/bin/sh
for output; do :; done
case "$*" in *xx_XX*) echo 'LC_TIME: syntax error' >&2; exit 4;; esac
mkdir -p "$output/LC_MESSAGES"
echo "$*" >"$output/LC_CTYPE"
echo yes >"$output/LC_MESSAGES/SYS_LC_MESSAGES"
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server with the definitions of two locales, one of them broken."""
    made = world.make(tmp_path)
    for name in ("locales/fr_FR", "locales/xx_XX", "charmaps/UTF-8.gz", "charmaps/CP1252.gz"):
        world.put(tmp_path, f"usr/share/i18n/{name}")
    world.put(tmp_path, "usr/bin/localedef", COMPILER, 0o755)
    (tmp_path / "var/lib/fpmjail").mkdir(parents=True)
    return made


def want(layout: Layout, *names: str) -> Wanted:
    locales.compile_all(layout, names)
    return world.want(layout, world.profile("locales", locales=names))


def cached(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.host(locales.CACHE).iterdir())


@pytest.mark.parametrize(
    ("name", "directory", "definition"),
    [
        ("fr_FR.UTF-8", "fr_FR.utf8", "fr_FR"),
        ("de_DE.ISO-8859-15", "de_DE.iso885915", "de_DE"),
        ("sr_RS.UTF-8@latin", "sr_RS.utf8@latin", "sr_RS@latin"),
    ],
)
def test_a_locale_lies_where_setlocale_looks_for_it(name: str, directory: str, definition: str) -> None:
    one = locales.parse(name)
    assert (one.directory, one.definition) == (directory, f"/usr/share/i18n/locales/{definition}")


def test_a_compiled_locale_enters_the_image_as_a_file_of_the_package_that_defines_it(layout: Layout) -> None:
    found = want(layout, "fr_FR.UTF-8")
    paths = {item.path: item for item in found.items if item.kind == "file"}
    assert found.missing == ()
    assert "usr/lib/locale/fr_FR.utf8/LC_MESSAGES/SYS_LC_MESSAGES" in paths
    item = paths["usr/lib/locale/fr_FR.utf8/LC_CTYPE"]
    assert item.owner == "/usr/share/i18n/locales/fr_FR" and item.owner in found.sources
    assert item.source in found.inputs and item.source not in found.sources


def test_nothing_is_compiled_twice(layout: Layout) -> None:
    locales.compile_all(layout, ["fr_FR.UTF-8"])
    place = layout.host(locales.place(Host(layout.root), FRENCH))
    before = place.stat().st_ino
    locales.compile_all(layout, ["fr_FR.UTF-8"])
    assert place.stat().st_ino == before


def test_newer_definitions_are_compiled_anew_and_the_older_result_goes(layout: Layout) -> None:
    locales.compile_all(layout, ["fr_FR.UTF-8"])
    before = cached(layout)
    world.put(layout.root, "usr/share/i18n/locales/new").rename(layout.host(FRENCH.definition))
    locales.compile_all(layout, ["fr_FR.UTF-8"])
    after = cached(layout)
    assert len(before) == len(after) == 1 and before != after


def test_a_definition_that_others_include_counts_as_well(layout: Layout) -> None:
    before = locales.place(Host(layout.root), FRENCH)
    directory = layout.host(locales.DEFINITIONS)
    world.put(layout.root, "usr/share/i18n/locales/iso14651_t1")
    os.utime(directory, ns=(1, 1))
    assert locales.place(Host(layout.root), FRENCH) != before


def test_an_unknown_locale_is_named_with_its_package(layout: Layout) -> None:
    (missing,) = want(layout, "qq_QQ.UTF-8").missing
    assert str(missing) == (
        "locales: locale qq_QQ.UTF-8 needs /usr/share/i18n/locales/qq_QQ, which is not there (package locales)"
    )


def test_what_the_compiler_refuses_is_told_and_not_tried_again(layout: Layout) -> None:
    (missing,) = want(layout, "xx_XX.UTF-8").missing
    assert "cannot be compiled: LC_TIME: syntax error" in str(missing)
    world.put(layout.root, "usr/bin/again", COMPILER)
    assert [missing] == list(want(layout, "xx_XX.UTF-8").missing)


def test_a_locale_with_another_character_set_brings_its_conversions(layout: Layout) -> None:
    paths = {item.path for item in want(layout, "fr_FR.CP1252").items}
    assert f"{world.LIB}/gconv/CP1252.so" in paths
    assert f"{world.LIB}/gconv/CP1252.so" not in {item.path for item in want(layout, "fr_FR.UTF-8").items}


def test_before_it_is_compiled_a_locale_is_missing(layout: Layout) -> None:
    (missing,) = world.want(layout, world.profile("locales", locales=("fr_FR.UTF-8",))).missing
    assert missing.reason == "is not compiled"


def test_declared_time_zones_and_utc_are_all_that_is_copied(layout: Layout) -> None:
    found = world.want(layout, world.profile("timezones", timezones=("Europe/Paris",)))
    zones = {item.path for item in found.items if item.path.startswith("usr/share/zoneinfo/") and item.kind == "file"}
    assert zones == {"usr/share/zoneinfo/UTC", "usr/share/zoneinfo/Europe/Paris"}
    every = world.want(layout, world.profile("timezones"))
    assert "usr/share/zoneinfo/Zulu" in {item.path for item in every.items}


def test_a_time_zone_that_is_not_there_is_named(layout: Layout) -> None:
    (missing,) = world.want(layout, world.profile("timezones", timezones=("Europe/Atlantis",))).missing
    assert missing.item == "/usr/share/zoneinfo/Europe/Atlantis" and "tzdata-legacy" in missing.package
