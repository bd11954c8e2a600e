# SPDX-License-Identifier: MIT
"""What both web servers say about a virtual host that they were given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fpmjail import dropin, state
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.state import State

BROKEN = "'s configuration was broken before: "


class VirtualHostFault(Exception):
    """The virtual host that the package itself brings does not pass the web server's own test."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the virtual host: `words` are for the admin, `refused` is what a drop-in did wrong."""

    words: tuple[str, ...] = ()
    refused: str | None = None


Result = Applied | Exception
"""What became of a virtual host, or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Lacks:
    """What keeps a web server from serving a site as its description says, and how to mend it."""

    words: tuple[str, ...]
    fix: str


def broken_before(server: str, complaint: str, directory: Path, live: Path) -> Applied:
    """What becomes of a virtual host while a mistake that is not the site's keeps all that is new from the server."""
    words = f"{server}{BROKEN}{complaint}; mend that, then: fpmjail reload"
    return Applied((words,), words if unlike(directory, live) else None)


def unlike(directory: Path, live: Path) -> bool:
    """True when the admin's drop-ins are not those that the web server has."""
    try:
        return dropin.join(dropin.read(directory), "#").encode() != (live.read_bytes() if live.exists() else b"")
    except OSError:
        return True


def kept_back(known: State | None) -> bool:
    """True when drop-ins wait until that mistake is mended."""
    return known is not None and known.web_refused is not None and BROKEN in known.web_refused


def caught_up(layout: Layout, site: Site, directory: Path, applied: Applied) -> tuple[str, ...]:
    """Remember what became of a virtual host that was kept back; what to say of it. The reload that comes says itself
    that the configuration is broken."""
    if known := state.read(layout, site.name):
        live = known.web_dropins if applied.refused else dropin.fingerprint(dropin.read(directory))
        state.write(layout, site.name, replace(known, web_dropins=live, web_refused=applied.refused))
    words = (text for text in applied.words if BROKEN not in text)
    return tuple(f"drop-in not applied: {text}" if text == applied.refused else text for text in words)


def certified(site: Site) -> bool:
    """True when the site's certificate and key are both there."""
    tls = site.web.tls
    return tls is not None and Path(tls.certificate).exists() and Path(tls.key).exists()
