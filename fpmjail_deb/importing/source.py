# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parsers have in common: the text of a file, its statements with their places, and how a file is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from fpmjail_deb.errors import DescriptionError, Problem
from fpmjail_deb.location import Location

LARGEST = 1024 * 1024
"""The most bytes of a configuration file; panels write some of 100 kB."""

DEEPEST = 30
"""The most sections within each other."""


class Kind(Enum):
    """Whose configuration a file is."""

    POOL = "a pool of php-fpm"
    APACHE = "a virtual host of Apache"
    NGINX = "a server block of nginx"


@dataclass(frozen=True, slots=True)
class Node:
    """One statement of a web server's file: its name in small letters, its arguments without quotes, and its text.

    `children` is None for a statement that is no section.
    """

    name: str
    arguments: tuple[str, ...]
    location: Location
    text: str
    children: tuple[Node, ...] | None = None

    @property
    def first(self) -> str:
        """Return the first argument, or nothing."""
        return self.arguments[0] if self.arguments else ""

    @property
    def words(self) -> str:
        """Return the arguments as one text."""
        return " ".join(self.arguments)

    def lines(self, indent: str = "") -> Iterator[str]:
        """Yield the statement as its server reads it."""
        if self.children is None:
            yield f"{indent}{self.text}"
            return
        opening, closing = _brackets(self)
        yield f"{indent}{opening}"
        for child in self.children:
            yield from child.lines(f"{indent}\t")
        yield f"{indent}{closing}"


def _brackets(section: Node) -> tuple[str, str]:
    if section.text.startswith("<"):
        name = re.split(r"[ \t>]", section.text[1:], maxsplit=1)[0]
        return section.text, f"</{name}>"
    return f"{section.text} {{", "}"


def refuse(location: Location, message: str, hint: str = "") -> NoReturn:
    """Raise the DescriptionError of a file that cannot be read."""
    raise DescriptionError([Problem(location, "", message, hint)])


def text_of(data: bytes, file: str) -> str:
    """Return the text of a file; what is no UTF-8 is taken for Latin-1. Raises DescriptionError."""
    if len(data) > LARGEST:
        refuse(Location(file, 1, 1), f"expected at most {LARGEST} bytes, found {len(data)}", "name the site's own file")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        refuse(Location(file, line, 1), "expected text, found a zero byte", "is this a configuration file?")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


_SIGNS = (
    (Kind.APACHE, re.compile(r"^[ \t]*<[ \t]*VirtualHost\b", re.MULTILINE | re.IGNORECASE)),
    (Kind.POOL, re.compile(r"^[ \t]*\[[^\]\n]+\][ \t]*(?:;.*)?$", re.MULTILINE)),
    (Kind.NGINX, re.compile(r"^[^#\n]*\bserver\s*\{", re.MULTILINE)),
)


def kind_of(text: str, file: str) -> Kind:
    """Return whose file it is. Raises DescriptionError for one of nobody we know."""
    for kind, sign in _SIGNS:
        if sign.search(text):
            return kind
    expected = "expected a php-fpm pool ([name]), an Apache <VirtualHost> or an nginx server { }"
    refuse(Location(file, 1, 1), f"{expected}, found none of them", "name the site's own files")
