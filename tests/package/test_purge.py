# SPDX-License-Identifier: GPL-2.0-or-later
"""`postrm purge` alone, in a chroot: it deletes what is ours, whatever the site's user has left in its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lifecycle.container import Completed, Container
from tests.package.parsers import SEEN_AS
from tests.sites import planned, shop

JAIL = "/var/lib/fpmjail/jails/shop"
STATE = "/var/lib/fpmjail/sites/shop"
LOGS = "/var/log/fpmjail/shop"
BASE = "/var/www/shop"
DROP_INS = "/etc/fpmjail/sites/shop"
DPKG = {"DPKG_MAINTSCRIPT_PACKAGE": "site-shop-jail", "DPKG_ROOT": ""}
ENABLED = ("/etc/apache2/sites-enabled/site-shop-jail.conf", "/etc/nginx/sites-enabled/site-shop-jail")
OURS = (JAIL, STATE, LOGS, BASE, DROP_INS)

# As hooks/fpmjail/jail.py and places.py leave it.
INSTALLED = f"""
useradd --system _site-shop 2>/dev/null || true
mkdir -p "$ROOT"{JAIL}/.image "$ROOT"{JAIL}/etc "$ROOT"{JAIL}/dev "$ROOT"{JAIL}/proc "$ROOT"{JAIL}/tmp \\
    "$ROOT"{JAIL}/var/lib/php/sessions "$ROOT"{JAIL}{BASE} "$ROOT"{JAIL}{LOGS} "$ROOT"{STATE} "$ROOT"{LOGS} \\
    "$ROOT"{BASE}/htdocs/up/load "$ROOT"{DROP_INS}/fpm.d "$ROOT"{DROP_INS}/apache.d "$ROOT"/etc/apache2/sites-enabled \\
    "$ROOT"{DROP_INS}/nginx.d "$ROOT"/etc/nginx/sites-enabled \\
    "$ROOT"/var/lib/apache2/site/enabled_by_maint
