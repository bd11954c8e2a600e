# SPDX-License-Identifier: GPL-2.0-or-later
"""Refreshes: with nothing to do, and after an upgrade of libc6, with 1, 10, 100, 1000 sites."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench import many
from tests.bench.row import Aim, Bench, Compare, Line, Row, Samples
from tests.lifecycle.server import Server

TURNS = 20
CLOCK = """
import json, os, sys, time
def seconds(words):
    started = time.perf_counter()
    process = os.posix_spawnp(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", 1, 0)])
    status = os.waitpid(process, 0)[1]
    if status:
        sys.exit(f"{words}: status {status}")
    return time.perf_counter() - started
commands, turns = json.loads(sys.argv[1]), int(sys.argv[2])
found = [[seconds(command) for command in commands] for _ in range(turns)]
print(json.dumps(list(zip(*found))))
"""
UPGRADE = """
import os, subprocess, sys
listed = subprocess.run(["dpkg", "-L", "libc6"], capture_output=True, text=True, check=True).stdout.splitlines()
changed = 0
for path in listed:
    path = os.path.realpath(path)
    if not os.path.isfile(path):
        continue
    content = open(path, "rb").read()
    if content[:4] == b"\\x7fELF":
        with open(f"{path}.new", "wb") as file:
            file.write(content + b"\\0upgraded\\n")
        os.chmod(f"{path}.new", os.stat(path).st_mode & 0o7777)
        os.rename(f"{path}.new", path)
        changed += 1
sys.exit(not changed)
"""
JAILS = "/srv/jails"


@dataclass(frozen=True, slots=True)
class Step:
    """What a refresh took with that many sites, and jailkit with that many jails, which may be fewer."""

    sites: int
    ours: Samples
    jails: int
    theirs: Samples

    @property
    def rival(self) -> Samples:
        """jailkit's time for as many jails as there are sites."""
        return tuple(value * self.sites / self.jails for value in self.theirs)


def clock(there: Server, turns: int, *commands: list[str]) -> list[list[float]]:
    """Seconds of each command, run in turn that many times."""
    return list(json.loads(there.run("python3", "-c", CLOCK, json.dumps(commands), str(turns), timeout=3600).stdout))


def noop(bench: Bench) -> Iterator[Line]:
    """What dpkg's triggers cost when nothing has changed."""
    ours, python = [], []
    with many.server(bench) as there:
        many.unpack(there, many.packages(bench, bench.sites))
        there.run("fpmjail", "refresh", timeout=1200)
        there.run("fpmjail", "refresh", timeout=1200)
        for _ in bench.rounds():
            found = clock(there, TURNS, ["fpmjail", "refresh"], ["python3", "-I", "-c", "pass"])
            mine, bare = (median(values) * 1000 for values in found)
            ours.append(mine)
            python.append(bare)
    what = f"refresh with nothing to do, {bench.sites} sites"
    yield Line(what, "ms", tuple(ours), "`python3 -I -c pass`", tuple(python), Aim(Compare.TIMES, 3))


def refresh(bench: Bench) -> Iterator[Line]:
    """libc6's files are exchanged as dpkg does it; then the copies are made anew."""
    with many.server(bench, "jailkit") as there:
        debs = many.packages(bench, bench.sites)
        steps, unpacked, jails = [], 0, 0
        for sites in bench.steps:
            many.unpack(there, debs[unpacked:sites])
            there.run("fpmjail", "refresh", timeout=1200)
            wanted = min(sites, bench.rivals)
            make_jails(there, jails, wanted)
            unpacked, jails = sites, wanted
            bench.tell(f"  {sites} sites, {jails} jails of jailkit's")
            steps.append(measured(bench, there, sites, jails))
    yield from map(line, steps)
    if len(steps) > 1:
        what = f"refresh with {steps[-1].sites} sites against 1 site"
        yield Line(what, "s", steps[-1].ours, "1 site", steps[0].ours, Aim(Compare.TIMES, 2))


def measured(bench: Bench, there: Server, sites: int, jails: int) -> Step:
    """The refreshes with one number of sites."""
    ours, theirs = [], []
    update = ["sh", "-ec", f"for jail in {JAILS}/*; do jk_update -j $jail; done"]
    for _ in bench.rounds():
        there.run("python3", "-c", UPGRADE)
        ((mine,), (other,)) = clock(there, 1, ["fpmjail", "refresh"], update)
        ours.append(mine)
        theirs.append(other)
    assert "up to date" in there.run("fpmjail", "refresh").output
    return Step(sites, tuple(ours), jails, tuple(theirs))


def line(step: Step) -> Line:
    """A step; jailkit's time is that of fewer jails where so many would fill the disk."""
    what = f"refresh after an upgrade of libc6, {step.sites} site{'s' if step.sites > 1 else ''}"
    against = "`jk_update` of as many jails"
    reason = ""
    if step.jails < step.sites:
        reason = f"`jk_update` ran on {step.jails} jails, its time is multiplied: it goes from jail to jail."
    aim = Aim(Compare.FASTER, 100) if step.sites >= 100 else None
    return Line(what, "s", step.ours, against, step.rival, aim, reason)


def make_jails(there: Server, have: int, want: int) -> None:
    """Jails of jailkit's that hold the same files as a site's image."""
    if not have and want:
        entries = json.loads(there.run("fpmjail", "files", many.name(0), "--json").stdout)
        sources = "\n".join(sorted({entry["source"] for entry in entries if entry["source"]}))
        there.write("/root/sources", sources + "\n")
        copy = f"xargs -d '\\n' jk_cp -j {JAILS}/1 </root/sources >/dev/null 2>&1"
        there.shell(f"mkdir -p {JAILS}/1; {copy}", timeout=1200)
    for number in range(max(have, 1) + 1, want + 1):
        there.run("cp", "-a", f"{JAILS}/1", f"{JAILS}/{number}")


NOOP = Row("noop", "a refresh with nothing to do", noop)
REFRESH = Row("refresh", "refreshes after an upgrade of libc6", refresh)
