# SPDX-License-Identifier: MIT
"""Looks at an installed site from outside, as root: files, mounts, processes, the web server. Only reads.

What is seen here is judged in judges.py. Nothing below a directory that the site's user can write is opened.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from fpmjail import mounts
from fpmjail.files import WEB_GROUP, WEB_USER
from fpmjail.mounts import Mount
from fpmjail.site import Site

ROOT = 0
VISIT_PATIENCE = 10.0  # seconds
LARGEST_PAGE = 1 << 16
HARMLESS_DELETED = ("/dev/zero", "/memfd:", "/SYSV", "/[")


@dataclass(frozen=True, slots=True)
class WebServer:
    """The account of Apache and nginx, -1 where it is missing; `members` are what /etc/group adds to its group, and
    `others` the accounts that have it as their own."""

    uid: int
    gid: int
    members: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the file system, itself and not what a link leads to."""

    path: str
    mode: int
    uid: int
    gid: int

    @property
    def permissions(self) -> str:
        """The mode as chmod(1) takes it."""
        return f"{stat.S_IMODE(self.mode):04o}"


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc/PID/status tells about a process (proc(5)); `capabilities` is CapEff.

    `program` is what /proc/PID/exe leads to, `root` what /proc/PID/root does; both empty for what is not looked at.
    `groups` are all of its groups, `place` is the identity of its root directory.
    """

    pid: int
    name: str
    uid: int
    capabilities: int
    no_new_privileges: bool
    seccomp: int
    program: str = ""
    root: str = ""
    groups: frozenset[int] = frozenset()
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Master:
    """A running FPM master: the files that it maps, and the mounts of its namespace."""

    pid: int
    mapped: tuple[str, ...]
    mounts: tuple[Mount, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """One GET of the site's start page over loopback; `status` None means that nobody answered, `words` why."""

    address: str
    status: int | None
    words: str


@lru_cache(maxsize=1)
def web_server() -> WebServer:
    """Who may speak to PHP."""
    try:
        group = grp.getgrnam(WEB_GROUP)
        uid = pwd.getpwnam(WEB_USER).pw_uid
    except KeyError:
        return WebServer(-1, -1)
    others = (one.pw_name for one in pwd.getpwall() if one.pw_gid == group.gr_gid and one.pw_uid not in (uid, ROOT))
    return WebServer(uid, group.gr_gid, tuple(group.gr_mem), tuple(others))


def entry(path: Path) -> Entry | None:
    """One name, or None when it is not there."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return Entry(str(path), status.st_mode, status.st_uid, status.st_gid)


def identity(path: Path) -> tuple[int, int] | None:
    """Which directory or file a name stands for now (stat(2)), or None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def ancestors(path: Path) -> tuple[Entry, ...]:
    """Every directory from / to `path`, `path` included, as far as they exist."""
    return tuple(found for place in (*reversed(path.parents), path) if (found := entry(place)))


def tree(root: Path, closed: frozenset[str] = frozenset()) -> tuple[Entry, ...]:
    """Everything at and below `root`, as far as it is root's alone; `closed` directories are seen but not entered."""
    top = entry(root)
    return () if top is None else (top, *_below(root, root, closed))


def _below(root: Path, directory: Path, closed: frozenset[str]) -> Iterator[Entry]:
    with os.scandir(directory) as names:
        found = sorted(names, key=lambda name: name.name)
    for name in found:
        status = name.stat(follow_symlinks=False)
        yield Entry(name.path, status.st_mode, status.st_uid, status.st_gid)
        ours = status.st_uid == ROOT and not status.st_mode & 0o022
        if stat.S_ISDIR(status.st_mode) and ours and os.path.relpath(name.path, root) not in closed:
            yield from _below(root, Path(name.path), closed)


def parse_status(pid: int, text: str) -> Process:
    """A process out of the text of /proc/PID/status. Raises KeyError or ValueError for anything else."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Process(
        pid=pid,
        name=fields["Name"].strip(),
        uid=int(fields["Uid"].split()[1]),
        capabilities=int(fields["CapEff"], 16),
        no_new_privileges=fields["NoNewPrivs"].strip() == "1",
        seccomp=int(fields["Seccomp"]),
        groups=frozenset(map(int, f"{fields['Gid']} {fields.get('Groups', '')}".split())),
    )


def processes(uid: int) -> tuple[Process, ...]:
    """Every process with this effective uid; one that ends meanwhile is none."""
    return processes_of({uid})[uid]


def processes_of(uids: Collection[int]) -> dict[int, tuple[Process, ...]]:
    """The processes with each of these effective uids, by their ids; all are looked at once."""
    found: dict[int, list[Process]] = {uid: [] for uid in uids}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, LookupError, ValueError):
            text = (path / "status").read_text(errors="replace")
            if effective_uid(text) in found:
                process = parse_status(int(path.name), text)
                program, root = (str((path / link).readlink()) for link in ("exe", "root"))
                whole = replace(process, program=program, root=root, place=identity(path / "root/."))
                found[process.uid].append(whole)
    return {uid: tuple(sorted(group, key=lambda process: process.pid)) for uid, group in found.items()}


def effective_uid(text: str) -> int:
    """The effective uid in the text of /proc/PID/status, without reading the rest. Raises IndexError, ValueError."""
    return int(text.partition("\nUid:\t")[2].split("\t", 2)[1])


def mapped_files(text: str) -> tuple[str, ...]:
    """The distinct files in the text of /proc/PID/maps, deleted ones with their mark (proc(5))."""
    fields = (line.split(None, 5) for line in text.splitlines())
    return tuple(sorted({field[5] for field in fields if len(field) == 6 and field[5].startswith("/")}))


def maps(pid: int) -> tuple[str, ...]:
    """The distinct files that a process maps; none when it is gone."""
    try:
        return mapped_files(Path(f"/proc/{pid}/maps").read_text(errors="replace"))
    except OSError:
        return ()


def deleted(mapped: Iterable[str]) -> tuple[str, ...]:
    """Those of the mapped files that an upgrade has replaced; shared memory is none."""
    return tuple(path for path in mapped if path.endswith(" (deleted)") and not path.startswith(HARMLESS_DELETED))


def master(pid: int) -> Master | None:
    """The master with this process id, 0 for none."""
    place = Path(f"/proc/{pid}")
    try:
        return Master(pid, maps(pid), mounts.parse((place / "mountinfo").read_text(errors="replace"))) if pid else None
    except OSError:
        return None


def visits(site: Site, certified: bool) -> tuple[Visit, ...]:
    """The start page as the web server gives it on loopback, over TLS as well when the certificate is there."""
    domain = site.web.domains[0]
    return tuple(visit(domain, secure) for secure in ((False, True) if certified else (False,)))


def visit(domain: str, secure: bool) -> Visit:
    """One GET / with this Host; the certificate's trust is not judged, the name asked for is the domain."""
    import http.client

    port = 443 if secure else 80
    address = f"{'https' if secure else 'http'}://{domain}/"
    connection = http.client.HTTPConnection(domain, port, timeout=VISIT_PATIENCE)
    try:
        connection.sock = _connected(domain, port, secure)
        connection.request("GET", "/", headers={"Host": domain, "User-Agent": "fpmjail check"})
        response = connection.getresponse()
        return Visit(address, response.status, response.read(LARGEST_PAGE).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Visit(address, None, getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _connected(domain: str, port: int, secure: bool) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), VISIT_PATIENCE)
    if not secure:
        return plain
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=domain)
    except OSError:
        plain.close()
        raise
