# SPDX-License-Identifier: GPL-2.0-or-later
"""From a folder of 200 sites through a signed repository to servers that follow it with nobody watching."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from debian.debian_support import Version

from tests.fleet import KEYRING, ORIGIN, Published, fpmjail_deb, write_site, write_sites
from tests.lifecycle import load
from tests.lifecycle.container import Container
from tests.lifecycle.load import Load
from tests.lifecycle.packages import build_debs

SITES = 200
INSTALLED = int(os.environ.get("FPMJAIL_INSTALLED_SITES", "10"))
"""So many of them are installed on the server; all with `make soak`."""

AT = "/srv/repository"
PERIODIC = 'APT::Periodic::Update-Package-Lists "always";\nAPT::Periodic::Unattended-Upgrade "always";\n'
UNATTENDED = "systemctl start apt-daily.service && systemctl start apt-daily-upgrade.service"


@dataclass(frozen=True, slots=True)
class Fleet:
    """A folder of sites, where their packages are built, the repository, and a server that is enrolled."""

    folder: Path
    dist: Path
    repository: Published
    server: Container
    names: list[str]

    def build(self) -> None:
        """Build what changed."""
        fpmjail_deb("build", self.folder, "-o", self.dist, "-j", "2", "--release", self.server.release)

    def versions(self) -> dict[str, str]:
        """The installed versions of sites."""
        shown = "${Package} ${Version} ${db:Status-Status}\n"
        rows = (row.split() for row in self.server.run("dpkg-query", "-W", "-f", shown, "site-*").stdout.splitlines())
        return {package: version for package, version, status in rows if status == "installed"}

    def masters(self) -> dict[str, str]:
        """The process of every site's FPM."""
        units = [f"{package}.service" for package in sorted(self.versions())]
        pids = self.server.run("systemctl", "show", "-P", "MainPID", *units).stdout.split()
        return dict(zip(units, pids, strict=True))

    def follow(self) -> str:
        """Let systemd's timers do what they do every day; what unattended-upgrades says of it."""
        self.server.run("sh", "-c", UNATTENDED, timeout=900)
        return self.server.read("/var/log/unattended-upgrades/unattended-upgrades.log")


