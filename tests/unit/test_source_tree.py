# SPDX-License-Identifier: GPL-2.0-or-later
"""A site as a Debian source package, and what dh_fpmjail puts into its package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from debian.deb822 import Deb822

from fpmjail_deb import cli
from fpmjail_deb.contents import Directory, File, PackagePlan, Symlink
from fpmjail_deb.debhelper import main, stage_site
from fpmjail_deb.description import read_site
from fpmjail_deb.errors import BuildError
from fpmjail_deb.folder import read_folder
from fpmjail_deb.source_tree import without_version
from tests.sites import SHORT, planned

PACKAGE = "site-shop-jail"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The source package of a site, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    Path("shop.yaml").write_text(SHORT + "version: 2.5\ncron: [{name: tick, schedule: daily, command: php tick.php}]\n")
    assert cli.main(["source", "shop.yaml", "--release", "bookworm", "-o", "tree"]) == 0
    monkeypatch.chdir(tmp_path / "tree")
    return tmp_path / "tree"


def staged(tree: Path) -> Path:
    """What the add-on puts into the package's directory."""
    directory = tree / "debian" / PACKAGE
    directory.mkdir()
    stage_site(Path("debian/fpmjail.yaml"), PACKAGE, directory, Path("debian/variables"))
    return directory


def expected(tree: Path) -> PackagePlan:
    """The package that `fpmjail-deb build` would make of the description in the tree, with the version of before."""
    text = (tree / "debian/fpmjail.yaml").read_text().replace("# The version stands in debian/changelog.", "")
    return planned(read_site(text.encode(), "debian/fpmjail.yaml"), "bookworm")


def test_the_tree_is_a_source_package(tree: Path) -> None:
    source, binary = Deb822.iter_paragraphs((tree / "debian/control").read_text())
    assert (source["Source"], binary["Package"], binary["Architecture"]) == (PACKAGE, PACKAGE, "all")
    assert "dh-sequence-fpmjail" in source["Build-Depends"] and "${fpmjail:Depends}" in binary["Depends"]
    assert (tree / "debian/changelog").read_text().startswith(f"{PACKAGE} (2.5+deb12) bookworm; ")
    assert (tree / "debian/rules").stat().st_mode & 0o111


def test_what_is_staged_is_the_plan_but_for_what_debhelper_does_itself(tree: Path) -> None:
    directory = staged(tree)
    for entry in expected(tree).entries:
        path = directory / entry.path
        if "/share/doc/" in entry.path and not isinstance(entry, Directory):
            assert not path.exists()
        elif isinstance(entry, Symlink):
            assert str(path.readlink()) == entry.target
        elif isinstance(entry, File) and entry.path.endswith("site.json"):
            assert b'"version": "2.5+deb12"' in path.read_bytes() or b'"2.5"' in path.read_bytes()
        elif isinstance(entry, File):
            assert path.read_bytes() == entry.content and path.stat().st_mode & 0o777 == entry.mode
        else:
            assert path.is_dir()


def test_scripts_conffiles_and_dependencies_are_the_plans(tree: Path) -> None:
    directory, plan = staged(tree), expected(tree)
    for name, text in plan.scripts:
        assert (directory / "DEBIAN" / name).read_text() == text
    assert (directory / "DEBIAN/conffiles").read_text().split() == list(plan.conffiles)
    assert Path("debian/variables").read_text() == f"fpmjail:Depends={dict(plan.control)['Depends']}\n"


def test_variables_and_conffiles_of_others_stay(tree: Path) -> None:
    Path("debian/variables").write_text("misc:Depends=x\nfpmjail:Depends=old\n")
    control = tree / "debian" / PACKAGE / "DEBIAN"
    control.mkdir(parents=True)
    (control / "conffiles").write_text("/etc/other\n")
    stage_site(Path("debian/fpmjail.yaml"), PACKAGE, control.parent, Path("debian/variables"))
    assert (control / "conffiles").read_text().startswith("/etc/other\n/etc/logrotate.d/")
    assert Path("debian/variables").read_text().splitlines()[0] == "misc:Depends=x"
    assert "old" not in Path("debian/variables").read_text()


def test_a_script_of_somebody_else_is_refused(tree: Path) -> None:
    control = tree / "debian" / PACKAGE / "DEBIAN"
    control.mkdir(parents=True)
    (control / "postinst").write_text("#!/bin/sh\n")
    with pytest.raises(BuildError, match="has a postinst already"):
        stage_site(Path("debian/fpmjail.yaml"), PACKAGE, control.parent, Path("debian/variables"))


def test_the_package_of_another_name_is_refused(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["debian/fpmjail.yaml", "other", str(tree), "debian/variables"]) == 1
    assert "the package of the site shop is site-shop-jail, not other" in capsys.readouterr().err


def test_a_version_that_is_not_the_changelogs_is_refused(tree: Path) -> None:
    with Path("debian/fpmjail.yaml").open("a") as file:
        file.write("version: 2.6\n")
    with pytest.raises(BuildError, match=r"fpmjail\.yaml:6:1: version: found 2\.6, but debian/changelog says 2\.5"):
        staged(tree)


def test_a_changelog_that_is_none_is_refused(tree: Path) -> None:
    Path("debian/changelog").write_text("nothing\n")
    with pytest.raises(BuildError, match="debian/changelog: "):
        staged(tree)


def test_a_tree_is_never_written_over_another(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    assert cli.main(["source", "shop.yaml", "-o", "tree"]) == 1


def test_what_a_site_has_from_its_defaults_stands_in_the_description_of_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("defaults.yaml").write_text(
        'maintainer: Ann Other <ann@example.org>\nphp: {version: "8.4", settings: {a.b: "no", memory_limit: 64M}}\n'
    )
    Path("shop.yaml").write_text("site: shop\ndomains: [shop.example.org]\nreleases: [trixie]\nversion: 1.10\n")
    assert cli.main(["source", "shop.yaml", "-o", "tree"]) == 0
    (site,) = read_folder([Path("shop.yaml")]).sites
    found = read_site(Path("tree/debian/fpmjail.yaml").read_bytes(), "debian/fpmjail.yaml")
    assert replace(found, origins=(), version="") == replace(site, origins=(), version="")
    assert "(1.10+deb13) trixie" in Path("tree/debian/changelog").read_text()


def test_the_code_of_a_site_is_in_the_tree_and_dh_fpmjail_puts_it_into_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("web/lib").mkdir(parents=True)
    Path("web/lib/a.php").write_text("<?php")
    Path("web/b.php").symlink_to("lib/a.php")
    Path("shop.yaml").write_text(SHORT + "code: web\n")
    assert cli.main(["source", "shop.yaml", "--release", "trixie", "-o", "tree"]) == 0
    monkeypatch.chdir(tmp_path / "tree")
    directory = staged(tmp_path / "tree")
    assert (directory / "var/www/shop/htdocs/lib/a.php").read_text() == "<?php"
    assert str((directory / "var/www/shop/htdocs/b.php").readlink()) == "lib/a.php"
    assert "/var/www/shop/htdocs/lib" in (directory / "DEBIAN/preinst").read_text()


def test_lines_keep_their_numbers_without_the_version() -> None:
    assert without_version("a: 1\nversion: 2\nb: 3\n").splitlines()[2] == "b: 3"
