# SPDX-License-Identifier: GPL-2.0-or-later
"""Upgrades of Debian's packages under a shared master: what its reload loses, and what Debian's own restart does."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.lifecycle import load
from tests.lifecycle.bed import Bed
from tests.lifecycle.load import Load, Report
from tests.lifecycle.server import Server

DESCRIPTION = """\
site: example
maintainer: Web Team <web@example.org>
domains: [example.org]
isolation: shared
php: {pool: {max_children: 20}, settings: {realpath_cache_ttl: "1"}}
"""
TIMES = """<?php
echo (new DateTime('2026-01-01', new DateTimeZone('Antarctica/Troll')))->format('P');
echo iconv('UTF-8', 'CP1252', ' x');
"""

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LIBRARY = f"""<?php
require_once '/usr/share/fpmjail/probes/probe.inc.php';
$bundle = strlen((string) @file_get_contents('{BUNDLE}')) > 9999 ? 'bundle' : 'no bundle';
echo getmypid(), ' ', get_included_files()[1], ' ', $bundle;
"""
BIG5 = "<?php echo bin2hex((string) @iconv('UTF-8', 'BIG5', '\u4e2d'));"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one shared site."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(DESCRIPTION, "example.yaml")
    there.install("site-example-jail")
    dated = load.PAGE.replace("echo ", "date('c'); iconv('UTF-8', 'CP1252', 'x'); echo ")
    for name, code in (("load.php", dated), ("times.php", TIMES), ("big5.php", BIG5), ("library.php", LIBRARY)):
        there.write_page(name, code, "example", "var/www/example/htdocs")
    assert there.get("/load.php?token=abc").body == "token abc\n"
    yield there


def unit(server: Server) -> str:
    return f"php{server.php}-fpm.service"


def upgraded(server: Server, *command: str, slow_seconds: float = 6) -> tuple[str, Report]:
    """Run a command under load, wait for the last word; (what it said, what happened to the requests)."""
    with Load(server.container, host="example.org", path="/load.php", slow_seconds=slow_seconds) as requests:
        said = server.run(*command, timeout=900).output
        server.settle()
    return said, requests.report()


def replaced(server: Server) -> list[str]:
    """The files that Debian's master maps and that are no longer there."""
    pid = server.run("systemctl", "show", "--value", "--property=MainPID", unit(server)).stdout.strip()
    maps = server.read(f"/proc/{pid}/maps").splitlines()
    return sorted({line.split(None, 5)[5] for line in maps if "(deleted)" in line and "/dev/zero" not in line})


def begun(server: Server) -> str:
    pid = server.run("systemctl", "show", "--value", "--property=MainPID", unit(server)).stdout.strip()
    return server.shell(f"sha256sum /proc/{pid}/auxv").stdout.split()[0]


def libraries(server: Server) -> tuple[set[str], set[str]]:
    """Of many requests: the generations from which PHP had a library, and the workers that answered."""
    seen = [server.get("/library.php").body for _ in range(20)]
    pattern = r"(\d+) /\.image/([0-9a-f]{16})/usr/share/fpmjail/probes/probe\.inc\.php bundle"
    found = [re.fullmatch(pattern, body) for body in seen]
    assert all(found), seen
    return {one[2] for one in found if one}, {one[1] for one in found if one}


def current(server: Server) -> str:
    """The generation in use."""
    return server.shell("readlink /var/www/example/.image/current").stdout.strip()


def test_libc_and_tzdata_reach_the_site_and_no_request_is_lost(server: Server) -> None:
    before, first = begun(server), server.get("/times.php").body
    server.bed.publish_upgrade("libc6", "tzdata", round=2)
    said, report = upgraded(server, "apt-get", "-y", "upgrade")
    print("libc6 and tzdata:", report)
    assert report.requests > 20 and report.slow_requests >= 1 and not report.failed, (report, said)
    assert begun(server) != before and replaced(server) == []
    assert server.get("/times.php").body != first and server.get("/times.php").body.startswith("-02:00")
    assert server.faults() == []


