# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual hosts of many sites are tested once, and one that is bad stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from arrivals import named

from fpmjail import (
    apache,
    files,
    web,
)
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.systemd import Answer
from fpmjail.vhost import Applied, VirtualHostFault


@pytest.fixture
def tests_of_apache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An Apache that refuses the sites whose names begin with `bad`, and the texts that it was asked to test."""
    asked: list[str] = []

    def verdict(texts: apache.Texts, without: object) -> Answer:
        asked.append("\n".join(texts.values()))
        return Answer(int("bad" in asked[-1]), "AH00526: Syntax error on line 1")

    monkeypatch.setattr(apache, "installed", lambda: True)
    monkeypatch.setattr(apache, "enable_modules", lambda site: ())
    monkeypatch.setattr(apache, "candidate", lambda site, *_: site.name)
    monkeypatch.setattr(apache, "verdict_with", verdict)
    monkeypatch.setattr(apache, "proven_dropins", lambda layout, site: tmp_path / site.name)
    monkeypatch.setattr(apache, "CONFIGURATION", tmp_path)
    monkeypatch.setattr(apache, "STATE", tmp_path)
    monkeypatch.setattr(files, "make_directory", lambda path, *_: path.mkdir(exist_ok=True))  # not root's
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-available").mkdir()
    for name in ("a", "b", "c", "d", "e", "f", "g", "h", "bad"):
        (tmp_path / f"sites-available/site-{name}-jail.conf").touch()
    return asked


def test_a_virtual_host_that_cannot_be_read_stops_no_other(
    tests_of_apache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def candidate(site: Site, *_: object) -> str:
        if site.name == "b":
            raise PermissionError(13, "Permission denied", "apache.conf")
        return site.name

    monkeypatch.setattr(apache, "candidate", candidate)
    monkeypatch.setattr(web, "leave", lambda layout, site: None)
    results = web.apply_all(Layout(tmp_path), [(named(name), True) for name in "abc"])
    assert isinstance(results.pop("b"), PermissionError)
    assert results == {"a": Applied(), "c": Applied()}


def test_a_site_that_cannot_leave_another_web_server_stops_no_other(
    tests_of_apache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(layout: Layout, site: Site) -> None:
        if site.name == "b":
            raise KeyError("nginx")

    monkeypatch.setattr(web, "leave", leave)
    results = web.apply_all(Layout(tmp_path), [(named(name), True) for name in "abc"])
    assert isinstance(results.pop("b"), KeyError)
    assert results == {"a": Applied(), "c": Applied()}


def test_many_virtual_hosts_are_tested_once_and_linked_as_a2ensite_does(
    tests_of_apache: list[str], tmp_path: Path
) -> None:
    sites = [(named(name), True) for name in "abcdefgh"]
    results = apache.apply_all(Layout(tmp_path), sites)
    assert results == {name: Applied() for name in "abcdefgh"}
    assert tests_of_apache == ["\n".join("abcdefgh")]
    for name in (f"site-{letter}-jail" for letter in "abcdefgh"):
        link = tmp_path / f"sites-enabled/{name}.conf"
        assert str(link.readlink()) == f"../sites-available/{name}.conf" and link.exists()
        assert (tmp_path / "site/enabled_by_maint" / name).read_text() == ""


def test_a_site_that_is_linked_again_has_one_record_of_who_did_it(tests_of_apache: list[str], tmp_path: Path) -> None:
    former = tmp_path / "site/disabled_by_maint/site-a-jail"
    former.parent.mkdir(parents=True)
    former.touch()
    assert apache.enable(named("a")) is None and not former.exists()
    (tmp_path / "site/disabled_by_admin").mkdir()
    (tmp_path / "site/disabled_by_admin/site-b-jail").touch()
    assert "an administrator disabled it" in str(apache.enable(named("b")))
    assert "is not there" in str(apache.enable(named("z")))


def test_a_bad_virtual_host_among_many_is_found_by_halves(tests_of_apache: list[str], tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e", "bad", "g", "h"]
    results = apache.apply_all(Layout(tmp_path), [(named(name), True) for name in names])
    assert isinstance(results.pop("bad"), VirtualHostFault)
    assert results == {name: Applied() for name in names if name != "bad"}
    assert len(tests_of_apache) == 1 + 1 + 2 + 2 + 2, "all, all without any, halves three times"
    assert not (tmp_path / "sites-enabled/site-bad-jail.conf").exists()


def test_a_configuration_that_was_broken_before_is_tested_no_further(
    tests_of_apache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdict(texts: apache.Texts, without: object) -> Answer:
        tests_of_apache.append("")
        return Answer(1, "foreign")

    monkeypatch.setattr(apache, "verdict_with", verdict)
    results = apache.apply_all(Layout(tmp_path), [(named(name), True) for name in ("bad", "b")])
    words = ("Apache's configuration was broken before: foreign; mend that, then: fpmjail reload",)
    assert results == {name: Applied(words) for name in ("bad", "b")} and len(tests_of_apache) == 2
