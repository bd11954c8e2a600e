# SPDX-License-Identifier: MIT
"""Stops the PHP of sites that nobody asks for, and finishes hand-overs: one look a minute for all sites of a server.

A worker waits for its next request without ever running, so what the kernel counts about a master's processes stays the
same as long as there is none: nothing is asked of FPM, whose own counters would count the question.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpmjail import connections, files, handover, systemd
from fpmjail import site as sites
from fpmjail.layout import Layout
from fpmjail.site import Site

ENDED = 8  # /proc/PID/stat from its state on: page faults of children that have ended (cminflt), proc(5)


@dataclass(frozen=True, slots=True)
class Rest:
    """Since when (seconds since the boot) the kernel has counted the same about a master."""

    counted: str
    since: float


def counted(pid: int, proc: Path = Path("/proc")) -> str:
    """What changes with every request to a master: its workers, how often each gave up the processor to wait, and what
    those that have ended leave behind. Empty when the master is gone."""
    try:
        children = (proc / f"{pid}/task/{pid}/children").read_text().split()
        ended = text_of(proc / f"{pid}/stat").rpartition(")")[2].split()[ENDED]
        waits = [f"{child}:{switches(text_of(proc / child / 'status'))}" for child in children]
    except OSError:
        return ""
    return " ".join((str(pid), ended, *waits))


def text_of(path: Path) -> str:
    """A file of /proc, in which a process has the name that it gave itself."""
    return path.read_bytes().decode(errors="replace")


def switches(status: str) -> str:
    """How often a process gave up the processor by itself, from the text of its /proc/PID/status."""
    found = (line.split()[1] for line in status.split("\n") if line.startswith("voluntary_ctxt_switches:"))
    return next(found, "")


def remember(before: Mapping[str, Rest], now: Mapping[str, str], busy: Iterable[str], clock: float) -> dict[str, Rest]:
    """What is known of each running site after this look: a rest goes on where nothing has changed and nothing is in
    flight."""
    awake = set(busy)
    return {
        name: before[name]
        if name in before and before[name].counted == what and name not in awake and before[name].since <= clock
        else Rest(what, clock)
        for name, what in now.items()
    }


def due(site: Site, rest: Rest, clock: float) -> bool:
    """Whether a site has rested long enough to be stopped."""
    return 0 < site.php.idle_after <= clock - rest.since


def tend(layout: Layout, clock: float) -> tuple[str, ...]:
    """One look at all sites that run; what is in the way of something."""
    if not systemd.up(*handover.PATTERNS) and not layout.leaving.is_dir():
        layout.idle_file.unlink(missing_ok=True)
        return ()
    files.make_run(layout.run)
    with files.lock(layout.lock_file):
        pids = systemd.up(*handover.PATTERNS)  # anew: a refresh that had the lock puts new masters there
        running = tuple(known(layout, pids))
        faults = handover.settle(layout, running, pids)
        stop_idle(layout, running, pids, clock)
    return tuple(f"{name}: {words}" for name, words in faults.items())


def known(layout: Layout, pids: Mapping[str, int]) -> Iterable[Site]:
    """The sites of services; only theirs are read."""
    names = {unit.removeprefix("site-").rpartition("-jail")[0] for unit in pids}
    for name in sorted(names):
        try:
            site = sites.load(layout.sites / name / "site.json")
        except sites.SiteError:
            continue
        if not site.shared:
            yield site


def stop_idle(layout: Layout, running: Iterable[Site], pids: Mapping[str, int], clock: float) -> None:
    """Remember how long each site has rested, and stop those that have long enough."""
    marks = handover.leaving(layout)
    standing = {site.name: (site, handover.stand(site, pids, marks)) for site in running if site.php.idle_after}
    alone = {name: (site, one.pid) for name, (site, one) in standing.items() if one.alone}
    visited = connections.by_path()
    busy = [name for name, (site, _) in alone.items() if visited.get(str(site.paths.socket))]
    rests = remember(recall(layout), {name: counted(pid) for name, (_, pid) in alone.items()}, busy, clock)
    for name, (site, pid) in alone.items():
        if due(site, rests[name], clock):
            handover.rest(layout, site, pid)
            del rests[name]
    text = json.dumps({name: [one.counted, one.since] for name, one in rests.items()})
    files.replace_file(layout.idle_file, text.encode())


def recall(layout: Layout) -> dict[str, Rest]:
    """What the look before has left; nothing when it is damaged or there was none since the boot."""
    try:
        content = json.loads(layout.idle_file.read_text())
        return {str(name): Rest(str(counted), float(since)) for name, (counted, since) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def now() -> float:
    """Seconds since the boot, those asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
