# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the bench, in the order of the table."""

from __future__ import annotations

from tests.bench.row import Row
from tests.bench.rows import build, refresh

ROWS: tuple[Row, ...] = (refresh.REFRESH, refresh.NOOP, build.BUILD, build.MEMORY)
