# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests that the source package declares (DEP-8), run by autopkgtest on a booted server: it reads debian/tests,
installs what the tests depend on from a repository, and judges them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lifecycle import extras
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs, packaged_files
from tests.lifecycle.repository import MOUNT_POINT, Repository, SigningKey
from tests.lifecycle.trees import CHECKOUT

NEEDED = ("autopkgtest", "dpkg-dev", "python3-jinja2", "python3-sh", "python3-yaml")


@pytest.fixture(scope="module")
def testbed(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A server with autopkgtest, our repository and the source package's files; it is thrown away, as `breaks-testbed`
    wants it."""
    place, source = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("source")
    for name in packaged_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((CHECKOUT / name).read_bytes())
        (source / name).chmod((CHECKOUT / name).stat().st_mode & 0o777)
    repository = Repository(place, "sites", suite=release, key=SigningKey())
    repository.publish(*build_debs(release).glob("*.deb"), *extras.debs(release, NEEDED))
    with Container(release, binds={place: MOUNT_POINT, source: "/srv/source"}) as server:
        repository.add_to(server)
        server.apt("install", "autopkgtest")
        yield server


def test_autopkgtest_passes_every_declared_test(testbed: Container) -> None:
    ignored = [f"--ignore-restrictions={name}" for name in ("breaks-testbed", "isolation-container")]
    command = ["autopkgtest", "--no-built-binaries", "--output-dir=/srv/results", *ignored, "/srv/source", "--", "null"]
    result = testbed.run(*command, check=False, timeout=900)
    assert result.good, result.output
    judged = dict(line.split(maxsplit=1) for line in testbed.read("/srv/results/summary").splitlines())
    declared = [path.name for path in (CHECKOUT / "debian/tests").iterdir() if path.name != "control"]
    assert judged == dict.fromkeys(declared, "PASS")
