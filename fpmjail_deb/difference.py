# SPDX-License-Identifier: GPL-2.0-or-later
"""What one package changes against another, in the words of whoever runs the server. Pure functions.

Comments, the changelog and the lines that a package says it comes from are no change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from debian.debian_support import Version

from fpmjail_deb.contents import Directory, Entry, File, PackagePlan, Symlink
from fpmjail_deb.site_json import found_in

UNITS = "usr/lib/systemd/system/"
DATA = "usr/share/fpmjail/sites/"
VIRTUAL_HOSTS = ("/apache.conf", "/nginx.conf", "/nginx-ipv6.conf", "/nginx-tls.conf", "/nginx-tls-ipv6.conf")
NO_CHANGE = ("site.json", "changelog.gz", "copyright")
"""Files of which the change is told elsewhere, or follows from every new version."""

PART_OF_FACTS: Mapping[str, str] = {
    "profile": "image",
    "sandbox": "walls",
    "filesystem": "mounts",
    "cron": "jobs",
    "environment": "environment",
    "jail": "reach of the jail",
}
UNTOLD_FACTS = frozenset({"format", "generator", "source", "site", "package", "version", "release", "origins", "units"})
LISTS = frozenset({"Depends", "Pre-Depends", "Recommends", "Suggests", "Conflicts", "Breaks", "Replaces", "Provides"})

_KEY = re.compile(r"([^\s=]+)\s*=\s*(.*)|(\S+)\s+(.*)")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was. `part` is a heading, `where` a place in a file, as `[Service]`.

    With a `subject` it has another value, else a line or an item goes (`new` is None) or comes (`old` is None).
    """

    part: str
    where: str
    subject: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file that is no comment, and the block that it stands in."""

    text: str
    where: str


def changes(old: PackagePlan, new: PackagePlan) -> tuple[Change, ...]:
    """Return all that is different in the new package, part by part."""
    return (*_fields(old, new), *_facts(found_in(old), found_in(new)), *_files(old, new), *_scripts(old, new))


def consequences(old: PackagePlan, new: PackagePlan) -> tuple[str, ...]:
    """Return what happens on a server that has the old package when the new one comes, as far as it needs thought."""
    before, after = found_in(old), found_in(new)
    return (*_of_version(old.version, new.version), *_of_units(old, new, before, after), *_of_places(before, after))


def _of_version(old: str, new: str) -> Iterator[str]:
    if Version(new) < Version(old):
        yield f"{new} is lower than {old}: apt installs it with --allow-downgrades only"


def _of_units(old: PackagePlan, new: PackagePlan, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if _at(before, "profile.id") != _at(after, "profile.id"):
        yield "the jail gets another image, built and tried first; then PHP starts anew, and requests wait for it"
    elif _texts(old, _read_by_php(before)) != _texts(new, _read_by_php(after)):
        yield _of_php(before, after)
    if _texts(old, (".socket",)) != _texts(new, (".socket",)):
        yield "the socket is closed and opened: requests of that moment fail"
    if _texts(old, VIRTUAL_HOSTS) != _texts(new, VIRTUAL_HOSTS):
        yield "the web server is reloaded"


def _of_php(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if _at(after, "isolation") == "shared":
        return "PHP is reloaded"
    if _at(after, "filesystem.read_only") and not _at(before, "filesystem.read_only"):  # jail.mounts: private
        return "PHP starts anew, and requests wait for it"
    return "a new PHP takes the place of the old one: no request waits"


def _of_places(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    user = _at(after, "user.name")
    if _at(before, "user.name") != user:
        yield f"files that belong to {_at(before, 'user.name')} stay so: give them to {user} yourself"
    root = _at(before, "paths.document_root")
    if root != _at(after, "paths.document_root"):
        yield f"what is in {root} stays there: move it yourself"
    for host in _at(before, "web.domains") or ():
        if host not in (_at(after, "web.domains") or ()):
            yield f"{host} no longer leads to this site"


def _read_by_php(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ends of the paths of the files whose change asks for a new PHP."""
    units = (_at(facts, "units.service"), *(_at(facts, "units.mounts") or ()))
    return ("/pool.conf", *(f"/{unit}" for unit in units))


