# SPDX-License-Identifier: GPL-2.0-or-later
"""A refresh costs the same with many sites as with few, and a further site in a run of apt no program of its own:
counted in system calls, files and programs, not in seconds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench import many
from tests.bench.row import Bench
from tests.bench.rows.refresh import UPGRADE
from tests.lifecycle import load
from tests.lifecycle.container import Completed
from tests.lifecycle.load import Load, Report
from tests.lifecycle.repository import SigningKey
from tests.lifecycle.server import Server

FEW, MANY = 2, 42
FOUR, TWO, TEN, PAIR, LATE, FRESH = (
    slice(MANY + start, MANY + end) for start, end in ((0, 4), (4, 6), (6, 16), (16, 18), (18, 28), (28, 30))
)
"""The sites of runs of dpkg; one is broken in the first."""
BROKEN, LEADER, LEFT = (many.name(MANY + number) for number in (2, 16, 17))
OF_A_SITE = re.compile(r"s000\d\d")
WRITES = re.compile(r"^\d+ +(rename|unlink|mkdir|rmdir|symlink|link|chmod|chown|utime|mknod)\w*\(|O_CREAT|O_TRUNC")
STARTED = re.compile(r'execve\("[^"]*/([^"/]+)", \["[^"]*"(?:, "--quiet", "--no-ask-password")?(?:, "([^"]*)")?')
SLEEPS, TAKEN, BUSY = 0, 1, 2
"""Of the sites that are upgraded: one without a process, one whose directory is not root's, one with visitors."""
MASKED = 1
"""Of the new ones: one whose socket an administrator has masked."""
A_FEW_CALLS = 8
"""The most calls for one further site: its site.json is looked at, opened and read."""
OF_DPKG = 7
"""The programs that dpkg starts for any package: dpkg-split, dpkg-deb twice, tar, rm, preinst, postinst."""
PHP = ("site-*-jail.service", "site-*-jail-standby@*.service")
"""The services that have a site's socket."""
AWAKE = 8
"""So many sites stay awake where there is hardly any memory (fpmjail.waking)."""
WAITED = 6
"""Programs that ask whether something is up yet: as many as that takes time, whatever the number of sites."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The system calls on files, and the programs started, of one refresh."""

    calls: tuple[str, ...]

    @property
    def of_sites(self) -> int:
        """How many calls name anything of any site's."""
        return sum(bool(OF_A_SITE.search(call)) for call in self.calls)

    @property
    def of_none(self) -> int:
        """How many are the same for all sites."""
        return len(self.calls) - self.of_sites

    @property
    def writes(self) -> tuple[str, ...]:
        """The calls that change a file or directory."""
        return tuple(call for call in self.calls if WRITES.search(call))

    @property
    def programs(self) -> int:
        """How many programs were started."""
        return sum(" execve(" in call and call.endswith(" = 0") for call in self.calls)


@dataclass(frozen=True, slots=True)
class Traces:
    """The refresh after an upgrade of libc6, and the one with nothing to do."""

    upgraded: Trace
    nothing: Trace


