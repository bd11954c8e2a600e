# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of several files of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server on which nothing was configured yet."""
    there = Layout(tmp_path)
    there.state.mkdir(parents=True)
    there.run.mkdir(parents=True)
    return there
