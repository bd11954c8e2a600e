# SPDX-License-Identifier: MIT
"""Renews an image: what the host has now, against what the jails have, gives a decision; then the steps are done.

The files that the profile wants on this host are compared with the generation in use; a new generation is built beside
it, proven in a scratch jail, switched to by one rename, and taken up by the running masters. Killed at any moment it
leaves a complete generation behind, and the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fpmjail import capability, files, holds, image, image_build, jail, live_files, masters, mounts, packages, state
from fpmjail.manifest import Manifest, difference
from fpmjail.masters import Master
from fpmjail.refresh import Decision, Outcome, Task
from fpmjail.site import BIND, Site
from fpmjail.wanted import Wanted, wanted

REMEMBERED = 300.0  # seconds, well above realpath_cache_ttl
ATTEMPTS = 3  # at copying files that change meanwhile
Owners = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides: nothing else does."""

    current: str | None
    missing: tuple[str, ...]
    unfinished: tuple[str, ...]
    held: str | None


def decide(facts: Facts) -> Decision:
    """The one rule book of a refresh whose files differ from the generation in use."""
    if facts.unfinished:
        return Decision.DEFERRED
    if facts.missing:
        return Decision.INCOMPLETE
    if facts.held and facts.current:
        return Decision.HELD
    return Decision.SWITCH


def explain(facts: Facts, decision: Decision) -> tuple[str, ...]:
    """The reason of a decision in words."""
    match decision:
        case Decision.DEFERRED:
            return (f"not fully installed yet: {', '.join(facts.unfinished)}",)
        case Decision.INCOMPLETE:
            return tuple(f"not on this server: {item}" for item in facts.missing)
        case Decision.HELD:
            return (f"held: {facts.held}",)
        case _:
            return ()


def look(task: Task, want: Wanted, owners: Owners) -> Facts:
    """Gather what decides."""
    hold = holds.read(task.layout, task.profile.id)
    current = image.current(task.layout, task.profile.id)
    enough = packages.UNPACKED if task.mode.needed and not current else packages.SETTLED
    return Facts(
        current=current,
        missing=tuple(map(str, want.missing)),
        unfinished=tuple(packages.unfinished((name for name, _ in owners.values()), task.layout.root, enough)),
        held=hold.reason if hold and hold.manual else None,
    )


def run(task: Task, attempts: int = ATTEMPTS) -> Outcome:
    """Refresh one profile and turn what the disk or a tool refuses into words."""
    try:
        return renew(task)
    except image_build.SourceChanged as error:
        return run(task, attempts - 1) if attempts > 1 else task.kept(Decision.DEFERRED, str(error))
    except (OSError, image.ImageError, packages.PackageError, mounts.Kept) as error:
        return task.kept(Decision.REFUSED, str(error))


def renew(task: Task) -> Outcome:
    """Refresh one profile. Raises OSError, image.ImageError, packages.PackageError, mounts.Kept."""
    layout, profile = task.layout, task.profile
    current, known = image.current(layout, profile.id), image.known_digest(layout, profile.id)
    hold = holds.read(layout, profile.id)
    if current and known == current:
        return settle(task, current)
    if current and known and hold and hold.digest == known:
        return task.kept(Decision.HELD, hold.reason)
    if profile.locales and profile.libraries != BIND:
        from fpmjail import locales

        locales.compile_all(layout, profile.locales)
    definitions = capability.load(layout)
    want = wanted(profile, definitions, layout)
    owners = packages.owners(want.sources, layout.root)
    facts = look(task, want, owners)
    decision = decide(facts)
    if decision is Decision.SWITCH and not task.mode.dry_run:
        return take_up(task, want, owners)
    return Outcome(profile.id, decision, current, current, (*map(str, definitions.problems), *explain(facts, decision)))