@pytest.fixture(scope="module")
def bench(release: str, tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Bench:
    """Where the packages of many sites are built."""
    return Bench(release, MANY, 1, tmp_path_factory.mktemp("bench"), key=signing_key)


@pytest.fixture(scope="module")
def place(bench: Bench) -> Iterator[tuple[Server, list[Path]]]:
    """A server without a site, and the packages of some."""
    debs = many.packages(bench, FRESH.stop)
    with many.server(bench) as server:
        yield server, debs


@pytest.fixture(scope="module")
def traces(place: tuple[Server, list[Path]]) -> tuple[Traces, Traces]:
    """With few sites, then with many on the same server."""
    server, debs = place
    many.unpack(server, debs[:FEW])
    traced(server)  # the first switch has no generation before the one before, which would have to go
    few = traced(server)
    many.unpack(server, debs[FEW:MANY])
    return few, traced(server)


@dataclass(frozen=True, slots=True)
class Runs:
    """What apt said with a broken site among others and whether that one was switched on nevertheless, what dpkg said
    when it was mended, and how many programs two runs without a broken one started."""

    broken: Completed
    switched_on: bool
    mended: Completed
    few: int
    plenty: int


@pytest.fixture(scope="module")
def runs(place: tuple[Server, list[Path]], traces: tuple[Traces, Traces]) -> Runs:
    """On a server that has many sites already."""
    server, debs = place
    server.shell(f"mkdir -p /var/www/{BROKEN} && chown www-data /var/www/{BROKEN}")
    broken, _ = installed(server, debs[FOUR])
    switched_on = server.exists(f"/etc/apache2/sites-enabled/site-{BROKEN}-jail.conf")
    server.run("chown", "root:root", f"/var/www/{BROKEN}")
    mended = server.run("dpkg", "--configure", "--pending", check=False)
    counts = [programs for answer, programs in (installed(server, debs[some]) for some in (TWO, TEN)) if answer.good]
    return Runs(broken, switched_on, mended, *counts)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """New versions of sites, and two new sites, in one run of apt: what it said, the programs that it started with the
    first word after the name of each, the sites that had a PHP after it, and how the requests to one went meanwhile."""

    said: Completed
    programs: tuple[str, ...]
    awake: frozenset[str]
    load: Report


@pytest.fixture(scope="module")
def upgrade(bench: Bench, place: tuple[Server, list[Path]], runs: Runs) -> Upgrade:
    """Of TEN sites one sleeps, and the directory of one is not root's any more; the others run. The socket of a new
    site is masked."""
    server, debs = place
    names = sites(debs[TEN])
    for name in names:
        server.write_page("index.php", "<?php echo ini_get('memory_limit');", name)
    server.write_page("load.php", load.PAGE, names[BUSY])
    server.run("systemctl", "start", *(f"site-{name}-jail.service" for name in names))
    server.run("systemctl", "stop", f"site-{names[SLEEPS]}-jail.service")
    server.run("chown", "www-data", f"/var/www/{names[TAKEN]}")
    server.run("systemctl", "mask", f"site-{sites(debs[FRESH])[MASKED]}-jail.socket")
    newer = many.packages(bench, TEN.stop, "php: {settings: {memory_limit: 77M}}\n", "1.1.0")
    host = f"{names[BUSY]}.example.org"
    with Load(server.container, host=host, path="/load.php", slow_seconds=3) as requests:
        said, _ = installed(server, [*newer[TEN], *debs[FRESH]])
    programs = tuple(" ".join(words) for words in re.findall(STARTED, server.read("/root/trace")))
    return Upgrade(said, programs, awake(server), requests.report())


def sites(debs: list[Path]) -> list[str]:
    """The names of the sites of packages."""
    return [deb.name.partition("_")[0].removeprefix("site-").removesuffix("-jail") for deb in debs]


def installed(server: Server, debs: list[Path]) -> tuple[Completed, int]:
    """Install packages in one run of apt; what it said, and how many programs it started."""
    server.bed.sites.publish(*debs)
    server.apt("update")
    names = " ".join(deb.name.partition("_")[0] for deb in debs)
    strace = "strace -f -qq -e trace=execve -e signal=none -o /root/trace"
    answer = server.shell(f"DEBIAN_FRONTEND=noninteractive {strace} apt-get install -y {names}", check=False)
    return answer, Trace(tuple(server.read("/root/trace").splitlines())).programs


def traced(server: Server) -> Traces:
    """Bring everything up to date, then trace one refresh after an upgrade and one with nothing to do."""
    server.run("fpmjail", "refresh")
    server.settle()
    server.run("python3", "-c", UPGRADE)
    upgraded = trace(server)
    server.settle()
    trace(server)  # a complete look, that leaves the list for the next one
    return Traces(upgraded, trace(server))


def trace(server: Server) -> Trace:
    """Trace `fpmjail refresh` and all that it starts."""
    strace = "strace -f -qq -e trace=%file -e signal=none -o /root/trace"
    server.run(*strace.split(), "fpmjail", "refresh")
    return Trace(tuple(server.read("/root/trace").splitlines()))


def test_a_refresh_after_an_upgrade_only_reads_the_description_of_a_further_site(
    traces: tuple[Traces, Traces],
) -> None:
    few, plenty = (one.upgraded for one in traces)
    assert plenty.of_sites - few.of_sites <= (MANY - FEW) * A_FEW_CALLS
    assert plenty.of_sites > few.of_sites, "nothing of the sites was looked at: what was traced?"


def test_what_a_refresh_writes_does_not_depend_on_the_number_of_sites(traces: tuple[Traces, Traces]) -> None:
    few, plenty = (one.upgraded for one in traces)
    assert len(few.writes) > 100, "an image was made"
    assert len(plenty.writes) <= len(few.writes) + 20, plenty.writes
    assert plenty.programs <= few.programs + 2
    assert plenty.of_none <= few.of_none * 1.2


def test_a_refresh_with_nothing_to_do_looks_at_each_site_twice_at_most(traces: tuple[Traces, Traces]) -> None:
    few, plenty = (one.nothing for one in traces)
    assert plenty.of_sites - few.of_sites <= (MANY - FEW) * 2
    assert plenty.of_none <= few.of_none + 10
    assert plenty.programs == few.programs == 1 and len(plenty.writes) == len(few.writes) <= 1, plenty.writes


def test_a_further_site_in_a_run_of_apt_starts_no_program_beyond_those_of_any_package(runs: Runs) -> None:
    assert runs.few > 2 * OF_DPKG, "no program was started: what was traced?"
    assert runs.plenty - runs.few <= 8 * OF_DPKG + WAITED


def test_of_many_sites_in_one_run_the_broken_one_fails_alone_and_is_named(
    place: tuple[Server, list[Path]], runs: Runs
) -> None:
    server, debs = place
    said = runs.broken.output
    assert not runs.broken.good and f"/var/www/{BROKEN} cannot be root's own directory" in said
    assert said.count(f"dpkg: error processing package site-{BROKEN}-jail") == 1 and not runs.switched_on
    names = sites(debs[FOUR])
    assert all((f"{name}: is ready" in said) is (name != BROKEN) for name in names)
    assert f"{BROKEN}: is ready" in runs.mended.output
    sound = next(name for name in names if name != BROKEN)
    server.write_page("index.php", "<?php echo 'hello';", sound)
    assert server.get("/index.php", f"{sound}.example.org").body == "hello"
    assert server.run("systemctl", "is-enabled", f"site-{sound}-jail.socket").stdout.strip() == "enabled"
    assert f"site-{sound}-jail (enabled by maintainer script)" in server.run("a2query", "-s").output
    found = json.loads(server.run("fpmjail", "check", "--jail-only", "--json", *names, check=False).stdout)
    assert [one for name in names for one in found[name] if one["level"] == "bad"] == []


def test_a_site_that_was_configured_for_a_run_of_dpkg_that_never_came_to_it_goes_without_a_trace(
    place: tuple[Server, list[Path]], runs: Runs
) -> None:
    server, debs = place
    server.bed.sites.publish(*debs[PAIR])
    server.apt("update")
    server.shell(f"mkdir -p /var/www/{LEADER} && chown www-data /var/www/{LEADER}")
    server.shell(f"cd /root && apt-get download site-{LEADER}-jail site-{LEFT}-jail && dpkg --unpack ./site-*.deb")
    assert not server.run("dpkg", "--configure", f"site-{LEADER}-jail", check=False).good
    assert not server.exists(f"/var/lib/fpmjail/jails/{LEFT}"), "dpkg was told to configure one site only"
    server.run("chown", "root:root", f"/var/www/{LEADER}")
    postinst = f"DPKG_MAINTSCRIPT_NAME=postinst fpmjail configure {LEADER}; :"
    server.run("sh", "-c", f"sh -c '{postinst}'; :", "dpkg", "--pending")
    assert server.run("systemctl", "is-active", f"site-{LEFT}-jail.service").stdout.strip() == "active"
    server.run("dpkg", "--remove", f"site-{LEFT}-jail")
    assert LEFT not in server.shell("systemctl list-units --plain --no-legend; cat /proc/self/mountinfo").stdout
    assert LEFT not in server.shell("ls /etc/apache2/sites-enabled; ps -eo user:30").stdout
    server.run("apache2ctl", "configtest")
    server.run("dpkg", "--configure", "--pending")


def test_new_versions_of_many_sites_in_one_run_are_configured_together(
    place: tuple[Server, list[Path]], upgrade: Upgrade
) -> None:
    server, debs = place
    names, fresh = sites(debs[TEN]), sites(debs[FRESH])
    taken, masked = names.pop(TAKEN), fresh.pop(MASKED)
    assert f"with it {len(names) + 2} more that wait for dpkg are configured" in upgrade.said.output
    assert all(server.get("/index.php", f"{name}.example.org").body == "77M" for name in names)
    assert [server.run("systemctl", "is-enabled", f"site-{name}-jail.socket").stdout.strip() for name in fresh] == [
        "enabled"
    ]
    configured = [words for words in upgrade.programs if words == "fpmjail configure"]
    reloads = [words for words in upgrade.programs if words == "systemctl daemon-reload"]
    assert len(configured) == 1 and 1 <= len(reloads) <= 2, upgrade.programs
    assert not upgrade.said.good and upgrade.said.output.count("dpkg: error processing package") == 2
    assert f"/var/www/{taken} cannot be root's own directory" in upgrade.said.output
    assert f"site-{masked}-jail.socket is masked" in upgrade.said.output
    server.run("chown", "root:root", f"/var/www/{taken}")
    server.run("systemctl", "unmask", f"site-{masked}-jail.socket")
    assert server.run("dpkg", "--configure", "--pending").good
    assert server.get("/index.php", f"{taken}.example.org").body == "77M"
    assert server.run("systemctl", "is-enabled", f"site-{masked}-jail.socket").stdout.strip() == "enabled"


def test_a_site_that_slept_sleeps_again_after_the_upgrade_and_the_others_are_up(
    place: tuple[Server, list[Path]], upgrade: Upgrade
) -> None:
    slept, _, busy, *others = sites(place[1][TEN])
    assert slept not in upgrade.awake and {busy, *others} <= upgrade.awake


def test_while_many_sites_are_upgraded_no_request_to_one_of_them_fails(upgrade: Upgrade) -> None:
    assert upgrade.load.requests > 50 and not upgrade.load.failed, upgrade.load


def test_sites_get_accounts_where_all_numbers_of_system_accounts_but_those_of_packages_are_taken(
    place: tuple[Server, list[Path]], runs: Runs
) -> None:
    server, debs = place
    lines = ["r - 300-999", *(f"u taken{number} -" for number in range(700))]
    server.write("/root/taken.conf", "\n".join(lines) + "\n")
    server.run("systemd-sysusers", "/root/taken.conf")
    with short_of_memory(server):
        answer, _ = installed(server, debs[LATE])
    names = sites(debs[LATE])
    assert answer.good and all(f"{name}: is ready" in answer.output for name in names), answer.output
    assert len(awake(server) & set(names)) <= AWAKE
    for name in names[-3:]:
        number = server.run("id", "-u", f"_site-{name}").stdout.strip()
        assert 30000 <= int(number) <= 37999
        server.write_page("index.php", "<?php echo posix_getuid();", name)
        assert server.get("/index.php", f"{name}.example.org").body == number
    server.run("adduser", "--quiet", "--system", "daemon-of-a-package")
    assert int(server.run("id", "-u", "daemon-of-a-package").stdout) < 300


def test_a_check_of_all_sites_lets_those_sleep_again_that_memory_has_no_room_for(
    place: tuple[Server, list[Path]], runs: Runs
) -> None:
    server, debs = place
    server.run("systemctl", "stop", *PHP)
    kept = sites(debs[TEN])[0]
    server.run("systemctl", "start", f"site-{kept}-jail.service")
    with short_of_memory(server):
        found = json.loads(server.run("fpmjail", "check", "--all", "--jail-only", "--json", check=False).stdout)
    assert len(found) > 2 * AWAKE
    assert awake(server) == {kept}


@contextmanager
def short_of_memory(server: Server) -> Iterator[None]:
    """Let the server believe that there is hardly any left."""
    server.write("/root/meminfo", "MemTotal: 500000 kB\nMemAvailable: 1000 kB\n")
    server.run("mount", "--bind", "/root/meminfo", "/proc/meminfo")
    try:
        yield
    finally:
        server.run("umount", "/proc/meminfo")


def awake(server: Server) -> frozenset[str]:
    """The sites that have a PHP, be it for a moment the one that answers while a request to the one before lasts."""
    listing = server.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active", *PHP)
    return frozenset(re.findall(r"^site-(.*?)-jail\b", listing.stdout, re.MULTILINE))
