# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own packages, fpmjail-deb and fpmjail, built by debian/ in a builder tree of the release."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.lifecycle import trees
from tests.lifecycle.container import Container

NOT_PACKAGED = ("tests/", ".ci/", ".gitignore", "Makefile", "ruff.toml")


def all_files(checkout: Path = trees.CHECKOUT) -> list[str]:
    """The files of the checkout: tracked ones, and new ones that are not ignored; sorted names."""
    listing = [
        "git",
        "-c",
        f"safe.directory={checkout}",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(listing, cwd=checkout, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in names if name and (checkout / name).is_file()})


def packaged_files(checkout: Path = trees.CHECKOUT) -> list[str]:
    """The files that the packages are built from: without tests and CI."""
    return [name for name in all_files(checkout) if not name.startswith(NOT_PACKAGED)]


def content_hash(names: list[str], checkout: Path = trees.CHECKOUT) -> str:
    """One hash over names, executable bits and contents."""
    total = hashlib.sha256()
    for name in names:
        path = checkout / name
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{name}\0{path.stat().st_mode & 0o111:o}\0{content}\n".encode())
    return total.hexdigest()[:16]


def build_debs(release: str) -> Path:
    """The directory with our packages for a release, built if this state of the checkout was not built before."""
    names = packaged_files()
    tree = trees.base_tree(release, "builder")
    finished = trees.CACHE / "packages" / tree.name / content_hash(names)
    with trees.locked(f"packages-{tree.name}-{finished.name}"):
        if not finished.exists():
            building = finished.with_name(f"building-{finished.name}")
            shutil.rmtree(building, ignore_errors=True)
            _build(release, names, building)
            building.rename(finished)
    return finished


def _build(release: str, names: list[str], target: Path) -> None:
    source = target / "source"
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trees.CHECKOUT / name, source / name)
    with Container(release, "builder", writable={target: "/build"}, boot=False) as builder:
        options = {"DEB_BUILD_OPTIONS": "nocheck noautodbgsym"}
        build = builder.run("sh", "-c", "cd /build/source && exec dpkg-buildpackage -b -us -uc", env=options)
    (target / "build.log").write_text(build.output)
    shutil.rmtree(source)


def main() -> None:
    """Build the packages of every release and copy them to a directory, one subdirectory for each release."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lifecycle.packages", description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    for release in trees.RELEASES:
        (output / release).mkdir(parents=True, exist_ok=True)
        for deb in sorted(build_debs(release).glob("*.deb")):
            print(shutil.copy(deb, output / release))


if __name__ == "__main__":
    main()
