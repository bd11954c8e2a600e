# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: builds the packages of many sites, on several processors, and only those that changed.

What was built before is told by the packages in the output directory and in those given with --against: a package with
the content that the site's would have is left as it is.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain
from pathlib import Path

from fpmjail_deb import names, references
from fpmjail_deb.built_packages import Published, built_at, same_content
from fpmjail_deb.contents import PackagePlan
from fpmjail_deb.deb import MEMORY_HINT, build_packages, read_package, sweep
from fpmjail_deb.errors import BuildError, OutputError, Problem
from fpmjail_deb.plan import plan
from fpmjail_deb.release import RELEASES
from fpmjail_deb.site import AUTOMATIC, Site
from fpmjail_deb.versions import automatic, is_higher, newest, successor

AT_ONCE = 8
"""The packages of so many sites are made together, at most."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class State(Enum):
    """How a site's package stands to those that exist under its version."""

    NEW = "new"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Order:
    """The packages of one site: for which releases, where to, and what exists of them already.

    `now` is the time of versions that are made automatically, in seconds since 1970, `epoch` that of packaged files.
    """

    site: Site
    releases: tuple[str, ...]
    existing: tuple[Published, ...]
    output: Path
    epoch: int
    now: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an order: names and SHA-256 of packages, how many were up to date, and what went wrong.

    `ends_all` means that the others cannot succeed either.
    """

    package: str
    made: tuple[tuple[str, str], ...] = ()
    unchanged: int = 0
    failure: str = ""
    ends_all: bool = False


def build_all(orders: Sequence[Order], jobs: int) -> Iterator[Result]:
    """Yield the result of each order, in their order, after the first that ends all no more.

    Raises OutputError if the processes that build were killed.
    """
    batches = batched(orders, max(1, min(AT_ONCE, len(orders) // (jobs * 4))))
    results = _in_processes(batches, jobs) if jobs > 1 and len(batches) > 1 else map(fulfil, batches)
    for result in chain.from_iterable(results):
        yield result
        if result.ends_all:
            return


def batched(orders: Sequence[Order], size: int) -> list[list[Order]]:
    """Return orders in batches of so many, in their order; one that brings code along, which can be large, alone."""
    batches: list[list[Order]] = []
    for order in orders:
        alone = order.site.code is not None
        if alone or not batches or len(batches[-1]) == size or batches[-1][-1].site.code is not None:
            batches.append([])
        batches[-1].append(order)
    return batches


def _in_processes(batches: Sequence[Sequence[Order]], jobs: int) -> Iterator[list[Result]]:
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(min(jobs, len(batches)), mp_context=fork, initializer=_join, initargs=(os.getpid(),))
    try:
        yield from pool.map(fulfil, batches)
    except BrokenProcessPool:
        raise OutputError("a process that builds was killed", MEMORY_HINT) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _join(parent: int) -> None:
    """Let an interrupt end the parent only, which waits for packages that are half made, and its death everybody."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def fulfil(orders: Sequence[Order]) -> list[Result]:
    """Build what some orders ask for, all into one directory, as far as it has changed.

    Whatever goes wrong with one of them is in its result.
    """
    planned = [_planned(order) for order in orders]
    plans = [package for found in planned if not isinstance(found, BuildError) for package in found]
    built = iter(build_packages(plans, orders[0].output) if plans else ())
    return [
        _result(order, [found] if isinstance(found, BuildError) else [next(built) for _ in found])
        for order, found in zip(orders, planned, strict=True)
    ]


def _planned(order: Order) -> list[PackagePlan] | BuildError:
    """Return what has to be built of an order."""
    try:
        version, states = decide(order)
        site = replace(order.site, version=version)
        made = built_at(site, order.epoch, order.now)
        return [plan(site, RELEASES[release], made) for release in order.releases if states[release] is State.NEW]
    except BuildError as error:
        return error


def _result(order: Order, built: Sequence[Path | BuildError]) -> Result:
    package = names.package(order.site.name)
    made = tuple((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in built if isinstance(path, Path))
    for error in (one for one in built if isinstance(one, BuildError)):
        return Result(package, made, failure=str(error), ends_all=isinstance(error, OutputError))
    return Result(package, made, unchanged=len(order.releases) - len(made))


def decide(order: Order) -> tuple[str, Mapping[str, State]]:
    """Return the version of a site's packages, and what has to be done for each release.

    All releases of a site have the same version: an upgrade of Debian must not find an older package. Raises BuildError
    for a version that is taken, or that servers would not install.
    """
    last = newest(published.version for published in order.existing)
    if order.site.version != AUTOMATIC:
        states = _states(order, order.site.version)
        _refuse_taken(order, states, last or order.site.version)
        return order.site.version, states
    states = _states(order, last) if last else {}
    if last and State.OTHER not in states.values():
        return last, states
    return automatic(last, order.now), dict.fromkeys(order.releases, State.NEW)


def _states(order: Order, version: str) -> Mapping[str, State]:
    return {release: _state(order, version, release) for release in order.releases}


def _state(order: Order, version: str, release: str) -> State:
    site = replace(order.site, version=version)
    paths = [one.path for one in order.existing if (one.version, one.release) == (version, release)]
    if not paths:
        return State.NEW
    same = all(same_content(site, RELEASES[release], read_package(path)) for path in paths)
    return State.SAME if same else State.OTHER


def _refuse_taken(order: Order, states: Mapping[str, State], last: str) -> None:
    taken = [release for release in order.releases if states[release] is State.OTHER]
    version = order.site.version
    higher = successor(last if is_higher(last, version) else version)
    hint = f"write `version: {higher}`, or `version: {AUTOMATIC}`"
    if taken:
        path = next(one.path for one in order.existing if (one.version, one.release) == (version, taken[0]))
        shows = f"fpmjail-deb diff {path} {order.site.file}"
        raise BuildError(_at_version(order.site, f"{path} has another content; to see it: {shows}", hint))
    if is_higher(last, version):
        raise BuildError(_at_version(order.site, f"{last} exists, and no server would go back to {version}", hint))


def _at_version(site: Site, message: str, hint: str) -> str:
    places = dict(site.origins)
    problem = Problem(places.get("version", places["site"]), "version", message, hint)
    return f"{problem}; {references.see([problem])}"


@contextmanager
def only_one(output: Path) -> Iterator[None]:
    """Hold an output directory: nobody else builds into it, and what a killed build left there goes.

    Raises OutputError if it cannot be made, or if somebody else holds it.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}", "choose another with -o") from error
    try:
        if _held(descriptor, output):
            sweep(output)
        yield
    finally:
        with suppress(OSError):
            os.fsync(descriptor)
        os.close(descriptor)


def _held(descriptor: int, output: Path) -> bool:
    """Lock a directory; return whether its file system can do so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            hint = "wait for its end, or choose another directory with -o"
            raise OutputError(f"another fpmjail-deb builds into {output}", hint) from error
        return False
    return True
