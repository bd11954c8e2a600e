# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the data files that lie beside the Python package."""

from __future__ import annotations

import sys
from pathlib import Path

from fpmjail_deb.errors import BuildError


def templates_directory() -> Path:
    """Return the directory of the templates: a checkout's, an installed wheel's, or the Debian package's.

    Raises BuildError when there is none.
    """
    places = (
        Path(__file__).resolve().parents[1] / "templates",
        Path(sys.prefix) / "share/fpmjail-deb/templates",
        Path("/usr/share/fpmjail-deb/templates"),
    )
    for place in places:
        if (place / "maintscript").is_dir():
            return place
    looked = ", ".join(str(place) for place in places)
    raise BuildError(f"the templates are missing, looked in {looked}", "install fpmjail-deb again")
