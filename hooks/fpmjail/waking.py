# SPDX-License-Identifier: MIT
"""Sites that are woken only to be looked at: no more of them stay awake than memory has room for.

An idle site has no process. Its installation and each check give it one, which stays for `idle_after`; those of a
thousand sites at once would take all memory of many a server.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from fpmjail import files, handover, systemd
from fpmjail.handover import Pids
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


def in_turns(layout: Layout, wanted: Sequence[Site]) -> Iterator[Sequence[Site]]:
    """Yield as many sites at a time as there is room for. If those are not all, those of a turn that were idle before
    are idle again after it."""
    size = allowed()
    if len(wanted) <= size or not systemd.running():
        yield wanted
        return
    for start in range(0, len(wanted), size):
        turn, before = wanted[start : start + size], systemd.up(*handover.PATTERNS)
        yield turn
        put_back(layout, turn, before)


def put_back(layout: Layout, woken: Collection[Site], before: Pids) -> None:
    """Let the sites that were idle before be idle again, but for those that are never to be (`idle_after: 0`)."""
    with files.lock(layout.lock_file):
        now, marks = systemd.up(*handover.PATTERNS), handover.leaving(layout)
        for site in (site for site in woken if site.php.idle_after and not site.shared):
            standing = handover.stand(site, now, marks)
            if not handover.stand(site, before, marks).serving and standing.pid and standing.serving == standing.pid:
                handover.rest(layout, site, standing.pid)
