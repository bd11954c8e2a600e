# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole test bed of one release: a booted server and two signed repositories that it installs from.

with booted("trixie", directory, key) as bed:
    bed.sites.publish(site_deb)
    bed.server.apt("update")
    bed.server.apt("install", "site-example-jail")
    bed.publish_upgrade("libc6")
    bed.server.apt("upgrade")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lifecycle import repack
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.repository import MOUNT_POINT, Repository, SigningKey


@dataclass(frozen=True, slots=True)
class Bed:
    """`sites` holds our own packages and the sites' (origin fpmjail-sites), `upgrades` newer ones of Debian's."""

    server: Container
    sites: Repository
    upgrades: Repository

    @property
    def release(self) -> str:
        return self.server.release

    def publish_upgrade(self, *names: str, round: int = 1) -> None:
        """Put newer versions of some of `repack.SETS` into the archive and let apt know of them."""
        self.upgrades.publish(*(deb for name in names for deb in repack.upgrade(self.release, name, round)))
        self.server.apt("update")

    def publish_own_packages(self) -> None:
        """Put fpmjail-deb and fpmjail, built from this checkout, into `sites`."""
        self.sites.publish(*build_debs(self.release).glob("*.deb"))
        self.server.apt("update")


@contextmanager
def booted(release: str, directory: Path, key: SigningKey) -> Iterator[Bed]:
    """A server with both repositories, still empty, in its apt sources; they lie in `directory`, which must exist."""
    sites = Repository(directory, "sites", suite=release, key=key)
    upgrades = Repository(directory, "upgrades", suite=release, key=key)
    with Container(release, binds={directory: MOUNT_POINT}) as server:
        sites.add_to(server)
        upgrades.add_to(server)
        yield Bed(server, sites, upgrades)
