# SPDX-License-Identifier: GPL-2.0-or-later
"""`fpmjail check --isolation` between sites of each kind; without a wall each attempt is shown to succeed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import HOMEPAGE, Server

DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
isolation: {isolation}
php: {{extensions: [mbstring, mysql, xml]}}
jail: {jail}
"""
SITES = {
    "ann": ("dedicated", "{mysql: socket}"),
    "bob": ("dedicated", "{mysql: socket}"),
    "alone": ("dedicated", "{network: {deny: all}}"),
    "carol": ("shared", "{mysql: socket}"),
    "dave": ("shared", "{}"),
}
PORT = 7070
LISTENER = f"import socket, time; s = socket.create_server(('127.0.0.1', {PORT})); time.sleep(100000)"
OPCACHE = {"OPcache code", "OPcache status", "opcache_reset"}

OPENED = """\
[Service]
ProtectProc=default
ProcSubset=all
BindReadOnlyPaths=/run/systemd/units
"""

CONTROL = """
import json, secrets, sys
sys.path.insert(0, "/usr/share/fpmjail")
from fpmjail import isolation, isolation_run as run, probe, site as sites, systemd
from fpmjail.layout import Layout
layout = Layout()
a, b = (sites.load(layout.sites / name / "site.json") for name in ("ann", sys.argv[1]))
reached = set()
told = run.question()
name = "fpmjail-" + told["mark"]
with run.holding(layout, b, told) as made:
    told |= isolation.arguments(a, b, made, name, run.pools(layout), run.listening())
    told["files"] = [f"/tmp/{name}", *told["files"]]
    told["sockets"] = [f"/tmp/{name}.sock", *told["sockets"]]
    marker = isolation.outside(b, f"/tmp/{name}")
    script = f"{probe.DIRECTORY}/{run.PROBE}.php"
    inside = ["nsenter", f"--target={made['pid']}", "--mount", "--ipc", "--net", "--root", "--wdns=/", "--"]
    for words in (
        ["sh", "-c", f'exec "$@" 7<{marker}', "sh", "php"],
        ["setpriv", f"--reuid={b.user.name}", f"--regid={b.user.group}", "--init-groups", "php"],
        [*inside, "/usr/bin/php"],
    ):
        nonce = secrets.token_hex(16)
        answer = systemd.run([*words, script, nonce, run.encoded(told)], 60)
        try:
            seen = isolation.read(nonce, answer.words.rpartition("\\n")[2])
        except ValueError:
            sys.exit(answer.words)
        reached |= {what for what, words in seen.items() if words and not words.startswith(isolation.UNTRIED)}
print(json.dumps(sorted(set(isolation.ATTEMPTS) - reached)))
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Sites of each kind, a database with an account for each, and a service on loopback that nobody declared."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.shell("systemctl unmask mariadb; systemd-tmpfiles --create mariadb.conf; systemctl start mariadb")
    there.shell(f'systemd-run -q --unit=listener python3 -c "{LISTENER}"')
    for site, (isolation, jail) in SITES.items():
        there.publish(DESCRIPTION.format(site=site, isolation=isolation, jail=jail), f"{site}.yaml")
        there.run("mariadb", "-e", f"CREATE USER `_site-{site}`@localhost IDENTIFIED VIA unix_socket")
    there.install(*(f"site-{site}-jail" for site in SITES))
    for site, (isolation, _) in SITES.items():
        root = f"var/www/{site}/htdocs" if isolation == "shared" else "htdocs"
        there.write_page("index.php", HOMEPAGE, site, root)
    there.settle()
    yield there


def meet(server: Server, a: str, b: str, good: bool = True) -> dict[str, dict[str, Any]]:
    """What `a` reached of `b`: the rows by name."""
    answer = server.run("fpmjail", "check", "--isolation", "--json", a, b, check=False)
    assert answer.returncode == (0 if good else 1), answer.output
    (met,) = json.loads(answer.stdout)
    assert (met["source"], met["target"], met["fault"], met["good"]) == (a, b, "", good), met
    return {row["name"]: row for row in met["rows"]}


def names(rows: dict[str, dict[str, Any]], fate: str) -> set[str]:
    return {name for name, row in rows.items() if row["fate"] == fate}


def left(server: Server) -> str:
    """Whatever an attempt might have left behind, once the neighbours have noticed that nobody listens any more."""
    places = "/tmp /var/lib/fpmjail/jails /var/www /dev/shm"
    look = f"find {places} -xdev -regex '.*fpmjail-[0-9a-f][^/]*' -print; ipcs | grep -E '^0x' || true"
    wait = f'for i in $(seq 100); do seen=$({look}); [ -n "$seen" ] || break; sleep 0.1; done; echo $seen'
    return server.shell(wait).stdout


@pytest.mark.parametrize(
    ("a", "b", "shared"),
    [
        ("ann", "bob", {"abstract sockets", "the neighbour's loopback", "loopback services"}),
        ("ann", "carol", {"abstract sockets", "the neighbour's loopback", "loopback services"}),
        ("carol", "ann", {"abstract sockets", "the neighbour's loopback", "loopback services"}),
        (
            "carol",
            "dave",
            {
                "abstract sockets", "the neighbour's loopback", "loopback services", "APCu", "SysV memory",
                "SysV semaphores", "SysV queues",
            },
        ),
        ("alone", "bob", set()),
    ],
)  # fmt: skip
def test_a_site_reaches_nothing_of_another_but_what_is_shared_by_design(
    server: Server, a: str, b: str, shared: set[str]
) -> None:
    rows = meet(server, a, b)
    by_design = names(rows, "by design") - {"notify socket", "journal's sockets"}
    assert by_design == {name for name in shared if rows[name]["fate"] != "not tried"}, rows
    assert names(rows, "not tried") <= {"APCu", "POSIX memory", "the neighbour's database"}, rows
    assert all(rows[name]["fix"] for name in by_design)
    if (a, b) == ("ann", "bob"):
        assert rows["the neighbour's database"]["fate"] == "kept out"
    assert left(server).strip() == ""


@pytest.mark.parametrize("neighbour", ["bob", "dave"])
def test_without_the_walls_the_same_attempts_reach_everything(server: Server, neighbour: str) -> None:
    missed = set(json.loads(server.run("python3", "-c", CONTROL, neighbour).stdout))
    mysql = {"the neighbour's database"} if neighbour == "dave" else set()
    # What the other kind of site alone can make, and what a command never shares with pages.
    kind = {"POSIX memory"} if neighbour == "dave" else {"SysV memory", "SysV semaphores", "SysV queues"}
    assert missed - mysql - kind <= OPCACHE | {"APCu"}, missed


def test_a_pool_without_its_guards_runs_its_neighbours_code(server: Server) -> None:
    pool = f"/etc/php/{server.php}/fpm/pool.d"
    server.shell(
        f"cp -a {pool} /root/pools; for f in {pool}/site-*.conf; do t=$(readlink -f $f); "
        'sed -i "/opcache.validate_root\\|opcache.validate_permission\\|opcache.restrict_api/d" $t; done; '
        f"systemctl restart php{server.php}-fpm"
    )
    rows = meet(server, "carol", "dave", good=False)
    assert names(rows, "REACHED") == OPCACHE, rows
    server.shell("fpmjail configure carol; fpmjail configure dave")
    server.shell(f"systemctl restart php{server.php}-fpm")
    assert names(meet(server, "carol", "dave"), "REACHED") == set()


def test_what_a_drop_in_of_the_administrator_opens_is_reached(server: Server) -> None:
    place = "/etc/systemd/system/site-ann-jail.service.d"
    server.shell(f"mkdir -p {place}")
    server.write(f"{place}/override.conf", OPENED)
    server.shell("systemctl daemon-reload; systemctl restart site-ann-jail.service")
    rows = meet(server, "ann", "bob", good=False)
    assert names(rows, "REACHED") == {"processes of others", "systemd"}, rows
    assert not any(rows[name]["command"] for name in names(rows, "REACHED")), rows  # commands have no drop-in
    server.shell(f"rm -r {place}; systemctl daemon-reload; systemctl restart site-ann-jail.service")
    assert names(meet(server, "ann", "bob"), "REACHED") == set()


def test_of_many_sites_each_meets_one_neighbour_and_a_wrong_call_is_refused(server: Server) -> None:
    answer = server.run("fpmjail", "check", "--isolation")
    assert answer.stderr.count("tries to reach") == len(SITES)
    assert "ann -> bob" in answer.stdout and "carol -> dave" in answer.stdout
    for words, expected in (
        (["ann"], "takes two sites"),
        (["ann", "ann"], "takes two sites"),
        (["ann", "nobody"], "no such site: nobody"),
        (["ann", "bob", "--prometheus", "-"], "no form for monitoring"),
    ):
        refused = server.run("fpmjail", "check", "--isolation", *words, check=False)
        assert refused.returncode == 2 and expected in refused.output, refused


def test_a_site_that_does_not_answer_is_a_fault_and_not_a_wall(server: Server) -> None:
    server.shell("systemctl stop site-bob-jail.socket site-bob-jail.service")
    answer = server.run("fpmjail", "check", "--isolation", "ann", "bob", check=False)
    assert answer.returncode == 1 and "could not be tried" in answer.stdout, answer
    server.run("systemctl", "start", "site-bob-jail.socket")
    meet(server, "ann", "bob")
