# SPDX-License-Identifier: GPL-2.0-or-later
"""Where generated lines say that they come from."""

from __future__ import annotations

from fpmjail_deb.origins import Origins, inert, origins
from fpmjail_deb.site import Location
from tests.sites import shop


def at(line: int, file: str = "a/b/shop.yaml") -> Location:
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


def test_the_directory_of_a_description_is_nobodys_business() -> None:
    assert Origins("shop.yaml", (("site", at(1)),)).table() == {"site": "shop.yaml:1:3"}


def test_the_source_is_the_file_of_the_site() -> None:
    assert origins(shop()).source == "shop.yaml"


def test_no_file_name_ends_a_comment() -> None:
    assert inert("a\nb\\") == "a?b?"
    assert Origins("x", (("site", at(1, "evil\nrm -rf.yaml")),)).place("site") == "evil?rm -rf.yaml:1"
