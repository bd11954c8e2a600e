# SPDX-License-Identifier: GPL-2.0-or-later
"""What every jail has without being asked: taken away, each thing fails as it does in a bare chroot, in both kinds of
jail, and `fpmjail check` says so in PHP's own words. Then upgrades by apt that sites cannot live with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lifecycle import extras
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

SITES = {"sealed": "dedicated", "pooled": "shared"}
JAILS = {"sealed": "/var/lib/fpmjail/jails/sealed", "pooled": "/var/www/pooled"}
ROOTS = {"sealed": "htdocs", "pooled": "var/www/pooled/htdocs"}
# A worker for each request: what glibc and PHP have found once, they remember. Other charsets make another image.
DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
isolation: {isolation}
php:
  extensions: [curl, mbstring, xml]
  pool: {{max_requests: 1}}
jail:
  charsets: [CP1252, {charset}]
"""
CHARSETS = {"sealed": "ISO-8859-15", "pooled": "ISO-8859-2"}
ASK = """<?php
set_error_handler(fn ($level, $words) => throw new RuntimeException($words));
$try = function (callable $work) { try { return $work(); } catch (Throwable $fault) { return $fault->getMessage(); } };
$asked = [
    'date' => fn () => date('c'),
    'zone' => fn () => (new DateTime('2026-01-01', new DateTimeZone('Antarctica/Troll')))->format('P'),
    'name' => fn () => gethostbyname('www.example.net'),
    'address' => fn () => gethostbyaddr('192.0.2.1'),
    'records' => fn () => dns_get_record('www.example.net', DNS_A)[0]['ip'],
    'mail' => fn () => checkdnsrr('www.example.net', 'A'),
    'curl' => function () {
        curl_setopt_array($one = curl_init('http://www.example.net:9/'), [CURLOPT_CONNECTTIMEOUT_MS => 900]);
        curl_exec($one);
        return [curl_errno($one), curl_getinfo($one, CURLINFO_PRIMARY_IP), curl_error($one)];
    },
    'accounts' => fn () => array_map(fn ($name) => posix_getpwnam($name) !== false, ['root', 'games', 'mysql']),
    'session' => function () { session_start(); $_SESSION['n'] = 1; return session_id() !== ''; },
];
echo json_encode(array_map($try, array_intersect_key($asked, array_flip(explode(',', $_GET['ask'])))));
"""
NAME_SERVER = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 53))
    while True:
        question, client = server.recvfrom(512)
        end = question.index(0, 12) + 5
        kind = int.from_bytes(question[end - 4 : end - 2], "big")
        data = {1: bytes((127, 0, 0, 9)), 12: b"\\x03ptr\\x07example\\x03net\\x00"}.get(kind, b"")
        answer = bytes((192, 12, 0, kind, 0, 1, 0, 0, 0, 0)) + len(data).to_bytes(2, "big") + data if data else b""
        server.sendto(question[:2] + bytes((129, 128, 0, 1, 0, bool(data), 0, 0, 0, 0)) + question[12:end] + answer,
                      client)