def settle(task: Task, current: str) -> Outcome:
    """Nothing to build: end the hold of a candidate that the host no longer leads to, and finish what a killed run
    left undone, masters that still map an older generation."""
    hold = holds.read(task.layout, task.profile.id)
    if hold and not hold.manual and not task.mode.dry_run:
        holds.clear(task.layout, task.profile.id)
    if task.mode.dry_run or not task.pending.exists():
        return task.kept(Decision.CURRENT)
    manifest = task.manifest(current)
    unlinked = renew_jails(task, None, manifest) if manifest else ()
    behind = masters.outdated(masters.using(task.layout, task.sites, task.profile.id), current)
    stuck = masters.reload(task.layout, behind, current)
    if not stuck and not unlinked:
        finish(task, {current})
    return task.kept(Decision.CURRENT, *unlinked, *blame(stuck))


def finish(task: Task, keep: set[str]) -> None:
    """The switch is complete: drop generations that nobody needs, and what a killed run left of one; unmark it last."""
    image.prune(task.layout, task.profile.id, keep | in_use(task))
    image.sweep(task.layout, task.profile.id)
    task.pending.unlink(missing_ok=True)


def in_use(task: Task) -> set[str]:
    """The generations beside `current` that PHP may still look into."""
    return remembered(task) | masters.left_behind(task.layout)


def remembered(task: Task) -> set[str]:
    """The generations that workers of a shared master may still look into: no reload ends them, and PHP remembers for
    two minutes where a link led (realpath_cache_ttl)."""
    if not any(site.shared for site in task.sites):
        return set()
    newest_first = image.generations(task.layout, task.profile.id)
    young = time.time() - REMEMBERED
    return {older.digest for newer, older in pairwise(newest_first) if newer.created > young}


def take_up(task: Task, want: Wanted, owners: Owners) -> Outcome:
    """Build, prove, switch, reload; back to the old generation when that fails. Raises as run does."""
    layout, profile = task.layout, task.profile
    before = image.current(layout, profile.id)
    manifest = image_build.build(layout, profile, want, owners)
    live_files.follow(layout, profile.id, want.live)
    hold = holds.read(layout, profile.id)
    if manifest.digest == before:
        return settle(task, before)
    if hold and hold.digest == manifest.digest:
        return task.kept(Decision.HELD, hold.reason)
    faults = candidate_faults(task, manifest)
    return refuse(task, manifest, faults) if faults else switch(task, manifest, want.warnings)


def candidate_faults(task: Task, manifest: Manifest) -> tuple[str, ...]:
    """What the probes found in a candidate. Without systemd nothing can be proven, which is no fault."""
    from fpmjail import prove

    proof = prove.prove(task.layout, task.profile, manifest.digest, task.sites[0].sandbox)
    if isinstance(proof, prove.NotProvable):
        return ()
    return tuple(f"{result.capability}: {words}" for result in proof for words in result.findings)


def refuse(task: Task, manifest: Manifest, faults: tuple[str, ...], decision: Decision = Decision.REFUSED) -> Outcome:
    """The candidate failed: remember it when this run has the last word, and keep it to be looked at."""
    outcome = task.kept(
        decision, *faults, *withheld(task.manifest(image.current(task.layout, task.profile.id)), manifest)
    )
    if task.mode.final:
        holds.write(task.layout, task.profile.id, manifest.digest, "; ".join(faults))
    image.prune(task.layout, task.profile.id, {manifest.digest, *in_use(task)})
    return outcome


def switch(task: Task, manifest: Manifest, warnings: tuple[str, ...]) -> Outcome:
    """One rename for all jails of the profile, then the running masters, a few at a time.

    A site that did not work before cannot speak against the new generation, nor can a few against the others.
    """
    from fpmjail import regression

    running = masters.using(task.layout, task.sites, task.profile.id)
    earlier = regression.look(task.layout, running)
    files.touch(task.pending)
    before = image.switch(task.layout, task.profile.id, manifest.digest)
    old = task.manifest(before)
    unlinked = renew_jails(task, old, manifest)
    silent = masters.reload(task.layout, running, manifest.digest)
    back = [master for master in running if master.site.name not in silent]
    lost = regression.lost(earlier, silent)
    stuck = regression.harmed(task.layout, earlier, back) | lost
    words = regression.words(stuck)
    needed = regression.votes(earlier, stuck)
    if before and needed > 0 and not regression.outvoted(task.layout, asleep(task, running), needed, stuck):
        return go_back(task, before, manifest, words)
    holds.clear(task.layout, task.profile.id)
    if not lost and not unlinked:  # else the next run tries that again
        finish(task, {manifest.digest, *filter(None, (before,))})
    said = (*describe(old, manifest), *warnings, *unlinked, *blame(words))
    return Outcome(task.profile.id, Decision.SWITCH, before, manifest.digest, said)


