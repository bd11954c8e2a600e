# SPDX-License-Identifier: MIT
"""`fpmjail check --isolation`: one site holds secrets, another one tries to reach them, by a page and by a command.

Everything is made, looked for and removed by the sites' own processes: root only asks, and follows no path of theirs.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fpmjail import fastcgi, isolation, probe, sandbox, status
from fpmjail import site as sites
from fpmjail.fastcgi import FastcgiError
from fpmjail.isolation import Fate, Met
from fpmjail.layout import Layout
from fpmjail.report import UnknownSite
from fpmjail.site import Site

PROBE = "isolation"
PATIENCE = 40.0  # seconds for all attempts of one page: a connection that nobody refuses takes a second
POOLS = "run/php"
INTERPRETER = "/usr/bin/php"

Tell = Callable[[str], None]
Told = dict[str, object]


class TooFew(Exception):
    """There are no two sites."""


def chosen(layout: Layout, names: Sequence[str]) -> tuple[tuple[Site, Site], ...]:
    """The pairs to look at: the two that are named, or a choice among all that are on. Raises UnknownSite, TooFew."""
    found = {site.name: site for site in sites.installed(layout)[0]}
    unknown = sorted(set(names) - set(found))
    if unknown:
        raise UnknownSite(f"no such site: {', '.join(unknown)}; see: fpmjail status")
    if names:
        return ((found[names[0]], found[names[1]]),)
    wanted = isolation.pairs([site for site in found.values() if status.is_on(layout, site)])
    if not wanted:
        raise TooFew("it takes two sites that are switched on; see: fpmjail status")
    return wanted


def run(layout: Layout, wanted: Sequence[tuple[Site, Site]], tell: Tell) -> Iterator[Met]:
    """Let each pair meet, and say which one is at it."""
    services = listening()  # before any site listens for this
    for number, (a, b) in enumerate(wanted, 1):
        tell(f"{a.name} tries to reach {b.name} ({number} of {len(wanted)})")
        yield meet(layout, a, b, services)


def meet(layout: Layout, a: Site, b: Site, services: Sequence[str]) -> Met:
    """Everything that `a` tries on `b`, and on what listens on loopback; never raises for what a site does."""
    told = question()
    try:
        with holding(layout, b, told) as made:
            told |= isolation.arguments(a, b, made, f"fpmjail-{told['mark']}", pools(layout), services)
            return Met(a.name, b.name, isolation.judge(a, b, by_page(layout, a, told), by_command(a, told)))
    except (FastcgiError, ValueError) as error:
        return Met(a.name, b.name, (), probe.printable(f"could not be tried: {error}"))


def question() -> Told:
    """Names and a secret that nobody else has; the key is one of System V's (ftok(3))."""
    secret = f"secret-{secrets.token_hex(16)}"
    return {"mark": secrets.token_hex(8), "secret": secret, "key": secrets.randbelow(2**31 - 2) + 1}


@contextmanager
def holding(layout: Layout, site: Site, told: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The neighbour and its secrets, as long as the block lasts: what it made. Raises FastcgiError, ValueError."""
    nonce = secrets.token_hex(16)
    asked = ask(layout, site, nonce, {**told, "mode": "hold"})
    with fastcgi.conversation(site.paths.socket, asked, timeout=PATIENCE) as response:
        try:
            made = isolation.made(nonce, response)
        except ValueError as error:
            raise ValueError(f"{site.name}: {error}") from error
        yield made


def ask(layout: Layout, site: Site, nonce: str, told: Mapping[str, object]) -> dict[str, str]:
    """The request for the probe, as this site has to be asked for it."""
    return probe.params(PROBE, nonce, told, "", 0, probe.of_site(layout, site).place)


def by_page(layout: Layout, site: Site, told: Mapping[str, object]) -> dict[str, str]:
    """The attempts from inside the site's PHP-FPM. Raises FastcgiError, ValueError."""
    nonce = secrets.token_hex(16)
    answer = fastcgi.request(site.paths.socket, ask(layout, site, nonce, told), timeout=PATIENCE)
    try:
        return isolation.read(nonce, answer.body)
    except ValueError as error:
        said = probe.printable((answer.body[:200] + answer.stderr[:200]).decode(errors="replace"))
        raise ValueError(f"{site.name}: {error}: {said}") from error


def by_command(site: Site, told: Mapping[str, object]) -> dict[str, str]:
    """The same from a command as `fpmjail exec` runs it. Raises ValueError."""
    nonce = secrets.token_hex(16)
    answer = sandbox.run(site, INTERPRETER, f"{probe.DIRECTORY}/{PROBE}.php", nonce, encoded(told), timeout=PATIENCE)
    try:
        return isolation.read(nonce, answer.words.rpartition("\n")[2])
    except ValueError as error:
        raise ValueError(f"fpmjail exec {site.name}: {error}: {probe.printable(answer.words[-300:])}") from error


def encoded(told: Mapping[str, object]) -> str:
    """The arguments as one word without spaces or signs that systemd would take for others."""
    return base64.b64encode(json.dumps(told).encode()).decode()


def pools(layout: Layout) -> tuple[str, ...]:
    """The sockets of PHP outside of all jails."""
    place = layout.root / POOLS
    return tuple(f"/{POOLS}/{path.name}" for path in sorted(place.glob("*.sock"))) if place.is_dir() else ()


def listening() -> tuple[str, ...]:
    """Where something listens on loopback."""
    tables = (Path("/proc/net") / name for name in ("tcp", "tcp6"))
    return isolation.services(*(path.read_text() for path in tables if path.is_file()))


def as_json(met: Sequence[Met]) -> list[dict[str, Any]]:
    """For programs."""
    return [{**asdict(one), "good": one.good} for one in met]


def text(one: Met, width: int, *, whole: bool) -> str:
    """For people: the table of one pair, with `whole` what was kept out too."""
    from fpmjail import table

    head = f"{one.source} -> {one.target}"
    if one.fault:
        return f"{head}\n{one.fault}"
    shown = [row for row in one.rows if whole or row.fate in (Fate.OPEN, Fate.DESIGN)]
    rows = [(row.fate.value, row.name, _words(row)) for row in shown]
    lines = [table.render(("OUTCOME", "TRIED", "SEEN; HOW TO CLOSE IT"), rows, width), _counts(one)]
    return "\n".join([head, *filter(None, lines)])


def _words(row: isolation.Row) -> str:
    pairs = (("page", row.page), ("exec", row.command))
    same = row.page if row.page == row.command else "; ".join(f"{way}: {words}" for way, words in pairs if words)
    return " -> ".join(filter(None, (same, row.fix))) or "-"


def _counts(one: Met) -> str:
    counts = {fate: sum(row.fate is fate for row in one.rows) for fate in Fate}
    return ", ".join(f"{count} {fate.value}" for fate, count in counts.items() if count)
