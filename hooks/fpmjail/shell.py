# SPDX-License-Identifier: MIT
"""What the restricted shell of a jail may start: /etc/fpmjail/programs in it, one absolute path in a line."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from fpmjail import mail
from fpmjail.jail import Absent, Directory, File, Piece
from fpmjail.manifest import Manifest
from fpmjail.site import Profile, Site

CAPABILITY = "restricted-shell"
DIRECTORY = "etc/fpmjail"
LIST = f"{DIRECTORY}/programs"
LOG = "shell.log"
SEARCHED = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin")
MERGED = ("/bin/", "/sbin/")
MERGED_FROM = ("/usr/bin/", "/usr/sbin/")


def pieces(site: Site, manifest: Manifest) -> tuple[Piece, ...]:
    """The list of a site's jail; a site with another shell, or none, has no list."""
    if CAPABILITY not in site.profile.capabilities:
        return (Absent(LIST),)
    return (Directory(DIRECTORY), File(LIST, text(programs(site), manifest, str(site.inside.logs / LOG))))


def programs(site: Site) -> tuple[str, ...]:
    """What the site declared for its shell."""
    return of_capabilities(site.profile, site.profile.programs if site.jail.shell == "restricted" else ())


def of_capabilities(profile: Profile, declared: tuple[str, ...]) -> tuple[str, ...]:
    """The declared programs, and the one that mail() needs; options may stand behind a path."""
    return (*declared, *((mail.sendmail(),) if mail.CAPABILITY in profile.capabilities else ()))


def of_profile(profile: Profile, manifest: Manifest) -> tuple[Piece, ...]:
    """The list of a scratch jail, for the probes: all that a site with this profile might start."""
    if CAPABILITY not in profile.capabilities:
        return ()
    return (Directory(DIRECTORY), File(LIST, text(of_capabilities(profile, profile.programs), manifest)))


def text(names: Iterable[str], manifest: Manifest, log: str = "") -> str:
    """The file: a program is known by each of its paths in the jail."""
    held = frozenset(f"/{entry.path}" for entry in manifest.entries)
    lines = ["# What /bin/sh may start here: made by fpmjail.", *((f"log {log}",) if log else ())]
    return "\n".join((*lines, *dict.fromkeys(path for name in names for path in paths_of(name, held)), ""))


def paths_of(name: str, held: frozenset[str]) -> Sequence[str]:
    """The paths of a program that is given by its path, or by a name that the image has somewhere in its PATH."""
    name, blank, options = name.partition(" ")
    if not name.startswith("/"):
        name = next((path for place in SEARCHED if (path := f"{place}/{name}") in held), f"/usr/bin/{name}")
    path = posixpath.normpath(name)
    path = f"/usr{path}" if path.startswith(MERGED) else path
    paths = (path, path.removeprefix("/usr")) if path.startswith(MERGED_FROM) else (path,)
    return tuple(f"{path}{blank}{options}" for path in paths)
