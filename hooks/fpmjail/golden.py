# SPDX-License-Identifier: MIT
"""The golden rules that need more than one look: what lies where the site writes, who its processes are, the copies.

Judges are pure; `check` looks. Whatever the site's user can change is walked by descriptors (walk.py), and only so far.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from fpmjail import facts, image, inside, places, walk
from fpmjail.facts import Entry, Process
from fpmjail.finding import Finding, bad, good, ruled
from fpmjail.judges import described, exposed, transfers
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.probe import Result
from fpmjail.site import Site

MOST = 50_000  # names below the directories of one site that are looked at


@dataclass(frozen=True, slots=True)
class Planted:
    """What lies where a site can write: how many names were looked at, whether that was all, and what is dangerous.

    It is not all when there are more than MOST, or some lie deeper than anybody goes who has nothing to hide.
    """

    looked: int
    complete: bool
    dangerous: tuple[Entry, ...]


def judge_planted(site: Site, seen: Planted) -> Finding:
    """No set-id file and no device where the site can write.

    In the jail neither works; outside, whoever runs such a file lends the site's rights, or the site theirs.
    """
    names = "1 name" if seen.looked == 1 else f"{seen.looked} names"
    count = names if seen.complete else f"the first {names}"
    fix = f"look who put it there, then: chmod u-s,g-s, or delete it; fpmjail never touches the data of {site.name}"
    return ruled("files", "planted", [described(found) for found in seen.dangerous], f"none in {count}", fix)


def judge_parents(site: Site, chains: Iterable[Sequence[Entry]]) -> Finding:
    """Jail, image and socket: every directory above them must be root's, as above the base."""
    seen = {found.path: found for chain in chains for found in chain}
    wrong = [described(found) for found in seen.values() if exposed(found) or not stat.S_ISDIR(found.mode)]
    fix = f"chown root:root; chmod 0755; for {site.paths.socket.parent}: systemd-tmpfiles --create fpmjail.conf"
    return ruled("files", "parents", wrong, "jail, image and socket lie in root's directories", fix)


def judge_place(site: Site, found: Sequence[Process], gid: int, jail: tuple[int, int] | None) -> Finding:
    """Every process of the site has its root in the jail, and no group but its own."""
    own = [process for process in found if not transfers(site, process)]
    wrong = [f"{process.name} ({process.pid}) has its root elsewhere" for process in own if away(process, jail)]
    wrong += [
        f"{process.name} ({process.pid}) is in group {other}"
        for process in own
        for other in sorted(process.groups - {gid})
    ]
    fix = f"end what {site.user.name} runs outside of the jail, or: systemctl restart {site.units.service}"
    return ruled("processes", "place", wrong, "all in the jail, in no other group", fix)


def away(process: Process, jail: tuple[int, int] | None) -> bool:
    """True for a process whose root is known, and is not the jail."""
    return process.place is not None and process.place != jail


def judge_copies(current: str | None, wrong: Sequence[str]) -> Finding:
    """Every copy is there, and is what was copied."""
    if current is None:
        return bad("generation", "copies", "there are none", "fpmjail refresh")
    return ruled("generation", "copies", wrong, f"{current} is whole", "fpmjail refresh --verify")


def judge_seal(site: Site, result: Result) -> Finding:
    """What the site's own user sees from inside."""
    if result.passed:
        return good("inside", "seal", "one user, no rights, nothing writable but what was declared")
    fix = f"fpmjail configure {site.name}; systemctl restart {site.units.service}"
    return ruled("inside", "seal", result.findings, "", fix)


def check(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """All of it but what is asked from inside."""
    owner = places.account(site.user.name)
    found = facts.processes(owner.uid) if owner else ()
    current = image.current(layout, site.profile.id)
    manifest = image.read_manifest(layout, site.profile.id, current)
    return (
        judge_parents(site, map(facts.ancestors, parents(layout, site))),
        judge_planted(site, planted(site)),
        judge_place(site, found, owner.gid if owner else -1, facts.identity(site.paths.jail)),
        judge_copies(current, damage(layout, manifest) if manifest else ("its manifest is damaged",)),
    )


@lru_cache(maxsize=1)
def damage(layout: Layout, manifest: Manifest) -> tuple[str, ...]:
    """The copies that differ from their manifest; sites that share an image are checked one after another."""
    return image.verify(layout, manifest)


def parents(layout: Layout, site: Site) -> tuple[Path, ...]:
    """The directories whose owner decides what the jail is."""
    return site.paths.jail, layout.image(site.profile.id), site.paths.socket.parent


def planted(site: Site) -> Planted:
    """Look through the directories that the site can write."""
    names = (found for place in writable(site) for found in walk.below(place))
    seen = list(islice(names, MOST + 1))
    whole = len(seen) <= MOST and not any(found.path.count("/") > walk.DEEPEST for found in seen)
    return Planted(len(seen[:MOST]), whole, tuple(found for found in seen[:MOST] if lends(found)))


def writable(site: Site) -> tuple[Path, ...]:
    """Where the site can write, as the host sees it."""
    return tuple(
        path if inside.bound(site, str(path)) else site.paths.jail / path.relative_to("/")
        for path in site.filesystem.writable
    )


def lends(found: Entry) -> bool:
    """True for a device, and for a file that lends the rights of its owner or its group."""
    device = stat.S_ISCHR(found.mode) or stat.S_ISBLK(found.mode)
    return device or (stat.S_ISREG(found.mode) and bool(found.mode & (stat.S_ISUID | stat.S_ISGID)))
