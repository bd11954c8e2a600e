# SPDX-License-Identifier: MIT
"""The shortest look: has anything changed since a complete look found nothing to do?

dpkg's triggers and the watchers call the command dozens of times in a night of upgrades, and almost always there is
nothing to do. A complete look leaves a list of all that it depended on, with the stamps of that moment; as long as each
still has its stamp, the answer is the same. Nothing else is loaded for that, and whatever is in doubt is looked at in
full. The list lies in /run, so a reboot forgets it.
"""

from __future__ import annotations

import os

from fpmjail import __version__

LIST = "/run/fpmjail/glance"
STATUS = "/var/lib/fpmjail/status.json"
REQUESTED = "/run/fpmjail/requested"
HEAD = f"fpmjail {__version__}"
ABSENT = "-"
LAST_WORD = "fpmjail-refresh.service"
WEB_RELOAD = "fpmjail-reload"

Stamp = tuple[int, int, int, int]
Known = dict[str, Stamp | None]


def stamp(path: str) -> Stamp | None:
    """What changes whenever a file or directory changes; None when it is not there. Links are not followed."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def write(profiles: list[str], known: Known, live: Known, place: str = LIST) -> None:
    """Leave the list behind. `live` are the paths that the live files alone depend on."""
    if not any("\n" in path for path in (*known, *live)):
        replace(place, [HEAD, " ".join(profiles), *map(line, live.items()), "", *map(line, known.items())])


def replace(place: str, lines: list[str]) -> None:
    """Write the list by one rename. Whoever loses a race with another run leaves stamps that do not hold."""
    temporary = f"{place}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join(lines))
    os.rename(temporary, place)  # noqa: PTH104


def line(pair: tuple[str, Stamp | None]) -> str:
    """One path with its stamp."""
    path, seen = pair
    return f"{' '.join(map(str, seen)) if seen else ABSENT} {path}"


def read(place: str = LIST) -> list[str] | None:
    """The lines of the list, None when there is none of this version."""
    try:
        with open(place, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - pathlib costs as much as all
            lines = file.read().split("\n")
    except OSError:
        return None
    return lines if lines[0] == HEAD and len(lines) > 2 else None


def same(text: str) -> bool:
    """Whether one line of the list still holds."""
    if text.startswith(f"{ABSENT} "):
        return stamp(text[2:]) is None
    *wanted, path = text.split(" ", 4)
    seen = stamp(path)
    return seen is not None and list(map(str, seen)) == wanted


def quiet(*, live_only: bool = False, place: str = LIST) -> list[str] | None:
    """The profiles in use if nothing has changed; None if something may have."""
    lines = read(place)
    if lines is None:
        return None
    watched = lines[2 : lines.index("")] if live_only else filter(None, lines[2:])
    return lines[1].split() if all(map(same, watched)) else None


def answer(words: list[str]) -> int | None:
    """The exit status of a command that has nothing to do; None when the whole program has to look."""
    match words:
        case ["refresh"] | ["trigger", _, *_] if WEB_RELOAD not in words:
            profiles = quiet()
        case ["refresh", "--when-unlocked", "--unless-quiet"]:
            return None if quiet() is None else 0
        case ["follow"]:
            profiles = quiet(live_only=True)
        case _:
            return None
    if profiles is None or os.geteuid() != 0:
        return None
    return answered(words[0], profiles)


def answered(command: str, profiles: list[str]) -> int | None:
    """What is done and said even when nothing has changed."""
    try:
        if command != "follow":
            os.utime(STATUS)
        if command == "refresh":
            print("".join(f"fpmjail: image {profile} up to date\n" for profile in profiles), end="")
        if command == "trigger":
            os.utime(REQUESTED)
            ask_for_the_last_word()
    except OSError:
        return None
    return 0


def ask_for_the_last_word() -> None:
    """dpkg may not have finished what it told us of: the service looks again when it has."""
    if os.path.isdir("/run/systemd/system"):  # noqa: PTH112
        call = ["systemctl", "--quiet", "--no-block", "start", LAST_WORD]
        os.waitpid(os.posix_spawnp(call[0], call, os.environ), 0)
