# SPDX-License-Identifier: GPL-2.0-or-later
"""Where generated lines say that they come from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fpmjail_deb.location import Location
from fpmjail_deb.origins import Origins, inert, origins
from tests.sites import shop


def at(line: int, file: str = "shop.yaml") -> Location:
    return Location(file, line, 3)


def test_a_given_field_is_named_with_its_line() -> None:
    assert Origins("shop.yaml", (("php.pool", at(4)),)).place("php.pool") == "shop.yaml:4"


def test_a_field_that_was_not_given_is_a_default() -> None:
    assert Origins("shop.yaml", ()).note("php.pool") == "php.pool: default"


def test_a_group_is_where_its_first_field_is() -> None:
    places = (("php.pool.max_requests", at(9)), ("php.pool.max_children", at(7)), ("php.pooled", at(1)))
    assert Origins("shop.yaml", places).place("php.pool") == "shop.yaml:7"


def test_a_part_without_a_place_is_where_the_whole_is() -> None:
    assert Origins("shop.yaml", (("web.tls", at(5)),)).place("web.tls.redirect") == "shop.yaml:5"
    assert Origins("shop.yaml", (("domains", at(3)),)).place("domains[1]") == "shop.yaml:3"


@pytest.mark.parametrize(
    ("site_file", "defaults", "seen"),
    [
        ("a/b/shop.yaml", "a/b/defaults.yaml", "defaults.yaml"),
        ("a/b/shop.yaml", "a/defaults.yaml", "../defaults.yaml"),
        ("a/b/shop.yaml", "defaults.yaml", "../../defaults.yaml"),
        ("shop.yaml", "../defaults.yaml", "../defaults.yaml"),
        ("../b/shop.yaml", "../../defaults.yaml", "../../defaults.yaml"),
        ("/srv/a/b/shop.yaml", "/srv/a/defaults.yaml", "../defaults.yaml"),
        ("/srv/a/b/shop.yaml", "/defaults.yaml", "../../../defaults.yaml"),
    ],
)
def test_the_directory_of_a_description_is_nobodys_business(site_file: str, defaults: str, seen: str) -> None:
    site = replace(shop(), origins=(("site", at(1, site_file)), ("version", at(2, defaults))))
    assert origins(site).table() == {"site": "shop.yaml:1:3", "version": f"{seen}:2:3"}
    assert origins(site).note("site", "version") == f"site: shop.yaml:1, version: {seen}:2"


def test_the_source_is_the_file_of_the_site() -> None:
    assert origins(shop()).source == "shop.yaml"


def test_no_file_name_ends_a_comment() -> None:
    assert inert("a\nb\\") == "a?b?"
    assert Origins("x", (("site", at(1, "evil\nrm -rf.yaml")),)).place("site") == "evil?rm -rf.yaml:1"
