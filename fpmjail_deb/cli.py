# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: parse, call, print. The only module that prints, exits, or looks at the environment."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail_deb import __version__, document, fleet, names, rules, schema
from fpmjail_deb.contents import Directory, File, PackagePlan, Symlink
from fpmjail_deb.deb import build_package
from fpmjail_deb.description import read_site, warnings
from fpmjail_deb.errors import BuildError, DescriptionError, Problem, UsageError, printable, quote
from fpmjail_deb.plan import Build, plan
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import RejectedError
from fpmjail_deb.site import Location, Site
from fpmjail_deb.starter import WORDPRESS, starter

DEFAULT_EPOCH = 1767225600  # 2026-01-01T00:00:00Z: the same input makes the same package on every day
EARLIEST_EPOCH = 315532800  # 1980-01-01: lintian calls older files ancient
LATEST_EPOCH = 253402300799  # 9999-12-31
DIGITS_OF_SHA256 = 16

ABOUT = """\
Makes a Debian package of the description of a PHP website: its account, its PHP-FPM in a sealed
jail, its virtual host. The package is for servers that have the package fpmjail."""

EXAMPLES = """\
examples:
  fpmjail-deb new shop                    write shop.yaml, with every key and its meaning
  fpmjail-deb check shop.yaml             find all mistakes
  fpmjail-deb plan shop.yaml              show what the packages will hold
  fpmjail-deb build shop.yaml -o debs     make debs/site-shop-jail_1.0.0+deb13_all.deb, ...
  fpmjail-deb build sites/ -o debs        the same for every *.yaml in a directory

exit status:
  0  done
  1  a package could not be made
  2  a mistake in a description or on the command line; nothing was written

environment:
  SOURCE_DATE_EPOCH      the time of all packaged files, in seconds since 1970 (2026-01-01 without it)
  DEBFULLNAME, DEBEMAIL  the maintainer that `new` writes

see also: fpmjail-deb(1), fpmjail-site(5)"""


@dataclass(frozen=True, slots=True)
class Command:
    """One word of the command line; `run` prints its result or raises an FpmjailError."""

    name: str
    about: str
    example: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 good, 1 failed, 2 bad input. Errors go to stderr."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except DescriptionError as error:
        return _refused(error)
    except UsageError as error:
        return _failed(str(error), 2)
    except (BuildError, OSError) as error:
        return _failed(str(error), 1)
    return 0


def _refused(error: DescriptionError) -> int:
    for problem in error.problems:
        print(problem, file=sys.stderr)
    files = {problem.location.file for problem in error.problems}
    found = f"{_count(len(error.problems), 'problem')} in {_count(len(files), 'file')}"
    return _failed(f"{found}, nothing was written", 2)


def _failed(message: str, status: int) -> int:
    print(f"fpmjail-deb: {message}", file=sys.stderr)
    return status


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("fpmjail-deb", description=ABOUT, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"fpmjail-deb {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        about = f"{command.about[0].upper()}{command.about[1:]}."
        epilog = f"example:\n  fpmjail-deb {command.example}"
        words = commands.add_parser(
            command.name, help=command.about, description=about, epilog=epilog, formatter_class=raw
        )
        command.add_options(words)
        words.set_defaults(run=command.run)
    return parser


def _descriptions_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places", metavar="FILE|DIR", nargs="+", type=Path, help="a site description, or a directory of *.yaml"
    )


def _release_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--release", choices=sorted(RELEASES), help="for this release only, not for all of the site's")


def _new_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the name of the site")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the file to write; NAME.yaml without it")
    parser.add_argument("--wordpress", action="store_true", help="begin with values that suit WordPress")


def _plan_options(parser: argparse.ArgumentParser) -> None:
    _descriptions_option(parser)
    _release_option(parser)
    parser.add_argument("--json", action="store_true", help="a list of all packages, with the text of every file")


def _build_options(parser: argparse.ArgumentParser) -> None:
    _descriptions_option(parser)
    _release_option(parser)
    here = Path()
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=here, help="where the packages go; . without it"
    )


def _schema_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="for people: what fpmjail-site(5) says of each key")


def _new(options: argparse.Namespace) -> None:
    name = _site_name(options.name)
    path: Path = options.output or Path(f"{name}.yaml")
    text = starter(name, _maintainer(os.environ), WORDPRESS if options.wordpress else {})
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already", "remove it, or write another with -o") from None
    print(f"{path} is written: edit it, then run fpmjail-deb check {shlex.quote(str(path))}")


def _site_name(text: str) -> str:
    rule = rules.site_name()
    try:
        return rule.convert(text)
    except RejectedError as error:
        message = error.message or f"NAME: expected {rule.expected}, found {quote(text)}"
        raise UsageError(message, error.hint) from None


