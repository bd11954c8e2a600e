# SPDX-License-Identifier: MIT
"""Images: complete, immutable generations of copies below images/PROFILE, switched by one rename(2).

A generation exists when its manifest and its directory do; the directory gets its name last, the manifest goes first.
Everything unfinished is named `.build-*` and swept by the next run. Callers hold the lock (files.lock). `image_build`
makes generations, `live_files` and `holds` keep what stands beside them.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail import __version__
from fpmjail.files import is_temporary, replace_json, replace_link
from fpmjail.layout import Layout
from fpmjail.manifest import BOUND, DIRECTORY, FILE, LINK, Entry, Manifest, digest_of

if TYPE_CHECKING:
    from fpmjail.wanted import Wanted

FORMAT = 1
UNFINISHED = ".build-"
_DIGEST = re.compile(r"[0-9a-f]{16}")


class ImageError(Exception):
    """An image cannot be built, read or switched; what was there stays."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A complete generation; `created` in seconds since 1970."""

    digest: str
    created: float
    current: bool


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
    return sorted(found, key=lambda one: (number(place, one.digest), one.created), reverse=True)


def number(place: Path, digest: str) -> int:
    """How many generations of the profile were counted when this one was built; 0 for one of an fpmjail that did not
    count, or whose manifest cannot be read: it is older than all that were counted."""
    try:
        counted = json.loads((place / f"{digest}.json").read_bytes())["number"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
    return counted if isinstance(counted, int) else 0


def read_manifest(layout: Layout, profile_id: str, digest: str | None) -> Manifest | None:
    """The manifest of a generation; None if there is none, or if it is not what its name says."""
    try:
        value = json.loads((layout.image(profile_id) / f"{digest}.json").read_bytes())
        entries = tuple(Entry(**entry) for entry in value["entries"])
        manifest = Manifest(value["profile"], value["digest"], value["created"], entries)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    honest = (manifest.profile, manifest.digest, digest_of(entries)) == (profile_id, digest, digest)
    return manifest if honest else None


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


def write_inputs(place: Path, digest: str, wanted: Wanted) -> None:
    """Remember what the host's present state leads to, for `known_digest`."""
    from fpmjail.host import stamp

    value = {
        "format": FORMAT,
        "fpmjail": __version__,
        "digest": digest,
        "generation": {name: stamp((place / name).lstat()) for name in (digest, f"{digest}.json")},
        "live": [[live.name, live.source, live.default] for live in wanted.live],
        "inputs": dict(wanted.inputs),
    }
    replace_json(place / "inputs.json", value)


def now() -> str:
    """This moment in UTC as ISO 8601."""
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sweep(layout: Layout, profile_id: str) -> None:
    """Take away what killed runs left: `.build-*`, unfinished files, directories without a manifest, manifests without
    a directory.

    The directory that `current` names stays whatever it lacks: jails use it.
    """
    from fpmjail.mounts import discard

    place = layout.image(profile_id)
    used = _link_target(place)
    for path in sorted(place.iterdir()):
        unfinished = path.name.startswith(UNFINISHED)
        nameless = bool(_DIGEST.fullmatch(path.name)) and not (place / f"{path.name}.json").is_file()
        lonely = path.suffix == ".json" and _DIGEST.fullmatch(path.stem) and not (place / path.stem).is_dir()
        if unfinished or (nameless and path.name != used):
            discard(path)
        elif lonely or is_temporary(path):
            path.unlink()


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    from fpmjail.mounts import Kept, current, remove_tree

    place = layout.image(profile_id)
    for mount in current():
        with suppress(OSError):
            if mount.target.endswith("/.image") and Path(mount.target).samefile(place):
                raise Kept(f"{place} is kept: it is mounted at {mount.target}")
    forget_inputs(layout, profile_id)
    return remove_tree(place)
