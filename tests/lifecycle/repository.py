# SPDX-License-Identifier: GPL-2.0-or-later
"""A signed apt repository in a directory: apt-ftparchive, gpg with a throw-away key, no server.

repository = Repository(directory, "sites", suite="trixie")
repository.publish(deb, other_deb)
with Container("trixie", binds={directory: repository.MOUNT_POINT}) as server:
    repository.add_to(server)
    server.apt("install", "site-example-jail")
    repository.publish(newer_deb)       # visible at once; then server.apt("update")
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.lifecycle.container import Container

MOUNT_POINT = "/srv/repository"
ARCHITECTURES = ("amd64", "arm64")
SOURCE = """\
Types: deb
URIs: file://{mount_point}/{name}
Suites: {suite}
Components: main
Signed-By: {key}
"""
UNATTENDED = """\
Unattended-Upgrade::Origins-Pattern {{ "origin={origin}"; }};
"""


class SigningKey:
    """An ed25519 key that lives in a temporary directory, and ends with it."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="gnupg-")  # short: the agent's socket lies below it
        self._gpg("--passphrase", "", "--quick-generate-key", "fpmjail test repository", "ed25519", "sign", "never")

    def public(self) -> str:
        """The public key in armour, as `Signed-By:` takes it in a file .asc."""
        return self._gpg("--armor", "--export-options", "export-minimal", "--export")

    def sign(self, release: Path) -> None:
        """Write InRelease beside a Release file."""
        self._gpg(
            "--yes",
            "--digest-algo",
            "SHA512",
            "--clearsign",
            "--output",
            str(release.with_name("InRelease")),
            str(release),
        )

    def _gpg(self, *arguments: str) -> str:
        command = ["gpg", "--homedir", self._home.name, "--batch", "--quiet", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Repository:
    """One suite with one component below `directory/name`; Origin and Label are `fpmjail-NAME`."""

    def __init__(self, directory: Path, name: str, *, suite: str, key: SigningKey) -> None:
        self.root, self.name, self.suite, self.key = directory / name, name, suite, key
        self.origin = f"fpmjail-{name}"
        (self.root / "pool").mkdir(parents=True)
        self.publish()

    def publish(self, *debs: Path) -> None:
        """Add packages to those already there, index and sign."""
        for deb in debs:
            shutil.copy(deb, self.root / "pool" / deb.name)
        suite = self.root / "dists" / self.suite
        for architecture in ARCHITECTURES:
            (suite / "main" / f"binary-{architecture}").mkdir(parents=True, exist_ok=True)
            packages = self._archive("--arch", architecture, "packages", "pool")
            (suite / "main" / f"binary-{architecture}" / "Packages").write_text(packages)
        self._release(suite)

    def _release(self, suite: Path) -> None:
        for name in ("Release", "InRelease"):
            (suite / name).unlink(missing_ok=True)
        fields = {
            "Origin": self.origin,
            "Label": self.origin,
            "Suite": self.suite,
            "Codename": self.suite,
            "Components": "main",
            "Architectures": " ".join(ARCHITECTURES),
        }
        options = [f"--option=APT::FTPArchive::Release::{field}={value}" for field, value in fields.items()]
        text = self._archive(*options, "release", f"dists/{self.suite}")
        (suite / "Release").write_text(text)
        self.key.sign(suite / "Release")

    def _archive(self, *arguments: str) -> str:
        command = ["apt-ftparchive", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout

    def add_to(self, container: Container) -> None:
        """Make the container use this repository, as an administrator would: key, deb822 source, apt-get update."""
        key = f"/usr/share/keyrings/{self.origin}.asc"
        container.write(key, self.key.public())
        source = SOURCE.format(mount_point=MOUNT_POINT, name=self.name, suite=self.suite, key=key)
        container.write(f"/etc/apt/sources.list.d/{self.origin}.sources", source)
        container.apt("update")

    def allow_unattended(self, container: Container) -> None:
        """Let unattended-upgrades take packages from this repository."""
        text = UNATTENDED.format(origin=self.origin)
        container.write(f"/etc/apt/apt.conf.d/52unattended-upgrades-{self.name}", text)