def _texts(package: PackagePlan, endings: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what means something in the files whose paths end so."""
    files = (file for file in package.files if file.path.startswith((UNITS, DATA)) and file.path.endswith(endings))
    return {file.path: [line.text for line in lines(file.content.decode())] for file in files}


def _at(facts: Mapping[str, Any], path: str) -> Any:
    value: Any = facts
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _fields(old: PackagePlan, new: PackagePlan) -> Iterator[Change]:
    before, after = dict(old.control), dict(new.control)
    for name in dict.fromkeys((*before, *after)):
        if name == "Version":  # every change has another one
            continue
        if name in LISTS:
            items = (tuple(fields[name].split(", ")) if name in fields else () for fields in (before, after))
            yield from _of_lists("package", name, *items)
        else:
            yield from _of_values("package", name, before.get(name), after.get(name))


def _of_values(part: str, subject: str, old: str | None, new: str | None) -> Iterator[Change]:
    if old != new:
        yield Change(part, "", subject, old, new)


def _of_lists(part: str, subject: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    gone = [item for item in old if item not in new]
    come = [item for item in new if item not in old]
    yield from (Change(part, subject, "", item, None) for item in gone)
    yield from (Change(part, subject, "", None, item) for item in come)
    if not gone and not come and tuple(old) != tuple(new):
        yield Change(part, "", subject, ", ".join(old), ", ".join(new))


def _facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = dict(_flat(old, "")), dict(_flat(new, ""))
    for path in dict.fromkeys((*before, *after)):
        group, _, rest = path.partition(".")
        part, subject = (PART_OF_FACTS[group], rest or path) if group in PART_OF_FACTS else ("site", path)
        one, other = before.get(path), after.get(path)
        if isinstance(one, tuple) or isinstance(other, tuple):
            yield from _of_lists(part, subject, _items(one), _items(other))
        else:
            yield from _of_values(part, subject, one, other)


def _items(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _flat(value: Any, path: str) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Yield the values of JSON by their paths; a list of things with names is a group of those."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if path or key not in UNTOLD_FACTS:
                yield from _flat(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        yield from _flat({item["name"]: {**item, "name": None} for item in value}, path)
    elif isinstance(value, list):
        yield path, tuple("=".join(map(str, item)) if isinstance(item, list) else str(item) for item in value)
    elif value is not None:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _files(old: PackagePlan, new: PackagePlan) -> Iterator[Change]:
    before = {entry.path: entry for entry in old.entries if not isinstance(entry, Directory)}
    after = {entry.path: entry for entry in new.entries if not isinstance(entry, Directory)}
    for path in sorted({*before, *after}):
        if PurePosixPath(path).name not in NO_CHANGE:
            yield from _file(path, before.get(path), after.get(path))


def _file(path: str, old: Entry | None, new: Entry | None) -> Iterator[Change]:
    part = part_of(path)
    if old is None or new is None:
        yield Change("files", "", "", f"/{path}" if old else None, f"/{path}" if new else None)
    elif isinstance(old, File) and isinstance(new, File):
        yield from _of_values(part, "mode", f"{old.mode:04o}", f"{new.mode:04o}")
        yield from _content(part, old, new)
    else:
        yield from _of_values(part, "kind", _kind(old), _kind(new))


def part_of(path: str) -> str:
    """Return the heading under which the changes of a file are told."""
    name = PurePosixPath(path).name
    if path.startswith(DATA) and name == "pool.conf":
        return "PHP pool"
    if path.startswith(DATA) and f"/{name}" in VIRTUAL_HOSTS:
        return f"virtual host ({name})"
    return f"unit {name}" if path.startswith(UNITS) else f"file /{path}"


def _kind(entry: Entry) -> str:
    return f"link to {entry.target}" if isinstance(entry, Symlink) else "file"


def _content(part: str, old: File, new: File) -> Iterator[Change]:
    try:
        texts = old.content.decode(), new.content.decode()
    except UnicodeDecodeError:
        yield from _of_values(part, "SHA-256", old.sha256, new.sha256)
        return
    yield from _of_lines(part, *map(lines, texts))


def _scripts(old: PackagePlan, new: PackagePlan) -> Iterator[Change]:
    before, after = dict(old.scripts), dict(new.scripts)
    for name in sorted({*before, *after}):
        yield from _of_lines(f"script {name}", lines(before.get(name, "")), lines(after.get(name, "")))


def lines(text: str) -> tuple[Line, ...]:
    """Return the lines that mean something, each with its block: `[Service]`, `<VirtualHost *:80>`, `location / {`."""
    found: list[Line] = []
    blocks: list[str] = []
    section = ""
    for line in (line.strip() for line in text.splitlines()):
        if not line or line[0] in "#;":
            continue
        if re.fullmatch(r"\[[A-Za-z][\w.-]*\]", line):
            section = line
        elif re.match(r"</[A-Za-z]+>$|}$", line) and blocks:
            blocks.pop()
        found.append(Line(line, " ".join((*((section,) if section and section != line else ()), *blocks))))
        if re.match(r"<[A-Z][A-Za-z]*[ >]", line) or line.endswith("{"):
            blocks.append(line.removesuffix("{").strip())
    return tuple(found)


def _of_lines(part: str, old: Sequence[Line], new: Sequence[Line]) -> Iterator[Change]:
    matcher = difflib.SequenceMatcher(None, [line.text for line in old], [line.text for line in new], autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind != "equal":
            yield from _of_block(part, old[old_from:old_to], new[new_from:new_to])


def _of_block(part: str, old: Sequence[Line], new: Sequence[Line]) -> Iterator[Change]:
    """Yield the changes of lines that stand at the same place; two with one key are one change."""
    before, after = _by_key(old, part), _by_key(new, part)
    for key, line in before.items():
        if key in after:
            yield Change(part, line.where, key, _value(line.text), _value(after[key].text))
    yield from (Change(part, line.where, "", line.text, None) for line in old if line not in _shared(before, after))
    yield from (Change(part, line.where, "", None, line.text) for line in new if line not in _shared(after, before))


def _shared(one: Mapping[str, Line], other: Mapping[str, Line]) -> Iterable[Line]:
    return [line for key, line in one.items() if key in other]


def _by_key(block: Sequence[Line], part: str) -> Mapping[str, Line]:
    """Return the settings among some lines; a key that stands there twice is none, nor are lines of a script."""
    if part.startswith("script "):
        return {}
    keys = [_key(line.text) for line in block]
    return {key: line for key, line in zip(keys, block, strict=True) if key and keys.count(key) == 1}


def _key(text: str) -> str:
    found = None if text[0] in "<[}" else _KEY.fullmatch(text)
    return (found[1] or found[3]) if found else ""


def _value(text: str) -> str:
    found = _KEY.fullmatch(text)
    return (found[2] if found[1] else found[4]) if found else text


@dataclass(frozen=True, slots=True)
class Difference:
    """Two packages, and where they come from; `old` is None for a package that is new."""

    package: str
    release: str
    old: PackagePlan | None
    old_place: str
    new: PackagePlan
    new_place: str

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return all that is different."""
        return changes(self.old, self.new) if self.old else ()

    @property
    def consequences(self) -> tuple[str, ...]:
        """Return what follows from the changes, for whoever builds and for servers."""
        if not self.old or not self.different:
            return ()
        refused = f"`fpmjail-deb build` refuses this under the same version, {self.new.version}: raise it"
        return (*((refused,) if self.old.version == self.new.version else ()), *consequences(self.old, self.new))

    @property
    def different(self) -> bool:
        """Whether there is anything to publish."""
        return self.old is None or self.old.version != self.new.version or bool(self.changes)

    def to_json(self) -> Mapping[str, object]:
        """Return everything for programs."""
        return {
            "package": self.package,
            "release": self.release,
            "different": self.different,
            "old": {"version": self.old.version, "from": self.old_place} if self.old else None,
            "new": {"version": self.new.version, "from": self.new_place},
            "changes": [asdict(change) for change in self.changes],
            "consequences": list(self.consequences),
        }

    def text(self) -> str:
        """Return what an administrator reads before the new package is published."""
        name = f"{self.package} for {self.release}"
        if not self.old:
            return f"{name}: {self.new.version} is new, there is none in {self.old_place}"
        head = f"{name}: {self.old.version} -> {self.new.version}\n  from {self.old_place}\n  to {self.new_place}"
        after = ("  what follows", *(f"    {words}" for words in self.consequences)) if self.consequences else ()
        return "\n".join((head, *(text(self.changes) if self.changes else ("  nothing but the version",)), *after))


def text(found: Iterable[Change]) -> Iterator[str]:
    """Yield the lines that tell changes: headings, places, and what is there now."""
    part = where = ""
    for change in found:
        if change.part != part:
            part, where = change.part, ""
            yield f"  {part}"
        if change.where != where:
            where = change.where
            if where:
                yield f"    {where}"
        yield from _told(change, "      " if where else "    ")


def _told(change: Change, indent: str) -> Iterator[str]:
    if change.subject and change.old is not None and change.new is not None and "\n" not in change.old + change.new:
        yield f"{indent}{change.subject}: {change.old or 'nothing'} -> {change.new or 'nothing'}"
        return
    name = f"{change.subject}: " if change.subject else ""
    for sign, value in (("-", change.old), ("+", change.new)):
        if value is not None:
            yield f"{indent}{sign} {name}" + value.replace("\n", f"\n{indent}  ")
