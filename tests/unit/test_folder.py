# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptions of a folder above their defaults: what holds, and where it says it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from fpmjail_deb.errors import UsageError
from fpmjail_deb.folder import Folder, read_folder
from fpmjail_deb.origins import origins
from fpmjail_deb.site import Site

MAINTAINER = "maintainer: Ann Other <ann@example.org>\n"
SHARED = f"{MAINTAINER}php: {{settings: {{memory_limit: 256M}}}}\n"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: Mapping[str, str]) -> None:
    """Write files, with the directories they are in."""
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def described(name: str, more: str = "") -> str:
    return f"site: {name}\ndomains: [{name}.org]\n{more}"


def read(*places: str) -> Folder:
    return read_folder(map(Path, places))


def only(*places: str) -> Site:
    """The one site of a folder without a mistake."""
    folder = read(*places)
    assert folder.problems == ()
    [site] = folder.sites
    return site


def said(*places: str) -> list[str]:
    return [str(problem) for problem in read(*places).problems]


def test_defaults_hold_for_what_a_description_does_not_say() -> None:
    write({"sites/defaults.yaml": SHARED, "sites/a.yaml": described("a")})
    site = only("sites")
    assert site.maintainer == "Ann Other <ann@example.org>"
    assert site.php.settings == (("memory_limit", "256M"),)


def test_the_nearest_file_has_the_last_word() -> None:
    write(
        {
            "defaults.yaml": f"{MAINTAINER}php: {{pool: {{max_children: 2, max_requests: 20}}}}\n",
            "shops/defaults.yaml": "php: {pool: {max_children: 3, request_timeout: 30s, slow_log: 3s}}\n",
            "shops/a.yaml": described("a", "php: {pool: {request_timeout: 40s}}\n"),
        }
    )
    pool = only(".").php.pool
    assert (pool.max_requests, pool.max_children, pool.slow_log, pool.request_timeout) == (20, 3, 3, 40)


def test_settings_headers_and_variables_are_joined_and_lists_replaced() -> None:
    write(
        {
            "defaults.yaml": f"{SHARED}web: {{headers: {{X-A: one, X-B: two}}}}\nwritable: [a]\n",
            "a.yaml": described(
                "a", "php: {settings: {post_max_size: 8M}}\nweb: {headers: {X-A: other}}\nwritable: [b]\n"
            ),
        }
    )
    site = only("a.yaml")
    assert dict(site.php.settings) == {"memory_limit": "256M", "post_max_size": "8M"}
    assert dict(site.web.headers) == {"X-A": "other", "X-B": "two"}
    assert site.writable == ("b",)


@pytest.mark.parametrize("word", ["null", "~"])
def test_null_takes_away_an_entry_of_the_defaults(word: str) -> None:
    write({"defaults.yaml": SHARED, "a.yaml": described("a", f"php: {{settings: {{memory_limit: {word}}}}}\n")})
    assert only("a.yaml").php.settings == ()


def test_null_without_an_entry_beneath_it_stays_a_mistake() -> None:
    write({"defaults.yaml": MAINTAINER, "a.yaml": described("a", "php: {settings: {memory_limit: null}}\n")})
    assert said("a.yaml") == [
        'a.yaml:3:32: php.settings.memory_limit: expected one line of text, found nothing; write "" for an empty text'
    ]


@pytest.mark.parametrize(
    ("beneath", "above", "redirect"),
    [
        ("{redirect: false}", "{certificate: /c.pem, key: /k.pem}", False),
        ("{redirect: false}", "auto", True),
        ("none", "{redirect: false}", False),
    ],
)
def test_a_value_and_a_group_at_one_key_stand_in_place_of_each_other(beneath: str, above: str, redirect: bool) -> None:
    write(
        {
            "defaults.yaml": f"{MAINTAINER}web: {{tls: {beneath}}}\n",
            "a.yaml": described("a", f"web: {{tls: {above}}}\n"),
        }
    )
    tls = only("a.yaml").web.tls
    assert tls and tls.redirect is redirect


def test_a_group_of_comments_takes_nothing_away() -> None:
    write({"defaults.yaml": SHARED, "a.yaml": described("a", "php:\n  # settings:\n")})
    assert only("a.yaml").php.settings == (("memory_limit", "256M"),)


