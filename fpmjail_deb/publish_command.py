# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: what `fpmjail-deb publish` does for whoever calls it: its options, what it prints, its exit status."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

from fpmjail_deb import publication, signing
from fpmjail_deb.archive import Archive
from fpmjail_deb.errors import UsageError, quote
from fpmjail_deb.publication import Outcome, Request
from fpmjail_deb.publish_options import APT_FTPARCHIVE, APTLY
from fpmjail_deb.repository import KEPT_VERSIONS, Publish, Settings
from fpmjail_deb.terminal import ending

ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,29}")
URL = re.compile(r"(https?|file)://[A-Za-z0-9._~:/@%+\[\]-]+[A-Za-z0-9_~\]-]")
FINGERPRINT = re.compile(r"[0-9A-F]{40}")
EXPIRY = re.compile(r"[1-9][0-9]{0,3}[dwmy]|never")
NEEDS_INIT = ("origin", "label", "url", "maintainer", "key", "expires", "via", "gnupghome")


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    with ending():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    os.umask(0o022)  # what is served is read by a web server; gpg sees to its own files
    archive = Archive(options.repository.absolute())
    _check(options)
    if options.serve is not None:
        return _serve(archive, options.serve)
    if options.list:
        return _list(archive, options.json)
    outcome = _outcome(archive, options)
    if options.json:
        print(json.dumps(outcome.to_json(), indent=2))
    else:
        _tell(outcome, options.dry_run)
        if options.init:
            _tell_how_to_enrol(archive)
    return 0


