# SPDX-License-Identifier: MIT
"""Judges what only shared sites have: a chroot in the host's own view, a pool in Debian's master, neighbours in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fpmjail import absent, facts, jail, mounts, pools, probe, shared, systemd
from fpmjail import site as sites
from fpmjail.facts import Master, Process
from fpmjail.finding import Finding, bad, good, ruled, warning
from fpmjail.judges import WRITABLE_IN_JAIL, image_faults, judge_jail, judge_usr, probes_of, transfers, unsealed
from fpmjail.layout import Layout
from fpmjail.mounts import Mount
from fpmjail.probe import Result, printable
from fpmjail.site import Site

NSCD = ("/var/cache/nscd/passwd", "/var/cache/nscd/group")
WITHOUT_NSCD = (
    r"sed -i -E 's/^(\s*enable-cache\s+(passwd|group)\s+)yes/\1no/' /etc/nscd.conf && systemctl restart nscd"
    r" && systemctl reload"
)
SEALED = ("ro", "nosuid", "nodev")


def check_files(site: Site, uid: int) -> tuple[Finding, ...]:
    """The chroot around the data: root's, with nothing special in it but the five devices."""
    inner = (site.paths.base, site.paths.logs, *(site.paths.jail / path for path in shared.mount_points(site)))
    closed = {str(path.relative_to(site.paths.jail)) for path in inner} | WRITABLE_IN_JAIL | {"usr"}
    elsewhere = {str(path) for path in inner}
    devices = {str(site.paths.jail / node.path) for node in jail.NODES}
    seen = facts.tree(site.paths.jail, frozenset(closed))
    entries = [one for one in seen if one.path not in elsewhere and one.path not in devices]
    missing = [node.path for node in jail.NODES if not jail.is_node(site.paths.jail / node.path, node)]
    return (*judge_jail(site, entries, uid), judge_devices(site, missing, mounts.of(site.paths.jail)))


def judge_devices(site: Site, missing: Sequence[str], below: Mount | None) -> Finding:
    """PHP itself needs no device; programs do, and scripts that open one by its path."""
    if below and "nodev" in below.options:
        seen = f"{below.target} is mounted nodev, so /dev/null and its kind do not work in the chroot"
        return warning("files", "devices", seen, f"mount -o remount,dev {below.target}, if the site misses them")
    if missing:
        seen = f"not there, or not as they should be: {', '.join(missing)}"
        return warning("files", "devices", seen, f"fpmjail configure {site.name}; a container may forbid devices")
    return good("files", "devices", "null, zero, full, random, urandom")


def check_running(
    layout: Layout, site: Site, found: Sequence[Process], master: Master | None, table: Sequence[Mount]
) -> tuple[Finding, ...]:
    """Mounts, processes, Debian's master, the neighbours."""
    return (
        *judge_mounts(site, table, lost_directories(site)),
        judge_processes(site, found),
        *(
            check_pool(layout, site, master)
            if master or pools.installed(site.php.version)
            else judge_no_php(layout, site)
        ),
    )


def judge_no_php(layout: Layout, site: Site) -> tuple[Finding]:
    """Debian's PHP was taken away: nothing else can be said of its pools."""
    lost = absent.lost(layout, site) or (f"php{site.php.version}-fpm",)
    return (bad("generation", "master", absent.words(lost), absent.install(lost)),)


def check_pool(layout: Layout, site: Site, master: Master | None) -> tuple[Finding, ...]:
    """Debian's master, its pools, the neighbours."""
    waiting, fault = shared.waiting(layout, site), pools.fault(layout, site.php.version)
    judged = (judge_master(site, master), judge_accounts(site, master), judge_pool(site, waiting, fault))
    return (*judged, *check_neighbours(layout, site))


def lost_directories(site: Site) -> tuple[str, ...]:
    """The servers' directories of this host that the chroot does not show, or shows a deleted one of."""
    pairs = ((place, site.paths.jail / place.relative_to("/")) for _, place in site.jail.sockets)
    return tuple(str(place) for place, inner in pairs if facts.identity(place) not in (None, facts.identity(inner)))


def judge_mounts(site: Site, table: Sequence[Mount], lost: Sequence[str]) -> tuple[Finding, ...]:
    """Each of the chroot's mounts once, read-only and private; the data's own mounts are the administrator's."""
    image = str(site.paths.jail / ".image")
    wrong = image_faults(site, image, [mount for mount in table if mount.target == image])
    for path in sorted({*shared.mount_points(site)} - {".image", "usr"}):
        wrong += mount_faults(str(site.paths.jail / path), table, needed=path == "proc")
    wrong += [f"{path} of this server is not the one in the chroot" for path in lost]
    below = [mount for mount in mounts.mounts_below(site.paths.jail, tuple(table)) if not of_data(site, mount)]
    return (
        ruled(
            "mounts",
            "chroot",
            wrong,
            f"{', '.join(shared.mount_points(site))}: ro,nosuid,nodev, private",
            f"fpmjail refresh; else: systemctl restart {' '.join(site.units.mounts)}",
        ),
        *judge_usr(site, below, f"systemctl restart {mounts.unit(site.paths.jail / 'usr')}"),
        ruled(
            "mounts",
            "nothing writable",
            [f"{mount.target} is mounted read-write" for mount in below if "ro" not in mount.options],
            "no read-write mount in the chroot but below the data",
            "umount it; nothing that a chroot shows may be mounted read-write on the server",
        ),
    )


