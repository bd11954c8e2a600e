# SPDX-License-Identifier: MIT
"""Keeps the images true: what the host has now, against what the jails have, gives steps; then the steps are done.

One refresh of one profile: the files that the profile wants on this host are compared with the generation in use;
a new generation is built beside it, proven in a scratch jail, switched to by one rename, and taken up by the running
masters. Killed at any moment it leaves a complete generation behind, and the next run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from fpmjail import capability, files, image, jail, masters, mounts, packages, prove
from fpmjail.image import Manifest
from fpmjail.layout import Layout
from fpmjail.masters import Master
from fpmjail.probe import Result
from fpmjail.prove import NotProvable
from fpmjail.site import Profile, Site
from fpmjail.wanted import Wanted, wanted

Owners = Mapping[str, tuple[str, str]]


class Decision(Enum):
    """What a refresh does with one profile."""

    CURRENT = "up to date"
    SWITCH = "switched to a new generation"
    DEFERRED = "waits until dpkg has finished"
    INCOMPLETE = "keeps its generation: something it needs is no longer on this host"
    HELD = "held on its generation"
    REFUSED = "keeps its generation: the new one failed its test"


GOOD = frozenset({Decision.CURRENT, Decision.SWITCH, Decision.DEFERRED})


@dataclass(frozen=True, slots=True)
class Mode:
    """How far a refresh may go: only tell (`dry_run`), and whether a failed candidate is held (`final`).

    Inside dpkg a failure may be the fault of a half-finished upgrade, so only the run after it has the last word.
    """

    dry_run: bool = False
    final: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides: nothing else does."""

    current: str | None
    missing: tuple[str, ...]
    unfinished: tuple[str, ...]
    held: str | None


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


def decide(facts: Facts) -> Decision:
    """The one rule book of a refresh whose files differ from the generation in use."""
    if facts.unfinished:
        return Decision.DEFERRED
    if facts.missing:
        return Decision.INCOMPLETE
    if facts.held and facts.current:
        return Decision.HELD
    return Decision.SWITCH


def refresh(layout: Layout, sites: Iterable[Site], mode: Mode) -> tuple[Outcome, ...]:
    """Refresh the profiles of these sites; the caller holds the lock. One profile's trouble never stops another."""
    members: dict[str, list[Site]] = {}
    for site in sites:
        members.setdefault(site.profile.id, []).append(site)
    return tuple(refresh_safely(layout, tuple(group), mode) for _, group in sorted(members.items()))


def refresh_safely(layout: Layout, sites: tuple[Site, ...], mode: Mode) -> Outcome:
    """Refresh one profile and turn what the disk or a tool refuses into words."""
    profile = sites[0].profile
    try:
        return refresh_profile(layout, profile, sites, mode)
    except image.SourceChanged as error:
        return unchanged(layout, profile, Decision.DEFERRED, str(error))
    except (OSError, image.ImageError, packages.PackageError, mounts.Kept) as error:
        return unchanged(layout, profile, Decision.REFUSED, str(error))


def unchanged(layout: Layout, profile: Profile, decision: Decision, *words: str) -> Outcome:
    """An outcome that leaves the generation as it is."""
    current = image.current(layout, profile.id)
    return Outcome(profile.id, decision, current, current, words)


def refresh_profile(layout: Layout, profile: Profile, sites: tuple[Site, ...], mode: Mode) -> Outcome:
    """Refresh one profile. Raises OSError, image.ImageError, packages.PackageError, mounts.Kept."""
    if not mode.dry_run:
        image.follow_live(layout, profile.id)
    current, known = image.current(layout, profile.id), image.known_digest(layout, profile.id)
    hold = image.hold(layout, profile.id)
    if current and known == current:
        return settle(layout, profile, sites, current, mode)
    if current and known and hold and hold.digest == known:
        return unchanged(layout, profile, Decision.HELD, hold.reason)
    definitions = capability.load(layout)
    want = wanted(profile, definitions, layout)
    owners = packages.owners(want.sources, layout.root)
    facts = look(layout, want, owners, current, hold)
    decision = decide(facts)
    words = (*map(str, definitions.problems), *explain(facts, decision))
    if decision is not Decision.SWITCH or mode.dry_run:
        return Outcome(profile.id, decision, current, current, words)
    return take_up(layout, profile, want, owners, sites, mode)


def look(layout: Layout, want: Wanted, owners: Owners, current: str | None, hold: image.Hold | None) -> Facts:
    """Gather what decides."""
    return Facts(
        current=current,
        missing=tuple(map(str, want.missing)),
        unfinished=tuple(packages.unfinished((name for name, _ in owners.values()), layout.root)),
        held=hold.reason if hold and hold.manual else None,
    )


def explain(facts: Facts, decision: Decision) -> tuple[str, ...]:
    """The reason of a decision in words."""
    match decision:
        case Decision.DEFERRED:
            return (f"not fully installed yet: {', '.join(facts.unfinished)}",)
        case Decision.INCOMPLETE:
            return tuple(f"not on this host: {item}" for item in facts.missing)
        case Decision.HELD:
            return (f"held: {facts.held}",)
        case _:
            return ()


def settle(layout: Layout, profile: Profile, sites: tuple[Site, ...], current: str, mode: Mode) -> Outcome:
    """Nothing to build: end the hold of a candidate that the host no longer leads to, and finish what a killed run
    left undone, masters that still map an older generation."""
    hold = image.hold(layout, profile.id)
    if hold and not hold.manual and not mode.dry_run:
        image.clear_hold(layout, profile.id)
    if mode.dry_run or not pending(layout, profile).exists():
        return Outcome(profile.id, Decision.CURRENT, current, current)
    stuck = masters.reload(layout, masters.outdated(masters.running(sites), current), current)
    if not stuck:
        finish(layout, profile, {current})
    return Outcome(profile.id, Decision.CURRENT, current, current, blame(stuck))


