# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description says of the shell, and what the package makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fpmjail_deb.site_warnings import warnings
from tests.sites import planned, shop, text


def described(more: str) -> dict[str, Any]:
    return dict(json.loads(text(planned(shop(more)), "/site.json")))


def test_no_shell_is_there_unless_it_is_asked_for() -> None:
    assert described("")["jail"]["shell"] == "none"
    assert not {"shell", "restricted-shell"} & set(described("")["profile"]["capabilities"])


@pytest.mark.parametrize(("choice", "capability"), [("restricted", "restricted-shell"), ("sh", "shell")])
def test_a_shell_is_part_of_the_image(choice: str, capability: str) -> None:
    made = described(f"jail: {{shell: {choice}}}\n")
    assert made["jail"]["shell"] == choice
    assert {"shell", "restricted-shell"} & set(made["profile"]["capabilities"]) == {capability}
    assert made["profile"]["id"] != described("")["profile"]["id"]


def test_a_whole_shell_is_a_warning_with_its_line() -> None:
    (warning,) = warnings(shop("jail: {shell: sh}\n"))
    assert str(warning).startswith("shop.yaml:4:8: jail.shell: with sh, whoever finds a hole")
    assert warnings(shop("jail: {shell: restricted}\n")) == ()
