# SPDX-License-Identifier: GPL-2.0-or-later
"""Many sites on one server: who is not asked for costs nothing, and what is done for all of them does not grow with
their number."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lifecycle import load
from tests.lifecycle.bed import Bed
from tests.lifecycle.load import Load
from tests.lifecycle.server import Server

DESCRIPTION = """\
site: {name}
maintainer: Ann Other <ann@example.org>
domains: [{name}.example.org]
version: {version}
php:
  idle_after: 60s
  pool: {{request_timeout: 300s}}
  settings: {{memory_limit: {memory}}}
web: {{tls: none}}
jail: {{mounts: {mounts}}}
"""
HOLD = """\
<?php
for ($end = time() + 280; time() < $end && !file_exists(__DIR__ . '/go'); clearstatcache()) {
    usleep(20000);
}
echo file_exists(__DIR__ . '/go') ? "in peace\\n" : "nobody let it go\\n";
"""
SHORT = 20.0  # seconds; nobody lets the long request go before a short one that waited for it has failed


def description(name: str, mounts: str = "host", memory: str = "96M", version: str = "1.0.0") -> str:
    return DESCRIPTION.format(name=name, mounts=mounts, memory=memory, version=version)


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one site whose image a unit mounts, and one whose service does; nobody but the tests looks after
    idle sites."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for name, mounts in (("alpha", "host"), ("beta", "private")):
        there.publish(description(name, mounts), f"{name}.yaml")
    there.install("site-alpha-jail", "site-beta-jail")
    there.run("systemctl", "stop", "fpmjail-idle.timer")
    for name in ("alpha", "beta"):
        there.write_page("load.php", load.PAGE, site=name)
        there.write_page("hold.php", HOLD, site=name)
    yield there


def services(server: Server, name: str) -> list[str]:
    """The services of a site that have a process."""
    listed = server.run("systemctl", "list-units", "--plain", "--no-legend", "--all", f"site-{name}-jail*.service")
    lines = [line.split() for line in listed.stdout.splitlines()]
    return [line[0] for line in lines if line[2] not in ("inactive", "failed")]


def answered(server: Server, name: str) -> str:
    return server.get("/load.php?token=abc", f"{name}.example.org").body


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def long_request(server: Server, name: str) -> Iterator[subprocess.Popen[str]]:
    """A request in flight that ends when the block does, and then must end in peace."""
    asked = ("curl", "-sS", "-m", "300", "-H", f"Host: {name}.example.org", "http://127.0.0.1/hold.php")
    go, socket = f"/var/www/{name}/htdocs/go", f"/run/fpmjail/{name}.sock"
    server.run("rm", "-f", go)
    with server.container.popen(*asked) as process:
        until(lambda: server.read("/proc/net/unix").count(socket) > 1)
        try:
            yield process
            assert process.poll() is None, "it was to be in flight all the time"
        finally:
            server.run("touch", go)
        assert process.communicate()[0] == "in peace\n"


def rest(server: Server, *names: str) -> None:
    """Let a site have had its last request long ago, as far as the last look at it knows."""
    server.run("fpmjail", "tend")
    known = json.loads(server.read("/run/fpmjail/idle.json"))
    for name in names:
        known[name][1] = 0.0
    server.write("/run/fpmjail/idle.json", json.dumps(known))


def test_the_image_of_a_private_site_is_in_nobodys_mount_table_but_its_own(server: Server) -> None:
    assert answered(server, "beta") == "token abc\n"
    table = server.read("/proc/self/mountinfo")
    assert "/jails/alpha/.image " in table and "/jails/beta/" not in table
    pid = server.run("systemctl", "show", "-P", "MainPID", "site-beta-jail").stdout.strip()
    own = re.search(r" /\.image (\S+)", server.read(f"/proc/{pid}/mountinfo"))
    assert own and "ro" in own[1].split(",")


def test_commands_and_checks_know_the_image_of_a_private_site(server: Server) -> None:
    version = server.run("fpmjail", "exec", "beta", "--", "php", "-r", "echo PHP_VERSION;").stdout
    assert version.startswith(server.php)
    assert server.faults("beta") == []
    server.run("mount", "--bind", "-o", "ro", "/srv", "/var/lib/fpmjail/jails/beta/.image")
    try:
        assert [(one["topic"], one["name"]) for one in server.faults("beta")] == [("mounts", "image")]
    finally:
        server.run("umount", "/var/lib/fpmjail/jails/beta/.image")


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_a_site_without_requests_has_no_process_until_the_next_one(server: Server, name: str) -> None:
    assert answered(server, name) == "token abc\n"
    rest(server, name)
    server.run("fpmjail", "tend")
    assert services(server, name) == []
    assert server.run("pgrep", "-u", f"_site-{name}", check=False).stdout == ""
    (row,) = (row for row in server.status()["sites"] if row["name"] == name)
    assert (row["service"], row["warnings"]) == ("idle", [])
    assert answered(server, name) == "token abc\n"
    assert services(server, name) == [f"site-{name}-jail.service"]


def test_a_request_in_flight_or_a_moment_ago_keeps_a_site_up(server: Server) -> None:
    assert answered(server, "alpha") == "token abc\n"
    rest(server, "alpha")
    answered(server, "alpha")
    server.run("fpmjail", "tend")
    assert services(server, "alpha") == ["site-alpha-jail.service"]
    with long_request(server, "alpha"):
        rest(server, "alpha")
        server.run("fpmjail", "tend")
        assert services(server, "alpha") == ["site-alpha-jail.service"]


STOP = """
import sys, time
sys.path.insert(0, "/usr/share/fpmjail")
from fpmjail import handover, site
from fpmjail.layout import Layout
layout = Layout()
alpha = site.load(layout.sites / "alpha" / "site.json")
for _ in range(8):
    now = handover.look(layout, alpha)
    if now.pid and now.serving == now.pid:
        handover.rest(layout, alpha, now.pid)
    time.sleep(0.5)
