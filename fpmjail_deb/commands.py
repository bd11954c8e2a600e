# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: what each command does with descriptions and packages: it prints its result and returns the exit status.

`publish` is in publish_command. The command line imports this only for a command that needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fpmjail_deb import built_packages, comparing, document, fleet, names, rules
from fpmjail_deb.building import Order, Result, build_all, only_one
from fpmjail_deb.comparing import Compared, Moment
from fpmjail_deb.contents import Directory, File, PackagePlan, Symlink
from fpmjail_deb.difference import Difference
from fpmjail_deb.errors import BuildError, DescriptionError, UsageError, printable, quote
from fpmjail_deb.folder import Folder, merged, read_folder
from fpmjail_deb.progress import Progress
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import RejectedError
from fpmjail_deb.schema.json_schema import json_schema
from fpmjail_deb.schema.markdown import markdown
from fpmjail_deb.site import Site
from fpmjail_deb.site_code import read_code
from fpmjail_deb.site_warnings import warnings
from fpmjail_deb.source_tree import as_in_the_tree, in_the_tree, source_files, write_source
from fpmjail_deb.starter import WORDPRESS, starter
from fpmjail_deb.terminal import count, ending, failed, told

DEFAULT_EPOCH = 1767225600  # 2026-01-01T00:00:00Z: the same input makes the same package on every day
EARLIEST_EPOCH = 315532800  # 1980-01-01: lintian calls older files ancient
LATEST_EPOCH = 253402300799  # 9999-12-31
DIGITS_OF_SHA256 = 16


def new(options: argparse.Namespace) -> int:
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
        raise _exists(path, option) from None


def _exists(path: Path, option: str) -> UsageError:
    return UsageError(f"{path} exists already", f"remove it, or write another with {option}")


def import_(options: argparse.Namespace) -> int:
    from fpmjail_deb.importing.existing import Wanted, import_site  # no other command needs it

    name = _site_name(options.name) if options.name else None
    files = {printable(str(path)): _bytes_of(path) for path in options.files}
    site = import_site(files, Wanted(_maintainer(os.environ), name, options.pool, options.domain))
    path: Path = options.output or Path(f"{site.name}.yaml")
    drop_in: Path | None = options.drop_in if site.drop_in else None
    for place, option in ((path, "-o"), (drop_in, "--drop-in")):
        if place and place.exists():
            raise _exists(place, option)
    _write_new(path, site.description, "-o")
    print(f"{path} is written: look at {count(site.remarks, 'remark')} at its end")
    if drop_in:
        _write_new(drop_in, site.drop_in, "--drop-in")
        print(f"{drop_in} is written, for /etc/fpmjail/sites/{site.name}/{site.server}.d on the server")
    elif options.drop_in:
        print(f"nothing is left for a drop-in: {options.drop_in} is not written")
    return 0


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path} is no file", "name a pool, or a virtual host of Apache or nginx")
    return path.read_bytes()


def source(options: argparse.Namespace) -> int:
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


def check(options: argparse.Namespace) -> int:
    folder = _flawless(options.places)
    for site in folder.sites:
        print(f"{site.file}: {names.package(site.name)} {site.version} for {', '.join(site.releases)}")
    if not folder.sites:
        print(f"{', '.join(folder.defaults)}: no mistake")
    return 0


def plan(options: argparse.Namespace) -> int:
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


def build(options: argparse.Namespace) -> int:
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
    status = _built(sites, options, moment)
    if problems:
        left_out = count(folder.descriptions - len(sites), "site")
        return failed(f"{told(problems)}, {left_out} left out", 2)
    return status


def _built(sites: Sequence[Site], options: argparse.Namespace, moment: Moment) -> int:
    """Build, and print each package and what went wrong; return the exit status."""
    with only_one(options.output), ending():
        orders = _orders(sites, options, moment)
        progress = Progress(len(orders), sys.stderr if _on_terminal() else None)
        results = [_reported(result, progress) for result in build_all(orders, options.jobs)]
        progress.clear()
    bad = sum(bool(result.failure) for result in results)
    made, unchanged = sum(len(result.made) for result in results), sum(result.unchanged for result in results)
    words = [f"{count(made, 'package')} made", f"{unchanged} unchanged"]
    words += [f"{count(bad, 'site')} failed"] if bad else []
    words += [f"{len(orders) - len(results)} not tried"] if len(results) < len(orders) else []
    print(f"fpmjail-deb: {', '.join(words)}", file=sys.stderr)
    return 1 if bad else 0


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


def _published(directory: Path, *, deep: bool) -> dict[str, Sequence[built_packages.Published]]:
    if not directory.is_dir():
        raise UsageError(f"{directory}: expected a directory with packages", "an empty one is good for a start")
    return dict(built_packages.by_package(built_packages.find(directory, deep=deep)))


def _reported(result: Result, progress: Progress) -> Result:
    if result.made or result.failure:
        progress.clear()
    for name, digest in result.made:
        print(f"{name}  {digest[:DIGITS_OF_SHA256]}", flush=True)
    if result.failure:
        failed(result.failure, 1)
    progress.step(result.package)
    return result


def _on_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def diff(options: argparse.Namespace) -> int:
    found = list(_differences(options))
    if options.json:
        print(json.dumps([difference.to_json() for difference in found], indent=2, ensure_ascii=False))
    else:
        changed = [difference.text() for difference in found if difference.different]
        same = len(found) - len(changed)
        print("\n\n".join((*changed, *((f"{count(same, 'package')} without a change",) if same else ()))))
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


def schema(options: argparse.Namespace) -> int:
    print(markdown() if options.markdown else json.dumps(json_schema(options.defaults), indent=2))
    return 0


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
        raise UsageError("expected a description of a site, found defaults only", "name some, or a directory with some")
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
