# SPDX-License-Identifier: MIT
"""Capability definitions: what a jail must hold so that something works in it. Data, not code.

A definition is a JSON object: `format` 1, `name`, `summary`, `rules`, and optionally `probe` (the script that checks
it), `releases` (rules per release that replace `rules`) and, in an administrator's file, `replace`: true puts the
runtime's rules of that name aside; without it the rules are added to them.

A rule has one of these keys, and optionally `package` (named when something is missing), `optional` and `exclude`:
`files`, `programs`, `objects`, `directories`: lists of patterns; `links`: path to target; `live`: path to the content
that stands in for a missing file, or null; `named`: path of a text to a regular expression whose one group is the
path of a file that the text names; `php`, `charsets`, `locales`, `timezones`, `declared-programs`: true. `{php}` and
`{multiarch}` are filled in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail.layout import Layout
from fpmjail.release import codename as codename_of

if TYPE_CHECKING:
    from fpmjail.program import Known

FORMAT = 1
_PATTERNS = ("files", "programs", "objects", "directories")
_TABLES = ("links", "live", "named")
_FLAGS = ("php", "charsets", "locales", "timezones", "declared-programs")
_RULE_KEYS = frozenset((*_PATTERNS, *_TABLES, *_FLAGS, "package", "optional", "exclude"))
_KEYS = frozenset(("format", "name", "summary", "rules", "releases", "probe", "replace"))


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to find on the host. `kind` is its key in the file; `table` is for links, live and named files."""

    kind: str
    patterns: tuple[str, ...] = ()
    table: tuple[tuple[str, str | None], ...] = ()
    exclude: tuple[str, ...] = ()
    package: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Capability:
    """One definition, with the rules for this release. `probe` is a file name below the probes."""

    name: str
    summary: str
    rules: tuple[Rule, ...]
    probe: str | None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A definition that is ignored, and why."""

    source: Path
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}; the file is ignored"


@dataclass(frozen=True, slots=True)
class Definitions:
    """All capabilities and what is known of programs, by name; the problems met, and the files and directories that
    were read."""

    capabilities: Mapping[str, Capability]
    problems: tuple[Problem, ...]
    sources: tuple[Path, ...]
    programs: Mapping[str, Known] = field(default_factory=dict)


class Wrong(Exception):
    """A definition does not follow the rules above; the text says how."""


def load(layout: Layout, release: str | None = None) -> Definitions:
    """The runtime's definitions with the administrator's; a broken file is a Problem and changes nothing else."""
    codename = release or codename_of(layout)
    capabilities: dict[str, Capability] = {}
    problems: list[Problem] = []
    sources: list[Path] = [layout.host("/etc/os-release")]
    for directory in (layout.capabilities, layout.admin_capabilities):
        sources.append(directory)
        for path in sorted(directory.glob("*.json")):
            sources.append(path)
            try:
                _merge(capabilities, parse(path.read_bytes(), codename), directory == layout.admin_capabilities)
            except (Wrong, OSError) as error:
                problems.append(Problem(path, str(error)))
    from fpmjail import program

    programs, more, places = program.load(layout, codename)
    return Definitions(capabilities, (*problems, *more), (*sources, *places), programs)


def _merge(capabilities: dict[str, Capability], new: Capability, administrator: bool) -> None:
    old = capabilities.get(new.name)
    if old is None or (administrator and new.replaces):
        capabilities[new.name] = new
    elif administrator:
        capabilities[new.name] = replace(old, rules=old.rules + new.rules, probe=new.probe or old.probe)
    else:
        raise Wrong(f"`{new.name}` is defined twice")


def parse(content: bytes, release: str) -> Capability:
    """One definition for one release. Raises an exception whose text names what is wrong."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Wrong("must be an object")
    if value.get("format") != FORMAT:
        raise Wrong(f"`format` must be {FORMAT}")
    _refuse_unknown(value, _KEYS, "")
    name, probe = value.get("name"), value.get("probe")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name):
        raise Wrong("`name` must be a word in lower case")
    if probe is not None and not (isinstance(probe, str) and re.fullmatch(r"[a-z0-9-]+\.php", probe)):
        raise Wrong("`probe` must be the name of a .php file")
    releases = value.get("releases", {})
    if not isinstance(releases, dict):
        raise Wrong("`releases` must be an object")
    rules = releases.get(release, value.get("rules", []))
    return Capability(name, str(value.get("summary", "")), _rules(rules), probe, value.get("replace") is True)


def _refuse_unknown(value: dict[str, object], known: frozenset[str], where: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise Wrong(f"{where}`{unknown[0]}` is not known")


def _rules(value: object) -> tuple[Rule, ...]:
    if not isinstance(value, list):
        raise Wrong("`rules` must be a list")
    return tuple(_rule(rule, f"rules[{index}]") for index, rule in enumerate(value))


def _rule(value: object, where: str) -> Rule:
    if not isinstance(value, dict):
        raise Wrong(f"{where} must be an object")
    _refuse_unknown(value, _RULE_KEYS, f"{where}.")
    kinds = [kind for kind in (*_PATTERNS, *_TABLES, *_FLAGS) if kind in value]
    if len(kinds) != 1:
        raise Wrong(f"{where} must have exactly one of {', '.join((*_PATTERNS, *_TABLES, *_FLAGS))}")
    kind = kinds[0]
    if kind in _FLAGS and value[kind] is not True:
        raise Wrong(f"{where}.{kind} must be true")
    package, optional = value.get("package", ""), value.get("optional", False)
    if not isinstance(package, str) or not isinstance(optional, bool):
        raise Wrong(f"{where}: `package` must be a string, `optional` true or false")
    if kind == "named":
        _expressions(value[kind], f"{where}.{kind}")
    return Rule(
        kind,
        _patterns(value[kind], f"{where}.{kind}") if kind in _PATTERNS else (),
        _table(value[kind], f"{where}.{kind}", kind == "live") if kind in _TABLES else (),
        _patterns(value.get("exclude", []), f"{where}.exclude"),
        package,
        optional,
    )


def _patterns(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_path(item) for item in value):
        raise Wrong(f"{where} must be a list of absolute paths without `..`")
    return tuple(value)


def _table(value: object, where: str, empty: bool) -> tuple[tuple[str, str | None], ...]:
    if not isinstance(value, dict) or not all(_is_path(key) for key in value):
        raise Wrong(f"{where} must be an object whose keys are absolute paths without `..`")
    if not all(isinstance(item, str) or (empty and item is None) for item in value.values()):
        raise Wrong(f"{where}: every value must be a string{' or null' if empty else ''}")
    return tuple(sorted(value.items()))


def _expressions(value: object, where: str) -> None:
    for text in value.values() if isinstance(value, dict) else ():
        try:
            groups = re.compile(text).groups if isinstance(text, str) else 1
        except (re.error, RecursionError, OverflowError) as error:
            raise Wrong(f"{where}: `{text[:80]}` is no regular expression: {error}") from None
        if groups != 1:
            raise Wrong(f"{where}: `{text[:80]}` must have exactly one group")


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/") and ".." not in value.split("/") and "\0" not in value
