# SPDX-License-Identifier: GPL-2.0-or-later
"""A refresh costs the same with many sites as with few: counted in system calls and files, not in seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.bench import many
from tests.bench.row import Bench
from tests.bench.rows.refresh import UPGRADE
from tests.lifecycle.repository import SigningKey
from tests.lifecycle.server import Server

FEW, MANY = 2, 42
OF_A_SITE = re.compile(r"s000\d\d")
WRITES = re.compile(r"^\d+ +(rename|unlink|mkdir|rmdir|symlink|link|chmod|chown|utime|mknod)\w*\(|O_CREAT|O_TRUNC")
A_FEW_CALLS = 8
"""The most calls for one further site: its site.json is looked at, opened and read."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The system calls on files, and the programs started, of one refresh."""

    calls: tuple[str, ...]

    @property
    def of_sites(self) -> int:
        """How many calls name anything of any site's."""
        return sum(bool(OF_A_SITE.search(call)) for call in self.calls)

    @property
    def of_none(self) -> int:
        """How many are the same for all sites."""
        return len(self.calls) - self.of_sites

    @property
    def writes(self) -> tuple[str, ...]:
        """The calls that change a file or directory."""
        return tuple(call for call in self.calls if WRITES.search(call))

    @property
    def programs(self) -> int:
        """How many programs were started."""
        return sum(" execve(" in call and call.endswith(" = 0") for call in self.calls)


@dataclass(frozen=True, slots=True)
class Traces:
    """The refresh after an upgrade of libc6, and the one with nothing to do."""

    upgraded: Trace
    nothing: Trace


@pytest.fixture(scope="module")
def traces(
    release: str, tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey
) -> Iterator[tuple[Traces, Traces]]:
    """With few sites, then with many on the same server."""
    bench = Bench(release, MANY, 1, tmp_path_factory.mktemp("bench"), key=signing_key)
    debs = many.packages(bench, MANY)
    with many.server(bench) as server:
        many.unpack(server, debs[:FEW])
        traced(server)  # the first switch has no generation before the one before, which would have to go
        few = traced(server)
        many.unpack(server, debs[FEW:])
        yield few, traced(server)


def traced(server: Server) -> Traces:
    """Bring everything up to date, then trace one refresh after an upgrade and one with nothing to do."""
    server.run("fpmjail", "refresh")
    server.settle()
    server.run("python3", "-c", UPGRADE)
    upgraded = trace(server)
    server.settle()
    trace(server)  # a complete look, that leaves the list for the next one
    return Traces(upgraded, trace(server))


def trace(server: Server) -> Trace:
    """Trace `fpmjail refresh` and all that it starts."""
    strace = "strace -f -qq -e trace=%file -e signal=none -o /root/trace"
    server.run(*strace.split(), "fpmjail", "refresh")
    return Trace(tuple(server.read("/root/trace").splitlines()))


def test_a_refresh_after_an_upgrade_only_reads_the_description_of_a_further_site(
    traces: tuple[Traces, Traces],
) -> None:
    few, plenty = (one.upgraded for one in traces)
    assert plenty.of_sites - few.of_sites <= (MANY - FEW) * A_FEW_CALLS
    assert plenty.of_sites > few.of_sites, "nothing of the sites was looked at: what was traced?"


def test_what_a_refresh_writes_does_not_depend_on_the_number_of_sites(traces: tuple[Traces, Traces]) -> None:
    few, plenty = (one.upgraded for one in traces)
    assert len(few.writes) > 100, "an image was made"
    assert len(plenty.writes) <= len(few.writes) + 20, plenty.writes
    assert plenty.programs <= few.programs + 2
    assert plenty.of_none <= few.of_none * 1.2


def test_a_refresh_with_nothing_to_do_looks_at_each_site_twice_at_most(traces: tuple[Traces, Traces]) -> None:
    few, plenty = (one.nothing for one in traces)
    assert plenty.of_sites - few.of_sites <= (MANY - FEW) * 2
    assert plenty.of_none <= few.of_none + 10
    assert plenty.programs == few.programs == 1 and len(plenty.writes) == len(few.writes) <= 1, plenty.writes
