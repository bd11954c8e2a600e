# SPDX-License-Identifier: GPL-2.0-or-later
"""A server updates over HTTP while publish follows publish: it never sees a mixture."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from fpmjail_deb import indexing
from tests.fleet import Published, fpmjail_deb
from tests.lifecycle.trees import CHECKOUT
from tests.publish.packages import deb

PUBLISHES = 6


@pytest.fixture
def address(repository: Published) -> Iterator[str]:
    """Where `--serve` serves it."""
    command = [sys.executable, "-m", "fpmjail_deb", "publish", str(repository.root), "--serve", "0"]
    quiet, words = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=words, stderr=quiet, text=True) as server:
        assert server.stdout
        line = server.stdout.readline()
        yield line.split()[-1]
        server.terminate()
    assert re.search(r" is at http://127\.0\.0\.1:\d+\n$", line)


class Client:
    """apt of this machine, with directories of its own, that knows one repository only."""

    def __init__(self, place: Path, repository: Published, address: str) -> None:
        for name in ("lists/partial", "archives/partial"):
            (place / name).mkdir(parents=True)
        key = place / "key.asc"
        gpg = ["gpg", "--homedir", str(repository.home), "--armor", "--export"]
        key.write_bytes(subprocess.run(gpg, check=True, capture_output=True).stdout)
        (place / "sources.list").write_text(f"deb [signed-by={key}] {address} trixie main\n")
        (place / "status").touch()
        self.place = place
        self.options = [
            f"-oDir::State={place}", f"-oDir::State::Lists={place}/lists", f"-oDir::State::Status={place}/status",
            f"-oDir::Cache={place}", f"-oDir::Etc::SourceList={place}/sources.list",
            "-oDir::Etc::SourceParts=/dev/null", "-oAPT::Sandbox::User=root", "-oAcquire::Languages=none",
            "-oAcquire::http::Proxy::127.0.0.1=DIRECT", "-oAPT::Architecture=amd64", "-oAPT::Architectures::=amd64",
            "-oDebug::NoLocking=true", "-oAcquire::Check-Valid-Until=true",
            "-oAcquire::Check-Date=true",
        ]  # fmt: skip

    def run(self, *words: str) -> str:
        """Run apt-get; nothing may go wrong, not even so far that apt only warns."""
        status, said = self.said(*words)
        assert status == 0 and not re.search(r"^[WE]: ", said, re.MULTILINE), said
        return said

    def said(self, *words: str) -> tuple[int, str]:
        """Run apt-get; return its exit status, and what it said."""
        command = ["apt-get", *self.options, *words]
        done = subprocess.run(command, cwd=self.place, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def test_apt_never_sees_a_mixture_while_publish_follows_publish(
    repository: Published, address: str, tmp_path: Path
) -> None:
    client = Client(tmp_path / "apt", repository, address)
    debs = [deb(tmp_path / "debs", f"1.{number}+deb13") for number in range(PUBLISHES)]
    publisher = threading.Thread(target=lambda: [fpmjail_deb("publish", repository.root, one) for one in debs])
    publisher.start()
    updates = 0
    while publisher.is_alive():
        client.run("update")
        updates += 1
    publisher.join()
    assert updates > 1
    client.run("update")
    client.run("download", f"site-a-jail=1.{PUBLISHES - 1}+deb13")
    assert [path.name for path in client.place.glob("*.deb")] == [debs[-1].name]


def test_a_server_gets_each_of_several_publishes_of_one_second(
    repository: Published, address: str, tmp_path: Path
) -> None:
    client = Client(tmp_path / "apt", repository, address)
    for number in range(4):
        repository.publish(deb(tmp_path, f"1.{number}+deb13"))
        client.run("update")
        client.run("download", f"site-a-jail=1.{number}+deb13")
    dists = repository.public / "dists/trixie"
    said = parsedate_to_datetime(re.findall(r"^Date: (.*)$", (dists / "Release").read_text(), re.MULTILINE)[0])
    names = ("Release", "InRelease", "Release.gpg")
    assert {name: (dists / name).stat().st_mtime for name in names} == dict.fromkeys(names, said.timestamp())


def test_apt_refuses_a_publish_that_is_older_than_it_may_be_until_it_is_signed_again(
    repository: Published, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(tmp_path / "apt", repository, address)
    client.run("update")
    with monkeypatch.context() as aged:
        aged.setattr(indexing, "DAY", -3600)
        repository.publish("--valid-for", "1d")
        status, said = client.said("update")
    assert status != 0, said
    assert "is expired" in said
    assert repository.publish()["reason"] == "signed again"
    client.run("update")
