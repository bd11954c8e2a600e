# SPDX-License-Identifier: GPL-2.0-or-later
"""Every parser for some time, each run in another order: `python3 -m tests.fuzz.soak SECONDS`."""

from __future__ import annotations

import random
import secrets
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "hooks"))


def main() -> None:
    """Damage and parse, until the time is over; the input that is a parser's defect is shown."""
    from tests.fuzz.mutations import damaged
    from tests.fuzz.targets import TARGETS

    seed, done = secrets.randbelow(1 << 30), 0
    dice, end = random.Random(seed), time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        name, target = dice.choice(list(TARGETS.items()))
        content = damaged(dice.choice(target.seeds), dice)
        try:
            target.survives(content)
        except Exception:
            print(f"{name} (seed {seed}): {content!r}")
            raise
        done += 1
    print(f"{done} inputs, nothing found (seed {seed})")


if __name__ == "__main__":
    main()
