# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of `fpmjail-deb publish`: its options, what it prints, its exit status."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

from fpmjail_deb import publication, rules, serving, signing
from fpmjail_deb.archive import Archive
from fpmjail_deb.errors import UsageError, quote
from fpmjail_deb.publication import Outcome, Request
from fpmjail_deb.release import RELEASES
from fpmjail_deb.repository import APT_FTPARCHIVE, APTLY, KEPT_VERSIONS, Publish, Settings
from fpmjail_deb.rules import RejectedError

EXAMPLES = """\
examples:
  fpmjail-deb publish --init /srv/repository --origin Example --url https://deb.example.org \\
      --maintainer 'Web Team <web@example.org>' --gnupghome ~/signing
  fpmjail-deb publish /srv/repository dist/ build/      everything that is new in dist and build
  fpmjail-deb publish /srv/repository dist/ --dry-run   tell what that would change
  fpmjail-deb publish /srv/repository --list            which publish had what
  fpmjail-deb publish /srv/repository --rollback        the publish before the last again
  fpmjail-deb publish /srv/repository --serve 8080      try it out: http://127.0.0.1:8080

A web server serves /srv/repository/public. A server is enrolled by installing one package from there:
  apt install ./example-archive-keyring_trixie.deb

exit status: 0 done, or nothing to do; 1 it failed, and what was served before still is; 2 bad usage"""

ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,29}")
URL = re.compile(r"(https?|file)://[A-Za-z0-9._~:/@%+\[\]-]+[A-Za-z0-9_~\]-]")
FINGERPRINT = re.compile(r"[0-9A-F]{40}")
VALIDITY = re.compile(r"[1-9][0-9]{0,2}[dw]|never")
DAYS = {"d": 1, "w": 7}
EXPIRY = re.compile(r"[1-9][0-9]{0,3}[dwmy]|never")
NEEDS_INIT = ("origin", "label", "url", "maintainer", "key", "expires", "via", "gnupghome")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the grammar of the command."""
    parser.add_argument("repository", metavar="REPOSITORY", type=Path, help="the directory of the repository")
    parser.add_argument(
        "places", metavar="DEB|DIR", nargs="*", type=Path,
        help="packages, and directories of which the newest version of every package is meant",
    )  # fmt: skip
    release = "for packages whose version does not end in +deb13 or +deb12"
    parser.add_argument("--release", choices=sorted(RELEASES), help=release)
    parser.add_argument("--keep", metavar="N", type=number, help="so many versions of every package stay; 5 without it")
    parser.add_argument("--remove", metavar="PACKAGE", action="append", default=[], help="take a package out")
    valid = "servers refuse this publish and those that follow when they are older: 14d, 2w; never ends that"
    parser.add_argument("--valid-for", metavar="TIME", type=days, help=valid)
    parser.add_argument("--dry-run", action="store_true", help="tell what would change, and change nothing")
    parser.add_argument("--json", action="store_true", help="tell it for programs")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--init", action="store_true", help="make the repository, its key and its keyring package")
    actions.add_argument("--list", action="store_true", help="show the publishes that --rollback can go back to")
    about = "publish again what publish N had; the last with other packages without N"
    actions.add_argument("--rollback", metavar="N", nargs="?", type=number, const=0, help=about)
    where = "serve the repository for a trial: on a port of 127.0.0.1, or on ADDRESS:PORT"
    actions.add_argument("--serve", metavar="PORT", nargs="?", const="8080", help=where)
    _add_init_options(parser.add_argument_group("with --init"))


def _add_init_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--origin", metavar="ORG", help="what servers trust; it never changes, and names files on them")
    group.add_argument("--label", help="the same for people; ORG without it")
    group.add_argument("--url", help="where servers will find what is in REPOSITORY/public")
    group.add_argument("--maintainer", metavar="NAME <ADDRESS>", help="who answers for it; see DEBEMAIL")
    group.add_argument("--gnupghome", metavar="DIR", type=Path, help="where the key is kept; see GNUPGHOME")
    group.add_argument("--key", metavar="FINGERPRINT", help="a key that is there, instead of a new one")
    group.add_argument("--expires", metavar="TIME", help="how long the new key is good, such as 2y; 5y without it")
    group.add_argument("--via", choices=(APT_FTPARCHIVE, APTLY), help="who keeps the indexes")


def number(text: str) -> int:
    """Return a number from 1. Raises argparse.ArgumentTypeError."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"expected a number from 1, found {quote(text)}")
    return int(text)


def days(text: str) -> int:
    """Return the days of a time such as 14d or 2w, 0 for `never`. Raises argparse.ArgumentTypeError."""
    if not VALIDITY.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a time such as 14d or 2w, or never, found {quote(text)}")
    return 0 if text == "never" else int(text[:-1]) * DAYS[text[-1]]


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
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
        signing.Key(home, options.key).warning(int(time.time()))
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
    try:
        return rules.maintainer().convert(text)
    except RejectedError as error:
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
    archive.settings()
    address, port = serving.place(place)
    serving.serve(archive.public, address, port, lambda url: print(f"{archive.public} is at {url}", flush=True))
    return 0
