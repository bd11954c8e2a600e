# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages of the examples, unpacked as text in tests/golden: every change of what we make shows up as a diff.

`pytest tests/unit/test_golden.py --update-golden` writes them anew.
"""

from __future__ import annotations

import difflib
import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from fpmjail_deb.contents import Directory, Entry, File, PackagePlan, Symlink
from fpmjail_deb.description import read_site
from fpmjail_deb.metadata import control_files
from fpmjail_deb.release import RELEASES
from tests.sites import EXAMPLES, planned

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = [(path.stem, release) for path in sorted(EXAMPLES.glob("*.yaml")) for release in sorted(RELEASES)]


def unpacked(package: PackagePlan) -> Mapping[str, str]:
    """The package as text files by path; MANIFEST has a line for every entry: mode owner path sha256."""
    files = {f"DEBIAN/{name}": text for name, text, _ in control_files(package)}
    for file in package.files:
        if file.path.endswith(".gz"):
            files[file.path.removesuffix(".gz")] = gzip.decompress(file.content).decode()
        else:
            files[file.path] = file.content.decode()
    return {**files, "MANIFEST": "".join(f"{manifest_line(entry)}\n" for entry in package.entries)}


def manifest_line(entry: Entry) -> str:
    match entry:
        case Directory():
            return f"{entry.mode:04o} root:root {entry.path}/"
        case Symlink():
            return f"link root:root {entry.path} -> {entry.target}"
        case File():
            return f"{entry.mode:04o} root:root {entry.path} {entry.sha256}"


def stored(directory: Path) -> Mapping[str, str]:
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_text(encoding="utf-8") for path in paths}


def store(directory: Path, files: Mapping[str, str]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    return "\n".join(
        line
        for name in sorted(old.keys() | new.keys())
        for line in difflib.unified_diff(
            old.get(name, "").splitlines(),
            new.get(name, "").splitlines(),
            f"golden/{name}",
            f"made/{name}",
            lineterm="",
        )
    )


@pytest.mark.parametrize(("name", "release"), CASES)
def test_the_package_of_an_example_is_as_it_was(name: str, release: str, pytestconfig: pytest.Config) -> None:
    example = EXAMPLES / f"{name}.yaml"
    made = unpacked(planned(read_site(example.read_bytes(), example.name), release))
    if pytestconfig.getoption("--update-golden"):
        store(GOLDEN / name / release, made)
    changed = difference(stored(GOLDEN / name / release), made)
    assert not changed, f"if this is meant: pytest --update-golden\n{changed}"


def test_every_golden_package_has_an_example() -> None:
    assert {(path.parent.name, path.name) for path in GOLDEN.glob("*/*")} == set(CASES)
