# SPDX-License-Identifier: MIT
"""Keeps the images true: one look whether the host's files still are those that the jails have copies of.

Most looks find nothing to do, dozens in a night of upgrades, so this module imports little and `renewal.py`, which
does the work, only when there is some.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail import holds, image, live_files
from fpmjail.layout import Layout

if TYPE_CHECKING:
    from fpmjail.manifest import Manifest
    from fpmjail.site import Profile, Site


class Decision(Enum):
    """What a refresh does with one profile."""

    CURRENT = "up to date"
    SWITCH = "switched to a new generation"
    DEFERRED = "waits until dpkg has finished"
    INCOMPLETE = "keeps its generation: something it needs is no longer on this server"
    HELD = "held on its generation"
    REFUSED = "keeps its generation: the new one failed its test"
    ROLLED_BACK = "rolled back to its generation: the new one failed the check of a site"


GOOD = frozenset({Decision.CURRENT, Decision.SWITCH, Decision.DEFERRED})


@dataclass(frozen=True, slots=True)
class Mode:
    """How far a refresh may go: only tell (`dry_run`), and whether a failed candidate is held (`final`).

    Inside dpkg a failure may be the fault of a half-finished upgrade, so only the run after it has the last word.
    `needed` means that a site is being configured: an image that is not there at all must not wait for packages that
    dpkg has unpacked and will configure later; the site depends on those that matter.
    """

    dry_run: bool = False
    final: bool = True
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one profile; `before` and `after` are generations, `words` are for the admin."""

    profile: str
    decision: Decision
    before: str | None
    after: str | None
    words: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """False when an admin has to do something."""
        return self.decision in GOOD


@dataclass(frozen=True, slots=True)
class Task:
    """One profile to refresh, with all the sites that share its image."""

    layout: Layout
    profile: Profile
    sites: tuple[Site, ...]
    mode: Mode

    @property
    def pending(self) -> Path:
        """The mark that a switch began and its reloads did not all end."""
        return pending(self.layout, self.profile.id)

    @property
    def unsettled(self) -> bool:
        """True when a switch did not end, or a hold stands."""
        return self.pending.exists() or holds.read(self.layout, self.profile.id) is not None

    def manifest(self, digest: str | None) -> Manifest | None:
        """What a generation of this profile holds."""
        return image.read_manifest(self.layout, self.profile.id, digest)

    def kept(self, decision: Decision, *words: str) -> Outcome:
        """An outcome that leaves the generation as it is."""
        current = image.current(self.layout, self.profile.id)
        return Outcome(self.profile.id, decision, current, current, words)


def pending(layout: Layout, profile_id: str) -> Path:
    """Where a profile's mark of an unfinished switch stands."""
    return layout.image(profile_id) / "reload-pending"


def refresh(layout: Layout, sites: Iterable[Site], mode: Mode) -> tuple[Outcome, ...]:
    """Refresh the profiles of these sites; the caller holds the lock. One profile's trouble never stops another."""
    members: dict[str, list[Site]] = {}
    for site in sites:
        members.setdefault(site.profile.id, []).append(site)
    tasks = (Task(layout, group[0].profile, tuple(group), mode) for _, group in sorted(members.items()))
    return tuple(map(run, tasks))


def run(task: Task) -> Outcome:
    """Refresh one profile. Never raises: what the disk or a tool refuses becomes words."""
    if outcome := look(task):
        return outcome
    from fpmjail import renewal

    return renewal.run(task)


def look(task: Task) -> Outcome | None:
    """What becomes of a profile that has nothing to do, whatever its sites; None for one that has to be worked on."""
    try:
        if not task.mode.dry_run:
            live_files.follow(task.layout, task.profile.id)
        if image.unchanged(task.layout, task.profile.id) and not task.unsettled:
            return task.kept(Decision.CURRENT)
    except OSError as error:
        return task.kept(Decision.REFUSED, str(error))
    return None


def line(outcome: Outcome) -> str:
    """One line about an outcome for apt's output and the journal."""
    words = f": {'; '.join(outcome.words)}" if outcome.words else ""
    return f"image {outcome.profile} {outcome.decision.value}{words}"
