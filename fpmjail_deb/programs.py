# SPDX-License-Identifier: GPL-2.0-or-later
"""The rule of `jail.programs`, and what Debian calls the packages of programs that PHP sites are known to run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fpmjail_deb import document
from fpmjail_deb.document import Node, Refused, Scalar, join
from fpmjail_deb.errors import quote
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import ListRule, Reading, RejectedError, Rule, ScalarRule, UnreadError, suggest, value_of, word
from fpmjail_deb.site import Program

_IN_EVERY_RELEASE = {
    "composer": "composer",
    "curl": "curl",
    "ffmpeg": "ffmpeg ffprobe",
    "ghostscript": "gs",
    "gifsicle": "gifsicle",
    "graphicsmagick": "gm",
    "imagemagick": "compare composite convert identify mogrify montage",
    "jpegoptim": "jpegoptim",
    "libimage-exiftool-perl": "exiftool",
    "librsvg2-bin": "rsvg-convert",
    "optipng": "optipng",
    "pngquant": "pngquant",
    "poppler-utils": "pdfattach pdfdetach pdffonts pdfimages pdfinfo pdfseparate pdftocairo pdftohtml pdftoppm pdftops "
    "pdftotext pdfunite",
    "qpdf": "qpdf",
    "tar": "tar",
    "unzip": "unzip",
    "webp": "cwebp dwebp gif2webp",
    "xz-utils": "xz",
    "zip": "zip",
}
_IN_ONE_RELEASE = {
    "bookworm": {"wkhtmltopdf": "wkhtmltoimage wkhtmltopdf"},
    "trixie": {"imagemagick": "magick"},
}
DATA_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ghostscript": ("fonts-urw-base35", "libgs-common", "libgs10-common", "libgs9-common", "poppler-data"),
        "imagemagick": (
            "imagemagick-6-common", "imagemagick-6.q16", "imagemagick-7-common", "imagemagick-7.q16",
            "libmagickcore-6.q16-6", "libmagickcore-6.q16-6-extra", "libmagickcore-7.q16-10",
            "libmagickcore-7.q16-10-extra",
        ),
        "libimage-exiftool-perl": ("perl-base", "perl-modules-5.36", "perl-modules-5.40"),
        "poppler-utils": ("poppler-data",),
    }
)  # fmt: skip
"""Packages whose data a program needs, by the package of the program: their upgrades change the jail as well.
Libraries are none of them, the runtime hears of those by itself."""

SHELLS = ("ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "zsh")
ELSEWHERE = {
    **dict.fromkeys(("sh", "dash"), "the shell of exec() is another key: jail.shell"),
    **dict.fromkeys(("php", "php-fpm"), "every jail has it: leave it out"),
    **dict.fromkeys(("sendmail", "msmtp"), "mail() has another key: jail.mail"),
    **dict.fromkeys(
        ("chfn", "chsh", "gpasswd", "mount", "newgrp", "passwd", "ping", "pkexec", "su", "sudo", "umount"),
        "it lives on root's rights, and nothing in a jail can have those",
    ),
}
"""Programs that nobody declares, with the reason."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._+-]+"
_PATH = re.compile(rf"/usr(?:/{_PART}){{2,}}")
_PACKAGES = re.compile(r"[a-z0-9][a-z0-9+.-]+(?: \| [a-z0-9][a-z0-9+.-]+)*")
_PATTERN_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._+*?\[\]@:,~-]+"
_PATTERN = re.compile(rf"/(?:usr|etc)(?:/{_PATTERN_PART})+")
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Known:
    """A program of Debian's: the path, and its package in each release that has it."""

    path: str
    packages: tuple[tuple[str, str], ...]


def _known() -> dict[str, Known]:
    found: dict[str, dict[str, str]] = {}
    for release in RELEASES:
        for package, names in (*_IN_EVERY_RELEASE.items(), *_IN_ONE_RELEASE.get(release, {}).items()):
            for name in names.split():
                found.setdefault(name, {})[release] = package
    return {name: Known(f"/usr/bin/{name}", tuple(packages.items())) for name, packages in sorted(found.items())}


KNOWN: Mapping[str, Known] = MappingProxyType(_known())
"""The programs that need no package named, by their names."""


def packages(program: Program, release: str) -> tuple[str, ...]:
    """Return what the site's package depends on for a program; nothing if the release is known not to have it."""
    if program.packages is not None:
        return program.packages
    return tuple(package for name, package in _by_path(program.path) if name == release)


def lacking(program: Program, releases: Iterable[str]) -> tuple[str, ...]:
    """Return those releases that do not ship a well-known program."""
    if program.packages is not None:
        return ()
    shipping = dict(_by_path(program.path))
    return tuple(name for name in releases if name not in shipping)


def _by_path(path: str) -> tuple[tuple[str, str], ...]:
    known = KNOWN.get(path.rpartition("/")[2])
    return known.packages if known and known.path == path else ()


def interests(programs: Iterable[Program], release: str) -> tuple[str, ...]:
    """Return the paths whose change makes dpkg tell the site's package: the programs, as both releases spell them, the
    declared files, and a file that every package has, for programs behind /etc/alternatives and their data."""
    found: set[str] = set()
    for program in programs:
        found |= {program.path, *_unmerged(program.path)}
        found |= {_fixed(pattern) for pattern in program.files}
        for package in _with_data(packages(program, release)):
            found.add(f"/usr/share/doc/{package}")
    return tuple(sorted(found))


def _unmerged(path: str) -> tuple[str, ...]:
    """dpkg compares the names in packages: those of bookworm still ship /bin/tar."""
    return (path.removeprefix("/usr"),) if re.match(r"/usr/(?:s?bin|lib)/", path) else ()


