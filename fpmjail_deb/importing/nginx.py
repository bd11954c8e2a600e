# SPDX-License-Identifier: GPL-2.0-or-later
"""The server blocks of one site in nginx's files: which they are, their names, place and certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fpmjail_deb.errors import UsageError
from fpmjail_deb.importing.draft import Draft
from fpmjail_deb.importing.place import Named, give_certificate
from fpmjail_deb.importing.source import Node
from fpmjail_deb.location import Location


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
    found = [Block(node) for node in _servers(nodes)]
    if wanted:
        chosen = [block for block in found if wanted.lower() in {one.name.lower() for one in block.names}]
        if not chosen:
            raise UsageError(f"no server block is for {wanted}", f"there are: {_told(found)}")
    else:
        chosen = _only(found)
    return sorted(chosen, key=lambda block: (not block.shows, not block.tls))


def _servers(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if node.name == "server" and node.children is not None:
            yield node
        elif node.name == "http" and node.children:
            yield from _servers(node.children)


def _only(found: Sequence[Block]) -> list[Block]:
    if not found:
        raise UsageError("found no server block", "name the files that have it")
    showing = [block for block in found if block.shows] or list(found)
    mains = {block.names[0].name.removeprefix("www.") if block.names else "" for block in showing}
    if len(mains) != 1:
        raise UsageError(f"found server blocks of {len(mains)} sites", f"choose one with --domain: {_told(showing)}")
    names = {one.name for block in showing for one in block.names}
    return [block for block in found if block in showing or names & {one.name for one in block.names}]


def _told(blocks: Iterable[Block]) -> str:
    return ", ".join(sorted({block.names[0].name for block in blocks if block.names})) or "none with a server_name"


def give_tls(blocks: Sequence[Block], main: str, draft: Draft) -> None:
    """Say whether the site has HTTPS, with which certificate, and whether HTTP leads there."""
    secure = [block for block in blocks if block.tls]
    if not secure:
        draft.give("web.tls", "none", blocks[0].node.location)
        return
    files: dict[str, tuple[str, Location]] = {}
    for key, name in (("certificate", "ssl_certificate"), ("key", "ssl_certificate_key")):
        node = next((node for block in secure for node in block.all(name)), None)
        if node:
            files[key] = (node.first, node.location)
    if "certificate" in files:
        files.setdefault("key", files["certificate"])
        give_certificate(files, main, draft)
    plain = [block for block in blocks if block.plain]
    if plain and not any(block.redirects for block in plain):
        draft.give("web.tls.redirect", "false", plain[0].node.location)
