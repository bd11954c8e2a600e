# SPDX-License-Identifier: GPL-2.0-or-later
"""What an attack is: its name, what is tried, in which places, and what is expected to happen there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STOPPED = "stopped"
OPEN = "OPEN"

PLAIN, SHARED, DEDICATED = "plain", "shared", "dedicated"
PHP_PLACES = (PLAIN, SHARED, DEDICATED)
"""Where a hostile script runs: in Debian's own pool www as www-data (the control), in sites of both isolations."""

NONE, SAFE, ALL, NGINX = "none", "safe", "all", "nginx"
WEB_PLACES = (PLAIN, NONE, SAFE, SHARED, ALL, NGINX)
"""A plain virtual host (the control), sites by their `web.htaccess`, one in shared isolation, one behind nginx."""


def expected(places: tuple[str, ...], text: str) -> Mapping[str, str]:
    """Outcomes by place, from one letter each: O for an attack that works, s for one that is stopped."""
    words = {"O": OPEN, "s": STOPPED}
    return dict(zip(places, (words[letter] for letter in text), strict=True))


@dataclass(frozen=True, slots=True)
class Script:
    """A hostile PHP script: the body of a function that returns a text as evidence that the attack worked.

    `note` says why an attack that works has to, or what stops the one that does not.
    """

    name: str
    tried: str
    letters: str
    code: str
    note: str = ""

    @property
    def expected(self) -> Mapping[str, str]:
        return expected(PHP_PLACES, self.letters)


@dataclass(frozen=True, slots=True)
class Request:
    """What a visitor sends: `@` in the path stands for the case's own directory."""

    path: str
    host: str = ""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """Files and links that a site's user puts into a directory, and requests that follow.

    The attack has worked if `evidence`, a regular expression, is in an answer.
    """

    name: str
    tried: str
    letters: str
    evidence: str
    requests: tuple[Request, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def expected(self) -> Mapping[str, str]:
        return expected(WEB_PLACES, self.letters)
