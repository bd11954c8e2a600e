# SPDX-License-Identifier: MIT
"""Starts the PHP-FPM of sites that were configured, and asks each for its first answer.

A start and a first request take most of the time that a site takes, so several go on at once; what systemd is told, it
is told for all sites with one call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fpmjail import apparmor, facts, files, fpm, handover, masters, probe, systemd, waking
from fpmjail.arrival import (
    Arrival,
    Failures,
    Say,
    attempt,
    each,
    kept,
    socket_fingerprint,
    unit_fingerprint,
)
from fpmjail.layout import Layout
from fpmjail.places import SiteFault
from fpmjail.site import Site

T = TypeVar("T")
PROGRESS = 10.0  # seconds


def start(layout: Layout, arrivals: Sequence[Arrival], failures: Failures, progress: Say) -> tuple[Arrival, ...]:
    """Start, reload or restart what has changed, and prove that PHP answers. For dedicated sites."""
    if not arrivals:
        return ()
    units = [unit for one in arrivals for unit in (one.site.units.service, one.site.units.socket)]
    systemd.systemctl("reset-failed", *units)
    for one in arrivals:
        open_anew(one)
    listening = listen_each(arrivals, failures)
    pids, marks = systemd.up(*handover.PATTERNS), handover.leaving(layout)
    serving = {one.site.name for one in listening if handover.stand(one.site, pids, marks).serving}
    changed = [one for one in listening if one.site.name in serving and is_changed(layout, one)]
    several(lambda one: take_over(layout, one), changed, failures, Progress("a new PHP took over in", progress))
    ready = [one for one in listening if one.site.name not in failures]
    idle = [one.site for one in ready if one.idle or one.known is None]
    return prove_each(layout, ready, too_many(idle), failures, progress)


def look(layout: Layout, arrivals: Iterable[Arrival]) -> tuple[Arrival, ...]:
    """The sites, with whether each is idle now: before anything is stopped for what is new."""
    pids, marks = systemd.up(*handover.PATTERNS) if systemd.running() else {}, handover.leaving(layout)

    def idle(one: Arrival) -> bool:
        coming = pids.get(one.site.units.service) == 0  # systemd starts it, and it has no process yet
        return not coming and not handover.stand(one.site, pids, marks).serving

    able = {one.site.name for one in arrivals if one.started and not one.site.shared and one.site.php.idle_after}
    return tuple(replace(one, idle=one.site.name in able and idle(one)) for one in arrivals)


def too_many(idle: Sequence[Site]) -> frozenset[str]:
    """Of the sites that the first request is going to wake those that memory has no room for, by name."""
    return frozenset([site.name for site in idle if site.php.idle_after][waking.allowed() :])


def open_anew(one: Arrival) -> None:
    """Replace a socket that has another unit now, or a group that keeps the web server out; whether it starts is looked
    at with the others."""
    site = one.site
    there = facts.entry(site.paths.socket)
    outdated = one.before.socket not in ("", socket_fingerprint(site))
    if outdated or (there is not None and there.gid != facts.web_server().gid):
        systemd.systemctl("stop", site.units.service, *site.units.standbys, site.units.socket)
        systemd.start(site.units.socket)


def listen_each(arrivals: Sequence[Arrival], failures: Failures) -> tuple[Arrival, ...]:
    """Start the sockets, and what looks out for the certificates: all with one call, or each for what it says."""
    units = [unit for one in arrivals for unit in (one.site.units.socket, *one.site.units.paths)]
    if systemd.start(*units).good:
        return tuple(arrivals)
    return each(listen, arrivals, failures)


def listen(one: Arrival) -> Arrival:
    """Start one site's socket, and what looks out for its certificate. Raises SiteFault.

    A socket never starts while its service runs, which nobody can reach then.
    """
    site = one.site
    answer = systemd.start(site.units.socket)
    if not answer.good:
        handover.stop(site)
        answer = systemd.start(site.units.socket)
    if not answer.good:
        raise SiteFault(f"its socket does not start: {answer.words}", f"see: journalctl -u {site.units.socket}")
    watch_certificate(site, one.say)
    return one


def watch_certificate(site: Site, say: Say) -> None:
    """Have systemd look out for the site's certificate. That it cannot is no reason to keep the site down: the kernel
    allows few inotify instances (sysctl fs.inotify.max_user_instances), and each watched path takes one."""
    for unit in site.units.paths:
        answer = systemd.systemctl("start", unit)
        if not answer.good:
            said = f": {answer.words}" if answer.words else ""
            say(f"nobody looks out for its certificate, {unit} does not start{said}; when it is new: fpmjail reload")


def is_changed(layout: Layout, one: Arrival) -> bool:
    """Whether a master that runs has to make way: for new units or a new configuration, also of a run that was killed.
    One of which nothing is known may have any units and any generation."""
    new = one.applied.changed or fpm.untaken(layout, one.site).exists()
    return new or one.before.units != unit_fingerprint(one.site)


def take_over(layout: Layout, one: Arrival) -> Arrival:
    """Let a new master take over. When it cannot, the first request tells why."""
    site = one.site
    if not site.units.standby and one.before.units != unit_fingerprint(site):
        systemd.systemctl("restart", site.units.service)
    elif masters.renew(layout, site):
        handover.stop(site)
    return one


def prove_each(
    layout: Layout, arrivals: Sequence[Arrival], asleep: Collection[str], failures: Failures, progress: Say
) -> tuple[Arrival, ...]:
    """The first request to each; those that are to be asleep then go back to sleep."""

    def proven(one: Arrival) -> Arrival:
        result = prove(layout, one)
        fpm.untaken(layout, one.site).unlink(missing_ok=True)
        if one.site.name in asleep:
            waking.lay_down(layout, one.site)
        return result

    return several(proven, arrivals, failures, Progress("PHP was started for", progress))


@dataclass(frozen=True, slots=True)
class Progress:
    """What those who wait are told every few seconds, with how many there are."""

    words: str
    say: Say

    def counted(self, results: Iterable[T], total: int) -> Iterator[T]:
        """The results, while saying how many there are."""
        told = time.monotonic()
        for number, result in enumerate(results, 1):
            yield result
            if number < total and time.monotonic() - told > PROGRESS:
                told = time.monotonic()
                self.say(f"{self.words} {number} of {total} sites")


def several(
    step: Callable[[Arrival], Arrival], arrivals: Sequence[Arrival], failures: Failures, progress: Progress
) -> tuple[Arrival, ...]:
    """Take a step with each site, with several at once: a start waits for systemd as long as it computes."""
    if len(arrivals) < 2:
        return each(step, arrivals, failures)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(masters.AT_ONCE, os.cpu_count() or 1)) as pool:
        results = progress.counted(pool.map(lambda one: attempt(step, one), arrivals), len(arrivals))
        return kept(zip((one.site for one in arrivals), results, strict=True), failures)


def prove(layout: Layout, one: Arrival) -> Arrival:
    """The first request. If it fails, the configuration that worked before comes back. Raises SiteFault, PoolFault."""
    site, applied = one.site, one.applied
    result = probe.run(layout, site, "php")
    if not result.passed and one.known is None and (fault := fpm.own_fault(site)):
        raise fpm.PoolFault(fault)
    if result.passed or (result := answer(layout, site)).passed:
        return one
    if may_loosen(one) and (loosened := apparmor.loosen(site)):
        if answer(layout, site).passed:
            one.say(loosened)
            return one
        apparmor.tighten(site)
    if applied.changed and applied.before is not None:
        files.replace_file(site.paths.jail / "etc/fpm.conf", applied.before.encode())
        handover.stop(site)
    raise SiteFault(
        f"PHP does not work in the jail: {'; '.join(result.findings)}",
        f"see: journalctl -u {site.units.service}; then: fpmjail check {site.name}",
    )


def may_loosen(one: Arrival) -> bool:
    """Whether AppArmor may be to blame. For a profile that PHP ran under before it takes that no master comes up: what
    workers answer, and when, is for the site's own code to decide, which must not take down its own walls."""
    proven = one.before.apparmor == apparmor.fingerprint(one.site)
    return not proven or systemd.properties(one.site.units.service, "ActiveState")["ActiveState"] != "active"


def answer(layout: Layout, site: Site, patience: float = 60.0) -> probe.Result:
    """The PHP probe's result, asked again for some seconds: a service that restarts needs its second.

    Where the site's own code runs around every script, an answer is enough: that code may not be there yet.
    """
    deadline = time.monotonic() + patience
    while True:
        result = probe.run(layout, site, "php")
        if result.passed or time.monotonic() > deadline:
            return result
        if result.answered and fpm.has_code_around((site.paths.jail / "etc/fpm.conf").read_text()):
            return replace(result, passed=True)
        time.sleep(0.3)
