# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository, and packages for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet import Published

URL = "https://deb.example.org"


@pytest.fixture
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """A new repository."""
    made = Published(tmp_path_factory.mktemp("published") / "repository", URL)
    yield made
    made.close()
