# SPDX-License-Identifier: MIT
"""The account and the directories of a site: checked first, made where they are missing, never taken from anybody."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fpmjail import files
from fpmjail.layout import Layout
from fpmjail.site import Site

PASSWD = Path("/etc/passwd")


class SiteFault(Exception):
    """Something about this one site has to be put right first: what, and how."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}\n  {hint}" if hint else message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Account:
    """The line of the site's user in the account database."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


def account(name: str) -> Account | None:
    """The account of this name, if there is one."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir, found.pw_shell)


def accounts_with(uid: int) -> tuple[str, ...]:
    """Every local account with this uid."""
    now = PASSWD.stat()
    return _by_uid((now.st_ino, now.st_mtime_ns, now.st_size)).get(uid, ())


@lru_cache(maxsize=1)
def _by_uid(stamp: tuple[int, ...]) -> Mapping[int, tuple[str, ...]]:
    """All accounts, read once for many sites as long as the file stays what it was."""
    found: dict[int, tuple[str, ...]] = {}
    for entry in pwd.getpwall():
        found[entry.pw_uid] = (*found.get(entry.pw_uid, ()), entry.pw_name)
    return found


def origin(site: Site, key: str) -> str:
    """The place in the description that decides a key (`example.yaml:14:3`), or where it could be said."""
    return dict(site.origins).get(key, site.source)


def account_fault(
    site: Site, found: Account | None, sharers: tuple[str, ...], sites: Iterable[Site]
) -> SiteFault | None:
    """Why the account cannot be a site's own, or None. One uid per site: a process of the same uid is a way out."""
    name, where = site.user.name, origin(site, "user")
    other = next((one.name for one in sites if one.name != site.name and one.user.name == name), None)
    if found is None:
        return SiteFault(f"the account {name} is missing", f"make it: systemd-sysusers {site.package}.conf")
    if Path(found.home) != site.user.home:
        return SiteFault(
            f"the account {name} was there before, with home {found.home} instead of {site.user.home}",
            f"choose another `user:` in {where}, or, if it is the site's own: usermod --home {site.user.home} {name}",
        )
    if found.uid == 0 or sharers != (name,):
        return SiteFault(
            f"uid {found.uid} of {name} belongs to {', '.join(sharers)}", "give every site a uid of its own"
        )
    if site.user.uid is not None and site.user.uid != found.uid:
        return SiteFault(
            f"the account {name} has uid {found.uid}, the description asks for {site.user.uid}",
            f"change `uid:` in {origin(site, 'uid')}, or the account: usermod --uid",
        )
    if other:
        return SiteFault(f"the account {name} already is the site {other}'s", f"choose another `user:` in {where}")
    return None


def check_account(site: Site, sites: Iterable[Site]) -> Account:
    """The site's account. Raises SiteFault when it cannot be the site's own."""
    found = account(site.user.name)
    fault = account_fault(site, found, accounts_with(found.uid) if found else (), sites)
    if fault or found is None:
        raise fault or SiteFault(f"the account {site.user.name} is missing", "")
    return found


def make(layout: Layout, site: Site, owner: Account) -> tuple[str, ...]:
    """Make the site's directories; returns what an admin should know. Raises SiteFault.

    Those above them are the package's, but a restored server, or one with a new /var/lib or /var/log, has them not.
    """
    for above in (layout.state.parent, layout.state, layout.jails, layout.logs(site.name).parent, layout.admin_sites):
        root_owned(above, 0, 0o755)
    for inner in around(site):
        root_owned(inner, 0, 0o755)
    root_owned(site.paths.base, 0, 0o755)
    root_owned(site.paths.logs, owner.gid, 0o770)
    root_owned(layout.site_state(site.name), 0, 0o755)
    for name in ("", "fpm.d", f"{site.web.server}.d"):
        root_owned(layout.admin_sites / site.name / name, 0, 0o755)
    words = make_document_root(site, owner)
    for directory in site.writable:
        make_writable(site.paths.document_root, directory, owner)
    return (*words, *(show_logs(layout, site) if site.shared else ()))


