# SPDX-License-Identifier: GPL-2.0-or-later
"""What the value of a key may be: one rule per kind of value, each with the words for its error message.

The text decides, quoted or not: `8.10` is never 8.1, and "8" is a number where a number is expected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from fpmjail_deb import document, names
from fpmjail_deb.document import Node, Refused, Scalar, join
from fpmjail_deb.errors import Problem, quote
from fpmjail_deb.location import Location

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=Enum)

LONGEST_WORD = 200
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
LEAST_MEMORY = 32  # megabytes: an idle master takes 9 MiB, its first worker as much again

_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?:\*\.)?(?:{_HOST_LABEL}\.)*(?!\d+$){_HOST_LABEL}")
MAIL_ADDRESS = rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_HOST_LABEL}(?:\.{_HOST_LABEL})+"
_MAINTAINER = re.compile(rf"[^<> ](?:[^<>]*[^<> ])? <{MAIL_ADDRESS}>")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*")
_SETTING_NAME = re.compile(r"[a-z_][a-z0-9_.]*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_PATH_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._][A-Za-z0-9._-]*"
HTDOCS = "var/www/[^/]+/htdocs"
"""The document roots that sites have unless they say otherwise, as a pattern."""

_RELATIVE_PATH = rf"{_PATH_PART}(?:/{_PATH_PART})*"
_ABSOLUTE_PATH = re.compile(rf"(?:/{_PATH_PART})+")
_PATH_CHARACTERS = "use a-z, A-Z, 0-9, dot, underscore and dash, and / between directories"


class RejectedError(Exception):
    """A rule does not take a text: what to do, and what to say if "expected ..., found ..." would miss the point."""

    def __init__(self, hint: str = "", message: str = "") -> None:
        self.hint = hint
        self.message = message
        super().__init__(message or hint)


class UnreadError(Exception):
    """A value could not be read; its problem is in the Reading already."""


@dataclass(slots=True)
class Reading:
    """What reading one description, `file`, has found so far."""

    problems: list[Problem] = field(default_factory=list)
    origins: dict[str, Location] = field(default_factory=dict)
    file: str = ""

    def refuse(self, location: Location, path: str, message: str, hint: str = "") -> UnreadError:
        """Note a problem; raise the result where there is no value to go on with."""
        self.problems.append(Problem(location, path, message, hint))
        return UnreadError(message)


class Rule(Protocol[T_co]):
    """What one key takes. `expected` ends the sentence "The value is ..."."""

    @property
    def expected(self) -> str: ...

    def read(self, node: Node, path: str, reading: Reading) -> T_co:
        """Return the value of a node; raises UnreadError once each of its problems is in `reading`."""

    def json_schema(self) -> dict[str, object]:
        """Return the rule as JSON Schema, as far as that can say it."""


@dataclass(frozen=True, slots=True)
class ScalarRule(Generic[T]):
    """One text; `convert` raises RejectedError for a text that it does not take."""

    expected: str
    convert: Callable[[str], T]
    schema: Mapping[str, object]
    if_missing: str = "leave the key out, or give it a value"

    def read(self, node: Node, path: str, reading: Reading) -> T:
        if isinstance(node, Refused):
            raise UnreadError(path)
        expected = f"expected {self.expected}, found {document.kind(node)}"
        if not isinstance(node, Scalar):
            raise reading.refuse(node.location, path, expected)
        if node.missing:
            raise reading.refuse(node.location, path, expected, self.if_missing)
        try:
            return self.convert(node.text)
        except RejectedError as error:
            raise reading.refuse(node.location, path, error.message or expected, error.hint) from None

    def json_schema(self) -> dict[str, object]:
        return dict(self.schema)


@dataclass(frozen=True, slots=True)
class ListRule(Generic[T]):
    """A list in which nothing stands twice."""

    item: Rule[T]
    things: str
    least: int = 0

    @property
    def expected(self) -> str:
        return f"a list of {self.things}"

    def read(self, node: Node, path: str, reading: Reading) -> tuple[T, ...]:
        if isinstance(node, Refused):
            raise UnreadError(path)
        if not isinstance(node, document.Sequence):
            hint = f"write [{node.text}]" if isinstance(node, Scalar) and not node.missing else "write [] for none"
            raise reading.refuse(node.location, path, f"expected {self.expected}, found {document.kind(node)}", hint)
        if len(node.items) < self.least:
            raise reading.refuse(node.location, path, f"expected {self.expected}, found an empty one", "add the first")
        return self._items(node.items, path, reading)

    def _items(self, nodes: tuple[Node, ...], path: str, reading: Reading) -> tuple[T, ...]:
        found: dict[T, Location] = {}
        values: list[T] = []
        for index, node in enumerate(nodes):
            key = f"{path}[{index}]"
            reading.origins[key] = node.location
            try:
                value = self.item.read(node, key, reading)
            except UnreadError:
                continue
            if value in found:
                reading.refuse(node.location, key, f"found again, first in line {found[value].line}", "keep one")
            found.setdefault(value, node.location)
            values.append(value)
        if len(values) < len(nodes):
            raise UnreadError(path)
        return tuple(values)

    def json_schema(self) -> dict[str, object]:
        return {"type": "array", "items": self.item.json_schema(), "minItems": self.least, "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class MapRule:
    """Names with a text each. With `fold`, names that differ in case only are the same name."""

    name: ScalarRule[str]
    value: ScalarRule[str]
    things: str
    fold: bool = False

    @property
    def expected(self) -> str:
        return f"a group of {self.things}"

    def read(self, node: Node, path: str, reading: Reading) -> tuple[tuple[str, str], ...]:
        if isinstance(node, Refused):
            raise UnreadError(path)
        if not isinstance(node, document.Mapping):
            message = f"expected {self.expected}, found {document.kind(node)}"
            raise reading.refuse(node.location, path, message, "write {} for none")
        values = [self._entry(key, value, path, reading) for key, value in node.entries]
        self._refuse_same(node, path, reading)
        read = tuple(entry for entry in values if entry)
        if len(read) < len(values):
            raise UnreadError(path)
        return read

    def _entry(self, key: Scalar, value: Node, path: str, reading: Reading) -> tuple[str, str] | None:
        place = document.join(path, key.text)
        reading.origins[place] = key.location
        try:
            name = self.name.read(key, place, reading)
            return name, self.value.read(value, place, reading)
        except UnreadError:
            return None

    def _refuse_same(self, node: document.Mapping, path: str, reading: Reading) -> None:
        found: dict[str, Location] = {}
        for key, _ in node.entries:
            name = key.text.lower() if self.fold else key.text
            if name in found:
                first = found[name]
                place = f"line {first.line}" if first.file == key.location.file else f"{first.file}:{first.line}"
                message = f"found again in other letters, first in {place}"
                reading.refuse(key.location, document.join(path, key.text), message, "keep one")
            found.setdefault(name, key.location)

    def json_schema(self) -> dict[str, object]:
        return {
            "type": "object",
            "propertyNames": self.name.json_schema(),
            "additionalProperties": {"anyOf": [self.value.json_schema(), {"type": "null"}]},  # null: not the defaults'
        }


def suggest(word: str, words: Collection[str]) -> str:
    """Return `did you mean "..."?` if one of the words is close to the one found, else nothing."""
    found = difflib.get_close_matches(word.lower().replace("-", "_"), sorted(words), n=1)
    found = found or difflib.get_close_matches(word, sorted(words), n=1)
    return f'did you mean "{found[0]}"?' if found else ""


def value_of(keys: Mapping[str, Rule[Any]], key: Scalar, value: Node, path: str, reading: Reading) -> Any:
    """Return the value of one key in a group that knows these keys; None once a problem is noted."""
    if key.text not in keys:
        hint = suggest(key.text, tuple(keys)) or f"known here: {', '.join(keys)}"
        reading.refuse(key.location, join(path, key.text), "unknown key", hint)
        return None
    try:
        return keys[key.text].read(value, join(path, key.text), reading)
    except UnreadError:
        return None


def free_text(expected: str, longest: int, *, empty: bool = False, ascii_only: bool = False) -> ScalarRule[str]:
    """One line of free text, at most `longest` characters, no space at its ends."""

    def convert(text: str) -> str:
        if not text and not empty:
            raise RejectedError("write something")
        if len(text) > longest:
            raise RejectedError("make it shorter", f"expected at most {longest} characters, found {len(text)}")
        if text != text.strip():
            raise RejectedError("remove the space at its beginning or end")
        if ascii_only and not text.isascii():
            raise RejectedError("use ASCII only")
        return text

    kinds = ["string", "number", "boolean"]  # an editor's YAML takes `64` and `no` for other things than text
    rule = ScalarRule(expected, convert, {"type": kinds, "maxLength": longest})
    return replace(rule, if_missing='write "" for an empty text') if empty else rule


def word(expected: str, pattern: re.Pattern[str], hint: Callable[[str], str] = lambda text: "") -> ScalarRule[str]:
    """A text that matches a pattern as a whole; `hint` says what to do about one that does not."""

    def convert(text: str) -> str:
        if not pattern.fullmatch(text):
            raise RejectedError(hint(text))
        if len(text) > LONGEST_WORD:
            raise RejectedError("make it shorter", f"expected at most {LONGEST_WORD} characters, found {len(text)}")
        return text

    schema = {"type": "string", "pattern": f"^(?:{pattern.pattern})$", "maxLength": LONGEST_WORD}
    return ScalarRule(expected, convert, schema)


def without(rule: ScalarRule[str], refused: Mapping[str, str]) -> ScalarRule[str]:
    """A rule that refuses some of its texts, each for the reason given; the comparison ignores case."""

    def convert(text: str) -> str:
        value = rule.convert(text)
        reason = refused.get(value.lower())
        if reason:
            raise RejectedError(reason, f"{quote(value)} cannot be used here")
        return value

    return replace(rule, convert=convert)


def known(expected: str, words: Collection[str], advice: Mapping[str, str] | None = None) -> ScalarRule[str]:
    """One of many words; `advice` says what to do about those that people write instead."""

    def convert(text: str) -> str:
        if text not in words:
            raise RejectedError((advice or {}).get(text.lower(), "") or suggest(text, words))
        return text

    return ScalarRule(expected, convert, {"enum": sorted(words)})


def choice(kinds: type[E]) -> ScalarRule[E]:
    """One of a few words, each a member of an Enum."""
    words = [kind.value for kind in kinds]
    rule = known(_one_of(words), words)
    return ScalarRule(rule.expected, lambda text: kinds(rule.convert(text)), rule.schema)


def one_of(*words: str) -> ScalarRule[str]:
    """One of a few words."""
    return known(_one_of(words), words)


def _one_of(words: Collection[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def whole_number(low: int, high: int) -> ScalarRule[int]:
    """A number from `low` to `high`, in plain digits."""

    def convert(text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
            raise RejectedError("write plain digits without a leading 0" if re.search(r"[0-9]", text) else "")
        if not low <= int(text) <= high:
            raise RejectedError()
        return int(text)

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return ScalarRule(f"a whole number from {low} to {high}", convert, schema)


def boolean() -> ScalarRule[bool]:
    """`true` or `false`, and none of YAML's twenty other words for them."""

    def convert(text: str) -> bool:
        if text not in ("true", "false"):
            meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), text.lower())
            raise RejectedError(f"write {meant}" if meant in ("true", "false") else "")
        return text == "true"

    return ScalarRule("true or false", convert, {"type": "boolean"})


