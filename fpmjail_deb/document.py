# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of a site description -> nodes that know their file, line and column.

The text of every value is kept as written: YAML would make 8.1 of `8.10`, false of `no`, 1350 of `22:30`, and keep the
last of two equal keys. What makes one part of a file change another (anchors, aliases, merge keys) or hides a meaning
(tags, tabs, characters that nobody sees) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from fpmjail_deb.errors import DescriptionError, Problem, quote
from fpmjail_deb.location import Location

LARGEST = 128 * 1024
"""The most bytes of a description; a hundred times a long one."""

DEEPEST = 8
"""The most levels of a description: twice what the deepest key needs."""

SECTION = "DESCRIPTION"
"""Where fpmjail-site(5) tells how a description is written."""

_LINE_BREAK = re.compile(r"[\n\r\x85\u2028\u2029]")
_SYNTAX_HINTS = (
    ("scanning an alias", 'put a wildcard in quotes: "*.example.org"'),
    ("scanning an anchor", 'put text that begins with "&" in quotes'),
    ("mapping values are not allowed", 'put text that contains ": " in quotes, and look at the indentation'),
    ("cannot start any token", "put text that begins with this character in quotes"),
    ("could not find expected ':'", "every line of a group reads `key: value`"),
    ("unknown escape character", "write text that contains a backslash in single quotes"),
    ("expected <block end>", "the keys of one group begin in the same column; text after a closing quote is refused"),
    ("unexpected end of stream", "close the quote that begins here"),
    ("expected ',' or", "close the bracket that begins here, and put a comma between two values"),
)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as it stands in the file, quotes and escapes resolved; `plain` means that it had no quotes."""

    text: str
    location: Location
    plain: bool

    @property
    def missing(self) -> bool:
        """Whether YAML calls this value null: nothing behind the colon, or a word for nothing."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with their values, each key once, in the file's order."""

    entries: tuple[tuple[Scalar, Node], ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that already has its problem."""

    location: Location


Node = Scalar | Sequence | Mapping | Refused


@dataclass(frozen=True, slots=True)
class Document:
    """A file that could be read: its keys, and the problems of the parts that were left out."""

    root: Mapping
    problems: tuple[Problem, ...]


def read(data: bytes, file: str) -> Document:
    """Read the bytes of one description; `file` names them in messages.

    Raises DescriptionError if there is nothing to read keys from: not UTF-8, not YAML, empty, too large.
    """
    text = _decode(data, file)
    invisible = tuple(_invisible(text, file))
    if invisible:
        raise DescriptionError(invisible)
    return _Composer(text, file).document()


def text(root: Mapping) -> str:
    """Return nodes as YAML that reads as they did; comments are gone."""
    return str(yaml.serialize(_yaml_node(root), allow_unicode=True, width=10**6))


def _yaml_node(node: Node) -> yaml.Node:
    match node:
        case Mapping():
            pairs = [(_yaml_node(key), _yaml_node(value)) for key, value in node.entries]
            return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
        case Sequence():
            return yaml.SequenceNode("tag:yaml.org,2002:seq", [_yaml_node(item) for item in node.items])
        case Scalar():
            tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, node.text, (node.plain, True))  # type: ignore[no-untyped-call]
            return yaml.ScalarNode(tag, node.text, style=None if node.plain else '"')
        case Refused():
            raise ValueError(f"{node.location} was refused")


def join(path: str, key: str) -> str:
    """Return the key path of a key below another; the path of the whole file is empty."""
    return f"{path}.{key}" if path else key


def _decode(data: bytes, file: str) -> str:
    if len(data) > LARGEST:
        _fail(Location(file, 1, 1), f"expected at most {LARGEST // 1024} KiB", "is this a site description?")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        _fail(Location(file, 1, 1), "expected UTF-8, found UTF-16", "save the file as UTF-8")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        found = f"expected UTF-8, found the byte 0x{data[error.start]:02x}"
        _fail(_position(before, len(before), file), found, "save the file as UTF-8")
    return text.replace("\r\n", "\n")


def _position(text: str, index: int, file: str) -> Location:
    return Location(file, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def _invisible(text: str, file: str) -> Iterator[Problem]:
    if text.startswith("\ufeff"):
        hint = "save the file as UTF-8 without BOM"
        yield Problem(Location(file, 1, 1), "", "found a byte order mark", hint, SECTION)
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        for column, character in _unprintable(line):
            yield Problem(Location(file, number, column), "", *_complaint(character), SECTION)
            break


def _unprintable(text: str) -> Iterator[tuple[int, str]]:
    """Yield what nobody can see or what makes text read another way, with its column: the tab, no-break spaces too."""
    return ((column, character) for column, character in enumerate(text, 1) if not character.isprintable())


def _complaint(character: str) -> tuple[str, str]:
    if character == "\t":
        return "found a tab", "use spaces"
    return f"found the character U+{ord(character):04X}, which nobody can see", "remove it"


def _fail(location: Location, message: str, hint: str) -> NoReturn:
    raise DescriptionError([Problem(location, "", message, hint, SECTION)])


class _Composer:
    """Makes nodes of the events of PyYAML's parser: yaml.compose would have resolved anchors and aliases already."""

    def __init__(self, text: str, file: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self._file = file
        self._problems: list[Problem] = []

    def document(self) -> Document:
        try:
            root = self._only_node()
        except DescriptionError as error:
            raise DescriptionError([*self._problems, *error.problems]) from None
        except yaml.MarkedYAMLError as error:
            raise DescriptionError([*self._problems, self._syntax(error)]) from error
        except (ValueError, OverflowError) as error:  # PyYAML converts "\UFFFFFFFF" and %YAML 1.1 unchecked
            place = self._place(self._loader.get_mark())
            found = "expected YAML, found a number that is too large"
            number = Problem(place, "", found, "put text in single quotes", SECTION)
            raise DescriptionError([*self._problems, number]) from error
        return Document(root, tuple(self._problems))

    def _only_node(self) -> Mapping:
        self._take()
        if self._loader.check_event(yaml.StreamEndEvent):
            _fail(Location(self._file, 1, 1), "the file is empty", "`fpmjail-deb new NAME` writes one to start from")
        self._take()
        root = self._node("", 0)
        self._take()
        if not self._loader.check_event(yaml.StreamEndEvent):
            place = self._place(self._take().start_mark)
            _fail(place, "expected one site in a file, found a second document", "move it to a file of its own")
        if not isinstance(root, Mapping):
            _fail(root.location, f"expected keys such as `site: example`, found {kind(root)}", "write `key: value`")
        return root

    def _node(self, path: str, depth: int) -> Node:
        event = self._take()
        place = self._place(event.start_mark)
        if depth > DEEPEST:
            _fail(place, f"expected at most {DEEPEST} levels", "check the indentation")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(place, path, f'found the alias "*{event.anchor}"', "write the value itself, or quote it")
            return Refused(place)
        self._refuse_properties(event, place, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place, path, depth)
        return self._mapping(place, path, depth)

    def _take(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        return event

    def _refuse_properties(self, event: Any, place: Location, path: str) -> None:
        if event.anchor is not None:
            self._refuse(place, path, f'found the anchor "&{event.anchor}"', "remove it, or quote the value")
        if event.tag is not None:
            self._refuse(place, path, f"found the tag {quote(event.tag)}", "remove it, or quote the value")

    def _scalar(self, event: yaml.ScalarEvent, place: Location, path: str) -> Node:
        if _LINE_BREAK.search(event.value):
            self._refuse(place, path, "expected one line, found a line break", "write it on one line")
            return Refused(place)
        for _, character in _unprintable(event.value):
            self._refuse(place, path, *_complaint(character))
            return Refused(place)
        return Scalar(event.value, place, event.style is None)

    def _sequence(self, place: Location, path: str, depth: int) -> Sequence:
        items: list[Node] = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node(f"{path}[{len(items)}]", depth + 1))
        self._take()
        return Sequence(tuple(items), place)

    def _mapping(self, place: Location, path: str, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            key = self._key(self._node(path, depth + 1), path)
            value = self._node(join(path, key.text) if key else path, depth + 1)
            if key and key.text in entries:
                first = entries[key.text][0].location.line
                self._refuse(key.location, join(path, key.text), f"found again, first in line {first}", "keep one")
            elif key:
                entries[key.text] = (key, value)
        self._take()
        return Mapping(tuple(entries.values()), place)

    def _key(self, node: Node, path: str) -> Scalar | None:
        if isinstance(node, Scalar) and node.text == "<<" and node.plain:
            self._refuse(node.location, path, 'found the merge key "<<"', "write the keys themselves")
        elif isinstance(node, Scalar) and not node.missing and node.text:
            return node
        elif not isinstance(node, Refused):
            self._refuse(node.location, path, f"expected a word as the key, found {kind(node)}", "write `key: value`")
        return None

    def _refuse(self, place: Location, path: str, message: str, hint: str) -> None:
        self._problems.append(Problem(place, path, message, hint, SECTION))

    def _place(self, mark: Any) -> Location:
        return Location(self._file, mark.line + 1, mark.column + 1)

    def _syntax(self, error: yaml.MarkedYAMLError) -> Problem:
        said = f"{error.context}: {error.problem}"
        hint = next((hint for part, hint in _SYNTAX_HINTS if part in said), "put text in quotes")
        began_earlier = any(part in said for part in ("end of stream", "expected ',' or", "expected ':'"))
        mark = error.context_mark if began_earlier else error.problem_mark
        return Problem(self._place(mark), "", f"expected YAML: {error.problem}", hint, SECTION)


def kind(node: Node) -> str:
    """Return what a message calls a node: "a list", or the text itself."""
    if isinstance(node, Scalar):
        return "nothing" if node.missing or not node.text else quote(node.text)
    return "a list" if isinstance(node, Sequence) else "a group of keys"
