# SPDX-License-Identifier: MIT
"""The skeleton of one jail: what has to stand in the chroot root around the image, as data, and how it is made.

Everything is root's but `tmp` and the session directory. The image brings /usr and most of /etc; the jail itself
holds links, empty directories and three small files.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fpmjail import files, mounts, reach
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.site import BIND, Site, User
from fpmjail.wanted import VARIABLE

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
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Node:
    """A character device of the jail, for everybody."""

    path: str
    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Absent:
    """A file or link that the jail must not have; one that another choice in the description once made.

    With a `target` only a link that leads there.
    """

    path: str
    target: str = ""


Piece = Directory | Link | File | Node | Absent

# The kernel's own numbers (devices.txt); a dedicated jail has its devices from systemd.
NODES = (
    Node("dev/null", 1, 3),
    Node("dev/zero", 1, 5),
    Node("dev/full", 1, 7),
    Node("dev/random", 1, 8),
    Node("dev/urandom", 1, 9),
)
COMPATIBLE = "../.."  # from /var/www/NAME/var: makes /var/www/NAME/var/www/NAME what it is outside
# By this file a chroot tells who it is: two sites of one master that gave the same answer would share compiled code.
WITNESS = "etc/fpmjail-witness.php"
WITNESS_TEXT = """\
<?php
// SPDX-License-Identifier: MIT
// Made by fpmjail; asked by `fpmjail check`, a page that does not exist for everybody else.
if (!preg_match('/^[0-9a-f]{{32}}$/D', (string) ($_SERVER['FPMJAIL_NONCE'] ?? ''))) {{
    http_response_code(404);
    exit("File not found.\\n");
}}
header('Content-Type: application/json');
$told = json_decode((string) ($_SERVER['FPMJAIL_ARGUMENTS'] ?? '{{}}'), true);
echo json_encode(['nonce' => $_SERVER['FPMJAIL_NONCE'], 'checks' => [
    'code' => ($told['site'] ?? '') === '{name}' ?: 'what ran is the code of the site {name}',
    'guards' => (int) ini_get('opcache.validate_root') === 1 && (int) ini_get('opcache.validate_permission') === 1
        ?: 'opcache.validate_root and opcache.validate_permission are not both on',
    'restrict_api' => !function_exists('opcache_get_status') || ini_get('opcache.restrict_api') !== ''
        ?: 'opcache.restrict_api is empty',
]]);
"""


def skeleton(
    site: Site,
    etc_names: frozenset[str],
    live_names: frozenset[str],
    uid: int,
    gid: int,
    variable_names: frozenset[str] = frozenset(),
) -> tuple[Piece, ...]:
    """Everything the jail consists of, parents before children; `etc_names` and `variable_names` are the image's own
    entries of /etc and /var/lib."""
    return (
        *(Directory(path) for path in EMPTY),
        *(Directory(path) for path in mount_points(site)),
        Directory("tmp", site.user.name, site.user.group, 0o700),
        Directory("var/lib/php/sessions", site.user.name, site.user.group, 0o700),
        usr(site.profile.libraries, "current"),
        *(Link(path, target) for path, target in MERGED.items()),
        Link("var/run", "../run"),
        Link("var/tmp", "../tmp"),
        *etc_links(etc_names - reach.HIDDEN[site.jail.dns], live_names - reach.HIDDEN[site.jail.dns]),
        *name_service(site.jail.dns, etc_names | live_names),
        *accounts(site.user, site.inside.base if site.shared else site.user.home, uid, gid),
        *(chroot(site) if site.shared else ()),
        *variable_links(variable_names, "current"),
    )


def usr(libraries: str, generation: str) -> Piece:
    """The programs and libraries: a link into the image, or a directory over which the server's /usr is mounted."""
    return Directory("usr") if libraries == BIND else Link("usr", f".image/{generation}/usr")


def variable_links(names: frozenset[str], generation: str) -> tuple[Link, ...]:
    """Links of /var/lib, where links of the server's /usr lead."""
    return tuple(
        Link(f"{VARIABLE}/{name}", f"../../.image/{generation}/{VARIABLE}/{name}") for name in sorted(names - {"php"})
    )


def chroot(site: Site) -> tuple[Piece, ...]:
    """What systemd makes for a dedicated site, and what shared ones need against each other."""
    compatible = str((site.paths.base / "var").relative_to(site.paths.jail))
    return (
        *(Directory(f"run/{directory.relative_to('/run')}") for _, directory in site.jail.sockets),
        *NODES,
        File(WITNESS, WITNESS_TEXT.format(name=site.name)),
        Link(compatible, COMPATIBLE) if site.compat_link else Absent(compatible, COMPATIBLE),
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


def accounts(user: User, home: Path, uid: int, gid: int) -> tuple[File, File]:
    """passwd and group that know nobody but the site's user: scripts cannot list the host's accounts."""
    return (
        File("etc/passwd", f"{user.name}:x:{uid}:{gid}::{home}:/usr/sbin/nologin\n"),
        File("etc/group", f"{user.group}:x:{gid}:\n"),
    )


def etc_names(manifest: Manifest) -> frozenset[str]:
    """The entries of /etc that a generation brings."""
    return frozenset(entry.path.split("/")[1] for entry in manifest.entries if entry.path.startswith("etc/"))


def variable_names(manifest: Manifest) -> frozenset[str]:
    """The entries of /var/lib that a generation brings."""
    inside = (entry.path for entry in manifest.entries if entry.path.startswith(f"{VARIABLE}/"))
    return frozenset(path.split("/")[2] for path in inside)


def names_in(directory: Path) -> frozenset[str]:
    """The names in a directory of the image, none when it is not there."""
    return frozenset(path.name for path in directory.iterdir()) if directory.is_dir() else frozenset()


def make(layout: Layout, site: Site, manifest: Manifest) -> None:
    """Make the jail true; pieces that are already right cost one look. Raises files.UnsafePath, OSError."""
    from fpmjail import mail, shell

    account = pwd.getpwnam(site.user.name)
    live = names_in(layout.image(site.profile.id) / "live")
    root = layout.host(str(site.paths.jail))
    files.make_directory(root, 0, 0, 0o755)
    covered = {mount.target for mount in mounts.mounts_below(root)}
    variable = variable_names(manifest)
    own = skeleton(site, etc_names(manifest), live, account.pw_uid, account.pw_gid, variable)
    for piece in (*own, *shell.pieces(site, manifest), *mail.pieces(layout, site)):
        if str(root / piece.path) not in covered:
            put(root, piece)


def put(root: Path, piece: Piece) -> None:
    """Make one piece of the jail."""
    path = root / piece.path
    match piece:
        case Directory(_, owner, group, mode):
            files.make_directory(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid, mode)
        case Link(_, target):
            files.replace_link(path, target)
        case File(_, text, mode, group):
            files.replace_file(path, text.encode(), mode, grp.getgrnam(group).gr_gid)
        case Node():
            make_node(path, piece)
        case Absent(_, target):
            if not target or (path.is_symlink() and str(path.readlink()) == target):
                path.unlink(missing_ok=True)


def make_node(path: Path, node: Node) -> None:
    """Make a device; where a container forbids that, `fpmjail check` says that it is missing."""
    if not is_node(path, node):
        path.unlink(missing_ok=True)
        with suppress(PermissionError):
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(node.major, node.minor))
            path.chmod(0o666)


def is_node(path: Path, node: Node) -> bool:
    """True when the device is there and for everybody."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return status.st_mode == stat.S_IFCHR | 0o666 and status.st_rdev == os.makedev(node.major, node.minor)
