# SPDX-License-Identifier: MIT
"""The skeleton of one jail: what has to stand in the chroot root around the image, as data, and how it is made.

Everything is root's but `tmp` and the session directory. The image brings /usr and most of /etc; the jail itself
holds links, empty directories and three small files.
"""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass
from pathlib import Path

from fpmjail import files, reach
from fpmjail.image import Manifest
from fpmjail.layout import Layout
from fpmjail.site import Site, User

MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
EMPTY = (".image", "etc", "dev", "proc", "sys", "root", "run", "var", "var/lib", "var/lib/php")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of the jail; owner and group by name."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of the jail."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class File:
    """A small file that the jail has for itself."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Absent:
    """A file or link that the jail must not have; one that another choice in the description once made."""

    path: str


Piece = Directory | Link | File | Absent


def skeleton(
    site: Site, etc_names: frozenset[str], live_names: frozenset[str], uid: int, gid: int
) -> tuple[Piece, ...]:
    """Everything the jail consists of, parents before children; `etc_names` are the image's own entries of /etc."""
    return (
        *(Directory(path) for path in EMPTY),
        *(Directory(path) for path in mount_points(site)),
        Directory("tmp", site.user.name, site.user.group, 0o700),
        Directory("var/lib/php/sessions", site.user.name, site.user.group, 0o700),
        Link("usr", ".image/current/usr"),
        *(Link(path, target) for path, target in MERGED.items()),
        Link("var/run", "../run"),
        Link("var/tmp", "../tmp"),
        *etc_links(etc_names - reach.HIDDEN[site.jail.dns], live_names - reach.HIDDEN[site.jail.dns]),
        *name_service(site.jail.dns, etc_names | live_names),
        *accounts(site.user, uid, gid),
    )


def mount_points(site: Site) -> tuple[str, ...]:
    """The directories over which the service binds the site's data, with all of their parents."""
    found: list[str] = []
    for target in site.filesystem.bind:
        parts = Path(target).parts[1:]
        found += ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    return tuple(sorted(set(found) - set(EMPTY)))


def etc_links(etc_names: frozenset[str], live_names: frozenset[str]) -> tuple[Link, ...]:
    """Links of /etc into the generation in use, and into the files that follow the host one by one."""
    copied = sorted(etc_names - live_names - {"passwd", "group", "fpm.conf"})
    return (
        *(Link(f"etc/{name}", f"../.image/current/etc/{name}") for name in copied),
        *(Link(f"etc/{name}", f"../.image/live/{name}") for name in sorted(live_names)),
    )


def name_service(dns: str, image: frozenset[str]) -> tuple[Piece, ...]:
    """What decides which host names resolve; a choice that was changed leaves nothing behind."""
    own = reach.own_files(dns)
    linked = image - reach.HIDDEN[dns]
    known = frozenset().union(*reach.HIDDEN.values())
    return (
        *(File(f"etc/{name}", text) for name, text in sorted(own.items())),
        *(Absent(f"etc/{name}") for name in sorted(known - own.keys() - linked)),
    )


def accounts(user: User, uid: int, gid: int) -> tuple[File, File]:
    """passwd and group that know nobody but the site's user: scripts cannot list the host's accounts."""
    return (
        File("etc/passwd", f"{user.name}:x:{uid}:{gid}::{user.home}:/usr/sbin/nologin\n"),
        File("etc/group", f"{user.group}:x:{gid}:\n"),
    )


def etc_names(manifest: Manifest) -> frozenset[str]:
    """The entries of /etc that a generation brings."""
    return frozenset(entry.path.split("/")[1] for entry in manifest.entries if entry.path.startswith("etc/"))


def names_in(directory: Path) -> frozenset[str]:
    """The names in a directory of the image, none when it is not there."""
    return frozenset(path.name for path in directory.iterdir()) if directory.is_dir() else frozenset()


def make(layout: Layout, site: Site, manifest: Manifest) -> None:
    """Make the jail true; pieces that are already right cost one look. Raises files.UnsafePath, OSError."""
    from fpmjail import shell

    account = pwd.getpwnam(site.user.name)
    live = names_in(layout.image(site.profile.id) / "live")
    root = layout.jail(site.name)
    files.make_directory(root, 0, 0, 0o755)
    own = skeleton(site, etc_names(manifest), live, account.pw_uid, account.pw_gid)
    for piece in (*own, *shell.pieces(site, manifest)):
        put(root, piece)


def put(root: Path, piece: Piece) -> None:
    """Make one piece of the jail."""
    path = root / piece.path
    match piece:
        case Directory(_, owner, group, mode):
            files.make_directory(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid, mode)
        case Link(_, target):
            files.replace_link(path, target)
        case File(_, text, mode):
            files.replace_file(path, text.encode(), mode)
        case Absent():
            path.unlink(missing_ok=True)
