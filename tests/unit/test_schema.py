# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of keys: complete, true to itself, and the same for people and for editors."""

import json

import pytest

from fpmjail_deb import schema
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import jail_keys, php_keys, site_keys, web_keys
from fpmjail_deb.schema.field import Field
from fpmjail_deb.schema.json_schema import json_schema
from fpmjail_deb.schema.markdown import markdown
from fpmjail_deb.values import written

FIELDS = pytest.mark.parametrize("row", schema.FIELDS, ids=lambda row: row.path)


def test_every_row_is_in_the_table_once() -> None:
    modules = (site_keys, php_keys, web_keys, jail_keys)
    rows = [value for module in modules for value in vars(module).values() if isinstance(value, Field)]
    assert sorted(rows, key=id) == sorted(schema.FIELDS, key=id)
    assert len(schema.BY_PATH) == len(rows)


@FIELDS
def test_default_and_example_keep_the_rule_of_their_key(row: Field[object]) -> None:
    reading = Reading()
    for text in (row.default, row.example):
        if text is not None:
            row.rule.read(written(text), row.path, reading)
    assert reading.problems == []


@FIELDS
def test_a_row_says_what_holds_without_the_key(row: Field[object]) -> None:
    assert sum((row.required, row.default is not None, bool(row.otherwise))) == 1


@FIELDS
def test_a_row_explains_itself_in_whole_sentences(row: Field[object]) -> None:
    assert row.doc[0].isupper() or row.doc[0] == "`"
    assert row.doc.endswith(".")
    assert not row.rule.expected.endswith(".")


@FIELDS
def test_the_schema_for_editors_has_every_key(row: Field[object]) -> None:
    found: dict[str, object] = json_schema()
    for part in row.path.split("."):
        group = next((kind for kind in found.get("anyOf", []) if "properties" in kind), found)  # type: ignore[attr-defined]
        found = group["properties"][part]  # type: ignore[index]
    assert found["description"] == row.doc


def test_the_schema_for_editors_is_json_and_knows_no_other_keys() -> None:
    found = json.loads(json.dumps(json_schema()))
    assert found["additionalProperties"] is False
    assert found["required"] == ["site", "domains"]  # the maintainer may stand in defaults.yaml
    assert found["properties"]["php"]["properties"]["pool"]["properties"]["max_children"] == {
        "description": "How many requests PHP answers at the same time.",
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 8,
        "examples": [20],
    }


def test_the_schema_of_defaults_requires_nothing_and_has_no_key_of_one_site() -> None:
    found = json.loads(json.dumps(json_schema(defaults=True)))
    assert found["required"] == []
    assert not set(schema.OF_ONE_SITE) & set(found["properties"])
    assert set(found["properties"]) == set(json_schema()["properties"]) - set(schema.OF_ONE_SITE)  # type: ignore[call-overload]


@FIELDS
def test_the_manual_explains_every_key(row: Field[object]) -> None:
    assert f"**{row.path}**\n:   {row.doc}\n" in markdown()


def test_the_manual_tells_value_default_and_example() -> None:
    said = "    Value: a time such as 30s, 5m or 1h, from 1s to 86400s. Default: `60s`. Example: `idle_timeout: 5m`"
    assert said in markdown().splitlines()
    assert "Default: \\_site-NAME." in markdown()
