# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: parse, call, print. Nothing is imported for a command that is not asked for."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fpmjail_deb import __version__, publish_options
from fpmjail_deb.errors import BuildError, DescriptionError, UsageError, quote
from fpmjail_deb.release import RELEASES
from fpmjail_deb.terminal import failed, told

ABOUT = """\
Makes a Debian package of the description of a PHP website: its account, its PHP-FPM in a sealed
jail, its virtual host. The package is for servers that have the package fpmjail."""

EXAMPLES = """\
examples:
  fpmjail-deb new shop                       write shop.yaml, with every key and its meaning
  fpmjail-deb import pool.conf vhost.conf    write the description of a site that a server has already
  fpmjail-deb check shop.yaml                find all mistakes
  fpmjail-deb plan shop.yaml                 show what the packages will hold
  fpmjail-deb build shop.yaml -o dist        make dist/site-shop-jail_1.0.0+deb13_all.deb, ...
  fpmjail-deb build sites/ -o dist           the same for every description below sites/, as far as it changed
  fpmjail-deb diff sites/ --against dist     tell what the next build would change
  fpmjail-deb publish /srv/repository dist   put what is new into a signed repository for apt

what several sites have in common stands in sites/defaults.yaml

exit status:
  0  done; diff: no difference
  1  a package could not be made or published; diff: there is a difference
  2  a mistake in a description or on the command line; sites without one were built all the same

environment:
  SOURCE_DATE_EPOCH      the time of all packaged files, in seconds since 1970; without it 2026-01-01, or now
                         where `code:` ships the site's files
  DEBFULLNAME, DEBEMAIL  the maintainer that new, import and publish --init write
  GNUPGHOME              where publish --init has the key

see also: fpmjail-deb(1), fpmjail-site(5)"""

IMPORT_ABOUT = "write the description of a site that a server has"

IMPORT_EXAMPLES = """\
examples:
  fpmjail-deb import /etc/php/8.4/fpm/pool.d/shop.conf /etc/apache2/sites-available/shop.conf
  fpmjail-deb import pool.d/web1.conf sites-available/*.conf --domain shop.example.org -o sites/shop.yaml
  fpmjail-deb import shop.conf nginx-shop --name shop --drop-in import.conf

The files are a pool of php-fpm, virtual hosts of Apache (with mod_php or php-fpm) or server blocks of
nginx, in any order. Nothing else is read and nothing is run. Every value has a comment that says where it
comes from; what no key can say stands at the end, with what to do about it."""

NEW_EXAMPLES = """\
examples:
  fpmjail-deb new shop                     shop.yaml, every key with its meaning, defaults as comments
  fpmjail-deb new blog --wordpress         the same with values that suit WordPress
  fpmjail-deb new shop -o sites/shop.yaml"""

CHECK_EXAMPLES = """\
examples:
  fpmjail-deb check shop.yaml
  fpmjail-deb check sites/                 all descriptions below it together, defaults.yaml beneath them

A mistake is told as file:line:column: key: what was expected and found; what to do about it.
Two sites with the same account, user number, host name or timer are mistakes too."""

SOURCE_EXAMPLES = """\
examples:
  fpmjail-deb source shop.yaml --release trixie -o shop && cd shop && dpkg-buildpackage -us -uc

The tree is an ordinary Debian source package, with the description in debian/fpmjail.yaml, for teams
that build with dh(1): its package is the one that `fpmjail-deb build` makes. From then on
debian/changelog has the version and the release."""

PLAN_EXAMPLES = """\
examples:
  fpmjail-deb plan shop.yaml --release trixie
  fpmjail-deb plan shop.yaml --json | jq -r '.[0].scripts.postinst'"""

BUILD_EXAMPLES = """\
examples:
  fpmjail-deb build shop.yaml -o dist
  fpmjail-deb build sites/ -o dist -j 4
  fpmjail-deb build sites/ -o dist --against /srv/repository/public/pool

A package that is there already, in the output directory or below --against, with the content that it
would have now, is not built again. Another content needs a higher `version` in the description;
`version: auto` finds one: the day and a counter, higher than the last one that is there.

A site with a mistake is left out, the others are built; the exit status tells."""

DIFF_EXAMPLES = """\
examples:
  fpmjail-deb diff old.deb new.deb         what an upgrade from one to the other changes
  fpmjail-deb diff old.deb shop.yaml       what the description has changed since
  fpmjail-deb diff sites/ --against dist   the same for every site and the last of its packages in dist

exit status: 0 no difference, 1 a difference, 2 something could not be compared"""

PUBLISH_ABOUT = "put packages into a signed repository for apt"

SCHEMA_EXAMPLES = """\
examples:
  fpmjail-deb schema > site.schema.json
  fpmjail-deb schema --defaults > defaults.schema.json

Editors with YAML support complete and check keys with this first line in a description:
  # yaml-language-server: $schema=site.schema.json"""


