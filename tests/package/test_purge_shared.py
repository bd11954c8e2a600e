# SPDX-License-Identifier: GPL-2.0-or-later
"""`postrm purge` of a site whose data lies in its chroot, and `preinst` where its isolation changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.container import Container
from tests.package.parsers import SEEN_AS
from tests.package.test_purge import DPKG, DROP_INS, STATE, Chroot
from tests.sites import planned, shop

JAIL = "/var/www/shop"
BASE = f"{JAIL}{JAIL}"
LOGS = f"{JAIL}/var/log/fpmjail/shop"
POOL = "/etc/php/8.4/fpm/pool.d/site-shop-jail.conf"
OURS = (JAIL, STATE, DROP_INS, "/var/log/fpmjail", POOL)

# As hooks/fpmjail leaves it.
INSTALLED = f"""
useradd --system _site-shop 2>/dev/null || true
mkdir -p "$ROOT"{STATE} "$ROOT"{DROP_INS}/fpm.d "$ROOT"/var/log/fpmjail "$ROOT"{BASE}/htdocs/up/load "$ROOT"{LOGS} \\
    "$ROOT"{JAIL}/var/lib/php/sessions "$ROOT${{POOL%/*}}"
cd "$ROOT"{JAIL}
mkdir .image etc dev proc root run run/mysqld sys tmp etc/alternatives etc/fpmjail
ln -s .image/current/usr usr
for name in bin sbin lib lib64; do ln -s usr/$name $name; done
ln -s ../run var/run; ln -s ../tmp var/tmp
for name in ssl php services alternatives/x; do ln -s ../.image/current/etc/$name etc/$name; done
touch etc/passwd etc/group etc/hosts etc/fpmjail-witness.php etc/fpmjail/programs
touch tmp/left var/lib/php/sessions/sess_left
touch "$ROOT"{LOGS}/php.log.1
for node in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do mknod -m 666 dev/${{node% *}} c 1 ${{node#* }}; done
touch "$ROOT"{STATE}/state.json "$ROOT"{STATE}/pool.conf "$ROOT"/var/log/fpmjail/shop.slow.log{{,.1,.2.gz}}
ln -s {STATE}/pool.conf "$ROOT$POOL"; ln -s {LOGS} "$ROOT"/var/log/fpmjail/shop
chown -R _site-shop: tmp var/lib/php/sessions "$ROOT"{BASE}/htdocs
chown root:_site-shop "$ROOT"{LOGS}
"""
UNMOUNT = f"""
cut -d' ' -f5 /proc/self/mountinfo | grep -F {JAIL} | while read -r place; do umount "$place"; done
"""


def installed(root: str = "") -> str:
    return f"POOL={POOL}; ROOT='{root}'; {INSTALLED}"


@pytest.fixture
def chroot(bench: Container, release: str, exchange: Path) -> Iterator[Chroot]:
    site = shop("isolation: shared\ncompat_link: true\nwritable: [up/load]\njail: {mysql: socket}\nsftp: true\n")
    (exchange / "postrm").write_text(dict(planned(site, release).scripts)["postrm"])
    bench.run("bash", "-euc", installed())
    yield Chroot(bench, ours=OURS)
    bench.shell(UNMOUNT + f"rm -rf {' '.join(OURS)}")


def test_nothing_of_ours_stays(chroot: Chroot) -> None:
    result = chroot.purge()
    assert chroot.left() == []
    assert result.output == ""


def test_essential_programs_are_enough(chroot: Chroot) -> None:
    chroot.shell(
        "mkdir -p /essential; dpkg-query -W -f '${Essential} ${Package}\\n' | sed -n 's/^yes //p' | xargs dpkg -L | "
        "grep -E '^(/usr)?/s?bin/' | while read -r program; do ln -sf \"$program\" /essential/; done; "
        "rm -f /essential/deb-systemd-*"
    )
    assert chroot.purge(PATH="/essential").output == ""
    assert chroot.left() == []


def test_no_file_no_link_and_no_empty_directory_of_the_data_is_touched(chroot: Chroot) -> None:
    chroot.shell(
        f"cd {BASE}; ln -s ../.. var; cd htdocs; touch index.php; ln -s index.php link; ln -s nowhere broken; "
        f"mkdir cache empty; mkdir -p ../etc/deep ../usr/empty; ln -s /usr/bin ../bin; "
        "mknod ../null c 1 3; touch ../passwd"
    )
    data = f"find {BASE} ! -path {BASE}/var ! -path '{BASE}/htdocs/up*' | sort"
    before = chroot.shell(data)
    assert f"the site's data is kept: {BASE}\n" in chroot.purge().stderr
    assert chroot.shell(data) == before
    around = [path for path in chroot.left() if path.startswith(JAIL) and not path.startswith(BASE)]
    assert around == [JAIL, f"{JAIL}/var", f"{JAIL}/var/www"]


def test_a_link_of_the_sites_own_that_is_called_var_is_data(chroot: Chroot) -> None:
    chroot.shell(f"ln -s /var/lib/mine {BASE}/var")
    chroot.purge()
    assert f"{BASE}/var" in chroot.left()


def test_foreign_files_are_kept_and_named(chroot: Chroot) -> None:
    foreign = [f"{JAIL}/etc/mine", f"{JAIL}/srv/mine", f"{JAIL}/run/mysqld/mine", f"{LOGS}/mine.txt", f"{STATE}/mine/x"]
    for path in foreign:
        chroot.bench.write(path, "mine")
    words = chroot.purge().stderr
    for place in (JAIL, STATE):
        assert f"kept, because other files are in it: {place}\n" in words
    assert set(foreign) <= set(chroot.left())
    assert f"{JAIL}/usr" not in chroot.left() and POOL not in chroot.left()


@pytest.mark.parametrize("place", [".image", "proc", "run/mysqld", "var/www/shop/htdocs", "var/www/shop", ""])
def test_nothing_is_deleted_while_anything_is_mounted_in_the_chroot(chroot: Chroot, place: str) -> None:
    chroot.shell(f"mkdir -p /data; touch /data/precious; mount --bind /data '{JAIL}/{place}'")
    words = chroot.purge().stderr
    assert "the chroot is kept" in words and f"{JAIL}/{place}".rstrip("/") in words
    assert chroot.bench.exists("/data/precious")
    if place:
        assert {f"{JAIL}/usr", f"{JAIL}/etc/passwd", f"{JAIL}/tmp/left"} <= set(chroot.left())
    # Else Debian's PHP-FPM could not start any more.
    assert POOL not in chroot.left()


def test_the_servers_usr_is_not_walked_into_and_its_place_goes_once_it_is_unmounted(chroot: Chroot) -> None:
    listing = "find /usr -xdev -printf '%p %y %m %U:%G %s\\n' | sort | sha256sum"
    before = chroot.shell(listing)
    chroot.shell(f"cd {JAIL}; rm usr; mkdir usr; mount -o bind,ro,nosuid,nodev,private /usr usr")
    words = chroot.purge().stderr
    assert "the chroot is kept" in words and f"\n{JAIL}/usr\n" in words
    assert {f"{JAIL}/lib", f"{JAIL}/etc/passwd", f"{JAIL}/tmp/left"} <= set(
        chroot.shell(f"find {JAIL} -path {JAIL}/usr -prune -o -print").splitlines()
    )
    chroot.shell(f"umount {JAIL}/usr")
    assert chroot.purge().output == ""
    assert chroot.left() == []
    assert chroot.shell(listing) == before


def test_a_file_in_the_place_of_the_servers_usr_is_kept_and_named(chroot: Chroot) -> None:
    chroot.shell(f"cd {JAIL}; rm usr; mkdir usr; touch usr/mine")
    assert f"kept, because other files are in it: {JAIL}\n" in chroot.purge().stderr
    assert f"{JAIL}/usr/mine" in chroot.left()


def test_what_the_sites_user_left_is_deleted_without_following_it(chroot: Chroot) -> None:
    chroot.shell(
        f"cd {JAIL}/tmp; mkdir -p /keep/me -- '-rf' ' a b' deep/er; touch /keep/me/data '*'; ln -s /keep link; "
        f"ln -s /keep/me deep/er/link; ln -s /keep {JAIL}/var/lib/php/sessions/sess_x; ln -s /keep/me/data {LOGS}/a.log"
    )
    assert chroot.purge().output == ""
    assert chroot.left() == []
    assert chroot.bench.exists("/keep/me/data")


def test_what_the_admin_put_in_the_place_of_our_links_is_kept(chroot: Chroot) -> None:
    own = "/var/log/fpmjail/shop"
    chroot.shell(f"rm {POOL} {own}; echo mine >{POOL}; mkdir {own}; echo 1 >{own}/x")
    chroot.purge()
    assert {POOL, "/var/log/fpmjail/shop/x"} <= set(chroot.left())


@pytest.mark.parametrize(("target", "kept"), [("/dev/null", False), ("/etc/systemd/mine.service", True)])
def test_the_account_may_have_its_own_systemd_again(chroot: Chroot, target: str, kept: bool) -> None:
    link = "/etc/systemd/system/user@$(id -u _site-shop).service"
    chroot.shell(f'ln -s {target} "{link}"')
    assert chroot.purge().output == ""
    assert (chroot.shell(f'[ -L "{link}" ] && echo kept; rm -f "{link}"').strip() == "kept") is kept


def test_a_site_with_a_name_that_begins_the_same_is_none_of_ours(chroot: Chroot) -> None:
    chroot.shell(f"mkdir -p {JAIL}2/tmp; touch {JAIL}2/tmp/x /var/log/fpmjail/shop2.slow.log")
    try:
        assert chroot.purge().output == ""
        assert chroot.bench.exists(f"{JAIL}2/tmp/x") and chroot.bench.exists("/var/log/fpmjail/shop2.slow.log")
    finally:
        chroot.shell(f"rm -r {JAIL}2")


def test_a_root_elsewhere_is_the_only_one_touched(chroot: Chroot) -> None:
    target = Chroot(chroot.bench, "/tar get", OURS)
    target.bench.run("bash", "-euc", "mkdir -p '/tar get'; " + installed("/tar get").replace("chown", ": chown"))
    assert target.purge().output == ""
    assert target.left() == []
    assert f"{JAIL}/etc/passwd" in chroot.left()


def test_a_chroot_that_is_a_link_is_not_entered(chroot: Chroot) -> None:
    chroot.shell(f"mkdir -p /else/tmp; touch /else/tmp/x; rm -rf {JAIL}; ln -s /else {JAIL}")
    chroot.purge()
    assert chroot.bench.exists("/else/tmp/x")


@pytest.mark.parametrize(
    "argument", ["upgrade", "failed-upgrade", "abort-install", "abort-upgrade", "disappear", "remove", "new"]
)
def test_no_other_argument_deletes_anything_but_the_link_of_a_pool_that_is_removed(
    chroot: Chroot, argument: str
) -> None:
    before = chroot.left()
    chroot.bench.run("sh", f"{SEEN_AS}/postrm", argument, "1.0")
    assert chroot.left() == [path for path in before if argument != "remove" or path != POOL]


@pytest.mark.parametrize(("former", "now"), [("dedicated", "shared"), ("shared", "dedicated")])
def test_a_change_of_isolation_is_refused_with_the_way_to_do_it(
    bench: Container, release: str, exchange: Path, former: str, now: str
) -> None:
    plans = {kind: planned(shop(f"isolation: {kind}\n"), release) for kind in (former, now)}
    (exchange / "preinst").write_text(dict(plans[now].scripts)["preinst"])
    place = "/usr/share/fpmjail/sites/shop/site.json"
    told = {kind: next(f for f in plan.files if f.path == place[1:]).content.decode() for kind, plan in plans.items()}
    run = ("sh", f"{SEEN_AS}/preinst")
    for arguments in (("upgrade", "1.0", "1.1"), ("install",)):
        assert bench.run(*run, *arguments, env=DPKG).output == ""
    bench.write(place, told[now])
    assert bench.run(*run, "upgrade", "1.0", "1.1", env=DPKG).output == ""
    bench.write(place, told[former])
    refused = bench.run(*run, "upgrade", "1.0", "1.1", env=DPKG, check=False)
    assert refused.returncode == 1
    steps = refused.stderr.splitlines()
    assert f"this version has isolation: {now}, the installed one {former}" in steps[0]
    assert (steps[2], steps[-1]) == ("  apt purge site-shop-jail", "  apt install site-shop-jail")
    bench.shell(f"rm {place}")


@pytest.mark.parametrize("now", ["shared", "dedicated"])
def test_the_steps_that_are_named_move_the_data(bench: Container, release: str, now: str) -> None:
    script = dict(planned(shop(f"isolation: {now}\n"), release).scripts)["preinst"]
    steps = [line.strip() for line in script.splitlines() if line.strip().startswith(("mv ", "mkdir ", "usermod "))]
    before, after = (f"{JAIL}/htdocs", f"{BASE}/htdocs")[:: 1 if now == "shared" else -1]
    bench.shell(f"useradd --system _site-shop 2>/dev/null || true; mkdir -p {before}; touch {before}/index.php")
    try:
        bench.shell("; ".join(steps))
        assert bench.exists(f"{after}/index.php") and not bench.exists(f"{before}/index.php")
        home = bench.shell("getent passwd _site-shop | cut -d: -f6").stdout.strip()
        assert f"{home}/htdocs" == after
    finally:
        bench.shell(f"rm -rf {JAIL} {JAIL}.former")
