# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of many sites and a repository for them, made by the command line as a hosting team would use it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from fpmjail_deb.cli import main
from tests.lifecycle.trees import CHECKOUT

MAINTAINER = "Web Team <web@example.org>"
ORIGIN = "Example"
KEYRING = "example-archive-keyring"


def fpmjail_deb(
    *words: str | Path, status: int = 0, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program of this checkout; its exit status has to be what is expected."""
    command = [sys.executable, "-m", "fpmjail_deb", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **(variables or {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == status, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def write_sites(folder: Path, count: int, more: str = "") -> list[str]:
    """Write descriptions s000.yaml, ... whose versions are automatic; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defaults.yaml").write_text(f"maintainer: {MAINTAINER}\nversion: auto\n")
    names = [f"s{number:03}" for number in range(count)]
    for name in names:
        write_site(folder, name, more)
    return names


def write_site(folder: Path, name: str, more: str = "") -> None:
    """Write one description."""
    (folder / f"{name}.yaml").write_text(f"site: {name}\ndomains: [{name}.example.org]\n{more}")


class Published:
    """A repository in `directory`, its key elsewhere: a path of gpg's sockets must be short. `close` ends its agent."""

    def __init__(self, directory: Path, url: str, *options: str) -> None:
        self.root = directory
        self.home = Path(tempfile.mkdtemp(prefix="gnupg-"))
        where = ("--origin", ORIGIN, "--url", url, "--maintainer", MAINTAINER, "--gnupghome", self.home)
        fpmjail_deb("publish", "--init", directory, *where, *options)

    @property
    def public(self) -> Path:
        """What is served."""
        return self.root / "public"

    def publish(self, *words: str | Path) -> dict[str, Any]:
        """`fpmjail-deb publish`."""
        said = io.StringIO()
        with redirect_stdout(said):
            status = main(["publish", str(self.root), *map(str, words), "--json"])
        assert status == 0, said.getvalue()
        return dict(json.loads(said.getvalue()))

    def close(self) -> None:
        """End gpg's agent, remove its directory."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)  # the agent takes its sockets away meanwhile
