# SPDX-License-Identifier: GPL-2.0-or-later
"""Linters, as tests: a tool that is missing is a failure too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lifecycle.container import Container
from tests.lifecycle.packages import all_files, build_debs
from tests.lifecycle.trees import CHECKOUT

SHELL = re.compile(r"#!\s*/(usr/)?bin/(env )?(sh|dash)\b")
TEMPLATE = re.compile(r"\{[{%#]")
MAINTAINER_SCRIPTS = re.compile(r"debian/[a-z0-9.-]+\.(preinst|postinst|prerm|postrm|config)")


def faults(*command: str, **environment: str) -> str:
    """What a linter has to say against the checkout, after its command line; nothing when it finds nothing."""
    result = subprocess.run(command, cwd=CHECKOUT, env={**os.environ, **environment}, capture_output=True, text=True)
    return f"{' '.join(command)}\n{result.stdout}{result.stderr}" if result.returncode else ""


def shell_files() -> list[str]:
    """Every shell script of the checkout: by its first line, or because dpkg runs it; no templates."""
    names = [name for name in all_files() if b"\0" not in (CHECKOUT / name).read_bytes()[:1024]]
    texts = {name: (CHECKOUT / name).read_text() for name in names}
    scripts = [name for name, text in texts.items() if SHELL.match(text) or MAINTAINER_SCRIPTS.fullmatch(name)]
    return [name for name in scripts if not name.startswith("templates/")]


def snippets() -> list[str]:
    """The snippets of the generated packages' scripts; those with Jinja in them are checked as rendered packages."""
    directory = CHECKOUT / "templates/maintscript"
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return [str(path.relative_to(CHECKOUT)) for path in files if not TEMPLATE.search(path.read_text())]


def test_ruff_finds_nothing() -> None:
    assert not faults(sys.executable, "-m", "ruff", "check", ".")


def test_the_code_is_formatted() -> None:
    assert not faults(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_mypy_finds_nothing_in_the_generator() -> None:
    assert not faults(sys.executable, "-m", "mypy", "--strict", "fpmjail_deb")


def test_mypy_finds_nothing_in_the_runtime() -> None:
    assert not faults(sys.executable, "-m", "mypy", "--strict", "hooks/fpmjail", MYPYPATH="hooks")


def test_mypy_finds_nothing_in_the_tests() -> None:
    assert not faults(
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--explicit-package-bases",
        "tests",
        MYPYPATH="hooks:tests/unit/hooks:.",
    )


def test_shellcheck_finds_nothing_in_our_scripts() -> None:
    # files of the system that they source are not here
    assert not faults("shellcheck", "--exclude=SC1091", *shell_files())


@pytest.mark.parametrize("name", snippets())
def test_shellcheck_finds_nothing_in_snippets(name: str) -> None:
    assert not faults("shellcheck", "--shell=dash", name)


def test_every_module_names_its_licence() -> None:
    modules = [name for name in all_files() if name.endswith(".py")]
    assert [name for name in modules if licence(name) not in first_line(CHECKOUT / name)] == []


def licence(name: str) -> str:
    return f"SPDX-License-Identifier: {'MIT' if name.startswith(('hooks/', 'templates/')) else 'GPL-2.0-or-later'}"


def first_line(path: Path) -> str:
    return path.read_text().partition("\n")[0]


@pytest.mark.parametrize(
    "page", ["man1/dh_fpmjail.1", "man1/fpmjail-deb.1", "man5/fpmjail-site.5", "man7/fpmjail.7", "man8/fpmjail.8"]
)
def test_man_pages_are_in_the_packages_and_without_warnings(release: str, page: str) -> None:
    with Container(release, "builder", binds={build_debs(release): "/srv/debs"}, boot=False) as chroot:
        chroot.shell("for deb in /srv/debs/*.deb; do dpkg-deb --extract $deb /srv/installed; done")
        shown = chroot.run("man", "--warnings", "--local-file", f"/srv/installed/usr/share/man/{page}.gz")
    assert "SYNOPSIS" in shown.stdout or "DESCRIPTION" in shown.stdout
    assert shown.stderr == ""
