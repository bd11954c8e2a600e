# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: publishes through aptly: a snapshot for each release and publish, to which the published one is switched.

aptly's database and pool lie in the repository's directory. A publish is told of in the history once all releases were
switched; until then the next one begins with the same number again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from fpmjail_deb import indexing, publishing
from fpmjail_deb.archive import Archive, write_whole
from fpmjail_deb.errors import BuildError
from fpmjail_deb.external import ExternalError, run
from fpmjail_deb.repository import KEPT_PUBLISHES, Incoming, Package, Publish, Settings
from fpmjail_deb.signing import Key

NAME = "aptly"


def current(archive: Archive) -> int:
    """Return the number of the publish that is served, 0 if there is none."""
    return max(archive.numbers(), default=0)


def publish(archive: Archive, settings: Settings, new: Publish, incoming: Sequence[Incoming], key: Key) -> None:
    """Make a publish the one that is served. Raises BuildError; then at most some releases have it already."""
    raise BuildError("aptly")
