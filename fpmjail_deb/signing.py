# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: the key that signs a repository, in a directory of gpg's own."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fpmjail_deb.errors import BuildError
from fpmjail_deb.external import ExternalError, Started, outputs, run, start

DAY = 24 * 3600
WARNED_BEFORE = 60 * DAY
_PASSPHRASE = re.compile(r"pinentry|passphrase|Inappropriate ioctl|cancelled|Timeout", re.IGNORECASE)
_AGENT = re.compile(r"gpg-agent|the agent|No agent", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret key; `home` is its GNUPGHOME."""

    home: Path
    fingerprint: str

    @property
    def short(self) -> str:
        """Return what people call it."""
        return self.fingerprint[-16:]

    def look(self) -> Listing:
        """Begin to ask gpg for what it knows of the key. Raises BuildError when there is no such directory."""
        if not self.home.is_dir():
            raise BuildError(f"{self.home} with the key {self.short} is not there", "name another with --gnupghome")
        command = _command(self.home, "--with-colons", "--list-secret-keys", self.fingerprint)
        return Listing(self, start(command))

    def warning(self, now: int, listing: str) -> str:
        """Check that it can sign, at a time in seconds since 1970; return what will go wrong soon, or nothing.

        `listing` is gpg's. Raises BuildError for a key that is expired, revoked, or from the future.
        """
        validity, created, expires = _facts(listing)
        if created > now:
            seen = _day(now)
            raise BuildError(f"the clock is wrong: it says {seen}, and the key {self.short} is of {_day(created)}")
        if expires and expires <= now:
            renew = f"gpg --homedir {self.home} --quick-set-expire {self.fingerprint} 5y"
            raise BuildError(f"the key {self.short} expired on {_day(expires)}", f"renew it: {renew}")
        if validity in "rdi":
            raise BuildError(f"the key {self.short} is revoked, disabled or invalid", "the repository needs another")
        if expires and expires - now < WARNED_BEFORE:
            return f"the key {self.short} expires on {_day(expires)}; then servers refuse the repository"
        return ""

    def public(self) -> bytes:
        """Return the public key, in armour, as Signed-By takes it from a file .asc."""
        return _gpg(self.home, "--armor", "--export-options", "export-minimal", "--export", self.fingerprint)

    def try_to_sign(self, place: Path) -> None:
        """Sign something in an empty directory. Raises BuildError when gpg cannot."""
        trial = place / "trial"
        trial.write_text("a trial\n")
        with self.signing([trial]):
            pass

    @contextmanager
    def signing(self, releases: Iterable[Path]) -> Iterator[None]:
        """Write InRelease and Release.gpg beside Release files; at the end of this all are there.

        Raises BuildError when gpg cannot.
        """
        commands = [command for release in releases for command in self._commands(release)]
        started = [start(command) for command in commands]
        try:
            yield
        finally:
            self._finish(started)

    def _finish(self, started: Sequence[Started]) -> None:
        try:
            outputs(started)
        except ExternalError as error:
            raise _explained(self.home, self.short, error.words) from error

    def _commands(self, release: Path) -> tuple[list[str], list[str]]:
        options = ("--yes", "--local-user", self.fingerprint, "--digest-algo", "SHA512", *_pinentry(), "--output")
        return (
            _command(self.home, *options, str(release.with_name("InRelease")), "--clearsign", str(release)),
            _command(self.home, *options, f"{release}.gpg", "--armor", "--detach-sign", str(release)),
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """What gpg is being asked of a key."""

    key: Key
    gpg: Started

    def text(self) -> str:
        """Wait for gpg, once; return what it lists. Raises BuildError if there is no such key."""
        try:
            return self.gpg.output().decode()
        except ExternalError:
            message = f"{self.key.home} has no secret key {self.key.short}"
            raise BuildError(message, "name another with --gnupghome") from None


def _facts(listing: str) -> tuple[str, int, int]:
    """Return gpg's letter for a key's validity, and when it was made and expires, in seconds since 1970."""
    fields = next(line.split(":") for line in listing.splitlines() if line.startswith("sec:"))
    return fields[1] or "-", int(fields[5]), int(fields[6] or 0)


def create(home: Path, owner: str, expires: str) -> Key:
    """Make an ed25519 key without a passphrase; what is private is for its owner only.

    Raises BuildError when there is one already, or when gpg cannot.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    if _fingerprints(home, owner):
        raise BuildError(f"{home} has a key of {owner} already", "use it: --key FINGERPRINT; or name another directory")
    try:
        _gpg(home, "--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign", expires)
    except ExternalError as error:
        raise _explained(home, "new", error.words) from error
    (fingerprint,) = _fingerprints(home, owner)
    return Key(home, fingerprint)


def _explained(home: Path, key: str, words: str) -> BuildError:
    """Return what gpg's words mean."""
    if "time warp" in words or "clock problem" in words:
        return BuildError(f"the clock is wrong, says gpg: {words}")
    if _PASSPHRASE.search(words):
        hint = f"unlock it in gpg-agent first, GNUPGHOME={home}; see gpg-preset-passphrase(1)"
        return BuildError(f"the key {key} has a passphrase that no agent knows ({words})", hint)
    if _AGENT.search(words):
        hint = "install gpg-agent; if it is there: its socket needs a short path, name another directory"
        return BuildError(f"gpg-agent does not work in {home} ({words})", hint)
    return BuildError(f"the key {key} cannot sign: {words}")


def _fingerprints(home: Path, owner: str) -> tuple[str, ...]:
    try:
        text = _gpg(home, "--with-colons", "--list-secret-keys", f"={owner}").decode()
    except ExternalError:
        return ()
    lines = text.splitlines()
    return tuple(after.split(":")[9] for line, after in pairwise(lines) if line.startswith("sec:"))


def _pinentry() -> tuple[str, ...]:
    """Let gpg ask for a passphrase where somebody can answer."""
    return () if sys.stdin.isatty() and os.environ.get("GPG_TTY") else ("--pinentry-mode", "error")


def _gpg(home: Path, *arguments: str) -> bytes:
    return run(_command(home, *arguments))


def _command(home: Path, *arguments: str) -> list[str]:
    return ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet", *arguments]


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
