# SPDX-License-Identifier: GPL-2.0-or-later
"""A row of the table of all keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from fpmjail_deb.rules import Rule, T_co


@dataclass(frozen=True, slots=True)
class Field(Generic[T_co]):
    """One key of a description.

    `default` is what stands there if the key does not, written in YAML; without one the value is None, and `otherwise`
    says in words what that means.
    """

    path: str
    rule: Rule[T_co]
    doc: str
    example: str
    default: str | None = None
    otherwise: str = ""
    required: bool = False
