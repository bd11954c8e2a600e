# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults, one after the other on one server: nothing is lost, the next run repairs, dpkg is whole, and what is said
names what to do. A dedicated and a shared site have to live through all of them."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Completed
from tests.lifecycle.packages import build_debs
from tests.lifecycle.server import EXAMPLE, Server
from tests.lifecycle.trees import base_tree
from tests.shell.compiled import compile_c

POOL = """\
site: pool
maintainer: Web Team <web@example.org>
domains: [pool.example.org]
isolation: shared
"""
PAGE = "<?php echo 'up ', file_get_contents(__DIR__ . '/data.txt');"
ROOTS = {"example": "/var/www/example/htdocs", "pool": "/var/www/pool/var/www/pool/htdocs"}
HOSTS = {"example": "example.org", "pool": "pool.example.org"}
STATE = "/var/lib/fpmjail"
INI = "/etc/php/{php}/fpm/php.ini"
CLOCK = Path(__file__).with_name("jumping_clock.c")
HOLD_DPKG = """
import fcntl, sys
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both sites; what fpmjail keeps lies on a filesystem of its own, which can be full or read-only."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.install("fpmjail")
    there.shell(f"mount -t tmpfs -o size=1g,mode=0755 tmpfs {STATE}; rmdir /var/log/fpmjail")
    there.publish(EXAMPLE)
    there.publish(POOL, "pool.yaml")
    there.install("site-example-jail", "site-pool-jail")
    for name, root in ROOTS.items():
        for path, text in (("index.php", PAGE), ("data.txt", f"data of {name}")):
            there.write_page(path, text, name, root.removeprefix(f"/var/www/{name}/"))
    there.shell("systemctl stop fpmjail-refresh.path fpmjail-refresh.timer")
    assert_up(there)
    yield there


@pytest.fixture(autouse=True)
def the_sites_outlive_it(server: Server) -> Iterator[None]:
    """After every fault: both sites answer with their data, dpkg is whole."""
    yield
    assert_up(server)
    assert server.run("dpkg", "--audit").output == ""


def all_bad(server: Server) -> list[object]:
    """What a check of both sites, and of what belongs to none, finds bad."""
    return [one for findings in server.check_all().values() for one in findings if one["level"] == "bad"]


def assert_up(server: Server) -> None:
    for name, host in HOSTS.items():
        assert server.get("/", host).body == f"up data of {name}", name


def edit_ini(server: Server, words: str) -> None:
    """A change by hand that asks for another generation."""
    server.shell(f"echo '; {words}' >>{INI.format(php=server.php)}")


def refresh(server: Server, *options: str) -> Completed:
    return server.run("fpmjail", "refresh", *options, check=False)


VERIFY = "fpmjail refresh --verify"
CONFIGURE = "fpmjail configure example; fpmjail configure pool"
DAMAGE = {
    "the link current is gone": ("rm $image/current", VERIFY),
    "the link current leads nowhere": ("ln -sfn 0000000000000000 $image/current", VERIFY),
    "current is an empty file": ("rm $image/current; : >$image/current", VERIFY),
    "a generation is gone": ("rm -r $generation", VERIFY),
    "a copy is gone": ("rm $generation/etc/services", VERIFY),
    "a copy is torn": (": >$generation/etc/services", VERIFY),
    "the manifest is gone": ("rm $generation.json", VERIFY),
    "the manifest is torn": ("truncate -s 1000 $generation.json", VERIFY),
    "the manifest is empty": (": >$generation.json", VERIFY),
    "what was looked at is torn": ("truncate -s 100 $image/inputs.json", VERIFY),
    "the live files are gone": ("rm -r $image/live", "fpmjail refresh; cat /var/lib/fpmjail/images/*/live/hosts"),
    "the hold is torn": ("echo '{' >$image/hold.json", VERIFY),
    "the last outcomes are torn": ("truncate -s 20 /var/lib/fpmjail/status.json", VERIFY),
    "the whole image is gone": ("find $image -xdev -mindepth 1 -delete", VERIFY),
    "the state of a site is gone": ("rm /var/lib/fpmjail/sites/example/state.json", CONFIGURE),
    "the state of a site is torn": ("truncate -s 30 /var/lib/fpmjail/sites/example/state.json", CONFIGURE),
    "the logs are gone": ("rm -r /var/log/fpmjail", CONFIGURE),
    "the directory of the image is gone": ("rm -r $image", CONFIGURE),
    "everything in /run is gone": ("rm -rf /run/fpmjail/glance /run/fpmjail/requested /run/fpmjail/lock", VERIFY),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_missing_or_torn_is_made_anew_by_the_next_run(server: Server, damage: str) -> None:
    destroy, repair = DAMAGE[damage]
    server.shell(f"image=$(echo {STATE}/images/*); generation=$image/$(readlink $image/current); {destroy}")
    answer = server.shell(repair, check=False)
    assert answer.good, answer.output
    server.assert_true_to_host()
    assert server.status()["good"]


def test_nothing_is_wrong_after_all_that_damage(server: Server) -> None:
    assert all_bad(server) == []


def test_a_full_disk_keeps_the_old_generation_and_says_how_much_is_missing(server: Server) -> None:
    before = server.truth()["generation"]
    edit_ini(server, "full")
    server.shell(f"head -c 3000000000 /dev/zero >{STATE}/ballast 2>/dev/null || true")
    answer = refresh(server)
    assert not answer.good and "no space for the image" in answer.output, answer.output
    assert server.truth()["generation"] == before
    assert_up(server)
    assert triggered(server).good
    server.run("rm", f"{STATE}/ballast")
    assert refresh(server).good
    assert server.assert_true_to_host() != before


def test_a_disk_without_inodes_keeps_the_old_generation_and_says_so(server: Server) -> None:
    before = server.truth()["generation"]
    edit_ini(server, "inodes")
    used = server.run("df", "--output=iused", STATE).stdout.split()[1]
    server.run("mount", "-o", f"remount,nr_inodes={int(used) + 40}", STATE)
    answer = refresh(server)
    assert not answer.good and "no inodes are left" in answer.output, answer.output
    assert server.truth()["generation"] == before
    assert_up(server)
    assert triggered(server).good
    server.run("mount", "-o", "remount,nr_inodes=0", STATE)
    assert refresh(server).good
    assert server.assert_true_to_host() != before


def test_a_read_only_disk_keeps_the_old_generation_and_says_so(server: Server) -> None:
    before = server.truth()["generation"]
    edit_ini(server, "read-only")
    server.shell("systemctl stop fpmjail-refresh.service fpmjail-refresh-again.service")  # they may be writing
    server.run("mount", "-o", "remount,bind,ro", STATE)
    answer = refresh(server)
    assert not answer.good and "Read-only file system" in answer.output, answer.output
    assert "Traceback" not in answer.output
    assert_up(server)
    assert triggered(server).good
    configured = server.run("fpmjail", "configure", "example", check=False)
    assert not configured.good and "Traceback" not in configured.output, configured.output
    status = server.run("fpmjail", "status", check=False)
    assert "the server has newer files" in status.output and "Traceback" not in status.output
    server.run("mount", "-o", "remount,bind,rw", STATE)
    assert refresh(server).good
    assert server.assert_true_to_host() != before


def triggered(server: Server) -> Completed:
    """dpkg tells of new libraries."""
    server.run("dpkg-trigger", "--by-package=fpmjail", "--no-await", "ldconfig")
    answer = server.run("dpkg", "--triggers-only", "--pending", check=False)
    assert "Traceback" not in answer.output, answer.output
    return answer


@pytest.mark.parametrize("moment", ["2001-01-01", "2037-12-31"])
def test_files_of_a_wrong_clock_confuse_nobody(server: Server, moment: str) -> None:
    """The clock of a container is the host's, so its traces are made: files that are decades old, or of the future."""
    server.shell(
        f"cd {STATE}/images/* && touch -d {moment} *.json [0-9a-f]*[0-9a-f]/ && touch -d {moment} {STATE}/status.json"
    )
    before = server.truth()["generation"]
    edit_ini(server, moment)
    server.run("touch", "-d", moment, INI.format(php=server.php))
    assert refresh(server).good
    now = server.assert_true_to_host()
    assert now != before
    back = server.run("fpmjail", "rollback", "example").stdout
    assert f"went back from {now} to {before}" in back
    assert server.run("fpmjail", "rollback", "--release-hold", "example").good
    assert server.assert_true_to_host() == now


