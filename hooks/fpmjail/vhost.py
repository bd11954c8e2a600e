# SPDX-License-Identifier: MIT
"""What both web servers say about a virtual host that they were given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fpmjail.site import Site


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


def certified(site: Site) -> bool:
    """True when the site's certificate and key are both there."""
    tls = site.web.tls
    return tls is not None and Path(tls.certificate).exists() and Path(tls.key).exists()
