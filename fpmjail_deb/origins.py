# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells which line of the site description a generated line comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePath

from fpmjail_deb.location import Location
from fpmjail_deb.site import Site

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origins:
    """The places of the given fields by key path. Files are named as seen from the description, defaults as
    `../defaults.yaml`: a package must not tell or depend on where it was built."""

    source: str
    places: tuple[tuple[str, Location], ...]

    def place(self, key: str) -> str:
        """Return `file:line` of a field, of its first part, or of what holds it; `default` if it was not given."""
        found = dict(self.places)
        if key in found:
            return _line(found[key])
        parts = [place for other, place in self.places if other.startswith((f"{key}.", f"{key}["))]
        if parts:
            return _line(min(parts))
        holder = _holder(key)
        return _line(found[holder]) if holder in found else DEFAULT

    def note(self, *keys: str) -> str:
        """Return what a comment above a generated part says of its fields."""
        return ", ".join(f"{inert(key)}: {self.place(key)}" for key in keys)

    def table(self) -> dict[str, str]:
        """Return `file:line:column` of every given field, for site.json."""
        return {inert(key): f"{inert(place.file)}:{place.line}:{place.column}" for key, place in sorted(self.places)}


def origins(site: Site) -> Origins:
    """Return the origins of a site's fields; `source` is the name of the file that it was described in."""
    files = [place.file for key, place in site.origins if key == "site"] or [place.file for _, place in site.origins]
    if not files:
        return Origins(f"{site.name}.yaml", ())
    source = min(files)
    places = ((key, replace(place, file=_as_seen_from(source, place.file))) for key, place in site.origins)
    return Origins(inert(PurePath(source).name), tuple(places))


def inert(text: str) -> str:
    """Return text that ends no comment: one line, no backslash that would join the next line to it."""
    return _joined("?" if not character.isprintable() or character == "\\" else character for character in text)


def _joined(characters: Iterable[str]) -> str:
    return "".join(characters)


def _line(place: Location) -> str:
    return f"{inert(place.file)}:{place.line}"


def _as_seen_from(source: str, file: str) -> str:
    """Return the way from the directory of one file to another; both are relative to the same place, or absolute."""
    start, way = PurePath(source).parent.parts, PurePath(file).parts
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(start, way, strict=False)))
    return str(PurePath(*[".."] * (len(start) - common), *way[common:]))


def _holder(key: str) -> str:
    """Return the key path one step up: `web.tls` of `web.tls.key`, `domains` of `domains[1]`."""
    return key[: max(key.rfind("."), key.rfind("["))] if "." in key or "[" in key else key
