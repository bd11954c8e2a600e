# SPDX-License-Identifier: MIT
"""Starts the PHP-FPM of sites that were configured, and asks each for its first answer.

A start and a first request take most of the time that a site takes, so several go on at once; what systemd is told, it
is told for all sites with one call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from fpmjail import apparmor, facts, files, fpm, handover, masters, probe, systemd, waking
from fpmjail.arrival import Arrival, Failures, Say, attempt, each, kept, socket_fingerprint, unit_fingerprint
from fpmjail.handover import Pids
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
        close(one)
    listening = listen_each(arrivals, failures)
    pids, marks = systemd.up(*handover.PATTERNS), handover.leaving(layout)
    ready = each(lambda one: take_over(layout, one, pids, marks), listening, failures)
    return prove_each(layout, ready, failures, progress)


def close(one: Arrival) -> None:
    """Stop what holds a socket that has another unit now, or a group that keeps the web server out."""
    site = one.site
    there = facts.entry(site.paths.socket)
    outdated = one.before.socket not in ("", socket_fingerprint(site))
    if outdated or (there is not None and there.gid != facts.web_server().gid):
        systemd.systemctl("stop", site.units.service, *site.units.standbys, site.units.socket)


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


def take_over(layout: Layout, one: Arrival, pids: Pids, marks: Pids) -> Arrival:
    """Let a new master take up new units or a new configuration. When it cannot, the first request tells why.

    A master that runs although nothing is known of it may have any units and any generation.
    """
    site = one.site
    new_units = one.before.units != unit_fingerprint(site)
    if not (new_units or one.applied.changed) or not handover.stand(site, pids, marks).serving:
        return one
    if new_units and not site.units.standby:
        systemd.systemctl("restart", site.units.service)
    elif masters.renew(layout, site):
        handover.stop(site)
    return one


def prove_each(layout: Layout, arrivals: Sequence[Arrival], failures: Failures, progress: Say) -> tuple[Arrival, ...]:
    """The first request to each, several at once: a start waits for systemd as long as it computes.

    Of new sites no more stay awake than memory has room for.
    """
    awake = waking.allowed()
    asleep = {one.site.name for one in arrivals[awake:] if one.known is None and one.site.php.idle_after}

    def proven(one: Arrival) -> Arrival:
        proven = prove(layout, one)
        if one.site.name in asleep:
            handover.stop(one.site)
        return proven

    def asked(one: Arrival) -> Arrival | Exception:
        return attempt(proven, one)

    if len(arrivals) < 2:
        return kept(((one.site, asked(one)) for one in arrivals), failures)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(masters.AT_ONCE, os.cpu_count() or 1)) as pool:
        results = counted(pool.map(asked, arrivals), len(arrivals), progress)
        return kept(zip((one.site for one in arrivals), results, strict=True), failures)


def counted(results: Iterable[T], total: int, say: Say) -> Iterator[T]:
    """The results, with a word every few seconds of how many there are, for those who wait."""
    told = time.monotonic()
    for number, result in enumerate(results, 1):
        yield result
        if number < total and time.monotonic() - told > PROGRESS:
            told = time.monotonic()
            say(f"PHP was started for {number} of {total} sites")


def prove(layout: Layout, one: Arrival) -> Arrival:
    """The first request. If it fails, the configuration that worked before comes back. Raises SiteFault, PoolFault."""
    site, applied = one.site, one.applied
    result = probe.run(layout, site, "php")
    if not result.passed and one.known is None and (fault := fpm.own_fault(site)):
        raise fpm.PoolFault(fault)
    if result.passed or (result := answer(layout, site)).passed:
        return one
    if loosened := apparmor.loosen(site):
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
