# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules between keys; each keeps silent if one of its keys has a problem of its own."""

from __future__ import annotations

from fpmjail_deb.conflicts import jail, php, releases, shared, web
from fpmjail_deb.values import Check

CHECKS: tuple[Check, ...] = (*releases.CHECKS, *php.CHECKS, *web.CHECKS, *jail.CHECKS, *shared.CHECKS)
