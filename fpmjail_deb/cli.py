# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: parse, call, print. The only module that prints, exits, or looks at the environment."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fpmjail_deb import __version__, comparing, document, fleet, names, publish_command, published, rules, schema
from fpmjail_deb.building import Order, Result, build_all, only_one
from fpmjail_deb.comparing import Compared, Moment
from fpmjail_deb.contents import Directory, File, PackagePlan, Symlink
from fpmjail_deb.description import warnings
from fpmjail_deb.difference import Difference
from fpmjail_deb.errors import BuildError, DescriptionError, Problem, UsageError, printable, quote
from fpmjail_deb.folder import Folder, merged, read_folder
from fpmjail_deb.importing.existing import Wanted, import_site
from fpmjail_deb.progress import Progress
from fpmjail_deb.references import told
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import RejectedError
from fpmjail_deb.site import Site
from fpmjail_deb.site_code import read_code
from fpmjail_deb.source_tree import as_in_the_tree, in_the_tree, source_files, write_source
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
  1  a package could not be made; diff: there is a difference
  2  a mistake in a description or on the command line; sites without one were built all the same

environment:
  SOURCE_DATE_EPOCH      the time of all packaged files, in seconds since 1970 (2026-01-01 without it)
  DEBFULLNAME, DEBEMAIL  the maintainer that `new` writes