"""
IMAGE, OWN = "{image}/current", "{jail}"
# What is taken away at the same time; the capability that misses it; what PHP says then, as measured in a bare chroot.
HARMS = (
    (
        (f"{IMAGE}/usr/share/zoneinfo/Europe/Paris", "timezones", "Unknown or bad timezone (Europe/Paris)"),
        (
            f"{IMAGE}/usr/lib/x86_64-linux-gnu/gconv/CP1252.so", "charsets",
            'iconv(): Wrong encoding, conversion from "UTF-8" to "CP1252" is not allowed',
        ),
        (f"{IMAGE}/usr/lib/locale/C.utf8", "locale-c", "setlocale(LC_ALL, 'C.UTF-8') returned false"),
        (f"{IMAGE}/etc/services", "services", "getservbyname('https', 'tcp') does not know 443"),
        (
            f"{IMAGE}/etc/ssl/certs/ca-certificates.crt", "tls",
            "curl error 77: error setting certificate file: /etc/ssl/certs/ca-certificates.crt",
        ),
        ("{image}/live/hosts", "dns", "gethostbyname('localhost') returned 'localhost'"),
        (f"{OWN}/var/lib/php/sessions", "sessions", "O_RDWR) failed: No such file or directory (2)"),
    ),
    (
        (f"{IMAGE}/usr/share/zoneinfo", "timezones", "date() would end the worker with SIGSEGV"),
        (
            f"{IMAGE}/usr/lib/ssl/cert.pem", "tls",
            "OpenSSL does not find the certificate authorities at /usr/lib/ssl",
        ),
        (
            f"{IMAGE}/usr/lib/ssl/openssl.cnf", "tls",
            "openssl_pkey_new(): error:FFFFFFFF80000002:system library::No such file or directory",
        ),
        ("{image}/live/resolv.conf", "dns", "/etc/resolv.conf is missing in the jail"),
        (
            f"{OWN}/tmp", "temporary-files",
            "fwrite(): Unable to create temporary file, Check permissions in temporary files directory.",
        ),
        (f"{OWN}/tmp", "uploads", "there is no temporary directory for uploads (error 6)"),
    ),
)  # fmt: skip
# What makes a chroot unsafe, how it is mended, and the row that says so.
OPENINGS = (
    ("chown games /var/www/pooled/etc", "chown root /var/www/pooled/etc", "jail"),
    ("chmod 666 /run/fpmjail/pooled.sock", "chmod 600 /run/fpmjail/pooled.sock", "owner"),
    ("cp /bin/true {data}/su; chmod 6755 {data}/su", "rm {data}/su", "planted"),
    ("mknod /var/www/pooled/dev/disk b 7 0", "rm /var/www/pooled/dev/disk", "set-id and devices"),
    ("mount -o remount,rw,bind {image}", "mount -o remount,bind,ro,nosuid,nodev {image}", "chroot"),
)

NOT_WITH_IT = """<?php
if (str_ends_with($_SERVER['SCRIPT_NAME'], '/tls.php')
    && (new DateTime('2026-01-01', new DateTimeZone('Antarctica/Troll')))->format('P') === '-02:00') {
    http_response_code(500);
    exit('not with these time zones');
}
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site of each kind, each with an image of its own."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site, isolation in SITES.items():
        text = DESCRIPTION.format(site=site, isolation=isolation, charset=CHARSETS[site])
        there.publish(text, f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in SITES))
    for site, root in ROOTS.items():
        there.write_page("ask.php", ASK, site, root)
    there.settle()
    there.quiet()
    there.shell("systemctl stop fpmjail-live.path")
    yield there


def ask(server: Server, site: str, *what: str) -> Any:
    """What PHP in the site's jail says to these questions; None when its worker died of them."""
    page = server.get(f"/ask.php?ask={','.join(what)}", f"{site}.example.org")
    return json.loads(page.body) if page.status == 200 else None


def image(server: Server, site: str) -> str:
    """Where the site's image lies."""
    facts = json.loads(server.read(f"/usr/share/fpmjail/sites/{site}/site.json"))
    return f"/var/lib/fpmjail/images/{facts['profile']['id']}"


def restart(server: Server, site: str) -> None:
    """A master that remembers nothing; the one of a shared site is Debian's, and has never been in the chroot."""
    server.run("systemctl", "restart", "site-sealed-jail" if site == "sealed" else f"php{server.php}-fpm")


def restart_all(server: Server) -> None:
    """Both of them."""
    for site in SITES:
        restart(server, site)


def faults(server: Server) -> list[dict[str, Any]]:
    """What is bad about either site."""
    found = server.check_all()
    return [one for site in SITES for one in found[site] if one["level"] == "bad"]


