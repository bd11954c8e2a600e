# SPDX-License-Identifier: GPL-2.0-or-later
"""A site whose package is for another release of Debian, and one that was removed."""

from dataclasses import replace
from pathlib import Path

import pytest
import world

from fpmjail import release, status
from fpmjail.layout import Layout
from fpmjail.site import Site, load

GOLDEN = Path(__file__).parents[2] / "golden/minimal/bookworm/usr/share/fpmjail/sites/minimal/site.json"
PROTOTYPE = load(GOLDEN)


def site(name: str) -> Site:
    return replace(PROTOTYPE, release=name)


def host(root: Path, text: str) -> Layout:
    world.put(root, "etc/os-release", text)
    return Layout(root)


@pytest.mark.parametrize("text", ["ID=debian\nVERSION_CODENAME=trixie\n", 'VERSION_CODENAME="trixie"\n'])
def test_the_version_for_another_release_is_said_with_the_way_to_the_right_one(tmp_path: Path, text: str) -> None:
    said = release.stranger(host(tmp_path, text), site("bookworm"))
    assert said is not None
    assert "is for Debian bookworm, this server has trixie" in said
    assert said.endswith("then: apt install site-minimal-jail")
    assert said in release.way_back(host(tmp_path, text), site("bookworm"))


@pytest.mark.parametrize("text", ["VERSION_CODENAME=bookworm\n", "ID=debian\n", "\0VERSION_CODENAME\n", ""])
def test_nothing_is_said_where_the_release_is_right_or_not_known(tmp_path: Path, text: str) -> None:
    assert release.stranger(host(tmp_path, text), site("bookworm")) is None
    assert release.way_back(Layout(tmp_path), site("bookworm")).endswith(
        "to have it back: apt install site-minimal-jail"
    )


def test_a_server_without_os_release_is_of_no_release(tmp_path: Path) -> None:
    assert release.codename(Layout(tmp_path)) == ""


def test_status_tells_of_sites_that_were_removed_and_not_of_those_that_it_cannot_read(tmp_path: Path) -> None:
    for name in ("gone", "newer", "here"):
        world.put(tmp_path, f"var/lib/dpkg/info/site-{name}-jail.list")
    for name in ("newer", "here"):
        world.put(tmp_path, f"usr/share/fpmjail/sites/{name}/site.json", "{}")
    seen = status.Status((), (), (), (), status.removed(Layout(tmp_path)))
    assert seen.removed == ("gone",) and seen.good
    assert "site gone was removed, its data stays; to have it back: apt install site-gone-jail" in status.text(seen)
