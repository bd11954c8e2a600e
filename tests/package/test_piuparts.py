# SPDX-License-Identifier: GPL-2.0-or-later
"""piuparts installs, upgrades, removes and purges our packages and sites of both kinds in a chroot without systemd:
what purge leaves there is a fault. The archive that it takes the older versions from is a directory of ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fpmjail_deb.deb import build_package
from fpmjail_deb.description import read_site
from tests.lifecycle import extras, trees
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.repository import Repository, SigningKey
from tests.sites import EXAMPLES, planned

PLACE = "/srv/debs"
KEYS = "/etc/apt/trusted.gpg.d"
SITES = ("minimal", "club")  # dedicated and shared
NEEDED = ("python3-debian", "python3-jinja2", "python3-sh", "python3-yaml")
NOT_OURS = (
    "/etc/apache2/mods-enabled/.*",  # modules serve every virtual host: which one was the last to need them?
    "/var/lib/apache2/(module|site)/.*",  # what a2enmod and a2ensite remember
    "/var/lib/logrotate/status",  # piuparts' own run of logrotate
)


@pytest.fixture(scope="module")
def laboratory(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A chroot with piuparts, the packages in /srv/debs/new, and an archive with older ones of the sites."""
    place = tmp_path_factory.mktemp("debs")
    place.chmod(0o755)
    for name in ("old", "new"):
        (place / name).mkdir()
        for site in SITES:
            described = read_site((EXAMPLES / f"{site}.yaml").read_bytes(), f"{site}.yaml")
            version = {"old": "1.0", "new": "1.1"}[name]
            build_package(planned(replace(described, version=version), release), place / name)
    for deb in build_debs(release).glob("*.deb"):
        shutil.copy(deb, place / "new")
    key = SigningKey()
    archive = Repository(place, "archive", suite=release, key=key)
    archive.publish(*place.glob("old/*.deb"), *place.glob("new/fpmjail*.deb"), *extras.debs(release, NEEDED))
    tools = extras.debs(release, ["piuparts"])[0].parent
    binds: dict[str | Path, str] = {trees.base_tree(release).root: "/srv/base", place: PLACE, tools: "/srv/tools"}
    with Container(release, binds=binds, boot=False) as chroot:
        chroot.write(f"{KEYS}/tests.asc", key.public())
        chroot.shell("dpkg --install /srv/tools/*.deb && mkdir /mnt/work && mount -t tmpfs tmpfs /mnt/work")
        yield chroot


def piuparts(laboratory: Container, *arguments: str) -> str:
    """All that piuparts says; CommandFailed if anything is wrong."""
    command = (
        "piuparts", f"--distribution={laboratory.release}", f"--mirror=file://{PLACE}/archive main",
        "--existing-chroot=/srv/base", "--tmpdir=/mnt/work", f"--bindmount={PLACE}", f"--bindmount={KEYS}",
        "--no-eatmydata", *(f"--ignore-regex={pattern}" for pattern in NOT_OURS),
    )  # fmt: skip
    return laboratory.run(*command, *arguments, timeout=900).output


def test_piuparts_passes_installation_upgrade_removal_and_purge(laboratory: Container) -> None:
    debs = laboratory.shell(f"ls {PLACE}/new/*.deb").stdout.split()
    assert [deb.rpartition("/")[2].partition("_")[0] for deb in debs] == [
        "fpmjail-deb", "fpmjail", "site-club-jail", "site-minimal-jail",
    ]  # fmt: skip
    said = piuparts(laboratory, *debs)
    assert "PASS: Installation and purging test." in said
    assert "PASS: Installation, upgrade and purging tests." in said
    assert "PASS: All tests." in said
