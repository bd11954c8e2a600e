# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes of a description -> the value of every key, each read by the rule of its row in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

from fpmjail_deb import document
from fpmjail_deb.document import Mapping, Node, Refused, Scalar, join
from fpmjail_deb.location import Location
from fpmjail_deb.rules import Reading, T, UnreadError, suggest
from fpmjail_deb.schema import BY_PATH, CHILDREN, FIELDS, site_keys
from fpmjail_deb.schema.field import Field
from fpmjail_deb.site import Isolation


class Values:
    """The values of all keys, typed by their rows of the table; a key that could not be read is missing."""

    def __init__(self, root: Mapping, reading: Reading, *, required: bool) -> None:
        nodes = dict(_keys(root, "", reading))
        self._values: dict[str, object] = {}
        for row in FIELDS:
            if row.required and not required and row.path not in nodes:
                continue
            try:
                self._values[row.path] = _value(row, nodes.get(row.path), root, reading)
            except UnreadError:
                continue

    def __getitem__(self, row: Field[T]) -> T:
        return cast(T, self._values[row.path])

    def have(self, *rows: Field[Any]) -> bool:
        """Whether all of these keys could be read, or have their defaults."""
        return all(row.path in self._values for row in rows)


Check = Callable[[Values, Reading], None]
"""A rule between keys: it tells the reading what is wrong."""


def _keys(group: Mapping, prefix: str, reading: Reading) -> Iterator[tuple[str, Node]]:
    for key, node in group.entries:
        path = join(prefix, key.text)
        if key.text not in CHILDREN[prefix]:
            reading.refuse(key.location, path, "unknown key", _advice(prefix, key.text))
        elif path in CHILDREN and (path not in BY_PATH or isinstance(node, Mapping) or _empty(node)):
            yield from _group(node, path, reading)
        else:
            reading.origins[path] = key.location
            yield path, node


def _group(node: Node, path: str, reading: Reading) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Mapping):
        yield from _keys(node, path, reading)
    elif not isinstance(node, Refused) and not _empty(node):
        message = f"expected a group of keys, found {document.kind(node)}"
        reading.refuse(node.location, path, message, _known_here(path))


def _empty(node: Node) -> bool:
    """Whether a group has nothing in it, because all its lines are comments; it is then as if it were not there."""
    return isinstance(node, Scalar) and node.missing


def _advice(prefix: str, key: str) -> str:
    if join(prefix, key) in BY_PATH:
        return "write each part of it on a line of its own, the next one indented deeper"
    elsewhere = [path for path in (*BY_PATH, *CHILDREN) if path.rpartition(".")[2] == key and path]
    if elsewhere:
        above = elsewhere[0].rpartition(".")[0]
        return f'it belongs below "{above}"' if above else "it belongs in the first column"
    return suggest(key, CHILDREN[prefix]) or _known_here(prefix)


def _known_here(prefix: str) -> str:
    return f"known here: {', '.join(CHILDREN[prefix])}"


def _value(row: Field[T], node: Node | None, root: Mapping, reading: Reading) -> T | None:
    if node is not None:
        return row.rule.read(node, row.path, reading)
    if row.required:
        hint = f"add a line such as `{row.path}: {row.example}`"
        raise reading.refuse(root.location, row.path, f"expected {row.rule.expected}, found nothing", hint)
    if row.default is None:
        return None
    return row.rule.read(written(row.default), row.path, Reading())


@cache
def written(text: str) -> Node:
    """Return the node of a value as it stands in the table."""
    [(_, node)] = document.read(f"value: {text}".encode(), "schema").root.entries
    return node


def place_of(reading: Reading, *rows: Field[Any]) -> Location:
    """Return where the first of these keys that is given stands: the table's defaults alone never are in conflict.

    What stands in the site's own file goes before what stands in a file of defaults.
    """
    places = [reading.origins[row.path] for row in rows if row.path in reading.origins]
    return min(places, key=lambda place: place.file != reading.file)


def is_shared(values: Values) -> bool:
    """Whether the site is to be a pool of Debian's PHP-FPM."""
    return values.have(site_keys.ISOLATION) and values[site_keys.ISOLATION] is Isolation.SHARED
