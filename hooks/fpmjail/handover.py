# SPDX-License-Identifier: MIT
"""Hands the socket of a site from one FPM master to the next: no request is cut off, none waits for another.

FPM's own reload (SIGUSR2) executes the new master only when the last request of the old one has ended, and until then
nobody answers. Here a second service, the standby, gets the same socket from systemd and answers before the first one
is told to end (SIGQUIT: it takes no new request, and goes with its last). Then the first one starts again and the
standby goes in the same way. A request that lasts holds up neither: `settle`, called once a minute, does the rest when
it is over.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from fpmjail import files, systemd
from fpmjail.layout import Layout
from fpmjail.site import Site

PATTERNS = ("site-*-jail.service", "site-*-jail-standby@*.service")
GRACE = 2.0  # seconds for requests in flight, before the standby has to go on alone for a while
START = 60.0  # seconds for a master to come up

Good = Callable[[int], bool]
Pids = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """The services of one site that are up: the first one's process id (0 when it is down), whether it was told to end,
    and the standbys that were not."""

    pid: int
    leaving: bool
    standbys: tuple[tuple[str, int], ...]

    @property
    def torn(self) -> bool:
        """Whether a hand-over was killed in the middle: the first one and a standby both take new requests."""
        return bool(self.standbys and self.pid and not self.leaving)

    @property
    def alone(self) -> bool:
        """Whether the first one, and nobody else, takes new requests: then it can be put to rest."""
        return self.serving == self.pid != 0 and not self.torn

    @property
    def serving(self) -> int:
        """The process id of the master that takes new requests, 0 when none does; of two, the one that may be old."""
        if self.standbys and not self.torn:
            return self.standbys[-1][1]
        return 0 if self.leaving else self.pid


def stand(site: Site, pids: Pids, leaving: Pids) -> Standing:
    """Who serves a site, by the services that are up and the marks of those that were told to end."""
    first = pids.get(site.units.service, 0)
    beginning = site.units.standby.partition("@")[0] + "@"
    standbys = ((unit, pid) for unit, pid in sorted(pids.items()) if site.units.standby and unit.startswith(beginning))
    return Standing(
        first,
        first != 0 and leaving.get(site.units.service) == first,
        tuple((unit, pid) for unit, pid in standbys if leaving.get(unit) != pid),
    )


def leaving(layout: Layout) -> dict[str, int]:
    """The services that were told to end, and which of their processes."""
    found = {}
    for mark in layout.leaving.glob("*.service"):
        with suppress(FileNotFoundError):  # it ended just now
            if (text := mark.read_text()).isdigit():
                found[mark.name] = int(text)
    return found


def look(layout: Layout, site: Site) -> Standing:
    """Who serves a site now."""
    return stand(site, systemd.up(site.units.service, *site.units.standbys), leaving(layout))


def retire(layout: Layout, unit: str, pid: int) -> None:
    """Let a master end with its last request; whoever comes after it is another one."""
    files.make_run(layout.run)
    files.make_directory(layout.leaving, 0, 0, 0o755)
    files.replace_file(layout.leaving / unit, str(pid).encode())
    tell(unit)


def tell(unit: str) -> None:
    """Tell a master to end with its last request; one that knows already takes no notice (fpm_pctl of PHP)."""
    systemd.systemctl("kill", "--kill-who=main", "--signal=SIGQUIT", unit)


def gone(unit: str, pid: int, patience: float) -> bool:
    """Wait for the end of a master that was told to end."""
    deadline = time.monotonic() + patience
    while systemd.main_pid(unit) == pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def hand_over(layout: Layout, site: Site, good: Good) -> str:
    """Let a new master take a running site's socket; why it could not, or nothing. The old one then goes on.

    `good` says of a process id whether that is what the new master should be.
    """
    before = look(layout, site)
    unit = site.units.standby.replace("@.", f"@{secrets.token_hex(4)}.")
    fault = begin(unit, good)
    if fault:
        return fault
    for other, pid in before.standbys:
        retire(layout, other, pid)
    if before.pid:
        retire(layout, site.units.service, before.pid)
    if before.pid and not gone(site.units.service, before.pid, GRACE):
        return ""
    return come_back(layout, site, good)


def begin(unit: str, good: Good) -> str:
    """Start a service whose master should be new; stop it again if it is not. What is wrong."""
    answer = systemd.systemctl("start", unit, timeout=START)
    if answer.good and good(systemd.main_pid(unit)):
        return ""
    systemd.systemctl("stop", unit)
    systemd.systemctl("reset-failed", unit)
    return "its new master does not run from what it should" if answer.good else f"no new master: {answer.words}"


def come_back(layout: Layout, site: Site, good: Good) -> str:
    """The first service is down: start it again and let the standbys go. They stay when it does not start."""
    answer = systemd.systemctl("start", site.units.service, timeout=START)
    if not answer.good:
        return f"no new master: {answer.words}"
    if not good(systemd.main_pid(site.units.service)):
        return "its new master does not run from what it should"
    for unit, pid in look(layout, site).standbys:
        retire(layout, unit, pid)
    return ""


def settle(layout: Layout, sites: Iterable[Site], pids: Pids) -> dict[str, str]:
    """Finish the hand-overs whose old master has had its last request; what is in the way, by site.

    Also those that were killed in the middle: as long as a standby is up, there is something to finish, and whether a
    master that was to be told to end has been told, nobody knows.
    """
    marks = leaving(layout)
    faults = {}
    for site in sites:
        now = stand(site, pids, marks)
        if now.torn:
            retire(layout, site.units.service, now.pid)
            now = now if gone(site.units.service, now.pid, GRACE) else replace(now, leaving=True)
        if now.standbys and not now.leaving:
            faults[site.name] = come_back(layout, site, lambda pid: True)
    for unit, pid in marks.items():
        if pids.get(unit) == pid:
            tell(unit)
        else:
            (layout.leaving / unit).unlink(missing_ok=True)
    return {name: words for name, words in faults.items() if words}


def rest(layout: Layout, site: Site, pid: int) -> None:
    """Stop the master of a site that has nothing to do; systemd keeps the socket and starts it with the next request.

    One that got in meanwhile ends in peace, and if it lasts, others do not wait for it.
    """
    retire(layout, site.units.service, pid)
    if not gone(site.units.service, pid, GRACE) and site.units.standby:
        systemd.systemctl("start", site.units.standby.replace("@.", f"@{secrets.token_hex(4)}."), timeout=START)


def stop(site: Site) -> None:
    """Stop everything that has the socket."""
    systemd.systemctl("stop", site.units.service, *site.units.standbys)
