# SPDX-License-Identifier: GPL-2.0-or-later
"""The site's user in root's way. `saboteur.py USER plant|unplant|race|calm ROOT...`

plant: in every directory that he can write to, each entry is set aside, and a link to the bait takes its name; so do
links with the names that root's programs may use. unplant: all of it back. race: entries and such links are exchanged
as fast as the machine can, until /run/race-over is there. calm: what a killed race left goes back.
"""

import contextlib
import ctypes
import os
import pwd
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

BAIT = "/srv/bait"
NAMES = (
    "htdocs", "uploads", "deep", "tmp", "sessions", "log", "etc", "php.log", "slow.log", "shell.log", "mail.log",
    "php.log.1", "slow.log.1", "shell.log.1.gz", ".php.log.new", ".uploads.new", ".htdocs.new", ".user.ini",
    ".htaccess", "index.php", "core", "lock", "bait", ".deep-0-1", "apache.conf",
)  # fmt: skip
EXCHANGE = 2
library = ctypes.CDLL(None)


def walk(root: Path) -> Iterator[Path]:
    """A directory and those below it, parents first; the image is left out, it is only large."""
    yield root
    with contextlib.suppress(OSError):
        for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False) and entry.name != ".image":
                yield from walk(Path(entry))


def writable(roots: list[str]) -> list[Path]:
    """The directories below some roots in which this user can make and rename entries, parents last."""
    found = dict.fromkeys(Path(place) for root in roots for place in reversed(list(walk(Path(root).resolve()))))
    return [place for place in found if os.access(place, os.W_OK | os.X_OK)]


def plant(directory: Path) -> None:
    for entry in list(directory.iterdir()):
        if entry.name.startswith(".aside-") or entry.name == "bait":
            continue
        target = f"{BAIT}/directory" if entry.is_dir() else f"{BAIT}/file"
        entry.rename(directory / f".aside-{entry.name}")
        entry.symlink_to(target)
    for name in NAMES:
        place = directory / name
        if not os.path.lexists(place):
            place.symlink_to(f"{BAIT}/directory" if "." not in name else f"{BAIT}/file")


def back(root: str, undo: Callable[[Path], None]) -> None:
    for place in walk(Path(root).resolve()):
        if os.access(place, os.W_OK | os.X_OK):
            undo(place)


def restore(directory: Path) -> None:
    for entry in list(directory.iterdir()):
        if entry.is_symlink() and str(entry.readlink()).startswith(BAIT):
            entry.unlink()
    for entry in list(directory.iterdir()):
        if entry.name.startswith(".aside-"):
            entry.rename(directory / entry.name.removeprefix(".aside-"))


def pairs_in(directory: Path) -> list[tuple[Path, Path]]:
    """The entries with the links that change places with them; made, unless an earlier run was killed over it."""
    pairs = []
    for name in sorted({entry.name.removeprefix(".race-") for entry in directory.iterdir()}):
        one, other = directory / name, directory / f".race-{name}"
        if not os.path.lexists(other) and not one.is_symlink():
            other.symlink_to(f"{BAIT}/directory" if one.is_dir() else f"{BAIT}/file")
        if os.path.lexists(other):
            pairs.append((one, other))
    return pairs


def race(directories: list[Path]) -> None:
    pairs = [pair for directory in directories for pair in pairs_in(directory)]
    names = [(os.fsencode(one), os.fsencode(other)) for one, other in pairs]
    print("racing", flush=True)
    done = 0
    while not Path("/run/race-over").exists():
        for one, other in names:
            done += library.renameat2(-100, one, -100, other, EXCHANGE) == 0
    print(f"exchanged {done}")


def calm(directory: Path) -> None:
    for one, other in pairs_in(directory):
        if one.is_symlink() and not other.is_symlink():
            library.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), EXCHANGE)
        if other.is_symlink():
            other.unlink()


user = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
if sys.argv[2] == "race":
    race(writable(sys.argv[3:]))
elif sys.argv[2] == "plant":
    for place in writable(sys.argv[3:]):
        plant(place)
else:
    for root in sys.argv[3:]:
        back(root, restore if sys.argv[2] == "unplant" else calm)
