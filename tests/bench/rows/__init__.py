# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the bench, in the order of the table."""

from __future__ import annotations

from tests.bench.row import Row
from tests.bench.rows import build, client, footprint, host, publish, refresh, requests, upgrade

ROWS: tuple[Row, ...] = (
    refresh.REFRESH,
    refresh.NOOP,
    footprint.DISK_ROW,
    footprint.MEMORY,
    requests.FIRST,
    requests.LATENCY,
    upgrade.UPGRADE,
    host.INSTALL,
    host.BOOT,
    build.BUILD,
    build.MEMORY,
    publish.PUBLISH,
    client.CLIENT,
)
