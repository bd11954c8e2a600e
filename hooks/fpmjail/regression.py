# SPDX-License-Identifier: MIT
"""Did a new generation make anything worse? The check of the running sites before the switch and after it.

A site that was bad before cannot speak against the new generation, nor can a fault that it had before, nor a database
server or nscd, nor a program: the scratch jail has tried those that work on the server itself. Sites that do not run
are not woken for that: they are behind the same image, which the scratch jail has proven.

Only more than half of the sites can bring the old generation back. One site's code decides what its own check finds,
and whoever owns it must not keep a security upgrade from its neighbours. At night it may be the only one that runs: so
before the others lose an upgrade to those that run, some of them are asked.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from fpmjail import check, checked, masters, waking
from fpmjail.finding import Finding, Level
from fpmjail.layout import Layout
from fpmjail.masters import Master
from fpmjail.site import SERVER_DIRECTORIES, Site

NO_REASON = frozenset({*SERVER_DIRECTORIES, "programs", "accounts"})
PHP = ("capability", "php")
DOUBTS = 3  # sites that are not well either
AGAIN = 1.0  # seconds until the second look: what passes by itself is no reason to go back

Faults = Mapping[tuple[str, str], str]


def faults(findings: Sequence[Finding]) -> Faults:
    """What is bad, in words."""
    return {
        one.key: f"{one.topic} {one.name}: {one.seen}"
        for one in findings
        if one.level is Level.BAD and one.name not in NO_REASON
    }


def worse(before: Faults, after: Faults) -> Faults:
    """What was not bad before; nothing when PHP itself did not work."""
    return {} if PHP in before else {key: words for key, words in after.items() if key not in before}


def look(layout: Layout, running: Sequence[Master]) -> dict[str, Faults]:
    """What is bad about each running site, a few sites at a time; one that cannot be looked at is left out."""
    found: dict[str, Faults] = {}

    def ask(master: Master) -> str:
        with suppress(OSError):
            findings = check.check_jail(layout, master.site)
            checked.remember(layout, master.site.name, findings)
            found[master.site.name] = faults(findings)
        return ""

    masters.each(ask, running)
    return found


def harmed(layout: Layout, before: Mapping[str, Faults], back: Sequence[Master]) -> dict[str, Faults]:
    """Which sites that came back with a new generation are worse off with it, and how; it takes two looks to say so."""
    first = compare(before, look(layout, back))
    if not first:
        return {}
    time.sleep(AGAIN)
    return compare(before, look(layout, [master for master in back if master.site.name in first]))


def compare(before: Mapping[str, Faults], after: Mapping[str, Faults]) -> dict[str, Faults]:
    """What is worse, by the names of the sites; one that could not be looked at before is not compared."""
    found = {name: worse(before[name], faults) for name, faults in after.items() if name in before}
    return {name: faults for name, faults in found.items() if faults}


def lost(before: Mapping[str, Faults], silent: Mapping[str, str]) -> dict[str, Faults]:
    """The sites that did not come back at all, without those whose PHP did not work before either."""
    return {name: {PHP: words} for name, words in silent.items() if PHP not in before.get(name, {})}


def words(stuck: Mapping[str, Faults]) -> dict[str, str]:
    """What is worse, in words."""
    return {name: "; ".join(faults.values()) for name, faults in stuck.items()}


def votes(before: Mapping[str, Faults], stuck: Mapping[str, Faults]) -> int:
    """How many more sites would have to be well, so that those that are worse off are no more than half: above 0 when
    they are more than half of those whose PHP worked before."""
    return 2 * len(stuck) - sum(PHP not in faults for faults in before.values())


def outvoted(layout: Layout, idle: Sequence[Site], needed: int, stuck: Mapping[str, Faults]) -> bool:
    """Whether so many of the sites that did not run are well when they are woken, without what the others complain of.

    Nobody can know before which ones are asked. It ends as soon as some are not well either: then they speak for those
    that are worse off.
    """
    complaints = frozenset(key for faults in stuck.values() for key in faults)
    well = bad = 0
    asked = random.SystemRandom().sample(idle, len(idle)) if needed <= len(idle) else []
    while asked and well < needed and bad < DOUBTS:
        size = min(masters.AT_ONCE, waking.allowed(), needed - well)
        turn, asked = asked[:size], asked[size:]
        good = sum(is_well(found, complaints) for found in look(layout, [Master(site, 0) for site in turn]).values())
        well, bad = well + good, bad + len(turn) - good
        for site in turn:
            waking.lay_down(layout, site)
    return 0 < needed <= well


def is_well(found: Faults, complaints: Collection[tuple[str, str]]) -> bool:
    """Whether a site works, and has none of these faults."""
    return PHP not in found and found.keys().isdisjoint(complaints)
