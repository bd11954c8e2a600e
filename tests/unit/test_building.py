# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of several sites: only what changed is built, and nothing is ever half there."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fpmjail_deb import building, built_packages, deb
from fpmjail_deb.building import Order, Result, State, build_all, decide, fulfil, only_one
from fpmjail_deb.contents import Directory
from fpmjail_deb.errors import BuildError, OutputError
from fpmjail_deb.plan import Build, plan
from fpmjail_deb.release import RELEASES
from fpmjail_deb.site import Site
from tests.sites import EPOCH, SHORT, shop

NOON = 1795435200  # 2026-11-23
HOUSE = Path(__file__).parents[2]


def order(site: Site, output: Path, releases: Sequence[str] = ("trixie", "bookworm"), now: int = NOON) -> Order:
    """What a build of one site into a directory asks for, with what is there already."""
    existing = tuple(found for package, found in built_packages.find(output, deep=False) if package == "site-shop-jail")
    return Order(site, tuple(releases), existing, output, EPOCH, now)


def build(output: Path, more: str = "", releases: Sequence[str] = ("trixie", "bookworm"), now: int = NOON) -> Result:
    (result,) = fulfil([order(shop(more), output, releases, now)])
    return result


def versions(output: Path) -> list[str]:
    return sorted(path.name.split("_")[1] for path in output.iterdir())


def test_a_package_that_has_not_changed_is_left_as_it_is(tmp_path: Path) -> None:
    assert len(build(tmp_path).made) == 2
    before = {path: path.stat() for path in tmp_path.iterdir()}
    assert build(tmp_path) == Result("site-shop-jail", unchanged=2)
    assert {path: path.stat() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("how", ["comment", "epoch", "generator", "file"])
def test_what_is_only_told_in_comments_is_no_change(how: str, tmp_path: Path) -> None:
    made = {"epoch": Build(EPOCH - 5), "generator": Build(EPOCH, "x 0")}.get(how, Build(EPOCH))
    site = shop("uid: 4001\n")
    if how == "comment":
        site = shop("\n# a comment\n\nuid: 4001\n")
    if how == "file":
        site = replace(site, origins=tuple((key, replace(place, file="a/b.yaml")) for key, place in site.origins))
    deb.build_package(plan(site, RELEASES["trixie"], made), tmp_path)
    assert build(tmp_path, "uid: 4001\n", ["trixie"]) == Result("site-shop-jail", unchanged=1)


def test_another_content_under_the_same_version_is_refused_with_the_next(tmp_path: Path) -> None:
    build(tmp_path, "version: 1.4\n")
    result = build(tmp_path, "version: 1.4\nuid: 4001\n")
    assert result.made == ()
    assert result.failure.startswith("shop.yaml:4:1: version: ")
    assert "has another content" in result.failure and "write `version: 1.5`, or `version: auto`" in result.failure


def test_a_version_that_goes_backwards_is_refused(tmp_path: Path) -> None:
    build(tmp_path, "version: 1.4\n")
    result = build(tmp_path, "version: 1.3\n")
    assert result.failure == (
        "shop.yaml:4:1: version: 1.4 exists, and no server would go back to 1.3; "
        'write `version: 1.5`, or `version: auto`; see fpmjail-site(5), "version"'
    )


def test_a_description_that_went_back_to_an_old_version_is_told_that_no_server_would(tmp_path: Path) -> None:
    build(tmp_path, "version: 1.3\n")
    build(tmp_path, "version: 1.4\nuid: 4001\n")
    assert "1.4 exists, and no server would go back to 1.3" in build(tmp_path, "version: 1.3\n").failure


def test_an_automatic_version_rises_when_a_change_is_taken_back(tmp_path: Path) -> None:
    for more in ("", "uid: 4001\n", ""):
        build(tmp_path, f"version: auto\n{more}", ["trixie"])
    assert versions(tmp_path) == [f"20261123.{number}+deb13" for number in (1, 2, 3)]


def test_an_automatic_version_rises_with_each_change_and_only_then(tmp_path: Path) -> None:
    build(tmp_path, "version: auto\n", ["trixie"])
    build(tmp_path, "version: auto\n", ["trixie"], NOON + 86400)
    assert versions(tmp_path) == ["20261123.1+deb13"]
    build(tmp_path, "version: auto\nuid: 4001\n", ["trixie"])
    build(tmp_path, "version: auto\nuid: 4002\n", ["trixie"], NOON - 86400 * 1000)
    assert versions(tmp_path) == ["20261123.1+deb13", "20261123.2+deb13", "20261123.3+deb13"]


def test_all_releases_of_a_site_have_one_version(tmp_path: Path) -> None:
    build(tmp_path, "version: auto\n", ["trixie"])
    assert build(tmp_path, "version: auto\n").made[0][0] == "site-shop-jail_20261123.1+deb12_all.deb"
    # Only bookworm's package changes, but an upgrade of Debian must not find an older one.
    changed = shop("version: auto\nphp: {extensions: [imap]}\nreleases: [bookworm]\n")
    version, states = decide(order(changed, tmp_path))
    assert (version, set(states.values())) == ("20261123.2", {State.NEW})


def test_an_automatic_version_follows_one_that_was_given(tmp_path: Path) -> None:
    build(tmp_path, "version: 99999999\n")
    assert build(tmp_path, "version: auto\nuid: 4001\n").made[0][0] == "site-shop-jail_100000000+deb13_all.deb"


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    [(name, _)] = build(tmp_path, releases=["trixie"]).made
    whole = (tmp_path / name).read_bytes()
    for content in (b"", whole[:1000], whole[:-100], b"!<arch>\n", whole[:400] + bytes(200) + whole[600:]):
        (tmp_path / name).write_bytes(content)
        result = build(tmp_path, releases=["trixie"])
        assert name in result.failure, content[:20]
        assert "remove it" in result.failure or "another content" in result.failure
        assert (tmp_path / name).read_bytes() == content


def test_a_foreign_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "tree/DEBIAN").mkdir(parents=True)
    (tmp_path / "tree/DEBIAN/control").write_text(
        "Package: site-shop-jail\nVersion: 1.0.0+deb13\nArchitecture: all\nMaintainer: A <a@b.org>\nDescription: x\n"
    )
    package = tmp_path / "site-shop-jail_1.0.0+deb13_all.deb"
    subprocess.run(["dpkg-deb", "--build", tmp_path / "tree", package], check=True, capture_output=True)
    assert "is not a package that fpmjail-deb built" in build(tmp_path).failure


