# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of an Apache configuration file -> nested statements, as Apache reads them (server/config.c).

Nothing that another file holds is looked up: Include is a statement like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fpmjail_deb.errors import DescriptionError, Problem, quote
from fpmjail_deb.importing.source import DEEPEST, Node
from fpmjail_deb.location import Location

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:-]*")
_DEFINED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(slots=True)
class _Open:
    """A section whose end has not come yet."""

    text: str
    name: str
    arguments: tuple[str, ...]
    location: Location
    children: list[Node] = field(default_factory=list)


def read_apache_file(text: str, file: str) -> tuple[Node, ...]:
    """Return the statements of a file. Raises DescriptionError with all problems."""
    problems: list[Problem] = []
    stack = [_Open("", "", (), Location(file, 1, 1))]
    defined: dict[str, str] = {}
    for number, line in _logical_lines(text):
        location = Location(file, number, 1)
        try:
            _take(_DEFINED.sub(lambda found: defined.get(found[1], found[0]), line), location, stack)
        except DescriptionError as error:
            problems += error.problems
        last = stack[-1].children[-1] if stack[-1].children else None
        if last and last.name == "define" and len(last.arguments) == 2:
            defined[last.first] = last.arguments[1]
    for left in stack[1:]:
        problems.append(Problem(left.location, "", f"{quote(left.text)} is never closed", f"add </{left.name}>"))
    if problems:
        raise DescriptionError(problems)
    return tuple(stack[0].children)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; a backslash at the end joins the next one, in comments too."""
    held, begun = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        begun = begun or number
        if line.endswith("\\"):
            held += line[:-1]
            continue
        whole, place = (held + line).strip(), begun
        held, begun = "", 0
        if whole and not whole.startswith("#"):
            yield place, whole
    if held.strip() and not held.strip().startswith("#"):
        yield begun, held.strip()


def _take(line: str, location: Location, stack: list[_Open]) -> None:
    if line.startswith("</"):
        _close(line, location, stack)
    elif line.startswith("<"):
        _open(line, location, stack)
    else:
        name, arguments = _split(line, location)
        stack[-1].children.append(Node(name, arguments, location, line))


def _open(line: str, location: Location, stack: list[_Open]) -> None:
    if not line.endswith(">"):
        raise _wrong(location, f"expected a > at the end of {quote(line)}")
    if len(stack) > DEEPEST:
        raise _wrong(location, f"expected at most {DEEPEST} sections within each other")
    name, arguments = _split(line[1:-1].strip(), location)
    stack.append(_Open(line, name, arguments, location))


def _close(line: str, location: Location, stack: list[_Open]) -> None:
    name = line[2:].rstrip(">").strip().lower()
    if len(stack) == 1 or stack[-1].name != name:
        found = f"the section that is open is {quote(stack[-1].text)}" if len(stack) > 1 else "no section is open"
        raise _wrong(location, f"{quote(line)} closes nothing: {found}")
    done = stack.pop()
    stack[-1].children.append(Node(done.name, done.arguments, done.location, done.text, tuple(done.children)))


def _split(line: str, location: Location) -> tuple[str, tuple[str, ...]]:
    found = _NAME.match(line)
    if not found:
        raise _wrong(location, f"expected a directive, found {quote(line)}")
    return found[0].lower(), tuple(_words(line[found.end() :], location))


def _words(text: str, location: Location) -> Iterator[str]:
    """Yield the arguments; in quotes a backslash hides the quote and itself."""
    rest = text.strip()
    while rest:
        if rest[0] not in "\"'":
            word, _, rest = re.sub(r"\s", " ", rest).partition(" ")
            yield word
        else:
            end = re.match(rf"{rest[0]}((?:[^{rest[0]}\\]|\\.)*){rest[0]}", rest, re.DOTALL)
            if not end:
                raise _wrong(location, f"the quote in {quote(rest)} is never closed")
            yield re.sub(rf"\\([{rest[0]}\\])", r"\1", end[1])
            rest = rest[end.end() :]
        rest = rest.strip()


def _wrong(location: Location, message: str) -> DescriptionError:
    return DescriptionError([Problem(location, "", message, "try apache2ctl -t on the server")])
