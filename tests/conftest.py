# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of test shares: where the runtime's package lies, and which worker runs what."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import hypothesis
import pytest

from tests.lifecycle import trees
from tests.lifecycle.container import Container

sys.path.insert(0, str(trees.CHECKOUT / "hooks"))

# Time limits for examples would make the result depend on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the one marker that is ours to set, for runs without pytest-xdist too."""
    config.addinivalue_line("markers", "xdist_group(name): tests that one worker runs")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what a developer may ask for."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew, from what is made now")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests of a module and a release to one worker: they share a container."""
    for item in items:
        release = item.callspec.params.get("release") if hasattr(item, "callspec") else None
        if isinstance(release, str):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{release}"))


@pytest.fixture(scope="module", params=trees.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def builder(release: str) -> Iterator[Container]:
    """A chroot of the release with our build dependencies, lintian, shellcheck, php-fpm, apache2; nothing runs."""
    with Container(release, "builder", binds={trees.CHECKOUT: "/srv/checkout"}, boot=False) as container:
        yield container
