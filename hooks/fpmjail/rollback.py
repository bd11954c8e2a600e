# SPDX-License-Identifier: MIT
"""The way back: the generation before, for all sites of a profile, held until an admin says otherwise."""

from __future__ import annotations

from fpmjail import files, image, masters, refresh, run, site
from fpmjail.layout import Layout
from fpmjail.refresh import Mode
from fpmjail.site import Site


class NoWayBack(Exception):
    """There is nothing to go back to, or no such site or profile."""


def members(layout: Layout, target: str) -> tuple[Site, ...]:
    """The sites that share the image of a site, or of a profile that is named by the beginning of its id."""
    found, _ = site.installed(layout)
    ids = {one.profile.id for one in found if one.name == target} or {
        one.profile.id for one in found if one.profile.id.startswith(target)
    }
    if len(ids) != 1:
        raise NoWayBack(
            f"{target}: {'more than one profile' if ids else 'no such site or profile'}; see: fpmjail status"
        )
    return tuple(one for one in found if one.profile.id in ids)


def rollback(layout: Layout, target: str, release: bool) -> tuple[str, ...]:
    """Switch back and hold, or release a hold and follow the host; returns what was done. Raises NoWayBack."""
    sites = members(layout, target)
    if release:
        with files.lock(layout.lock_file):
            image.clear_hold(layout, sites[0].profile.id)
        lines: list[str] = []
        run.once(layout, Mode(), lines.append, frozenset({sites[0].profile.id}))
        return ("the hold is released", *lines)
    with files.lock(layout.lock_file):
        return go_back(layout, sites)


def go_back(layout: Layout, sites: tuple[Site, ...]) -> tuple[str, ...]:
    """The switch itself, under the lock. Raises NoWayBack."""
    profile = sites[0].profile
    current = image.current(layout, profile.id)
    older = [one.digest for one in image.generations(layout, profile.id) if not one.current]
    new = image.read_manifest(layout, profile.id, current)
    old = image.read_manifest(layout, profile.id, older[0]) if older else None
    if current is None or new is None or old is None:
        raise NoWayBack(f"image {profile.id} has no generation but the current one")
    image.set_hold(layout, profile.id, current, f"rolled back from {current} by an administrator", manual=True)
    files.touch(refresh.pending(layout, profile))
    image.switch(layout, profile.id, old.digest)
    refresh.renew_jails(layout, profile, old, sites, current)
    stuck = masters.reload(layout, masters.running(sites), old.digest)
    if not stuck:
        refresh.pending(layout, profile).unlink(missing_ok=True)
    return (
        f"image {profile.id} went back from {current} to {old.digest} and is held there",
        *refresh.package_changes(new, old),
        *refresh.blame(stuck),
        f"to follow the host again: fpmjail rollback --release-hold {profile.id}",
    )
