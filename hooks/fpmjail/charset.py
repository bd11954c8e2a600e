# SPDX-License-Identifier: MIT
"""Which gconv modules a character set needs, read from glibc's own gconv-modules files. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# glibc converts these without a module (iconv/gconv_builtin.h).
BUILT_IN = frozenset(
    (
        *("UTF-8", "UTF8", "ISO-10646/UTF8", "ISO-IR-193", "ASCII", "US-ASCII", "US", "ANSI_X3.4-1968", "646", "CP367"),
        *("ANSI_X3.4-1986", "ANSI_X3.4", "ISO646-US", "ISO_646.IRV:1991", "ISO-IR-6", "IBM367", "CSASCII", "WCHAR_T"),
        *("UCS-4", "UCS4", "UCS-4LE", "UCS-4BE", "ISO-10646", "10646-1:1993", "ISO-10646/UCS4", "CSUCS4", "UCS-2"),
        *("UCS2", "UCS-2LE", "UCS-2BE", "ISO-10646-UCS-2", "UNICODELITTLE", "UNICODEBIG"),
    )
)


@dataclass(frozen=True, slots=True)
class Modules:
    """The aliases and modules of all gconv-modules files; names in upper case without the trailing `//`."""

    aliases: dict[str, str]
    files: dict[str, tuple[str, ...]]

    def of(self, charset: str) -> tuple[str, ...] | None:
        """The module files that convert `charset`, () if glibc needs none, None if it does not know the name."""
        name = charset.upper()
        for _ in range(len(self.aliases) + 1):
            if name in self.files or name not in self.aliases:
                break
            name = self.aliases[name]
        return self.files.get(name, () if name in BUILT_IN else None)


def parse(texts: Iterable[str]) -> Modules:
    """gconv-modules files: lines `alias FROM TO` and `module FROM TO FILE COST`, `#` begins a comment."""
    aliases: dict[str, str] = {}
    files: dict[str, dict[str, None]] = {}
    for text in texts:
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if len(words) >= 3 and words[0] == "alias":
                aliases.setdefault(_name(words[1]), _name(words[2]))
            elif len(words) >= 4 and words[0] == "module":
                for name in (_name(words[1]), _name(words[2])):
                    files.setdefault(name, {})[words[3]] = None
    files.pop("INTERNAL", None)
    return Modules(aliases, {name: tuple(found) for name, found in files.items()})


def _name(word: str) -> str:
    return word.upper().removesuffix("//")
