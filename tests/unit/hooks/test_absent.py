# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that were taken from under a site by force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import world

from fpmjail import absent, image, packages
from fpmjail.layout import Layout
from fpmjail.manifest import Entry, Manifest
from fpmjail.site import Site, load

GOLDEN = Path(__file__).parents[2] / "golden/minimal/trixie/usr/share/fpmjail/sites/minimal/site.json"
PARAGRAPH = """Package: {name}
Status: {status}
Maintainer: Nobody <nobody@example.org>
Architecture: all
Version: 1
{needs}Description: nothing

"""
NEEDS = {
    "site-minimal-jail": "fpmjail (>= 0.1~), php8.4-fpm, php8.4-xml, apache2",
    "php8.4-fpm": "libc6 (>= 2.38), php8.4-cli (= 8.4), php8.4-common (= 8.4), mime-support | media-types",
    "php8.4-cli": "php8.4-common (= 8.4), php8.4-opcache:any | php8.4-nocache",
    "php8.4-nocache": "",
    "php8.4-xml": "php8.4-common (= 8.4), phpapi-20240924",
    "php8.4-common": "",
    "php8.4-unrelated": "php8.4-nowhere",
}


@pytest.fixture
def site() -> Site:
    return load(GOLDEN)


def server(root: Path, **states: str) -> Layout:
    """All of them installed but for those that are named, `_` for the dots and dashes."""
    text = "".join(
        PARAGRAPH.format(
            name=name,
            status=states.get(name.replace(".", "_").replace("-", "_"), "install ok installed"),
            needs=f"Depends: {needs}\n" if needs else "",
        )
        for name, needs in NEEDS.items()
    )
    world.put(root, "var/lib/dpkg/status", text)
    world.put(root, "var/lib/dpkg/info/format", "1\n")
    (root / "var/lib/dpkg/updates").mkdir(exist_ok=True)
    return Layout(root)


def test_nothing_is_lost_where_every_need_is_met_by_one_of_its_alternatives(tmp_path: Path, site: Site) -> None:
    assert absent.lost(server(tmp_path), site) == ()


@pytest.mark.parametrize("state", ["deinstall ok config-files", "install reinstreq half-installed"])
def test_what_was_taken_away_is_named_whoever_needs_it(tmp_path: Path, site: Site, state: str) -> None:
    there = server(tmp_path, php8_4_common=state, php8_4_fpm=state)
    assert absent.lost(there, site) == ("php8.4-common", "php8.4-fpm")


def test_of_alternatives_that_are_all_gone_the_first_is_named(tmp_path: Path, site: Site) -> None:
    assert absent.lost(server(tmp_path, php8_4_nocache="deinstall ok config-files"), site) == ("php8.4-opcache",)


def test_a_package_that_dpkg_still_has_to_configure_is_not_lost(tmp_path: Path, site: Site) -> None:
    assert absent.lost(server(tmp_path, php8_4_fpm="install ok unpacked"), site) == ()


def test_what_an_image_was_copied_from_is_named_though_nobody_who_is_left_needs_it(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "deinstall ok config-files"
    there = server(tmp_path, php8_4_cli=gone, php8_4_common=gone, php8_4_fpm=gone)
    assert absent.lost(there, site) == ("php8.4-common", "php8.4-fpm")
    file = Entry("usr/bin/php8.4", "file", "0755", 1, "0" * 64, "", "/usr/bin/php8.4", "php8.4-cli:amd64", "1", "php")
    monkeypatch.setattr(image, "read_manifest", lambda *_: Manifest(site.profile.id, "0" * 16, "", (file,)))
    assert absent.lost(there, site) == ("php8.4-cli", "php8.4-common", "php8.4-fpm")


def test_an_extension_that_nobody_needs_may_be_removed_though_the_image_has_it(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Entry("usr/lib/x.so", "file", "0644", 1, "0" * 64, "", "/usr/lib/x.so", "php8.4-redis", "1", "php")
    monkeypatch.setattr(image, "read_manifest", lambda *_: Manifest(site.profile.id, "0" * 16, "", (file,)))
    assert absent.lost(server(tmp_path), site) == ()


def test_only_php_of_the_version_of_the_site_is_named(tmp_path: Path, site: Site) -> None:
    there = server(tmp_path, php8_4_fpm="deinstall ok config-files")
    assert absent.lost(there, replace(site, php=replace(site.php, version="8.2"))) == ()


def test_nothing_is_said_where_dpkg_cannot_be_asked(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PROGRAM", str(tmp_path / "no-dpkg-query"))
    assert absent.lost(server(tmp_path), site) == ()
