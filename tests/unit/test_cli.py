# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands print, write and return."""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fpmjail_deb import building, cli, commands
from fpmjail_deb.errors import BuildError, OutputError
from fpmjail_deb.starter import starter
from tests.lifecycle.trees import CHECKOUT

GOOD = "site: shop\nmaintainer: Ann Other <ann@example.org>\ndomains: [shop.example.org]\n"
BAD = "site: Shop\nmaintainer: Ann Other <ann@example.org>\n"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SOURCE_DATE_EPOCH", "DEBFULLNAME", "DEBEMAIL"):
        monkeypatch.delenv(name, raising=False)


def write(name: str, text: str) -> str:
    """Write a file, with the directory it is in."""
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return name


Captured = pytest.CaptureFixture[str]


def test_check_names_each_good_site(capsys: Captured) -> None:
    assert cli.main(["check", write("shop.yaml", GOOD)]) == 0
    assert capsys.readouterr() == ("shop.yaml: site-shop-jail 1.0.0 for trixie, bookworm\n", "")


def test_check_tells_all_problems_of_all_files(capsys: Captured) -> None:
    write("sites/a.yaml", BAD)
    write("sites/b.yml", GOOD + "aliases: [shop.org]\n")
    write("sites/c.yaml", GOOD.replace("site: shop", "site: other").replace("shop.example", "shop"))
    write("sites/notes.txt", "no description")
    write("sites/.hidden.yaml", "no description")
    assert cli.main(["check", "sites", "missing.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(": ")[0] for line in err.splitlines()] == [
        "missing.yaml:1:1", "sites/a.yaml:1:1", "sites/a.yaml:1:7", "sites/a.yaml", "sites/c.yaml:3:11", "sites/c.yaml",
        "fpmjail-deb",
    ]  # fmt: skip
    assert 'sites/c.yaml: see fpmjail-site(5), "domains"\n' in err
    assert "missing.yaml:1:1: cannot be read: No such file or directory; correct the path" in err
    assert err.endswith("fpmjail-deb: 4 problems in 3 files, nothing was written\n")


def test_a_file_given_twice_is_one_site(capsys: Captured) -> None:
    write("sites/shop.yaml", GOOD)
    assert cli.main(["check", "sites", "sites/shop.yaml", "./sites/../sites/shop.yaml"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_directory_without_descriptions_is_a_mistake(capsys: Captured) -> None:
    Path("empty").mkdir()
    assert cli.main(["check", "empty"]) == 2
    assert "empty: expected a directory with *.yaml, found none" in capsys.readouterr().err


def test_a_file_name_cannot_forge_a_line_of_output(capsys: Captured) -> None:
    assert cli.main(["check", write("a\nb.yaml", BAD)]) == 2
    assert capsys.readouterr().err.startswith("a\\nb.yaml:1:1: domains: ")


def test_a_warning_refuses_nothing(capsys: Captured) -> None:
    assert cli.main(["check", write("shop.yaml", GOOD + "web: {htaccess: all}\n")]) == 0
    assert capsys.readouterr().err.startswith("warning: shop.yaml:4:7: web.htaccess: ")


def test_plan_shows_what_each_package_holds(capsys: Captured) -> None:
    assert cli.main(["plan", write("shop.yaml", GOOD)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(".deb")] == [
        "site-shop-jail_1.0.0+deb13_all.deb",
        "site-shop-jail_1.0.0+deb12_all.deb",
    ]
    assert "  Package: site-shop-jail" in lines
    assert "  0644  /etc/logrotate.d/site-shop-jail (conffile)" in lines
    link = "/etc/apache2/sites-available/site-shop-jail.conf -> /usr/share/fpmjail/sites/shop/apache.conf"
    assert f"  link  {link}" in lines
    assert "  scripts: postinst, postrm, preinst, prerm" in lines


def test_plan_as_json_is_a_list_of_packages(capsys: Captured) -> None:
    assert cli.main(["plan", "--json", "--release", "trixie", write("shop.yaml", GOOD)]) == 0
    [package] = json.loads(capsys.readouterr().out)
    assert package["control"]["Version"] == "1.0.0+deb13"
    assert package["epoch"] == commands.DEFAULT_EPOCH


@pytest.mark.parametrize("epoch", ["", "1767225600"])
def test_the_time_of_a_package_does_not_depend_on_the_day(
    epoch: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert cli.main(["plan", "--json", write("shop.yaml", GOOD)]) == 0
    assert {package["epoch"] for package in json.loads(capsys.readouterr().out)} == {1767225600}


@pytest.mark.parametrize("epoch", ["yesterday", "0", "-1", "1.5", "999999999999", "٣"])
def test_a_time_that_is_none_is_refused(epoch: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert cli.main(["build", write("shop.yaml", GOOD), "-o", "debs"]) == 2
    assert "SOURCE_DATE_EPOCH: expected seconds since 1970" in capsys.readouterr().err
    assert not Path("debs").exists()


def test_build_prints_one_line_for_each_package(capsys: Captured) -> None:
    assert cli.main(["build", write("shop.yaml", GOOD), "-o", "new/debs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == sorted(
        (p.name for p in Path("new/debs").iterdir()), reverse=True
    )
    assert all(len(line.partition("  ")[2]) == commands.DIGITS_OF_SHA256 for line in lines)


def test_build_writes_nothing_if_every_description_is_bad(capsys: Captured) -> None:
    assert cli.main(["build", write("bad.yaml", BAD), "-o", "debs"]) == 2
    assert capsys.readouterr().err.endswith("fpmjail-deb: 2 problems in 1 file, nothing was written\n")
    assert not Path("debs").exists()


def test_a_bad_description_keeps_no_other_site_from_being_built(capsys: Captured) -> None:
    write("sites/good.yaml", GOOD + "releases: [trixie]\n")
    write("sites/bad.yaml", BAD)
    assert cli.main(["build", "sites", "-o", "debs"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("site-shop-jail_1.0.0+deb13_all.deb  ")
    assert err.splitlines()[0] == "fpmjail-deb: 1 package made, 0 unchanged"
    assert err.endswith("fpmjail-deb: 2 problems in 1 file, 1 site left out\n")


def test_two_sites_that_want_the_same_are_both_left_out(capsys: Captured) -> None:
    write("sites/a.yaml", GOOD)
    write("sites/b.yaml", GOOD.replace("site: shop", "site: other"))
    write("sites/c.yaml", GOOD.replace("shop", "third") + "releases: [trixie]\n")
    assert cli.main(["build", "sites", "-o", "debs"]) == 2
    assert [path.name for path in Path("debs").iterdir()] == ["site-third-jail_1.0.0+deb13_all.deb"]
    assert capsys.readouterr().err.endswith("fpmjail-deb: 1 problem in 1 file, 2 sites left out\n")


def test_build_for_a_release_leaves_out_the_sites_of_others(capsys: Captured) -> None:
    write("sites/a.yaml", GOOD)
    write("sites/b.yaml", "site: b\nmaintainer: A <a@b.org>\ndomains: [b.org]\nreleases: [trixie]\n")
    assert cli.main(["plan", "sites", "--release", "bookworm"]) == 0
    assert "site-b-jail" not in capsys.readouterr().out
    assert cli.main(["plan", "sites/b.yaml", "--release", "bookworm"]) == 2
    assert "no site is for bookworm; add it: releases: [bookworm]" in capsys.readouterr().err


def test_a_changed_site_under_an_old_version_is_refused_and_no_other(capsys: Captured) -> None:
    write("sites/a.yaml", GOOD + "releases: [trixie]\n")
    write("sites/b.yaml", GOOD.replace("shop", "other") + "releases: [trixie]\n")
    assert cli.main(["build", "sites", "-o", "debs"]) == 0
    write("sites/a.yaml", GOOD + "releases: [trixie]\nuid: 4001\n")
    write("sites/b.yaml", GOOD.replace("shop", "other") + "releases: [trixie]\nuid: 4002\nversion: 1.1\n")
    capsys.readouterr()
    assert cli.main(["build", "sites", "-o", "debs"]) == 1
    out, err = capsys.readouterr()
    assert [line.partition("  ")[0] for line in out.splitlines()] == ["site-other-jail_1.1+deb13_all.deb"]
    assert err == (
        "fpmjail-deb: sites/a.yaml:1:1: version: debs/site-shop-jail_1.0.0+deb13_all.deb has another content; "
        "to see it: fpmjail-deb diff debs/site-shop-jail_1.0.0+deb13_all.deb sites/a.yaml; write `version: 1.0.1`, or "
        '`version: auto`; see fpmjail-site(5), "version"\n'
        "fpmjail-deb: 1 package made, 0 unchanged, 1 site failed\n"
    )


def test_what_is_published_already_is_not_built(capsys: Captured) -> None:
    write("shop.yaml", GOOD + "version: auto\n")
    assert cli.main(["build", "shop.yaml", "-o", "pool/s/site-shop-jail"]) == 0
    assert cli.main(["build", "shop.yaml", "-o", "debs", "--against", "pool"]) == 0
    assert list(Path("debs").iterdir()) == []
    assert capsys.readouterr().err.endswith("fpmjail-deb: 0 packages made, 2 unchanged\n")


def test_a_place_of_published_packages_that_is_none_is_a_mistake(capsys: Captured) -> None:
    assert cli.main(["build", write("shop.yaml", GOOD), "--against", "missing", "-o", "debs"]) == 2
    assert "missing: expected a directory with packages" in capsys.readouterr().err


def test_a_failed_build_ends_with_1(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(plans: Sequence[object], _: Path) -> list[BuildError]:
        return [BuildError("the template is bad", "mend it") for _ in plans]

    monkeypatch.setattr(building, "build_packages", fail)
    assert cli.main(["build", write("shop.yaml", GOOD), "-o", "debs"]) == 1
    assert capsys.readouterr().err == (
        "fpmjail-deb: the template is bad; mend it\nfpmjail-deb: 0 packages made, 0 unchanged, 1 site failed\n"
    )


def test_a_full_disk_ends_the_build_at_once(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(plans: Sequence[object], _: Path) -> list[BuildError]:
        return [OutputError("debs/x cannot be written: No space left on device") for _ in plans]

    monkeypatch.setattr(building, "build_packages", fail)
    for name in ("a", "b", "c"):
        write(f"sites/{name}.yaml", GOOD.replace("shop", name))
    assert cli.main(["build", "sites", "-o", "debs", "-j1"]) == 1
    assert capsys.readouterr().err == (
        "fpmjail-deb: debs/x cannot be written: No space left on device\n"
        "fpmjail-deb: 0 packages made, 0 unchanged, 1 site failed, 2 not tried\n"
    )


def test_an_interrupted_build_says_so(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> Path:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal came too late")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(building, "build_packages", stop)
    assert cli.main(["build", write("shop.yaml", GOOD), "-o", "debs", "-j1"]) == 130
    assert capsys.readouterr().err == "fpmjail-deb: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_terminal_has_a_bar_and_a_pipe_has_not(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    write("shop.yaml", GOOD + "releases: [trixie]\n")
    assert cli.main(["build", "shop.yaml", "-o", "one"]) == 0
    assert "\r" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert cli.main(["build", "shop.yaml", "-o", "two"]) == 0
    assert "] 1/1 site-shop-jail" in capsys.readouterr().err


def test_diff_tells_what_has_changed_since_the_last_package(capsys: Captured) -> None:
    write("sites/shop.yaml", GOOD + "releases: [trixie]\nversion: auto\n")
    write("sites/other.yaml", GOOD.replace("shop", "other") + "releases: [trixie]\nversion: auto\n")
    assert cli.main(["build", "sites", "-o", "pool/debs"]) == 0
    assert cli.main(["diff", "sites", "--against", "pool"]) == 0
    assert capsys.readouterr().out.endswith("\n2 packages without a change\n")
    write("sites/shop.yaml", GOOD + "releases: [trixie]\nversion: auto\nphp: {pool: {max_children: 9}}\n")
    assert cli.main(["diff", "sites", "--against", "pool"]) == 1
    out = capsys.readouterr().out
    assert "      pm.max_children: 8 -> 9\n" in out
    assert out.endswith("\n\n1 package without a change\n")


def test_diff_compares_packages_and_descriptions(capsys: Captured) -> None:
    write("old.yaml", GOOD)
    write("new.yaml", GOOD + "version: 1.1\nuid: 4001\n")
    assert cli.main(["build", "old.yaml", "-o", "debs"]) == cli.main(["build", "new.yaml", "-o", "debs"]) == 0
    one, other = "debs/site-shop-jail_1.0.0+deb13_all.deb", "debs/site-shop-jail_1.1+deb13_all.deb"
    for old, new in ((one, other), (one, "new.yaml"), ("old.yaml", other), ("old.yaml", "new.yaml")):
        capsys.readouterr()
        assert cli.main(["diff", "--json", "--release", "trixie", old, new]) == 1
        [found] = json.loads(capsys.readouterr().out)
        assert (found["old"]["version"], found["new"]["version"]) == ("1.0.0+deb13", "1.1+deb13")
        assert {"part": "site", "where": "", "subject": "user.uid", "old": None, "new": "4001"} in found["changes"]
    assert cli.main(["diff", one, one]) == 0


def test_diff_shows_a_new_release_of_debian(capsys: Captured) -> None:
    assert cli.main(["build", write("shop.yaml", GOOD), "-o", "debs"]) == 0
    assert cli.main(["diff", *(f"debs/site-shop-jail_1.0.0+deb{number}_all.deb" for number in (12, 13))]) == 1
    assert "      php.version: 8.2 -> 8.4\n".strip() in capsys.readouterr().out


def test_diff_of_a_new_site_is_a_difference(capsys: Captured) -> None:
    Path("pool").mkdir()
    assert cli.main(["diff", write("shop.yaml", GOOD + "releases: [trixie]\n"), "--against", "pool"]) == 1
    assert capsys.readouterr().out == "site-shop-jail for trixie: 1.0.0+deb13 is new, there is none in pool\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shop.yaml"], "expected two packages or descriptions, found 1; or a directory of published packages with"),
        (["a.deb", "shop.yaml"], "a.deb is no file; name a .deb that fpmjail-deb built"),
        (["bad.deb", "shop.yaml"], "bad.deb is not a package that fpmjail-deb built: "),
        (["shop.yaml", "other.yaml"], "site-shop-jail and site-other-jail are packages of different sites; choose one"),
        (["shop.yaml", "old.yaml"], "there is no release that both are for: shop.yaml for trixie, old.yaml for"),
        (["shop.yaml", "sites"], "sites: expected a package or one description, found 2; see --against"),
        (["shop.yaml", "--against", "missing"], "missing: expected a directory with packages"),
    ],
)
def test_what_cannot_be_compared_ends_with_2(arguments: list[str], words: str, capsys: Captured) -> None:
    write("bad.deb", "!<arch>\nno package")
    write("shop.yaml", GOOD + "releases: [trixie]\n")
    write("old.yaml", GOOD + "releases: [bookworm]\n")
    other = write("other.yaml", GOOD.replace("shop", "other") + "releases: [trixie]\n")
    write("sites/a.yaml", GOOD)
    write("sites/b.yaml", Path(other).read_text())
    assert cli.main(["diff", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"fpmjail-deb: {words}")


def test_defaults_alone_can_be_checked_and_not_built(capsys: Captured) -> None:
    write("sites/defaults.yaml", "version: auto\n")
    assert cli.main(["check", "sites/defaults.yaml"]) == 0
    assert capsys.readouterr().out == "sites/defaults.yaml: no mistake\n"
    assert cli.main(["build", "sites/defaults.yaml", "-o", "debs"]) == 2
    assert "expected a description of a site, found defaults only" in capsys.readouterr().err


def test_a_warning_about_the_defaults_is_told_once(capsys: Captured) -> None:
    write("sites/defaults.yaml", "web: {htaccess: all}\n")
    write("sites/a.yaml", GOOD)
    write("sites/b.yaml", GOOD.replace("shop", "other"))
    assert cli.main(["check", "sites"]) == 0
    assert capsys.readouterr().err.count("warning: sites/defaults.yaml:1:7: web.htaccess: ") == 1


def test_an_output_that_is_no_directory_ends_with_1(capsys: Captured) -> None:
    assert cli.main(["build", write("shop.yaml", GOOD), "-o", "shop.yaml"]) == 1
    assert "shop.yaml" in capsys.readouterr().err


def test_new_writes_a_good_description(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBFULLNAME", "Ann Other")
    monkeypatch.setenv("DEBEMAIL", "ann@example.org")
    assert cli.main(["new", "shop"]) == 0
    assert capsys.readouterr().out == "shop.yaml is written: edit it, then run fpmjail-deb check shop.yaml\n"
    assert Path("shop.yaml").read_text() == starter("shop", "Ann Other <ann@example.org>", {})
    assert cli.main(["check", "shop.yaml"]) == 0


@pytest.mark.parametrize("address", ["Ann <ann@example.org>", "nonsense", ""])
def test_new_takes_the_maintainer_of_debian_tools_if_there_is_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBEMAIL", address)
    assert cli.main(["new", "shop"]) == 0
    found = address if "<" in address else "Your Name <you@example.org>"
    assert f"maintainer: {found}\n" in Path("shop.yaml").read_text()


def test_new_can_begin_with_wordpress() -> None:
    assert cli.main(["new", "blog", "--wordpress", "-o", "b.yaml"]) == 0
    assert "\nwritable: [wp-content/uploads]\n" in Path("b.yaml").read_text()


def test_import_writes_both_files_or_none(capsys: Captured) -> None:
    write("shop.conf", "<VirtualHost *:80>\nServerName shop.example.org\nExpiresActive On\n</VirtualHost>\n")
    write("d.conf", "mine")
    command = ["import", "shop.conf", "--drop-in"]
    assert cli.main([*command, "d.conf"]) == 2
    assert "d.conf exists already; remove it, or write another with --drop-in" in capsys.readouterr().err
    assert not Path("shop.yaml").exists() and Path("d.conf").read_text() == "mine"
    assert cli.main([*command, "e.conf"]) == 0
    assert Path("shop.yaml").exists() and "ExpiresActive On" in Path("e.conf").read_text()


def test_import_says_so_if_nothing_is_left_for_a_drop_in(capsys: Captured) -> None:
    write("shop.conf", "<VirtualHost *:80>\nServerName shop.example.org\n</VirtualHost>\n")
    assert cli.main(["import", "shop.conf", "--drop-in", "d.conf"]) == 0
    assert "nothing is left for a drop-in: d.conf is not written" in capsys.readouterr().out
    assert not Path("d.conf").exists()


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "fpmjail_deb", "schema"]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_new_overwrites_nothing(capsys: Captured) -> None:
    write("shop.yaml", "mine")
    assert cli.main(["new", "shop"]) == 2
    assert capsys.readouterr().err == "fpmjail-deb: shop.yaml exists already; remove it, or write another with -o\n"
    assert Path("shop.yaml").read_text() == "mine"


def test_new_refuses_a_name_that_no_site_can_have(capsys: Captured) -> None:
    assert cli.main(["new", "../My Shop"]) == 2
    assert 'found "../My Shop"; did you mean "my-shop"?' in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_new_in_a_directory_that_is_not_there_ends_with_1(capsys: Captured) -> None:
    assert cli.main(["new", "shop", "-o", "missing/shop.yaml"]) == 1
    assert "missing/shop.yaml" in capsys.readouterr().err


def test_schema_is_for_editors_or_for_people(capsys: Captured) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["site", "domains"]
    assert cli.main(["schema", "--defaults"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == []
    assert cli.main(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("**site**\n:   ")


@pytest.mark.parametrize("command", [(), *((command.name,) for command in cli.COMMANDS)])
def test_help_teaches_by_example(command: tuple[str, ...], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, "--help"])
    assert caught.value.code == 0
    assert "fpmjail-deb " + (command or ("new shop",))[0] in capsys.readouterr().out.partition("example")[2]


@pytest.mark.parametrize(
    "arguments", [[], ["biuld"], ["check"], ["plan", "f", "--release", "sid"], ["build", "f", "-j", "0"]]
)
def test_a_mistake_on_the_command_line_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_the_module_is_the_command(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["fpmjail-deb", "check", write("shop.yaml", GOOD)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("fpmjail_deb", run_name="__main__")
    assert caught.value.code == 0
    assert "site-shop-jail" in capsys.readouterr().out