def around(site: Site) -> tuple[Path, ...]:
    """The directories of a chroot in which data and logs of a shared site lie, parents first."""
    if not site.shared:
        return ()
    jail = site.paths.jail
    inner = {parent for place in (site.paths.base, site.paths.logs) for parent in place.parents}
    return tuple(sorted(path for path in inner if path == jail or path.is_relative_to(jail)))


def show_logs(layout: Layout, site: Site) -> tuple[str, ...]:
    """Let administrators find the logs of a shared site where those of all others are."""
    place = layout.logs(site.name)
    if place.is_dir() and not place.is_symlink():
        with suppress(OSError):
            place.rmdir()
    if place.exists() and not place.is_symlink():
        return (f"{place} is not fpmjail's link to the logs and stays; they are in {site.paths.logs}",)
    root_owned(place.parent, 0, 0o755)
    files.replace_link(place, str(site.paths.logs))
    return ()


def root_owned(path: Path, gid: int, mode: int) -> None:
    """Make a directory of root's. Raises SiteFault when somebody else could exchange it."""
    try:
        files.make_directory(path, 0, gid, mode)
    except (files.UnsafePath, FileNotFoundError) as error:
        raise SiteFault(
            f"{path} cannot be root's own directory: {error}",
            f"a jail is only safe below directories of root's: chown root:root {path}; chmod {mode:04o} {path}",
        ) from error


def make_document_root(site: Site, owner: Account) -> tuple[str, ...]:
    """Make the document root when it is missing; an existing one keeps its owner, and a stranger is named."""
    root = site.paths.document_root
    if root.is_symlink():
        raise SiteFault(f"the document root {root} is a symbolic link", "put the directory itself there, or a mount")
    if root.is_dir():
        holder = root.stat().st_uid
        return () if holder in (0, owner.uid) else (stranger(root, holder, owner),)
    first = site.paths.base / root.relative_to(site.paths.base).parts[0] if root != site.paths.base else root
    try:
        files.make_directory(first, owner.uid, owner.gid, 0o755)
    except files.UnsafePath as error:
        raise SiteFault(f"the document root cannot be made: {error}", "move what is in the way") from error
    make_as_user(root, owner)
    return ()


def make_writable(root: Path, directory: str, owner: Account) -> None:
    """Make a directory that the site's user can write to when it is missing.

    In a document root of root's, such as one with packaged code, the directories on the way are root's too.
    """
    path = root / directory
    try:
        for inner in reversed(path.parents[: len(Path(directory).parts) - 1]):
            if not os.path.lexists(inner):
                files.make_directory(inner, 0, 0, 0o755)
        if not os.path.lexists(path):
            files.make_directory(path, owner.uid, owner.gid, 0o755)
    except (files.UnsafePath, FileNotFoundError, NotADirectoryError):
        make_as_user(path, owner)


def stranger(root: Path, uid: int, owner: Account) -> str:
    """What to know about a document root that somebody else owns."""
    return (
        f"{root} belongs to uid {uid}, so the site can read it but not write there; "
        f"if it should be the site's: chown {owner.name}: {root}"
    )


def make_as_user(path: Path, owner: Account) -> None:
    """Make directories where the site's user may play tricks: as that user, so that they are played on himself.

    No program is run as that user out here: the site's code could take it over, and with it leave a chroot (ptrace(2)).
    A process that only changes its effective user cannot be (proc(5), PR_SET_DUMPABLE), nor can it be stopped, which
    would keep us waiting: a signal asks for the real and the saved one (kill(2)).
    """
    child = os.fork()
    if child == 0:
        try:
            os.umask(0o022)
            os.setgroups([])
            os.setegid(owner.gid)
            os.seteuid(owner.uid)
            path.mkdir(parents=True, exist_ok=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
