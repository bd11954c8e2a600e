# SPDX-License-Identifier: MIT
"""Is an installed site whole? Its probes ask from inside, the golden rules look from outside.

`check` gathers, lets the judges (judges.py) judge, and changes nothing but who is awake (waking.py). What is the same
for several sites is looked at once for all of them.
"""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail import (
    absent,
    apparmor,
    cron,
    doors,
    facts,
    handover,
    holds,
    image,
    judges,
    mounts,
    places,
    probe,
    sftp,
    systemd,
    vhost,
    waking,
    web,
)
from fpmjail import site as sites
from fpmjail.facts import Master, Process
from fpmjail.finding import Finding
from fpmjail.handover import Pids
from fpmjail.layout import Layout
from fpmjail.mounts import Mount
from fpmjail.site import Site

if TYPE_CHECKING:
    from fpmjail import outside

MOMENT = 0.05  # seconds that systemd may take from a process's user to its last wall
LOOKS_AGAIN = 3
FEW = 200  # so many services are named to systemd; of more it tells all that it has


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look tells about several sites: the services that are up, with their main processes, all mounts, the
    processes of their users, by uid, and all sites by their accounts, which is not looked at for one."""

    services: Pids
    processes: Mapping[int, tuple[Process, ...]]
    mounts: tuple[Mount, ...]
    users: Mapping[str, tuple[Site, ...]] | None


def check(
    layout: Layout, site: Site, unapplied: Sequence[str] = (), host: outside.Host | None = None
) -> tuple[Finding, ...]:
    """Everything about one installed site, probes first: they wake an idle site, so that its processes are seen.

    `unapplied` says in words which of the admin's drop-ins are not live; `host` answers the same probes outside.
    """
    from fpmjail import check_edits, check_holdings, golden

    return (
        *check_capabilities(layout, site, host),
        *check_holdings.check(layout, site),
        *check_edits.check(layout, site),
        *check_files(layout, site),
        *golden.check(layout, site),
        *check_running(layout, site),
        *check_generation(layout, site),
        *check_web(layout, site),
        *check_beside_the_web(layout, site),
        judges.judge_dropins(unapplied, site),
    )


def check_jail(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """What a new generation or a new configuration can break: everything but the web server and what is beside it."""
    return check_jails(layout, (site,))[site.name]


def check_jails(layout: Layout, wanted: Sequence[Site]) -> dict[str, tuple[Finding, ...]]:
    """The same for several sites, by name: as many are asked at once as there are processors."""
    findings: dict[str, tuple[Finding, ...]] = {}
    for turn in waking.in_turns(layout, wanted):
        asked = ask_each(layout, turn)
        seen = look(layout, turn)
        for site, answers in zip(turn, asked, strict=True):
            findings[site.name] = (*answers, *check_files(layout, site), *check_running(layout, site, seen))
    return findings


def ask_each(layout: Layout, wanted: Sequence[Site]) -> Sequence[tuple[Finding, ...]]:
    """What the probes of each site say."""
    if len(wanted) < 2:
        return [check_capabilities(layout, site) for site in wanted]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda site: check_capabilities(layout, site), wanted))


def look(layout: Layout, wanted: Sequence[Site]) -> Seen:
    """Look at the services and mounts of these sites, which their probes have woken."""
    own = {unit for site in wanted for unit in (site.units.service, *site.units.standbys)}
    debians = {site.units.service for site in wanted if site.shared}
    services = own if len(wanted) <= FEW else {*handover.PATTERNS, *debians}
    uids = {_ids(site.user.name, site.user.group)[0] for site in wanted}
    up = systemd.up(*sorted(services)) if systemd.running() else {}
    users = sites.by_user(layout) if len(wanted) > 1 else None
    return Seen(up, processes(wanted, uids - {-1}), mounts.current(), users)


def processes(wanted: Sequence[Site], uids: Collection[int]) -> Mapping[int, tuple[Process, ...]]:
    """The processes of some sites, by uid. systemd gives a process its user a moment before its last wall: what lacks
    one is looked at again."""
    found = facts.processes_of(uids)
    for _ in range(LOOKS_AGAIN):
        if not any(unsealed(site, found) for site in wanted if not site.shared):
            break
        time.sleep(MOMENT)
        found = facts.processes_of(uids)
    return found


def unsealed(site: Site, found: Mapping[int, tuple[Process, ...]]) -> bool:
    """Whether a process of a site lacks a wall."""
    own = found.get(_ids(site.user.name, site.user.group)[0], ())
    return any(judges.unsealed(process) and not judges.transfers(site, process) for process in own)


def check_capabilities(layout: Layout, site: Site, host: outside.Host | None = None) -> tuple[Finding, ...]:
    """What the probes say, inside and, where there is a `host`, outside of the jail."""
    from fpmjail import check_reach, golden

    asked = probe.run_all(layout, site)
    seal = [result for result in asked if result.capability == probe.SEAL]
    results = [result for result in asked if result.capability != probe.SEAL]
    expected = probe.of_site(layout, site) if host else None
    asked_outside = [result.capability for result in results if result.capability not in probe.JAIL_ALONE]
    beyond = {name: host.ask(site, name, expected) for name in asked_outside if host and expected}
    return (
        *check_reach.check(layout, site, results, beyond),
        *(golden.judge_seal(site, result) for result in seal),
    )


def check_files(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """Owners and modes, from / to the last file of the image."""
    uid, gid = _ids(site.user.name, site.user.group)
    generation = image.current(layout, site.profile.id)
    if site.shared:
        from fpmjail import check_shared

        inner = check_shared.check_files(site, uid)
    else:
        inner = judges.judge_jail(site, facts.tree(site.paths.jail, judges.WRITABLE_IN_JAIL | {".image", "usr"}), uid)
    return (
        judges.judge_base(site, facts.ancestors(site.paths.base)),
        judges.judge_document_root(site, facts.entry(site.paths.document_root), uid),
        judges.judge_logs(site, facts.entry(site.paths.logs), gid),
        *inner,
        image_finding(layout.image(site.profile.id) / generation) if generation else judges.judge_image(()),
    )


@lru_cache(maxsize=8)
def image_finding(generation: Path) -> Finding:
    """What is wrong with a generation, which is the same for all sites that have it."""
    return judges.judge_image(facts.tree(generation))


def check_running(layout: Layout, site: Site, seen: Seen | None = None) -> tuple[Finding, ...]:
    """Mounts, processes, socket, account; `seen` is what was looked at for several sites."""
    uid, _ = _ids(site.user.name, site.user.group)
    seen = seen or look(layout, (site,))
    master = facts.master(handover.stand(site, seen.services, handover.leaving(layout)).serving)
    others = sites.with_same_user(layout, site, seen.users)
    found = places.account(site.user.name)
    fault = places.account_fault(site, found, places.accounts_with(found.uid) if found else (), others)
    return (
        *check_walls(layout, site, seen.processes.get(uid, ()), master, seen.mounts),
        judges.judge_socket(site, facts.entry(site.paths.socket), facts.web_server()),
        *judges.judge_account(site, fault, _text(site.paths.jail / "etc/passwd")),
    )


def check_walls(
    layout: Layout, site: Site, found: Sequence[Process], master: Master | None, table: Sequence[Mount]
) -> tuple[Finding, ...]:
    """Mounts, processes and master, each as the site's isolation has them."""
    if site.shared:
        from fpmjail import check_shared

        return check_shared.check_running(layout, site, found, master, table)
    return (
        *(judges.judge_private if site.filesystem.read_only else judges.judge_mounts)(site, table, master),
        judges.judge_view(site, master),
        judges.judge_processes(site, found, master),
        judges.judge_master(site, master, image.current(layout, site.profile.id)),
        *apparmor.findings(site, master.pid if master else None),
    )


