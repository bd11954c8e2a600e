# SPDX-License-Identifier: GPL-2.0-or-later
"""Which virtual hosts of a web server's files are those of one site, and whether they have HTTPS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fpmjail_deb.errors import UsageError
from fpmjail_deb.importing.draft import Draft
from fpmjail_deb.importing.place import Named, give_certificate
from fpmjail_deb.importing.source import Node
from fpmjail_deb.location import Location


class WebHost(Protocol):
    """A virtual host of Apache, or a server block of nginx."""

    @property
    def node(self) -> Node:
        """Return the whole section."""

    def all(self, name: str) -> list[Node]:
        """Return its statements of a name."""

    @property
    def names(self) -> list[Named]:
        """Return its host names, the main one first."""

    @property
    def tls(self) -> bool:
        """Whether it speaks HTTPS."""

    @property
    def plain(self) -> bool:
        """Whether it speaks HTTP."""

    @property
    def shows(self) -> bool:
        """Whether it has something to show, and does not only lead elsewhere."""


Host = TypeVar("Host", bound=WebHost)


@dataclass(frozen=True, slots=True)
class Words:
    """What a web server calls things: a host, the statement that names it, those of its certificate and its key."""

    host: str
    name: str
    certificate: str
    key: str


def choose(found: Sequence[Host], wanted: str | None, words: Words) -> list[Host]:
    """Return the hosts of one site, the one that shows it first. Raises UsageError."""
    if not found:
        raise UsageError(f"found no {words.host}", "name the files that have it")
    chosen = [host for host in found if wanted.lower() in _names(host)] if wanted else _only(found, words)
    if not chosen:
        raise UsageError(f"no {words.host} is for {wanted}", f"there are: {_told(found, words)}")
    return sorted(chosen, key=lambda host: (not host.shows, not host.tls))


def _names(host: WebHost) -> set[str]:
    return {one.name.lower() for one in host.names}


def _only(found: Sequence[Host], words: Words) -> list[Host]:
    showing = [host for host in found if host.shows] or list(found)
    mains = {_main(host) for host in showing}
    if len(mains) != 1:
        reason = f"found {words.host}s of {len(mains)} sites"
        raise UsageError(reason, f"choose one with --domain: {_told(showing, words)}")
    names = set[str]().union(*map(_names, showing))
    return [host for host in found if host in showing or names & _names(host)]


def _main(host: WebHost) -> str:
    return host.names[0].name.lower().removeprefix("www.") if host.names else ""


def _told(hosts: Iterable[WebHost], words: Words) -> str:
    return ", ".join(sorted({host.names[0].name for host in hosts if host.names})) or f"none with a {words.name}"


def give_tls(
    hosts: Sequence[Host], leads_to_https: Callable[[Host], bool], words: Words, main: str, draft: Draft
) -> None:
    """Say whether the site has HTTPS, with which certificate, and whether HTTP leads there."""
    secure = [host for host in hosts if host.tls]
    if not secure:
        draft.give("web.tls", "none", hosts[0].node.location)
        return
    if files := _certificate(secure, words):
        give_certificate(files, main, draft)
    plain = [host for host in hosts if host.plain]
    if plain and not any(leads_to_https(host) for host in plain):
        draft.give("web.tls.redirect", "false", plain[0].node.location)


def _certificate(secure: Sequence[WebHost], words: Words) -> dict[str, tuple[str, Location]]:
    """Return the files of certificate and key; both may be in one."""
    files: dict[str, tuple[str, Location]] = {}
    for key, name in (("certificate", words.certificate), ("key", words.key)):
        statements = [host.all(name)[-1] for host in secure if host.all(name)]
        if statements:
            files[key] = (statements[0].first, statements[0].location)
    return {"key": files["certificate"], **files} if "certificate" in files else {}
