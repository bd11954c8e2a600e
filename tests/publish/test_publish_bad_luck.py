# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input and bad luck: a clear sentence, an exit status, and what was served before is still served."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpmjail_deb.cli import main
from tests.fleet import MAINTAINER, ORIGIN, Published, fpmjail_deb
from tests.lifecycle.trees import CHECKOUT
from tests.publish.conftest import URL
from tests.publish.packages import deb, faults, versions


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path, status: int = 1) -> str:
    """What the program says when it refuses."""
    assert main(["publish", *map(str, words)]) == status
    return capsys.readouterr().err


def state(repository: Published) -> list[str]:
    """Every file of a repository."""
    return sorted(str(path.relative_to(repository.root)) for path in repository.root.rglob("*"))


@pytest.fixture
def served(repository: Published, tmp_path: Path) -> Iterator[Published]:
    """A repository with a package, which is as it was after whatever a test does, but for what it publishes itself."""
    repository.publish(deb(tmp_path / "before", "1.5+deb13"))
    before = state(repository)
    yield repository
    assert state(repository) == before
    assert versions(repository) == ["1.5+deb13"]
    assert faults(repository) == []


def test_a_version_that_goes_back_is_refused(
    served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, served.root, deb(tmp_path, "1.4+deb13"), deb(tmp_path, "1.6+deb13", "site-b-jail"))
    assert "site-a-jail 1.4+deb13 (trixie, all) goes back behind 1.5+deb13, which servers may have" in said
    assert said.endswith("nothing was published\n")


def test_another_content_under_a_published_version_is_refused(
    served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, served.root, deb(tmp_path, "1.5+deb13", text="another"))
    assert "was published with another content; raise its version" in said


