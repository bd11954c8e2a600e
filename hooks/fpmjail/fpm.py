# SPDX-License-Identifier: MIT
"""The FPM configuration of a site: the package's text and the admin's drop-ins, live only when proven."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpmjail import dropin, files, sandbox, systemd
from fpmjail.dropin import Part
from fpmjail.layout import Layout
from fpmjail.site import Site

CANDIDATE = "fpm.conf.new"
OWNED = re.compile(r"\s*(\[|(?:listen|user|group|chroot|chdir|prefix|include)\s*(?:\.\w+\s*)?=)")
SETTING = re.compile(r"\s*(?:php(?:_admin)?_(?:value|flag)|(env))\s*\[\s*([^]\s]+)\s*\]")
SYNTAX = re.compile(r"^PHP:\s+(syntax error.*?)(?: in Unknown on line \d+)?$", re.MULTILINE)
COMPLAINT = re.compile(rf"\[/etc/{re.escape(CANDIDATE)}:(\d+)\]\s*(.*)")
AROUND = re.compile(r"^[ \t]*php(?:_admin)?_value\[auto_(?:pre|ap)pend_file\][ \t]*=[ \t\"]*(?!none\b)[^ \t\"\n]", re.M)

Proof = Callable[[tuple[Part, ...]], str | None]


class PoolFault(Exception):
    """The pool that the package itself brings does not pass FPM's own test."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a candidate: `before` is the text that was live, `refused` says why a drop-in was left out."""

    changed: bool
    refused: str | None = None
    before: str | None = None


def dropin_directory(layout: Layout, site: Site) -> Path:
    """Where the admin puts his own pool settings."""
    return layout.admin_sites / site.name / "fpm.d"


def forbidden(part: Part) -> str | None:
    """What makes a drop-in unfit before FPM even reads it: sections and settings that the jail depends on."""
    for number, line in enumerate(part.text.splitlines(), 1):
        found = OWNED.match(line)
        if found:
            return f"{part.source}:{number}: {line.strip()!r} cannot be set in a drop-in: the jail depends on it"
    return None


def complaint(parts: tuple[Part, ...], words: str) -> str:
    """FPM's words about a candidate, with the line of the file that an admin can edit."""
    found = COMPLAINT.search(words)
    if found is None:
        return misspelt(parts, words) or (words.splitlines()[-1] if words else "php-fpm -t failed and said nothing")
    return f"{dropin.place(parts, int(found[1]))}: {found[2].strip() or words.splitlines()[-1]}"


def misspelt(parts: tuple[Part, ...], words: str) -> str | None:
    """A syntax error, which FPM tells without a line: the first drop-in's line with a quote or a bracket left open, or
    else the drop-ins that it may be in. None for any other fault."""
    found = SYNTAX.search(words)
    if found is None:
        return None
    lines = ((part, number, line) for part in parts[1:] for number, line in enumerate(part.text.splitlines(), 1))
    place = next((f"{part.source}:{number}" for part, number, line in lines if left_open(line)), None)
    return f"{place or ', '.join(part.source for part in parts[1:]) or parts[0].source}: {found[1]}"


def left_open(line: str) -> bool:
    """True for a line in which a quote or a bracket has no end."""
    if line.lstrip().startswith((";", "#")):
        return False
    name = line.partition("=")[0]
    return name.count("[") != name.count("]") or line.count('"') % 2 == 1


def proven(site: Site, parts: tuple[Part, ...], provable: bool) -> str | None:
    """Why a candidate cannot go live, or None: put it beside the live one, let the jail's own FPM test it."""
    refused = next(filter(None, map(forbidden, parts[1:])), None)
    if refused or not provable:
        return refused
    candidate = site.paths.jail / "etc" / CANDIDATE
    files.replace_file(candidate, text(parts).encode(), 0o644)
    answer = sandbox.run(site, site.profile.master, "--test", "--fpm-config", f"/etc/{CANDIDATE}")
    candidate.unlink()
    return None if answer.good else complaint(parts, answer.words)


