# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan becomes the same .deb everywhere, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sh

from fpmjail_deb import deb, tree
from fpmjail_deb.contents import File, PackagePlan, Symlink
from fpmjail_deb.errors import BuildError
from tests.sites import EXAMPLES, planned, shop

BUILD = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from tests.sites import EXAMPLES, planned
from fpmjail_deb.deb import build_package
from fpmjail_deb.description import read_site
site = read_site((EXAMPLES / "wordpress.yaml").read_bytes(), sys.argv[2])
print(build_package(planned(site), Path(sys.argv[3])))
"""
CHECKOUT = Path(__file__).parents[2]


def built_elsewhere(output: Path, umask: str, directory: Path, file: str, **environment: str) -> bytes:
    """Build a package in a process of its own; its bytes."""
    result = subprocess.run(
        [sys.executable, "-c", BUILD, umask, file, str(output)],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(result.stdout.strip()).read_bytes()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_bytes_do_not_depend_on_who_builds_where_and_when(tmp_path: Path) -> None:
    one = built_elsewhere(tmp_path / "1", "022", CHECKOUT, "examples/wordpress.yaml", TZ="UTC", LC_ALL="C.UTF-8")
    two = built_elsewhere(
        tmp_path / "2", "077", tmp_path, str(EXAMPLES / "wordpress.yaml"),
        TZ="Pacific/Auckland", LC_ALL="de_DE.UTF-8", SOURCE_DATE_EPOCH="1", DEB_BUILD_OPTIONS="parallel=8", HOME="/x",
    )  # fmt: skip
    assert one == two


def test_a_package_is_built_again_without_a_change(tmp_path: Path) -> None:
    first = deb.build_package(planned(shop()), tmp_path)
    assert deb.build_package(planned(shop()), tmp_path) == first
    assert names(tmp_path) == ["site-shop-jail_1.0.0+deb13_all.deb"]


def test_another_content_needs_another_version(tmp_path: Path) -> None:
    path = deb.build_package(planned(shop()), tmp_path)
    before = path.read_bytes()
    with pytest.raises(BuildError, match="raise `version`"):
        deb.build_package(planned(shop("php: {limits: {tasks: 64}}\n")), tmp_path)
    assert path.read_bytes() == before
    assert names(tmp_path) == [path.name]


def test_a_package_that_is_not_the_plan_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = planned(shop("php: {limits: {tasks: 64}}\n"))
    monkeypatch.setattr(deb, "stage", lambda plan, root: tree.stage(other, root))
    with pytest.raises(BuildError, match="not what was planned"):
        deb.build_package(planned(shop()), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("what", ["content", "mode", "link", "time", "control", "script", "missing", "more"])
def test_every_difference_from_the_plan_is_seen(what: str, tmp_path: Path) -> None:
    package = planned(shop())
    path = deb.build_package(package, tmp_path)
    deb.compare(package, path)
    with pytest.raises(BuildError, match="not what was planned"):
        deb.compare(changed(package, what), path)


def changed(package: PackagePlan, what: str) -> PackagePlan:
    """A plan that differs in one thing."""
    entries = {entry.path: entry for entry in package.entries}
    link = entries["etc/apache2/sites-available/site-shop-jail.conf"]
    pool = entries["usr/share/fpmjail/sites/shop/pool.conf"]
    assert isinstance(pool, File) and isinstance(link, Symlink)
    control = tuple((name, "web, other" if name == "Depends" else value) for name, value in package.control)
    if what == "control":
        return replace(package, control=control)
    if what == "script":
        return replace(package, scripts=tuple((name, f"{text}\n") for name, text in package.scripts))
    if what == "time":
        return replace(package, epoch=package.epoch + 1)
    if what == "missing":
        del entries[pool.path]
    elif what == "more":
        entries[f"{pool.path}2"] = replace(pool, path=f"{pool.path}2")
    elif what == "link":
        entries[link.path] = replace(link, target="/elsewhere")
    elif what == "mode":
        entries[pool.path] = replace(pool, mode=0o755)
    else:
        entries[pool.path] = replace(pool, content=pool.content + b"\n")
    return replace(package, entries=tuple(entries[path] for path in sorted(entries)))


def test_a_failing_dpkg_deb_leaves_nothing_and_is_quoted(tmp_path: Path) -> None:
    package = planned(shop())
    broken = replace(package, control=(*package.control, ("Bad field", "x")))
    with pytest.raises(BuildError, match=r"dpkg-deb cannot build .*Bad"):
        deb.build_package(broken, tmp_path)
    assert names(tmp_path) == []


def test_a_missing_dpkg_deb_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise sh.CommandNotFound(name)

    monkeypatch.setattr(sh, "Command", missing)
    with pytest.raises(BuildError, match="install the package dpkg"):
        deb.build_package(planned(shop()), tmp_path)
    assert names(tmp_path) == []


def test_an_output_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "debs").write_text("a file")
    with pytest.raises(BuildError, match="cannot be written"):
        deb.build_package(planned(shop()), tmp_path / "debs")


def test_everything_belongs_to_root_and_has_one_time(tmp_path: Path) -> None:
    path = deb.build_package(planned(shop()), tmp_path)
    listing = subprocess.run(["dpkg-deb", "--contents", path], capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in listing.splitlines()} == {"root/root"}
    assert {line.split()[3] for line in listing.splitlines()} <= {"2026-01-01", "2025-12-31"}