def _with_data(names: Iterable[str]) -> Iterator[str]:
    for name in (single for alternatives in names for single in alternatives.split(" | ")):
        yield from (name, *DATA_PACKAGES.get(name, ()))


def _fixed(pattern: str) -> str:
    """Return the part of a pattern before its first wildcard: a file trigger covers all that lies below."""
    parts = pattern.split("/")
    wild = next((index for index, part in enumerate(parts) if _WILDCARD.search(part)), len(parts))
    return "/".join(parts[:wild])


def _program_text() -> ScalarRule[str]:
    """A program by its name or path, turned into its path on a merged /usr."""

    def convert(text: str) -> str:
        if _NAME.fullmatch(text):
            return f"/usr/bin/{_refuse_foreign(text)}"
        path = f"/usr{text}" if re.match(r"/s?bin/", text) else text
        if not path.startswith("/"):
            raise RejectedError("write its name, or its path from the root; arguments are the caller's")
        if not path.startswith("/usr/"):
            hint = f"put it, or a copy of it, into /usr/local/bin: /usr/local/bin/{path.rpartition('/')[2]}"
            raise RejectedError(hint, f"a jail has programs of /usr only, found {quote(text)}")
        if not _PATH.fullmatch(path):
            raise RejectedError("use a-z, A-Z, 0-9, dot, underscore, plus and dash")
        _refuse_foreign(path.rpartition("/")[2])
        return path

    schema = {"type": "string", "maxLength": 200}
    return ScalarRule("the name of a program, or its path below /usr", convert, schema)


def _refuse_foreign(name: str) -> str:
    if name in ELSEWHERE:
        raise RejectedError(ELSEWHERE[name], f"{quote(name)} cannot be declared here")
    return name


def _package() -> ScalarRule[str]:
    expected = "the name of a Debian package, or several to choose from with | between them"
    return word(expected, _PACKAGES, lambda text: "apt needs no version here" if "(" in text else "")


def _pattern() -> ScalarRule[str]:
    """Files that a program needs: at least two directories below the root before the first wildcard."""

    def hint(text: str) -> str:
        return "" if text.startswith(("/usr/", "/etc/")) else "a jail has files of /usr and /etc only"

    rule = word("a path below /usr or /etc, where * is any name and ** any depth", _PATTERN, hint)

    def convert(text: str) -> str:
        path = rule.convert(text)
        least = 2 if path.startswith("/etc/") else 3
        if _fixed(path).count("/") < least:
            raise RejectedError("name the program's own directory", f"{quote(path)} is half of the system")
        return path

    return ScalarRule(rule.expected, convert, rule.schema)


KEYS: dict[str, Rule[Any]] = {
    "name": _program_text(),
    "packages": ListRule(_package(), "Debian packages"),
    "files": ListRule(_pattern(), "paths of files"),
}


@dataclass(frozen=True, slots=True)
class ProgramRule:
    """A program by its name or path, or a group of keys that says more about it."""

    expected: str = "the name of a program, its path below /usr, or a group of the keys name, packages, files"

    def read(self, node: Node, path: str, reading: Reading) -> Program:
        if isinstance(node, Refused):
            raise UnreadError(path)
        if isinstance(node, document.Mapping):
            return self._group(node, path, reading)
        if not isinstance(node, Scalar) or node.missing:
            message = f"expected {self.expected}, found {document.kind(node)}"
            raise reading.refuse(node.location, path, message, "for example: pdftotext")
        return self._settled(Program(KEYS["name"].read(node, path, reading), None, ()), node, path, reading)

    def _group(self, node: document.Mapping, path: str, reading: Reading) -> Program:
        before = len(reading.problems)
        values = {key.text: value_of(KEYS, key, value, path, reading) for key, value in node.entries}
        if "name" not in values:
            reading.refuse(node.location, join(path, "name"), "is missing", "every program has a name")
        if len(reading.problems) > before:
            raise UnreadError(path)
        program = Program(values["name"], values.get("packages"), values.get("files", ()))
        return self._settled(program, node, path, reading)

    def _settled(self, program: Program, node: Node, path: str, reading: Reading) -> Program:
        """Return a program whose packages are known; what lies in /usr/local is in none of Debian's."""
        if program.packages is not None or _by_path(program.path):
            return program
        if program.path.startswith("/usr/local/"):
            return Program(program.path, (), program.files)
        name = program.path.rpartition("/")[2]
        hint = f"name it: {{name: {name}, packages: [...]}}; where it is installed, `dpkg -S {program.path}` tells"
        close = suggest(name, tuple(KNOWN))
        message = f"which Debian package {quote(program.path)} is in is not known here"
        raise reading.refuse(node.location, path, message, f"{close} else {hint}" if close else hint)

    def json_schema(self) -> dict[str, object]:
        properties = {key: rule.json_schema() for key, rule in KEYS.items()}
        group = {"type": "object", "additionalProperties": False, "properties": properties, "required": ["name"]}
        return {"anyOf": [KEYS["name"].json_schema(), group]}


@dataclass(frozen=True, slots=True)
class ProgramsRule:
    """A list of programs, no path twice."""

    expected: str = "a list of programs, each a name, a path below /usr, or a group of the keys name, packages, files"

    def read(self, node: Node, path: str, reading: Reading) -> tuple[Program, ...]:
        programs = ListRule(ProgramRule(), "programs").read(node, path, reading)
        seen: dict[str, int] = {}
        for index, program in enumerate(programs):
            if program.path in seen:
                place = f"{path}[{index}]"
                reading.refuse(reading.origins[place], place, f"{program.path} again", "keep one")
            seen.setdefault(program.path, index)
        return programs

    def json_schema(self) -> dict[str, object]:
        return {"type": "array", "items": ProgramRule().json_schema()}