def setting(line: str) -> tuple[bool, str] | None:
    """Which PHP setting (False) or variable (True) a line sets, or None."""
    found = SETTING.match(line)
    return (found[1] is not None, found[2]) if found else None


def text(parts: tuple[Part, ...]) -> str:
    """The whole configuration file, in which what comes last counts.

    Of two lines for one PHP setting FPM takes the first (fpm_conf.c keeps them in reverse), so that one is put aside.
    """
    lines = dropin.join(parts, ";").splitlines()
    last = {key: number for number, line in enumerate(lines) if (key := setting(line))}
    return "".join(
        f"{line if counts(line, number, last) else f'; set below: {line}'}\n" for number, line in enumerate(lines)
    )


def counts(line: str, number: int, last: Mapping[tuple[bool, str], int]) -> bool:
    """False for a line that sets what a later one sets again; `last` says which line has the last word on what."""
    key = setting(line)
    return key is None or last[key] == number


def apply(layout: Layout, site: Site, provable: bool, *, started: bool = False) -> Applied:
    """Bring the configuration of a site's own master up to date. A bad drop-in leaves the old text in place.

    `provable` is False where nothing can be run in the jail (no systemd). With `started` the first start follows, which
    proves more of the package's own text than a test. Raises PoolFault for that text.
    """

    def proof(parts: tuple[Part, ...]) -> str | None:
        return proven(site, parts, provable and not (started and len(parts) == 1))

    def change() -> None:
        if systemd.running():  # else there is no master
            files.make_run(layout.run)
            files.make_directory(untaken(layout, site).parent, 0, 0, 0o755)
            files.touch(untaken(layout, site))

    return bring(layout, site, site.paths.jail / "etc/fpm.conf", proof, change)


def untaken(layout: Layout, site: Site) -> Path:
    """The mark of a configuration that no master has taken up yet: of a run that was killed, or failed. After a boot
    all are new."""
    return layout.run / "untaken" / site.name


def own_fault(site: Site) -> str | None:
    """What FPM says against the package's own text, where that was not proven before its first start."""
    return proven(site, (own_part(site),), provable=True)


def own_part(site: Site) -> Part:
    """The package's text."""
    return Part(str(site.paths.pool), site.paths.pool.read_text())


def bring(layout: Layout, site: Site, live: Path, proof: Proof, change: Callable[[], None] = lambda: None) -> Applied:
    """Bring the file `live` up to date with what the package and the administrator want of PHP-FPM.

    `proof` says why the parts together cannot go live, or None. `change` is called before the file changes.
    Raises PoolFault for the package's own text.
    """
    own = own_part(site)
    parts = (own, *dropin.read(dropin_directory(layout, site)))
    before = live.read_text() if live.is_file() else None
    if before is not None and spoken(text(parts)) == spoken(before):
        if text(parts) != before:
            files.replace_file(live, text(parts).encode(), 0o644)
        return Applied(changed=False)
    refused = proof(parts)
    if refused and len(parts) > 1 and before is not None:
        return Applied(changed=False, refused=refused)
    if refused:
        parts = alone(own, proof, refused)
    change()
    files.replace_file(live, text(parts).encode(), 0o644)
    return Applied(changed=True, refused=refused, before=before)


def spoken(configuration: str) -> list[str]:
    """What FPM reads: comments only tell of which line of the description a setting comes."""
    return [line for line in configuration.splitlines() if not line.lstrip().startswith(";")]


def has_code_around(configuration: str) -> bool:
    """Whether PHP runs code of the site's before or after every script, our probes included."""
    return AROUND.search(configuration) is not None


def alone(own: Part, proof: Proof, refused: str) -> tuple[Part, ...]:
    """The package's text without any drop-in, when that is what works. Raises PoolFault."""
    fault = proof((own,))
    if fault:
        raise PoolFault(fault or refused)
    return (own,)
