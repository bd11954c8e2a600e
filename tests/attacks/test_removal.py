# SPDX-License-Identifier: GPL-2.0-or-later
"""Removal that cannot hurt: with the server's own directories mounted read-write in a jail, and without openat2(2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
php: {{extensions: [mbstring]}}
writable: [uploads]
{more}"""
SITES = {"dedicated": "", "shared": "isolation: shared\n"}
JAILS = {"dedicated": "/var/lib/fpmjail/jails/dedicated", "shared": "/var/www/shared"}
DATA = {"dedicated": "/var/www/dedicated", "shared": "/var/www/shared/var/www/shared"}
ALL = """
find /usr -xdev ! -type d ! -path '*fpmjail*' ! -name '*site-*-jail*' ! -path '*/site-*-jail/*' ! -name '*.pyc' \\
    ! -name 'var-www-shared*.mount' -printf '%p %y %U %G %m %s %T@ %l\\n' | sort | md5sum
find /usr/bin /usr/sbin /usr/lib/php -xdev -type f -print0 | sort -z | xargs -0 md5sum | md5sum
"""
KEEPS = """
import sys
from pathlib import Path
from fpmjail import mounts
try:
    mounts.remove_tree(Path(sys.argv[1]))
except mounts.Kept as kept:
    print(kept)
"""
REFUSED = ("systemd-run", "-q", "--pipe", "--wait", "-p", "SystemCallFilter=~openat2", "-p")


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site of each isolation, with data."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site, more in SITES.items():
        there.publish(DESCRIPTION.format(site=site, more=more), f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in SITES))
    for site, data in DATA.items():
        there.shell(f"echo precious >{data}/htdocs/uploads/data; chown _site-{site}: {data}/htdocs/uploads/data")
    yield there


def look(server: Server, *places: str) -> str:
    """The server's /usr without what our packages bring, and other places, by their contents."""
    files = "".join(f"find {place} -type f -print0 | sort -z | xargs -0 -r md5sum\n" for place in places)
    return server.shell(ALL + files, check=False).stdout


@pytest.mark.parametrize("number", ["EPERM", "ENOSYS"])
def test_without_openat2_a_tree_is_kept_whole_and_that_is_said(server: Server, number: str) -> None:
    server.shell("mkdir -p /srv/tree/below/deep; echo x >/srv/tree/file; echo x >/srv/tree/below/deep/file")
    before = look(server, "/srv/tree")
    asked = [*REFUSED, f"SystemCallErrorNumber={number}", "-E", "PYTHONPATH=/usr/share/fpmjail:/usr/lib/fpmjail"]
    answer = server.run(*asked, "python3", "-c", KEEPS, "/srv/tree")
    assert "/srv/tree is kept: this kernel or container does not offer openat2" in answer.stdout, answer.output
    assert look(server, "/srv/tree") == before


def test_without_openat2_a_refresh_works_and_old_generations_stay(server: Server) -> None:
    count = "ls -d /var/lib/fpmjail/images/*/*.json | grep -c '/[0-9a-f]*.json$'"
    server.quiet()
    before = int(server.shell(count).stdout)
    for step in ("1", "2", "3"):
        server.shell(f"echo '; {step}' >>/etc/php/{server.php}/fpm/php.ini")
        answer = server.run(*REFUSED, "SystemCallErrorNumber=EPERM", "fpmjail", "refresh", check=False)
        assert "is kept: this kernel or container does not offer openat2" in answer.stderr, answer.output
    assert int(server.shell(count).stdout) >= before + 3
    assert server.faults("dedicated") == []
    server.shell("systemctl start fpmjail-refresh.path fpmjail-refresh.timer")


@pytest.mark.parametrize("site", ["dedicated"])
def test_purge_deletes_nothing_through_what_is_mounted_in_the_jail(server: Server, site: str) -> None:
    jail = JAILS[site]
    server.shell(
        f"cd {jail}/tmp; mkdir -p 'usr here' data foreign; echo mine >foreign/file; mount --bind /usr 'usr here'; "
        f"mount --bind {DATA[site]} data; systemd-run -q --unit=inside-{site} "
        f"chroot --userspec=_site-{site} {jail} /usr/bin/php -r 'sleep(1000);'"
    )
    assert server.run("systemctl", "is-active", f"inside-{site}").good
    before = look(server, DATA[site])
    answer = server.apt("purge", f"site-{site}-jail")
    assert f"the site's data is kept: {DATA[site]}" in answer.output or "kept, because this is mounted" in answer.output
    assert look(server, DATA[site]) == before
    assert server.read(f"{DATA[site]}/htdocs/uploads/data") == "precious\n"
    server.shell(f"systemctl stop inside-{site} || true; umount '{jail}/tmp/usr here' {jail}/tmp/data || true")


def test_purge_of_a_shared_site_deletes_nothing_through_what_is_mounted_in_its_chroot(server: Server) -> None:
    places = [f"{JAILS['shared']}/{place}" for place in ("tmp", "var/lib/php/sessions", "etc", "var/log")]
    for place in places:
        server.shell(f"mkdir '{place}/usr here' {place}/data; mount --bind /usr '{place}/usr here'")
        server.shell(f"mount --bind {DATA['shared']} {place}/data")
    before = look(server, DATA["shared"])
    answer = server.apt("purge", "site-shared-jail")
    assert "the chroot is kept, because this is mounted there" in answer.output
    assert all(f"{place}/{name}\n" in answer.output for place in places for name in ("usr here", "data"))
    assert look(server, DATA["shared"]) == before
    assert server.read(f"{DATA['shared']}/htdocs/uploads/data") == "precious\n"
    server.shell("".join(f"umount '{place}/usr here' {place}/data\n" for place in places))


# A find(1) that has something mounted on the server first, as if root had done it at that moment.
LATE = """\
#!/bin/sh
case $1 in */tmp) nsenter --target 1 --mount mount --bind /srv/precious "$1";; esac
exec /usr/bin/find "$@"
"""


@pytest.mark.parametrize(("site", "open_to_mounts"), [("dedicated", ""), ("shared", ""), ("dedicated", "yes")])
def test_purge_deletes_nothing_through_what_is_mounted_while_it_deletes(
    server: Server, site: str, open_to_mounts: str
) -> None:
    """The control is a script that believes to be alone already."""
    server.apt("install", f"site-{site}-jail")
    server.write("/srv/precious/file", "precious\n")
    server.write("/usr/local/late/find", LATE, mode=0o755)
    server.shell(f"touch {JAILS[site]}/tmp/rubbish")
    server.apt("remove", f"site-{site}-jail")
    late = {"PATH": "/usr/local/late:/usr/sbin:/usr/bin:/sbin:/bin", "FPMJAIL_ALONE": open_to_mounts}
    answer = server.run("dpkg", "--purge", f"site-{site}-jail", env=late)
    server.shell(f"umount {JAILS[site]}/tmp 2>/dev/null || true")
    assert server.exists("/srv/precious/file") == (not open_to_mounts), answer.output
    assert server.exists(f"{JAILS[site]}/tmp/rubbish") == bool(open_to_mounts)
