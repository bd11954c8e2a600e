# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules for what a jail holds: names that only the server can look up are checked for their form here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic

from fpmjail_deb.document import Node, Scalar
from fpmjail_deb.rules import ListRule, Reading, ScalarRule, T, suggest, without, word

_TIME_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z][A-Za-z0-9_+-]*){0,2}")
_LOCALE = re.compile(r"[a-z]{2,3}(?:_[A-Z]{2})?\.[A-Z][A-Za-z0-9_-]*(?:@[a-z]+)?")
_CAPABILITY = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True, slots=True)
class AllOr(Generic[T]):
    """The word `all`, which is read as None, or a list."""

    items: ListRule[T]

    @property
    def expected(self) -> str:
        return f"all, or {self.items.expected}"

    def read(self, node: Node, path: str, reading: Reading) -> tuple[T, ...] | None:
        if isinstance(node, Scalar) and node.text == "all":
            return None
        return self.items.read(node, path, reading)

    def json_schema(self) -> dict[str, object]:
        return {"anyOf": [{"const": "all"}, self.items.json_schema()]}


def time_zone() -> ScalarRule[str]:
    """A name of the time zone database."""
    return word("a time zone such as Europe/Paris", _TIME_ZONE, lambda text: "write it as in /usr/share/zoneinfo")


def locale() -> ScalarRule[str]:
    """A locale with its character set, so that nobody gets Latin-1 for want of three letters."""

    def hint(text: str) -> str:
        if text.upper().replace("-", "") in ("C", "POSIX", "C.UTF8"):
            return "every jail has it: leave it out"
        found = re.fullmatch(r"([A-Za-z]{2,3})[_-]([A-Za-z]{2})(?:\.utf-?8)?(@[a-z]+)?", text, re.IGNORECASE)
        return f'did you mean "{found[1].lower()}_{found[2].upper()}.UTF-8{found[3] or ""}"?' if found else ""

    return word("a locale with its character set such as fr_FR.UTF-8", _LOCALE, hint)


def capability(ours: Collection[str], elsewhere: Mapping[str, str]) -> ScalarRule[str]:
    """A capability of ours or of an administrator; what is said elsewhere is refused with where."""

    def hint(text: str) -> str:
        return suggest(text.lower(), ours) or "use a-z, 0-9 and dash, as in the name of its file on the server"

    expected = f"one of {', '.join(sorted(ours))}, or the name of an administrator's own"
    return without(word(expected, _CAPABILITY, hint), elsewhere)