def eventually(true: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return true()


def take_away(server: Server, place: str) -> None:
    """Rename what lies there; a directory for temporary files loses its rights alone."""
    server.shell(f"chmod 000 {place}" if place.endswith("/tmp") else f"mv {place} {place}.away")


def give_back(server: Server, place: str) -> None:
    """As it was."""
    server.shell(f"chmod 700 {place}" if place.endswith("/tmp") else f"rm -rf {place}; mv {place}.away {place}")


def places(server: Server, site: str, harms: tuple[tuple[str, str, str], ...]) -> list[str]:
    """What is to be taken away from a site."""
    return sorted({path.format(image=image(server, site), jail=JAILS[site]) for path, _, _ in harms})


@pytest.mark.parametrize("harms", HARMS, ids=["in part", "whole"])
def test_what_every_jail_has_is_missed_where_it_is_not(server: Server, harms: tuple[tuple[str, str, str], ...]) -> None:
    taken = [place for site in SITES for place in places(server, site, harms)]
    for place in taken:
        if not place.endswith("/tmp"):
            take_away(server, place)
    restart_all(server)
    for place in taken:
        if place.endswith("/tmp"):  # without it no master starts
            take_away(server, place)
    found = server.check_all()
    for place in taken:
        give_back(server, place)
    restart_all(server)
    for site in SITES:
        rows = {one["name"]: one for one in found[site] if one["topic"] == "capability"}
        for _, capability, words in harms:
            row = rows[capability]
            assert (row["level"], row["verdict"], row["outside"]) == ("bad", "broken in the jail", "works"), row
            assert words in row["seen"] and row["fix"], row
        others = {name for name, row in rows.items() if row["level"] == "bad"} - {name for _, name, _ in harms}
        assert not others, others
    assert faults(server) == []


@pytest.mark.parametrize("site", SITES)
def test_without_time_zones_a_date_ends_the_worker(server: Server, site: str) -> None:
    place = f"{image(server, site)}/current/usr/share/zoneinfo"
    server.run("mv", place, f"{place}.away")
    restart(server, site)
    assert ask(server, site, "date") is None
    unit = "site-sealed-jail" if site == "sealed" else f"php{server.php}-fpm"
    logs = server.container.journal("-u", unit) + server.shell("cat /var/log/php*-fpm.log || true").stdout
    assert "exited on signal 11 (SIGSEGV" in logs, logs[-2000:]
    server.run("mv", f"{place}.away", place)
    assert ask(server, site, "date")["date"].startswith("20")


@pytest.mark.parametrize("site", SITES)
def test_every_way_of_asking_for_names_follows_resolv_conf(server: Server, site: str) -> None:
    """Also a worker that has asked the former name server already: it is another one for each request here."""
    server.shell("systemctl start fpmjail-live.path")
    server.write("/opt/names.py", NAME_SERVER)
    server.shell("systemctl is-active -q names || systemd-run -q --unit=names python3 /opt/names.py")
    for address, known in (("127.0.0.1", True), ("192.0.2.9", False)):
        server.shell(
            f"printf 'nameserver {address}\\noptions timeout:1 attempts:1\\n' >/etc/resolv.conf.new; "
            "mv /etc/resolv.conf.new /etc/resolv.conf"
        )
        changed = time.monotonic()
        assert eventually(lambda known=known: (ask(server, site, "name")["name"] == "127.0.0.9") is known)  # type: ignore[misc]
        print(f"{site}: {address} after {time.monotonic() - changed:.2f} s")
        seen = ask(server, site, "address", "records", "mail", "curl")
        if known:
            assert (seen["address"], seen["records"], seen["mail"]) == ("ptr.example.net", "127.0.0.9", True), seen
            assert seen["curl"][:2] == [7, ""] or "127.0.0.9" in str(seen["curl"]), seen
        else:
            assert seen["address"] == "192.0.2.1" and seen["mail"] is False and seen["curl"][0] in (6, 28), seen
            assert "dns_get_record()" in str(seen["records"]), seen


@pytest.mark.parametrize("site", SITES)
def test_old_sessions_are_collected_without_the_servers_own_clean_up(server: Server, site: str) -> None:
    place = f"{JAILS[site]}/var/lib/php/sessions"
    server.write(f"/etc/fpmjail/sites/{site}/fpm.d/often.conf", "php_admin_value[session.gc_divisor] = 1\n")
    server.run("fpmjail", "configure", site)
    server.shell(
        f"echo >{place}/sess_old; chown _site-{site}: {place}/sess_old; touch -d '2 days ago' {place}/sess_old"
    )
    assert ask(server, site, "session") == {"session": True}
    assert not server.exists(f"{place}/sess_old")
    server.shell(f"rm /etc/fpmjail/sites/{site}/fpm.d/often.conf; fpmjail configure {site}")


def test_each_golden_rule_that_is_broken_in_a_chroot_is_named(server: Server) -> None:
    names = {"data": "/var/www/pooled/var/www/pooled/htdocs", "image": "/var/www/pooled/.image"}
    for harm, _, _ in OPENINGS:
        server.shell(harm.format(**names))
    found = {one["name"]: one for one in server.faults("pooled")}
    for _, repair, _ in OPENINGS:
        server.shell(repair.format(**names))
    for _, _, name in OPENINGS:
        assert name in found and found[name]["fix"], (name, found)
    server.run("rm", "/var/www/pooled/dev/null")
    lost = next(one for one in server.check("pooled") if one["name"] == "devices")
    assert lost["level"] != "good" and "null" in lost["seen"] and "fpmjail configure pooled" in lost["fix"], lost
    server.run("fpmjail", "configure", "pooled")
    assert faults(server) == []


def test_nscd_shows_the_accounts_of_the_server_to_no_jail_that_passes_its_check(server: Server) -> None:
    """It does to every worker of a master that has found it, as Debian's does. The check says how to end that."""
    assert ask(server, "pooled", "accounts")["accounts"] == [False] * 3
    server.bed.upgrades.publish(*extras.debs(server.release, ("nscd",)))
    server.apt("update")
    server.install("nscd")
    server.shell("systemctl restart nscd; id root; id games; id mysql")
    restart_all(server)
    assert ask(server, "sealed", "accounts")["accounts"] == [False] * 3
    assert ask(server, "pooled", "accounts")["accounts"][0] is True
    (found,) = server.faults("pooled")
    assert found["name"] == "accounts" and "/var/cache/nscd/passwd" in found["seen"], found
    server.shell(found["fix"])
    assert eventually(lambda: ask(server, "pooled", "accounts")["accounts"] == [False] * 3)
    assert faults(server) == []
    server.apt("purge", "nscd")


def test_php_outside_of_jails_is_named_with_the_command_that_closes_it(server: Server) -> None:
    """Debian's www pool, in the master that runs the shared site too; and a module of Apache that runs programs."""
    server.shell("a2enmod -q cgid && systemctl restart apache2")
    rows = {site: [one for one in server.check(site) if one["name"] == "PHP outside jails"] for site in SITES}
    (row,) = rows["pooled"]
    assert rows["sealed"] == [row] and row["level"] == "warning", rows
    assert "Debian's www pool of PHP" in row["seen"] and "Apache's module cgid" in row["seen"]
    commands = row["fix"].removeprefix("if nothing needs it: ").split("; ")
    assert all(command in server.run("fpmjail", "status").stdout for command in commands)
    server.shell("\n".join(commands))
    assert [one["level"] for one in server.check("pooled") if one["name"] == "PHP outside jails"] == ["good"]
    assert faults(server) == [] and all(ask(server, site, "date") for site in SITES)


def test_an_upgrade_that_a_site_cannot_live_with_is_taken_back_in_the_run_of_apt(server: Server) -> None:
    """Both sites look at the new time zones, and their TLS fails with them; each has an image of its own."""
    before = {site: server.run("readlink", f"{image(server, site)}/current").stdout for site in SITES}
    assert faults(server) == []
    for site, root in ROOTS.items():
        server.write_page("before.php", NOT_WITH_IT, site, root)
        prepend = f"php_admin_value[auto_prepend_file] = /var/www/{site}/htdocs/before.php\n"
        server.write(f"/etc/fpmjail/sites/{site}/fpm.d/own.conf", prepend)
        server.run("fpmjail", "configure", site)
        assert ask(server, site, "zone") != {"zone": "-02:00"}
    assert faults(server) == []
    server.bed.publish_upgrade("tzdata", round=2)
    said = server.apt("upgrade").output
    server.run("fpmjail", "refresh", "--wait", check=False)
    journal = server.container.journal("-t", "fpmjail")
    images = {row["profile"]: row for row in server.status()["images"]}
    for site in SITES:
        words = f"site {site} does not work with it: capability tls"
        told = [line for line in said.splitlines() if "rolled back to its generation" in line and words in line]
        assert told and words in journal, said
        assert server.run("readlink", f"{image(server, site)}/current").stdout == before[site]
        row = images[image(server, site).rpartition("/")[2]]
        assert "capability tls" in row["hold"] and any("held" in text for text in row["warnings"]), row
        assert ask(server, site, "zone") != {"zone": "-02:00"}
    assert faults(server) == []
    shown = server.run("fpmjail", "status", check=False)
    assert shown.returncode == 1 and shown.stdout.count("fpmjail rollback --release-hold") == 2, shown.stdout


def test_the_upgrade_comes_once_the_site_can_live_with_it(server: Server) -> None:
    for site in SITES:
        server.shell(f"rm /etc/fpmjail/sites/{site}/fpm.d/own.conf; fpmjail configure {site}")
        server.run("fpmjail", "rollback", "--release-hold", site)
    server.run("fpmjail", "refresh")
    for site in SITES:
        assert eventually(lambda site=site: ask(server, site, "zone") == {"zone": "-02:00"})  # type: ignore[misc]
    assert faults(server) == [] and server.status()["good"]