@dataclass(frozen=True, slots=True)
class Command:
    """One word of the command line; `run` is module:function. That prints its result and returns the exit
    status, or raises an FpmjailError."""

    name: str
    about: str
    examples: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: str

    def __call__(self, options: argparse.Namespace) -> int:
        """Run it. What it needs is imported now: the start of a command is not to wait for the others'."""
        module, _, name = self.run.partition(":")
        status: int = getattr(import_module(f"fpmjail_deb.{module}"), name)(options)
        return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 good, 1 failed, 2 bad input. Errors go to stderr."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except DescriptionError as error:
        return _refused(error)
    except UsageError as error:
        return failed(str(error), 2)
    except BrokenPipeError:
        return _cut_off()
    except (BuildError, OSError) as error:
        return failed(str(error), 1)
    except KeyboardInterrupt:
        return failed("interrupted", 128 + signal.SIGINT)
    return status


def _cut_off() -> int:
    """Whoever reads what is printed has read enough; Python is not to write the rest at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _refused(error: DescriptionError) -> int:
    return failed(f"{told(error.problems)}, nothing was written", 2)


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("fpmjail-deb", description=ABOUT, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"fpmjail-deb {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        about = f"{command.about[0].upper()}{command.about[1:]}."
        words = commands.add_parser(
            command.name, help=command.about, description=about, epilog=command.examples, formatter_class=raw
        )
        command.add_options(words)
        words.set_defaults(run=command)
    return parser


def _descriptions_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places", metavar="FILE|DIR", nargs="+", type=Path,
        help="a site description, or a directory with *.yaml in it and below it",
    )  # fmt: skip


def _release_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--release", choices=sorted(RELEASES), help="for this release only, not for all of the site's")


def _new_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the name of the site")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the file to write; NAME.yaml without it")
    parser.add_argument("--wordpress", action="store_true", help="begin with values that suit WordPress")


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path,
        help="a pool of php-fpm, virtual hosts of Apache or server blocks of nginx",
    )  # fmt: skip
    parser.add_argument("--name", metavar="NAME", help="the site's name; without it the first word of its host name")
    parser.add_argument("--pool", metavar="POOL", help="which pool, if there are several")
    parser.add_argument("--domain", metavar="HOST", help="which site, if there are several: one of its host names")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the file to write; NAME.yaml without it")
    parser.add_argument(
        "--drop-in", metavar="FILE", type=Path, dest="drop_in",
        help="write what the web server can keep beside the description here: logins, redirects, ...",
    )  # fmt: skip


def _plan_options(parser: argparse.ArgumentParser) -> None:
    _descriptions_option(parser)
    _release_option(parser)
    parser.add_argument("--json", action="store_true", help="a list of all packages, with the text of every file")


def _build_options(parser: argparse.ArgumentParser) -> None:
    _descriptions_option(parser)
    _release_option(parser)
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path(), help="where the packages go; . without it"
    )
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=_jobs, default=len(os.sched_getaffinity(0)),
        help="how many packages are made at the same time; as many as there are processors without it",
    )  # fmt: skip
    parser.add_argument(
        "--against", metavar="DIR", type=Path, help="where the published packages are; looked for below it too"
    )


def _jobs(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError(f"expected a number from 1, found {quote(text)}")
    return int(text)


def _diff_options(parser: argparse.ArgumentParser) -> None:
    options = "[--release {bookworm,trixie}] [--json]"
    parser.usage = f"%(prog)s {options} OLD NEW\n       %(prog)s {options} --against DIR FILE|DIR ..."
    parser.add_argument(
        "places", metavar="OLD NEW | FILE|DIR", nargs="+", type=Path,
        help="two packages or descriptions; with --against any number of descriptions",
    )  # fmt: skip
    parser.add_argument("--against", metavar="DIR", type=Path, help="compare with the last packages in and below it")
    _release_option(parser)
    parser.add_argument("--json", action="store_true", help="a list of all packages, with each change")


def _schema_options(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--markdown", action="store_true", help="for people: what fpmjail-site(5) says of each key")
    which.add_argument("--defaults", action="store_true", help="the schema of defaults.yaml")


def _source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("description", metavar="FILE", type=Path, help="a site description")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="the directory of the tree; site-NAME-jail")
    _release_option(parser)


COMMANDS = (
    Command("new", "write a description to start from", NEW_EXAMPLES, _new_options, "commands:new"),
    Command("import", IMPORT_ABOUT, IMPORT_EXAMPLES, _import_options, "commands:import_"),
    Command("check", "find all mistakes in descriptions", CHECK_EXAMPLES, _descriptions_option, "commands:check"),
    Command("plan", "show what the packages will hold", PLAN_EXAMPLES, _plan_options, "commands:plan"),
    Command("build", "make the packages that changed", BUILD_EXAMPLES, _build_options, "commands:build"),
    Command("source", "write a Debian source package for dh(1)", SOURCE_EXAMPLES, _source_options, "commands:source"),
    Command("diff", "tell what a package changes against another", DIFF_EXAMPLES, _diff_options, "commands:diff"),
    Command("publish", PUBLISH_ABOUT, publish_options.EXAMPLES, publish_options.add_options, "publish_command:run"),
    Command("schema", "print the JSON Schema of descriptions", SCHEMA_EXAMPLES, _schema_options, "commands:schema"),
)
