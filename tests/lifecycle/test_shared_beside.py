# SPDX-License-Identifier: GPL-2.0-or-later
"""What a shared site reaches, and what enters its chroot beside the web: servers, names, /proc, exec, jobs, SFTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Completed
from tests.lifecycle.server import Server
from tests.lifecycle.test_beside_the_web import FACTS, KEY
from tests.lifecycle.test_reach import LISTENER, PAGE

PACKAGE = "site-example-jail"
BASE = "/var/www/example/var/www/example"
DESCRIPTION = """\
site: example
maintainer: Web Team <web@example.org>
domains: [example.org]
isolation: shared
compat_link: true
php:
  extensions: [intl, mbstring, mysql, xml]
  env: {{APP_ENV: production}}
jail:
  mysql: socket
  redis: socket
  dns: hosts
  proc: private
  timezones: [Europe/Paris]
  locales: [fr_FR.UTF-8]
cron:
  - {{name: facts, schedule: yearly, command: php facts.php}}
sftp:
  keys: [{key}]
"""
BARE = "site: bare\nmaintainer: Ann <ann@example.org>\ndomains: [bare.example.org]\nisolation: shared\n"
BARE += "php: {extensions: [intl, mbstring, mysql, xml]}\njail: {dns: none, charsets: [], proc: host}\n"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site that reaches much, and one that reaches nothing; no database server has ever run."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.shell("rm -rf /run/mysqld; printf '192.0.2.9 known.example.net\\n' >>/etc/hosts")
    there.shell(f"ssh-keygen -q -t ed25519 -N '' -f {KEY}; systemctl unmask ssh.service ssh.socket; mkdir -p /run/sshd")
    there.shell("cd /etc/ssh/sshd_config.d; echo PerSourcePenalties no >tests.conf; sshd -t || rm tests.conf")
    there.run("systemctl", "start", "ssh")
    there.write("/opt/listener.py", LISTENER)
    there.publish(DESCRIPTION.format(key=there.read(f"{KEY}.pub").strip()), "example.yaml")
    there.publish(BARE, "bare.yaml")
    there.install(PACKAGE, "site-bare-jail")
    for site in ("example", "bare"):
        there.write_page("ask.php", PAGE, site, f"var/www/{site}/htdocs")
    there.write_page("facts.php", FACTS, "example", "var/www/example/htdocs")
    yield there


def ask(server: Server, *what: str, site: str = "example") -> dict[str, Any]:
    """What PHP in the site's chroot says to these questions."""
    host = "example.org" if site == "example" else "bare.example.org"
    page = server.get(f"/ask.php?user=_site-{site}&ask={','.join(what)}", host)
    assert page.status == 200, page
    return dict(json.loads(page.body))


def seconds_until(true: Callable[[], bool], patience: float = 90.0) -> float:
    """How long it takes until something comes true; it must."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < patience
        time.sleep(0.1)
    return time.monotonic() - started


def begun(server: Server) -> str:
    """Changes whenever Debian's master executes itself again, as it does in a reload."""
    pid = server.run("systemctl", "show", "--value", "--property=MainPID", f"php{server.php}-fpm").stdout.strip()
    return server.shell(f"sha256sum /proc/{pid}/auxv").stdout.split()[0]


def finding(server: Server, name: str) -> dict[str, Any]:
    return next(one for one in server.check() if one["name"] == name)


def execute(server: Server, *words: str, **options: Any) -> Completed:
    return server.run("fpmjail", "exec", "example", "--", *words, check=False, **options)