def test_two_contents_under_one_version_are_refused(
    served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debs = [deb(tmp_path / text, "2.0+deb13", "site-b-jail", text) for text in ("one", "other")]
    assert "with another content" in refused(capsys, served.root, *debs)


def test_a_package_that_does_not_say_its_release_is_refused(
    served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, served.root, deb(tmp_path, "2.0", "fpmjail"))
    assert "fpmjail 2.0 does not say which Debian it is for; --release bookworm|trixie" in said


def test_what_is_no_package_is_refused(served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.deb").write_text("no package\n")
    assert f"{tmp_path}/a.deb is no Debian package" in refused(capsys, served.root, tmp_path / "a.deb", status=2)


def test_a_second_publish_at_the_same_time_is_refused(
    served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (served.root / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = refused(capsys, served.root, deb(tmp_path, "1.6+deb13"))
    assert "another fpmjail-deb publishes into" in said and "wait for its end" in said


def test_a_clock_that_is_behind_is_refused(
    served: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now - 3600)
    assert "the clock is wrong: it says" in refused(capsys, served.root, deb(tmp_path, "1.6+deb13"))
    monkeypatch.setattr("fpmjail_deb.signing.Key.warning", lambda *_: "")
    assert "the clock is wrong: publish 2 was made" in refused(capsys, served.root, deb(tmp_path, "1.6+deb13"))


@pytest.mark.parametrize("name", ["origin", "label"])
def test_origin_and_label_never_change_silently(
    served: Published, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = served.root / "settings.json"
    before = file.read_text()
    file.write_text(json.dumps({**json.loads(before), name: "Another"}))
    said = refused(capsys, served.root)
    file.write_text(before)
    assert f'servers know the repository by {name.capitalize()} "{ORIGIN}"' in said
    again = ("--init", served.root, "--origin", "Another", "--url", URL, "--gnupghome", served.home)
    said = refused(capsys, *again, "--maintainer", MAINTAINER, status=2)
    assert f'is a repository already; its Origin is "{ORIGIN}" and stays that' in said


def test_a_missing_program_is_named_with_its_package(served: Published, tmp_path: Path) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    package = deb(tmp_path, "1.6+deb13")
    programs = {"apt-ftparchive": "apt-utils", "gpg": "gpg", "dpkg-deb": "dpkg"}
    for missing, hint in programs.items():
        shutil.rmtree(path)
        path.mkdir()
        for has in {*programs, "tar"} - {missing}:
            (path / has).symlink_to(str(shutil.which(has)))
        said = fpmjail_deb("publish", served.root, package, status=1, variables={"PATH": str(path)}).stderr
        assert f"{missing} is not installed; apt install {hint}" in said


def test_a_directory_that_is_not_ours_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").write_text("somebody's")
    assert "is no repository of fpmjail-deb's: it has no settings.json" in refused(capsys, tmp_path, status=2)
    words = ("--origin", ORIGIN, "--url", URL, "--maintainer", MAINTAINER, "--gnupghome", tmp_path / "key")
    said = refused(capsys, "--init", tmp_path, *words, status=2)
    assert "is not empty, and no repository of fpmjail-deb's" in said
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--origin", "example.org"), "--origin: expected 2 to 30 of A-Z, a-z, 0-9 and -"),
        (("--url", "deb.example.org"), "--url: expected an address such as https://deb.example.org"),
        (("--maintainer", "nobody"), "--maintainer: expected a name and an address"),
        (("--expires", "soon"), "--expires: expected a time such as 2y"),
        (("--label", "a\nb"), "--label: expected"),
        (("--key", "ABCD"), "--key: expected a fingerprint of 40 digits"),
        (("--via", "aptly", "--valid-for", "7d"), "aptly writes no Valid-Until"),
        (("--gnupghome", "HERE/repository/public/key"), "will be served to everybody"),
    ],
)
def test_what_init_cannot_use_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    good = ("--origin", ORIGIN, "--url", URL, "--maintainer", MAINTAINER, "--gnupghome", tmp_path / "key")
    given = (word.replace("HERE", str(tmp_path)) for word in words)
    assert said in refused(capsys, "--init", tmp_path / "repository", *good, *given, status=2)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for a key."""
    directory = Path(tempfile.mkdtemp(prefix="gnupg-"))
    yield directory
    subprocess.run(["gpgconf", "--homedir", str(directory), "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)  # the agent takes its sockets away itself


def make_key(home: Path, passphrase: str, expires: str, *options: str) -> str:
    """Make a key by hand; its fingerprint."""
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", *options]
    made = ["--pinentry-mode", "loopback", "--passphrase", passphrase, "--quick-generate-key", "A <a@example.org>"]
    subprocess.run([*base, *made, "ed25519", "sign", expires], check=True, capture_output=True)
    listed = subprocess.run([*base, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, capture_output=True)
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))


@pytest.mark.parametrize("via", ["apt-ftparchive"])
def test_a_key_that_cannot_sign_is_refused_and_nothing_is_left(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], via: str
) -> None:
    root = tmp_path / "repository"
    words = ("--init", root, "--origin", ORIGIN, "--url", URL, "--maintainer", MAINTAINER, "--via", via)
    locked = make_key(home, "secret", "never")
    said = refused(capsys, *words, "--gnupghome", home, "--key", locked)
    assert f"the key {locked[-16:]} has a passphrase that no agent knows" in said and "unlock it in gpg-agent" in said
    assert list(root.iterdir()) == []
    said = refused(capsys, *words, "--gnupghome", home, "--key", "0" * 40)
    assert "has no secret key 0000000000000000" in said


def test_an_expired_key_is_refused_with_the_way_to_renew_it(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = make_key(home, "", "1d", "--faked-system-time", "20250101T000000!")
    words = ("--init", tmp_path / "repository", "--origin", ORIGIN, "--url", URL, "--maintainer", MAINTAINER)
    said = refused(capsys, *words, "--gnupghome", home, "--key", old)
    assert f"the key {old[-16:]} expired on 2025-01-02" in said and "--quick-set-expire" in said


def test_a_full_disk_leaves_what_was_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", place], check=True)
    try:
        repository = Published(place / "repository", URL)
        try:
            repository.publish(deb(tmp_path, "1.5+deb13"))
            before = state(repository)
            large = deb(tmp_path, "1.6+deb13", text=os.urandom(700_000).hex())
            said = refused(capsys, repository.root, large)
            assert "No space left on device" in said and "make room" in said
            assert state(repository) == before
            assert versions(repository) == ["1.5+deb13"]
            assert faults(repository) == []
        finally:
            repository.close()
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_publish_that_is_killed_at_any_moment_leaves_the_old_state_or_the_new_one(
    repository: Published, tmp_path: Path
) -> None:
    repository.publish(deb(tmp_path, "1.5+deb13"))
    new = deb(tmp_path, "1.6+deb13")
    words = map(str, (repository.root, repository.home, tmp_path / "scratch", new))
    command = [sys.executable, "-m", "tests.publish.killed", *words]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    moments = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(moments) > 30 and moments[-1]["status"] == 0
    old, both = ["1.5+deb13"], ["1.5+deb13", "1.6+deb13"]
    seen = [found["killed"]["versions"] for found in moments]
    assert seen == sorted(seen, key=len) and old in seen and both in seen[:-1]
    for found in moments:
        assert found["killed"]["versions"] in (old, both) and found["killed"]["faults"] == [], found
        assert found["next"] == {"status": 0, "versions": both, "faults": [], "left": []}, found
