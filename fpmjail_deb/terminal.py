# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands say on standard error, and how they end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from fpmjail_deb.errors import Problem


def told(problems: Sequence[Problem]) -> str:
    """Print problems; return how many there are."""
    from fpmjail_deb import references  # the table of keys, which a command without problems may not need

    for line in references.told(problems):
        print(line, file=sys.stderr)
    files = {problem.location.file for problem in problems}
    return f"{count(len(problems), 'problem')} in {count(len(files), 'file')}"


def failed(message: str, status: int) -> int:
    print(f"fpmjail-deb: {message}", file=sys.stderr)
    return status


def count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


@contextmanager
def ending() -> Iterator[None]:
    """Take SIGTERM as an interrupt, so that what is half made goes."""

    def end(signal_number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
