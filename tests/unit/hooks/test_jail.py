# SPDX-License-Identifier: GPL-2.0-or-later
"""The skeleton of a jail: what stands in a chroot root around the image."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fpmjail import jail, places
from fpmjail.jail import Directory, File, Link
from fpmjail.places import Account
from fpmjail.site import Site, parse
from tests.lifecycle import trees

GOLDEN = trees.CHECKOUT / "tests/golden/example/trixie"
ACCOUNT = Account("_site-example", 995, 994, "/var/www/example", "/usr/sbin/nologin")


@pytest.fixture
def site() -> Site:
    """The example site as the generator describes it."""
    return parse(next(GOLDEN.rglob("site.json")).read_bytes())


def skeleton(site: Site) -> dict[str, jail.Piece]:
    pieces = jail.skeleton(site, frozenset({"php", "ssl", "hosts"}), frozenset({"hosts"}), 995, 994)
    return {piece.path: piece for piece in pieces}


def test_every_parent_is_made_before_its_children(site: Site) -> None:
    seen: set[str] = {"."}
    for path in skeleton(site):
        assert str(Path(path).parent) in seen, path
        seen.add(path)


def test_only_tmp_and_the_sessions_belong_to_the_site(site: Site) -> None:
    directories = [piece for piece in skeleton(site).values() if isinstance(piece, Directory)]
    assert {piece.path for piece in directories if piece.owner != "root"} == {"tmp", "var/lib/php/sessions"}
    assert all(piece.mode == (0o755 if piece.owner == "root" else 0o700) for piece in directories)


def test_the_image_brings_usr_and_most_of_etc_by_links_that_stay_inside(site: Site) -> None:
    pieces = skeleton(site)
    assert pieces["usr"] == Link("usr", ".image/current/usr")
    assert pieces["etc/ssl"] == Link("etc/ssl", "../.image/current/etc/ssl")
    assert pieces["etc/hosts"] == Link("etc/hosts", "../.image/live/hosts")
    for piece in pieces.values():
        if isinstance(piece, Link):
            assert not os.path.normpath(Path(piece.path).parent / piece.target).startswith("..")


def test_the_jail_knows_no_account_but_the_sites(site: Site) -> None:
    pieces = skeleton(site)
    assert pieces["etc/passwd"] == File("etc/passwd", "_site-example:x:995:994::/var/www/example:/usr/sbin/nologin\n")
    assert pieces["etc/group"] == File("etc/group", "_site-example:x:994:\n")


def test_the_sites_data_is_bound_at_the_same_path_as_outside(site: Site) -> None:
    assert {"var/www", "var/www/example", "var/log/fpmjail/example"} <= set(skeleton(site))


@pytest.mark.parametrize(
    ("found", "sharers", "words"),
    [
        (None, (), "the account _site-example is missing"),
        (replace(ACCOUNT, home="/home/x"), ("_site-example",), "was there before, with home /home/x"),
        (ACCOUNT, ("_site-example", "other"), "uid 995 of _site-example belongs to _site-example, other"),
        (replace(ACCOUNT, uid=0), ("_site-example",), "uid 0 of _site-example"),
    ],
)
def test_an_account_that_is_not_the_sites_own_is_refused(
    site: Site, found: Account | None, sharers: tuple[str, ...], words: str
) -> None:
    fault = places.account_fault(site, found, sharers, [site])
    assert fault is not None and words in fault.message and fault.hint


def test_an_account_of_the_sites_own_is_taken(site: Site) -> None:
    assert places.account_fault(site, ACCOUNT, ("_site-example",), [site]) is None


def test_two_sites_cannot_share_an_account(site: Site) -> None:
    fault = places.account_fault(site, ACCOUNT, ("_site-example",), [site, replace(site, name="other")])
    assert fault is not None and "already is the site other's" in fault.message


def test_a_fixed_uid_must_be_the_accounts(site: Site) -> None:
    asked = replace(site, user=replace(site.user, uid=1234))
    fault = places.account_fault(asked, ACCOUNT, ("_site-example",), [])
    assert fault is not None and "has uid 995, the description asks for 1234" in fault.message


def test_the_example_is_read_from_what_the_generator_writes(site: Site) -> None:
    assert site.paths.base == Path("/var/www/example")
    assert json.loads(next(GOLDEN.rglob("site.json")).read_text())["format"] == 1
