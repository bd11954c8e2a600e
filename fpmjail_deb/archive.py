# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: a repository's directory: what was decided once, what was published when, and who may write.

settings.json   what was decided once
history/        one file for each publish
public/         what a web server serves: dists, pool, the keyring packages
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fpmjail_deb.errors import BuildError, OutputError, UsageError
from fpmjail_deb.repository import Package, Publish, Settings, remembered

FORMAT = 1
WORKSHOP = ".publishing-"
"""What the directories begin with in which publishes are made; a killed one leaves one."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A repository's directory."""

    root: Path

    @property
    def public(self) -> Path:
        """Return the directory to serve."""
        return self.root / "public"

    @property
    def settings_file(self) -> Path:
        """Return the file by which a directory is known for ours."""
        return self.root / "settings.json"

    def history_file(self, number: int) -> Path:
        """Return the file that tells of a publish."""
        return self.root / "history" / f"{number:06}.json"

    def settings(self) -> Settings:
        """Read what was decided once. Raises UsageError for a directory that is not ours."""
        try:
            text = self.settings_file.read_text()
        except (FileNotFoundError, NotADirectoryError):
            example = f"{self.root} --origin ORG --url https://... --maintainer 'Team <team@example.org>'"
            hint = f"make one: fpmjail-deb publish --init {example}"
            raise UsageError(f"{self.root} is no repository of fpmjail-deb's: it has no settings.json", hint) from None
        try:
            return _settings(json.loads(text))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            message = f"{self.settings_file} cannot be understood: {error}"
            raise UsageError(message, "bring it back from a backup; an upgrade of fpmjail-deb may help too") from error

    def save_settings(self, settings: Settings) -> None:
        """Write what was decided once."""
        write_whole(self.settings_file, json.dumps({"format": FORMAT, **asdict(settings)}, indent=2) + "\n")

    def clear(self) -> None:
        """Delete all that belongs to a repository that never came to be; its directory stays."""
        self.settings_file.unlink(missing_ok=True)
        for name in ("history", "keyrings", "public", "aptly"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / "lock").unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        """Return the numbers of all publishes that the history knows, in their order."""
        return sorted(int(file.stem) for file in self.root.glob("history/*.json") if file.stem.isdigit())

    def read(self, number: int) -> Publish:
        """Return a publish. Raises BuildError for one that is not there any more."""
        file = self.history_file(number)
        try:
            return _publish(json.loads(file.read_text()))
        except FileNotFoundError:
            there = ", ".join(map(str, self.numbers()))
            raise BuildError(f"there is no publish {number}", f"there are {there}") from None
        except (ValueError, TypeError, LookupError) as error:
            raise BuildError(f"{file} cannot be understood: {error}", "bring it back from a backup") from error

    def save(self, publish: Publish, *, to_disk: bool = True) -> None:
        """Write a publish into the history; `to_disk` waits until it is there."""
        facts = {
            "number": publish.number,
            "date": publish.date,
            "reason": publish.reason,
            "origin": publish.origin,
            "label": publish.label,
            "packages": [_row(package) for package in publish.packages],
            "highest": [[*line, *known] for line, known in sorted(publish.highest.items())],
        }
        file = self.history_file(publish.number)
        file.parent.mkdir(exist_ok=True)
        write_whole(file, json.dumps(facts) + "\n", to_disk=to_disk)

    def remembered(self, served: int, before: int) -> list[int]:
        """Return the numbers of the publishes that can be gone back to, the served one last.

        `before` is how many stay before it. Compared is what is written of their packages, which is many times faster
        than to understand it.
        """
        numbers = (number for number in self.numbers() if number <= served)
        return remembered([(number, self._packages_text(number)) for number in numbers], before)

    def _packages_text(self, number: int) -> str:
        return self.history_file(number).read_text().partition('"packages": ')[2].partition('"highest": ')[0]

    def only_in(self, number: int, others: Sequence[int]) -> set[Package]:
        """Return the packages that a publish has, and none of some others; the nearest of these has most of them."""
        found = set(self.read(number).packages)
        nearest, *rest = sorted(others, key=lambda other: abs(other - number))
        found -= set(self.read(nearest).packages)
        for other in rest:
            if found:  # many times faster than to understand it all, for the few that are left
                text = self.history_file(other).read_text()
                found = {package for package in found if json.dumps(_row(package)) not in text}
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all others from writing; what a killed publish left goes. Raises BuildError when somebody else does."""
        with (self.root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                raise BuildError(f"another fpmjail-deb publishes into {self.root}", "wait for its end") from error
            for left in self.root.glob(f"{WORKSHOP}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """A directory on the same file system, which goes again; only who holds the repository may have one."""
        with explained(self.root):
            made = self.root / f"{WORKSHOP}{os.getpid()}"
            made.mkdir()
            try:
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Say of an OSError what it means: nothing was published, and why. Raises OutputError."""
    try:
        yield
    except OSError as error:
        message = f"{place} cannot be written: {error.strerror or error}; what was served before is still served"
        raise OutputError(message, "make room, and publish again" if error.errno == errno.ENOSPC else "") from error


def write_whole(file: Path, text: str, *, to_disk: bool = True) -> None:
    """Write a file that is there complete or as it was; after a power cut too, if this waits for the disk."""
    made = file.with_name(f".{file.name}.new")
    try:
        with made.open("w") as stream:
            stream.write(text)
            stream.flush()
            if to_disk:
                os.fsync(stream.fileno())
        made.replace(file)
    finally:
        with suppress(FileNotFoundError):
            made.unlink()


def _settings(facts: dict[str, Any]) -> Settings:
    if facts.pop("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    settings = Settings(**facts)
    for name, value in asdict(settings).items():
        if not isinstance(value, int if name in ("keep", "validity") else str) or isinstance(value, bool):
            raise ValueError(f"{name} cannot be {value!r}")
    if settings.keep < 1 or settings.validity < 0:
        raise ValueError("keep is at least 1, validity at least 0")
    return settings


def _row(package: Package) -> list[str]:
    return [package.name, package.version, package.architecture, package.release, package.sha256]


def _publish(facts: dict[str, Any]) -> Publish:
    highest = {(row[0], row[1], row[2]): (row[3], row[4]) for row in facts.pop("highest")}
    packages = tuple(Package(*row) for row in facts.pop("packages"))
    return Publish(**facts, highest=highest, packages=packages)
