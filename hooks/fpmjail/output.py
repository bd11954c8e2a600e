# SPDX-License-Identifier: MIT
"""What the `fpmjail` command writes: lines for the administrator, JSON for programs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any

UNDER_DPKG = "DPKG_MAINTSCRIPT_NAME"
"""Set by dpkg while a maintainer script runs."""


def say(text: str) -> None:
    """A line for the admin; under apt the journal gets it too, because apt's output scrolls away."""
    print(f"fpmjail: {text}", flush=True)
    if UNDER_DPKG in os.environ:
        import syslog

        syslog.openlog("fpmjail")
        syslog.syslog(syslog.LOG_NOTICE, text)


def complain(text: str) -> None:
    """A line on standard error."""
    print(f"fpmjail: {text}", file=sys.stderr, flush=True)


def show_json(content: Any) -> None:
    """Machine-readable output."""
    print(json.dumps(content, indent=1, default=lambda value: value.value if isinstance(value, Enum) else str(value)))


def teller(arguments: argparse.Namespace) -> Callable[[str], None]:
    """With --json only the JSON goes to standard output."""
    return complain if arguments.json else say
