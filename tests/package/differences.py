# SPDX-License-Identifier: GPL-2.0-or-later
"""Two packages that should be one: what is different, in diffoscope's words."""

from __future__ import annotations

import subprocess
from pathlib import Path


def explain(one: Path, other: Path) -> str:
    """What diffoscope finds; only asked for when bytes differ already, for it takes its time."""
    seen = subprocess.run(["diffoscope", "--text=-", one, other], capture_output=True, text=True)
    return f"{one} and {other} differ:\n{seen.stdout}{seen.stderr}"
