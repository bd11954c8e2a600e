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
from collections.abc import Mapping, Sequence
from contextlib import suppress

from fpmjail import check, checked, masters, waking
from fpmjail.finding import Finding, Level
from fpmjail.layout import Layout
from fpmjail.masters import Master
from fpmjail.site import SERVER_DIRECTORIES, Site

NO_REASON = frozenset({*SERVER_DIRECTORIES, "programs", "accounts"})
PHP = ("capability", "php")
AGAIN = 1.0  # seconds until the second look: what passes by itself is no reason to go back

Faults = Mapping[tuple[str, str], str]


def faults(findings: Sequence[Finding]) -> Faults:
    """What is bad, in words."""
    return {
        one.key: f"{one.topic} {one.name}: {one.seen}"
        for one in findings
        if one.level is Level.BAD and one.name not in NO_REASON
    }


def worse(before: Faults, after: Faults) -> tuple[str, ...]:
    """What was not bad before; nothing when PHP itself did not work."""
    return () if PHP in before else tuple(words for key, words in after.items() if key not in before)


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


def harmed(layout: Layout, before: Mapping[str, Faults], back: Sequence[Master]) -> dict[str, str]:
    """Which sites that came back with a new generation are worse off with it, and how; it takes two looks to say so."""
    first = compare(before, look(layout, back))
    if not first:
        return {}
    time.sleep(AGAIN)
    return compare(before, look(layout, [master for master in back if master.site.name in first]))


def compare(before: Mapping[str, Faults], after: Mapping[str, Faults]) -> dict[str, str]:
    """What is worse, by the names of the sites; one that could not be looked at before is not compared."""
    found = {name: "; ".join(worse(before[name], faults)) for name, faults in after.items() if name in before}
    return {name: words for name, words in found.items() if words}


def lost(before: Mapping[str, Faults], silent: Mapping[str, str]) -> dict[str, str]:
    """The sites that did not come back at all, without those whose PHP did not work before either."""
    return {name: words for name, words in silent.items() if PHP not in before.get(name, {})}


def decisive(before: Mapping[str, Faults], stuck: Mapping[str, str], witnesses: int = 0) -> bool:
    """Whether the sites that are worse off are more than half of those whose PHP worked before, and of the witnesses:
    those that did not run, and whose PHP works now."""
    return 2 * len(stuck) > witnesses + sum(PHP not in faults for faults in before.values())


def witnesses(layout: Layout, idle: Sequence[Site], running: int) -> int:
    """Of some sites that do not run, as many as run but at least a few, how many work when they are woken. Which ones
    are asked, nobody can know before."""
    asked = random.SystemRandom().sample(idle, min(len(idle), max(running, waking.FEW)))
    silent = masters.each(lambda one: masters.complaint(layout, one.site), [Master(site, 0) for site in asked])
    for site in asked:
        waking.lay_down(layout, site)
    return len(asked) - len(silent)
