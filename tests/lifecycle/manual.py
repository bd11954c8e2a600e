# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of docs/, whose commands the tests run as they stand there."""

from __future__ import annotations

import re

from tests.lifecycle import trees


def commands(page: str, section: str) -> str:
    """The shell commands in the section of a page of docs/, without those of its subsections.

    Raises LookupError if there are none.
    """
    text = (trees.CHECKOUT / "docs" / page).read_text()
    sections = dict(re.findall(r"^#+ ([^\n]+)\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE))
    found = re.findall(r"^```sh\n(.*?)^```$", sections.get(section, ""), re.DOTALL | re.MULTILINE)
    if not found:
        raise LookupError(f"docs/{page} has no commands in a section {section!r}")
    return "".join(found)
