# SPDX-License-Identifier: MIT
"""What belongs to no site, or should be gone: looked for by a check of all sites. Judges first, then who looks."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from pathlib import Path

from fpmjail import image, mounts, outside, prove, refresh, state
from fpmjail.finding import Finding, good, listed, warning
from fpmjail.layout import Layout
from fpmjail.mounts import Mount
from fpmjail.site import Site

TOPIC = "leftovers"
DPKG = "/var/lib/dpkg/info"
AN_HOUR = 3600.0  # seconds: whatever is younger may be in use


def judge(name: str, found: Collection[str], fix: str) -> Finding:
    """Leftovers harm nobody today; they are said, never deleted."""
    return warning(TOPIC, name, listed(sorted(found)), fix) if found else good(TOPIC, name, "none")


def judge_mounts(table: Iterable[Mount], jails: Path, names: Collection[str]) -> Finding:
    """Mounts below the jail of no site."""
    own = {str(jails / name) for name in names}
    found = [
        mount.target
        for mount in table
        if mount.target.startswith(f"{jails}/") and "/".join(mount.target.split("/")[: len(jails.parts) + 1]) not in own
    ]
    return judge("mounts", found, "umount them before anything is deleted there")


def check(layout: Layout, sites: Collection[Site]) -> tuple[Finding, ...]:
    """Everything on this server that no site has any more."""
    names = {site.name for site in sites}
    return (
        judge("jails", strangers(layout, names), "see what lies there, then: rm -r --one-file-system"),
        judge("images", orphans(layout, sites), "rm -r --one-file-system; images are made anew when they are needed"),
        judge("unfinished work", unfinished(layout), "fpmjail refresh"),
        judge_mounts(mounts.current(), layout.jails, names | packaged(layout)),
    )


def packaged(layout: Layout) -> set[str]:
    """The sites that dpkg knows: a package that was removed and not purged has kept its jail's sessions."""
    lists = layout.host(DPKG).glob("site-*-jail.list")
    return {path.name.removeprefix("site-").removesuffix("-jail.list") for path in lists}


def strangers(layout: Layout, names: set[str]) -> list[str]:
    """The jails of sites that dpkg does not know."""
    known = names | packaged(layout)
    return [str(path) for path in directories(layout.jails) if path.name not in known]


def orphans(layout: Layout, sites: Collection[Site]) -> list[str]:
    """The images that no site has, or had before its new version was configured."""
    before = {known.profile for site in sites if (known := state.read(layout, site.name))}
    used = before | {site.profile.id for site in sites}
    return [str(path) for path in directories(layout.images) if path.name not in used]


def unfinished(layout: Layout) -> list[str]:
    """What killed runs left: half-built generations, scratch jails, switches whose reloads did not all end."""
    found = [
        *layout.images.glob(f"*/{image.UNFINISHED}*"),
        *layout.run.glob(f"{prove.PREFIX}*"),
        *layout.run.glob(f"{outside.PREFIX}*"),
        *(refresh.pending(layout, path.name) for path in directories(layout.images)),
    ]
    return [str(path) for path in found if (seen := age(path)) is not None and abs(seen) > AN_HOUR]


def directories(place: Path) -> list[Path]:
    """The directories in a place, none when it is not there."""
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


def age(path: Path) -> float | None:
    """Seconds since something was changed, negative by a clock that was ahead; None when it is not there."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return None
