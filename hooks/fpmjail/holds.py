# SPDX-License-Identifier: MIT
"""Holds: profiles that an administrator or a failed test keeps on their generation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fpmjail import image
from fpmjail.files import replace_json
from fpmjail.layout import Layout


@dataclass(frozen=True, slots=True)
class Hold:
    """A stop sign: `digest` must not be switched to again, and with `manual` (an administrator rolled back) nothing
    else either. `since` is a time in UTC as ISO 8601."""

    digest: str
    reason: str
    since: str
    manual: bool


def read(layout: Layout, profile_id: str) -> Hold | None:
    """The hold on this profile, None if there is none; a damaged one counts as none."""
    try:
        value: dict[str, Any] = json.loads((layout.image(profile_id) / "hold.json").read_bytes())
        return Hold(str(value["digest"]), str(value["reason"]), str(value["since"]), value["manual"] is True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(layout: Layout, profile_id: str, digest: str, reason: str, *, manual: bool = False) -> Hold:
    """Remember that `digest` was bad, or with `manual` that an administrator wants no other generation."""
    made = Hold(digest, reason, image.now(), manual)
    value = {"format": image.FORMAT, "digest": digest, "reason": reason, "since": made.since, "manual": manual}
    replace_json(layout.image(profile_id) / "hold.json", value)
    return made


def clear(layout: Layout, profile_id: str) -> bool:
    """Forget the hold; False if there was none."""
    try:
        (layout.image(profile_id) / "hold.json").unlink()
    except FileNotFoundError:
        return False
    return True
