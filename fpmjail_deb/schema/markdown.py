# SPDX-License-Identifier: GPL-2.0-or-later
"""The table as text, for people: the list of keys in fpmjail-site(5)."""

from __future__ import annotations

import re
from typing import Any

from fpmjail_deb.schema import FIELDS
from fpmjail_deb.schema.field import Field


def markdown() -> str:
    """Return the table as a Markdown definition list, as fpmjail-site(5) shows it."""
    return "\n\n".join(_definition(row) for row in FIELDS)


def _definition(row: Field[Any]) -> str:
    key = row.path.rpartition(".")[2]
    example = re.sub(r"(\S{25})\S{25,}", r"\1...", row.example)  # a whole public key is wider than a page
    return (
        f"**{row.path}**\n"
        f":   {row.doc}\n\n"
        f"    Value: {_literal(row.rule.expected)}. {_default(row)} Example: `{key}: {example}`"
    )


def _default(row: Field[Any]) -> str:
    if row.required:
        return "Required."
    return f"Default: {_literal(row.otherwise)}." if row.default is None else f"Default: `{row.default}`."


def _literal(text: str) -> str:
    return re.sub(r"([<>*_\\])", r"\\\1", text)
