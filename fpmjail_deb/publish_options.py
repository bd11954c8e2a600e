# SPDX-License-Identifier: GPL-2.0-or-later
"""The grammar of `fpmjail-deb publish`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from fpmjail_deb.errors import quote
from fpmjail_deb.release import RELEASES

APT_FTPARCHIVE, APTLY = "apt-ftparchive", "aptly"
"""Who keeps the indexes of a repository."""

EXAMPLES = """\
examples:
  fpmjail-deb publish --init /srv/repository --origin Example --url https://deb.example.org \\
      --maintainer 'Web Team <web@example.org>' --gnupghome ~/signing
  fpmjail-deb publish /srv/repository dist/ build/      everything that is new in dist and build
  fpmjail-deb publish /srv/repository dist/ --dry-run   tell what that would change
  fpmjail-deb publish /srv/repository --list            which publish had what
  fpmjail-deb publish /srv/repository --rollback        what was there before the last publish
  fpmjail-deb publish /srv/repository --serve 8080      try it out: http://127.0.0.1:8080

A web server serves /srv/repository/public. A server is enrolled by installing one package from there:
  apt install ./example-archive-keyring_trixie.deb

exit status: 0 done, or nothing to do; 1 it failed, and what was served before still is; 2 bad usage"""

VALIDITY = re.compile(r"[1-9][0-9]{0,2}[dw]|never")
DAYS = {"d": 1, "w": 7}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the grammar of the command."""
    parser.add_argument("repository", metavar="REPOSITORY", type=Path, help="the directory of the repository")
    parser.add_argument(
        "places", metavar="DEB|DIR", nargs="*", type=Path,
        help="packages, and directories of which the newest version of every package is meant",
    )  # fmt: skip
    release = "for packages whose version does not end in +deb13 or +deb12"
    parser.add_argument("--release", choices=sorted(RELEASES), help=release)
    keep = "so many versions of every package stay; as many as --init was told, or 5, without it"
    parser.add_argument("--keep", metavar="N", type=number, help=keep)
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
    who = "who answers for it; without it DEBFULLNAME and DEBEMAIL"
    group.add_argument("--maintainer", metavar="NAME <ADDRESS>", help=who)
    where = "where the key is kept, not below public; without it GNUPGHOME"
    group.add_argument("--gnupghome", metavar="DIR", type=Path, help=where)
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
