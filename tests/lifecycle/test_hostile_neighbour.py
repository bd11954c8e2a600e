# SPDX-License-Identifier: GPL-2.0-or-later
"""A site that does what it can against the work on its server: no other site, nor dpkg or logrotate, waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

DESCRIPTION = """\
site: {site}
version: {version}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
writable: [uploads]
"""
SOCKETS = """<?php
ignore_user_abort(true);
set_time_limit(0);
$row = "0: 00000003 00000000 00000000 0001 03 1 /run/fpmjail/victim.sock";
$names = ["/tmp/\\xff", "\\0a\\na b c zz e f g h", "\\0\\x85 1: 0 0 zz", "\\0a\\n$row"];
$held = array_map(fn($name) => stream_socket_server("unix://$name"), $names);
echo count(array_filter($held));
flush();
fastcgi_finish_request();
sleep(60);
"""
CONNECTIONS = """
import sys
sys.path.insert(0, "/usr/share/fpmjail")
from fpmjail import connections
print(connections.by_path().get("/run/fpmjail/victim.sock"))
"""
STOPS = """\
import os, signal, time
own = {name for name in os.listdir("/proc") if name.isdigit()}
ended = time.monotonic() + 40
while time.monotonic() < ended:
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and name not in own and not open(f"/proc/{name}/comm").read().startswith("php-fpm"):
                os.kill(int(name), signal.SIGSTOP)
        except OSError:
            pass
"""
BREAKS_ITSELF = """\
before=$(readlink /var/lib/fpmjail/jails/evil/.image/current)
until [ "$(readlink /var/lib/fpmjail/jails/evil/.image/current)" != "$before" ]; do :; done
chmod 000 /var/lib/fpmjail/jails/evil/tmp
"""
SOON = 30


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two sites with the same image."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site in ("evil", "victim"):
        there.publish(DESCRIPTION.format(site=site, version="1.0.0"), f"{site}.yaml")
    there.install("site-evil-jail", "site-victim-jail")
    for site in ("evil", "victim"):
        there.write_page("index.php", "<?php echo 'hello';", site)
    there.settle()
    there.quiet()
    yield there


@contextmanager
def as_evil(server: Server, code: str) -> Iterator[None]:
    """Something that runs as the site's user meanwhile."""
    server.write("/srv/evil.py", code)
    server.run("systemd-run", "-q", "--unit=evil", "--uid=_site-evil", "python3", "/srv/evil.py")
    try:
        yield
    finally:
        server.run("systemctl", "kill", "--signal=KILL", "evil", check=False)


def generation(server: Server) -> str:
    return str(server.truth("victim")["generation"])


def test_sockets_of_any_name_keep_no_site_from_its_refresh(server: Server) -> None:
    server.write_page("sockets.php", SOCKETS, "evil")
    assert server.get("/sockets.php", "evil.example.org").body == "4"
    assert "zz" in server.run("cat", "/proc/net/unix").stdout
    before = generation(server)
    server.shell(f"echo '; anew' >>/etc/php/{server.php}/fpm/php.ini")
    said = server.run("fpmjail", "refresh").output
    assert "Error" not in said and generation(server) != before, said
    server.assert_true_to_host("victim")
    assert server.run("fpmjail", "tend").output == ""
    assert server.run("python3", "-c", CONNECTIONS).stdout == "None\n"
    assert server.faults("victim") == []


def test_a_site_that_stops_processes_keeps_dpkg_waiting_no_longer(server: Server) -> None:
    uploads = "/var/www/evil/htdocs/uploads"
    with as_evil(server, STOPS):
        for _ in range(5):
            server.run("rmdir", uploads)
            server.run("fpmjail", "configure", "evil", timeout=SOON)
            assert server.exists(uploads)
    assert server.get("/", "victim.example.org").body == "hello"


def test_a_fifo_among_a_sites_logs_keeps_no_log_from_being_rotated(server: Server) -> None:
    logs = "/var/log/fpmjail/evil"
    server.shell(f"cd {logs}; rm -f *; echo x >php.log; mkfifo php.log.1; chown _site-evil: php.log php.log.1")
    server.run("timeout", str(SOON), "logrotate", "--force", "/etc/logrotate.d/site-evil-jail")
    kinds = server.shell(f"cd {logs}; stat -c '%n %F' php.log.*").stdout.splitlines()
    assert kinds == ["php.log.1 regular file", "php.log.2 fifo"]


def test_the_only_site_that_is_awake_keeps_no_upgrade_from_those_that_sleep(server: Server) -> None:
    server.run("systemctl", "stop", "site-victim-jail.service")
    assert server.get("/", "evil.example.org").body == "hello"
    before = generation(server)
    server.shell(f"echo '; upgrade' >>/etc/php/{server.php}/fpm/php.ini")
    server.write("/srv/breaks.sh", BREAKS_ITSELF)
    server.run("systemd-run", "-q", "--unit=breaks", "sh", "/srv/breaks.sh")
    said = server.run("fpmjail", "refresh", check=False).output
    assert "site evil does not work with it" in said and "rolled back" not in said, said
    assert generation(server) != before
    assert server.run("systemctl", "is-active", "site-victim-jail.service", check=False).stdout == "inactive\n"
    server.run("chmod", "700", "/var/lib/fpmjail/jails/evil/tmp")
    server.run("fpmjail", "configure", "evil")
    assert server.faults("evil") == server.faults("victim") == []


def test_a_site_that_was_switched_off_stays_off_over_a_removal(server: Server) -> None:
    server.run("fpmjail", "disable", "evil")
    server.apt("remove", "site-evil-jail")
    assert "stays switched off; to switch it on: fpmjail enable evil" in server.install("site-evil-jail").output
    assert server.run("systemctl", "is-active", "site-evil-jail.socket", check=False).stdout == "inactive\n"
    server.run("fpmjail", "enable", "evil")
    assert server.get("/", "evil.example.org").body == "hello"


def test_a_purge_forgets_that_a_site_was_switched_off(server: Server) -> None:
    server.run("fpmjail", "disable", "evil")
    server.apt("purge", "site-evil-jail")
    assert "switched off" not in server.install("site-evil-jail").output
    assert server.faults("victim") == []
