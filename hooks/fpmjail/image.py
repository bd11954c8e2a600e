# SPDX-License-Identifier: MIT
"""Images: complete, immutable generations of copies below images/PROFILE, switched by one rename(2).

A generation exists when its manifest and its directory do; the directory gets its name last, the manifest goes first.
Everything unfinished is named `.build-*` and swept by the next run. Callers hold the lock (files.lock).
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpmjail import __version__
from fpmjail.files import is_temporary, lock, replace_file, replace_link, sync_directory, sync_filesystem
from fpmjail.layout import Layout

if TYPE_CHECKING:
    from fpmjail.site import Profile
    from fpmjail.wanted import Item, Live, Wanted

FORMAT = 1
FILE, LINK, DIRECTORY, BOUND = "file", "link", "directory", "bound"
UNFINISHED = ".build-"
_DIGEST = re.compile(r"[0-9a-f]{16}")
_LARGEST_FILE = 512 << 20
_LARGEST_LIVE = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class ImageError(Exception):
    """An image cannot be built, read or switched; what was there stays."""


class NoSpace(ImageError):
    """The disk is full; the candidate was taken away again."""


class SourceChanged(ImageError):
    """A file of the host changed while it was copied: work out what is wanted again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a generation; `sha256` and `size` of files, `target` of links;
    a bound file is no copy, the jail sees the server's own; `package` is None if nobody's."""

    path: str
    type: str
    mode: str
    size: int
    sha256: str
    target: str
    source: str
    package: str | None
    version: str | None
    capability: str

    @property
    def face(self) -> tuple[str, str, str, str]:
        """What a jail can see of it, not where it came from."""
        return self.path, self.type, self.mode, self.target if self.type == LINK else self.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation holds. `created` is a time in UTC as ISO 8601."""

    profile: str
    digest: str
    created: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all copies."""
        return sum(entry.size for entry in self.entries if entry.type == FILE)


@dataclass(frozen=True, slots=True)
class Generation:
    """A complete generation; `created` in seconds since 1970."""

    digest: str
    created: float
    current: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths that an image gained, lost, and that have other content, kind or mode."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """A stop sign: `digest` must not be switched to again, and with `manual` (an administrator rolled back) nothing
    else either. `since` is a time in UTC as ISO 8601."""

    digest: str
    reason: str
    since: str
    manual: bool


@dataclass(frozen=True, slots=True)
class Followed:
    """What follow_live did: names of files that got other content, and what it could not follow."""

    changed: tuple[str, ...]
    problems: tuple[str, ...]


def current(layout: Layout, profile_id: str) -> str | None:
    """The digest that `current` names, None if there is none or it is not complete."""
    digest = _link_target(layout.image(profile_id))
    return digest if digest and _is_complete(layout.image(profile_id), digest) else None


def _link_target(place: Path) -> str | None:
    try:
        return str((place / "current").readlink())
    except OSError:
        return None


def _is_complete(place: Path, digest: str) -> bool:
    return bool(_DIGEST.fullmatch(digest)) and (place / digest).is_dir() and (place / f"{digest}.json").is_file()


def generations(layout: Layout, profile_id: str) -> list[Generation]:
    """The complete generations, the newest first, whatever the clock said when they were built."""
    place = layout.image(profile_id)
    used = _link_target(place)
    complete = [path.stem for path in place.glob("*.json") if _is_complete(place, path.stem)]
    found = [Generation(digest, (place / digest).stat().st_mtime, digest == used) for digest in complete]
    return sorted(found, key=lambda one: (_number(place, one.digest), one.created), reverse=True)


def _number(place: Path, digest: str) -> int:
    """How many generations of the profile were counted when this one was built; 0 for one of an fpmjail that did not
    count, or whose manifest cannot be read: it is older than all that were counted."""
    try:
        number = json.loads((place / f"{digest}.json").read_bytes())["number"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
    return number if isinstance(number, int) else 0


def read_manifest(layout: Layout, profile_id: str, digest: str | None) -> Manifest | None:
    """The manifest of a generation; None if there is none, or if it is not what its name says."""
    try:
        value = json.loads((layout.image(profile_id) / f"{digest}.json").read_bytes())
        entries = tuple(Entry(**entry) for entry in value["entries"])
        manifest = Manifest(value["profile"], value["digest"], value["created"], entries)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    honest = (manifest.profile, manifest.digest, _digest(entries)) == (profile_id, digest, digest)
    return manifest if honest else None


def _digest(entries: Iterable[Entry]) -> str:
    import hashlib

    content = json.dumps(sorted(entry.face for entry in entries), separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


# --- what the last look at the host led to ---


def known_digest(layout: Layout, profile_id: str) -> str | None:
    """The complete generation that the host's present state leads to, None if that has to be worked out again.

    Takes milliseconds: it only looks at stamps, of every file that was copied, every directory that was listed, every
    path that was looked for in vain, every definition, and the generation itself.
    """
    place = layout.image(profile_id)
    root = str(layout.root).rstrip("/")
    try:
        known = json.loads((place / "inputs.json").read_bytes())
        digest = str(known["digest"])
        if (known["format"], known["fpmjail"]) != (FORMAT, __version__) or not _is_complete(place, digest):
            return None
        own = all(_same(f"{place}/{name}", wanted) for name, wanted in known["generation"].items())
        return digest if own and all(_same(root + path, seen) for path, seen in known["inputs"].items()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def unchanged(layout: Layout, profile_id: str) -> bool:
    """True if `current` still is what the host's present state leads to."""
    digest = known_digest(layout, profile_id)
    return digest is not None and digest == current(layout, profile_id)