def _maintainer(environment: Mapping[str, str]) -> str:
    """Return who Debian's tools take for the maintainer, debchange(1)."""
    name = environment.get("DEBFULLNAME", "Your Name")
    address = environment.get("DEBEMAIL", "you@example.org")
    try:
        return rules.maintainer().convert(address if "<" in address else f"{name} <{address}>")
    except RejectedError:
        return "Your Name <you@example.org>"


def _check(options: argparse.Namespace) -> None:
    for site in _sites(options.places):
        file = dict(site.origins)["site"].file
        print(f"{file}: {names.package(site.name)} {site.version} for {', '.join(site.releases)}")


def _plan(options: argparse.Namespace) -> None:
    plans = _plans(options)
    if options.json:
        print(json.dumps([package.to_json() for package in plans], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(_summary(package) for package in plans))


def _build(options: argparse.Namespace) -> None:
    plans = _plans(options)
    options.output.mkdir(parents=True, exist_ok=True)
    for package in plans:
        path = build_package(package, options.output)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path.name}  {digest[:DIGITS_OF_SHA256]}", flush=True)


def _schema(options: argparse.Namespace) -> None:
    print(schema.markdown() if options.markdown else json.dumps(schema.json_schema(), indent=2))


COMMANDS = (
    Command("new", "write a description to start from", "new shop --wordpress", _new_options, _new),
    Command("check", "find all mistakes in descriptions", "check sites/", _descriptions_option, _check),
    Command("plan", "show what the packages will hold", "plan shop.yaml --release trixie", _plan_options, _plan),
    Command("build", "make the packages", "build shop.yaml -o debs", _build_options, _build),
    Command("schema", "print the JSON Schema of descriptions", "schema > site.schema.json", _schema_options, _schema),
)


def _sites(places: Iterable[Path]) -> list[Site]:
    sites: list[Site] = []
    problems: list[Problem] = []
    for path in _files(places):
        try:
            sites.append(_site(path))
        except DescriptionError as error:
            problems += error.problems
    problems += fleet.problems(sites)
    if problems:
        raise DescriptionError(problems)
    for warning in (warning for site in sites for warning in warnings(site)):
        print(f"warning: {warning}", file=sys.stderr)
    return sites


def _site(path: Path) -> Site:
    name = printable(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(document.LARGEST + 1)
    except OSError as error:
        place = Location(name, 1, 1)
        raise DescriptionError([Problem(place, "", f"cannot be read: {error.strerror}", "correct the path")]) from error
    return read_site(data, name)


def _files(places: Iterable[Path]) -> Iterator[Path]:
    """Yield each description once, even if it is given by its name and by its directory's."""
    seen: set[Path] = set()
    for path in (path for place in places for path in _files_of(place)):
        if path.resolve() not in seen:
            seen.add(path.resolve())
            yield path


def _files_of(place: Path) -> Sequence[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(path for path in place.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] != ".")
    if not found:
        raise UsageError(f"{place}: expected a directory with *.yaml, found none", "`fpmjail-deb new NAME` writes one")
    return found


def _plans(options: argparse.Namespace) -> list[PackagePlan]:
    build = Build(epoch=_epoch(os.environ))
    sites = _sites(options.places)
    pairs = [(site, RELEASES[name]) for site in sites for name in site.releases if options.release in (None, name)]
    if not pairs:
        raise UsageError(f"no site is for {options.release}", f"add it: releases: [{options.release}]")
    return [plan(site, release, build) for site, release in pairs]


def _epoch(environment: Mapping[str, str]) -> int:
    text = environment.get("SOURCE_DATE_EPOCH", "") or str(DEFAULT_EPOCH)
    if not re.fullmatch(r"[0-9]{1,12}", text) or not EARLIEST_EPOCH <= int(text) <= LATEST_EPOCH:
        expected = f"SOURCE_DATE_EPOCH: expected seconds since 1970, from {EARLIEST_EPOCH} (1980)"
        raise UsageError(f"{expected}, found {quote(text)}", "unset it, or take the time of the last change")
    return int(text)


def _summary(package: PackagePlan) -> str:
    control = [f"  {name}: {value}".replace("\n", "\n  ") for name, value in package.control]
    entries = [f"  {_entry(entry)}" for entry in package.entries if not isinstance(entry, Directory)]
    scripts = f"  scripts: {', '.join(name for name, _ in package.scripts)}"
    return "\n".join([package.file_name, *control, *entries, scripts])


def _entry(entry: File | Symlink) -> str:
    if isinstance(entry, Symlink):
        return f"link  /{entry.path} -> {entry.target}"
    return f"{entry.mode:04o}  /{entry.path}{' (conffile)' if entry.conffile else ''}"
