# SPDX-License-Identifier: GPL-2.0-or-later
"""The package that enrols a server: Debian's own critics, and what apt of each release makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail_deb import keyring
from fpmjail_deb.deb import build_package
from fpmjail_deb.release import RELEASES
from fpmjail_deb.repository import Settings
from tests.lifecycle.container import Container
from tests.lifecycle.repository import SigningKey
from tests.package.parsers import SEEN_AS
from tests.sites import EPOCH


@pytest.fixture(scope="module")
def package(release: str, exchange: Path) -> str:
    """The package, by its path in the container."""
    settings = Settings("My-Org", "My Org", "https://deb.example.org", "A <a@example.org>", "0" * 40, "/srv/signing")
    key = SigningKey().public().encode()
    plan = keyring.plan(settings, RELEASES[release], key, "20261127.1", EPOCH)
    return f"{SEEN_AS}/{build_package(plan, exchange).name}"


def test_lintian_finds_nothing_in_the_keyring_package(bench: Container, package: str) -> None:
    options = ("--allow-root", "--pedantic", "--display-info", "--tag-display-limit=0")
    result = bench.run("lintian", *options, package, check=False)
    assert result.good and not result.stdout, result.output


def test_apt_reads_what_the_keyring_package_brings(bench: Container, release: str, package: str) -> None:
    bench.run("dpkg", "--install", package)
    assert "my-org.sources" in bench.shell("ls /etc/apt/sources.list.d").stdout
    uris = bench.run("apt-get", "update", "--print-uris").stdout
    assert f"'https://deb.example.org/dists/{release}/InRelease'" in uris
    patterns = bench.run("apt-config", "dump", "Unattended-Upgrade::Origins-Pattern").stdout
    assert '"origin=My-Org,codename=${distro_codename}"' in patterns
    bench.run("dpkg", "--purge", "my-org-archive-keyring")
    assert "my-org" not in bench.shell("ls /etc/apt/sources.list.d /etc/apt/apt.conf.d /usr/share/keyrings").stdout
