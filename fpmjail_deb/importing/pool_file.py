# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of a php-fpm configuration file -> its sections, as PHP's ini scanner reads them (zend_ini_scanner.l)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fpmjail_deb.errors import DescriptionError, Problem, quote
from fpmjail_deb.location import Location

_SECTION = re.compile(r"\[([^\]]+)\]\s*(?:;.*)?")
_ENTRY = re.compile(r"([^=\[\];\"']+?)\s*(?:\[([^\]]*)\])?\s*=\s*(.*)")
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([^"\';]+)|(;.*)|(["\'])', re.DOTALL)
_ON = ("on", "yes", "true")
_OFF = ("off", "no", "false", "none", "null")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `key` or `key[name]`, and its value without quotes; `name` is empty where there is none."""

    key: str
    name: str
    value: str
    location: Location

    @property
    def label(self) -> str:
        """Return the key as it stands in the file."""
        return f"{self.key}[{self.name}]" if self.name else self.key


@dataclass(frozen=True, slots=True)
class Section:
    """A pool, or [global]."""

    name: str
    location: Location
    entries: tuple[Entry, ...]


def read_pool_file(text: str, file: str) -> tuple[Section, ...]:
    """Return the sections; lines before the first belong to [global]. Raises DescriptionError with all problems."""
    problems: list[Problem] = []
    sections: list[tuple[str, Location, list[Entry]]] = [("global", Location(file, 1, 1), [])]
    for number, line in _logical_lines(text):
        location = Location(file, number, 1)
        opened = _SECTION.fullmatch(line)
        if opened:
            sections.append((opened[1].strip(), location, []))
            continue
        try:
            sections[-1][2].append(_entry(line, location))
        except DescriptionError as error:
            problems += error.problems
    if problems:
        raise DescriptionError(problems)
    return tuple(Section(name, location, tuple(entries)) for name, location, entries in sections)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something with their numbers; text in double quotes goes on until they close."""
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        whole = line.strip()
        if not whole or whole[0] in ";#":
            continue
        while _open_quote(whole):
            following = next(lines, None)
            if following is None:
                break
            whole += f"\n{following[1]}"
        yield number, whole


def _open_quote(line: str) -> bool:
    return "=" in line and any(piece[5] == '"' for piece in _PIECE.finditer(line.partition("=")[2].lstrip()))


def _entry(line: str, location: Location) -> Entry:
    found = _ENTRY.fullmatch(line) or re.fullmatch(_ENTRY.pattern, line, re.DOTALL)
    if not found:
        raise _wrong(location, f"expected key = value, found {quote(line)}", "a comment begins with ;")
    key, name, value = found[1].strip(), (found[2] or "").strip(), found[3]
    return Entry(key, name, _value(value, location), location)


def _value(text: str, location: Location) -> str:
    if text.strip().lower() in _OFF + _ON:
        return text.strip()
    parts: list[str] = []
    for piece in _PIECE.finditer(text):
        double, single, bare, _, stray = piece.groups()
        if stray:
            raise _wrong(location, f"expected a closing {stray}", "put the value in quotes")
        if double is not None:
            parts.append(re.sub(r"\\([\"\\'])", r"\1", double))
        else:
            parts.append(single if single is not None else bare or "")
    return "".join(parts).strip()


def _wrong(location: Location, message: str, hint: str) -> DescriptionError:
    return DescriptionError([Problem(location, "", message, hint)])


def is_on(value: str) -> bool:
    """Whether PHP takes a value for true."""
    return value.lower() in _ON or bool(re.fullmatch(r"[1-9][0-9]*", value))
