# SPDX-License-Identifier: GPL-2.0-or-later
"""The table as JSON Schema, for editors."""

from __future__ import annotations

import yaml

from fpmjail_deb.document import join
from fpmjail_deb.schema import BY_PATH, CHILDREN, OF_ONE_SITE


def json_schema(defaults: bool = False) -> dict[str, object]:
    """Return the table as JSON Schema, for editors: most of the rules, none of the advice.

    With `defaults` that of a defaults.yaml, where no key is required and those of one site only are unknown.
    """
    site = _group_schema("")
    shared = [key for key in CHILDREN[""] if key not in OF_ONE_SITE]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What PHP websites have in common, for fpmjail-deb" if defaults else "A PHP website, for fpmjail-deb",
        **({**site, "required": [], "properties": {key: _key_schema(key) for key in shared}} if defaults else site),
    }


def _group_schema(path: str) -> dict[str, object]:
    keys = CHILDREN[path]
    schema: dict[str, object] = {
        "type": ["object", "null"] if path else "object",
        "additionalProperties": False,
        "properties": {key: _key_schema(join(path, key)) for key in keys},
    }
    # What several sites can have in common may stand in their defaults.
    required = [key for key in OF_ONE_SITE if BY_PATH[key].required] if not path else []
    return {**schema, "required": required} if required else schema


def _key_schema(path: str) -> dict[str, object]:
    if path not in BY_PATH:
        return _group_schema(path)
    row = BY_PATH[path]
    schema = row.rule.json_schema()
    if path in CHILDREN:
        schema = {"anyOf": [schema, _group_schema(path)]}
    default = {} if row.default is None else {"default": yaml.safe_load(row.default)}
    return {"description": row.doc, **schema, **default, "examples": [yaml.safe_load(row.example)]}
