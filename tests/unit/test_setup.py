# SPDX-License-Identifier: GPL-2.0-or-later
"""setup.cfg names what an installed program needs."""

import configparser
from importlib import import_module
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def setup() -> configparser.ConfigParser:
    """Read setup.cfg as setuptools does."""
    parser = configparser.ConfigParser()
    parser.read(HOUSE / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_installed() -> None:
    found = {str(path.parent.relative_to(HOUSE)).replace("/", ".") for path in HOUSE.glob("fpmjail_deb/**/__init__.py")}
    assert set(setup()["options"]["packages"].split()) == found


def test_every_template_is_installed() -> None:
    named = " ".join(setup()["options.data_files"].values()).split()
    installed = {path for pattern in named for path in HOUSE.glob(pattern)}
    assert installed == {path for path in (HOUSE / "templates").rglob("*") if path.is_file()}


def test_the_command_is_the_function_that_exists() -> None:
    module, _, function = setup()["options.entry_points"]["console_scripts"].partition("=")[2].strip().partition(":")
    assert callable(getattr(import_module(module), function))
