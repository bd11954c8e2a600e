# SPDX-License-Identifier: MIT
"""Which shared libraries a program or module needs, found as ld.so(8) finds them.

The jail has no ld.so.cache: it would change with every library that is installed anywhere. So libraries that only
the cache would find are reported as `outside`, to be linked into the default directory. The cache's other gift,
glibc-hwcaps, holds faster builds of libraries whose plain build every Debian package ships as well: left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fpmjail import elf
from fpmjail.elf import Object
from fpmjail.host import Host, multiarch


@dataclass(frozen=True, slots=True)
class Libraries:
    """A closure: host paths of all objects; (library, needed by) not found; (link, target) for libraries outside."""

    paths: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    outside: tuple[tuple[str, str], ...]


_known: dict[tuple[int, int, int, int], Object | None] = {}


def read_object(path: Path) -> Object | None:
    """The dynamic section of an ELF file, remembered while the file is the same; None if it is not ELF."""
    status = path.stat()
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _known:
        _known[key] = elf.read(path)
    return _known[key]


@dataclass(frozen=True, slots=True)
class _Loaded:
    path: str
    rpath: tuple[str, ...]


class Closure:
    """Collects objects and all they need, breadth first as ld.so does; each object is looked at once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        places = (f"/lib/{multiarch()}", f"/usr/lib/{multiarch()}", "/lib", "/usr/lib")
        self._default = tuple(dict.fromkeys(host.resolve(place).path for place in places))
        self._configured = tuple(dict.fromkeys(self._read_configuration("/etc/ld.so.conf", 0)))

    def _read_configuration(self, path: str, depth: int) -> list[str]:
        """The directories of ld.so.conf in order (ldconfig(8)), with its `include` lines."""
        directories: list[str] = []
        for line in (self._host.read(path) or b"").decode(errors="surrogateescape").splitlines():
            words = line.partition("#")[0].split()
            if len(words) == 2 and words[0] == "include" and depth < 5:
                pattern = words[1] if words[1].startswith("/") else posixpath.join(posixpath.dirname(path), words[1])
                for included in self._host.glob(pattern):
                    directories += self._read_configuration(included, depth + 1)
            elif len(words) == 1 and words[0].startswith("/"):
                directories.append(self._host.resolve(words[0]).path)
        return directories

    def of(self, paths: Iterable[str]) -> Libraries:
        """The closure of these host paths. What is not ELF needs nothing."""
        found: dict[str, str] = {}
        lacking: dict[str, str] = {}
        outside: dict[str, str] = {}
        queue = [_Loaded(path, ()) for path in paths]
        seen: dict[str, None] = {}
        for loaded in queue:  # grows while it is walked
            canonical = self._host.resolve(loaded.path).path
            seen[loaded.path] = None
            one = read_object(Path(self._host.place(canonical)))
            if one is None:
                continue
            if one.interpreter and one.interpreter not in seen:
                queue.append(_Loaded(one.interpreter, ()))
                seen[one.interpreter] = None
            rpath = () if one.runpath else one.rpath + loaded.rpath
            for name in one.needed:
                path, by_cache = self._find(name, one, posixpath.dirname(canonical), rpath)
                if path is None:
                    lacking[name] = loaded.path
                    continue
                found[name] = path
                if by_cache:
                    outside[f"{self._default[0]}/{name}"] = path
                if path not in seen:
                    seen[path] = None
                    queue.append(_Loaded(path, rpath))
        # A library that somebody else brings along is loaded already when it is asked for.
        missing = tuple((name, by) for name, by in lacking.items() if name not in found)
        return Libraries(tuple(seen), missing, tuple(outside.items()))

    def _find(self, name: str, one: Object, origin: str, rpath: tuple[str, ...]) -> tuple[str | None, bool]:
        """(path, whether only the cache finds it) of a needed library, in the order of ld.so(8)."""
        if "/" in name:
            path = _expand(name, origin)
            return (path if self._fits(path, one) else None), False
        for directory in (*rpath, *one.runpath):
            path = f"{_expand(directory, origin)}/{name}"
            if self._fits(path, one):
                return path, False
        for directory in (*self._configured, *self._default):
            path = f"{directory}/{name}"
            if self._fits(path, one):
                return path, directory not in self._default
        return None, False

    def _fits(self, path: str, one: Object) -> bool:
        resolved = self._host.resolve(path)
        if not resolved.is_file:
            return False
        candidate = read_object(Path(self._host.place(resolved.path)))
        return candidate is not None and candidate.machine == one.machine


def _expand(path: str, origin: str) -> str:
    """The tokens of ld.so(8); $PLATFORM is not used in Debian."""
    for token, value in (("ORIGIN", origin), ("LIB", f"lib/{multiarch()}")):
        path = path.replace(f"${{{token}}}", value).replace(f"${token}", value)
    return posixpath.normpath(path)
