# SPDX-License-Identifier: GPL-2.0-or-later
"""Upgrades of Debian's own packages reach every jail in the same apt run, and no request notices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lifecycle import load
from tests.lifecycle.bed import Bed
from tests.lifecycle.load import Load, Report
from tests.lifecycle.server import EXAMPLE, Server

SETS = ("libc6", "tzdata", "ca-certificates", "php-common", "libicu")
SERVICE = "site-example-jail.service"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one site, up and true to its host."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(EXAMPLE)
    there.install("site-example-jail")
    there.write_page("load.php", load.PAGE)
    assert there.get("/load.php?token=abc").body == "token abc\n"
    there.assert_true_to_host()
    yield there


def upgraded(server: Server, *command: str) -> tuple[str, Report]:
    """Run an upgrade under load, wait for the last word; (what apt said, what happened to the requests)."""
    with Load(server.container, host="example.org", path="/load.php", slow_seconds=6) as requests:
        said = server.run(*command, timeout=900).output
        server.settle()
    return said, requests.report()


def assert_nothing_failed(report: Report) -> None:
    assert report.requests > 20 and report.slow_requests >= 1, report
    assert not report.failed, report


@pytest.mark.parametrize("name", ["php-opcache", *SETS])
def test_each_upgrade_alone_reaches_the_jail_without_a_failed_request(server: Server, name: str) -> None:
    before = server.truth()["generation"]
    server.bed.publish_upgrade(name, round=1 if name == "php-opcache" else 2)
    said, report = upgraded(server, "apt-get", "-y", "upgrade")
    assert_nothing_failed(report)
    assert server.assert_true_to_host() != before, said
    assert server.faults() == []


def test_an_upgrade_of_everything_at_once_reaches_the_jail_in_the_same_apt_run(server: Server) -> None:
    before = server.truth()["generation"]
    server.bed.publish_upgrade(*SETS, round=3)
    said, report = upgraded(server, "apt-get", "-y", "upgrade")
    assert_nothing_failed(report)
    assert server.assert_true_to_host() != before, said
    assert server.faults() == []


def test_unattended_upgrades_refresh_the_jail_as_well(server: Server) -> None:
    before = server.truth()["generation"]
    server.bed.upgrades.allow_unattended(server.container)
    server.bed.publish_upgrade(*SETS, round=4)
    said, report = upgraded(server, "unattended-upgrade", "--verbose")
    assert_nothing_failed(report)
    assert server.assert_true_to_host() != before, said
    assert server.run("apt-get", "-s", "upgrade").output.count("Inst ") == 0
    history = server.shell("cat /var/lib/fpmjail/status.json").stdout
    assert '"SWITCH"' in history
    assert server.faults() == []


def test_a_trigger_with_nothing_to_do_switches_nothing(server: Server) -> None:
    before = server.truth()["generation"]
    server.run("dpkg-trigger", "--by-package=fpmjail", "ldconfig")
    server.run("dpkg", "--triggers-only", "--pending")
    server.settle()
    assert server.truth()["generation"] == before


def test_rollback_brings_the_generation_before_back_and_holds_it(server: Server) -> None:
    new = server.truth()["generation"]
    said = server.run("fpmjail", "rollback", "example").stdout
    assert "went back from" in said
    assert server.truth()["generation"] != new
    assert server.truth()["mapped"] in ([], [server.truth()["generation"]])
    assert server.get("/load.php?token=abc").body == "token abc\n"
    server.run("fpmjail", "refresh", check=False)
    assert server.truth()["generation"] != new
    assert any("held" in words for row in server.status()["images"] for words in row["warnings"])
    server.run("fpmjail", "rollback", "--release-hold", "example")
    assert server.assert_true_to_host() == new
