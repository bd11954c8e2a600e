# SPDX-License-Identifier: MIT
"""Sites that are woken only to be looked at: no more of them stay awake than memory has room for.

An idle site has no process. Its installation and each check give it one, which stays for `idle_after`; those of a
thousand sites at once would take all memory of many a server.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

from fpmjail import files, handover, systemd
from fpmjail.layout import Layout
from fpmjail.site import Site

MASTER = 16 << 20  # bytes that an FPM master takes with its first worker (seen: 7 to 15 MB)
FEW = 8  # so many may stay awake on the smallest server
MEMINFO = Path("/proc/meminfo")


def room(meminfo: str) -> int:
    """How many more masters may stay: those that half of the memory has room for that is available now (the text of
    proc_meminfo(5))."""
    found = re.search(r"^MemAvailable: +(\d+) kB$", meminfo, re.MULTILINE)
    return max(FEW, int(found[1]) * 1024 // 2 // MASTER) if found else FEW


def allowed() -> int:
    """How many more masters may stay on this server."""
    try:
        return room(MEMINFO.read_text())
    except OSError:
        return FEW


def in_turns(layout: Layout, wanted: Sequence[Site]) -> Generator[Sequence[Site]]:
    """Yield as many sites at a time as there is room for. If those are not all, those of a turn that were idle before
    are idle again after it."""
    size = allowed()
    if len(wanted) <= size or not systemd.running():
        yield wanted
        return
    for start in range(0, len(wanted), size):
        turn = wanted[start : start + size]
        sleeping = idle(layout, turn)
        try:
            yield turn
        finally:
            put_back(layout, sleeping)


def idle(layout: Layout, sites: Iterable[Site]) -> tuple[Site, ...]:
    """The sites that have no process now; not those that always are to have one (`idle_after: 0`)."""
    pids, marks = systemd.up(*handover.PATTERNS), handover.leaving(layout)
    able = (site for site in sites if site.php.idle_after and not site.shared)
    return tuple(site for site in able if not handover.stand(site, pids, marks).serving)


def put_back(layout: Layout, woken: Iterable[Site]) -> None:
    """Let sites be idle that were before and have no visitor now. The lock is taken: a hand-over is not to be
    disturbed."""
    from fpmjail import connections

    with files.lock(layout.lock_file):
        pids, marks = systemd.up(*handover.PATTERNS), handover.leaving(layout)
        visited = connections.by_path()
        for site in woken:
            standing = handover.stand(site, pids, marks)
            if standing.alone and not visited.get(str(site.paths.socket)):
                handover.rest(layout, site, standing.pid)


def lay_down(layout: Layout, site: Site) -> None:
    """Let a site be idle again that was woken for one request. The lock is held."""
    standing = handover.look(layout, site)
    if standing.alone:
        handover.rest(layout, site, standing.pid)
