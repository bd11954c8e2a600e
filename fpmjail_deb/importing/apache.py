# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual hosts of one site in Apache's files: which they are, their names, place and certificate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fpmjail_deb.importing.apache_rewrite import to_https
from fpmjail_deb.importing.hosts import Words, choose
from fpmjail_deb.importing.place import Named
from fpmjail_deb.importing.source import Node

WORDS = Words("virtual host", "ServerName", "sslcertificatefile", "sslcertificatekeyfile")

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
    def plain(self) -> bool:
        """Whether it speaks HTTP."""
        return not self.tls

    @property
    def shows(self) -> bool:
        """Whether it has something to show, and does not only lead to HTTPS or elsewhere."""
        others = [node for node in self.statements if node.name not in _BESIDE_A_REDIRECT]
        return not others or not all(node.name.startswith(("redirect", "rewrite")) for node in others)


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
    return choose([Host(node, tuple(flattened(node.children or ()))) for node in sections], wanted, WORDS)


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
