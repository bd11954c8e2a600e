# SPDX-License-Identifier: GPL-2.0-or-later
"""Real PostgreSQL, Redis and MariaDB, reached through their sockets from both kinds of jail. In order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.lifecycle import extras
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

SERVERS = ("mysql", "postgresql", "redis")
SITES = {"sealed": "dedicated", "pooled": "shared"}
DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
isolation: {isolation}
php:
  extensions: [mysql, pgsql, redis]
jail:
  mysql: socket
  postgresql: socket
  redis: socket
"""
PAGE = """<?php
$try = function (callable $work) { try { return $work(); } catch (Throwable $fault) { return $fault->getMessage(); } };
$me = posix_getpwuid(posix_getuid())['name'];
$place = 'pgsql:host=/run/postgresql';
echo json_encode([
    'pdo' => $try(fn () => (new PDO("$place dbname=$me"))->query('SELECT current_user')->fetchColumn()),
    'pgsql' => $try(fn () => pg_fetch_result(pg_query(pg_connect("dbname=$me"), 'SELECT current_user'), 0, 0)),
    'other' => $try(fn () => (new PDO("$place dbname=$me user=postgres"))->query('SELECT 1')),
    'mysqli' => $try(fn () => (new mysqli('localhost', $me))->query('SELECT CURRENT_USER()')->fetch_row()[0]),
    'pdo_mysql' => $try(fn () => (new PDO('mysql:host=localhost', $me))->query('SELECT CURRENT_USER()')->fetchColumn()),
    'tcp' => $try(fn () => (new mysqli('127.0.0.1', 'tcp', 'secret'))->query('SELECT CURRENT_USER()')->fetch_row()[0]),
    'redis' => $try(function () {
        $redis = new Redis();
        $redis->connect('/run/redis/redis-server.sock');
        $redis->incr('visits');
        return $redis->get('visits') > 0 && $redis->ping();
    }),
]);
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two sites, installed before any server is; PHP's extensions come with them."""
    bed.publish_own_packages()
    bed.upgrades.publish(*extras.debs(bed.release, ("phpX-pgsql", "phpX-redis", "postgresql", "redis-server")))
    bed.upgrades.publish(*extras.again(bed.release, ("mariadb-server",)))
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.run("rm", "-rf", "/run/mysqld")
    for site, isolation in SITES.items():
        there.publish(DESCRIPTION.format(site=site, isolation=isolation), f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in SITES))
    for site, root in (("sealed", "htdocs"), ("pooled", "var/www/pooled/htdocs")):
        there.write_page("ask.php", PAGE, site, root)
    yield there


def said(server: Server, site: str) -> dict[str, object]:
    """What a site's PHP says of its databases."""
    page = server.get("/ask.php", f"{site}.example.org")
    assert page.status == 200, page
    return dict(json.loads(page.body))


def reached(server: Server, site: str) -> bool:
    """Whether a site is let in as itself, and as nobody else."""
    seen = said(server, site)
    own = seen["pdo"] == seen["pgsql"] == f"_site-{site}" and seen["redis"] is True
    own = own and seen["mysqli"] == seen["pdo_mysql"] == f"_site-{site}@localhost" and seen["tcp"] == "tcp@127.0.0.1"
    return own and "Peer authentication failed" in str(seen["other"])


def all_reach(server: Server, patience: float = 60.0) -> bool:
    """Whether both sites do, in time."""
    deadline = time.monotonic() + patience
    while not (there := all(reached(server, site) for site in SITES)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return there


def levels(server: Server, site: str) -> dict[str, str]:
    """What `fpmjail check` says of the servers."""
    return {one["name"]: one["level"] for one in server.check(site) if one["name"] in SERVERS}


def test_without_the_servers_the_sites_are_up_and_check_names_what_is_missing(server: Server) -> None:
    for site in SITES:
        seen = said(server, site)
        assert all("No such file or directory" in str(seen[what]) for what in ("pdo", "redis", "mysqli", "pdo_mysql"))
        assert levels(server, site) == dict.fromkeys(SERVERS, "warning")


def test_servers_that_are_installed_later_are_reached_as_the_sites_own_role(server: Server) -> None:
    server.install("postgresql", "redis-server")
    server.shell(
        "sed -i 's/^# *unixsocket .*/unixsocket \\/run\\/redis\\/redis-server.sock/; "
        "s/^# *unixsocketperm .*/unixsocketperm 777/' /etc/redis/redis.conf; systemctl restart redis-server"
    )
    server.shell("systemctl unmask mariadb; systemd-tmpfiles --create mariadb.conf; systemctl start postgresql mariadb")
    server.run("mariadb", "-e", "CREATE USER tcp@127.0.0.1 IDENTIFIED BY 'secret'")
    for site in SITES:
        server.run("mariadb", "-e", f"CREATE USER `_site-{site}`@localhost IDENTIFIED VIA unix_socket")
        server.run("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "createuser", f"_site-{site}")
        server.run(
            "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups",
            "createdb", "--owner", f"_site-{site}", f"_site-{site}",
        )  # fmt: skip
    assert all_reach(server), [said(server, site) for site in SITES]
    for site in SITES:
        assert levels(server, site) == dict.fromkeys(SERVERS, "good")
        assert server.faults(site) == []


def test_a_restart_of_the_servers_is_survived(server: Server) -> None:
    server.shell("systemctl restart postgresql redis-server mariadb")
    assert all_reach(server), [said(server, site) for site in SITES]


def test_a_reinstall_of_the_servers_is_survived(server: Server) -> None:
    server.shell("systemctl stop postgresql redis-server; rm -rf /run/postgresql /run/redis")
    server.apt("install", "--reinstall", "redis-server", "postgresql-common")
    server.shell("systemd-tmpfiles --create; systemctl restart postgresql redis-server")
    assert all_reach(server), [said(server, site) for site in SITES]


def test_a_reinstall_of_mariadb_is_survived(server: Server) -> None:
    """As apt does it, then with the directory of the socket gone meanwhile, as after `apt purge` and `apt install`."""
    before = server.run("stat", "-c", "%i", "/run/mysqld").stdout
    words = server.apt("install", "--reinstall", "mariadb-server").output
    assert "1 reinstalled" in words, words
    assert all_reach(server), [said(server, site) for site in SITES]
    server.shell("apt-get -y remove mariadb-server; rm -rf /run/mysqld")
    for site in SITES:
        assert "No such file or directory" in str(said(server, site)["mysqli"]) or "refused" in str(said(server, site))
        assert levels(server, site)["mysql"] == "warning"
    server.install("mariadb-server")
    server.run("systemctl", "start", "mariadb")
    assert all_reach(server), [said(server, site) for site in SITES]
    assert server.run("stat", "-c", "%i", "/run/mysqld").stdout != before


def test_a_command_in_the_jail_reaches_them_too(server: Server) -> None:
    for site in SITES:
        connected = f"new PDO('pgsql:host=/run/postgresql dbname=_site-{site}')"
        code = f"echo ({connected})->query('SELECT 6*7')->fetchColumn();"
        assert server.run("fpmjail", "exec", site, "--", "php", "-r", code).stdout.strip() == "42"
