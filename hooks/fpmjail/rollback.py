# SPDX-License-Identifier: MIT
"""The way back: the generation before, for all sites of a profile, held until an admin says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from fpmjail import files, holds, image, masters, renewal, run, site
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest, difference
from fpmjail.refresh import Mode, Task
from fpmjail.site import Site


class NoWayBack(Exception):
    """There is nothing to go back to."""


@dataclass(frozen=True, slots=True)
class Change:
    """A package whose files a rollback changes; a version is None where a generation has nothing of it."""

    package: str
    now: str | None
    then: str | None

    def __str__(self) -> str:
        return f"{self.package} {self.now or 'not there'} -> {self.then or 'not there'}"


@dataclass(frozen=True, slots=True)
class Way:
    """From which generation to which one, and what that brings back; `files` are the first ones that differ."""

    profile: str
    sites: tuple[str, ...]
    now: str
    then: str
    packages: tuple[Change, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What was done, or would be; not `good` when a site does not work with it. A release of a hold has no way."""

    way: Way | None
    good: bool
    words: tuple[str, ...]


def rollback(layout: Layout, target: str, dry_run: bool = False) -> Result:
    """Switch back and hold, or only say what that would do. Raises NoWayBack, site.NoSuchSite."""
    sites = site.with_image(layout, target)
    if dry_run:
        way, _, _ = find(layout, sites)
        return Result(way, True, (f"image {way.profile} would go back from {way.now} to {way.then}", *brings(way)))
    with files.lock(layout.lock_file):
        return go_back(layout, sites)


def release(layout: Layout, target: str, dry_run: bool = False) -> Result:
    """End a hold and follow the server again. Raises NoWayBack when there is none, site.NoSuchSite."""
    sites = site.with_image(layout, target)
    profile = sites[0].profile.id
    hold = holds.read(layout, profile)
    if hold is None:
        raise NoWayBack(f"image {profile} is not held")
    if dry_run:
        return Result(None, True, (f"image {profile} would no longer be held since {hold.since}: {hold.reason}",))
    with files.lock(layout.lock_file):
        holds.clear(layout, profile)
    lines: list[str] = []
    outcomes = run.once(layout, Mode(), lines.append, frozenset({profile}))
    return Result(None, all(outcome.good for outcome in outcomes), ("the hold is released", *lines))


def find(layout: Layout, sites: tuple[Site, ...]) -> tuple[Way, Manifest, Manifest]:
    """The way back, with what the generation in use holds and what the one before does. Raises NoWayBack.

    The newest complete generation but the one in use and the one that is held back. One that is damaged is none to go
    back to: it would be the end of sites that work.
    """
    profile = sites[0].profile.id
    current, hold = image.current(layout, profile), holds.read(layout, profile)
    refused = {current, hold.digest if hold else None}
    older = [one.digest for one in image.generations(layout, profile) if one.digest not in refused]
    new = image.read_manifest(layout, profile, current)
    old = image.read_manifest(layout, profile, older[0] if older else None)
    if new is None:
        raise NoWayBack(f"image {profile} has no complete generation in use; to make it anew: fpmjail refresh --verify")
    if old is None:
        raise NoWayBack(f"image {profile} has no generation but the current one")
    if damaged := image.verify(layout, old):
        raise NoWayBack(
            f"image {profile} stays as it is: the generation before, {old.digest}, is damaged: {', '.join(damaged[:3])}"
        )
    names = tuple(one.name for one in sites)
    return Way(profile, names, new.digest, old.digest, *changes(new, old)), new, old


def changes(new: Manifest, old: Manifest) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """The packages whose version is another one in the old generation; where none is, the first files that differ."""
    now, then = renewal.versions(new), renewal.versions(old)
    names = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    different = difference(new, old)
    paths = () if names else (*different.changed, *different.added, *different.removed)[:5]
    return tuple(Change(name, now.get(name), then.get(name)) for name in names), paths


def brings(way: Way) -> tuple[str, ...]:
    """What a rollback brings back, in words."""
    sites = ", ".join(way.sites)
    return (f"for the sites: {sites}", *map(str, way.packages), *(f"/{path} as it was" for path in way.files))


def go_back(layout: Layout, sites: tuple[Site, ...]) -> Result:
    """The switch itself, under the lock. Raises NoWayBack."""
    task = Task(layout, sites[0].profile, sites, Mode())
    way, new, old = find(layout, sites)
    reason = f"rolled back from {way.now} by an administrator"
    holds.write(layout, way.profile, way.now, reason, manual=True)
    files.touch(task.pending)
    image.switch(layout, way.profile, way.then)
    unlinked = renewal.renew_jails(task, new, old)
    stuck = masters.reload(layout, masters.running(layout, sites), way.then)
    if not stuck and not unlinked:
        task.pending.unlink(missing_ok=True)
    words = (
        f"image {way.profile} went back from {way.now} to {way.then} and is held there",
        *brings(way),
        *unlinked,
        *renewal.blame(stuck),
        "upgrades of the server do not reach these sites until then; "
        f"to follow the server again: fpmjail rollback --release-hold {way.profile}",
    )
    return Result(way, not stuck and not unlinked, words)
