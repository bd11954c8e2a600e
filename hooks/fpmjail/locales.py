# SPDX-License-Identifier: MIT
"""Compiles the locales of the profiles from the host's definitions (package locales), as locale-gen(8) does.

The results lie in a cache, one directory for each locale and state of the host's definitions. From there they go into
images like any other file; whoever deletes the cache only makes the next refresh a few seconds longer.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fpmjail.host import Host
from fpmjail.layout import Layout

INSTALLED = "/usr/lib/locale"  # where setlocale(3) looks
CACHE = "/var/lib/fpmjail/locales"
DEFINITIONS = "/usr/share/i18n/locales"
CHARMAPS = "/usr/share/i18n/charmaps"
COMPILER = "/usr/bin/localedef"
FAULT = "fault"  # a file in place of the locale: what the compiler said
PATIENCE = 120.0  # seconds for one locale; one or two are usual
LONGEST_FAULT = 300


@dataclass(frozen=True, slots=True)
class Locale:
    """One locale; `directory` is how setlocale(3) spells its name: fr_FR.utf8 for fr_FR.UTF-8."""

    name: str
    language: str
    charset: str
    modifier: str

    @property
    def directory(self) -> str:
        """The name below INSTALLED: glibc writes character sets in small letters and digits only."""
        return f"{self.language}.{re.sub('[^a-z0-9]', '', self.charset.lower())}{self.modifier}"

    @property
    def definition(self) -> str:
        """The host's file that defines it."""
        return f"{DEFINITIONS}/{self.language}{self.modifier}"

    @property
    def charmap(self) -> str:
        """The host's file of its character set."""
        return f"{CHARMAPS}/{self.charset}.gz"


def parse(name: str) -> Locale:
    """The parts of LANGUAGE.CHARSET[@MODIFIER]; site.py lets no other names pass."""
    language, _, rest = name.partition(".")
    charset, at, modifier = rest.partition("@")
    return Locale(name, language, charset, at + modifier)


def charsets(names: Iterable[str]) -> tuple[str, ...]:
    """The character sets that these locales need beside UTF-8."""
    return tuple(sorted({parse(name).charset for name in names} - {"UTF-8"}))


def place(host: Host, locale: Locale) -> str:
    """The locale's directory in the cache for the present state of the host.

    A definition includes others, so all of them count: dpkg changes their directory with every upgrade.
    """
    directory = host.resolve(DEFINITIONS)
    if directory.is_directory:
        host.names(directory.path)
    files = [host.resolve(path) for path in (locale.definition, locale.charmap, COMPILER)]
    looked = (directory.path, *(file.path for file in files))
    state = json.dumps([host.inputs.get(path) for path in looked])
    return f"{CACHE}/{locale.directory}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"


def missing(host: Host, locale: Locale) -> str:
    """The first host file that compiling needs and that is not there, else an empty string."""
    needed = (locale.definition, locale.charmap, COMPILER)
    return next((path for path in needed if not host.resolve(path).is_file), "")


def fault(host: Host, locale: Locale, directory: str) -> str:
    """Why the locale cannot be in an image, or an empty string."""
    lacking = missing(host, locale)
    if lacking:
        return f"needs {lacking}, which is not there"
    said = host.read(f"{directory}/{FAULT}")
    if said is not None:
        return f"cannot be compiled: {said.decode(errors='replace')}"
    return "" if host.resolve(f"{directory}/LC_CTYPE").is_file else "is not compiled"


def generated(host: Host, locale: Locale) -> bool:
    """Whether the host itself has the locale: as a directory, or in locale-gen's archive."""
    if host.resolve(f"{INSTALLED}/{locale.directory}/LC_CTYPE").is_file:
        return True
    archive = host.resolve(f"{INSTALLED}/locale-archive")
    if not archive.is_file or archive.status is None or not archive.status.st_size:
        return False
    # Its names end with a NUL each (glibc, locale/locarchive.h).
    with (
        Path(host.place(archive.path)).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(f"\0{locale.directory}\0".encode()) >= 0


def compile_all(layout: Layout, names: Iterable[str]) -> None:
    """Bring the cache up to date for these locales. Raises OSError; what the compiler refuses is kept as a fault."""
    host = Host(layout.root)
    for locale in map(parse, names):
        directory = layout.host(place(host, locale))
        if not missing(host, locale) and not directory.is_dir():
            _compile(layout, locale, directory)


def _compile(layout: Layout, locale: Locale, directory: Path) -> None:
    from fpmjail.mounts import remove_tree
    from fpmjail.systemd import run

    directory.parent.mkdir(mode=0o755, exist_ok=True)
    building = directory.with_name(f".build-{os.getpid()}-{locale.directory}")
    remove_tree(building)
    answer = run(command(layout, locale, building), PATIENCE)
    if not (answer.good and (building / "LC_CTYPE").is_file()):
        remove_tree(building)
        building.mkdir(mode=0o755)
        (building / FAULT).write_text(" ".join(answer.words.split())[:LONGEST_FAULT])
    older = list(directory.parent.glob(f"{locale.directory}-*"))
    building.rename(directory)
    for one in older:
        remove_tree(one)


def command(layout: Layout, locale: Locale, output: Path) -> list[str]:
    """The call of localedef(1); a path with a slash is where it writes, whatever the locale is called.

    A hard link to a file of another locale would change that file's ctime, by which images know it.
    """
    return [
        "/usr/bin/env", "-i", "LC_ALL=C.UTF-8",
        str(layout.host(COMPILER)), "--no-archive", "--no-hard-links",
        f"--inputfile={layout.host(locale.definition)}", f"--charmap={locale.charset}", str(output),
    ]  # fmt: skip