def pending(layout: Layout, profile: Profile) -> Path:
    """The mark that a switch began and its reloads did not all end."""
    return layout.image(profile.id) / "reload-pending"


def finish(layout: Layout, profile: Profile, keep: set[str]) -> None:
    """The switch is complete: unmark it and drop generations that nobody needs."""
    pending(layout, profile).unlink(missing_ok=True)
    image.prune(layout, profile.id, keep)


def take_up(
    layout: Layout, profile: Profile, want: Wanted, owners: Owners, sites: tuple[Site, ...], mode: Mode
) -> Outcome:
    """Build, prove, switch, reload; back to the old generation when that fails. Raises as refresh_profile does."""
    before = image.current(layout, profile.id)
    manifest = image.build(layout, profile, want, owners)
    image.follow_live(layout, profile.id, want.live)
    hold = image.hold(layout, profile.id)
    if manifest.digest == before:
        return settle(layout, profile, sites, before, mode)
    if hold and hold.digest == manifest.digest:
        return Outcome(profile.id, Decision.HELD, before, before, (hold.reason,))
    faults = candidate_faults(prove.prove(layout, profile, manifest.digest, sites[0].sandbox))
    if faults:
        return refuse(layout, profile, manifest, before, mode, faults)
    return switch(layout, profile, manifest, sites, before, mode, want.warnings)


def candidate_faults(proof: tuple[Result, ...] | NotProvable) -> tuple[str, ...]:
    """What the probes found in a candidate. Without systemd nothing can be proven, which is no fault."""
    if isinstance(proof, NotProvable):
        return ()
    return tuple(f"{result.capability}: {words}" for result in proof for words in result.findings)


def refuse(
    layout: Layout, profile: Profile, manifest: Manifest, before: str | None, mode: Mode, faults: tuple[str, ...]
) -> Outcome:
    """The candidate failed: remember it when this run has the last word, and keep it to be looked at."""
    if mode.final:
        image.set_hold(layout, profile.id, manifest.digest, "; ".join(faults))
    image.prune(layout, profile.id, {manifest.digest, *filter(None, (before,))})
    return Outcome(profile.id, Decision.REFUSED, before, before, faults)


def switch(
    layout: Layout,
    profile: Profile,
    manifest: Manifest,
    sites: tuple[Site, ...],
    before: str | None,
    mode: Mode,
    warnings: tuple[str, ...],
) -> Outcome:
    """One rename for all jails of the profile, then the running masters, a few at a time."""
    running = masters.running(sites)
    unwell = {master.site.name for master in masters.unwell(layout, running)}
    files.touch(pending(layout, profile))
    image.switch(layout, profile.id, manifest.digest)
    renew_jails(layout, profile, manifest, sites, before)
    stuck = tuple(m for m in masters.reload(layout, running, manifest.digest) if m.site.name not in unwell)
    if stuck and before:
        return go_back(layout, profile, manifest, running, before, mode, stuck)
    image.clear_hold(layout, profile.id)
    finish(layout, profile, {manifest.digest, *filter(None, (before,))})
    words = (*describe(layout, profile, manifest, before), *warnings)
    return Outcome(profile.id, Decision.SWITCH, before, manifest.digest, words)


def go_back(
    layout: Layout,
    profile: Profile,
    manifest: Manifest,
    running: Sequence[Master],
    before: str,
    mode: Mode,
    stuck: tuple[Master, ...],
) -> Outcome:
    """Sites that worked before do not work with the new generation: the old one comes back for all of them."""
    image.switch(layout, profile.id, before)
    masters.reload(layout, running, before)
    return refuse(layout, profile, manifest, before, mode, blame(stuck))


def blame(stuck: Sequence[Master]) -> tuple[str, ...]:
    """Which sites did not come back."""
    return tuple(f"site {master.site.name} did not come back after its reload" for master in stuck)


def renew_jails(
    layout: Layout, profile: Profile, manifest: Manifest, sites: tuple[Site, ...], before: str | None
) -> None:
    """Links of /etc are the one thing that a new generation can ask of a jail; most generations ask nothing."""
    old = image.read_manifest(layout, profile.id, before)
    if old and jail.etc_names(old) == jail.etc_names(manifest):
        return
    for site in sites:
        if layout.jail(site.name).is_dir():
            jail.make(layout, site, manifest)


def describe(layout: Layout, profile: Profile, manifest: Manifest, before: str | None) -> tuple[str, ...]:
    """What a new generation brings, by package."""
    old = image.read_manifest(layout, profile.id, before)
    return (
        package_changes(old, manifest) if old else (f"{len(manifest.entries)} entries, {manifest.size / 1e6:.0f} MB",)
    )


def package_changes(old: Manifest, new: Manifest) -> tuple[str, ...]:
    """What a switch changes, in the words of apt: packages with both versions, then files that no package owns."""
    before, after = versions(old), versions(new)
    changed = tuple(
        f"{name} {before.get(name, 'not there')} -> {after.get(name, 'not there')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
    different = image.diff(old, new)
    return changed or tuple((*different.changed, *different.added, *different.removed)[:5])


def versions(manifest: Manifest) -> dict[str, str]:
    """The version of each package that the copies came from."""
    return {entry.package: entry.version or "" for entry in manifest.entries if entry.package}


def line(outcome: Outcome) -> str:
    """One line about an outcome for apt's output and the journal."""
    words = f": {'; '.join(outcome.words)}" if outcome.words else ""
    return f"image {outcome.profile} {outcome.decision.value}{words}"