cd "$ROOT"{JAIL}
ln -s .image/current/usr usr; ln -s usr/bin bin; ln -s ../run var/run; ln -s ../tmp var/tmp
ln -s ../.image/current/etc/ssl etc/ssl
touch etc/passwd etc/group etc/fpm.conf etc/fpm.conf.new
touch "$ROOT"{STATE}/state.json "$ROOT"{STATE}/apache.conf "$ROOT"{LOGS}/php.log "$ROOT"{LOGS}/slow.log.2.gz
ln -s ../sites-available/site-shop-jail.conf "$ROOT"/etc/apache2/sites-enabled/site-shop-jail.conf
ln -s ../sites-available/site-shop-jail "$ROOT"/etc/nginx/sites-enabled/site-shop-jail
touch "$ROOT"{STATE}/nginx.conf "$ROOT"{STATE}/nginx.linked
ln -s /usr/share/fpmjail/sites/shop/nginx-tls.conf "$ROOT"{STATE}/nginx-tls.conf
touch "$ROOT"/var/lib/apache2/site/enabled_by_maint/site-shop-jail
chown -R _site-shop: tmp var/lib/php/sessions "$ROOT"{BASE}/htdocs "$ROOT"{LOGS}
"""

UNMOUNT = f"""
cut -d' ' -f5 /proc/self/mountinfo | grep -F {JAIL} | sed 's/\\\\/\\\\0/g' | while read -r place
do umount "$(printf '%b' "$place")"; done
"""


@dataclass(frozen=True, slots=True)
class Chroot:
    """A system without systemd in which the site was installed and removed."""

    bench: Container
    root: str = ""
    ours: tuple[str, ...] = OURS

    def shell(self, script: str) -> str:
        return self.bench.shell(f"ROOT='{self.root}'; {script}").stdout

    def purge(self, **environment: str) -> Completed:
        """Run the script as dpkg would, twice: the second time there must be nothing to trip over."""
        run = ("sh", f"{SEEN_AS}/postrm", "purge")
        first = self.bench.run(*run, env={**DPKG, "DPKG_ROOT": self.root, **environment})
        self.bench.run(*run, env={**DPKG, "DPKG_ROOT": self.root, **environment})
        return first

    def left(self) -> list[str]:
        """What is still there of the site."""
        found = self.bench.shell(
            f"for place in {' '.join(self.ours)}; do find '{self.root}'$place || true; done 2>/dev/null"
        )
        return sorted(line.removeprefix(self.root) for line in found.stdout.splitlines())


@pytest.fixture
def chroot(bench: Container, release: str, exchange: Path) -> Iterator[Chroot]:
    site = shop("writable: [up/load]\n")
    (exchange / "postrm").write_text(dict(planned(site, release).scripts)["postrm"])
    there = Chroot(bench)
    there.shell(INSTALLED)
    yield there
    there.shell(UNMOUNT + f"rm -rf {' '.join((*OURS, *ENABLED))}")


def test_nothing_of_ours_stays(chroot: Chroot) -> None:
    result = chroot.purge()
    assert chroot.left() == []
    assert result.output == ""
    assert not any(chroot.bench.run("test", "-L", link, check=False).good for link in ENABLED)
    assert not chroot.bench.exists("/var/lib/apache2/site/enabled_by_maint/site-shop-jail")


def test_essential_programs_are_enough(chroot: Chroot) -> None:
    chroot.shell(
        "mkdir -p /essential; dpkg-query -W -f '${Essential} ${Package}\\n' | sed -n 's/^yes //p' | xargs dpkg -L | "
        "grep -E '^(/usr)?/s?bin/' | while read -r program; do ln -sf \"$program\" /essential/; done; "
        "rm -f /essential/deb-systemd-*"
    )
    assert chroot.purge(PATH="/essential").output == ""
    assert chroot.left() == []


def test_what_the_sites_user_left_is_deleted_without_following_it(chroot: Chroot) -> None:
    chroot.shell(
        f"cd {JAIL}/tmp; mkdir -p /keep/me -- '-rf' ' a b' \"$(printf 'new\\nline')\" deep/er; "
        "touch /keep/me/data '*' -- --help; "
        f"ln -s /keep link; ln -s /keep/me deep/er/link; ln -s /keep {JAIL}/var/lib/php/sessions/sess_x; "
        f"chmod 000 deep; ln -s /keep/me/data {LOGS}/link.log"
    )
    assert chroot.purge().output == ""
    assert chroot.left() == []
    assert chroot.bench.exists("/keep/me/data")


def test_the_sites_data_is_kept_and_named(chroot: Chroot) -> None:
    chroot.shell(f"touch {BASE}/htdocs/index.php")
    assert f"the site's data is kept: {BASE}" in chroot.purge().stderr
    assert chroot.left() == [BASE, f"{BASE}/htdocs", f"{BASE}/htdocs/index.php"]


def test_an_empty_directory_of_somebody_else_is_no_way_out(chroot: Chroot) -> None:
    chroot.shell(f"mkdir -p /elsewhere/load; rm -r {BASE}/htdocs/up; ln -s /elsewhere {BASE}/htdocs/up")
    chroot.purge()
    assert chroot.bench.exists("/elsewhere/load")
    assert f"{BASE}/htdocs/up" in chroot.left()


def test_foreign_files_and_drop_ins_are_kept_and_named(chroot: Chroot) -> None:
    foreign = [
        f"{JAIL}/etc/mine",
        f"{STATE}/mine/x",
        f"{LOGS}/mine.txt",
        f"{LOGS}/dir.log/x",
        f"{DROP_INS}/fpm.d/mine.conf",
    ]
    for path in foreign:
        chroot.bench.write(path, "mine")
    words = chroot.purge().stderr
    for place in (JAIL, STATE, LOGS, f"{DROP_INS}/fpm.d"):
        assert f"kept, because other files are in it: {place}\n" in words
    assert set(foreign) <= set(chroot.left())
    assert f"{JAIL}/usr" not in chroot.left()


@pytest.mark.parametrize("place", [".image", "tmp/in here", "with\\back slash", ""])
def test_nothing_is_deleted_while_something_is_mounted_in_the_jail(chroot: Chroot, place: str) -> None:
    chroot.shell(f"mkdir -p /data '{JAIL}/{place}'; touch /data/precious; mount --bind /data '{JAIL}/{place}'")
    words = chroot.purge().stderr
    assert "the jail is kept" in words and f"{JAIL}/{place}".rstrip("/") in words
    assert chroot.bench.exists("/data/precious")
    if place:
        assert {f"{JAIL}/usr", f"{JAIL}/etc/passwd", f"{JAIL}/tmp"} <= set(chroot.left())


def test_a_mount_of_another_site_is_none_of_ours(chroot: Chroot) -> None:
    chroot.shell(f"mkdir -p /data {JAIL}2/.image; mount --bind /data {JAIL}2/.image")
    try:
        assert chroot.purge().output == ""
        assert chroot.left() == []
    finally:
        chroot.shell(f"umount {JAIL}2/.image; rm -r {JAIL}2")


def test_the_jail_is_kept_where_mounts_cannot_be_seen(chroot: Chroot) -> None:
    script = f"mount -t tmpfs none /proc; sh {SEEN_AS}/postrm purge"
    result = chroot.bench.run("unshare", "--mount", "sh", "-c", script, env=DPKG)
    assert "the jail is kept" in result.stderr
    assert f"{JAIL}/etc/passwd" in chroot.left()


def test_a_root_elsewhere_is_the_only_one_touched(chroot: Chroot) -> None:
    target = Chroot(chroot.bench, "/tar get")
    target.bench.shell(f"mkdir -p '/tar get'; ROOT='/tar get'; {INSTALLED.replace('chown', '#')}")
    assert target.purge().output == ""
    assert target.left() == []
    assert f"{JAIL}/etc/passwd" in chroot.left()


def test_a_jail_that_is_a_link_is_not_entered(chroot: Chroot) -> None:
    chroot.shell(f"mkdir -p /else/tmp; touch /else/tmp/x; rm -rf {JAIL}; ln -s /else {JAIL}")
    chroot.purge()
    assert chroot.bench.exists("/else/tmp/x")


@pytest.mark.parametrize(
    "argument", ["upgrade", "failed-upgrade", "abort-install", "abort-upgrade", "disappear", "remove", "new"]
)
def test_no_other_argument_deletes_anything(chroot: Chroot, argument: str) -> None:
    before = chroot.left()
    chroot.bench.run("sh", f"{SEEN_AS}/postrm", argument, "1.0")
    assert chroot.left() == before


RACER = """
import ctypes, os, sys
one, other = sys.argv[1].encode(), sys.argv[2].encode()
exchange = ctypes.CDLL(None).renameat2
while not os.path.exists("/race-over"):
    exchange(-100, one, -100, other, 2)
"""


def test_a_link_that_takes_a_directorys_place_meanwhile_is_no_way_out(chroot: Chroot) -> None:
    script = chroot.bench.read(f"{SEEN_AS}/postrm")
    function = script[script.index("remove_empty()") : script.index("}\n", script.index("remove_empty()")) + 2]
    chroot.bench.write("/racer.py", RACER)
    loop = "for i in $(seq 300); do remove_empty htdocs/up/load; done"
    chroot.bench.write("/purge.sh", f"base={BASE}\n{function}\n{loop}\n")
    chroot.shell(
        f"mkdir -p /elsewhere/load; rm -rf {BASE}/htdocs/up /race-over; mkdir -p {BASE}/htdocs/up/load; "
        f"touch {BASE}/htdocs/up/load/full; ln -sfn /elsewhere {BASE}/htdocs/link; "
        f"python3 /racer.py {BASE}/htdocs/up {BASE}/htdocs/link & sh /purge.sh; touch /race-over; wait"
    )
    assert chroot.bench.exists("/elsewhere/load")
