# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing runs as a site's user outside of its jail: whatever did would be a way out for the site's code."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

KEY = "/root/.ssh/key"
SITES = ("shared", "dedicated")
DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
isolation: {site}
php: {{extensions: [intl, mbstring, mysql, xml]}}
jail: {{proc: private}}
writable: [uploads/deep, cache]
sftp: {{keys: ["{key}"]}}
"""
CALL = re.compile(r"(\d+) +(execve|setresuid)\((.*?)\)")


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with sshd and pam_systemd, as most have them, and a site of each kind."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.shell(f"ssh-keygen -q -t ed25519 -N '' -f {KEY}; systemctl unmask ssh.service ssh.socket; mkdir -p /run/sshd")
    there.run("systemctl", "start", "ssh")
    for site in SITES:
        there.publish(DESCRIPTION.format(site=site, key=there.read(f"{KEY}.pub").strip()), f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in SITES))
    yield there


def uid(server: Server, site: str) -> str:
    return server.run("id", "-u", f"_site-{site}").stdout.strip()


def base(site: str) -> str:
    return f"/var/www/{site}" + (f"/var/www/{site}" if site == "shared" else "")


def programs_as(user: str, trace: str) -> list[str]:
    """What processes executed after they had become a user, in the words of strace(1)."""
    became: set[str] = set()
    found = []
    for pid, call, argument in CALL.findall(trace):
        if call == "setresuid" and user in argument.split(", "):
            became.add(pid)
        elif call == "execve" and pid in became:
            found.append(argument)
    return found


@pytest.mark.parametrize("site", SITES)
def test_no_program_runs_as_the_sites_user_while_its_directories_are_made(server: Server, site: str) -> None:
    root = f"{base(site)}/htdocs"
    server.run("rm", "-r", f"{root}/uploads")
    server.run("strace", "-f", "-e", "trace=execve,setresuid", "-o", "/run/trace", "fpmjail", "configure", site)
    trace = server.read("/run/trace")
    assert f"setresuid(-1, {uid(server, site)}, -1)" in trace
    assert programs_as(uid(server, site), trace) == []
    assert server.shell(f"stat -c '%U %a' {root}/uploads {root}/uploads/deep").stdout == f"_site-{site} 755\n" * 2


def open_session(server: Server, site: str) -> subprocess.Popen[str]:
    """An owner who is connected and does nothing."""
    asked = ["sftp", "-q", "-i", KEY, "-o", "StrictHostKeyChecking=no", f"_site-{site}@127.0.0.1"]
    session = server.container.popen(*asked, stdin=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not server.run("pgrep", "-u", f"_site-{site}", "sshd", check=False).good:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)  # what pam_systemd asks for takes its time
    return session


def outside(server: Server, site: str) -> str:
    """The names of those processes of a site's user that see all of the server."""
    each = "[ ! /proc/$pid/root -ef / ] || cat /proc/$pid/comm 2>/dev/null || :"
    return server.shell(f"for pid in $(pgrep -u _site-{site}); do {each}; done").stdout


@pytest.mark.parametrize("site", SITES)
def test_a_log_in_of_the_owner_starts_nothing_outside_of_the_site(server: Server, site: str) -> None:
    unit = f"/etc/systemd/system/user@{uid(server, site)}.service"
    session = open_session(server, site)
    assert outside(server, site) == ""
    assert server.faults(site) == []
    session.communicate(timeout=20)
    server.shell(f"rm {unit}; loginctl terminate-user _site-{site} || true")
    assert [fault["topic"] for fault in server.faults(site)] == ["sftp"]
    session = open_session(server, site)
    assert "systemd\n" in outside(server, site), (
        "pam_systemd starts nothing any more: then the mask is needed no longer"
    )
    session.communicate(timeout=20)
    server.run("fpmjail", "configure", site)
    assert server.shell(f"readlink {unit}").stdout == "/dev/null\n"


@pytest.mark.parametrize("site", SITES)
def test_a_site_that_is_off_leaves_the_account_as_it_was(server: Server, site: str) -> None:
    unit = f"/etc/systemd/system/user@{uid(server, site)}.service"
    server.run("fpmjail", "disable", site)
    assert not server.exists(unit)
    server.run("fpmjail", "enable", site)
    assert server.exists(unit) and server.faults(site) == []


def test_a_program_of_the_sites_user_outside_is_named(server: Server) -> None:
    server.shell("systemd-run -q --unit=stranger --uid=_site-shared sleep 1000")
    assert any("sleep" in fault["seen"] for fault in server.faults("shared")), server.faults("shared")
    server.run("systemctl", "stop", "stranger")
    assert server.faults("shared") == []