def _same(place: str, wanted: list[int] | None) -> bool:
    try:
        status = os.lstat(place)
    except OSError:
        return wanted is None
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns] == wanted


def forget_inputs(layout: Layout, profile_id: str) -> None:
    """Let the next refresh work everything out again, and look at each copy."""
    (layout.image(profile_id) / "inputs.json").unlink(missing_ok=True)


def _write_inputs(place: Path, digest: str, wanted: Wanted) -> None:
    from fpmjail.host import stamp

    value = {
        "format": FORMAT,
        "fpmjail": __version__,
        "digest": digest,
        "generation": {name: stamp((place / name).lstat()) for name in (digest, f"{digest}.json")},
        "live": [[live.name, live.source, live.default] for live in wanted.live],
        "inputs": dict(wanted.inputs),
    }
    replace_file(place / "inputs.json", _json(value))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- building ---


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
    candidate = place / f"{UNFINISHED}{os.getpid()}"
    try:
        _prepare(layout, profile)
        manifest = _fill(layout, profile, wanted, owners, candidate)
        _finish(layout, manifest, candidate)
        _write_inputs(place, manifest.digest, wanted)
    except BaseException as error:
        _discard(candidate)
        if isinstance(error, OSError):
            raise _image_error(error, place, wanted) from error
        raise
    return manifest


def _prepare(layout: Layout, profile: Profile) -> None:
    place = layout.image(profile.id)
    for directory in (layout.images.parent, layout.images, place, place / "live"):
        _make(directory)
    sweep(layout, profile.id)
    replace_file(place / "profile.json", _json({"id": profile.id, **profile.content()}))


def _make(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True)
        directory.chmod(0o755)


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


def _discard(directory: Path) -> None:
    """What cannot be taken away now is swept later; the reason for discarding it matters more."""
    from fpmjail.mounts import discard

    discard(directory)


def sweep(layout: Layout, profile_id: str) -> None:
    """Take away what killed runs left: `.build-*`, unfinished files, directories without a manifest, manifests without
    a directory.

    The directory that `current` names stays whatever it lacks: jails use it.
    """
    place = layout.image(profile_id)
    used = _link_target(place)
    for path in sorted(place.iterdir()):
        unfinished = path.name.startswith(UNFINISHED)
        nameless = bool(_DIGEST.fullmatch(path.name)) and not (place / f"{path.name}.json").is_file()
        lonely = path.suffix == ".json" and _DIGEST.fullmatch(path.stem) and not (place / path.stem).is_dir()
        if unfinished or (nameless and path.name != used):
            _discard(path)
        elif lonely or is_temporary(path):
            path.unlink()


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
        if not self._link(item, place, digest, modified):
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

    def _link(self, item: Item, place: Path, digest: str, modified: int) -> bool:
        """A hard link to the older copy, if that still is what its manifest says."""
        old = self._old.get((digest, item.mode))
        if old is None or not _is_sound(old, item.mode, modified, digest):
            return False
        try:
            place.hardlink_to(old)
        except OSError as error:
            if error.errno == errno.EMLINK:
                return False
            raise
        return True


