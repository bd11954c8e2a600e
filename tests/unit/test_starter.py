# SPDX-License-Identifier: GPL-2.0-or-later
"""The file to start from is a good description as it is, and with every comment turned into a key."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fpmjail_deb import schema
from fpmjail_deb.description import read_site
from fpmjail_deb.schema.field import Field
from fpmjail_deb.site import Site
from fpmjail_deb.starter import WORDPRESS, starter

MAINTAINER = "Ann Other <ann@example.org>"
EXAMPLES = Path(__file__).parents[2] / "examples"


def read(text: str) -> Site:
    """Read a description without its origins, which differ from file to file."""
    return replace(read_site(text.encode(), "f.yaml"), origins=())


def test_the_starter_means_the_three_lines_that_it_needs() -> None:
    minimal = f"site: shop\nmaintainer: {MAINTAINER}\ndomains: [shop.example.org]\n"
    assert read(starter("shop", MAINTAINER, {})) == read(minimal)


def test_the_starter_for_wordpress_means_the_example_for_wordpress() -> None:
    example = read((EXAMPLES / "wordpress.yaml").read_text())
    plain = read(starter("wordpress", MAINTAINER, {}))
    assert read(starter(example.name, example.maintainer, WORDPRESS)) == replace(
        example, domains=("wordpress.example.org",), description="PHP website wordpress.example.org in a sealed jail",
        jail=replace(example.jail, mail=None), web=replace(example.web, tls=plain.web.tls),
    )  # fmt: skip


@pytest.mark.parametrize("row", schema.FIELDS, ids=lambda row: row.path)
def test_the_starter_shows_every_key_that_needs_no_group_for_another_key(row: Field[object]) -> None:
    key = row.path.rpartition(".")[2]
    places = [other.path.rpartition(".")[0] for other in schema.FIELDS if other.path.rpartition(".")[2] == key]
    shown = re.search(rf"^ *(# )?{key}: ", starter("shop", MAINTAINER, {}), re.MULTILINE)
    assert bool(shown) == any(above not in schema.BY_PATH for above in places)


@pytest.mark.parametrize("maintainer", ['O\'Hara "Al" <a@b.org>', "Söö: # & * <a@b.org>", "- <a@b.org>"])
def test_any_maintainer_is_written_so_that_it_is_read_again(maintainer: str) -> None:
    assert read(starter("shop", maintainer, {})).maintainer == maintainer


def test_defaults_that_become_keys_change_nothing() -> None:
    text = starter("shop", MAINTAINER, {})
    defaults = {row.path.rpartition(".")[2]: row.default for row in schema.FIELDS if row.default is not None}
    spare = ("start_servers", "min_spare_servers", "max_spare_servers")  # refused without process_manager: dynamic
    for key in set(defaults) - set(spare):
        text = text.replace(f"# {key}: {defaults[key]}\n", f"{key}: {defaults[key]}\n")
    assert len(re.findall(r"^ *[a-z_]+: ", text, re.MULTILINE)) > 20
    assert read(text) == read(starter("shop", MAINTAINER, {}))