"""


def test_no_request_fails_that_comes_while_its_site_is_stopped(server: Server) -> None:
    with Load(server.container, host="alpha.example.org", path="/load.php", slow_seconds=3) as requests:
        server.run("python3", "-c", STOP)
        server.run("fpmjail", "tend")
    report = requests.report()
    assert report.requests > 20 and report.slow_requests >= 1, report
    assert not report.failed, report


def test_a_new_version_takes_the_socket_over_while_a_long_request_ends_in_peace(server: Server) -> None:
    server.write_page("limit.php", "<?php echo ini_get('memory_limit');", site="alpha")
    assert server.get("/limit.php", "alpha.example.org").body == "96M"
    with long_request(server, "alpha"):
        server.publish(description("alpha", memory="97M", version="1.1.0"), "alpha.yaml")
        server.install("site-alpha-jail")
        assert server.get("/limit.php", "alpha.example.org").body == "97M"
        assert "standby" in " ".join(services(server, "alpha"))
        for _ in range(2):
            server.run("fpmjail", "tend")  # tells the old master once more each time, which must not end its request
        assert len(services(server, "alpha")) == 2
    until(lambda: server.run("fpmjail", "tend").good and services(server, "alpha") == ["site-alpha-jail.service"])
    assert server.get("/limit.php", "alpha.example.org").body == "97M"


def test_after_an_upgrade_of_libc_new_requests_do_not_wait_for_a_long_one(server: Server) -> None:
    assert answered(server, "alpha") == answered(server, "beta") == "token abc\n"
    server.bed.publish_upgrade("libc6", round=5)
    before = server.truth("alpha")["generation"]
    options = {"slow_seconds": 1, "timeout": SHORT}
    with (
        long_request(server, "alpha"),
        Load(server.container, host="alpha.example.org", path="/load.php", **options) as busy,
        Load(server.container, host="beta.example.org", path="/load.php", **options) as other,
    ):
        server.apt("upgrade")
        server.settle()
    for report in (busy.report(), other.report()):
        assert report.requests > 20 and not report.failed, report
    until(lambda: server.run("fpmjail", "tend").good and services(server, "alpha") == ["site-alpha-jail.service"])
    assert server.assert_true_to_host("alpha") != before
    server.assert_true_to_host("beta")


DROP_IN = "/etc/systemd/system/site-alpha-jail.service.d/override.conf"


def open_files(server: Server, unit: str) -> str:
    """How many files a service's main process may have open."""
    pid = server.run("systemctl", "show", "-P", "MainPID", unit).stdout.strip()
    return server.read(f"/proc/{pid}/limits").partition("Max open files")[2].split()[0]


