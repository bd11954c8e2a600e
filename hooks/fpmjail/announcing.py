# SPDX-License-Identifier: MIT
"""Says of each site that was configured whether it answers, and what is wrong with it, once the web servers know it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from fpmjail import checked, facts, files, state, systemd, vhost, waking
from fpmjail.arrival import surroundings
from fpmjail.finding import Finding, Level
from fpmjail.layout import Layout
from fpmjail.site import Site

Say = Callable[[str], None]

SLEPT = b"slept\n"
RUN_OF_APT = 900.0  # seconds from the configuration of a site to the reload of the web servers
AT_ONCE = 200  # somebody who waits for a thousand sites sees meanwhile what became of these


def expect(layout: Layout, name: str, slept: bool) -> None:
    """Let the next reload of the web servers announce a site; one that `slept` before is idle again after it."""
    files.make_directory(layout.run / "announce", 0, 0, 0o755)
    files.replace_file(layout.run / "announce" / name, SLEPT if slept else b"")


def announce(layout: Layout, found: Collection[Site], say: Say) -> None:
    """One line about each site that was configured since the last reload, and what is wrong with it.

    PHP works, but does all that the description declares? What does not is said, and keeps no page from anybody. A
    shared site has its pool only after the reload that follows its configuration.
    """
    expected = {site.name: taken(layout.run / "announce" / site.name) for site in found}
    fresh = [site for site in found if expected[site.name] is not None]
    for turn in waking.in_turns(layout, fresh):
        for start in range(0, len(turn), AT_ONCE):
            announce_some(layout, turn[start : start + AT_ONCE], say)
        if slept := [site for site in turn if expected[site.name] == SLEPT]:
            waking.put_back(layout, slept)


def taken(place: Path) -> bytes | None:
    """What is in a file, which is gone then; None if there is none. One that nobody has taken for long says nothing of
    how its site is now."""
    try:
        content, age = place.read_bytes(), time.time() - place.stat().st_mtime
    except FileNotFoundError:
        return None
    place.unlink(missing_ok=True)
    return content if 0 <= age < RUN_OF_APT else b""


def announce_some(layout: Layout, fresh: Sequence[Site], say: Say) -> None:
    """Check some sites, and say what came of it."""
    findings = look(layout, [site for site in fresh if live(layout, site)])
    for site in fresh:
        answered = answers(site) if systemd.running() else ()
        for words in (*faults(findings.get(site.name, ())), *answered):
            say(f"{site.name}: {words}")


def live(layout: Layout, site: Site) -> bool:
    """True for a site that was configured and is on, where things may be started."""
    known = state.read(layout, site.name)
    return known is not None and not known.disabled and surroundings(site).live


def look(layout: Layout, sites: Iterable[Site]) -> dict[str, tuple[Finding, ...]]:
    """Check the jails of sites, and remember what was found."""
    from fpmjail import check

    findings = check.check_jails(layout, tuple(sites))
    for name, found in findings.items():
        checked.remember(layout, name, found)
    return findings


def faults(findings: Iterable[Finding]) -> tuple[str, ...]:
    """What is bad, in words."""
    return tuple(
        f"{one.topic} {one.name}{f' ({one.origin})' if one.origin else ''}: {one.seen}; {one.fix}"
        for one in findings
        if one.level is Level.BAD
    )


def answers(site: Site) -> tuple[str, ...]:
    """What a visitor of the start page gets, over TLS too when there is a certificate."""
    ours = {name.partition("/")[0] for name in site.writable}
    if site.paths.document_root.is_dir() and ours >= {path.name for path in site.paths.document_root.iterdir()}:
        return (f"is ready; put its files into {site.paths.document_root}",)
    return tuple(
        f"{visit.address} answers {visit.status}" if visit.status else f"{visit.address} does not answer: {visit.words}"
        for visit in facts.visits(site, vhost.certified(site))
    )