def asleep(task: Task, running: Sequence[Master]) -> list[Site]:
    """The sites with this image that did not run."""
    up = {master.site.name for master in running}
    return [site for site in task.sites if site.name not in up and not site.shared and has_image(task, site)]


def has_image(task: Task, site: Site) -> bool:
    """Whether a site is on, and was configured with this image."""
    known = state.read(task.layout, site.name)
    return known is not None and not known.disabled and known.profile == task.profile.id


def go_back(task: Task, before: str, manifest: Manifest, stuck: Mapping[str, str]) -> Outcome:
    """Sites that worked before do not work with the new generation: the old one comes back for all of them."""
    from fpmjail import regression

    image.switch(task.layout, task.profile.id, before)
    running = masters.using(task.layout, task.sites, task.profile.id)
    masters.reload(task.layout, running, before)
    regression.look(task.layout, running)  # so that `status` tells how it is now
    task.pending.unlink(missing_ok=True)
    return refuse(task, manifest, blame(stuck), Decision.ROLLED_BACK)


def renew_jails(task: Task, old: Manifest | None, new: Manifest) -> tuple[str, ...]:
    """Links of /etc and /var/lib are the one thing that a generation can ask of a jail; most of them ask nothing. In
    words, which sites lack new ones: that keeps nothing from the others.

    The jail of a site that is about to change to this profile is made by its configuration.
    """
    if old and all(names(old) == names(new) for names in (jail.etc_names, jail.variable_names)):
        return ()
    return tuple(words for site in task.sites if (words := renew_jail(task, site, new)))


def renew_jail(task: Task, site: Site, new: Manifest) -> str:
    """Give one jail the links that a generation asks for; what keeps it from them."""
    known = state.read(task.layout, site.name)
    made = task.layout.host(str(site.paths.jail) + "/.image").is_dir()
    if not (known and known.profile == task.profile.id and made):
        return ""
    try:
        jail.make(task.layout, site, new)
    except Exception as error:  # whatever it is, it stops no other site
        again = f"fpmjail configure {site.name}"
        return f"site {site.name} lacks links of its /etc: {type(error).__name__}: {error}; mend that, then: {again}"
    return ""


def blame(stuck: Mapping[str, str]) -> tuple[str, ...]:
    """Which sites do not work with a generation, and why."""
    return tuple(f"site {name} does not work with it: {words}" for name, words in sorted(stuck.items()))


def describe(old: Manifest | None, new: Manifest) -> tuple[str, ...]:
    """What a new generation brings."""
    return package_changes(old, new) if old else (f"{len(new.entries)} entries, {new.size / 1e6:.0f} MB",)


def withheld(old: Manifest | None, refused: Manifest) -> tuple[str, ...]:
    """What the jails do not get with a candidate that was refused."""
    changed = package_changes(old, refused) if old else ()
    return (f"kept back: {', '.join(changed)}",) if changed else ()


def package_changes(old: Manifest, new: Manifest) -> tuple[str, ...]:
    """What a switch changes, in the words of apt: packages with both versions, else the first files that differ."""
    before, after = versions(old), versions(new)
    changed = tuple(
        f"{name} {before.get(name, 'not there')} -> {after.get(name, 'not there')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
    different = difference(old, new)
    return changed or tuple((*different.changed, *different.added, *different.removed)[:5])


def versions(manifest: Manifest) -> dict[str, str]:
    """The version of each package that the copies came from."""
    return {entry.package: entry.version or "" for entry in manifest.entries if entry.package}
