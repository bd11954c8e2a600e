# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the lifecycle tests: booted servers of both releases."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.lifecycle.bed import Bed, booted
from tests.lifecycle.repository import SigningKey


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    """The key that signs every repository of this test run."""
    return SigningKey()


@pytest.fixture(scope="module")
def bed(release: str, tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Iterator[Bed]:
    """A server for all the tests of a module, once for each release."""
    with booted(release, tmp_path_factory.mktemp("repository"), signing_key) as booted_bed:
        yield booted_bed


@pytest.fixture
def fresh_bed(release: str, tmp_path: Path, signing_key: SigningKey) -> Iterator[Bed]:
    """A server for one test alone."""
    with booted(release, tmp_path, signing_key) as booted_bed:
        yield booted_bed


STARTED = pytest.StashKey[float]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[STARTED] = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failed test's part of the journal beneath its traceback."""
    report = yield
    beds = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Bed)]
    if report.failed and call.when == "call":
        since = f"--since=@{item.stash[STARTED] - 1:.0f}"
        report.sections += [(f"journal of {bed.server.name}", bed.server.journal(since, lines=400)) for bed in beds]
    return report