def of_data(site: Site, mount: Mount) -> bool:
    """True for a mount at or below the site's data, where an administrator may have a volume."""
    return Path(mount.target).is_relative_to(site.paths.base)


def mount_faults(place: str, table: Sequence[Mount], needed: bool) -> list[str]:
    """What is wrong with /proc or with a server's directory; the latter may be missing."""
    own = [mount for mount in table if mount.target == place]
    if len(own) > 1 or (needed and not own):
        return [f"{place} is mounted {len(own)} times, expected once"]
    options = [f"{place} is not {option}" for mount in own for option in SEALED if option not in mount.options]
    return [*options, *(f"{place} is a shared mount" for mount in own if mount.shared)]


def judge_processes(site: Site, found: Sequence[Process]) -> Finding:
    """Workers live in the chroot without any capability; everything else of this uid is sealed by systemd.

    One uid per site: a process of the same uid outside is a way out of the chroot by /proc/PID/root.
    """
    wrong = [
        f"{process.name} ({process.pid}): {fault}"
        for process in found
        if not transfers(site, process) and (fault := loose(site, process))
    ]
    fix = f"end what {site.user.name} runs outside of the chroot"
    seen = f"{len(found)} processes of {site.user.name}, all in the chroot" if found else "idle: no process"
    return ruled("processes", "chroot", wrong, seen, fix)


def loose(site: Site, process: Process) -> str:
    """What a process could do that one of this site must not, or an empty string."""
    if process.root != str(site.paths.jail):
        fault = unsealed(process)
        return f"is outside of {site.paths.jail} and {fault}" if fault else ""
    return f"has capabilities {process.capabilities:x}" if process.capabilities else ""


def judge_master(site: Site, master: Master | None) -> Finding:
    """Debian's master runs, and what it maps is what the host has."""
    unit = site.units.service
    if master is None:
        return bad("generation", "master", f"{unit} does not run", f"systemctl status {unit}; fpmjail reload")
    wrong = [f"maps {path}" for path in facts.deleted(master.mapped)]
    return ruled("generation", "master", wrong, f"{unit} maps no file that an upgrade replaced", "fpmjail refresh")


def judge_accounts(site: Site, master: Master | None) -> Finding:
    """A master that finds nscd(8) when it starts maps its tables of accounts, and so does every worker in a chroot."""
    unit = site.units.service
    mapped = {path.removesuffix(" (deleted)") for path in master.mapped} if master else set()
    wrong = [f"{unit} maps {path}" for path in NSCD if path in mapped]
    seen = [f"{', '.join(wrong)}, so scripts can ask for every account of this server"] if wrong else []
    return ruled("pool", "accounts", seen, "scripts know the site's own alone", f"{WITHOUT_NSCD} {unit}")


def judge_pool(site: Site, waiting: str | None, fault: str | None) -> Finding:
    """Debian's master has the proven pool, and would come back from a reload."""
    if waiting:
        return bad("pool", "taken up", printable(waiting), "correct what is named there, then: fpmjail reload")
    if fault:
        fix = f"correct it: the next start of {site.units.service} ends all of its sites"
        return bad("pool", "of others", printable(fault), fix)
    return good("pool", "taken up", f"{site.units.service} has it as it was proven, and can be reloaded")


def check_neighbours(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """Whether the guards hold: another site's code of the same name is run first, then this site's must be its own."""
    found, _ = sites.installed(layout)
    others = [
        other
        for other in found
        if other.name != site.name and other.units.service == site.units.service and pools.linked(layout, other)
    ]
    if not systemd.running():
        return ()
    for other in others[:1]:
        asked(other)
    return (judge_guards(site, asked(site)), judge_common(site, len(others)))


def asked(site: Site) -> Result:
    """What the witness in a chroot says."""
    return probe.ask(site.paths.socket, Path(jail.WITNESS).stem, {"site": site.name}, place="/etc")


def judge_guards(site: Site, result: Result) -> Finding:
    """One memory of compiled code for all: without the guards a site runs another's."""
    if not result.answered:
        fix = f"/etc/{Path(jail.WITNESS).name} and {probes_of(site)} belong into open_basedir, if there is one"
        return warning("pool", "own code", printable("; ".join(result.findings)), fix)
    seen = "OPcache keeps the code of sites apart, and shows none of it"
    return ruled("pool", "own code", result.findings, seen, f"fpmjail configure {site.name}")


def judge_common(site: Site, others: int) -> Finding:
    """What a shared master cannot keep apart; that is the nature of it and no fault."""
    seen = f"APCu, loopback, abstract sockets, with {others} other sites of {site.units.service}"
    return good("pool", "in common", seen if others else f"nothing: it is alone in {site.units.service}")