see also: fpmjail-deb(1), fpmjail-site(5)"""

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
  fpmjail-deb build sites/ -o dist --against /srv/repository/pool

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
    """One word of the command line; `run` prints its result and returns the exit status, or raises an FpmjailError."""

    name: str
    about: str
    examples: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 good, 1 failed, 2 bad input. Errors go to stderr."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except DescriptionError as error:
        return _refused(error)
    except UsageError as error:
        return _failed(str(error), 2)
    except (BuildError, OSError) as error:
        return _failed(str(error), 1)
    except KeyboardInterrupt:
        return _failed("interrupted", 128 + signal.SIGINT)
    return status


def _refused(error: DescriptionError) -> int:
    return _failed(f"{_told(error.problems)}, nothing was written", 2)


def _told(problems: Sequence[Problem]) -> str:
    """Print problems; return how many there are."""
    for line in told(problems):
        print(line, file=sys.stderr)
    files = {problem.location.file for problem in problems}
    return f"{_count(len(problems), 'problem')} in {_count(len(files), 'file')}"


def _failed(message: str, status: int) -> int:
    print(f"fpmjail-deb: {message}", file=sys.stderr)
    return status


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


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
        words.set_defaults(run=command.run)
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
    parser.add_argument("--name", metavar="NAME", help="the name of the site; that of its host name without it")
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
    parser.add_argument(
        "places", metavar="OLD NEW | FILE|DIR", nargs="+", type=Path,
        help="two packages or descriptions; with --against any number of descriptions",
    )  # fmt: skip
    parser.add_argument("--against", metavar="DIR", type=Path, help="compare with the last packages in and below it")
    _release_option(parser)
    parser.add_argument("--json", action="store_true", help="a list of all packages, with each change")


def _schema_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="for people: what fpmjail-site(5) says of each key")
    parser.add_argument("--defaults", action="store_true", help="the schema of defaults.yaml")


def _new(options: argparse.Namespace) -> int:
    name = _site_name(options.name)
    path: Path = options.output or Path(f"{name}.yaml")
    _write_new(path, starter(name, _maintainer(os.environ), WORDPRESS if options.wordpress else {}), "-o")
    print(f"{path} is written: edit it, then run fpmjail-deb check {shlex.quote(str(path))}")
    return 0


def _write_new(path: Path, text: str, option: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already", f"remove it, or write another with {option}") from None


def _import(options: argparse.Namespace) -> int:
    name = _site_name(options.name) if options.name else None
    files = {printable(str(path)): _bytes_of(path) for path in options.files}
    site = import_site(files, Wanted(_maintainer(os.environ), name, options.pool, options.domain))
    path: Path = options.output or Path(f"{site.name}.yaml")
    _write_new(path, site.description, "-o")
    print(f"{path} is written: look at {_count(site.remarks, 'remark')} at its end")
    if options.drop_in and site.drop_in:
        _write_new(options.drop_in, site.drop_in, "--drop-in")
        print(f"{options.drop_in} is written, for /etc/fpmjail/sites/{site.name}/{site.server}.d on the server")
    return 0


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path} is no file", "name a pool, or a virtual host of Apache or nginx")
    return path.read_bytes()


def _source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("description", metavar="FILE", type=Path, help="a site description")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="the directory of the tree; site-NAME-jail")
    _release_option(parser)


def _source(options: argparse.Namespace) -> int:
    sites = _chosen(_flawless([options.description]).sites, options)
    if len(sites) != 1:
        raise UsageError(f"{options.description}: expected one description, found {len(sites)}", "name its file")
    site = sites[0]
    release = _releases(site, options.release)[0]
    alone = {place.file for _, place in site.origins} == {site.file}
    text = Path(site.file).read_text(encoding="utf-8-sig") if alone else document.text(merged(Path(site.file)))
    code = read_code(site)
    made = comparing.planned(as_in_the_tree(site, text), release, None, _moment(), code)
    path: Path = options.output or Path(made.package)
    write_source(source_files(made, text), path, in_the_tree(site, code))
    print(f"{path} is written, for {release}: now cd {shlex.quote(str(path))} && dpkg-buildpackage -us -uc")
    return 0


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


def _check(options: argparse.Namespace) -> int:
    folder = _flawless(options.places)
    for site in folder.sites:
        print(f"{site.file}: {names.package(site.name)} {site.version} for {', '.join(site.releases)}")
    if not folder.sites:
        print(f"{', '.join(folder.defaults)}: no mistake")
    return 0


def _plan(options: argparse.Namespace) -> int:
    sites = _chosen(_flawless(options.places).sites, options)
    moment = _moment()
    plans = [
        comparing.planned(site, release, None, moment) for site in sites for release in _releases(site, options.release)
    ]
    if options.json:
        print(json.dumps([package.to_json() for package in plans], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(_summary(package) for package in plans))
    return 0


def _build(options: argparse.Namespace) -> int:
    moment = _moment()
    folder = read_folder(options.places)
    clashes = fleet.clashes(folder.sites)
    refused = {name for clash in clashes for name in clash.sites}
    sites = [site for site in folder.sites if site.name not in refused]
    problems = sorted({*folder.problems, *(clash.problem for clash in clashes)})
    if problems and not sites:
        raise DescriptionError(problems)
    sites = _chosen(sites, options)
    _warn(sites)
    failed = _built(sites, options, moment)
    if problems:
        left_out = _count(folder.descriptions - len(sites), "site")
        return _failed(f"{_told(problems)}, {left_out} left out", 2)
    return failed


def _built(sites: Sequence[Site], options: argparse.Namespace, moment: Moment) -> int:
    """Build, and print each package and what went wrong; return the exit status."""
    with only_one(options.output), _ending():
        orders = _orders(sites, options, moment)
        progress = Progress(len(orders), sys.stderr if _on_terminal() else None)
        results = [_reported(result, progress) for result in build_all(orders, options.jobs)]
        progress.clear()
    failed = sum(bool(result.failure) for result in results)
    made, unchanged = sum(len(result.made) for result in results), sum(result.unchanged for result in results)
    words = [f"{_count(made, 'package')} made", f"{unchanged} unchanged"]
    words += [f"{_count(failed, 'site')} failed"] if failed else []
    words += [f"{len(orders) - len(results)} not tried"] if len(results) < len(orders) else []
    print(f"fpmjail-deb: {', '.join(words)}", file=sys.stderr)
    return 1 if failed else 0


def _orders(sites: Sequence[Site], options: argparse.Namespace, moment: Moment) -> list[Order]:
    known = _published(options.output, deep=False)
    if options.against:
        for package, found in _published(options.against, deep=True).items():
            known[package] = list(dict.fromkeys([*known.get(package, ()), *found]))
    return [
        Order(
            site,
            tuple(_releases(site, options.release)),
            tuple(known.get(names.package(site.name), ())),
            options.output,
            moment.epoch,
            moment.now,
        )
        for site in sites
    ]


def _published(directory: Path, *, deep: bool) -> dict[str, Sequence[published.Published]]:
    if not directory.is_dir():
        raise UsageError(f"{directory}: expected a directory with packages", "an empty one is good for a start")
    return dict(published.by_package(published.find(directory, deep=deep)))


def _reported(result: Result, progress: Progress) -> Result:
    if result.made or result.failure:
        progress.clear()
    for name, digest in result.made:
        print(f"{name}  {digest[:DIGITS_OF_SHA256]}", flush=True)
    if result.failure:
        _failed(result.failure, 1)
    progress.step(result.package)
    return result


def _on_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _ending() -> Iterator[None]:
    """Take SIGTERM as an interrupt, so that what is half made goes."""

    def end(signal_number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _diff(options: argparse.Namespace) -> int:
    found = list(_differences(options))
    if options.json:
        print(json.dumps([difference.to_json() for difference in found], indent=2, ensure_ascii=False))
    else:
        changed = [difference.text() for difference in found if difference.different]
        same = len(found) - len(changed)
        print("\n\n".join((*changed, *((f"{_count(same, 'package')} without a change",) if same else ()))))
    return 1 if any(difference.different for difference in found) else 0


def _differences(options: argparse.Namespace) -> Iterator[Difference]:
    moment = _moment()
    releases = (options.release,) if options.release else tuple(RELEASES)
    if options.against:
        known = _published(options.against, deep=True)
        sites = _chosen(_flawless(options.places).sites, options)
        try:
            yield from comparing.with_published(sites, releases, known, options.against, moment)
        except BuildError as error:
            raise UsageError(str(error)) from error
        return
    if len(options.places) != 2:
        hint = "or a directory of published packages with --against"
        raise UsageError(f"expected two packages or descriptions, found {len(options.places)}", hint)
    old, new = (_compared(path, releases) for path in options.places)
    places = (printable(str(options.places[0])), printable(str(options.places[1])))
    yield from comparing.of_two(old, new, places, moment)


def _compared(path: Path, releases: Sequence[str]) -> Compared:
    if path.suffix == ".deb":
        return comparing.packages(path, None, releases)
    sites = _flawless([path]).sites
    if len(sites) != 1:
        raise UsageError(f"{path}: expected a package or one description, found {len(sites)}", "see --against")
    return comparing.packages(path, sites[0], releases)


def _schema(options: argparse.Namespace) -> int:
    print(schema.markdown() if options.markdown else json.dumps(schema.json_schema(options.defaults), indent=2))
    return 0


def _publish(options: argparse.Namespace) -> int:
    with _ending():
        return publish_command.run(options)


COMMANDS = (
    Command("new", "write a description to start from", NEW_EXAMPLES, _new_options, _new),
    Command("import", "write the description of a site that a server has", IMPORT_EXAMPLES, _import_options, _import),
    Command("check", "find all mistakes in descriptions", CHECK_EXAMPLES, _descriptions_option, _check),
    Command("plan", "show what the packages will hold", PLAN_EXAMPLES, _plan_options, _plan),
    Command("build", "make the packages that changed", BUILD_EXAMPLES, _build_options, _build),
    Command("source", "write a Debian source package for dh(1)", SOURCE_EXAMPLES, _source_options, _source),
    Command("diff", "tell what a package changes against another", DIFF_EXAMPLES, _diff_options, _diff),
    Command("publish", PUBLISH_ABOUT, publish_command.EXAMPLES, publish_command.add_options, _publish),
    Command("schema", "print the JSON Schema of descriptions", SCHEMA_EXAMPLES, _schema_options, _schema),
)


def _flawless(places: Iterable[Path]) -> Folder:
    """Read descriptions in which there is no mistake, each alone and all together. Raises DescriptionError."""
    folder = read_folder(places)
    problems = (*folder.problems, *fleet.problems(folder.sites))
    if problems:
        raise DescriptionError(problems)
    _warn(folder.sites)
    return folder


def _warn(sites: Iterable[Site]) -> None:
    for warning in dict.fromkeys(warning for site in sites for warning in warnings(site)):
        print(f"warning: {warning}", file=sys.stderr)


def _chosen(sites: Sequence[Site], options: argparse.Namespace) -> list[Site]:
    """Return the sites that are for the release asked for. Raises UsageError if there is none."""
    chosen = [site for site in sites if _releases(site, options.release)]
    if not sites:
        raise UsageError("found defaults only", "name descriptions of sites, or a directory with some")
    if not chosen:
        raise UsageError(f"no site is for {options.release}", f"add it: releases: [{options.release}]")
    return chosen


def _releases(site: Site, only: str | None) -> list[str]:
    return [release for release in site.releases if only in (None, release)]


def _moment() -> Moment:
    """Return the time of packaged files, and that of automatic versions: it is given, or now."""
    epoch = _epoch(os.environ)
    return Moment(epoch, epoch if os.environ.get("SOURCE_DATE_EPOCH") else int(time.time()))


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