def test_what_a_package_holds_is_read_as_it_was_planned(tmp_path: Path) -> None:
    for release in RELEASES.values():
        planned = plan(shop("web: {server: nginx}\nsftp: true\n"), release, Build(EPOCH))
        assert deb.read_package(deb.build_package(planned, tmp_path)) == planned


def sites(number: int) -> list[Site]:
    """Sites of one short description each."""
    return [replace(shop(), name=f"s{index}") for index in range(number)]


def test_sites_that_bring_their_code_are_built_alone(tmp_path: Path) -> None:
    plain, other, *_ = sites(2)
    coded = replace(plain, name="coded", code="src")
    asked = (plain, other, plain, coded, coded, other)
    orders = [Order(site, ("trixie",), (), tmp_path, EPOCH, NOON) for site in asked]
    batches = building.batched(orders, 2)
    assert [[one.site.name for one in batch] for batch in batches] == [
        ["s0", "s1"], ["s0"], ["coded"], ["coded"], ["s1"],
    ]  # fmt: skip


def test_several_processes_give_their_results_in_order(tmp_path: Path) -> None:
    orders = [Order(site, ("trixie",), (), tmp_path, EPOCH, NOON) for site in sites(5)]
    results = list(build_all(orders, jobs=2))
    assert [result.package for result in results] == [f"site-s{index}-jail" for index in range(5)]
    assert all(len(result.made) == 1 and not result.failure for result in results)
    assert len(versions(tmp_path)) == 5


def test_one_failing_site_spoils_no_other(tmp_path: Path) -> None:
    orders = [Order(site, ("trixie",), (), tmp_path, EPOCH, NOON) for site in sites(3)]
    bad = replace(orders[1].site, php=replace(orders[1].site.php, env=(("A", "a\nb"),)))
    orders[1] = replace(orders[1], site=bad)
    results = list(build_all(orders, jobs=2))
    assert [bool(result.failure) for result in results] == [False, True, False]
    assert "invisible character" in results[1].failure
    assert len(versions(tmp_path)) == 2


