# SPDX-License-Identifier: GPL-2.0-or-later
"""No parser of foreign bytes fails otherwise than by its own refusal. For hours: `make soak`."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutations import damaged
from tests.fuzz.targets import TARGETS

ROUNDS = 250


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_taken(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].parser(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_refused_or_taken(name: str) -> None:
    dice = random.Random(name)
    for _ in range(ROUNDS):
        content = damaged(dice.choice(TARGETS[name].seeds), dice)
        try:
            TARGETS[name].survives(content)
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error} for {content[:2000]!r}")