def test_every_value_knows_its_file_and_line() -> None:
    write(
        {
            "sites/defaults.yaml": SHARED,
            "sites/shops/defaults.yaml": "version: 2.0\nphp:\n  env: {A: b}\n",
            "sites/shops/a.yaml": described("a"),
        }
    )
    where = origins(only("sites"))
    assert where.source == "a.yaml"
    assert where.place("site") == "a.yaml:1"
    assert where.place("version") == "defaults.yaml:1"
    assert where.place("maintainer") == "../defaults.yaml:1"
    assert where.table()["php.env.A"] == "defaults.yaml:3:9"


@pytest.mark.parametrize("place", ["sites", "sites/shops/a.yaml", "./sites/../sites/shops/a.yaml"])
def test_a_package_is_the_same_however_its_description_is_named(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"defaults.yaml": MAINTAINER, "sites/defaults.yaml": "version: 2.0\n", "sites/shops/a.yaml": described("a")})
    expected = origins(only(str(Path("sites").resolve())))
    assert origins(only(place)) == expected
    monkeypatch.chdir("sites/shops")
    assert origins(only("a.yaml")) == origins(only("../shops/a.yaml")) == expected


def test_defaults_above_the_top_of_the_git_repository_do_not_hold() -> None:
    write({"defaults.yaml": "version: 2.0\n", "git/.git/HEAD": "", "git/sites/a.yaml": described("a", MAINTAINER)})
    assert only("git/sites/a.yaml").version == "1.0.0"


def test_defaults_in_a_directory_of_everybody_do_not_hold() -> None:
    write({"open/defaults.yaml": "version: 2.0\n", "open/mine/a.yaml": described("a", MAINTAINER)})
    Path("open").chmod(0o1777)
    assert only("open/mine/a.yaml").version == "1.0.0"


def test_what_is_below_a_directory_is_found_but_not_what_is_hidden() -> None:
    write(
        {
            "sites/b.yml": described("b", MAINTAINER),
            "sites/deep/er/a.yaml": described("a", MAINTAINER),
            "sites/.git/c.yaml": "no",
            "sites/.d.yaml": "no",
            "sites/notes.txt": "no",
        }
    )
    assert [site.name for site in read("sites").sites] == ["b", "a"]


def test_links_that_lead_in_a_circle_end() -> None:
    write({"sites/a.yaml": described("a", MAINTAINER)})
    Path("sites/again").symlink_to(".")
    Path("sites/up").symlink_to("../sites")
    Path("sites/loop.yaml").symlink_to("loop.yaml")
    assert [site.name for site in read("sites").sites] == ["a"]
    assert said("sites") == ["sites/loop.yaml:1:1: cannot be read: Too many levels of symbolic links; correct the path"]


def test_a_directory_behind_a_link_has_the_defaults_of_where_the_link_is() -> None:
    write({"sites/defaults.yaml": SHARED, "elsewhere/a.yaml": described("a")})
    Path("sites/customer").symlink_to("../elsewhere")
    assert only("sites").php.settings == (("memory_limit", "256M"),)


def test_a_pipe_in_a_directory_is_not_waited_for() -> None:
    write({"sites/a.yaml": described("a", MAINTAINER)})
    os.mkfifo("sites/b.yaml")
    assert said("sites") == ["sites/b.yaml:1:1: cannot be read: not a file; correct the path"]


def test_a_mistake_in_the_defaults_is_told_once_for_all_sites() -> None:
    write(
        {
            "sites/defaults.yaml": f"{MAINTAINER}php:\n  pool: {{max_children: many}}\ncolour: red\n",
            **{f"sites/{name}.yaml": described(name) for name in "abc"},
        }
    )
    assert [problem.partition(";")[0] for problem in said("sites")] == [
        'sites/defaults.yaml:3:24: php.pool.max_children: expected a whole number from 1 to 1000, found "many"',
        "sites/defaults.yaml:4:1: colour: unknown key",
    ]


def test_a_mistake_that_every_site_overrides_is_told_and_keeps_no_site_away() -> None:
    write(
        {
            "defaults.yaml": f"{MAINTAINER}php: {{pool: {{max_children: many}}}}\n",
            "a.yaml": described("a", "php: {pool: {max_children: 3}}\n"),
        }
    )
    folder = read("a.yaml")
    assert [site.name for site in folder.sites] == ["a"]
    assert len(folder.problems) == 1


