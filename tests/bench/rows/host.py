# SPDX-License-Identifier: GPL-2.0-or-later
"""A server with many sites: its installation in one run of apt, and its boot."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import many
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.lifecycle.server import Server

SITES = 100
PRIVATE = "jail: {mounts: private}\n"
CHANGED = "php: {settings: {memory_limit: 77M}}\n"
BOOT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Runs:
    """Packages, new versions of them, and the seconds that runs of apt took with each."""

    debs: list[Path]
    newer: list[Path]
    installed: list[float] = field(default_factory=list)
    upgraded: list[float] = field(default_factory=list)


def install(bench: Bench) -> Iterator[Line]:
    """One run of apt each, on a fresh server each time, then one with new versions; the packages are there already."""
    number = bench.some(SITES)
    ours = Runs(many.packages(bench, number), many.packages(bench, number, CHANGED, "1.1.0"))
    alone = Runs(many.packages(bench, number, PRIVATE), many.packages(bench, number, PRIVATE + CHANGED, "1.1.0"))
    empty = Runs(many.empty_scripts(bench, ours.debs), many.empty_scripts(bench, ours.newer))
    for _ in bench.rounds():
        for runs in (ours, alone, empty):
            with many.server(bench) as there:
                runs.installed.append(installed(there, runs.debs))
                runs.upgraded.append(installed(there, runs.newer))
    against, aim = "the same files, empty scripts", Aim(Compare.TIMES, 3)
    for runs, how in ((ours, ""), (alone, ", `jail.mounts: private`")):
        what = f"{number} sites in one run{how}"
        yield Line(f"`apt install` of {what}", "s", tuple(runs.installed), against, tuple(empty.installed), aim)
        yield Line(f"new versions of {what}", "s", tuple(runs.upgraded), against, tuple(empty.upgraded))


def installed(there: Server, debs: list[Path]) -> float:
    """Seconds of one run of apt."""
    there.bed.sites.publish(*debs)
    there.apt("update")
    started = time.perf_counter()
    there.apt("install", *(deb.name.partition("_")[0] for deb in debs), timeout=3600)
    return time.perf_counter() - started


def boot(bench: Bench) -> Iterator[Line]:
    """The userspace part of a boot, until everything is started: sockets, virtual hosts, accounts of every site."""
    without, loaded = [], []
    with many.server(bench) as there:
        for _ in bench.rounds():
            without.append(booted(there))
        many.unpack(there, many.packages(bench, bench.sites))
        switch_on(there)
        for _ in bench.rounds():
            loaded.append(booted(there))
    what, aim = f"boot of a server with {bench.sites} idle sites", Aim(Compare.MORE, 10)
    yield Line(what, "s", tuple(loaded), "the same server without a site", tuple(without), aim)


def switch_on(there: Server) -> None:
    """What configuring every site does for a boot: sockets enabled, virtual hosts linked, directories made."""
    there.shell(
        "cd /usr/lib/systemd/system; systemctl enable --quiet site-*.socket; cd /etc/apache2/sites-available;"
        "for site in site-*.conf; do ln -sf ../sites-available/$site ../sites-enabled/$site; done;"
        "a2enmod -q proxy_fcgi setenvif headers rewrite; fpmjail refresh",
        timeout=1200,
    )


def booted(there: Server) -> float:
    """Seconds from systemd's start to the end of the boot."""
    there.container.reboot(BOOT_SECONDS)
    said = there.run("systemd-analyze", "time").stdout
    found = re.search(r"= (?:(\d+)min )?([\d.]+)(ms|s)", said) or re.search(r"in (?:(\d+)min )?([\d.]+)(ms|s)", said)
    assert found, said
    return int(found[1] or 0) * 60 + float(found[2]) / (1000 if found[3] == "ms" else 1)


INSTALL = Row("install", "many sites in one run of apt", install)
BOOT = Row("boot", "boot with many sites", boot)