def transfer(server: Server, *lines: str) -> Completed:
    """A batch of sftp(1), which ends at the first line that fails."""
    options = ["-i", KEY, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
    return server.run("sftp", "-q", "-b", "-", *options, "_site-example@127.0.0.1", input="\n".join(lines), check=False)


def test_a_site_starts_without_its_servers_and_check_names_them(server: Server) -> None:
    assert "No such file or directory" in ask(server, "mysqli")["mysqli"]
    assert finding(server, "mysql")["level"] == "warning" and finding(server, "redis")["level"] == "warning"
    assert server.faults() == [] and server.faults("bare") == []


def test_a_server_that_is_installed_later_is_found(server: Server) -> None:
    server.shell("systemctl unmask mariadb; systemd-tmpfiles --create mariadb.conf; systemctl start mariadb")
    server.run("mariadb", "-e", "CREATE USER `_site-example`@localhost IDENTIFIED VIA unix_socket")
    seconds_until(lambda: ask(server, "mysqli")["mysqli"] == "_site-example@localhost", 90)
    assert int(ask(server, "pdo")["pdo"]) == 2
    assert "No such file or directory" in ask(server, "mysqli", site="bare")["mysqli"]
    assert finding(server, "mysql")["level"] == "good" and server.faults() == []


def test_a_restart_and_a_new_directory_of_a_server_are_followed(server: Server) -> None:
    server.run("systemctl", "restart", "mariadb")
    seconds_until(lambda: ask(server, "mysqli")["mysqli"] == "_site-example@localhost")
    server.shell(
        "systemctl stop mariadb; rm -rf /run/mysqld; systemd-tmpfiles --create mariadb.conf; systemctl start mariadb"
    )
    seconds_until(lambda: ask(server, "mysqli")["mysqli"] == "_site-example@localhost")
    # Started when its program runs, as the real one with its notification: by then its directory is there.
    runtime = ["--property=RuntimeDirectory=redis", "--property=Type=exec"]
    listener = ["python3", "/opt/listener.py", "/run/redis/redis-server.sock", "+PONG\r\n"]
    server.run("systemd-run", "-q", "--unit=redis-server", *runtime, *listener)
    seconds_until(lambda: ask(server, "redis")["redis"] == "+PONG\r\n")
    server.run("systemctl", "restart", "redis-server")
    seconds_until(lambda: ask(server, "redis")["redis"] == "+PONG\r\n")
    assert server.faults() == []
    lines = [line.split() for line in server.read("/proc/self/mountinfo").splitlines() if "/var/www/" in line]
    assert all("ro" in line[5].split(",") and "shared:" not in line[6] for line in lines), lines


def test_names_proc_locales_and_zones_are_what_was_declared(server: Server) -> None:
    seen = ask(server, "name", "known", "localhost", "load", "init", "french", "sorted", "paris", "new_york")
    assert (seen["name"], seen["known"], seen["localhost"]) == ("anything.example.net", "192.0.2.9", "127.0.0.1")
    assert seen["load"] == 1 and "No such file or directory" in seen["init"]
    assert (seen["french"], seen["sorted"], seen["paris"]) == (
        "vendredi juillet",
        "eau Eau \u00e9t\u00e9 zoo",
        "+02:00",
    )
    assert "Unknown or bad timezone (America/New_York)" in seen["new_york"]
    bare = ask(server, "known", "load", "init", "latin1", site="bare")
    assert (bare["known"], bare["load"], bare["init"]) == ("known.example.net", 1, "systemd")
    shown = next(one for one in server.check("bare") if one["name"] == "/proc")
    assert shown["level"] == "warning" and shown["origin"].startswith("bare.yaml:"), shown
    assert 'conversion from "UTF-8" to "ISO-8859-1" is not allowed' in bare["latin1"]


def test_a_changed_hosts_file_is_followed_without_a_reload(server: Server) -> None:
    before = begun(server)
    server.shell("echo '192.0.2.10 new.example.net known.example.net' >/etc/hosts.new && mv /etc/hosts.new /etc/hosts")
    assert seconds_until(lambda: ask(server, "known")["known"] == "192.0.2.10") < 10
    assert begun(server) == before


def test_a_command_and_a_job_see_what_the_sites_php_sees(server: Server) -> None:
    page = json.loads(server.get("/facts.php").body)
    answer = execute(server, "php", "facts.php")
    assert answer.good, answer.output
    seen = json.loads(answer.stdout)
    server.run("systemctl", "start", f"{PACKAGE}-cron-facts.service")
    journal = ("-t", f"{PACKAGE}-cron-facts", "-o", "cat")
    seconds_until(lambda: '"file"' in server.container.journal(*journal))
    job = json.loads(next(line for line in server.container.journal(*journal).splitlines() if line.startswith("{")))
    for one in (page, seen, job):
        one.pop("status")
    assert seen == page == job
    assert (seen["file"], seen["directory"]) == ("/var/www/example/htdocs/facts.php", "/var/www/example/htdocs")
    assert (seen["shell"], seen["sh"], seen["APP_ENV"]) == (False, False, "production")
    assert "the jail has no /bin/sh" in execute(server, "/bin/sh", "-c", "id").output
    assert server.faults() == []


def test_the_path_of_outside_is_good_inside_through_the_compatible_link(server: Server) -> None:
    answer = execute(server, "php", "-r", f"echo file_exists('{BASE}/htdocs/facts.php') ? 'found' : 'missing';")
    assert answer.stdout == "found", answer.output
    assert server.run("readlink", f"{BASE}/var").stdout.strip() == "../.."
    assert not server.exists("/var/www/bare/var/www/bare/var")


def test_the_owner_uploads_by_sftp_into_the_data_and_nowhere_else(server: Server) -> None:
    server.write("/root/new.php", "<?php echo 'uploaded by ', fileowner(__FILE__) === posix_getuid() ? 'owner' : '?';")
    answer = transfer(server, "pwd", "put /root/new.php")
    assert answer.good and "Remote working directory: /htdocs" in answer.stdout, answer.output
    assert server.get("/new.php").body == "uploaded by owner"
    for line in ("ls /etc/passwd", "put /root/new.php /", "get /var/etc/passwd"):
        assert not transfer(server, line).good, line


def test_disable_ends_what_entered_beside_the_web(server: Server) -> None:
    command = server.container.popen("fpmjail", "exec", "example", "--", "php", "-r", "sleep(60);")
    seconds_until(lambda: server.run("pgrep", "-u", "_site-example", "php", check=False).good)
    server.run("fpmjail", "disable", "example")
    command.wait(20)
    assert server.run("pgrep", "-u", "_site-example", check=False).stdout == ""
    assert not transfer(server, "pwd").good
    assert "it is switched off" in execute(server, "php", "-v").stderr
    server.run("fpmjail", "enable", "example")
    seconds_until(lambda: transfer(server, "pwd").good)  # sshd opens its sockets anew
    assert server.faults() == []


def test_a_stranger_among_the_sites_processes_is_found(server: Server) -> None:
    server.run("systemd-run", "-q", "--unit=stranger", "--uid=_site-example", "sleep", "60")
    found = [one["seen"] for one in server.faults() if one["topic"] == "processes"]
    assert any("sleep" in seen and "is outside of /var/www/example" in seen for seen in found), found
    server.run("systemctl", "stop", "stranger")


def test_purge_leaves_the_data_and_no_mount(server: Server) -> None:
    server.apt("purge", PACKAGE, "site-bare-jail")
    assert "/var/www" not in server.read("/proc/self/mountinfo")
    assert server.exists(f"{BASE}/htdocs/new.php") and not server.exists("/var/www/example/dev")
    assert not server.exists(f"{BASE}/var")
    assert server.run("systemctl", "is-active", f"php{server.php}-fpm").good
