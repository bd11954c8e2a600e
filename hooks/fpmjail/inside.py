# SPDX-License-Identifier: MIT
"""`fpmjail exec`: an administrator's command in a site's jail, as the site's user, behind the walls of its service.

systemd makes a service of it that lives as long as the command, in the site's slice: limits count for all together.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fpmjail import release, sandbox, state, systemd
from fpmjail import site as sites
from fpmjail.host import Host
from fpmjail.layout import Layout
from fpmjail.site import Site

SYSTEMS_OWN = range(200, 244)  # systemd.exec(5): exit statuses of services whose command was never run
SHOWN = 12  # programs in a message


class NotInside(Exception):
    """The command cannot run in the jail: why, and what to do."""


class _Interrupted(Exception):
    """A signal asks for the end; its number is the argument."""


@dataclass(frozen=True, slots=True)
class Command:
    """What runs, where: `program` and `directory` are absolute paths in the jail; `terminal` gives it one."""

    program: str
    arguments: tuple[str, ...]
    directory: str
    terminal: bool


def ready(layout: Layout, name: str) -> Site:
    """A site that commands can run in. Raises NotInside, sites.SiteError."""
    if not (layout.sites / name / "site.json").is_file():
        raise NotInside("no such site; see: fpmjail status")
    site = sites.load(layout.sites / name / "site.json")
    known = state.read(layout, name)
    if known is None:
        raise NotInside(f"it is not configured: {release.finish(layout, site)}")
    if known.disabled:
        raise NotInside(f"it is switched off: fpmjail enable {name}")
    if not systemd.running():
        raise NotInside("systemd is not running here, which makes the walls")
    answer = systemd.start(*site.units.mounts)
    if not answer.good:
        raise NotInside(f"its mounts cannot be made: {answer.words}; see: fpmjail check {name}")
    return site


def prepare(layout: Layout, site: Site, words: Sequence[str], directory: str | None, terminal: bool) -> Command:
    """Find the program and the directory as the jail will see them. Raises NotInside."""
    place = find_directory(layout, site, directory)
    return Command(find_program(layout, site, words[0], place), tuple(words[1:]), place, terminal)


def find_directory(layout: Layout, site: Site, directory: str | None) -> str:
    """The working directory: the document root, or one that is named, seen from there. Raises NotInside."""
    path = os.path.normpath(site.inside.document_root / (directory or ""))
    outside = Path(path).is_dir() if bound(site, path) else jail_of(layout, site).resolve(path).is_directory
    if not outside:
        raise NotInside(f"the jail has no directory {path}")
    return path


def jail_of(layout: Layout, site: Site) -> Host:
    """The jail, in which links are followed as they lead in there."""
    mounted = tuple((str(layout.host(source)), place) for source, place in site.filesystem.read_only)
    return Host(layout.host(str(site.paths.jail)), mounted)


def bound(site: Site, path: str) -> bool:
    """True for a path at which the jail shows the host's own directory."""
    return any(Path(path).is_relative_to(place) for place in site.filesystem.bind)


def find_program(layout: Layout, site: Site, word: str, directory: str) -> str:
    """The path of a program: as it stands, seen from the directory, or in PATH. Raises NotInside."""
    named = "/" in word
    search = dict(site.environment).get("PATH", "/usr/bin").split(":")
    paths = [f"{directory}/{word}"] if named and not word.startswith("/") else [word]
    paths = [os.path.normpath(path) for path in (paths if named else [f"{place}/{word}" for place in search])]
    if named and any(Path(paths[0]).is_relative_to(place) for place in site.filesystem.writable):
        raise NotInside(
            f"{paths[0]} lies where the site can write, and nothing is executable there; if it is a PHP script: "
            f"fpmjail exec {site.name} -- php {word} ..."
        )
    jail = jail_of(layout, site)
    for path in paths:
        if executable(jail, path):
            return path
    raise NotInside(f"the jail has no {word}; its programs: {', '.join(programs(jail))}")


def executable(jail: Host, path: str) -> bool:
    """True for a file in the jail that may be run; links are followed as they lead in there."""
    found = jail.resolve(path)
    return found.is_file and found.status is not None and bool(found.status.st_mode & 0o111)


def programs(jail: Host) -> tuple[str, ...]:
    """Some of the programs of the jail, by name."""
    paths = (path for place in ("bin", "sbin") for path in jail.glob(f"/usr/{place}/*"))
    names = sorted(path.rpartition("/")[2] for path in paths if executable(jail, path))
    return (*names[:SHOWN], "...") if len(names) > SHOWN else tuple(names)


def variables(site: Site, outside: str | None) -> tuple[tuple[str, str], ...]:
    """The environment: the site's own, and the kind of terminal outside."""
    known = bool(outside and re.fullmatch(r"[A-Za-z0-9._+-]{1,64}", outside))
    return (*site.environment, *((("TERM", str(outside)),) if known else ()))


def call(site: Site, command: Command, unit: str, environment: Sequence[tuple[str, str]]) -> list[str]:
    """The systemd-run(1) call. systemd puts variables in place of `$NAME` in arguments; `$$` is a `$` for it."""
    confinement = (
        ("RootDirectory", str(site.paths.jail)),
        ("User", site.user.name),
        ("Group", site.user.group),
        *sandbox.directives(site),
    )
    return [
        "systemd-run", "--quiet", "--collect", "--wait", "--pty" if command.terminal else "--pipe",
        f"--unit={unit}", f"--description=Command in the jail of the site {site.name}",
        f"--working-directory={command.directory}",
        *(f"--property={name}={value}" for name, value in confinement),
        *(f"--setenv={name}={value}" for name, value in environment),
        "--", command.program, *(word.replace("$", "$$") for word in command.arguments),
    ]  # fmt: skip


def unit_name(site: Site) -> str:
    """A name for one command; the colons keep sites with similar names apart in `units`."""
    return f"fpmjail-exec:{site.name}:{secrets.token_hex(6)}.service"


def stop_all(site: Site) -> None:
    """End every command that an administrator runs in the jail."""
    systemd.systemctl("stop", f"fpmjail-exec:{site.name}:*.service")


def run(site: Site, command: Command) -> tuple[int, str]:
    """Run a command with this process's own streams; its exit status, and words about one that is systemd's.

    A signal that ends this process ends the command: it runs elsewhere, the terminal's signals do not reach it.
    """
    unit = unit_name(site)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    process = subprocess.Popen(call(site, command, unit, variables(site, os.environ.get("TERM"))))
    try:
        status = process.wait()
    except _Interrupted as interruption:
        systemd.systemctl("stop", unit)
        process.wait()
        return 128 + int(interruption.args[0]), ""
    hint = f"if the command did not run at all: journalctl -u {unit}" if status in SYSTEMS_OWN else ""
    return status, hint


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise _Interrupted(number)


def on_terminal() -> bool:
    """True when all three streams are a terminal: then the command gets one as well."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