@pytest.mark.parametrize("fault", ["dpkg-deb refuses it", "it cannot be written"])
def test_of_packages_that_are_made_together_one_fails_alone(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [plan(site, RELEASES["trixie"], Build(EPOCH)) for site in sites(4)]
    if fault == "dpkg-deb refuses it":
        plans[1] = replace(plans[1], control=(*plans[1].control, ("Bad field", "x")))
    else:
        plans[1] = replace(plans[1], entries=(Directory("x" * 300),))
    built = deb.build_packages(plans, tmp_path)
    assert [isinstance(one, Path) for one in built] == [True, False, True, True]
    assert sorted(tmp_path.iterdir()) == sorted(one for one in built if isinstance(one, Path))
    assert plans[1].file_name in str(built[1])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_without_room_ends_all(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(plan: object, root: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deb, "stage", full)
    orders = [Order(site, ("trixie",), (), tmp_path, EPOCH, NOON) for site in sites(40)]
    results = list(build_all(orders, jobs))
    assert len(results) == 1
    assert results[0].ends_all and "No space left on device" in results[0].failure
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "build_packages", lambda plans, output: os.kill(os.getpid(), signal.SIGKILL))
    orders = [Order(site, ("trixie",), (), tmp_path, EPOCH, NOON) for site in sites(2)]
    with pytest.raises(OutputError, match="a process that builds was killed; is there enough memory"):
        list(build_all(orders, jobs=2))


def test_two_builds_never_share_a_directory(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(OutputError, match="another fpmjail-deb builds into"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_a_directory_that_cannot_be_locked_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    left = tmp_path / f"{deb.WORKSHOP}left"
    left.mkdir()
    with only_one(tmp_path):
        assert left.exists()  # it may be in use


def test_a_package_that_somebody_else_made_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(shop(), RELEASES["trixie"], Build(EPOCH))
    target = tmp_path / planned.file_name
    real = deb.compare
    monkeypatch.setattr(deb, "compare", lambda *both: (real(*both), target.write_bytes(b"theirs")))
    with pytest.raises(BuildError, match="there already"):
        deb.build_package(planned, tmp_path)
    assert target.read_bytes() == b"theirs"


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    assert len(build(tmp_path).made) == 2
    assert build(tmp_path).unchanged == 2


def test_a_file_system_in_memory_without_room_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "MEMORY", tmp_path / "missing")
    assert len(build(tmp_path / "debs").made) == 2


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_ended_leaves_whole_packages_and_no_process(
    signal_number: int, jobs: int, tmp_path: Path
) -> None:
    (tmp_path / "sites").mkdir()
    for index in range(30):
        text = SHORT.replace("shop", f"s{index}") + "releases: [trixie]\n"
        (tmp_path / f"sites/s{index}.yaml").write_text(text)
    command = [sys.executable, "-m", "fpmjail_deb", "build", f"{tmp_path}/sites", "-o", f"{tmp_path}/debs", f"-j{jobs}"]
    running = subprocess.Popen(
        ["env", "--default-signal=INT", *command],  # a shell lets what it runs in the background ignore it
        cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert running.stdout and running.stdout.readline().startswith("site-s0-jail")
    running.send_signal(signal_number)
    assert running.wait() in (-signal.SIGKILL, 130)
    running.stdout.close()
    wait_for_end_of_processes(tmp_path)
    packages = [path for path in (tmp_path / "debs").iterdir() if path.suffix == ".deb"]
    assert 0 < len(packages) < 30
    for package in packages:
        deb.read_package(package)
    abandoned = [path for path in deb.MEMORY.glob(f"{deb.WORKSHOP}*") if not owner(path).exists()]
    finished = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=True)
    assert f"{30 - len(packages)} packages made, {len(packages)} unchanged" in finished.stderr
    assert len(list((tmp_path / "debs").iterdir())) == 30
    assert [path for path in abandoned if path.exists()] == []


def owner(workshop: Path) -> Path:
    """The process that works there."""
    return Path("/proc", workshop.name.removeprefix(deb.WORKSHOP).split("-")[0])


def wait_for_end_of_processes(place: Path) -> None:
    """Wait until no process has a directory in its command line; those of a killed build go with it."""
    deadline = time.monotonic() + 20
    while any(str(place).encode() in command_line(process) for process in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline, "a process outlived the build"
        time.sleep(0.05)


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
