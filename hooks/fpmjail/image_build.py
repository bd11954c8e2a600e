# SPDX-License-Identifier: MIT
"""Builds a generation: copies of the host's files, complete and on the disk before it gets its name."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpmjail import image
from fpmjail.files import make_public, replace_json, sync_directory, sync_filesystem
from fpmjail.image import ImageError
from fpmjail.layout import Layout
from fpmjail.manifest import BOUND, FILE, LINK, Entry, Manifest, digest_of
from fpmjail.mounts import discard

if TYPE_CHECKING:
    from fpmjail.site import Profile
    from fpmjail.wanted import Item, Wanted

_LARGEST_FILE = 512 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class NoSpace(ImageError):
    """The disk is full; the candidate was taken away again."""


class SourceChanged(ImageError):
    """A file of the host changed while it was copied: work out what is wanted again."""


def build(
    layout: Layout, profile: Profile, wanted: Wanted, owners: Mapping[str, tuple[str, str]] | None = None
) -> Manifest:
    """Make the generation for `wanted`, complete and on the disk, but not switched to; return its manifest.

    Files that the current generation holds with the same content become hard links to it: generations never change.
    If the generation is there already and sound it is left alone; a damaged one is exchanged by one rename. `owners`
    is what packages.owners said of `wanted.sources`; it is asked here if not given.
    Raises SourceChanged, NoSpace, ImageError (also if anything is missing), packages.PackageError.
    """
    if wanted.missing:
        raise ImageError("; ".join(str(missing) for missing in wanted.missing))
    if owners is None:
        from fpmjail import packages

        owners = packages.owners(wanted.sources, layout.root)
    place = layout.image(profile.id)
    candidate = place / f"{image.UNFINISHED}{os.getpid()}"
    try:
        _prepare(layout, profile)
        manifest = _fill(layout, profile, wanted, owners, candidate)
        _finish(layout, manifest, candidate)
        image.write_inputs(place, manifest.digest, wanted)
    except BaseException as error:
        discard(candidate)
        if isinstance(error, OSError):
            raise _image_error(error, place, wanted) from error
        raise
    return manifest


def _prepare(layout: Layout, profile: Profile) -> None:
    place = layout.image(profile.id)
    for directory in (layout.images.parent, layout.images, place, place / "live"):
        make_public(directory)
    image.sweep(layout, profile.id)
    replace_json(place / "profile.json", {"id": profile.id, **profile.content()})


def _image_error(error: OSError, place: Path, wanted: Wanted) -> ImageError:
    if error.errno not in _FULL:
        return ImageError(f"the image cannot be built: {error}")
    free = os.statvfs(next(path for path in (place, *place.parents) if path.is_dir()))
    sources = {item.source for item in wanted.items}
    needed = sum(known[1] for path, known in wanted.inputs.items() if known and path in sources)
    if free.f_files > 0 and free.f_favail < len(wanted.items):
        return NoSpace(
            f"no inodes are left for the image in {place}: it needs up to {len(wanted.items)}, "
            f"{free.f_favail} are free (df -i); the present one stays in use"
        )
    return NoSpace(
        f"no space for the image in {place}: it needs up to {needed // 1_000_000 + 1} MB, "
        f"{free.f_bavail * free.f_frsize // 1_000_000} MB are free; the present one stays in use"
    )


def _fill(
    layout: Layout, profile: Profile, wanted: Wanted, owners: Mapping[str, tuple[str, str]], candidate: Path
) -> Manifest:
    candidate.mkdir()
    candidate.chmod(0o755)
    copier = _Copier(str(layout.root).rstrip("/"), candidate, wanted, _linkable(layout, profile.id))
    entries = tuple(_entry(item, *copier.put(item), *_owner(item, owners)) for item in wanted.items)
    return Manifest(profile.id, digest_of(entries), image.now(), entries)


def _owner(item: Item, owners: Mapping[str, tuple[str, str]]) -> tuple[str, str] | tuple[None, None]:
    return owners.get(item.owner or item.source, (None, None))


def _linkable(layout: Layout, profile_id: str) -> dict[tuple[str, int], Path]:
    manifest = image.read_manifest(layout, profile_id, image.current(layout, profile_id))
    if manifest is None:
        return {}
    place = layout.image(profile_id) / manifest.digest
    return {(e.sha256, int(e.mode, 8)): place / e.path for e in manifest.entries if e.type == FILE}


def _entry(item: Item, size: int, digest: str, package: str | None, version: str | None) -> Entry:
    return Entry(
        path=item.path,
        type=item.kind,
        mode=f"{item.mode:04o}",
        size=size,
        sha256=digest,
        target=item.target,
        source=item.source,
        package=package,
        version=version,
        capability=item.capability,
    )


class _Copier:
    """Fills one candidate; `old` maps (sha256, mode) to files of the current generation that may be linked to."""

    def __init__(self, root: str, candidate: Path, wanted: Wanted, old: Mapping[tuple[str, int], Path]) -> None:
        self._root = root
        self._candidate = candidate
        self._wanted = wanted
        self._old = old

    def put(self, item: Item) -> tuple[int, str]:
        """Make one thing; (size, sha256) of a file."""
        place = self._candidate / item.path
        if item.kind == FILE:
            return self._copy(item, place)
        if item.kind == BOUND:
            return self._measure(item)
        if item.kind == LINK:
            place.symlink_to(item.target)
        else:
            place.mkdir()
            place.chmod(0o755)
        return 0, ""

    def _copy(self, item: Item, place: Path) -> tuple[int, str]:
        import hashlib

        content, modified = self._read(item.source)
        digest = hashlib.sha256(content).hexdigest()
        if not self._link(item, place, digest, content, modified):
            _write(place, content, item.mode, modified)
        return len(content), digest

    def _measure(self, item: Item) -> tuple[int, str]:
        """Nothing is copied, but a change of it makes another generation, which the masters take up."""
        import hashlib

        content, _ = self._read(item.source)
        return len(content), hashlib.sha256(content).hexdigest()

    def _read(self, source: str) -> tuple[bytes, int]:
        """The content and the mtime in ns of exactly the file that was planned."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._root + source, flags)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise SourceChanged(f"{source} vanished while it was copied") from error
            raise
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if before.st_size > _LARGEST_FILE:
                raise ImageError(f"{source} is larger than {_LARGEST_FILE >> 20} MiB")
            content = file.read() if stat.S_ISREG(before.st_mode) else b""
            self._check(source, before)
            self._check(source, os.fstat(descriptor))
        return content, before.st_mtime_ns

    def _check(self, source: str, status: os.stat_result) -> None:
        from fpmjail.host import stamp

        if self._wanted.inputs.get(source) != stamp(status):
            raise SourceChanged(f"{source} changed while it was copied")

    def _link(self, item: Item, place: Path, digest: str, content: bytes, modified: int) -> bool:
        """A hard link to the older copy, if that still is what its manifest says."""
        old = self._old.get((digest, item.mode))
        if old is None or not _is_sound(old, item.mode, modified, content):
            return False
        try:
            place.hardlink_to(old)
        except OSError as error:
            if error.errno == errno.EMLINK:
                return False
            raise
        return True


