# SPDX-License-Identifier: MIT
"""The running FPM masters: which generation those of dedicated sites map, and new ones in their place after a switch.

Debian's own, of the shared sites, maps nothing of any image: after a switch its sites are only asked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail import handover, probe, systemd
from fpmjail.layout import Layout
from fpmjail.site import BIND, Site

AT_ONCE = 4  # each starts a whole PHP: more at a time only make all of them slow
PATIENCE = 30.0  # seconds that a reload may take beyond process_control_timeout, which a request in flight may use up
GENERATION = re.compile(r"/([0-9a-f]{16})/usr/")


@dataclass(frozen=True, slots=True)
class Master:
    """A running master and the site that it serves; shared sites have one in common."""

    site: Site
    pid: int


def running(layout: Layout, sites: Iterable[Site]) -> tuple[Master, ...]:
    """The masters that are up now; a site that nobody asked for has none."""
    if not systemd.running():
        return ()
    from fpmjail import pools

    known = tuple(sites)
    debians = {site.units.service for site in known if site.shared}
    pids, leaving = systemd.up(*handover.PATTERNS, *sorted(debians)), handover.leaving(layout)
    pairs = ((site, handover.stand(site, pids, leaving).serving) for site in known)
    return tuple(Master(site, pid) for site, pid in pairs if pid and (not site.shared or pools.linked(layout, site)))


def using(layout: Layout, sites: Iterable[Site], profile_id: str) -> tuple[Master, ...]:
    """The running masters that have this image: a new version of a site may ask for another one, but until it is
    configured the site keeps what it has."""
    from fpmjail import state

    known = ((master, state.read(layout, master.site.name)) for master in running(layout, sites))
    return tuple(master for master, now in known if now and now.profile == profile_id)


def generations(maps: str) -> frozenset[str]:
    """The generations whose files appear in the text of a /proc/PID/maps (proc(5))."""
    return frozenset(GENERATION.findall(maps))


def mapped(pid: int) -> frozenset[str]:
    """The generations that a process maps; none when it is gone."""
    try:
        return generations(Path(f"/proc/{pid}/maps").read_text(errors="replace"))
    except OSError:
        return frozenset()


def left_behind(layout: Layout) -> set[str]:
    """The generations of masters that end with their last request: until then PHP may go where a link led before
    (realpath_cache_ttl)."""
    return {generation for pid in handover.leaving(layout).values() for generation in mapped(pid)}


def outdated(masters: Iterable[Master], generation: str) -> tuple[Master, ...]:
    """The masters of dedicated sites that map anything but this generation; with the server's own /usr nobody knows."""
    dedicated = (master for master in masters if not master.site.shared)
    return tuple(
        master for master in dedicated if master.site.profile.libraries == BIND or mapped(master.pid) != {generation}
    )


def complaint(layout: Layout, site: Site) -> str:
    """What the smallest probe has to say against the site's PHP; nothing when it answers with good news."""
    return "; ".join(probe.run(layout, site, "php").findings)


def each(work: Callable[[Master], str], masters: Sequence[Master]) -> dict[str, str]:
    """What the work says against the masters, by the names of their sites; a few at a time."""
    from concurrent.futures import ThreadPoolExecutor

    if not masters:
        return {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = zip(masters, pool.map(work, masters), strict=True)
        return {master.site.name: words for master, words in said if words}


def reload(layout: Layout, masters: Sequence[Master], generation: str) -> dict[str, str]:
    """Let the masters take up a generation, the busiest last; what is wrong with those that did not, by site."""
    from fpmjail import connections

    visited = connections.by_path()
    ordered = sorted(masters, key=lambda master: visited.get(str(master.site.paths.socket), 0))
    return each(lambda master: reload_one(layout, master.site, generation), ordered)


def reload_one(layout: Layout, site: Site, generation: str) -> str:
    """Let one site's PHP run from the generation; what is wrong with it then. A shared site already has it."""
    return (not site.shared and renew(layout, site, generation)) or complaint(layout, site)


def renew(layout: Layout, site: Site, generation: str = "") -> str:
    """Put a new master in the place of a running one; why that did not work.

    It reads its configuration and its units, and maps the generation, or the server's own files as they are now. The
    package of before, which has no standby, gets FPM's own reload (SIGUSR2: FPM executes itself again).
    """
    told = bool(generation) and site.profile.libraries != BIND
    if site.units.standby:
        return handover.hand_over(layout, site, lambda pid: not told or mapped(pid) == {generation})
    before = start(systemd.main_pid(site.units.service))

    def done(pid: int) -> bool:
        return mapped(pid) == {generation} if told else start(pid) not in (before, b"")

    return "" if reload_until(site, done) else f"its master does not run from {generation or 'its configuration'}"


def start(pid: int) -> bytes:
    """What execve(2) gave to a process, other random addresses each time (proc(5), auxv); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/auxv").read_bytes()
    except OSError:
        return b""


def reload_until(site: Site, done: Callable[[int], bool]) -> bool:
    """`systemctl reload` only sends the signal: wait until it had its effect on the main process."""
    if not systemd.systemctl("reload", site.units.service).good:
        return False
    deadline = time.monotonic() + site.php.request_timeout + PATIENCE
    while not done(systemd.main_pid(site.units.service)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