def test_needrestart_leaves_the_shared_master_to_fpmjail(server: Server) -> None:
    rule = "'ignored ' x (grep { $unit =~ $_ } @{$nrconf{blacklist_rc}}), \"\\n\""
    load = "our %nrconf = (blacklist_rc => []); eval do { local (@ARGV, $/) = shift; <> }; die $@ if $@;"
    place = "/etc/needrestart/conf.d/fpmjail.conf"
    for name, ignored in ((unit(server), True), ("ssh.service", False)):
        said = server.run("perl", "-e", f"{load} my $unit = '{name}'; print {rule}", place).stdout
        assert said.startswith("ignored") is ignored, said


def test_a_refresh_with_nothing_for_the_master_does_not_reload_it(server: Server) -> None:
    before, (former, _) = begun(server), libraries(server)
    server.bed.publish_upgrade("ca-certificates", round=2)
    _, report = upgraded(server, "apt-get", "-y", "upgrade")
    assert not report.failed and begun(server) == before
    time.sleep(2)  # realpath_cache_ttl
    assert former != libraries(server)[0] == {current(server)}
    assert server.faults() == []


def test_a_broken_pool_of_others_holds_the_reload_after_an_upgrade(server: Server) -> None:
    foreign = f"/etc/php/{server.php}/fpm/pool.d/foreign.conf"
    server.write(foreign, "[foreign]\nnonsense = 1\n")
    before = begun(server)
    server.bed.publish_upgrade("libc6", round=3)
    server.apt("upgrade")
    server.settle()
    assert begun(server) == before and replaced(server)
    assert server.get("/load.php?token=abc").body == "token abc\n"
    words = server.container.journal("-u", "fpmjail-refresh.service", "-o", "cat")
    assert f"{unit(server)} is not reloaded, because it would end: {foreign}:2" in words, words
    assert any("maps /" in one["seen"] for one in server.faults())
    server.run("rm", foreign)
    server.run("fpmjail", "refresh")
    assert replaced(server) == [] and server.faults() == []


def test_rollback_and_release_leave_the_master_alone(server: Server) -> None:
    before, body = begun(server), server.get("/times.php").body
    said = server.run("fpmjail", "rollback", "example").stdout
    assert "went back from" in said
    assert server.get("/load.php?token=abc").body == "token abc\n"
    assert any("held" in words for row in server.status()["images"] for words in row["warnings"])
    server.run("fpmjail", "rollback", "--release-hold", "example")
    assert begun(server) == before and server.get("/times.php").body == body
    assert server.faults() == []


def test_another_image_is_mounted_under_load(server: Server) -> None:
    """A new version with more charsets: the only moment in which a shared site has no image."""
    assert server.get("/big5.php").body == ""
    former, workers = libraries(server)
    assert former == {current(server)}
    server.publish(f"{DESCRIPTION}version: 1.1.0\njail: {{charsets: [BIG5, CP1252]}}\n", "example.yaml")
    said, report = upgraded(server, "apt-get", "-y", "install", "site-example-jail")
    print("another image:", report)
    assert report.failed <= report.requests / 50, (report, said)
    assert server.get("/big5.php").body == "a4a4"
    now, others = libraries(server)
    assert former != now == {current(server)}
    assert workers.isdisjoint(others), "they remember where links led"
    assert server.faults() == []


def test_an_upgrade_of_php_restarts_debians_master_and_the_sites_are_back_at_once(server: Server) -> None:
    server.bed.publish_upgrade("php-common", round=2)
    said, report = upgraded(server, "apt-get", "-y", "upgrade", slow_seconds=2)
    print("PHP:", report)
    assert all(re.search("status 503|status 502|reset|RemoteDisconnected", words) for words in report.failures), report
    assert report.failed < report.requests / 4, report
    assert replaced(server) == [] and server.get("/load.php?token=abc").body == "token abc\n"
    assert server.faults() == [], said
