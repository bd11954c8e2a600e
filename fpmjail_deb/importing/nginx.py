# SPDX-License-Identifier: GPL-2.0-or-later
"""The server blocks of one site in nginx's files: which they are, their names, place and certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fpmjail_deb.importing.hosts import Words, choose
from fpmjail_deb.importing.place import Named
from fpmjail_deb.importing.source import Node

WORDS = Words("server block", "server_name", "ssl_certificate", "ssl_certificate_key")


@dataclass(frozen=True, slots=True)
class Block:
    """One server { }."""

    node: Node

    @property
    def statements(self) -> tuple[Node, ...]:
        """Return what is in it."""
        return self.node.children or ()

    def all(self, name: str) -> list[Node]:
        """Return its statements of a name."""
        return [node for node in self.statements if node.name == name]

    @property
    def tls(self) -> bool:
        """Whether it speaks HTTPS."""
        return any("ssl" in node.arguments or node.first.endswith("443") for node in self.all("listen"))

    @property
    def plain(self) -> bool:
        """Whether it speaks HTTP."""
        listens = self.all("listen")
        return not listens or any("ssl" not in node.arguments and not node.first.endswith("443") for node in listens)

    @property
    def names(self) -> list[Named]:
        """Return its host names, the main one first."""
        return [
            Named(name, node.location)
            for node in self.all("server_name")
            for word in node.arguments
            for name in ((word[1:], f"*{word}") if word.startswith(".") else (word,))
            if name not in ("_", "")
        ]

    @property
    def redirects(self) -> Node | None:
        """Return the statement that leads everybody elsewhere."""
        inner = (child for node in self.all("location") if node.first == "/" for child in node.children or ())
        found = (node for node in (*self.statements, *inner) if node.name == "return")
        return next((node for node in found if node.first.startswith("3")), None)

    @property
    def shows(self) -> bool:
        """Whether it has files or PHP to show."""
        return self.redirects is None and bool(self.all("root") or self.all("location"))


def choose_blocks(nodes: Sequence[Node], wanted: str | None) -> list[Block]:
    """Return the server blocks of one site, the one that shows it first. Raises UsageError."""
    return choose([Block(node) for node in _servers(nodes)], wanted, WORDS)


def leads_to_https(block: Block) -> bool:
    """Whether a block sends everybody elsewhere."""
    return block.redirects is not None


def _servers(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if node.name == "server" and node.children is not None:
            yield node
        elif node.name == "http" and node.children:
            yield from _servers(node.children)
