# SPDX-License-Identifier: MIT
"""What PHP's own configuration says about extensions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The value may be quoted; `;` begins a comment. An `extension=` inside [PATH=] or [HOST=] is ignored by PHP too.
_ASSIGNMENT = re.compile(
    r"^[ \t]*(zend_extension|extension|extension_dir)[ \t]*=[ \t]*[\"']?([^\"';\s]+)", re.MULTILINE
)
_COMPILED = re.compile(rb"/usr/lib/php/[0-9]{8}(?:-[a-z]+)?(?=\0)")


def extension_directory(binary: bytes, settings: Iterable[str] = ()) -> str | None:
    """The directory where this PHP looks for extensions: the last `extension_dir` of its ini texts, else the one it
    was built with; None if neither names one."""
    named = [value for text in settings for key, value in _ASSIGNMENT.findall(text) if key == "extension_dir"]
    if named and named[-1].startswith("/"):
        return str(named[-1]).rstrip("/")
    compiled = _COMPILED.search(binary)
    return compiled.group().decode() if compiled else None


def extensions(text: str, directory: str) -> tuple[str, ...]:
    """The paths of the extensions that an ini text loads: a bare name, a file name or an absolute path."""
    names = [value for key, value in _ASSIGNMENT.findall(text) if key != "extension_dir"]
    return tuple(name if name.startswith("/") else f"{directory}/{name.removesuffix('.so')}.so" for name in names)
