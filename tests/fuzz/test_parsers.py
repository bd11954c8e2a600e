# SPDX-License-Identifier: GPL-2.0-or-later
"""No parser of foreign bytes fails otherwise than by its own refusal. For hours: `make soak`."""

from __future__ import annotations

import json
import random

import pytest

from tests.fuzz.mutations import damaged
from tests.fuzz.targets import DIGEST, TARGETS

ROUNDS = 250


READ = {
    "FastCGI answers": "{'two': 'a fault'}",
    "state.json": "State(version='1', profile='p',",
    "manifests": f"Manifest(profile='p', digest='{DIGEST}', created='2026-01-01', entries=(Entry(path='usr/x',",
    "inputs": "None",  # the generation that they name is not there
    "live files": "[('hosts', '/etc/hosts', None)]",
    "holds": "Hold(digest='d', reason='r', since='s', manual=True)",
    "the last check": "Summary(when='2026-01-01', bad=0, warning=2)",
    "the last refreshes": "{'latest': {'when': 'w'}, 'history': [{'when': 'w'}]}",
    "mountinfo": "(Mount(device='8:1', root='/', target='/', options=('rw', 'relatime'), shared=True,",
    "pools": "(Pool(name='site-a-jail', listen=('/run/a.sock',), place='a.conf:3'),)",
    "/proc/PID/maps": "('/usr/x (deleted)',)",
}
"""What good input begins with once it was read."""

NAMED = {
    "site.json": ("site", "Site(name="),
    "capabilities": ("name", "Capability(name="),
    "programs": ("programs", "("),
}
"""The key by which each of many files is known again, and what stands before its value."""


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_read_as_what_it_says(name: str) -> None:
    for seed in TARGETS[name].seeds:
        found = repr(TARGETS[name].parser(seed))
        if name in READ:
            assert found.startswith(READ[name])
            continue
        key, before = NAMED[name]
        value = json.loads(seed)[key]
        assert found.startswith(before + repr(tuple(value) if isinstance(value, list) else value))


def test_every_parser_has_good_input() -> None:
    assert TARGETS.keys() == READ.keys() | NAMED.keys()
    assert all(target.seeds for target in TARGETS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_refused_or_taken(name: str) -> None:
    dice = random.Random(name)
    for _ in range(ROUNDS):
        content = damaged(dice.choice(TARGETS[name].seeds), dice)
        assert complaint(name, content) == ""


def complaint(name: str, content: bytes) -> str:
    """What a parser raises that is no refusal, and for what; nothing when it refuses or takes the content."""
    try:
        TARGETS[name].survives(content)
    except Exception as error:
        return f"{type(error).__name__}: {error} for {content[:2000]!r}"
    return ""