# The clock jumps when fpmjail first asks systemd for something.
JUMP = '#!/bin/sh\nunset LD_PRELOAD\necho "$OFFSET" >/run/offset\nexec /usr/bin/systemctl "$@"\n'
YEAR = 365 * 86400


@pytest.mark.parametrize("years", [-25, 11])
def test_a_clock_that_jumps_while_a_refresh_runs_spoils_nothing(server: Server, years: int) -> None:
    """The clock of a container is the host's, so fpmjail is given another one by a library that is preloaded."""
    library = compile_c("gcc", server.directory / "clock.so", "-shared", "-fPIC", CLOCK)
    server.container.run("sh", "-c", "base64 -d >/root/clock.so", input=b64encode(library.read_bytes()).decode())
    server.write("/usr/local/jump/systemctl", JUMP, mode=0o755)
    jumping = {
        "LD_PRELOAD": "/root/clock.so",
        "OFFSET": str(years * YEAR),
        "PATH": "/usr/local/jump:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    before = server.truth()["generation"]
    edit_ini(server, f"{years} years")
    server.run("rm", "-f", "/run/offset")
    answer = server.run("fpmjail", "refresh", env=jumping)
    assert "switched to a new generation" in answer.output and "Traceback" not in answer.output
    seen = server.run("python3", "-c", "import time; print(time.time())", env=jumping).stdout
    assert abs(float(seen) - time.time() - years * YEAR) < 600, "it was to jump"
    assert_up(server)
    now = server.assert_true_to_host()
    assert now != before
    assert "up to date" in refresh(server).output
    assert server.status()["good"]
    assert f"went back from {now} to {before}" in server.run("fpmjail", "rollback", "example").stdout
    assert server.run("fpmjail", "rollback", "--release-hold", "example").good
    assert server.assert_true_to_host() == now


def test_refreshes_at_the_same_time_end_well_and_make_one_generation(server: Server) -> None:
    before = server.truth()["generation"]
    edit_ini(server, "at once")
    answers: list[Completed] = []
    runs = [threading.Thread(target=lambda: answers.append(refresh(server))) for _ in range(5)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(answers) == 5 and all(answer.good for answer in answers), answers
    assert sum("switched to a new generation" in answer.output for answer in answers) == 1
    assert server.assert_true_to_host() != before


def test_a_refresh_waits_for_dpkg_and_has_the_last_word(server: Server) -> None:
    before = server.truth()["generation"]
    with server.container.popen("python3", "-c", HOLD_DPKG, stdin=subprocess.PIPE) as dpkg:
        assert dpkg.stdout and dpkg.stdin and dpkg.stdout.readline() == "held\n"
        edit_ini(server, "dpkg")
        server.run("systemctl", "start", "--no-block", "fpmjail-refresh.service")
        server.run("fpmjail", "status", check=False)
        assert server.truth()["generation"] == before
        dpkg.stdin.close()
        dpkg.wait()
    server.settle()
    assert server.assert_true_to_host() != before


def test_half_of_an_upgrade_is_not_taken_over_until_it_is_whole(server: Server) -> None:
    before = server.truth()["generation"]
    server.bed.publish_upgrade("php-opcache", round=1)
    deb = f"/srv/repository/upgrades/pool/php{server.php}-opcache_*.deb"
    server.shell(f"dpkg --force-depends --unpack {deb}")
    answer = refresh(server)
    assert "waits until dpkg has finished" in answer.output and f"php{server.php}-opcache" in answer.output
    assert server.truth()["generation"] == before
    server.run("dpkg", "--force-depends", "--configure", "-a")
    server.settle()
    assert server.assert_true_to_host() != before


@pytest.mark.parametrize(("signal", "round_"), [("INT", 1), ("KILL", 2)])
def test_an_interrupted_apt_is_finished_by_dpkg_and_apt(server: Server, signal: str, round_: int) -> None:
    server.bed.publish_upgrade("tzdata", "libc6", round=round_)
    server.run("timeout", f"--signal={signal}", "--kill-after=60", "1", "apt-get", "-y", "upgrade", check=False)
    wait_for_dpkg(server)
    finish(server)
    server.apt("upgrade")
    server.settle()
    assert server.assert_true_to_host() == server.truth()["generation"]


TORN = "error processing package fpmjail (--configure):\n dependency problems - leaving triggers unprocessed"


def finish(server: Server) -> None:
    """What dpkg and apt ask for after an interruption. What was cut off while it was unpacked has to be unpacked again:
    by dpkg, as apt first tries to configure some packages all the same, and gives up. Nothing of ours fails; but dpkg
    processes no trigger of a package while one that it depends on is torn."""
    repaired = server.run("dpkg", "--configure", "-a", check=False)
    allowed = repaired.output.replace(TORN, "")
    assert "error processing package fpmjail" not in allowed, repaired.output
    states = server.run("dpkg-query", "-W", "-f", "${db:Status-Eflag} ${binary:Package}\n").stdout.splitlines()
    torn = " ".join(line.removeprefix("reinstreq ") for line in states if line.startswith("reinstreq "))
    if torn:
        server.shell(f"cd $(mktemp -d) && apt-get download {torn} && dpkg --force-depends --unpack *.deb")
    server.apt("-f", "install")


# What apt or dpkg calls stands still at a moment, until its caller is gone.
STAND_STILL = "touch /run/moment; while kill -0 $PPID 2>/dev/null; do sleep 0.1; done; exit 1"
MOMENTS = {
    "half of the files of libc6 are there": (
        "dpkg-deb",
        f'case $* in --fsys-tarfile*/libc6_*) /usr/bin/dpkg-deb "$@" | head -c 6000000; {STAND_STILL};; esac',
    ),
    "libc6 is unpacked and not configured": ("dpkg", f"case $* in *--configure*) {STAND_STILL};; esac"),
}
KILL_THEN = """
rm -f /run/moment
path=/usr/local/fault:/usr/sbin:/usr/bin:/sbin:/bin
apt-get -y -o Dir::Bin::dpkg=$1 -o DPkg::Path=$path -o DPkg::Options::=--force-confold upgrade >/dev/null 2>&1 &
until test -e /run/moment; do kill -0 $!; sleep 0.05; done
pkill -KILL -x 'apt-get|dpkg'
rm -r /usr/local/fault
"""


@pytest.mark.parametrize(("moment", "round_"), [(moment, 3 + number) for number, moment in enumerate(MOMENTS)])
def test_an_apt_killed_in_the_middle_of_libc_is_finished_by_dpkg_and_apt(
    server: Server, moment: str, round_: int
) -> None:
    """dpkg alone cannot finish libc-bin while libc6 is half there; what is ours it does."""
    server.bed.publish_upgrade("libc6", round=round_)
    before = server.truth()["generation"]
    program, words = MOMENTS[moment]
    server.run("mkdir", "/usr/local/fault")
    server.write(f"/usr/local/fault/{program}", f'#!/bin/sh\n{words}\nexec /usr/bin/{program} "$@"\n')
    server.run("chmod", "+x", f"/usr/local/fault/{program}")
    server.run("bash", "-euc", KILL_THEN, "bash", "/usr/local/fault/dpkg" if program == "dpkg" else "/usr/bin/dpkg")
    wait_for_dpkg(server)
    assert "libc6" in server.run("dpkg", "--audit").output
    assert_up(server)
    finished = server.run("dpkg", "--configure", "-a", check=False)
    failed = re.findall("error processing package ([^ ]+)", finished.output)
    assert failed == (["libc-bin"] if program == "dpkg-deb" else []), finished.output
    assert_up(server)
    finish(server)
    server.apt("upgrade")
    assert f"+sp{round_}" in server.run("dpkg-query", "-W", "-f", "${Version}", "libc6").stdout
    server.settle()
    assert server.assert_true_to_host() != before


def wait_for_dpkg(server: Server) -> None:
    """A dpkg that lost its apt may still be at work; its lock tells."""
    server.run("python3", "-c", "import fcntl; f = open('/var/lib/dpkg/lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)")


def test_a_master_that_does_not_come_back_brings_the_old_generation_back_by_itself(server: Server) -> None:
    """Only the dedicated site's master is broken, and it is one of two: so both are, for this test."""
    before = server.truth()["generation"]
    server.get("/")
    server.run("fpmjail", "disable", "pool")
    drop_in = "/run/systemd/system/site-example-jail-standby@.service.d/broken.conf"
    server.write(drop_in, "[Service]\nExecStartPre=/bin/false\n")
    server.run("systemctl", "daemon-reload")
    edit_ini(server, "does not come back")
    answer = refresh(server)
    assert not answer.good and "rolled back to its generation" in answer.output, answer.output
    assert "site example does not work with it" in answer.output and "kept back: " in answer.output
    assert server.truth()["generation"] == before
    (warning,) = server.status()["images"][0]["warnings"]
    assert "held since" in warning and "fpmjail rollback --release-hold" in warning
    assert "held" in refresh(server).output
    server.run("rm", drop_in)
    server.run("systemctl", "daemon-reload")
    server.run("fpmjail", "rollback", "--release-hold", "example")
    assert server.assert_true_to_host() != before
    server.run("fpmjail", "enable", "pool")


def test_sites_outlive_the_runtime_that_is_removed_and_comes_back(server: Server) -> None:
    gone = server.run("dpkg", "--remove", "--force-depends", "fpmjail").output
    assert "Traceback" not in gone
    assert_up(server)
    kept = server.run("dpkg", "--purge", "--force-depends", "fpmjail").output
    assert "is kept: a site is installed" in kept
    assert_up(server)
    server.apt("-f", "install")
    server.shell("systemctl stop fpmjail-refresh.path fpmjail-refresh.timer")
    server.assert_true_to_host()


def test_the_runtime_goes_to_a_newer_version_and_back(server: Server, tmp_path: Path) -> None:
    for version in ("9.9", "0.0.1"):
        edit_ini(server, version)
        said = install_changed(server, tmp_path, "fpmjail", f"s/^Version: .*/Version: {version}/").output
        assert "Traceback" not in said
        assert_up(server)
        server.settle()
        server.assert_true_to_host()
    server.run("dpkg", "-i", *(f"/srv/repository/sites/pool/{deb.name}" for deb in runtime(server)))
    server.shell("systemctl stop fpmjail-refresh.path fpmjail-refresh.timer")


def runtime(server: Server) -> list[Path]:
    return list(build_debs(server.release).glob("fpmjail_*.deb"))


def install_changed(
    server: Server, directory: Path, package: str, edit: str, file: str = "DEBIAN/control"
) -> Completed:
    """Install a package that was taken apart, changed in one file, and put together again."""
    (deb,) = (server.bed.sites.root / "pool").glob(f"{package}_*.deb")
    stage, made = directory / "stage", server.bed.sites.root / "changed.deb"
    script = 'rm -rf "$2"; dpkg-deb -R "$1" "$2" && sed -i -e "$3" "$2/$4" && dpkg-deb -Zgzip -z1 -b "$2" "$5"'
    subprocess.run(["sh", "-euc", script, "sh", deb, stage, edit, file, made], check=True, capture_output=True)
    return server.run("dpkg", "--force-downgrade", "-i", "/srv/repository/sites/changed.deb", check=False)


def test_php_taken_away_by_force_loses_nothing_and_comes_back_with_what_is_said(server: Server) -> None:
    names = [f"php{server.php}-{name}" for name in ("cli", "common", "fpm")]
    debs = base_tree(server.release).debs
    server.bed.upgrades.publish(*(next(debs.glob(f"{name}_*.deb")) for name in names))
    server.apt("update")
    server.settle()
    for option in ("--remove", "--purge"):
        said = server.run("dpkg", option, "--force-depends", *names)
        assert "Traceback" not in said.output, said.output
        assert server.get("/").body == "up data of example"
        seen = server.run("fpmjail", "status", check=False).stdout
        assert f"no longer installed, though needed: {', '.join(names)}: apt install {' '.join(names)}\n" in seen, seen
    found = server.check_all()
    for name in ROOTS:
        assert f"apt install {' '.join(names)}" in {finding["fix"] for finding in found[name]}, found[name]
    assert not [finding for finding in found["example"] if finding["level"] == "bad"]
    server.apt("install", *names)
    assert_up(server)
    server.settle()
    server.assert_true_to_host()
    assert "no longer installed" not in server.run("fpmjail", "status", check=False).stdout


def test_a_site_for_a_newer_runtime_is_refused_and_the_one_before_goes_on(server: Server, tmp_path: Path) -> None:
    facts = "usr/share/fpmjail/sites/example/site.json"
    answer = install_changed(server, tmp_path, "site-example-jail", 's/"format": 1/"format": 2/', facts)
    assert not answer.good and "the site needs a newer fpmjail" in answer.output, answer.output
    assert "Traceback" not in answer.output
    assert_up(server)
    assert "the site needs a newer fpmjail" in server.run("fpmjail", "status", check=False).output
    assert triggered(server).good
    server.shell("dpkg -i /srv/repository/sites/pool/site-example-jail_*.deb")


def test_nothing_is_wrong_after_all_of_it(server: Server) -> None:
    assert all_bad(server) == []
