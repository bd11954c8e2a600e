# SPDX-License-Identifier: GPL-2.0-or-later
"""Capability definitions: the runtime's own, and an administrator's with all his mistakes."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail.capability import Rule, load
from fpmjail.layout import Layout

SHIPPED = Path(__file__).parents[3] / "hooks/capabilities"
PROBES = Path(__file__).parents[3] / "hooks/probes"


def define(directory: Path, file: str, /, **fields: Any) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{file}.json").write_text(json.dumps({"format": 1, "name": file, "rules": [], **fields}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    define(layout.capabilities, "tls", rules=[{"files": ["/etc/ssl/x"], "package": "openssl"}], probe="tls.php")
    return layout


def problems(layout: Layout) -> str:
    return "\n".join(map(str, load(layout).problems))


def test_everything_that_is_shipped_is_sound(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    shutil.copytree(SHIPPED, layout.capabilities)
    definitions = load(layout)
    names = sorted(path.stem for path in SHIPPED.glob("*.json"))
    assert {"php", "timezones", "charsets", "dns", "tls", "locale-c", "services", "sessions", "uploads"} <= set(names)
    assert (sorted(definitions.capabilities), definitions.problems) == (names, ())
    for capability in definitions.capabilities.values():
        assert capability.summary
        assert capability.probe and (PROBES / capability.probe).is_file()


def test_a_server_without_definitions_has_none(tmp_path: Path) -> None:
    assert (load(Layout(tmp_path)).capabilities, load(Layout(tmp_path)).problems) == ({}, ())


def test_a_definition_is_read(layout: Layout) -> None:
    tls = load(layout).capabilities["tls"]
    assert tls.rules == (Rule("files", ("/etc/ssl/x",), package="openssl"),)
    assert tls.probe == "tls.php"


def test_an_administrator_adds_rules(layout: Layout) -> None:
    define(layout.admin_capabilities, "tls", rules=[{"objects": ["/opt/a.so"], "optional": True}])
    definitions = load(layout)
    assert [rule.kind for rule in definitions.capabilities["tls"].rules] == ["files", "objects"]
    assert definitions.capabilities["tls"].probe == "tls.php"


def test_an_administrator_replaces_rules(layout: Layout) -> None:
    define(layout.admin_capabilities, "tls", rules=[{"files": ["/opt/x"]}], replace=True)
    assert load(layout).capabilities["tls"].rules == (Rule("files", ("/opt/x",)),)


def test_an_administrators_mistake_is_named_and_changes_nothing_else(layout: Layout) -> None:
    define(layout.admin_capabilities, "mine", rules=[{"files": ["/opt/x"]}])
    (layout.admin_capabilities / "broken.json").write_text("{ not json")
    definitions = load(layout)
    assert sorted(definitions.capabilities) == ["mine", "tls"]
    assert len(definitions.problems) == 1
    assert str(definitions.problems[0]).startswith(f"{layout.admin_capabilities}/broken.json: is not JSON")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": 2}, "`format` must be 1"),
        ({"name": "../x"}, "`name` must be a word"),
        ({"surprise": 1}, "`surprise` is not known"),
        ({"probe": "../x.php"}, "`probe` must be"),
        ({"releases": []}, "`releases` must be an object"),
        ({"rules": {}}, "`rules` must be a list"),
        ({"rules": [1]}, r"rules\[0\] must be an object"),
        ({"rules": [{}]}, r"rules\[0\] must have exactly one of"),
        ({"rules": [{"files": ["/a"], "objects": ["/b"]}]}, "exactly one of"),
        ({"rules": [{"files": ["/a"], "surprise": 1}]}, "`surprise` is not known"),
        ({"rules": [{"files": "/a"}]}, r"rules\[0\].files must be a list of absolute paths"),
        ({"rules": [{"files": ["relative"]}]}, "absolute paths"),
        ({"rules": [{"files": ["/a/../b"]}]}, "absolute paths"),
        ({"rules": [{"files": ["/a"], "exclude": [1]}]}, r"rules\[0\].exclude must be"),
        ({"rules": [{"files": ["/a"], "package": 1}]}, "`package` must be a string"),
        ({"rules": [{"files": ["/a"], "optional": "yes"}]}, "`optional` true or false"),
        ({"rules": [{"links": {"/a": None}}]}, "every value must be a string"),
        ({"rules": [{"links": ["/a"]}]}, "an object whose keys are absolute"),
        ({"rules": [{"live": {"/a": 1}}]}, "every value must be a string or null"),
        ({"rules": [{"php": "8.4"}]}, "php must be true"),
    ],
)
def test_every_mistake_is_named(layout: Layout, fields: dict[str, Any], words: str) -> None:
    define(layout.admin_capabilities, "mine", **fields)
    assert re.search(words, problems(layout))
    assert list(load(layout).capabilities) == ["tls"]


def test_the_runtime_does_not_define_a_capability_twice(layout: Layout) -> None:
    define(layout.capabilities, "tls2", name="tls")
    assert "`tls` is defined twice" in problems(layout)


def test_a_release_has_rules_of_its_own(layout: Layout) -> None:
    define(layout.capabilities, "dns", rules=[{"files": ["/a"]}], releases={"bookworm": [{"files": ["/b"]}]})
    (layout.root / "etc").mkdir(exist_ok=True)
    (layout.root / "etc/os-release").write_text('NAME=x\nVERSION_CODENAME="bookworm"\n')
    assert load(layout).capabilities["dns"].rules[0].patterns == ("/b",)
    assert load(layout, "trixie").capabilities["dns"].rules[0].patterns == ("/a",)


def test_a_server_without_os_release_has_no_release(layout: Layout) -> None:
    define(layout.capabilities, "dns", rules=[{"files": ["/a"]}], releases={"bookworm": [{"files": ["/b"]}]})
    assert load(layout).capabilities["dns"].rules[0].patterns == ("/a",)


def test_what_was_read_is_told(layout: Layout) -> None:
    define(layout.admin_capabilities, "mine")
    sources = load(layout).sources
    assert layout.admin_capabilities / "mine.json" in sources
    assert layout.admin_capabilities in sources
    assert layout.host("/etc/os-release") in sources


@given(st.binary(max_size=80) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_content_stops_the_others(content: bytes | str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        layout = Layout(Path(directory))
        define(layout.capabilities, "tls")
        layout.admin_capabilities.mkdir(parents=True)
        path = layout.admin_capabilities / "x.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        definitions = load(layout)
        assert list(definitions.capabilities) == ["tls"]
        assert len(definitions.problems) == 1