def duration(low: int, high: int) -> ScalarRule[int]:
    """A time in seconds; `s`, `m` or `h` may follow the number."""

    def convert(text: str) -> int:
        found = re.fullmatch(r"(0|[1-9][0-9]{0,5})([smh]?)", text)
        if not found:
            raise RejectedError("write it in one unit, for example 90s" if ":" in text else "")
        seconds = int(found[1]) * SECONDS[found[2]]
        if not low <= seconds <= high:
            raise RejectedError()
        return seconds

    schema = {"type": ["string", "integer"], "pattern": "^(?:0|[1-9][0-9]{0,5})[smh]?$"}
    return ScalarRule(f"a time such as 30s, 5m or 1h, from {low}s to {high}s", convert, schema)


def in_bytes(amount: str) -> int:
    """The number of bytes that an amount such as 512M stands for."""
    return int(amount[:-1]) * BYTES[amount[-1]]


def memory(least: int = LEAST_MEMORY, reason: str = "PHP does not start with less") -> ScalarRule[str]:
    """An amount of memory as systemd writes it, systemd.resource-control(5); `least` in megabytes, and why so much."""

    def convert(text: str) -> str:
        found = re.fullmatch(r"([1-9][0-9]{0,4})([KMGT])", text)
        if not found:
            meant = re.fullmatch(r"([1-9][0-9]{0,4}) ?([kmgt])i?b?", text.lower())
            raise RejectedError(f"write {meant[1]}{meant[2].upper()}" if meant else "write a number and K, M, G or T")
        if in_bytes(text) < least * BYTES["M"]:
            raise RejectedError(reason)
        return text

    expected = f"an amount of memory such as 512M or 2G, at least {least}M"
    return ScalarRule(expected, convert, {"type": "string", "pattern": "^[1-9][0-9]{0,4}[KMGT]$"})