@pytest.fixture(scope="module")
def fleet(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The first publish, and a server that was enrolled by installing one package."""
    place = tmp_path_factory.mktemp("fleet")
    names = write_sites(place / "sites", SITES)
    repository = Published(place / "repository", f"file://{AT}")
    try:
        with Container(release, binds={repository.public: AT}) as server:
            fleet = Fleet(place / "sites", place / "dist", repository, server, names)
            fleet.build()
            said = repository.publish(fleet.dist, build_debs(release), "--release", release)
            assert len(said["added"]) == SITES + 2, said  # with fpmjail and fpmjail-deb
            server.run("systemctl", "unmask", "apt-daily.service", "apt-daily-upgrade.service")
            server.write("/etc/apt/apt.conf.d/20auto-upgrades", PERIODIC)
            server.apt("install", f"{AT}/{KEYRING}_{release}.deb")
            server.apt("update")
            server.apt("install", *(f"site-{name}-jail" for name in names[:INSTALLED]), timeout=3000)
            yield fleet
    finally:
        repository.close()


def test_a_server_is_enrolled_by_one_package_and_installs_sites_with_their_runtime(fleet: Fleet) -> None:
    policy = fleet.server.run("apt-cache", "policy").stdout
    assert f"o={ORIGIN},a={fleet.server.release},n={fleet.server.release},l={ORIGIN}" in policy
    assert len(fleet.versions()) == INSTALLED
    known = fleet.server.run("apt-cache", "pkgnames", "site-").stdout.split()
    assert len(known) == SITES
    assert fleet.server.run("fpmjail", "status", check=False).stdout.count(" active ") == INSTALLED
    assert fleet.server.run("dpkg-query", "-W", "-f", "${Status}", "fpmjail").stdout == "install ok installed"


def test_three_changed_sites_reach_the_server_by_themselves_and_no_other_is_touched(fleet: Fleet) -> None:
    changed = fleet.names[2:5]
    server = fleet.server
    place = f"/var/www/{changed[0]}/htdocs/load.php"
    server.write(place, load.PAGE)
    server.run("chown", f"_site-{changed[0]}:", place)
    before, masters = fleet.versions(), fleet.masters()
    for name in changed:
        write_site(fleet.folder, name, "php: {settings: {memory_limit: 96M}}\n")
    fleet.build()
    said = fleet.repository.publish(fleet.dist)
    assert sorted(one["package"] for one in said["added"]) == [f"site-{name}-jail" for name in changed]
    assert said["unchanged"] == SITES - 3
    server.shell(": >/var/log/dpkg.log")
    with Load(server, host=f"{changed[0]}.example.org", path="/load.php", slow_seconds=6) as requests:
        log = fleet.follow()
    report = requests.report()
    assert report.requests > 20 and not report.failed, report
    after = fleet.versions()
    different = {package for package in after if after[package] != before[package]}
    assert different == {f"site-{name}-jail" for name in changed}, log
    assert set(upgraded(server)) == {f"site-{name}-jail:all" for name in changed}
    still = {unit for unit, pid in fleet.masters().items() if masters[unit] == pid}
    assert still >= {f"site-{name}-jail.service" for name in fleet.names[:INSTALLED] if name not in changed}


def upgraded(server: Container) -> list[str]:
    """What dpkg has unpacked since its log was emptied."""
    rows = (row.split() for row in server.read("/var/log/dpkg.log").splitlines())
    return [row[3] for row in rows if row[2] == "upgrade"]


def arrivals(fleet: Fleet, name: str) -> list[list[str]]:
    """The versions of a site that came to the server, each with its time."""
    rows = json.loads(fleet.server.run("fpmjail", "status", "--json", check=False).stdout)["sites"]
    return next(list(row["arrivals"]) for row in rows if row["name"] == name)


def test_status_says_which_version_came_when(fleet: Fleet) -> None:
    changed, untouched = (arrivals(fleet, name) for name in (fleet.names[2], fleet.names[0]))
    assert [len(changed), len(untouched)] == [2, 1]
    (before, first), (after, second) = changed
    assert Version(before) < Version(after) and first < second
    text = fleet.server.run("fpmjail", "status", check=False).stdout
    row = next(line for line in text.splitlines() if line.startswith(f"{fleet.names[2]} "))
    assert after in row and second in row and first not in row


def test_a_site_goes_back_stays_held_and_obeys_a_pin(fleet: Fleet) -> None:
    server, name = fleet.server, fleet.names[2]
    package = f"site-{name}-jail"
    older, newer = sorted(rows(server.run("apt-cache", "madison", package).stdout))
    assert fleet.versions()[package] == newer
    server.apt("install", "--allow-downgrades", f"{package}={older}")
    asked = ("curl", "-sf", "-H", f"Host: {name}.example.org", "http://127.0.0.1/load.php")
    assert server.run(*asked).stdout == "token \n"
    server.run("apt-mark", "hold", package)
    fleet.follow()
    assert fleet.versions()[package] == older
    server.run("apt-mark", "unhold", package)
    pin = "/etc/apt/preferences.d/pin"
    server.write(pin, f"Package: {package}\nPin: version {older}\nPin-Priority: 1001\n")
    fleet.follow()
    assert fleet.versions()[package] == older
    server.run("rm", pin)
    fleet.follow()
    assert fleet.versions()[package] == newer
    assert [version for version, _ in arrivals(fleet, name)] == [older, newer, older, newer]


def rows(madison: str) -> list[str]:
    """The versions that apt-cache madison names."""
    return [line.split("|")[1].strip() for line in madison.splitlines()]
