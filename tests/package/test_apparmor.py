# SPDX-License-Identifier: GPL-2.0-or-later
"""Each release's own apparmor_parser accepts the profiles that are made for it; no kernel is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fpmjail_deb.description import read_site
from fpmjail_deb.site import Site
from tests.lifecycle import extras
from tests.lifecycle.container import Container
from tests.sites import EXAMPLES, planned, shop, text

CHOICES = (
    "jail: {apparmor: enforce}\n",
    "jail: {apparmor: complain, mysql: socket, postgresql: socket, redis: socket}\n",
    "jail: {apparmor: enforce, libraries: bind}\nphp: {pool: {slow_log: 5s}}\n",
)


@pytest.fixture(scope="module")
def parser(release: str) -> Iterator[Container]:
    """A server of the release that has apparmor_parser, in a chroot."""
    debs = extras.debs(release, ["apparmor"])
    with Container(release, binds={debs[0].parent: "/srv/debs"}, boot=False) as container:
        container.shell("dpkg -i /srv/debs/*.deb")
        yield container


def accepted(parser: Container, profile: str) -> str:
    """What the parser says of a profile; nothing is loaded, no cache is read or written."""
    parser.write("/root/profile", profile)
    done = parser.run("apparmor_parser", "-QKT", "/root/profile", check=False)
    return "accepted" if done.good else done.output


def profile(site: Site, release: str) -> str:
    return text(planned(site, release), f"etc/apparmor.d/site-{site.name}-jail")


@pytest.mark.parametrize("more", CHOICES)
def test_the_parser_accepts_what_a_description_can_ask_for(parser: Container, more: str) -> None:
    assert accepted(parser, profile(shop(more), parser.release)) == "accepted"


def test_the_parser_accepts_the_profile_of_an_example(parser: Container) -> None:
    example: Path = EXAMPLES / "shop.yaml"
    assert accepted(parser, profile(read_site(example.read_bytes(), "shop.yaml"), parser.release)) == "accepted"


def test_the_parser_refuses_a_profile_that_is_broken(parser: Container) -> None:
    broken = profile(shop(CHOICES[0]), parser.release).replace("mrix,", "mrix")
    assert "AppArmor parser error for /root/profile" in accepted(parser, broken)
