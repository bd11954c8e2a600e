# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/attacks.md: what was expected and what was seen, from the cases and from the records of the last runs.

`make attacks-table` runs all attacks on both releases, writes tests/attacks/seen/RELEASE.json and this page anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.attacks import native, planting, scripts, visits
from tests.attacks.cases import OPEN, PHP_PLACES, STOPPED, WEB_PLACES, Script, Visit
from tests.attacks.planting import Step
from tests.lifecycle.trees import CHECKOUT, RELEASES

PAGE = CHECKOUT / "docs/attacks.md"
SEEN = Path(__file__).parent / "seen"

Case = Script | Visit | Step
Outcomes = dict[str, dict[str, str]]
"""What was seen in each place, by case."""

HEAD = """\
# Attacks

Every row is an attack that `make test` tries on booted servers of both releases, against sites that apt installed. The
page is written by `make attacks-table`; a test fails if anything differs from what is expected.

`stopped` and `OPEN` say what was seen, on trixie and on bookworm alike. **plain** is the control: the same script in
Debian's own pool www, the same files below a virtual host without any walls. Where the control is `stopped` too, Debian
or the kernel holds. What the words of the isolation and of `htaccess` mean is in fpmjail-site(5); what follows from the
rows that are open, in [the threat model](threat-model.md).
"""
GROUPS: tuple[tuple[str, str, Mapping[str, Case], tuple[str, ...]], ...] = (
    ("A hostile script", "Code of the site itself, in PHP.", scripts.SCRIPTS, PHP_PLACES),
    (
        "Hostile native code in PHP's process",
        "As after a hole in PHP: system calls of the attacker's choice, by FFI.",
        native.SCRIPTS,
        PHP_PLACES,
    ),
    (
        "The confused web server",
        "Files that the site's user leaves for Apache or nginx. Columns: `web.htaccess` of dedicated sites; **shared** "
        "has `safe`.",
        visits.VISITS,
        WEB_PLACES,
    ),
    (
        "Links in root's way",
        "Before root acts, in each directory that the site can write to every entry is replaced by a link to files "
        "of root's, and links with other likely names are added. Stopped: contents, owners, modes and times of those "
        "files are the same after it.",
        planting.CASES,
        planting.PLACES,
    ),
    (
        "Names that change while root acts",
        "The same, but a process of the site's user exchanges entries and links meanwhile, by renameat2(2), in a loop.",
        planting.RACES,
        planting.PLACES,
    ),
)


def page(seen: Mapping[str, Outcomes]) -> str:
    """The whole page, from the records of both releases."""
    groups = (_group(title, words, cases, places, seen) for title, words, cases, places in GROUPS)
    return "\n".join((HEAD, *groups, _total(seen)))


def _group(
    title: str, words: str, cases: Mapping[str, Case], places: tuple[str, ...], seen: Mapping[str, Outcomes]
) -> str:
    head = f"| attack | {' | '.join(places)} | why |\n|---|{'---|' * len(places)}---|\n"
    return f"## {title}\n\n{words}\n\n{head}{''.join(_row(name, cases[name], places, seen) for name in cases)}"


def _row(name: str, case: Case, places: tuple[str, ...], seen: Mapping[str, Outcomes]) -> str:
    cells = [_cell(name, case, place, seen) for place in places]
    return f"| **{name}**: {_plain(case.tried)} | {' | '.join(cells)} | {_plain(case.note)} |\n"


def _cell(name: str, case: Case, place: str, seen: Mapping[str, Outcomes]) -> str:
    """One word if both releases agree with what is expected, else all that there is to say."""
    found = {release: seen[release].get(name, {}).get(place, "not tried") for release in RELEASES}
    wanted = case.expected[place]
    if set(found.values()) == {wanted}:
        return f"{wanted}"
    return f"expected {wanted}; " + ", ".join(f"{word} on {release}" for release, word in found.items())


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<If>", "`<If>`")


def _total(seen: Mapping[str, Outcomes]) -> str:
    lines = []
    for title, _, cases, places in GROUPS:
        protected = [place for place in places if place != "plain"]
        words = [
            seen[release].get(name, {}).get(place) for release in RELEASES for name in cases for place in protected
        ]
        lines.append(
            f"- {title}: {len(cases)} attacks, {len(words)} attempts from jails on both releases, "
            f"{words.count(STOPPED)} stopped, {words.count(OPEN)} open as said above\n"
        )
    return "## Figures\n\n" + "".join(lines)


def recorded() -> dict[str, Outcomes]:
    """What the last `make attacks-table` saw on each release."""
    seen: dict[str, Outcomes] = {release: {} for release in RELEASES}
    for place in sorted(SEEN.glob("*.json")):
        seen[place.stem.partition("-")[0]] |= json.loads(place.read_text())
    return seen


def record(name: str, outcomes: Outcomes) -> None:
    """Keep what was seen: `name` is that of the release, and maybe of a part of the attacks."""
    SEEN.mkdir(exist_ok=True)
    lines = (f"{json.dumps(name)}: {json.dumps(places)}" for name, places in sorted(outcomes.items()))
    (SEEN / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def expectations(cases: Iterable[Case]) -> Outcomes:
    """What is expected of cases."""
    return {case.name: dict(case.expected) for case in cases}


if __name__ == "__main__":
    PAGE.write_text(page(recorded()))
