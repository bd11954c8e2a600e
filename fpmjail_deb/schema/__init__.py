# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of all keys of a site description.

One row says everything about a key: its rule, its default as one would write it, what it means, an example. Reading,
"did you mean", the JSON Schema, the starter file and the table in fpmjail-site(5) all come from here. Rows stand in the
modules `*_keys`, one for each group of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fpmjail_deb.schema import jail_keys, php_keys, site_keys, web_keys
from fpmjail_deb.schema.field import Field

FIELDS: tuple[Field[Any], ...] = (
    *site_keys.FIRST,
    *php_keys.KEYS,
    *web_keys.KEYS,
    *jail_keys.KEYS,
    *site_keys.LAST,
)
"""All rows, in the order in which they are explained."""


def _children() -> dict[str, tuple[str, ...]]:
    groups: dict[str, dict[str, None]] = {"": {}}
    for row in FIELDS:
        parts = row.path.split(".")
        for depth, part in enumerate(parts):
            groups.setdefault(".".join(parts[:depth]), {})[part] = None
    return {path: tuple(keys) for path, keys in groups.items()}


BY_PATH: Mapping[str, Field[Any]] = MappingProxyType({row.path: row for row in FIELDS})
OF_ONE_SITE = ("site", "domains", "aliases", "user", "uid")
"""Keys that two sites can never have in common."""

CHILDREN: Mapping[str, tuple[str, ...]] = MappingProxyType(_children())
"""The keys of each group; the path of the whole file is empty. `web.tls` is a group and a key at once."""
