# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian that the base trees do not have: fetched once with all that they need, then installed from a
repository of the test bed like any other."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.lifecycle import trees

KEYRING = "usr/share/keyrings/debian-archive-keyring.gpg"


def debs(release: str, packages: Iterable[str]) -> list[Path]:
    """The .debs that apt would fetch to install `packages` on a server of this release; `X` in a name is PHP's version.

    Raises RuntimeError with apt's words when it cannot.
    """
    return _fetched(trees.base_tree(release), release, "install", packages)


def again(release: str, packages: Iterable[str]) -> list[Path]:
    """The .debs of packages that the base tree has, for a server that installs them once more.

    Raises RuntimeError as `debs` does.
    """
    return _fetched(trees.base_tree(release), release, "reinstall", packages)


def release_upgrade(before: str, after: str, packages: Iterable[str]) -> list[Path]:
    """The .debs with which a server of `before` becomes one of `after`, with these packages of `after` on top.

    Raises RuntimeError as `debs` does.
    """
    return _fetched(trees.base_tree(before), after, "dist-upgrade", packages)


def _fetched(tree: trees.Tree, release: str, action: str, packages: Iterable[str]) -> list[Path]:
    names = sorted(name.replace("X", trees.PHP[release]) for name in packages)
    what = names if action == "install" else [release, action, *names]
    digest = hashlib.sha256(" ".join(what).encode()).hexdigest()[:12]
    finished = tree.directory / "extras" / digest
    with trees.locked(f"{tree.name}-extras-{digest}"):
        if not finished.exists():
            with tempfile.TemporaryDirectory(dir=tree.directory, prefix="fetching-") as directory:
                fetched = _fetch(tree, release, [action, *names], Path(directory))
                copied = finished.with_name(f"copying-{digest}")
                shutil.rmtree(copied, ignore_errors=True)
                shutil.copytree(fetched, copied)
                copied.rename(finished)
    return sorted(finished.glob("*.deb"))


def _fetch(tree: trees.Tree, release: str, wanted: list[str], place: Path) -> Path:
    """Let this machine's apt work out and fetch what is missing, with the tree's packages in place of its own."""
    for name in ("lists/partial", "archives/partial"):
        (place / name).mkdir(parents=True)
    (place / "sources.list").write_text(_sources(tree, release))
    options = [
        f"-oDir::State::Lists={place}/lists",
        f"-oDir::State::Status={tree.root}/var/lib/dpkg/status",
        f"-oDir::State::extended_states={place}/extended_states",
        f"-oDir::Cache={place}",
        f"-oDir::Cache::Archives={place}/archives",
        f"-oDir::Etc::SourceList={place}/sources.list",
        "-oDir::Etc::SourceParts=/dev/null",
        "-oDir::Etc::Preferences=/dev/null",
        "-oDir::Etc::PreferencesParts=/dev/null",
        "-oAPT::Sandbox::User=root",
        "-oAcquire::Languages=none",
        "-oDebug::NoLocking=true",
    ]
    for command in (["update"], ["--yes", "--no-install-recommends", "--download-only", *wanted]):
        done = subprocess.run(["apt-get", *options, *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"apt-get {' '.join(command)}:\n{done.stdout}{done.stderr}")
    return place / "archives"


def _sources(tree: trees.Tree, release: str) -> str:
    mirror = trees.host_mirror()
    key = f"[signed-by={tree.root}/{KEYRING}]"
    suites = (
        (mirror.main, release),
        (mirror.main, f"{release}-updates"),
        (mirror.security, f"{release}-security"),
    )
    return "".join(f"deb {key} {uri} {suite} main\n" for uri, suite in suites)
