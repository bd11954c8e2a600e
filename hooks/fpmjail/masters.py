# SPDX-License-Identifier: MIT
"""The running FPM masters: which generation those of dedicated sites map, and their reload after a switch.

Debian's own, of the shared sites, maps nothing of any image: after a switch its sites are only asked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail import probe, systemd
from fpmjail.layout import Layout
from fpmjail.site import BIND, Site

AT_ONCE = 4  # each reload starts a whole PHP: more at a time only make all of them slow
PATIENCE = 60.0  # seconds; above process_control_timeout, which a request in flight may use up
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

    served = (site for site in sites if not site.shared or pools.linked(layout, site))
    pairs = ((site, systemd.main_pid(site.units.service)) for site in served)
    return tuple(Master(site, pid) for site, pid in pairs if pid)


def using(layout: Layout, sites: Iterable[Site], profile_id: str) -> tuple[Master, ...]:
    """The running masters that have this image: a new version of a site may ask for another one, but until it is
    configured the site keeps what it has."""
    from fpmjail import state

    known = ((site, state.read(layout, site.name)) for site in sites)
    return running(layout, (site for site, now in known if now and now.profile == profile_id))


def generations(maps: str) -> frozenset[str]:
    """The generations whose files appear in the text of a /proc/PID/maps (proc(5))."""
    return frozenset(GENERATION.findall(maps))


def mapped(pid: int) -> frozenset[str]:
    """The generations that a process maps; none when it is gone."""
    try:
        return generations(Path(f"/proc/{pid}/maps").read_text(errors="replace"))
    except OSError:
        return frozenset()


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
    """Let the masters take up a generation; what is wrong with those that did not come back with it, by site.

    SIGUSR2 makes FPM execute itself again, so libraries and extensions are the new ones too (php-fpm(8)).
    """
    return each(lambda master: reload_one(layout, master.site, generation), masters)


def reload_one(layout: Layout, site: Site, generation: str) -> str:
    """Reload one master, wait until it runs from the generation; what its PHP then complains of.

    A shared site already has the generation.
    """
    if not (site.shared or taken_up(site, generation)):
        return f"its master does not run from {generation}"
    return complaint(layout, site)


def taken_up(site: Site, generation: str) -> bool:
    """Reload a master; True once it runs from the generation, or from the server's own files as they are now."""
    if site.profile.libraries == BIND:
        return reload_settings(site)
    return reload_until(site, lambda pid: mapped(pid) == {generation})


def reload_settings(site: Site) -> bool:
    """Let a master read its configuration again; True once it did, which requests in flight may put off."""
    before = start(systemd.main_pid(site.units.service))
    return reload_until(site, lambda pid: start(pid) not in (before, b""))


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
    deadline = time.monotonic() + PATIENCE
    while not done(systemd.main_pid(site.units.service)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
