# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes bad input out of good: bytes are changed blindly, JSON is changed where it stays JSON."""

from __future__ import annotations

import json
import random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 70, 1.5, float("inf"), float("nan"), "", "\0", "..", "../../etc/passwd", "/",
    "a" * 5000, "\ud800", "%s{}$(id)`'\"\\\n", [], {}, [[]], [None], {"": None}, ["x", 1, None], {"format": 1},
)  # fmt: skip
ODD_BYTES = (b"\0", b"\xff", b"\n", b"[" * 3000, b"{", b"}", b'"', b"\\u0000", b"1e999", b"\xed\xa0\x80", b"-")


def damaged(good: bytes, dice: random.Random) -> bytes:
    """One mutation or some of them."""
    changed = _damaged_json(good, dice) if dice.random() < 0.6 else good
    if changed is good or dice.random() < 0.2:
        for _ in range(dice.randint(1, 4)):
            changed = _damaged_bytes(changed, dice)
    return changed


def _damaged_bytes(good: bytes, dice: random.Random) -> bytes:
    start, end = sorted(dice.randint(0, len(good)) for _ in range(2))
    end = min(end, start + dice.choice((0, 1, 2, 8, 1000)))
    match dice.randrange(4):
        case 0:
            return good[:start] + good[end:]
        case 1:
            return good[:start] + dice.choice(ODD_BYTES) + good[end:]
        case 2:
            return good[:start] + dice.randbytes(end - start) + good[end:]
        case _:
            return good[:end] + good[start:]


def _damaged_json(good: bytes, dice: random.Random) -> bytes:
    try:
        value = json.loads(good)
    except ValueError:
        return good
    for _ in range(dice.randint(1, 3)):
        value = _changed(value, dice)
    return json.dumps(value).encode()


def _changed(value: Any, dice: random.Random) -> Any:
    """A copy in which one value, somewhere, is an odd one, is missing, is there twice, or has another key."""
    if not value or not isinstance(value, (dict, list)) or dice.random() < 0.1:
        return dice.choice(ODD_VALUES)
    if isinstance(value, list):
        place = dice.randrange(len(value))
        instead = dice.choice(([], [_changed(value[place], dice)], [value[place]] * 2))
        return [*value[:place], *instead, *value[place + 1 :]]
    key = dice.choice(list(value))
    rest = {name: content for name, content in value.items() if name != key}
    match dice.randrange(6):
        case 0:
            return rest
        case 1:
            return rest | {dice.choice(("", "format", "name", key + "\n")): value[key]}
        case _:
            return value | {key: _changed(value[key], dice)}
