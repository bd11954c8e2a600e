# SPDX-License-Identifier: GPL-2.0-or-later
"""The code that a site's package brings along, and what dpkg may not be made to do with it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fpmjail_deb.contents import Directory, File, PackagePlan
from fpmjail_deb.description import read_site
from fpmjail_deb.errors import BuildError
from fpmjail_deb.plan import Build, plan
from fpmjail_deb.release import RELEASES
from fpmjail_deb.site import Site
from fpmjail_deb.site_code import read_code
from tests.sites import EPOCH, SHORT


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(tmp_path)
    Path("web/lib").mkdir(parents=True)
    Path("web/index.php").write_text("<?php")
    Path("web/lib/run").write_text("#!/bin/sh\n")
    Path("web/lib/run").chmod(0o700)
    Path("web/.git").mkdir()
    Path("web/.git/config").write_text("secret")
    return read_site((SHORT + "code: web\nwritable: [files/up]\n").encode(), "shop.yaml")


def with_code(site: Site) -> PackagePlan:
    return plan(site, RELEASES["trixie"], Build(EPOCH, code=read_code(site)))


def test_code_is_shipped_into_the_document_root_without_version_control(site: Site) -> None:
    files = {entry.path: entry.mode for entry in with_code(site).files if entry.path.startswith("var/")}
    assert files == {"var/www/shop/htdocs/index.php": 0o644, "var/www/shop/htdocs/lib/run": 0o755}


@pytest.mark.parametrize("path", ["files/up/a.php", "files/up", "files"])
def test_nothing_is_shipped_where_the_site_can_write(site: Site, path: str) -> None:
    place = Path("web", path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("x")
    with pytest.raises(BuildError, match=r"shop\.yaml:4:1: code: .* lies where the site can write"):
        read_code(site)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "../lib/../../x"])
def test_no_link_leads_out_of_the_code(site: Site, target: str) -> None:
    Path("web/lib/link").symlink_to(target)
    with pytest.raises(BuildError, match="leads out of the code"):
        read_code(site)


def test_a_directory_that_is_missing_or_empty_and_a_pipe_are_refused(site: Site) -> None:
    for code, words in (("gone", "cannot be read"), ("empty", "there is no file")):
        Path("empty").mkdir(exist_ok=True)
        with pytest.raises(BuildError, match=words):
            read_code(replace(site, code=code))
    os.mkfifo("web/pipe")
    with pytest.raises(BuildError, match="neither a file"):
        read_code(site)


def test_no_package_ships_into_the_directory_of_another_site(site: Site) -> None:
    made = with_code(site)
    foreign = (Directory("var/www/other"), File("var/www/other/x", b""))
    entries = tuple(sorted((*made.entries, *foreign), key=lambda entry: entry.path))
    with pytest.raises(BuildError, match="only what is below /var/www/shop/"):
        replace(made, entries=entries)


def preinst(site: Site, root: Path, action: str) -> subprocess.CompletedProcess[str]:
    """What dpkg would do before it unpacks the code below `root`."""
    script = root.parent / "preinst"
    script.write_text(dict(with_code(site).scripts)["preinst"])
    environment = {**os.environ, "DPKG_ROOT": str(root)}
    return subprocess.run(["sh", script, action], env=environment, capture_output=True, text=True, check=False)


def spoiled(directory: Path, how: str) -> None:
    """Leave a place where the next package has a directory as nobody but root should have it."""
    if how == "chown":
        os.chown(directory, 1000, 0)
    elif how == "chmod":
        directory.chmod(0o775)
    else:
        directory.symlink_to({"link": "/etc", "dangling": "/nowhere"}[how])


@pytest.mark.parametrize("action", ["install", "upgrade"])
def test_code_is_unpacked_into_directories_of_root_alone(site: Site, tmp_path: Path, action: str) -> None:
    root = tmp_path / "root"
    for path in ("var", "var/www", "var/www/shop", "var/www/shop/htdocs", "var/www/shop/htdocs/lib"):
        assert preinst(site, root, action).returncode == 0
        (root / path).mkdir(parents=True)
    planted = root / "var/www/shop/htdocs/lib"
    for spoil in ("chown", "chmod", "link", "dangling"):
        spoiled(planted, spoil)
        said = preinst(site, root, action)
        assert said.returncode == 1 and f"{planted} is not a directory that only root" in said.stderr, spoil
        planted.unlink() if planted.is_symlink() else planted.rmdir()
        if spoil == "chown":
            planted.mkdir()
