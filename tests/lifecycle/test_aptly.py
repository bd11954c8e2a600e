# SPDX-License-Identifier: GPL-2.0-or-later
"""`publish --via aptly` with Debian's aptly and the installed fpmjail-deb, and a server that follows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import KEYRING, ORIGIN
from tests.lifecycle import extras
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.publish.packages import deb

NEEDED = ("aptly", "apt-utils", "gpg", "gpg-agent", "python3-debian", "python3-jinja2", "python3-sh", "python3-yaml")
REPOSITORY = "/srv/repository"
INIT = (
    "--init", REPOSITORY, "--origin", ORIGIN, "--url", f"file://{REPOSITORY}/public",
    "--maintainer", "Web Team <web@example.org>", "--gnupghome", "/srv/signing", "--via", "aptly",
)  # fmt: skip


@pytest.fixture(scope="module")
def machine(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Container, Path]]:
    """A server on which aptly and fpmjail-deb are installed as well, and a directory that it sees as /srv/new."""
    new, fetched = tmp_path_factory.mktemp("new"), tmp_path_factory.mktemp("fetched")
    for package in (*extras.debs(release, NEEDED), *build_debs(release).glob("fpmjail-deb_*.deb")):
        shutil.copy(package, fetched)
    with Container(release, binds={new: "/srv/new", fetched: "/srv/fetched"}) as container:
        container.shell("dpkg --install /srv/fetched/*.deb")
        container.run("fpmjail-deb", "publish", *INIT)
        container.run("dpkg", "--install", f"{REPOSITORY}/public/{KEYRING}_{release}.deb")
        yield container, new


def publish(container: Container, *words: str) -> dict[str, object]:
    """`fpmjail-deb publish`, and what the server then knows of."""
    said = container.run("fpmjail-deb", "publish", REPOSITORY, *words, "--json").stdout
    container.apt("update")
    return dict(json.loads(said))


def known(container: Container, package: str) -> list[str]:
    """The versions of a package that the server finds, oldest first."""
    lines = container.run("apt-cache", "madison", package).stdout.splitlines()
    return sorted(line.split("|")[1].strip() for line in lines)


def test_snapshots_are_published_signed_with_the_origin_of_the_first_day(
    machine: tuple[Container, Path], release: str
) -> None:
    container, new = machine
    suffix = {"trixie": "+deb13", "bookworm": "+deb12"}[release]
    for number in (1, 2):
        name = deb(new, f"1.{number}{suffix}", "a-package").name
        assert publish(container, f"/srv/new/{name}")["published"]
    assert known(container, "a-package") == [f"1.1{suffix}", f"1.2{suffix}"]
    assert f"o={ORIGIN},a={release},n={release},l={ORIGIN}" in container.run("apt-cache", "policy").stdout
    container.apt("install", "a-package")
    assert "Acquire-By-Hash: yes" in container.read(f"{REPOSITORY}/public/{release}/dists/{release}/Release")


def test_a_rollback_brings_back_the_packages_of_before_and_the_next_publish_goes_on(
    machine: tuple[Container, Path], release: str
) -> None:
    container, new = machine
    suffix = {"trixie": "+deb13", "bookworm": "+deb12"}[release]
    said = publish(container, "--rollback", "2")
    assert [said["reason"], said["publish"]] == ["back to 2", 4]
    assert known(container, "a-package") == [f"1.1{suffix}"]
    assert publish(container, "--valid-for", "never")["reason"] == "signed again"  # and is forgotten by the next
    older = f"/srv/new/{deb(new, '1.0' + suffix, 'a-package').name}"
    refused = container.run("fpmjail-deb", "publish", REPOSITORY, older, check=False)
    assert refused.returncode == 1 and f"goes back behind 1.2{suffix}" in refused.stderr
    publish(container, f"/srv/new/{deb(new, '1.3' + suffix, 'a-package').name}")
    assert known(container, "a-package") == [f"1.1{suffix}", f"1.3{suffix}"]
    publish(container, "--rollback", "3")
    assert known(container, "a-package") == [f"1.1{suffix}", f"1.2{suffix}"]


def test_builds_of_one_version_differ_in_the_releases(machine: tuple[Container, Path], release: str) -> None:
    container, new = machine
    for name in ("trixie", "bookworm"):
        deb(new / name, "0.1", "b-package", f"built on {name}", "amd64")
    publish(container, "/srv/new/trixie", "/srv/new/bookworm")
    container.apt("install", "b-package")
    assert container.read("/usr/share/doc/b-package/text") == f"built on {release}\n"
