# SPDX-License-Identifier: GPL-2.0-or-later
"""The generator with the oldest libraries that it promises to work with: sh 1.14 returns another type than sh 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lifecycle.trees import CHECKOUT

OLDEST = Path(sys.prefix) / "oldest"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(OLDEST)}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, env=ENVIRONMENT, capture_output=True, text=True)


def test_the_oldest_libraries_are_the_ones_in_use() -> None:
    code = "import sh, debian, jinja2; print(sh.__version__, jinja2.__version__, sh.__file__, debian.__file__)"
    assert run("-c", code).stdout.split() == ["1.14.3", "3.1.2", f"{OLDEST}/sh.py", f"{OLDEST}/debian/__init__.py"]


def test_the_generators_unit_tests_pass_with_the_oldest_libraries() -> None:
    result = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--ignore=tests/unit/hooks", "tests/unit")
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