def _is_sound(path: Path, mode: int, modified: int, content: bytes) -> bool:
    try:
        status = path.lstat()
        alike = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == mode
        same = alike and (status.st_mtime_ns, status.st_uid) == (modified, os.geteuid())
        return same and path.read_bytes() == content
    except OSError:
        return False


def _write(place: Path, content: bytes, mode: int, modified: int) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(modified, modified))


def _finish(layout: Layout, manifest: Manifest, candidate: Path) -> None:
    """Everything on the disk, then the manifest, then the name."""
    place = candidate.parent
    final = place / manifest.digest
    if final.is_dir() and not image.verify(layout, manifest):
        discard(candidate)
        write_manifest(place, manifest)
        return
    sync_filesystem(candidate)
    write_manifest(place, manifest)
    if final.is_dir():
        _exchange(candidate, final)
        discard(candidate)
    else:
        candidate.rename(final)
    sync_directory(place)


def write_manifest(place: Path, manifest: Manifest) -> None:
    """The same generation keeps its birthday and its number; who owns its files may change."""
    from dataclasses import asdict

    path = place / f"{manifest.digest}.json"
    number = image.number(place, manifest.digest) or 1 + max(
        (image.number(place, one.stem) for one in place.glob("*.json")), default=0
    )
    value: dict[str, Any] = {"format": image.FORMAT, "number": number, **asdict(manifest)}
    with suppress(OSError, ValueError, KeyError, TypeError):
        value["created"] = str(json.loads(path.read_bytes())["created"])
    replace_json(path, value)


def _exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE: at no moment is either name missing."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    here, exchange = ctypes.c_int(-100), ctypes.c_uint(2)  # AT_FDCWD, RENAME_EXCHANGE
    if library.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
