# SPDX-License-Identifier: GPL-2.0-or-later
"""What a row of the bench is: what it measures, against whom, and what was aimed at."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.lifecycle.repository import SigningKey

Samples = tuple[float, ...]
STARTED = time.monotonic()


class Compare(Enum):
    """How our median is set against the rival's. The value is how the figure is shown, below zero by the other word."""

    TIMES = "{:.2f} times"
    FASTER = "{:.0f} times faster"
    MORE = "{:.3g} {unit} more"
    PERCENT = "{:.1f} % more"
    LESS = "{:.1f} % less"
    ALONE = "{:.4g}"


@dataclass(frozen=True, slots=True)
class Aim:
    """A limit for a figure: at most `limit`, or with FASTER at least."""

    compare: Compare
    limit: float

    def figure(self, ours: Samples, rival: Samples) -> float:
        """Our median against the rival's."""
        mine, other = statistics.median(ours), statistics.median(rival) if rival else 0.0
        match self.compare:
            case Compare.TIMES:
                return mine / other
            case Compare.FASTER:
                return other / mine
            case Compare.MORE:
                return mine - other
            case Compare.PERCENT:
                return (mine / other - 1) * 100
            case Compare.LESS:
                return (1 - mine / other) * 100
            case Compare.ALONE:
                return mine

    def met(self, figure: float) -> bool:
        """Whether a figure is within the limit."""
        return figure >= self.limit if self.compare is Compare.FASTER else figure <= self.limit


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. `ours` and `rival` are one value for each repetition, in `unit`.

    `rival` is empty for a figure that stands alone; without an aim the line only informs. `reason` says what was
    measured of why the aim is missed, or how the rival's figure came about.
    """

    what: str
    unit: str
    ours: Samples
    against: str = ""
    rival: Samples = ()
    aim: Aim | None = None
    reason: str = ""

    @property
    def figure(self) -> float | None:
        """What is compared with the aim; None without one."""
        return self.aim.figure(self.ours, self.rival) if self.aim else None

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None without one."""
        return self.aim.met(figure) if self.aim and (figure := self.figure) is not None else None


@dataclass(frozen=True, slots=True)
class Bench:
    """What all rows are told: the release of the servers, how many sites, how often, and a directory for their files.

    `rivals` is the largest number of jails that a rival without shared copies gets, each of them over 100 MB.
    """

    release: str
    sites: int
    repeat: int
    place: Path
    seconds: float = 5.0
    rivals: int = 10
    key: SigningKey = field(default_factory=SigningKey)

    @property
    def steps(self) -> tuple[int, ...]:
        """1, 10, 100, ... up to the number of sites."""
        return (*(10**power for power in range(6) if 10**power < self.sites), self.sites)

    def some(self, number: int) -> int:
        """A number of sites that the bench's own number limits."""
        return min(number, self.sites)

    def tell(self, words: str) -> None:
        """A line of progress, with the time since the start."""
        print(f"[{time.monotonic() - STARTED:6.1f} s] {words}", file=sys.stderr, flush=True)

    def rounds(self) -> Iterator[int]:
        """The repetitions, from 1, with a line of progress each."""
        for number in range(1, self.repeat + 1):
            self.tell(f"  repetition {number} of {self.repeat}")
            yield number


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is measured; `measure` yields its lines."""

    name: str
    about: str
    measure: Callable[[Bench], Iterator[Line]]
