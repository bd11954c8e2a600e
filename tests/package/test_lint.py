# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own critics on the packages of all examples and of every kind of site."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail_deb.deb import build_package
from fpmjail_deb.description import read_site
from fpmjail_deb.site import Site
from tests.lifecycle.container import Container
from tests.package.debian_critics import lintian
from tests.package.parsers import SEEN_AS
from tests.sites import EXAMPLES, planned, shop

KINDS = {
    "plain": "web: {tls: none, htaccess: none, front_controller: none, access_log: false}\n",
    "rich": "web: {htaccess: all, tls: {redirect: false}}\nuid: 4001\nwritable: [a, b/c]\naliases: ['*.example.net']\n",
    "shared": "isolation: shared\nweb: {tls: none}\n",
    "pooled": "isolation: shared\ncompat_link: true\nweb: {server: nginx}\nsftp: true\n"
    "jail: {proc: host, mysql: socket, postgresql: socket, redis: socket}\n"
    "cron: [{name: tick, schedule: daily, command: php tick.php}]\n",
}


def sites() -> dict[str, Site]:
    """Every example, and sites that use what the examples do not."""
    examples = {path.stem: read_site(path.read_bytes(), path.name) for path in sorted(EXAMPLES.glob("*.yaml"))}
    return {**examples, **{kind: shop(f"version: 1.0~{kind}\n{more}") for kind, more in KINDS.items()}}


@pytest.fixture(scope="module")
def packages(release: str, exchange: Path) -> list[str]:
    """The packages, by their paths in the container."""
    plans = [planned(site, release) for site in sites().values()]
    for plan in plans:
        build_package(plan, exchange)
        for name, text in plan.scripts:
            (exchange / f"{plan.package}_{plan.version}.{name}").write_text(text)
    return [f"{SEEN_AS}/{plan.file_name}" for plan in plans]


def test_lintian_has_nothing_to_say(bench: Container, packages: list[str]) -> None:
    assert lintian(bench, *packages) == ""


def test_shellcheck_finds_nothing(bench: Container, packages: list[str]) -> None:
    assert packages
    bench.shell(f"shellcheck --shell=dash {SEEN_AS}/*.p[or]*")


def test_dash_can_read_every_script(bench: Container, packages: list[str]) -> None:
    assert packages
    bench.shell(f'for script in {SEEN_AS}/*.p*; do sh -n "$script"; done')


def test_dpkg_deb_of_the_release_reads_them(bench: Container, packages: list[str]) -> None:
    for package in packages:
        assert "Architecture: all" in bench.run("dpkg-deb", "--info", package).stdout
        assert "/usr/share/fpmjail/sites/" in bench.run("dpkg-deb", "--contents", package).stdout