def _is_sound(path: Path, mode: int, modified: int, digest: str) -> bool:
    try:
        status = path.lstat()
        alike = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == mode
        return alike and (status.st_mtime_ns, status.st_uid) == (modified, os.geteuid()) and sha256(path) == digest
    except OSError:
        return False


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(place: Path, content: bytes, mode: int, modified: int) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(modified, modified))


def _fill(
    layout: Layout, profile: Profile, wanted: Wanted, owners: Mapping[str, tuple[str, str]], candidate: Path
) -> Manifest:
    candidate.mkdir()
    candidate.chmod(0o755)
    copier = _Copier(str(layout.root).rstrip("/"), candidate, wanted, _linkable(layout, profile.id))
    entries = tuple(_entry(item, *copier.put(item), *_owner(item, owners)) for item in wanted.items)
    return Manifest(profile.id, _digest(entries), _now(), entries)


def _owner(item: Item, owners: Mapping[str, tuple[str, str]]) -> tuple[str, str] | tuple[None, None]:
    return owners.get(item.owner or item.source, (None, None))


def _linkable(layout: Layout, profile_id: str) -> dict[tuple[str, int], Path]:
    manifest = read_manifest(layout, profile_id, current(layout, profile_id))
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


def _finish(layout: Layout, manifest: Manifest, candidate: Path) -> None:
    """Everything on the disk, then the manifest, then the name."""
    place = candidate.parent
    final = place / manifest.digest
    if final.is_dir() and not verify(layout, manifest):
        _discard(candidate)
        _write_manifest(place, manifest)
        return
    sync_filesystem(candidate)
    _write_manifest(place, manifest)
    if final.is_dir():
        _exchange(candidate, final)
        _discard(candidate)
    else:
        candidate.rename(final)
    sync_directory(place)


def _write_manifest(place: Path, manifest: Manifest) -> None:
    """The same generation keeps its birthday and its number; who owns its files may change."""
    from dataclasses import asdict

    path = place / f"{manifest.digest}.json"
    number = _number(place, manifest.digest) or 1 + max(
        (_number(place, one.stem) for one in place.glob("*.json")), default=0
    )
    value: dict[str, Any] = {"format": FORMAT, "number": number, **asdict(manifest)}
    with suppress(OSError, ValueError, KeyError, TypeError):
        value["created"] = str(json.loads(path.read_bytes())["created"])
    replace_file(path, _json(value))


def _exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE: at no moment is either name missing."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    here, exchange = ctypes.c_int(-100), ctypes.c_uint(2)  # AT_FDCWD, RENAME_EXCHANGE
    if library.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def verify(layout: Layout, manifest: Manifest) -> tuple[str, ...]:
    """Compare a generation with its manifest, content included; the paths that differ, are missing or too many."""
    place = layout.image(manifest.profile) / manifest.digest
    wanted = {entry.path: entry for entry in manifest.entries if entry.type != BOUND}
    found = [
        str((Path(directory) / name).relative_to(place))
        for directory, directories, names in os.walk(place)
        for name in (*directories, *names)
    ]
    wrong = {path for path in found if path not in wanted or not _matches(place / path, wanted[path])}
    return tuple(sorted(wrong | (wanted.keys() - set(found))))


def _matches(path: Path, entry: Entry) -> bool:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return entry.type == LINK and str(path.readlink()) == entry.target
    if status.st_uid != os.geteuid() or f"{stat.S_IMODE(status.st_mode):04o}" != entry.mode:
        return False
    if stat.S_ISDIR(status.st_mode):
        return entry.type == DIRECTORY
    return entry.type == FILE and status.st_size == entry.size and sha256(path) == entry.sha256


# --- switching ---


def switch(layout: Layout, profile_id: str, digest: str) -> str | None:
    """Make `digest` the current generation of every jail of this profile; return the one before, if another.

    Raises ImageError if that generation is not complete.
    """
    place = layout.image(profile_id)
    if not _is_complete(place, digest):
        raise ImageError(f"the generation {digest} of the profile {profile_id} is not there or not complete")
    previous = current(layout, profile_id)
    replace_link(place / "current", digest)
    return previous if previous != digest else None


