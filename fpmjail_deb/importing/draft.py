# SPDX-License-Identifier: GPL-2.0-or-later
"""A site description while it is being found: values with where they come from, and what no key can say.

Every value is tried with the rule of its key at once, so that none stands in the result that `check` would refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from fpmjail_deb import document
from fpmjail_deb.errors import DescriptionError, printable
from fpmjail_deb.importing.source import Node
from fpmjail_deb.location import Location
from fpmjail_deb.rules import MapRule, Reading, UnreadError
from fpmjail_deb.schema import BY_PATH

Path = tuple[str, ...]
"""The keys that lead to a value, the outermost first; the last one may be the name of a setting."""

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@+-]*")
_WORDS_OF_YAML = ("null", "~", "true", "false", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True, slots=True)
class Value:
    """A value as YAML has it; `location` is None if no file said it, `why` then says where it comes from."""

    text: str
    location: Location | None = None
    why: str = ""

    @property
    def remark(self) -> str:
        """Return what the comment behind the value says."""
        place = f"{self.location.file}:{self.location.line}" if self.location else ""
        return ", ".join(part for part in (place, self.why) if part)


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """What a description cannot say: what was found where, what to do about it, and lines for the server's drop-in."""

    location: Location
    found: str
    advice: str
    drop_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """From where to where the site's files go; `old` is empty while nobody knows."""

    old: str
    new: str

    def of(self, text: str) -> str:
        """Return a text with the paths as they will be."""
        return re.sub(rf"(?<![\w./-]){re.escape(self.old)}(?![\w.-])", self.new, text) if self.old else text


@dataclass(slots=True)
class Draft:
    """What was found so far; the first to say a value is right."""

    name: str
    move: Move = Move("", "")
    values: dict[Path, Value] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def give(self, key: str, text: str, location: Location | None, why: str = "") -> None:
        """Set a key to a text of one line, or to the text of a flow sequence that `flow` made."""
        self._set(tuple(key.split(".")), key, text, Value(text, location, why))

    def put(self, key: str, name: str, text: str, location: Location, why: str = "") -> None:
        """Set an entry of a group whose names are free: a PHP setting, a variable, a header."""
        new = scalar(self.move.of(text))
        why = ", ".join(part for part in (why, "moved" if new != scalar(text) else "") if part)
        self._set((*key.split("."), name), key, f"{{{scalar(name)}: {new}}}", Value(new, location, why))

    def _set(self, path: Path, key: str, tried: str, value: Value) -> None:
        reason = refusal(key, tried)
        if reason and value.location:
            label = path[-1] if isinstance(BY_PATH[key].rule, MapRule) else key
            self.remark(value.location, f"{label}: {printable(value.text)}", reason)
        if reason or path in self.values:
            return
        self.values[path] = value

    def remark(self, location: Location, found: str, advice: str, drop_in: Iterable[str] = ()) -> None:
        """Note something that no key can say; the same statement twice is one remark."""
        remark = Remark(location, printable(found), printable(advice), tuple(self.move.of(line) for line in drop_in))
        known = {(replace(one, location=location)) for one in self.remarks}
        if remark not in known:
            self.remarks.append(remark)

    def carry(self, node: Node, advice: str = "no key says this") -> None:
        """Note a statement that the web server's drop-in can keep."""
        self.remark(node.location, node.text, advice, node.lines())


def refusal(key: str, text: str) -> str:
    """Return why the rule of a key does not take a value, or nothing."""
    reading = Reading()
    try:
        read = document.read(f"value: {text}".encode(), "")
        reading.problems += read.problems
        [(_, node)] = read.root.entries
        BY_PATH[key].rule.read(node, key, reading)
    except UnreadError:
        pass
    except DescriptionError as error:
        reading.problems += error.problems
    if not reading.problems:
        return ""
    problem = reading.problems[0]
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def scalar(text: str) -> str:
    """Return a text as one YAML value."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def flow(texts: Iterable[str]) -> str:
    """Return texts as a YAML list on one line."""
    return f"[{', '.join(scalar(text) for text in texts)}]"
