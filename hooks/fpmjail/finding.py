# SPDX-License-Identifier: MIT
"""What a check finds, and the words for it: every judge makes these, tables, JSON and monitoring show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fpmjail.probe import WHOLE, Result, printable
from fpmjail.site import Site

SHOWN = 3  # faults that one finding names; the rest is counted
NOT_ASKED = "not asked"


class Level(StrEnum):
    """How much a finding matters: `warning` weakens or will break the site, `bad` already does."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Verdict(StrEnum):
    """What the jail makes of a capability, compared with the same PHP outside of it."""

    OK = "ok"
    JAIL = "broken in the jail"
    HOST = "broken on the server as well"
    BETTER = "better than outside"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was seen, how to mend it, and which line of the description decides it.

    Of a capability also what the host's PHP made of the same probe outside of the jail, and the verdict.
    """

    topic: str
    name: str
    level: Level
    seen: str
    fix: str = ""
    origin: str = ""
    outside: str = ""
    verdict: str = ""

    @property
    def good(self) -> bool:
        """True when nothing has to be done."""
        return self.level is Level.GOOD

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other finding about the same site."""
        return self.topic, self.name


def good(topic: str, name: str, seen: str) -> Finding:
    """Nothing to do."""
    return Finding(topic, name, Level.GOOD, seen)


def bad(topic: str, name: str, seen: str, fix: str) -> Finding:
    """The site is broken or open here."""
    return Finding(topic, name, Level.BAD, seen, fix)


def warning(topic: str, name: str, seen: str, fix: str) -> Finding:
    """Somebody should look at this."""
    return Finding(topic, name, Level.WARNING, seen, fix)


def ruled(topic: str, name: str, wrong: Sequence[str], seen: str, fix: str) -> Finding:
    """`bad` with the first three of what is wrong, or `good` when that is empty."""
    return bad(topic, name, listed(wrong), fix) if wrong else good(topic, name, seen)


def listed(wrong: Sequence[str]) -> str:
    """The first of some faults, and how many more there are."""
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return printable("; ".join(wrong[:SHOWN])) + more


CHOSEN = "jail.capabilities"


def declared(site: Site, key: str) -> str:
    """Where the description decides `key`; an extension may have brought a capability."""
    return origin(site, key) or (origin(site, "php.extensions") if key == CHOSEN else "")


def origin(site: Site, key: str) -> str:
    """The place in the description that decides `key` (`example.yaml:14`), or an empty string for a default."""
    found = dict(site.origins)
    inside = (other for other in sorted(found) if other.startswith((f"{key}.", f"{key}[")))
    place = found.get(key) or next((found[other] for other in inside), "")
    return place.rpartition(":")[0] if place.count(":") > 1 else place


def compared(inside: Result, outside: Result | None) -> Verdict:
    """What the jail makes of a capability. A fault that the host has not is the jail's; without a look outside, too.

    Faults are told apart by the names of the checks: that a shell is missing in the jail does not excuse an extension
    that is.
    """
    if inside.passed:
        return Verdict.OK if outside is None or outside.passed else Verdict.BETTER
    beyond = set(outside.faulty) if outside is not None else set()
    return Verdict.HOST if WHOLE in beyond or (inside.faulty and set(inside.faulty) <= beyond) else Verdict.JAIL


def words_outside(outside: Result | None) -> str:
    """What the host's own PHP made of a probe."""
    if outside is None:
        return NOT_ASKED
    return "works" if outside.passed else listed(outside.findings)
