# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual hosts of one site in Apache's files: which they are, their names, place and certificate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fpmjail_deb.errors import UsageError
from fpmjail_deb.importing.apache_rewrite import to_https
from fpmjail_deb.importing.draft import Draft
from fpmjail_deb.importing.place import Named, give_certificate
from fpmjail_deb.importing.source import Node
from fpmjail_deb.location import Location

ABSENT = re.compile(
    r"(?i)(mod_)?(fastcgi|fcgid|suphp|ruby|python|perl|wsgi|ruid2|mpm_itk|itk|cband|vhs|bw|spdy)(_module|\.c)?"
)
"""Modules that the site will not have."""


_BESIDE_A_REDIRECT = (
    "servername", "serveralias", "serveradmin", "errorlog", "customlog", "rewriteengine", "rewritecond",
    "documentroot", "loglevel", "directory",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Host:
    """One <VirtualHost> without its conditions."""

    node: Node
    statements: tuple[Node, ...]

    def all(self, name: str) -> list[Node]:
        """Return its statements of a name."""
        return [node for node in self.statements if node.name == name]

    def last(self, name: str) -> Node | None:
        """Return the statement that counts: the last one."""
        return next(iter(reversed(self.all(name))), None)

    @property
    def tls(self) -> bool:
        """Whether it speaks HTTPS."""
        engine = self.last("sslengine")
        ports = {address.rpartition(":")[2] for address in self.node.arguments}
        return engine.first.lower() == "on" if engine else "443" in ports

    @property
    def names(self) -> list[Named]:
        """Return its host names, the main one first."""
        main = self.last("servername")
        nodes = [*([main] if main else []), *self.all("serveralias")]
        return [Named(_bare(word), node.location) for node in nodes for word in node.arguments]

    @property
    def redirects_only(self) -> bool:
        """Whether it only leads to HTTPS or elsewhere."""
        others = [node for node in self.statements if node.name not in _BESIDE_A_REDIRECT]
        return bool(others) and all(node.name.startswith(("redirect", "rewrite")) for node in others)


def _bare(word: str) -> str:
    return re.sub(r":[0-9]+$", "", word.partition("://")[2] or word)


def flattened(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield statements as if their conditions were met; those of modules that will be missing are left out."""
    for node in nodes:
        if node.children is None or node.name not in ("ifmodule", "ifversion", "iffile"):
            yield node
        elif _met(node):
            yield from flattened(node.children)


def _met(node: Node) -> bool:
    if node.name == "ifmodule":
        absent = bool(ABSENT.fullmatch(node.first.lstrip("!")))
        return absent == node.first.startswith("!")
    return not (node.name == "ifversion" and node.first.startswith(("<", "!")))


def choose_hosts(nodes: Sequence[Node], wanted: str | None) -> list[Host]:
    """Return the virtual hosts of one site, the one that shows it first. Raises UsageError."""
    sections = [node for node in flattened(nodes) if node.name == "virtualhost"]
    found = [Host(node, tuple(flattened(node.children or ()))) for node in sections]
    if wanted:
        chosen = [host for host in found if wanted.lower() in {one.name.lower() for one in host.names}]
        if not chosen:
            raise UsageError(f"no virtual host is for {wanted}", f"there are: {_told(found)}")
    else:
        chosen = _only(found)
    return sorted(chosen, key=lambda host: (host.redirects_only, not host.tls))


def _only(found: Sequence[Host]) -> list[Host]:
    if not found:
        raise UsageError("found no <VirtualHost>", "name the files that have it")
    showing = [host for host in found if not host.redirects_only] or list(found)
    mains = {_main(host) for host in showing}
    if len(mains) != 1:
        raise UsageError(f"found virtual hosts of {len(mains)} sites", f"choose one with --domain: {_told(showing)}")
    names = {one.name.lower() for host in showing for one in host.names}
    return [host for host in found if host in showing or names & {one.name.lower() for one in host.names}]


def _main(host: Host) -> str:
    return host.names[0].name.lower().removeprefix("www.") if host.names else ""


def _told(hosts: Iterable[Host]) -> str:
    return ", ".join(sorted({host.names[0].name for host in hosts if host.names})) or "none with a ServerName"


def give_tls(hosts: Sequence[Host], main: str, draft: Draft) -> None:
    """Say whether the site has HTTPS, with which certificate, and whether HTTP leads there."""
    secure = [host for host in hosts if host.tls]
    if not secure:
        draft.give("web.tls", "none", hosts[0].node.location)
        return
    files: dict[str, tuple[str, Location]] = {}
    for key, name in (("certificate", "sslcertificatefile"), ("key", "sslcertificatekeyfile")):
        node = next((node for host in secure if (node := host.last(name))), None)
        if node:
            files[key] = (node.first, node.location)
    if "certificate" in files:
        files.setdefault("key", files["certificate"])
        give_certificate(files, main, draft)
    plain = [host for host in hosts if not host.tls]
    if plain and not any(leads_to_https(host) for host in plain):
        draft.give("web.tls.redirect", "false", plain[0].node.location)


def leads_to_https(host: Host) -> bool:
    """Whether a host on HTTP sends everybody to HTTPS."""
    conditions: list[Node] = []
    for node in host.statements:
        if node.name == "rewritecond":
            conditions.append(node)
            continue
        names = [one.name for one in host.names]
        if node.name.startswith(("redirect", "rewriterule")) and to_https([*conditions, node], names):
            return True
        conditions = []
    return False
