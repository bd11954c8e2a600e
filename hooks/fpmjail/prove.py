# SPDX-License-Identifier: MIT
"""Proves a candidate generation before any site sees it: PHP-FPM runs from it in a scratch jail, every probe asks.

The scratch jail is behind the same sandbox as the sites, but belongs to the runtime's own account, binds no site's
data, and lives in /run for about a second: directories, links and a few small files, nothing copied or mounted.
"""

from __future__ import annotations

import grp
import pwd
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fpmjail import files, image, jail, mounts, probe, shell, systemd
from fpmjail.jail import Directory, File, Link, Piece
from fpmjail.layout import Layout
from fpmjail.probe import Result
from fpmjail.sandbox import RUN, SHARED_MEMORY
from fpmjail.site import BIND, IMAGE, Profile
from fpmjail.wanted import VARIABLE

USER = "_fpmjail"
PREFIX = "scratch-"
PATIENCE = 60.0  # seconds for the start: a server that is being upgraded is slow, and nobody waits for this one
LONGEST_PROBE = 120.0  # seconds; who asked has given up long before
OWN_FILES = frozenset({"passwd", "group", "fpm.conf"})
PRIVATE = "size=64M,mode=1777,nosuid,nodev,noexec"
# A site's slice would count the proof against that site; its AppArmor profile knows its own jail alone.
UNCONFIGURED = frozenset({"Slice", "AppArmorProfile"})
LOST_BUS = ("Failed to connect to bus", "not been booted with systemd")
# systemd.exec(5), "Process Exit Codes": what systemd could not do before it started PHP, mostly in a container
REFUSALS = {
    "217": "systemd could not take on the user or set up user namespaces (PrivateUsers=), as in a chroot or in a "
    "container that forbids them",
    "226": "systemd could not set up mounts of its own, as in a container that forbids them",
    "228": "systemd could not filter system calls: the kernel or the container lacks seccomp",
}

Directives = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class NotProvable:
    """Nothing was proven, neither good nor bad: nothing can be run here, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """The names of one scratch jail."""

    root: Path

    @property
    def unit(self) -> str:
        """The transient unit, without suffix."""
        return f"fpmjail-{self.root.name}"

    @property
    def socket(self) -> Path:
        """Held by systemd, for root only; FPM gets it by inheritance."""
        return self.root / "socket"

    @property
    def log(self) -> Path:
        """What FPM said."""
        return self.root / "log"


def skeleton(
    digest: str,
    etc_names: frozenset[str],
    live_names: frozenset[str],
    uid: int,
    gid: int,
    libraries: str = IMAGE,
    variable_names: frozenset[str] = frozenset(),
) -> tuple[Piece, ...]:
    """The scratch jail, parents before children: like a site's, but on the candidate instead of `current`."""
    copied = sorted(etc_names - live_names - OWN_FILES)
    return (
        *(Directory(path) for path in (*jail.EMPTY, "tmp", "var/lib/php/sessions")),
        jail.usr(libraries, digest),
        *(Link(path, target) for path, target in jail.MERGED.items()),
        Link("var/run", "../run"),
        Link("var/tmp", "../tmp"),
        *(Link(f"etc/{name}", f"../.image/{digest}/etc/{name}") for name in copied),
        *(Link(f"etc/{name}", f"../.image/live/{name}") for name in sorted(live_names)),
        File("etc/passwd", f"{USER}:x:{uid}:{gid}::/:/usr/sbin/nologin\n"),
        File("etc/group", f"{USER}:x:{gid}:\n"),
        *jail.variable_links(variable_names, digest),
    )


def pool(socket: Path) -> str:
    """FPM's configuration: one pool on the inherited socket, php.ini as it is (php-fpm.conf(5))."""
    return f"""[global]
error_log = /dev/null
daemonize = no
[probe]
listen = {socket}
pm = static
pm.max_children = 2
catch_workers_output = yes
request_terminate_timeout = {LONGEST_PROBE:g}s
php_admin_value[open_basedir] = none
php_admin_value[auto_prepend_file] = none
php_admin_value[sys_temp_dir] = /tmp
php_admin_value[upload_tmp_dir] = /tmp
php_admin_value[session.save_path] = /var/lib/php/sessions
"""


def confinement(
    scratch: Scratch, image: Path, sandbox: Directives, libraries: str = IMAGE
) -> tuple[tuple[str, str], ...]:
    """The directives of the transient service; the site's sandbox first, so that what follows cannot be loosened."""
    return (
        *(pair for pair in sandbox if pair[0] not in UNCONFIGURED),
        ("Type", "notify"),
        ("User", USER),
        ("Group", USER),
        ("RootDirectory", str(scratch.root)),
        ("MountAPIVFS", "yes"),
        ("BindReadOnlyPaths", f"{image}:/.image"),
        ("TemporaryFileSystem", RUN),
        *((("BindReadOnlyPaths", "/usr:/usr"),) if libraries == BIND else ()),
        ("TemporaryFileSystem", SHARED_MEMORY),
        ("TemporaryFileSystem", f"/tmp:{PRIVATE}"),
        ("TemporaryFileSystem", f"/var/lib/php/sessions:{PRIVATE}"),
        ("Environment", f"FPM_SOCKETS={scratch.socket}=3"),
        ("StandardOutput", "null"),
        ("StandardError", f"truncate:{scratch.log}"),
        ("TimeoutStartSec", f"{PATIENCE:g}"),
        ("TimeoutStopSec", "5"),
    )


