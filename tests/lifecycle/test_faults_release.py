# SPDX-License-Identifier: GPL-2.0-or-later
"""The release upgrade from bookworm to trixie, with sites installed: `apt dist-upgrade` takes PHP 8.2 away.

Two sites have their version for trixie in the repository by then and come along; two have not, so apt must remove them,
and what it says has to be enough to have them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lifecycle import extras
from tests.lifecycle.bed import Bed, booted
from tests.lifecycle.container import Completed
from tests.lifecycle.packages import build_debs
from tests.lifecycle.repository import Repository, SigningKey
from tests.lifecycle.server import Server, build_site

pytestmark = pytest.mark.xdist_group("release upgrade")

BEFORE, AFTER = "bookworm", "trixie"
PHP = (
    "phpX-fpm",
    *(f"phpX-{name}" for name in ("apcu", "cli", "curl", "gd", "intl", "mbstring", "mysql", "xml", "zip")),
)
READY, LATE = ("ready", "pool"), ("late", "latepool")
SHARED = frozenset({"pool", "latepool"})
NOT_THE_PACKAGES = (
    "/etc/apt/", "/usr/share/keyrings/", "/var/lib/apt/", "/var/cache/apt/", "/var/lib/apache2/site/",
    "/var/log/apache2/",
)  # fmt: skip
"""What the test bed has put there for apt, what a2ensite remembers, and Apache's logs, which are its own."""
PAGE = "<?php echo 'PHP ', PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION, ' ', file_get_contents(__DIR__ . '/data.txt');"


def description(name: str) -> str:
    isolation = "shared" if name in SHARED else "dedicated"
    return (
        f"site: {name}\nmaintainer: Web Team <web@example.org>\ndomains: [{name}.example.org]\nisolation: {isolation}\n"
    )


@dataclass(frozen=True)
class Upgraded:
    """The server after `apt dist-upgrade`, what apt said, and the repository of the new release."""

    server: Server
    said: Completed
    after: Repository

    def publish(self, *names: str) -> None:
        directory = self.server.directory / "dist"
        self.after.publish(*(build_site(description(name), directory, AFTER, f"{name}.yaml") for name in names))
        self.server.apt("update")

    def page(self, name: str) -> str:
        return self.server.get("/", f"{name}.example.org").body

    def repository_ends(self) -> None:
        """The old release's repositories leave apt's sources, as an administrator takes them out."""
        self.server.shell(
            "rm /etc/apt/sources.list.d/fpmjail-sites.sources /etc/apt/sources.list.d/fpmjail-upgrades.sources"
        )


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Iterator[Upgraded]:
    """bookworm with four sites, the sources changed to trixie, `apt dist-upgrade` done."""
    directory = tmp_path_factory.mktemp("repository")
    with booted(BEFORE, directory, signing_key) as bed:
        server = with_sites(bed, tmp_path_factory.mktemp("dist"))
        after = Repository(directory, AFTER, suite=AFTER, key=signing_key)
        after.publish(*extras.release_upgrade(BEFORE, AFTER, PHP), *build_debs(AFTER).glob("fpmjail_*.deb"))
        after.add_to(server.container)
        there = Upgraded(server, Completed("", 0, "", ""), after)
        there.publish(*READY)
        there.repository_ends()
        server.apt("update")
        said = server.apt("-o", "Dpkg::Options::=--force-confold", "dist-upgrade", check=False, timeout=1100)
        yield Upgraded(server, said, after)


def with_sites(bed: Bed, directory: Path) -> Server:
    """The sites as bookworm has them, each with a page and data of its own."""
    bed.publish_own_packages()
    server = Server(bed, directory)
    for name in (*READY, *LATE):
        server.publish(description(name), f"{name}.yaml")
    server.install(*(f"site-{name}-jail" for name in (*READY, *LATE)))
    for name in (*READY, *LATE):
        root = f"var/www/{name}/htdocs" if name in SHARED else "htdocs"
        server.write_page("index.php", PAGE, name, root)
        server.write_page("data.txt", f"data of {name}", name, root)
        assert server.get("/", f"{name}.example.org").body == f"PHP 8.2 data of {name}"
    return server


def test_the_upgrade_ends_well_and_leaves_dpkg_whole(upgraded: Upgraded) -> None:
    assert upgraded.said.good, upgraded.said.output[-4000:]
    assert upgraded.server.run("dpkg", "--audit").output == ""
    assert upgraded.server.read("/etc/debian_version").startswith("13")
    assert not upgraded.server.exists("/usr/sbin/php-fpm8.2")


@pytest.mark.parametrize("name", READY)
def test_a_site_whose_new_version_was_in_the_repository_has_come_along_by_itself(upgraded: Upgraded, name: str) -> None:
    assert upgraded.page(name) == f"PHP 8.4 data of {name}"
    upgraded.server.settle()
    assert upgraded.server.faults(name) == []


@pytest.mark.parametrize("name", LATE)
def test_a_site_that_apt_had_to_remove_says_what_to_install(upgraded: Upgraded, name: str) -> None:
    (said,) = [
        line for line in upgraded.said.output.splitlines() if line.startswith(f"fpmjail: {name}: its data stays")
    ]
    assert f"is for Debian {BEFORE}, this server has {AFTER}" in said
    assert said.endswith(f"then: apt install site-{name}-jail")
    seen = upgraded.server.run("fpmjail", "status", check=False).stdout
    assert f"site {name} was removed, its data stays; to have it back: apt install site-{name}-jail" in seen
    assert "data of" not in upgraded.page(name)
    base = f"/var/www/{name}/var/www/{name}" if name in SHARED else f"/var/www/{name}"
    assert upgraded.server.read(f"{base}/htdocs/data.txt") == f"data of {name}"


def test_no_service_has_failed_and_nothing_of_the_old_php_is_left_in_use(upgraded: Upgraded) -> None:
    failed = upgraded.server.run("systemctl", "--failed", "--plain", "--no-legend").stdout
    assert not [line for line in failed.splitlines() if "fpmjail" in line or "site-" in line or "php" in line], failed
    seen = upgraded.server.status()
    assert [row["php"] for row in seen["images"]] == ["8.4"] and seen["images"][0]["fresh"], seen


def test_the_version_for_the_new_release_brings_the_others_back_with_their_data(upgraded: Upgraded) -> None:
    upgraded.publish(*LATE)
    said = upgraded.server.install(*(f"site-{name}-jail" for name in LATE)).output
    for name in LATE:
        assert f"http://{name}.example.org/ answers 200" in said
        assert upgraded.page(name) == f"PHP 8.4 data of {name}"
        assert upgraded.server.faults(name) == []
    assert upgraded.server.status()["removed"] == []
    assert upgraded.server.status()["good"]


def test_purged_after_the_upgrade_the_packages_of_both_releases_have_left_the_data_alone(upgraded: Upgraded) -> None:
    server = upgraded.server
    server.apt("purge", *(f"site-{name}-jail" for name in (*READY, *LATE)), "fpmjail")
    ours = r"find / -xdev -regextype posix-extended -regex '.*/[^/]*(fpmjail|site-[a-z]+-jail)[^/]*' -prune -print"
    left = server.shell(ours).stdout.splitlines()
    assert [path for path in left if not path.startswith(NOT_THE_PACKAGES)] == []
    for name in (*READY, *LATE):
        base = f"/var/www/{name}/var/www/{name}" if name in SHARED else f"/var/www/{name}"
        assert server.read(f"{base}/htdocs/data.txt") == f"data of {name}"
