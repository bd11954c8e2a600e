# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof of a candidate: what its scratch jail is made of, and that it never says good without having seen it."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from fpmjail import files, jail, mounts, probe, prove, systemd
from fpmjail.jail import Directory, File, Link, Piece
from fpmjail.layout import Layout
from fpmjail.probe import Result
from fpmjail.prove import NotProvable, Scratch
from fpmjail.site import Profile
from fpmjail.systemd import Answer

DIGEST = "0123456789abcdef"
PROFILE = Profile("a1b2c3d4e5f6", "8.4", ("php", "tls"), (), (), (), "image")
SANDBOX = (
    ("NoNewPrivileges", "yes"),
    ("Slice", "fpmjail-a.slice"),
    ("SystemCallFilter", "@x"),
    ("SystemCallFilter", "~@y"),
)
SCRATCH = Scratch(Path("/run/fpmjail/scratch-abc"))


def pieces() -> tuple[Piece, ...]:
    return prove.skeleton(DIGEST, frozenset({"ssl", "php", "hosts", "passwd"}), frozenset({"hosts"}), 990, 991)


def test_the_scratch_jail_shows_the_candidate_and_never_the_generation_in_use() -> None:
    targets = {piece.path: piece.target for piece in pieces() if isinstance(piece, Link)}
    assert targets["usr"] == f".image/{DIGEST}/usr"
    assert targets["etc/ssl"] == f"../.image/{DIGEST}/etc/ssl"
    assert targets["etc/hosts"] == "../.image/live/hosts"
    assert targets["lib64"] == "usr/lib64"
    assert not any("current" in target or target.startswith("/") for target in targets.values())


def test_the_scratch_jail_knows_only_the_account_of_the_runtime() -> None:
    texts = {piece.path: piece.text for piece in pieces() if isinstance(piece, File)}
    assert texts["etc/passwd"] == "_fpmjail:x:990:991::/:/usr/sbin/nologin\n"
    assert "etc/passwd" not in {piece.path for piece in pieces() if isinstance(piece, Link)}


def test_everything_in_the_scratch_jail_is_root_s_and_made_after_its_parent() -> None:
    made: set[str] = {"."}
    for piece in pieces():
        assert str(Path(piece.path).parent) in made
        made.add(piece.path)
        assert not isinstance(piece, Directory) or (piece.owner, piece.group, piece.mode) == ("root", "root", 0o755)


def test_the_candidate_runs_behind_the_sandbox_of_the_sites_in_its_order() -> None:
    directives = prove.confinement(SCRATCH, Path("/images/x"), SANDBOX)
    assert directives[:3] == (SANDBOX[0], SANDBOX[2], SANDBOX[3])
    assert ("RootDirectory", "/run/fpmjail/scratch-abc") in directives
    assert ("User", "_fpmjail") in directives
    assert ("BindReadOnlyPaths", "/images/x:/.image") in directives


def test_a_site_s_slice_does_not_pay_for_the_proof() -> None:
    assert not [name for name, _ in prove.confinement(SCRATCH, Path("/images/x"), SANDBOX) if name == "Slice"]


def test_systemd_holds_the_socket_that_fpm_inherits() -> None:
    command = prove.command(SCRATCH, Path("/images/x"), SANDBOX, PROFILE)
    assert "--socket-property=ListenStream=/run/fpmjail/scratch-abc/socket" in command
    assert "--socket-property=SocketMode=0600" in command
    assert "--property=Environment=FPM_SOCKETS=/run/fpmjail/scratch-abc/socket=3" in command
    assert "listen = /run/fpmjail/scratch-abc/socket" in prove.pool(SCRATCH.socket).splitlines()