def command(scratch: Scratch, image: Path, sandbox: Directives, profile: Profile) -> list[str]:
    """The systemd-run(1) call that makes the socket and the service behind it."""
    service = [f"--property={name}={value}" for name, value in confinement(scratch, image, sandbox, profile.libraries)]
    socket = [
        f"--socket-property={pair}"
        for pair in (f"ListenStream={scratch.socket}", "SocketMode=0600", "RemoveOnStop=yes")
    ]
    php = [profile.master, "--nodaemonize", "--force-stderr", "--fpm-config", "/etc/fpm.conf"]
    names = [f"--unit={scratch.unit}", "--description=PHP out of a candidate image, asked by fpmjail's probes"]
    return ["systemd-run", "--quiet", *names, *socket, *service, "--", *php]


def prove(layout: Layout, profile: Profile, digest: str, sandbox: Directives) -> tuple[Result, ...] | NotProvable:
    """Every probe of the profile, answered by PHP out of the generation `digest`; about a second.

    The caller holds the lock: what an earlier, killed proof left behind is removed here. Raises OSError when the
    scratch jail cannot be made (disk full).
    """
    if not systemd.running():
        return NotProvable("systemd does not run here")
    try:
        uid, gid = pwd.getpwnam(USER).pw_uid, grp.getgrnam(USER).gr_gid
    except KeyError:
        return NotProvable(f"the account {USER} is missing: systemd-sysusers fpmjail.conf")
    sweep(layout)
    place = layout.image(profile.id)
    manifest = image.read_manifest(layout, profile.id, digest)
    with _scratch(layout) as scratch:
        own = _pieces(place, digest, uid, gid, profile.libraries)
        _build(scratch, (*own, *(shell.of_profile(profile, manifest) if manifest else ())))
        started = time.monotonic()
        fault = start(scratch, command(scratch, place, sandbox, profile))
        if isinstance(fault, NotProvable):
            return fault
        if fault:
            words = f"php-fpm does not start from this generation: {fault}"
            return (Result("php", False, (words,), time.monotonic() - started, faulty=(probe.WHOLE,)),)
        names = probe.available(layout.probes, profile.capabilities)
        return probe.ask_all(scratch.socket, names, probe.of_candidate(layout, profile, digest))


def _pieces(image: Path, digest: str, uid: int, gid: int, libraries: str) -> tuple[Piece, ...]:
    generation = image / digest
    etc, variable = (jail.names_in(generation / name) for name in ("etc", VARIABLE))
    return skeleton(digest, etc, jail.names_in(image / "live"), uid, gid, libraries, variable)


def sweep(layout: Layout) -> None:
    """Remove the scratch jails of proofs that were killed."""
    for root in layout.run.glob(f"{PREFIX}*"):
        remove(Scratch(root))


@contextmanager
def _scratch(layout: Layout) -> Iterator[Scratch]:
    scratch = Scratch(layout.run / f"{PREFIX}{secrets.token_hex(6)}")
    try:
        yield scratch
    finally:
        remove(scratch)


def _build(scratch: Scratch, pieces: tuple[Piece, ...]) -> None:
    files.make_directory(scratch.root, 0, 0, 0o755)
    for piece in (*pieces, File("etc/fpm.conf", pool(scratch.socket))):
        jail.put(scratch.root, piece)


def start(scratch: Scratch, call: list[str]) -> NotProvable | str:
    """Start the transient units; why FPM does not come up, empty when it does."""
    made = systemd.run(call, PATIENCE)
    if any(words in made.words for words in LOST_BUS):
        return NotProvable(probe.printable(made.words))
    answer = systemd.systemctl("start", f"{scratch.unit}.service", timeout=2 * PATIENCE) if made.good else made
    return "" if answer.good else _last_words(scratch, answer.words)


def _last_words(scratch: Scratch, otherwise: str) -> str:
    with suppress(OSError):
        said = scratch.log.read_text(errors="replace").strip().splitlines()[-3:]
        if said:
            return probe.printable("; ".join(said))
    state = systemd.properties(f"{scratch.unit}.service", "Result", "ExecMainStatus")
    why = REFUSALS.get(state["ExecMainStatus"], otherwise)
    return probe.printable(f"{state['Result']} (status {state['ExecMainStatus']}): {why}")


def remove(scratch: Scratch) -> None:
    """Stop the transient units and take their directory away."""
    units = (f"{scratch.unit}.socket", f"{scratch.unit}.service")
    systemd.systemctl("stop", *units)
    systemd.systemctl("reset-failed", *units)
    # What is kept holds no data, is gone after a reboot, and the next proof tries again.
    mounts.discard(scratch.root)
