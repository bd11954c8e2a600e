# SPDX-License-Identifier: GPL-2.0-or-later
"""A site description above its defaults: nodes in, one tree of nodes out, each node still with its own place."""

from __future__ import annotations

from collections.abc import Iterable

from fpmjail_deb.document import Mapping, Node, Scalar, join
from fpmjail_deb.errors import Problem
from fpmjail_deb.rules import MapRule
from fpmjail_deb.schema import BY_PATH, OF_ONE_SITE

FILE_NAMES = ("defaults.yaml", "defaults.yml")
"""What a file of defaults is called; it holds for the descriptions of its directory and of all below it."""

SECTION = "DEFAULTS"
"""Where fpmjail-site(5) tells of them."""

NOTHING = ("~", "null", "Null", "NULL")


def layered(layers: Iterable[Mapping]) -> Mapping:
    """Return the layers as one, the widest defaults first and the description last.

    Groups are joined key by key, and so are php.settings, php.env and web.headers, where a `null` takes away what the
    defaults say. Any other value, lists too, stands in place of the one below it.
    """
    below, *others = layers
    for above in others:
        below = _joined(below, above, "")
    return below


def of_one_site(root: Mapping) -> tuple[Problem, ...]:
    """Return a problem for each key of a file of defaults that no two sites can share."""
    hint = "move it to the site's description"
    return tuple(
        Problem(key.location, key.text, "cannot be the same for several sites", hint, SECTION)
        for key, _ in root.entries
        if key.text in OF_ONE_SITE
    )


def shareable(root: Mapping) -> Mapping:
    """Return what a file of defaults gives to its sites."""
    return Mapping(tuple(entry for entry in root.entries if entry[0].text not in OF_ONE_SITE), root.location)


def _joined(below: Mapping, above: Mapping, path: str) -> Mapping:
    entries: dict[str, tuple[Scalar, Node]] = {key.text: (key, value) for key, value in below.entries}
    for key, value in above.entries:
        inherited = entries.get(key.text)
        if inherited and path in BY_PATH and isinstance(BY_PATH[path].rule, MapRule) and _takes_away(value):
            del entries[key.text]
        elif inherited and isinstance(value, Mapping) and isinstance(inherited[1], Mapping):
            entries[key.text] = (key, _joined(inherited[1], value, join(path, key.text)))
        elif not (inherited and isinstance(inherited[1], Mapping) and _says_nothing(value)):
            entries[key.text] = (key, value)
    return Mapping(tuple(entries.values()), above.location)


def _takes_away(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in NOTHING


def _says_nothing(node: Node) -> bool:
    """Whether a group has nothing in it, because all its lines are comments."""
    return isinstance(node, Scalar) and node.missing
