# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures for tests of finished packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.container import Container
from tests.package.parsers import SEEN_AS, RealParsers


@pytest.fixture(scope="module")
def exchange(release: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the containers of the module see as /srv/exchange; one for each release."""
    directory = tmp_path_factory.mktemp(f"exchange-{release}-")
    directory.chmod(0o755)
    return directory


@pytest.fixture(scope="module")
def real_parsers(release: str, exchange: Path) -> Iterator[RealParsers]:
    """Apache, PHP-FPM, systemd and dash of the release; a missing one is a failure."""
    with Container(release, binds={exchange: SEEN_AS}) as server:
        yield RealParsers(server, exchange)


@pytest.fixture(scope="module")
def bench(release: str, exchange: Path) -> Iterator[Container]:
    """A builder tree of the release, without systemd, that sees the exchange."""
    with Container(release, "builder", binds={exchange: SEEN_AS}, boot=False) as container:
        yield container