def site_name() -> ScalarRule[str]:
    """The NAME that all names of a site are made of."""

    def hint(text: str) -> str:
        meant = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:25]
        return f'did you mean "{meant}"?' if meant else ""

    expected = "a name of 1 to 25 characters of a-z, 0-9 and -, the first no -"
    return without(word(expected, names.SITE_NAME, hint), names.FOREIGN_SITES)


def user_name() -> ScalarRule[str]:
    """The account of a site: the underscore keeps it apart from people's."""
    expected = f"an underscore and a name of a-z, 0-9 and -, at most {names.LONGEST_USER} characters"
    rule = word(expected, names.USER_NAME, lambda text: "" if text.startswith("_") else f"begin it with _: _{text}")
    return without(rule, dict.fromkeys(names.DEBIAN_USERS, "it is the account of a Debian package"))


def maintainer() -> ScalarRule[str]:
    """Who answers for the package, Debian Policy 5.6.2."""

    def hint(text: str) -> str:
        return "write an address behind the name, in < and >" if "<" not in text else ""

    return word("a name and an address such as Ann Other <ann@example.org>", _MAINTAINER, hint)


def host_name() -> ScalarRule[str]:
    """A name that a browser asks for, in small letters; `*.` in front stands for any name below it, RFC 1123."""
    return word("a host name such as www.example.org", _HOST_NAME, _host_hint)