def prune(layout: Layout, profile_id: str, keep: Collection[str]) -> list[str]:
    """Take away all generations but `current` and those in `keep`; return what went. Raises mounts.Kept."""
    from fpmjail.mounts import remove_tree

    place = layout.image(profile_id)
    doomed = [one.digest for one in generations(layout, profile_id) if not one.current and one.digest not in keep]
    for digest in doomed:
        unfinished = place / f"{UNFINISHED}{digest}"
        (place / f"{digest}.json").unlink()
        (place / digest).rename(unfinished)
        remove_tree(unfinished)
    return doomed


def remove(layout: Layout, profile_id: str) -> bool:
    """Take away the whole image of a profile that no site uses; False if there is none.

    First goes the note that it is whole: what is left when the power goes meanwhile looks like an image.
    Raises mounts.Kept if a jail still has it mounted.
    """
    from fpmjail.mounts import Kept, mounts_below, remove_tree

    place = layout.image(profile_id)
    for mount in mounts_below(layout.jails):
        with suppress(OSError):
            if Path(mount.target).samefile(place):
                raise Kept(f"{place} is kept: it is mounted at {mount.target}")
    forget_inputs(layout, profile_id)
    return remove_tree(place)


def diff(old: Manifest | None, new: Manifest) -> Difference:
    """What `new` has other than `old`."""
    before = {entry.path: entry.face for entry in old.entries} if old else {}
    after = {entry.path: entry.face for entry in new.entries}
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(path for path in after.keys() & before.keys() if after[path] != before[path])),
    )


# --- holds ---


def hold(layout: Layout, profile_id: str) -> Hold | None:
    """The hold on this profile, None if there is none; a damaged one counts as none."""
    try:
        value: dict[str, Any] = json.loads((layout.image(profile_id) / "hold.json").read_bytes())
        return Hold(str(value["digest"]), str(value["reason"]), str(value["since"]), value["manual"] is True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def set_hold(layout: Layout, profile_id: str, digest: str, reason: str, *, manual: bool = False) -> Hold:
    """Remember that `digest` was bad, or with `manual` that an administrator wants no other generation."""
    made = Hold(digest, reason, _now(), manual)
    value = {"format": FORMAT, "digest": digest, "reason": reason, "since": made.since, "manual": manual}
    replace_file(layout.image(profile_id) / "hold.json", _json(value))
    return made


def clear_hold(layout: Layout, profile_id: str) -> bool:
    """Forget the hold; False if there was none."""
    try:
        (layout.image(profile_id) / "hold.json").unlink()
    except FileNotFoundError:
        return False
    return True


# --- live files ---


def follow_live(layout: Layout, profile_id: str, live: Iterable[Live] | None = None) -> Followed:
    """Give the live files (resolv.conf, hosts, localtime) the host's present content, each by one rename.

    `live` is what `wanted` said; without it the list of the last build is taken. Where the host's file is missing or
    leads nowhere the last content stays, and only a first time gets the default. Their directory is missing when the
    power went while the image was taken away.
    """
    place = layout.image(profile_id)
    known = known_live(place) if live is None else [(one.name, one.source, one.default) for one in live]
    if known:
        _make(place / "live")
    changed, problems = [], []
    # Not the lock of every change: what follows the host at once must not wait for a generation that is being built.
    with lock(layout.live_lock_file) if layout.run.is_dir() else nullcontext():
        for name, source, default in known:
            path = place / "live" / name
            content, problem = _live_content(layout, source, default, path.exists())
            if problem:
                problems.append(problem)
            if content is not None and replace_file(path, content):
                changed.append(name)
    return Followed(tuple(changed), tuple(problems))


def known_live(place: Path) -> list[tuple[str, str, str | None]]:
    """(name, path on the host, content for a missing one) of the live files of an image, as its last build had them."""
    try:
        known = json.loads((place / "inputs.json").read_bytes())["live"]
        return [(name, source, default) for name, source, default in known]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _live_content(layout: Layout, source: str, default: str | None, exists: bool) -> tuple[bytes | None, str]:
    """(new content, None to leave it; problem, empty if there is none)."""
    from fpmjail.host import Host

    host = Host(layout.root)
    resolved = host.resolve(source)
    if resolved.is_file and resolved.status is not None and resolved.status.st_size <= _LARGEST_LIVE:
        return host.read(source), ""
    if resolved.status is None and not resolved.links and default is None:
        return None, ""
    if resolved.status is None and not resolved.links and default:
        return default.encode(), ""
    first = None if exists or default is None else default.encode()
    kept = "its last content stays" if exists else "there is no older content"
    return first, f"{source} cannot be followed, {resolved.path} is no file; {kept}"
