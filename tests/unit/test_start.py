# SPDX-License-Identifier: GPL-2.0-or-later
"""A command starts without what only others need: on a small machine imports are most of what a short one takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SHOW = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"
HEAVY = {"yaml", "jinja2", "debian", "sh", "asyncio", "http.server", "fpmjail_deb.schema", "fpmjail_deb.importing"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("cli", set()),
        ("publish_command", {"jinja2", "debian"}),
        ("commands", {"yaml", "jinja2", "debian", "fpmjail_deb.schema"}),
    ],
)
def test_a_command_imports_only_what_it_needs(module: str, needed: set[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW, f"fpmjail_deb.{module}"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert HEAVY & set(shown.stdout.split()) <= needed
