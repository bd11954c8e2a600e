# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong, as values: a bad site description, or a build that failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fpmjail_deb.location import Location

LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a site description: where, in which key, what was found, and what to do about it.

    `key_path` is empty when the problem is not in one key; `hint` is empty when the message says it all; `section` is
    the one of fpmjail-site(5) that says more, empty where the key itself does, or nothing.
    """

    location: Location
    key_path: str
    message: str
    hint: str = ""
    section: str = ""

    def __str__(self) -> str:
        place = f"{self.location}: {self.key_path}" if self.key_path else f"{self.location}"
        return f"{place}: {self.message}; {self.hint}" if self.hint else f"{place}: {self.message}"


class FpmjailError(Exception):
    """The root of all errors that this program explains to its user."""


class DescriptionError(FpmjailError):
    """One or more site descriptions cannot be used; `problems` are all of them, sorted by position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class BuildError(FpmjailError):
    """A package could not be made from a good description: what failed, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}; {hint}" if hint else message)


class OutputError(BuildError):
    """Packages cannot be written at all, whichever they are: a full disk, a directory of somebody else's."""


class UsageError(FpmjailError):
    """The command line asks for something that cannot be done: what, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)


def printable(text: str) -> str:
    """Return text on one line, with escapes for everything that a terminal would not show as it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quote(text: str) -> str:
    """Return text as messages show it: printable, in quotes, cut when long."""
    shown = text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
    return f'"{printable(shown)}"'