def _host_hint(text: str) -> str:
    if re.fullmatch(r"[0-9.]+|\[?[0-9a-fA-F]*:[0-9a-fA-F:]+\]?", text):
        return "an address has no name: write the host name that leads to it"
    if "://" in text or "/" in text or ":" in text:
        return "write the host name only, without scheme, port and path"
    if _HOST_NAME.fullmatch(text.lower().rstrip(".")):
        return f'did you mean "{text.lower().rstrip(".")}"?'
    try:
        encoded = text[:LONGEST_WORD].lower().encode("idna").decode()
    except UnicodeError:
        return ""
    return f'write it as "{encoded}"' if _HOST_NAME.fullmatch(encoded) else ""


def relative_path(below: str, ending: str = "", start: str = "") -> ScalarRule[str]:
    """A path below a directory, of characters that no file format has to quote. `start` is a pattern of the whole path
    of that directory, which people write as well."""

    def hint(text: str) -> str:
        if ".." in text.split("/"):
            return "a path may not leave its directory"
        bare = re.sub(rf"^/{start}(?:/|$)", "", text).strip("/") if start else text.strip("/")
        if text.startswith("/") and text.strip("/") == bare and "/" in bare:
            return f"write it as it is seen from {below}"
        return f'did you mean "{bare}"?' if pattern.fullmatch(bare) else _PATH_CHARACTERS

    tail = rf"(?<={re.escape(ending)})" if ending else ""
    pattern = re.compile(_RELATIVE_PATH + tail)
    return word(f"a path below {below}" + (f" that ends in {ending}" if ending else ""), pattern, hint)


def absolute_path() -> ScalarRule[str]:
    """A path from the root, of characters that no file format has to quote."""
    return word("a path from the root such as /etc/ssl/example.pem", _ABSOLUTE_PATH, lambda text: _PATH_CHARACTERS)


def unless(absent: str, rule: ScalarRule[str]) -> ScalarRule[str | None]:
    """What a rule takes, or the word that stands for having none."""

    def convert(text: str) -> str | None:
        return None if text == absent else rule.convert(text)

    schema = {"anyOf": [{"const": absent}, rule.json_schema()]}
    return ScalarRule(f"{rule.expected}, or {absent}", convert, schema)


def php_version(versions: Collection[str]) -> ScalarRule[str]:
    """A PHP version of two numbers; editors read it as a number, so their schema takes that as well."""
    rule = one_of(*versions)
    return replace(rule, schema={"enum": [*versions, *map(float, versions)]})


def package_version(automatic: str) -> ScalarRule[str]:
    """An upstream version as Debian Policy 5.6.12 has it, without epoch and revision: the releases add theirs.

    `automatic` is the word for one that is made when the package is.
    """

    def hint(text: str) -> str:
        bare = text.lstrip("vV")
        return f'did you mean "{bare}"?' if _VERSION.fullmatch(bare) else "use digits, letters, dot, + and ~"

    pattern = re.compile(rf"{_VERSION.pattern}|{automatic}")
    rule = word(f"a version that begins with a digit such as 1.0.0, or {automatic}", pattern, hint)
    return replace(rule, schema={**rule.schema, "type": ["string", "number"]})


def setting_name(refused: Mapping[str, str]) -> ScalarRule[str]:
    """The name of a php.ini setting."""
    return without(word("the name of a PHP setting such as memory_limit", _SETTING_NAME), refused)


def variable_name() -> ScalarRule[str]:
    """The name of an environment variable."""
    return word("the name of a variable such as APP_ENV", _VARIABLE_NAME)


def header_name(refused: Mapping[str, str]) -> ScalarRule[str]:
    """The name of a response header."""
    return without(word("the name of a header such as X-Frame-Options", _HEADER_NAME), refused)


def header_value() -> ScalarRule[str]:
    """The value of a response header; Apache computes what begins with `expr=` and replaces `${NAME}`."""
    rule = free_text("one line of ASCII text", 4000, ascii_only=True)

    def convert(text: str) -> str:
        if "${" in text or text.lower().startswith("expr="):
            raise RejectedError("write it without", f"{quote(text)} has a meaning of its own for Apache")
        return rule.convert(text)

    return replace(rule, convert=convert)