def check_generation(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """Freshness, age and hold of the image."""
    current = image.current(layout, site.profile.id)
    manifest = image.read_manifest(layout, site.profile.id, current)
    created = manifest.created if manifest else ""
    hold = holds.read(layout, site.profile.id)
    fresh = image.unchanged(layout, site.profile.id)
    lost = () if fresh else absent.lost(layout, site)
    return judges.judge_generation(site, current, created, fresh, hold.reason if hold else "", datetime.now(UTC), lost)


def check_web(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """The web server, with a visit over loopback when it runs."""
    certified = vhost.certified(site)
    live = systemd.running()
    visits = facts.visits(site, certified) if live else ()
    unwatched = [unit for unit in site.units.paths if live and not systemd.active(unit)]
    return (
        *judges.judge_server(doors.look(layout), web.lacks(layout, site), site),
        judges.judge_htaccess(site),
        *judges.judge_certificate(site, certified, unwatched),
        *(judges.judge_visit(site, visit) for visit in visits),
    )


def check_beside_the_web(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """Jobs and SFTP."""
    missing = cron.missing(layout, site)
    return (
        *(judges.judge_job(site, fate, missing) for fate in cron.fates(site)),
        *judges.judge_sftp(site, sftp.faults(site) if systemd.running() else ()),
    )


def _ids(user: str, group: str) -> tuple[int, int]:
    """uid and gid by name; -1, which nothing on a disk has, for a missing account."""
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError:
        return -1, -1


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
