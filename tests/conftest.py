# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of test shares: where the runtime's package lies, and which worker runs what."""

from __future__ import annotations

import re
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


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the very last lines what failed and why, in a few words each: a log is read from its end."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    reasons: dict[str, list[str]] = {}
    for report in (*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())):
        reasons.setdefault(reason(report.longreprtext), []).append(report.nodeid)
    for words, tests in reasons.items():
        reporter.write_line(f"failed: {tests[0]}" + (f" and {len(tests) - 1} more" if tests[1:] else ""))
        reporter.write_line(f"        {words}")


def reason(text: str, longest: int = 400) -> str:
    """The line of a failure that explains most: what our own programs said last, or what pytest made of it."""
    ours = re.findall(r"^(?:E\s+)?(fpmjail(?:-deb)?: .*)$", text, re.MULTILINE)
    told = [line for line in ours if " image " not in line]
    return (told or re.findall(r"^E\s+(.*)$", text, re.MULTILINE)[:1] or text.splitlines()[-1:] or [""])[-1][:longest]


@pytest.fixture(scope="module", params=trees.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def builder(release: str) -> Iterator[Container]:
    """A chroot of the release with our build dependencies, lintian, shellcheck, php-fpm, apache2; nothing runs."""
    with Container(release, "builder", binds={trees.CHECKOUT: "/srv/checkout"}, boot=False) as container:
        yield container
