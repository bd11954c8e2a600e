# SPDX-License-Identifier: GPL-2.0-or-later
"""Many sites: their descriptions, their packages, and servers that have them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.row import Bench
from tests.lifecycle import extras, trees
from tests.lifecycle.bed import booted
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.server import Server

DEFAULTS = "maintainer: Web Team <web@example.org>\nversion: {version}\nreleases: [{release}]\n"
DEBS = "/srv/debs"


def name(number: int) -> str:
    """The name of the site with this number, from 0."""
    return f"s{number:05}"


def describe(directory: Path, sites: int, release: str, more: str = "", version: str = "1.0.0") -> Path:
    """Write that many descriptions and their defaults.yaml, to which `more` is added; returns the directory."""
    directory.mkdir(parents=True)
    (directory / "defaults.yaml").write_text(DEFAULTS.format(release=release, version=version) + more)
    for site in map(name, range(sites)):
        (directory / f"{site}.yaml").write_text(f"site: {site}\ndomains: [{site}.example.org]\n")
    return directory


def packages(bench: Bench, sites: int, more: str = "", version: str = "1.0.0") -> list[Path]:
    """The packages of that many sites, in their order; built once for all rows."""
    place = bench.place / f"sites-{version}-{len(more)}"
    output = place / "debs"
    if len(list(output.glob("*.deb"))) < sites:
        bench.tell(f"  building {sites} packages")
        descriptions = describe(place / f"descriptions-{sites}", sites, bench.release, more, version)
        command = [sys.executable, "-m", "fpmjail_deb", "build", str(descriptions), "-o", str(output)]
        subprocess.run(command, cwd=trees.CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    return sorted(output.glob("*.deb"))[:sites]


def empty_scripts(bench: Bench, debs: list[Path]) -> list[Path]:
    """The same packages under other names, with the same files and scripts that do nothing."""
    place = bench.place / f"empty-{debs[0].parent.parent.name}-{len(debs)}"
    if not place.exists():
        place.mkdir()
        for deb in debs:
            tree = place / "tree"
            subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True)
            for script in ("preinst", "postinst", "prerm", "postrm"):
                if (file := tree / "DEBIAN" / script).exists():
                    file.write_text("#!/bin/sh\nexit 0\n")
            subprocess.run(["dpkg-deb", "--root-owner-group", "-z1", "-b", str(tree), str(place)], check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip
            subprocess.run(["rm", "-r", str(tree)], check=True)
    return sorted(place.glob("*.deb"))


@contextmanager
def server(bench: Bench, *extra: str) -> Iterator[Server]:
    """A booted server with the runtime and some more packages of Debian's, and no site."""
    directory = bench.place / f"repository-{os.urandom(4).hex()}"
    directory.mkdir()
    with booted(bench.release, directory, bench.key) as bed:
        bed.publish_own_packages()
        bed.sites.publish(*(deb for package in extra for deb in extras.debs(bench.release, [package])))
        bed.server.apt("update")
        bed.server.apt("install", "fpmjail", *(package.replace("X", bed.server.php) for package in extra))
        yield Server(bed, directory)


@contextmanager
def builder(bench: Bench, directory: Path) -> Iterator[Container]:
    """A chroot with the generator's dependencies; `directory` is the same inside."""
    binds: dict[str | Path, str] = {trees.CHECKOUT: "/srv/checkout", build_debs(bench.release): DEBS}
    with Container(bench.release, "builder", binds=binds, writable={directory: str(directory)}, boot=False) as chroot:
        yield chroot


def unpack(there: Server, debs: list[Path]) -> None:
    """Sites as dpkg leaves them, with accounts and without a start: what a refresh and a boot find of idle ones."""
    archive = b"".join(_files(deb) for deb in debs)
    command = there.container.command("tar", "--extract", "--ignore-zeros", "--keep-directory-symlink", "--directory=/")
    subprocess.run(command, input=archive, check=True)
    for numbers in ("system-accounts.conf", "further-accounts.conf"):
        there.shell(f"cd /usr/lib/sysusers.d; systemd-sysusers /usr/share/fpmjail/{numbers} site-*.conf")


def _files(deb: Path) -> bytes:
    return subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True).stdout


def install(there: Server, debs: list[Path]) -> None:
    """`apt install` of packages that lie in a directory of this machine."""
    there.bed.sites.publish(*debs)
    there.apt("update")
    there.apt("install", *(deb.name.partition("_")[0] for deb in debs), timeout=3600)