def test_a_conflict_between_a_site_and_its_defaults_is_told_at_the_site() -> None:
    write(
        {
            "defaults.yaml": f"{MAINTAINER}php: {{pool: {{slow_log: 60s}}}}\n",
            "a.yaml": described("a", "php: {pool: {request_timeout: 30s}}\n"),
        }
    )
    [problem] = said("a.yaml")
    assert problem.startswith("a.yaml:3:14: php.pool.slow_log: expected at most php.pool.request_timeout, 30s")


def test_a_line_of_the_defaults_that_some_sites_cannot_have_names_them() -> None:
    write(
        {
            "sites/defaults.yaml": f"{MAINTAINER}php: {{extensions: [excimer]}}\n",
            "sites/a.yaml": described("a", "releases: [trixie]\n"),
            "sites/b.yaml": described("b"),
            "sites/c.yaml": described("c"),
        }
    )
    folder = read("sites")
    assert [site.name for site in folder.sites] == ["a"]
    assert [str(problem).partition(";")[0] for problem in folder.problems] == [
        "sites/defaults.yaml:2:20: php.extensions[0]: bookworm does not ship excimer, for sites/b.yaml and 1 more"
    ]


@pytest.mark.parametrize("key", ["site: a", "domains: [a.org]", "aliases: [a.org]", "user: _a", "uid: 200"])
def test_what_two_sites_never_share_is_no_default(key: str) -> None:
    write({"sites/defaults.yaml": f"{MAINTAINER}{key}\n", "sites/b.yaml": described("b")})
    word = key.partition(":")[0]
    assert said("sites") == [
        f"sites/defaults.yaml:2:1: {word}: cannot be the same for several sites; move it to the site's description"
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: [", "sites/defaults.yaml:1:5: expected YAML"),
        (b"maintainer: \xff\n", "sites/defaults.yaml:1:13: expected UTF-8, found the byte 0xff"),
        (b"", "sites/defaults.yaml:1:1: the file is empty"),
    ],
)
def test_defaults_that_cannot_be_read_keep_their_sites_away_and_no_others(content: bytes, problem: str) -> None:
    write(
        {
            "sites/a.yaml": described("a"),
            "sites/b.yaml": described("b", "uid: many\n"),
            "other/c.yaml": described("c", MAINTAINER),
        }
    )
    Path("sites/defaults.yaml").write_bytes(content)
    folder = read("sites", "other")
    assert [site.name for site in folder.sites] == ["c"]
    [of_site, of_defaults] = map(str, folder.problems)
    assert of_site.startswith("sites/b.yaml:3:6: uid: ")
    assert of_defaults.startswith(problem)


def test_a_header_in_other_letters_names_both_files() -> None:
    write(
        {
            "defaults.yaml": f"{MAINTAINER}web: {{headers: {{X-A: one}}}}\n",
            "a.yaml": described("a", "web: {headers: {x-a: two}}\n"),
        }
    )
    [problem] = said("a.yaml")
    assert problem.startswith("a.yaml:3:17: web.headers.x-a: found again in other letters, first in defaults.yaml:2")


def test_defaults_given_by_their_name_are_no_site() -> None:
    write({"sites/defaults.yaml": SHARED, "sites/a.yaml": described("a")})
    assert [site.name for site in read("sites/a.yaml", "sites/defaults.yaml").sites] == ["a"]


@pytest.mark.parametrize("files", [{"empty/notes.txt": ""}, {"empty/defaults.yaml": MAINTAINER}, {"empty/.a.yaml": ""}])
def test_a_directory_without_descriptions_is_a_mistake(files: Mapping[str, str]) -> None:
    write(files)
    with pytest.raises(UsageError, match=r"empty: expected a directory with \*.yaml, found none"):
        read("empty")


def test_two_files_of_defaults_in_one_directory_are_one_too_many() -> None:
    write({"sites/defaults.yaml": SHARED, "sites/defaults.yml": "version: 2.0\n", "sites/a.yaml": described("a")})
    assert said("sites") == ["sites/defaults.yml:1:1: there is a defaults.yaml beside it; keep one of them"]


def test_a_name_that_is_no_utf_8_can_be_told() -> None:
    Path(os.fsdecode(b"s\xff")).mkdir()
    Path(os.fsdecode(b"s\xff/a.yaml")).write_text(described("a"))
    [problem] = said(os.fsdecode(b"s\xff"))
    assert problem.startswith("s\\udcff/a.yaml:1:1: maintainer: expected ")