def units_found(server: Server) -> dict[str, str]:
    (found,) = [one for one in server.check("alpha") if one["name"] == "units"]
    return dict(found)


def test_a_drop_in_for_the_service_holds_for_the_standby_that_replaces_it(server: Server) -> None:
    """Where `systemctl edit` puts it and `systemctl revert` takes it away."""
    server.write(DROP_IN, "[Service]\nLimitNOFILE=4321\n")
    server.run("systemctl", "daemon-reload")
    assert answered(server, "alpha") == "token abc\n"
    server.shell(f"echo '; drop-in' >>/etc/php/{server.php}/fpm/php.ini")
    with long_request(server, "alpha"):
        server.run("fpmjail", "refresh")
        (standby,) = [unit for unit in services(server, "alpha") if "standby" in unit]
        assert answered(server, "alpha") == "token abc\n"
        assert open_files(server, standby) == "4321"
    until(lambda: server.run("fpmjail", "tend").good and services(server, "alpha") == ["site-alpha-jail.service"])
    assert open_files(server, "site-alpha-jail.service") == "4321"
    assert units_found(server)["level"] == "good"
    server.run("systemctl", "revert", "site-alpha-jail.service")
    assert not server.exists(DROP_IN.rpartition("/")[0])
    for unit in ("site-alpha-jail.service", "site-alpha-jail-standby@0.service"):
        assert server.run("systemctl", "show", "-P", "DropInPaths", unit).stdout.strip() == ""


def test_a_drop_in_that_does_not_hold_for_the_standby_is_found(server: Server) -> None:
    place = "/run/systemd/system/site-alpha-jail.service.d/passing.conf"
    server.write(place, "[Service]\nLogRateLimitBurst=500\n")
    server.run("systemctl", "daemon-reload")
    found = units_found(server)
    assert found["level"] == "warning" and f"{place} is not in force for the standby" in found["seen"]
    server.write(DROP_IN, server.read(place))
    server.shell(f"rm {place}; systemctl daemon-reload")
    assert units_found(server)["level"] == "good"
    server.run("systemctl", "revert", "site-alpha-jail.service")


# What fpmjail calls stands still at a moment of a hand-over, until fpmjail is gone.
STAND_STILL = """\
#!/bin/sh
stand_still() { touch /run/moment; while kill -0 $PPID 2>/dev/null; do sleep 0.1; done; exit 1; }
case $* in
*"--signal=SIGQUIT site-alpha-jail.service") [ "$MOMENT" = told ] && stand_still;;
"show --property MainPID site-alpha-jail-standby@"*)
    [ "$MOMENT" = chosen ] && { /usr/bin/systemctl "$@"; stand_still; };;
esac
exec /usr/bin/systemctl "$@"
"""
MOMENTS = {"the new master was not looked at yet": "chosen", "the old master was marked and not told": "told"}


def kill_a_refresh(server: Server, moment: str) -> None:
    """A refresh that brings a new generation dies at a moment of its hand-over."""
    server.shell(f"rm -f /run/moment; echo '; {time.time()}' >>/etc/php/{server.php}/fpm/php.ini")
    environment = {"PATH": "/usr/local/fault:/usr/sbin:/usr/bin:/sbin:/bin", "MOMENT": moment}
    with server.container.popen("fpmjail", "refresh", env=environment) as refresh:
        until(lambda: server.exists("/run/moment") or refresh.poll() is not None)
        assert refresh.poll() is None, refresh.communicate()
        server.run("pkill", "-KILL", "-f", "[b]in/fpmjail refresh")
        refresh.communicate()


def generation_of(server: Server, unit: str) -> set[str]:
    """The generations that a service's main process maps."""
    pid = server.run("systemctl", "show", "-P", "MainPID", unit).stdout.strip()
    return set(re.findall("/([0-9a-f]{16})/usr/", server.read(f"/proc/{pid}/maps")))


