# SPDX-License-Identifier: MIT
"""The way back: the generation before, for all sites of a profile, held until an admin says otherwise."""

from __future__ import annotations

from fpmjail import files, image, masters, renewal, run, site
from fpmjail.layout import Layout
from fpmjail.refresh import Mode, Task
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
    task = Task(layout, sites[0].profile, sites, Mode())
    current = image.current(layout, task.profile.id)
    hold = image.hold(layout, task.profile.id)
    refused = {current, hold.digest if hold else None}
    older = [one.digest for one in image.generations(layout, task.profile.id) if one.digest not in refused]
    new, old = task.manifest(current), task.manifest(older[0] if older else None)
    if current is None or new is None or old is None:
        raise NoWayBack(f"image {task.profile.id} has no generation but the current one")
    reason = f"rolled back from {current} by an administrator"
    image.set_hold(layout, task.profile.id, current, reason, manual=True)
    files.touch(task.pending)
    image.switch(layout, task.profile.id, old.digest)
    renewal.renew_jails(task, new, old)
    stuck = masters.reload(layout, masters.running(layout, sites), old.digest)
    if not stuck:
        task.pending.unlink(missing_ok=True)
    return (
        f"image {task.profile.id} went back from {current} to {old.digest} and is held there",
        *renewal.package_changes(new, old),
        *renewal.blame(stuck),
        f"to follow the host again: fpmjail rollback --release-hold {task.profile.id}",
    )
