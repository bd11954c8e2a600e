# SPDX-License-Identifier: GPL-2.0-or-later
"""A shared site whose chroot has the server's own /usr, as an administrator would bind it by hand. In order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

DESCRIPTION = """\
site: example
maintainer: Web Team <web@example.org>
domains: [example.org]
isolation: shared
jail: {libraries: bind}
cron: [{name: tick, schedule: daily, command: php tick.php}]
"""
JAIL = "/var/www/example"
PAGE = r"""<?php
$command = function (string ...$command) {
    if (!is_executable($command[0])) {
        return 'not there';
    }
    $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes, '/tmp');
    return trim(stream_get_contents($pipes[1])) . ' (' . proc_close($process) . ')';
};
echo json_encode([
    'lent' => $command('/usr/local/bin/lent', '-u'),
    'su' => $command('/usr/bin/su', '-c', 'id'),
    'greek' => bin2hex((string) iconv('UTF-8', 'ISO-8859-7', "\u{3b1}")),
    'root' => array_values(array_diff(scandir('/'), ['.', '..'])),
    'etc' => count(file('/etc/passwd')),
    'written' => @file_put_contents('/usr/local/x', 'x'),
]);
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one such site, and a set-uid program that lends root's rights to everybody."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(DESCRIPTION, "example.yaml")
    there.install("site-example-jail")
    there.run("install", "-m", "4755", "/usr/bin/id", "/usr/local/bin/lent")
    there.write_page("ask.php", PAGE, "example", "var/www/example/htdocs")
    there.write_page("tick.php", "<?php echo 'zone ', is_file('/usr/bin/su');", "example", "var/www/example/htdocs")
    yield there


def ask(server: Server) -> dict[str, Any]:
    """What a page of the site sees."""
    page = server.get("/ask.php")
    assert page.status == 200, page
    return dict(json.loads(page.body))


def mounted(server: Server) -> dict[str, list[str]]:
    """The options of each of the chroot's mounts, with their propagation."""
    table = server.run("findmnt", "-rno", "TARGET,OPTIONS,PROPAGATION").stdout.splitlines()
    rows = [line.split() for line in table if line.startswith(f"{JAIL}/")]
    assert len(rows) == len({row[0] for row in rows}), rows
    return {row[0].removeprefix(JAIL): [*row[1].split(","), row[2]] for row in rows}


def master(server: Server) -> str:
    return server.run("systemctl", "show", "-P", "MainPID", f"php{server.php}-fpm").stdout.strip()


def listing(server: Server) -> str:
    """A short name for all files of the server's /usr but this site's own."""
    names = "! -path '*example*' ! -path '*__pycache__*' ! -type d"
    return server.shell(f"find /usr -xdev {names} -printf '%p %y %m %U:%G %s %T@\\n' | sort | sha256sum").stdout


def test_every_probe_passes_in_the_servers_own_usr(server: Server) -> None:
    found = server.check()
    levels = {(one["topic"], one["name"]): one["level"] for one in found}
    assert not [one for one in found if one["level"] == "bad"], found
    assert {levels[key] for key in (("capability", "bind"), ("mounts", "/usr"), ("files", "/usr"))} == {"good"}
    assert {level for (topic, _), level in levels.items() if topic == "capability"} == {"good"}
    copies = json.loads(server.run("fpmjail", "files", "example", "--json").stdout)
    assert not [one for one in copies if one["type"] == "file" and one["path"].startswith("usr/")]


def test_it_is_mounted_once_read_only_and_private_however_often_it_is_asked_for(server: Server) -> None:
    for _ in range(2):
        server.run("fpmjail", "configure", "example")
        server.run("systemctl", "start", "var-www-example-usr.mount")
    seen = mounted(server)
    assert set(seen) == {"/.image", "/usr"}
    assert {"ro", "nosuid", "nodev", "private"} <= set(seen["/usr"])


def test_set_uid_programs_count_for_nothing_and_nothing_can_be_written(server: Server) -> None:
    uid = server.run("id", "-u", "_site-example").stdout.strip()
    outside = server.run("runuser", "-u", "_site-example", "--", "/usr/local/bin/lent", "-u").stdout
    assert outside.strip() == "0"
    seen = ask(server)
    assert seen["lent"] == f"{uid} (0)" and not seen["su"].endswith("(0)"), seen
    assert seen["written"] is False and not server.exists("/usr/local/x")
    assert seen["etc"] == 1 and "home" not in seen["root"] and seen["greek"] == "e1", seen


def test_commands_and_jobs_see_it_too(server: Server) -> None:
    said = server.run("fpmjail", "exec", "example", "--", "/usr/local/bin/lent", "-u").stdout
    assert said.strip() == server.run("id", "-u", "_site-example").stdout.strip()
    server.run("systemctl", "start", "site-example-jail-cron-tick.service")
    assert "zone 1" in server.container.journal("-u", "site-example-jail-cron-tick.service", "-o", "cat")


def test_an_upgrade_of_libc_is_a_new_generation_and_reloads_debians_master(server: Server) -> None:
    current = f"{JAIL}/.image/current"
    before, generation = server.shell(f"sha256sum /proc/{master(server)}/auxv").stdout, server.run("readlink", current)
    server.bed.publish_upgrade("libc6", round=1)
    server.apt("upgrade")
    server.settle()
    assert server.run("readlink", current).stdout != generation.stdout
    assert server.shell(f"sha256sum /proc/{master(server)}/auxv").stdout != before
    gone = [line for line in server.read(f"/proc/{master(server)}/maps").splitlines() if "(deleted)" in line]
    assert not [line for line in gone if "/dev/zero" not in line], gone
    assert server.faults() == [] and ask(server)["greek"] == "e1"


def test_a_lost_mount_is_said_with_the_way_to_it(server: Server) -> None:
    server.run("umount", "--lazy", f"{JAIL}/usr")
    found = next(one for one in server.faults() if (one["topic"], one["name"]) == ("mounts", "/usr"))
    assert "is mounted 0 times" in found["seen"], found
    server.shell(found["fix"])
    assert server.faults() == []


def test_a_site_goes_to_copies_and_back_however_busy_and_debians_master_stays(server: Server) -> None:
    pid = master(server)
    server.write_page("busy.php", "<?php exec('/bin/sleep 999 >/dev/null &');", "example", "var/www/example/htdocs")
    assert server.get("/busy.php").status == 200
    assert not server.run("umount", f"{JAIL}/usr", check=False).good
    for version, description, places in (
        ("1.1.0", DESCRIPTION.replace("jail: {libraries: bind}\n", "jail: {charsets: [ISO-8859-7]}\n"), {"/.image"}),
        ("1.2.0", DESCRIPTION.replace("bind}", "bind, proc: private}"), {"/.image", "/usr", "/proc"}),
    ):
        server.publish(f"{description}version: {version}\n", "example.yaml")
        server.apt("upgrade")
        assert set(mounted(server)) == places
        seen = ask(server)
        assert server.faults() == [] and seen["greek"] == "e1"
        assert (seen["lent"] == "not there") is ("/usr" not in places)
    assert master(server) == pid


def test_removed_and_purged_it_leaves_no_mount_and_the_servers_usr_unharmed(server: Server) -> None:
    before = listing(server)
    server.apt("remove", "site-example-jail")
    assert mounted(server) == {}
    server.run("rm", "-r", f"{JAIL}{JAIL}/htdocs")
    said = server.apt("purge", "site-example-jail").output
    assert not server.exists(JAIL), said
    assert not re.search("example", server.read("/proc/self/mountinfo"))
    assert listing(server) == before
