# SPDX-License-Identifier: GPL-2.0-or-later
"""Every site description that our documents show, as a reader would copy it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from fpmjail_deb.schema import CHILDREN
from fpmjail_deb.site import AUTOMATIC, Site

CHECKOUT = Path(__file__).parents[1]
FENCED = re.compile(r"^( *)```ya?ml\b[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|(?<=\n\n))((?: {4}[^\n]*\n)+)")
OURS = frozenset(CHILDREN[""])
# What a piece of a description lacks to be one.
WHOLE = {"site": "piece", "maintainer": "Web Team <web@example.org>", "domains": "[piece.example.org]"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A description; `whole` is False for a piece of one that was made whole here. `where` is file:line."""

    where: str
    text: str
    whole: bool


def documents() -> list[Path]:
    """The files that people read."""
    return sorted([CHECKOUT / "README.md", *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("debian/man/*.md")])


def shown() -> list[Shown]:
    """Every description, and piece of one, in the documents. Examples are files of their own, see examples/."""
    return [one for document in documents() for one in _shown_in(document)]


def _shown_in(document: Path) -> Iterator[Shown]:
    content = document.read_text()
    blocks = [(found.start(2), found[2]) for found in FENCED.finditer(content)]
    blocks += [(found.start(1), found[1]) for found in INDENTED.finditer(content) if _keys(found[1]) <= OURS]
    for start, block in sorted(blocks):
        text = textwrap.dedent(block)
        keys = _keys(text)
        if keys & OURS:
            where = f"{document.relative_to(CHECKOUT)}:{content.count(chr(10), 0, start) + 1}"
            yield Shown(where, _completed(text, keys), whole=keys >= WHOLE.keys())


def _keys(text: str) -> set[str]:
    """The keys of a block's outermost level; what is in a document about other programs has none of ours."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return set()
    return set(value) if isinstance(value, dict) else set()


def _completed(text: str, keys: set[str]) -> str:
    """The block, with what it says nothing of because of its surroundings (a defaults.yaml, another block)."""
    return text + "".join(f"{key}: {value}\n" for key, value in WHOLE.items() if key not in keys)


def numbered(site: Site) -> Site:
    """The site with a version, as `fpmjail-deb build` finds one for `version: auto`."""
    return replace(site, version="20261123.1") if site.version == AUTOMATIC else site