@dataclass
class Host:
    """A host on which nothing really happens: it remembers what was asked of it."""

    run: Answer = field(default_factory=lambda: Answer(0, ""))
    start: Answer = field(default_factory=lambda: Answer(0, ""))
    calls: list[tuple[str, ...]] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def systemd_run(self, command: Sequence[str], timeout: float = 0) -> Answer:
        self.calls.append(tuple(command[:1]))
        return self.run

    def systemctl(self, *arguments: str, timeout: float = 0) -> Answer:
        self.calls.append(arguments)
        return self.start if arguments[0] == "start" else Answer(0, "")

    def probes(self, socket: Path, names: Iterable[str], expected: probe.Expectation) -> tuple[Result, ...]:
        return tuple(Result(name, expected.generation == DIGEST) for name in names)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    fake = Host()
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(systemd, "run", fake.systemd_run)
    monkeypatch.setattr(systemd, "systemctl", fake.systemctl)
    monkeypatch.setattr(systemd, "properties", lambda *_: {"Result": "exit-code", "ExecMainStatus": "203"})
    monkeypatch.setattr(pwd, "getpwnam", lambda _: SimpleNamespace(pw_uid=990))
    monkeypatch.setattr(grp, "getgrnam", lambda _: SimpleNamespace(gr_gid=991))
    monkeypatch.setattr(files, "make_directory", lambda path, *_: fake.made.append(path.name))
    monkeypatch.setattr(jail, "put", lambda _, piece: fake.made.append(piece.path))
    monkeypatch.setattr(mounts, "remove_tree", fake.removed.append)
    monkeypatch.setattr(probe, "ask_all", fake.probes)
    monkeypatch.setattr(probe, "available", lambda _, names: tuple(names))
    return fake


def proof(tmp_path: Path) -> tuple[Result, ...] | NotProvable:
    return prove.prove(Layout(tmp_path), PROFILE, DIGEST, SANDBOX)


def stopped(host: Host) -> list[str]:
    return [unit for call in host.calls if call[0] == "stop" for unit in call[1:]]


def test_a_proof_is_the_answer_of_every_probe_of_the_profile(host: Host, tmp_path: Path) -> None:
    results = proof(tmp_path)
    assert isinstance(results, tuple)
    assert [(result.capability, result.passed) for result in results] == [("php", True), ("tls", True)]


def test_a_proof_leaves_nothing_behind(host: Host, tmp_path: Path) -> None:
    proof(tmp_path)
    (root,) = host.removed
    assert stopped(host) == [f"fpmjail-{root.name}.socket", f"fpmjail-{root.name}.service"]
    assert root.parent == tmp_path / "run/fpmjail"


def test_what_a_killed_proof_left_is_removed_by_the_next(host: Host, tmp_path: Path) -> None:
    left = tmp_path / "run/fpmjail/scratch-killed"
    left.mkdir(parents=True)
    proof(tmp_path)
    assert host.removed[0] == left
    assert "fpmjail-scratch-killed.service" in stopped(host)


def test_php_that_does_not_start_is_a_failed_proof(host: Host, tmp_path: Path) -> None:
    host.start = Answer(1, "Job failed.")
    results = proof(tmp_path)
    assert isinstance(results, tuple)
    assert [(result.capability, result.passed) for result in results] == [("php", False)]
    assert results[0].findings == ("php-fpm does not start from this generation: exit-code (status 203): Job failed.",)
    assert len(host.removed) == 1


def test_walls_that_the_kernel_or_a_container_forbids_are_named(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.start = Answer(1, "")
    monkeypatch.setattr(systemd, "properties", lambda *_: {"Result": "exit-code", "ExecMainStatus": "217"})
    results = proof(tmp_path)
    assert isinstance(results, tuple)
    assert "user namespaces (PrivateUsers=)" in results[0].findings[0]


def test_a_sandbox_that_systemd_refuses_is_a_failed_proof(host: Host, tmp_path: Path) -> None:
    host.run = Answer(1, "Unknown assignment: Foo=bar")
    results = proof(tmp_path)
    assert isinstance(results, tuple)
    assert "Unknown assignment" in results[0].findings[0]
    assert not [call for call in host.calls if call[0] == "start"]


def test_without_systemd_nothing_is_proven(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "running", lambda: False)
    assert proof(tmp_path) == NotProvable("systemd does not run here")
    assert host.made == []


def test_without_a_way_to_systemd_nothing_is_proven(host: Host, tmp_path: Path) -> None:
    host.run = Answer(1, "Failed to connect to bus: No such file or directory")
    assert isinstance(proof(tmp_path), NotProvable)
    assert len(host.removed) == 1


def test_without_the_account_of_the_runtime_nothing_is_proven(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", missing)
    outcome = proof(tmp_path)
    assert isinstance(outcome, NotProvable)
    assert "_fpmjail" in outcome.reason
