# SPDX-License-Identifier: GPL-2.0-or-later
"""A bar at the foot of a terminal; elsewhere nothing but the lines that are written above it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

WIDTH = 30
REDRAWN_AFTER = 0.1  # seconds; drawing it for each of a thousand packages would take longer than some of them
SOON = 2.0  # seconds; before, a guess of what is left jumps


@dataclass(slots=True)
class Progress:
    """How much of `total` is done, drawn on `terminal`: None for none."""

    total: int
    terminal: TextIO | None
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    started: float = field(init=False)
    drawn: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self.started = self.clock()

    def step(self, name: str) -> None:
        """One more is done."""
        self.done += 1
        if self.terminal and (self.clock() - self.drawn >= REDRAWN_AFTER or self.done == self.total):
            self.drawn = self.clock()
            self.terminal.write(f"\r{self.bar(name)}\x1b[K")
            self.terminal.flush()

    def clear(self) -> None:
        """Make room for a line; the bar comes back with the next step."""
        if self.terminal:
            self.terminal.write("\r\x1b[K")
            self.terminal.flush()
            self.drawn = float("-inf")

    def bar(self, name: str) -> str:
        """Return the bar as it is now, no wider than the terminal."""
        full = WIDTH * self.done // max(self.total, 1)
        text = f"[{'#' * full}{'.' * (WIDTH - full)}] {self.done}/{self.total}{self._left()} {name}"
        return text[: shutil.get_terminal_size().columns - 1]

    def _left(self) -> str:
        passed = self.clock() - self.started
        if passed < SOON or self.done >= self.total:
            return ""
        seconds = round(passed / self.done * (self.total - self.done))
        return f" {seconds // 60}:{seconds % 60:02d} left"
