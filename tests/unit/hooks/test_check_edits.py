# SPDX-License-Identifier: GPL-2.0-or-later
"""What an administrator can have changed in a site's package, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_check import SITE, directory, file

from fpmjail import check_edits, systemd
from fpmjail.finding import Level
from fpmjail.layout import Layout

ROOT = "/var/www/example/htdocs"
TEMPLATE = replace(SITE.units, standby="site-example-jail-standby@.service")


def test_drop_ins_that_both_services_have_are_good(tmp_path: Path) -> None:
    one, same = tmp_path / "one.conf", tmp_path / "same.conf"
    for path in (one, same):
        path.write_text("[Service]\n")
    for first, standby in (((), ()), ((one,), (one,)), ((one,), (same,))):
        found = check_edits.judge_drop_ins(SITE, first, standby)
        assert found.good and f"{len(first)}, in force for the standby as well" in found.seen


def test_a_drop_in_that_only_one_of_them_has_is_named_with_the_way_out(tmp_path: Path) -> None:
    one, other = tmp_path / "one.conf", tmp_path / "other.conf"
    for path in (one, other):
        path.write_text(f"# {path}\n")
    alone = check_edits.judge_drop_ins(SITE, (one,), ())
    assert (alone.level, alone.seen) == (Level.WARNING, f"{one} is not in force for the standby")
    assert "/etc/systemd/system/site-example-jail.service.d" in alone.fix
    both = check_edits.judge_drop_ins(SITE, (one,), (other,))
    assert f"{one} is not in force for the standby; {other} is in force for the standby alone" in both.seen


def test_systemd_is_asked_for_the_service_and_for_a_standby(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def of_each(name: str, *units: str) -> dict[str, str]:
        asked.extend((name, *units))
        return {units[0]: f"{tmp_path}/a.conf {tmp_path}/b.conf", units[1]: f"{tmp_path}/a.conf"}

    monkeypatch.setattr(systemd, "of_each", of_each)
    monkeypatch.setattr(systemd, "running", lambda: True)
    (found,) = check_edits.drop_ins(replace(SITE, units=TEMPLATE))
    assert found.seen == f"{tmp_path}/b.conf is not in force for the standby"
    assert asked == ["DropInPaths", "site-example-jail.service", "site-example-jail-standby@0.service"]
    assert check_edits.drop_ins(SITE) == ()


def test_code_of_the_package_has_to_be_roots() -> None:
    assert check_edits.judge_code(SITE, ()) == ()
    own = (directory(ROOT), file(f"{ROOT}/index.php"))
    (found,) = check_edits.judge_code(SITE, own)
    assert found.good and found.seen == "2 names of the package, all root's"
    for given in (directory(f"{ROOT}/lib", uid=990), file(f"{ROOT}/lib/a.php", mode=0o666)):
        (found,) = check_edits.judge_code(SITE, (*own, given))
        assert found.level is Level.WARNING and given.path in found.seen
        assert found.fix.startswith(f"mv -T {ROOT} {ROOT}.former; apt install --reinstall site-example-jail")


def test_the_names_are_those_that_dpkg_has_unpacked_in_the_document_root(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    names = ["/.", "/var/www/example", ROOT, f"{ROOT}/lib", f"{ROOT}/gone.php", f"{ROOT}x"]
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/info/site-example-jail.list").write_text("\n".join(names) + "\n")
    (tmp_path / f"{ROOT}/lib".lstrip("/")).mkdir(parents=True)
    found = check_edits.code(layout, SITE)
    assert [entry.path for entry in found] == [f"{tmp_path}{ROOT}", f"{tmp_path}{ROOT}/lib"]
    assert check_edits.code(Layout(tmp_path / "none"), SITE) == ()


def test_no_name_is_looked_at_through_a_link(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    lists = tmp_path / "var/lib/dpkg/info/site-example-jail.list"
    lists.write_text("\n".join([ROOT, f"{ROOT}/lib", f"{ROOT}/lib/a.php"]) + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.php").write_text("")
    root = tmp_path / ROOT.lstrip("/")
    root.mkdir(parents=True)
    (root / "lib").symlink_to(elsewhere)
    assert [entry.path for entry in check_edits.code(layout, SITE)] == [str(root), f"{root}/lib"]
