# SPDX-License-Identifier: GPL-2.0-or-later
"""Building the packages of many sites, against dpkg-deb alone and against the usual way of Debian's packages."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import many
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.lifecycle.container import Container

FASTEST = "--root-owner-group -Zxz -z0"
"""What fpmjail-deb has dpkg-deb do."""

RULES = """\
#!/usr/bin/make -f
%:
	dh $@
override_dh_auto_install:
	mkdir -p debian/site-s00000-jail
	cp -a root/. debian/site-s00000-jail/
override_dh_usrlocal override_dh_installsystemd override_dh_installtmpfiles override_dh_installsysusers:
"""
CONTROL = """\
Source: site-s00000-jail
Section: web
Priority: optional
Maintainer: Web Team <web@example.org>
Build-Depends: debhelper-compat (= 13)
Standards-Version: 4.6.2

Package: site-s00000-jail
Architecture: all
Depends: fpmjail
Description: website s00000.example.org
 Virtual host, PHP-FPM and jail of a website.
"""
CHANGELOG = """\
site-s00000-jail (1.0.0) trixie; urgency=medium

  * Made by hand.

 -- Web Team <web@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
"""
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
PEAK = """
import os, subprocess, sys, time
def kin(pid):
    try:
        children = [int(word) for word in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        children = []
    return [pid, *(one for child in children for one in kin(child))]
def held(pid):
    try:
        lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
peak = 0
while process.poll() is None:
    peak = max(peak, sum(map(held, kin(process.pid))))
    time.sleep(0.05)
print(peak / 1000)
sys.exit(process.returncode)
"""


def timed(chroot: Container, script: str) -> float:
    """Seconds that a shell script takes."""
    started = time.perf_counter()
    chroot.shell(script, timeout=7200)
    return time.perf_counter() - started


def build(bench: Bench) -> Iterator[Line]:
    """All sites at once; the same trees by dpkg-deb, as it is and at its fastest; one of them by dpkg-buildpackage."""
    place, jobs = bench.place / "build", len(os.sched_getaffinity(0))
    many.describe(place / "sites", bench.sites, bench.release)
    ours, bare, fastest, usual = [], [], [], []
    with many.builder(bench, place) as chroot:
        prepare(chroot, place, jobs)
        trees = f"ls {place}/trees | xargs -P{jobs} -I@ dpkg-deb"
        for _ in bench.rounds():
            chroot.shell(f"rm -rf {place}/out {place}/bare; mkdir {place}/bare; sync")
            ours.append(timed(chroot, f"fpmjail-deb build {place}/sites -o {place}/out -j {jobs}"))
            bare.append(timed(chroot, f"{trees} --build {place}/trees/@ {place}/bare/@.deb"))
            fastest.append(timed(chroot, f"{trees} {FASTEST} --build {place}/trees/@ {place}/bare/@.deb"))
            usual.append(timed(chroot, f"cd {place}/source && dpkg-buildpackage -b -us -uc -d"))
    what, rival = f"build of {bench.sites} packages, -j {jobs}", "`dpkg-deb --build` of the same trees"
    yield Line(what, "s", tuple(ours), rival, tuple(bare), Aim(Compare.TIMES, 1.5))
    yield Line(what, "s", tuple(ours), f"{rival} with our `-z0`", tuple(fastest))
    each = tuple(seconds / bench.sites for seconds in ours)
    per_one = Aim(Compare.FASTER, 100)
    yield Line("one package of those", "s", each, "`dpkg-buildpackage` with debhelper", tuple(usual), per_one)


def prepare(chroot: Container, place: Path, jobs: int) -> None:
    """Install the generator; unpack what it makes, for the rivals."""
    chroot.shell(f"dpkg -i {many.DEBS}/fpmjail-deb_*.deb")
    chroot.shell(f"fpmjail-deb build {place}/sites -o {place}/out -j {jobs}", timeout=7200)
    unpack = 'name=$(basename "$1" .deb); dpkg-deb -R "$1" "$2/trees/$name"'
    each = f"xargs -P{jobs} -I@ sh -euc '{unpack}' sh @ {place}"
    chroot.shell(f"mkdir {place}/trees; ls {place}/out/*.deb | {each}", timeout=7200)
    source = place / "source"
    (source / "debian").mkdir(parents=True)
    for name, text in (("rules", RULES), ("control", CONTROL), ("changelog", CHANGELOG)):
        (source / "debian" / name).write_text(text)
    (source / "debian/rules").chmod(0o755)
    chroot.shell(f"set -- {place}/trees/site-s00000-*; cp -a $1 {source}/root; cd {source}; "
                 f"for script in {' '.join(SCRIPTS)}; do "
                 "[ ! -f root/DEBIAN/$script ] || cp root/DEBIAN/$script debian/; done; rm -r root/DEBIAN")  # fmt: skip


def memory(bench: Bench) -> Iterator[Line]:
    """The most that all processes of a build hold at one moment; what they share counts once."""
    place = bench.place / "memory"
    many.describe(place / "sites", bench.sites, bench.release)
    peaks = []
    with many.builder(bench, place) as chroot:
        chroot.shell(f"dpkg -i {many.DEBS}/fpmjail-deb_*.deb")
        for _ in bench.rounds():
            chroot.shell(f"rm -rf {place}/out")
            command = ["fpmjail-deb", "build", f"{place}/sites", "-o", f"{place}/out"]
            peaks.append(float(chroot.run("python3", "-c", PEAK, *command, timeout=7200).stdout))
    what = f"memory of the generator with {bench.sites} sites, all processes"
    yield Line(what, "MB", tuple(peaks), aim=Aim(Compare.ALONE, 200))


BUILD = Row("build", "packages of many sites", build)
MEMORY = Row("generator", "memory of the generator", memory)