@pytest.mark.parametrize("finish", ["fpmjail refresh", "fpmjail tend"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_hand_over_that_is_killed_while_two_masters_answer_is_finished_by_the_next_run(
    server: Server, moment: str, finish: str
) -> None:
    server.shell("systemctl stop fpmjail-refresh.path fpmjail-live.path fpmjail-refresh.timer")
    server.shell("systemctl stop 'fpmjail-refresh*.service'")
    server.write("/usr/local/fault/systemctl", STAND_STILL, mode=0o755)
    assert answered(server, "alpha") == "token abc\n"
    old = generation_of(server, "site-alpha-jail.service")
    with Load(server.container, host="alpha.example.org", path="/load.php", slow_seconds=1) as requests:
        kill_a_refresh(server, MOMENTS[moment])
        first, standby = sorted(services(server, "alpha"), key=len)
        new = generation_of(server, standby)
        assert (first, generation_of(server, first)) == ("site-alpha-jail.service", old) and len(new | old) == 2
        for _ in range(20):
            assert answered(server, "alpha") == "token abc\n"
        server.run(*finish.split())
        until(lambda: server.run("fpmjail", "tend").good and services(server, "alpha") == [first])
        assert generation_of(server, first) == new
    report = requests.report()
    assert report.requests > 20 and report.slow_requests >= 1 and not report.failed, report
    assert server.run("fpmjail", "refresh").good
    assert {server.assert_true_to_host("alpha")} == new
    until(lambda: server.run("fpmjail", "tend").good and server.run("ls", "/run/fpmjail/leaving").stdout == "")
    assert server.faults("alpha") == []


MORE = 27  # sites that nobody asks for
FORGE = """
cd /usr/share/fpmjail/sites
for number in $(seq "$1" "$2"); do
    mkdir "idle$number"
    sed "s/beta/idle$number/g" beta/site.json >"idle$number/site.json"
done
"""
TRACE = """
php=$(echo /etc/php/*/fpm/php.ini)
echo "; $1" >>"$php"
strace -f -qq -o "/root/trace.$1" -e trace=%file,%process,fchmod,fchown fpmjail refresh
"""
WRITES = re.compile(r"\b(mkdir|rename|unlink|rmdir|symlink|link|f?chmod|f?chown|mknod|utime|O_CREAT)")


def refreshed(server: Server, mark: str) -> list[str]:
    """The system calls that concern files and processes, of a refresh that brings a new generation."""
    server.shell("systemctl stop fpmjail-refresh.path fpmjail-live.path; systemctl stop 'fpmjail-refresh*.service'")
    assert answered(server, "alpha") == answered(server, "beta") == "token abc\n"
    said = server.run("sh", "-euc", TRACE, "trace", mark, timeout=600).stdout
    assert "switched to a new generation" in said
    return server.read(f"/root/trace.{mark}").splitlines()


def test_a_refresh_touches_nothing_of_sites_that_do_not_run(server: Server) -> None:
    few = refreshed(server, "few")
    server.run("sh", "-euc", FORGE, "forge", "1", str(MORE))
    try:
        many = refreshed(server, "many")
    finally:
        server.shell("rm -r /usr/share/fpmjail/sites/idle*")
    started = [sum("execve(" in call and call.endswith("= 0") for call in calls) for calls in (few, many)]
    about = [call for call in many if re.search(r"/idle\d", call)]
    assert not [call for call in about if WRITES.search(call)]
    assert not [call for call in about if "/usr/share/fpmjail/sites/idle" not in call]
    assert len(about) <= 20 * MORE
    # Waiting for a master to come up takes a few looks more or less.
    assert started[1] <= started[0] + 10, started


def reloads(server: Server) -> int:
    """How often systemd has read all units anew; its versions end the word by one dot or three."""
    lines = server.container.journal("-o", "cat", "_PID=1", lines=100000).splitlines()
    return sum(line in ("Reloading.", "Reloading...") for line in lines)


def test_a_site_can_change_who_mounts_its_image(server: Server) -> None:
    before = reloads(server)
    for name, mounts in (("alpha", "private"), ("beta", "host")):
        server.publish(description(name, mounts, "98M", "1.2.0"), f"{name}.yaml")
    server.install("site-alpha-jail", "site-beta-jail")
    assert reloads(server) <= before + 1, "once for all packages of a run"
    table = server.read("/proc/self/mountinfo")
    assert "/jails/alpha/" not in table and "/jails/beta/.image " in table
    for name in ("alpha", "beta"):
        assert answered(server, name) == "token abc\n"
        assert server.faults(name) == []
