# SPDX-License-Identifier: MIT
"""Takes a stranger's JSON object apart: every field is asked for by name and kind, and what is left over is a fault."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_RELATIVE = r"[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,1023}"
LINE = r"[^\x00-\x1f\x7f]{0,1023}"


class Problem(Exception):
    """A field is wrong: (path of the field, what is wrong)."""


class Fields:
    """One JSON object whose fields are taken one by one; what is left at the end is unknown."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise Problem(where or "the file", "must be an object")
        self._values: dict[str, Any] = dict(value)
        self._where = where

    def _name(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _take(self, name: str) -> object:
        if name not in self._values:
            raise Problem(self._name(name), "is missing")
        return self._values.pop(name)

    def text(self, name: str, pattern: str = LINE) -> str:
        return _text(self._take(name), self._name(name), pattern)

    def text_or_null(self, name: str, pattern: str) -> str | None:
        if name in self._values and self._values[name] is None:
            return self._values.pop(name)  # type: ignore[no-any-return]
        return self.text(name, pattern)

    def choice(self, name: str, *known: str) -> str:
        value = self.text(name)
        if value not in known:
            raise Problem(self._name(name), f"`{value}` is not known here; it needs a newer fpmjail")
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Problem(self._name(name), f"must be a whole number from {low} to {high}")
        return value

    def number_or_null(self, name: str, low: int, high: int) -> int | None:
        if name in self._values and self._values[name] is None:
            return self._values.pop(name)  # type: ignore[no-any-return]
        return self.number(name, low, high)

    def truth(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise Problem(self._name(name), "must be true or false")
        return value

    def empty_or_null(self, name: str) -> str:
        if self._take(name) is not None:
            raise Problem(self._name(name), "must be null")
        return ""

    def path(self, name: str) -> Path:
        return _path(self._take(name), self._name(name))

    def texts(self, name: str, pattern: str) -> tuple[str, ...]:
        return self._many(name, lambda value, where: _text(value, where, pattern))

    def path_list(self, name: str) -> tuple[Path, ...]:
        return self._many(name, _path)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        return self._many(name, _pair)

    def path_pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        return self._many(name, _path_pair)

    def relatives(self, name: str) -> tuple[str, ...]:
        return self._many(name, _relative)

    def _many(self, name: str, convert: Callable[[object, str], Any]) -> tuple[Any, ...]:
        values = self._take(name)
        if not isinstance(values, list):
            raise Problem(self._name(name), "must be a list")
        return tuple(convert(value, f"{self._name(name)}[{index}]") for index, value in enumerate(values))

    def fields(self, name: str) -> Fields:
        return Fields(self._take(name), self._name(name))

    def fields_or_null(self, name: str) -> Fields | None:
        if name in self._values and self._values[name] is None:
            return self._values.pop(name)  # type: ignore[no-any-return]
        return self.fields(name)

    def objects(self, name: str) -> tuple[Fields, ...]:
        return self._many(name, Fields)

    def table(self, name: str) -> tuple[tuple[str, str], ...]:
        fields = self.fields(name)
        return tuple((key, fields.text(key)) for key in sorted(fields._values))

    def has(self, name: str) -> bool:
        return name in self._values

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._values))

    def end(self) -> None:
        """A key that this runtime does not know is something it would silently not do."""
        if self._values:
            raise Problem(self._name(min(self._values)), "is not known here; it needs a newer fpmjail")


def _text(value: object, where: str, pattern: str) -> str:
    if not isinstance(value, str):
        raise Problem(where, "must be a string")
    if not re.fullmatch(pattern, value) or not value.isprintable():
        raise Problem(where, f"`{value[:80]!a}` is not allowed")
    return value


def _path(value: object, where: str) -> Path:
    text = _text(value, where, r"/" + _RELATIVE)
    if os.path.normpath(text) != text or text.startswith("//"):
        raise Problem(where, f"{text!a} must be a plain absolute path")
    return Path(text)


def _relative(value: object, where: str) -> str:
    text = _text(value, where, _RELATIVE)
    if os.path.normpath(text) != text or text.split("/")[0] in ("..", "."):
        raise Problem(where, f"{text!a} must be a plain relative path")
    return text


def _path_pair(value: object, where: str) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise Problem(where, "must be a pair")
    return str(_path(value[0], where)), str(_path(value[1], where))


def _pair(value: object, where: str) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise Problem(where, "must be a pair")
    return _text(value[0], where, r"[A-Za-z]+"), _text(value[1], where, LINE)