def _outcome(archive: Archive, options: argparse.Namespace) -> Outcome:
    now = int(time.time())
    if options.init:
        return _init(archive, options)
    if options.rollback is not None:
        return publication.roll_back(archive, options.rollback or None, now, dry=options.dry_run)
    removed = tuple(options.remove)
    request = Request(
        tuple(options.places), now, options.release, removed, options.keep, options.dry_run, options.valid_for
    )
    return publication.publish(archive, request)


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that do not belong together."""
    given = [name for name in NEEDS_INIT if getattr(options, name) is not None]
    if given and not options.init:
        hint = "what was decided with --init stands in settings.json"
        raise UsageError(f"--{given[0]} is for --init only", hint)
    other = options.list or options.rollback is not None or options.serve is not None
    if other and options.valid_for is not None:
        raise UsageError("--valid-for is for publishing", "it holds for a --rollback too, once it was given")
    if (options.init or other) and (options.places or options.remove):
        raise UsageError("--init, --list, --rollback and --serve publish no packages", "publish them afterwards")
    if options.via == APTLY and options.valid_for:
        raise UsageError("--valid-for: aptly writes no Valid-Until", f"leave it out, or --via {APT_FTPARCHIVE}")
    if options.init and options.dry_run:
        raise UsageError("--init has no --dry-run", "make one in /tmp, and remove it")


def _init(archive: Archive, options: argparse.Namespace) -> Outcome:
    _wanted(options.origin, "--origin", ORIGIN, "2 to 30 of A-Z, a-z, 0-9 and -: apt reads no other files")
    _wanted(options.url, "--url", URL, "an address such as https://deb.example.org, without a / at the end")
    _wanted(options.expires or "5y", "--expires", EXPIRY, "a time such as 2y, 18m, or never")
    _wanted(options.label or options.origin, "--label", re.compile(r"[ -~]{1,60}"), "1 to 60 printable letters")
    maintainer = _maintainer(options.maintainer)
    home = options.gnupghome or os.environ.get("GNUPGHOME")
    if not home:
        raise UsageError("where shall the key be?", "name a directory, not below the repository: --gnupghome DIR")
    home = Path(home).absolute()
    if home.is_relative_to(archive.public):
        raise UsageError(f"{home} will be served to everybody", "name another directory with --gnupghome")
    publication.check_new(archive.root)
    settings = Settings(
        origin=options.origin,
        label=options.label or options.origin,
        url=options.url,
        maintainer=maintainer,
        key=_key(options, home, maintainer),
        gnupghome=str(home),
        keep=options.keep or KEPT_VERSIONS,
        validity=options.valid_for or 0,
        via=options.via or APT_FTPARCHIVE,
    )
    return publication.initialise(archive, settings, int(time.time()))  # a new key is older than that


def _key(options: argparse.Namespace, home: Path, maintainer: str) -> str:
    """Return the fingerprint of the key that is there, or of a new one."""
    if options.key:
        _wanted(options.key, "--key", FINGERPRINT, "a fingerprint of 40 digits, as gpg --list-secret-keys shows it")
        key = signing.Key(home, options.key)
        key.warning(int(time.time()), key.look().text())
        return str(options.key)
    owner = f"{options.origin} archive signing key <{maintainer.rpartition('<')[2].rstrip('>')}>"
    return signing.create(home, owner, options.expires or "5y").fingerprint


def _wanted(text: str | None, option: str, pattern: re.Pattern[str], expected: str) -> None:
    if text is None:
        raise UsageError(f"--init needs {option}", expected)
    if not pattern.fullmatch(text):
        raise UsageError(f"{option}: expected {expected}, found {quote(text)}")


def _maintainer(text: str | None) -> str:
    name, address = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    text = text or (f"{name} <{address}>" if name and address else None)
    if text is None:
        raise UsageError("--init needs --maintainer", "such as 'Web Team <web@example.org>'")
    from fpmjail_deb import rules  # with the parser of YAML: for --init only

    try:
        return rules.maintainer().convert(text)
    except rules.RejectedError as error:
        raise UsageError(f"--maintainer: expected {rules.maintainer().expected}, found {quote(text)}") from error


def _tell(outcome: Outcome, dry: bool) -> None:
    for warning in outcome.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for word, packages in (("added", outcome.change.added), ("dropped", outcome.change.dropped)):
        for package in packages:
            print(f"{word:8}{package}")
    unchanged = f", {outcome.change.unchanged} unchanged" if outcome.change.unchanged else ""
    if outcome.written:
        words = f"publish {outcome.publish.number}: {outcome.publish.reason}{unchanged}"
    elif outcome.change.empty:
        words = f"nothing is new{unchanged}; publish {outcome.publish.number} is served"
    else:
        words = f"{'would be ' if dry else ''}publish {outcome.publish.number}: {outcome.publish.reason}{unchanged}"
    print(f"fpmjail-deb: {words}", file=sys.stderr)


def _tell_how_to_enrol(archive: Archive) -> None:
    settings = archive.settings()
    name = settings.origin.lower()
    print(f"key      {settings.key} in {settings.gnupghome}: keep a copy where nobody else can read it")
    print(f"serve    {archive.public} as {settings.url}")
    print(f"enrol    curl -fO {settings.url}/{name}-archive-keyring_trixie.deb")
    print(f"         apt install ./{name}-archive-keyring_trixie.deb && apt update")


def _list(archive: Archive, as_json: bool) -> int:
    publishes = publication.history(archive)
    if as_json:
        print(json.dumps([_row(publish, publishes[-1]) for publish in publishes], indent=2))
    else:
        for publish in publishes:
            row = _row(publish, publishes[-1])
            print(f"{row['publish']:>6}  {row['date']}  {row['packages']:>5} packages  {row['reason']}")
    return 0


def _row(publish: Publish, served: Publish) -> dict[str, object]:
    return {
        "publish": publish.number,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(publish.date)),
        "reason": publish.reason,
        "packages": len(publish.packages),
        "served": publish is served,
    }


def _serve(archive: Archive, place: str) -> int:
    from fpmjail_deb import serving  # with a web server

    archive.settings()
    address, port = serving.place(place)
    serving.serve(archive.public, address, port, lambda url: print(f"{archive.public} is at {url}", flush=True))
    return 0
