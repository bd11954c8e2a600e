# SPDX-License-Identifier: GPL-2.0-or-later
"""What a jail holds beside PHP: files that a setting names, the server's own /usr, and what probes are told of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import world
from test_check import IMAGE, JAIL, MASTER, SITE
from world import ARCH, LIB

from fpmjail import (
    check_holdings,
    cost,
    holdings,
    image,
    image_build,
    jail,
    judges,
    locales,
    masters,
    mounting,
    probe,
    prove,
    systemd,
)
from fpmjail.capability import load
from fpmjail.check_holdings import Visible
from fpmjail.finding import Level
from fpmjail.host import Host
from fpmjail.jail import Directory, Link
from fpmjail.layout import Layout
from fpmjail.manifest import BOUND, FILE, Manifest, difference
from fpmjail.masters import Master
from fpmjail.systemd import Answer
from fpmjail.wanted import Item, Wanted, wanted

BOUND_SITE = replace(SITE, profile=replace(SITE.profile, libraries="bind"))
SPELLING = replace(SITE, php=replace(SITE.php, extensions=("enchant", "pspell")))
CONFIGURATION = "BASE dc=example\n# TLS_CACERT /etc/no.pem\ntls_cacert /etc/ssl/own.pem\n"
NAMED: dict[str, object] = {"named": {"/etc/ldap/ldap.conf": r"(?im)^[ \t]*TLS_CACERT[ \t]+(\S+)"}}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


def items(found: Wanted) -> dict[str, Item]:
    return {item.path: item for item in found.items}


def bound(layout: Layout, *capabilities: str) -> Wanted:
    return world.want(layout, world.profile(*world.EVERYTHING, "bind", *capabilities, libraries="bind"))


def mine(layout: Layout, *rules: dict[str, object]) -> Wanted:
    return wanted(world.profile("mine"), world.define(layout, "mine", *rules), layout)


def test_a_file_that_a_setting_names_comes_along(layout: Layout) -> None:
    world.put(layout.root, "etc/ldap/ldap.conf", CONFIGURATION)
    world.put(layout.root, "etc/ssl/own.pem")
    found = mine(layout, NAMED)
    assert items(found)["etc/ssl/own.pem"].kind == FILE and "etc/no.pem" not in items(found)
    assert (found.missing, found.warnings) == ((), ())
    assert "/etc/ldap/ldap.conf" in found.inputs


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/ssl/own.pem", "is not there"),
        ("/srv/own.pem", "is not below /usr or /etc"),
        ("own.pem", "is not below /usr or /etc"),
        ("/etc/ssl/secret.pem", "is not readable for everybody (mode 0600)"),
        ("/etc/../srv/own.pem", "is not below /usr or /etc"),
    ],
)
def test_a_setting_that_leads_nowhere_is_a_warning(layout: Layout, path: str, words: str) -> None:
    world.put(layout.root, "etc/ssl/secret.pem", mode=0o600)
    world.put(layout.root, "srv/own.pem")
    world.put(layout.root, "etc/ldap/ldap.conf", f"TLS_CACERT {path}\n")
    found = mine(layout, NAMED)
    assert found.warnings == (f"/etc/ldap/ldap.conf names {path}, which {words}",)
    assert found.missing == () and not [item for item in found.items if item.path.endswith(".pem")]


@pytest.mark.parametrize(
    ("expression", "words"), [("(", "is no regular expression"), ("x", "exactly one group"), ("(a)(b)", "exactly one")]
)
def test_an_expression_that_cannot_be_used_is_named(layout: Layout, expression: str, words: str) -> None:
    definitions = world.define(layout, "mine", {"named": {"/etc/x": expression}})
    assert words in str(definitions.problems[0]) and "mine" not in definitions.capabilities


def test_with_the_servers_usr_its_files_are_watched_and_not_copied(layout: Layout) -> None:
    found = items(bound(layout))
    assert found[f"{LIB}/libc.so.6"].kind == BOUND and found["usr/sbin/php-fpm8.4"].kind == BOUND
    assert found["etc/php/8.4/fpm/php.ini"].kind == FILE
    usr = [item for item in found.values() if item.path == "usr" or item.path.startswith("usr/")]
    assert {item.kind for item in usr} == {BOUND}
    assert {item.path.split("/")[0] for item in found.values()} == {"usr", "etc"}


def test_what_the_servers_usr_leads_to_outside_is_copied_to_that_place(layout: Layout) -> None:
    world.put(layout.root, "var/lib/aspell/en.rws")
    world.link(layout.root, "usr/lib/aspell/en.rws", "/var/lib/aspell/en.rws")
    world.put(layout.root, "opt/other/de.rws")
    world.link(layout.root, "usr/lib/aspell/de.rws", "/opt/other/de.rws")
    assert items(world.want(layout, world.profile("spelling")))["usr/lib/aspell/en.rws"].kind == FILE
    found = items(bound(layout, "spelling"))
    assert (found["var/lib/aspell/en.rws"].kind, found["var/lib"].kind) == (FILE, "directory")
    assert not [path for path in found if path.endswith("de.rws")]


def test_the_links_of_alternatives_and_the_table_of_libraries_are_there(layout: Layout) -> None:
    world.link(layout.root, "etc/alternatives/php", "/usr/bin/php8.4")
    world.link(layout.root, "etc/alternatives/gone.1.gz", "/usr/share/man/gone.1.gz")
    found = bound(layout)
    assert items(found)["etc/alternatives/php"].target == "/usr/bin/php8.4"
    assert "etc/alternatives/gone.1.gz" not in items(found)
    assert "ld.so.cache" in {live.name for live in found.live}


def built(layout: Layout) -> Manifest:
    profile = world.profile(*world.EVERYTHING, "bind", libraries="bind")
    found = world.want(layout, profile)
    manifest = image_build.build(layout, profile, found, dict.fromkeys(found.sources, ("libc6:amd64", "2.41-1")))
    image.switch(layout, profile.id, manifest.digest)
    return manifest


def test_another_library_of_the_server_is_another_generation(layout: Layout) -> None:
    first = built(layout)
    library = layout.root / LIB / "libc.so.6"
    library.write_bytes(library.read_bytes() + b"newer")
    second = built(layout)
    assert first.digest != second.digest
    assert difference(first, second).changed == (f"{LIB}/libc.so.6",)
    place = layout.image(second.profile) / second.digest
    assert not (place / "usr").exists() and (place / "etc/php/8.4/fpm/php.ini").is_file()
    assert image.verify(layout, second) == ()
    assert second.size < sum(entry.size for entry in second.entries)


def test_what_is_not_copied_costs_nothing(layout: Layout) -> None:
    manifest = built(layout)
    costs = cost.by_capability(manifest.entries, ["php"])
    assert sum(one.bytes for one in costs) == manifest.size < sum(entry.size for entry in manifest.entries)


def test_a_declared_locale_must_be_the_servers_own_where_nothing_is_copied(layout: Layout) -> None:
    profile = world.profile("locales", libraries="bind", locales=("fr_FR.UTF-8",))
    lacking = [str(one) for one in world.want(layout, profile).missing]
    assert lacking == ["locales: locale fr_FR.UTF-8 is not generated, see locale-gen(8) (package locales)"]
    world.put(layout.root, "usr/lib/locale/locale-archive", "head\0it_IT.utf8\0fr_FR.utf8\0tail")
    assert world.want(layout, profile).missing == ()


@pytest.mark.parametrize("content", ["", "fr_FR.utf8", "\0fr_FR.utf8@euro\0"])
def test_an_archive_without_the_locale_does_not_have_it(layout: Layout, content: str) -> None:
    world.put(layout.root, "usr/lib/locale/locale-archive", content)
    assert not locales.generated(Host(layout.root), locales.parse("fr_FR.UTF-8"))


def test_a_locale_of_its_own_directory_is_generated(layout: Layout) -> None:
    world.put(layout.root, "usr/lib/locale/fr_FR.utf8/LC_CTYPE")
    assert locales.generated(Host(layout.root), locales.parse("fr_FR.UTF-8"))


def test_the_jail_has_a_place_for_the_servers_usr_and_links_for_the_rest() -> None:
    made = jail.skeleton(BOUND_SITE, frozenset({"ssl"}), frozenset(), 1, 1, frozenset({"aspell", "php"}))
    pieces = {piece.path: piece for piece in made}
    assert pieces["usr"] == Directory("usr")
    assert pieces["var/lib/aspell"] == Link("var/lib/aspell", "../../.image/current/var/lib/aspell")
    assert pieces["var/lib/php"] == Directory("var/lib/php")


def test_a_candidate_with_the_servers_usr_is_proven_with_it() -> None:
    pieces = {one.path: one for one in prove.skeleton("d" * 16, frozenset(), frozenset(), 1, 1, "bind")}
    assert pieces["usr"] == Directory("usr")
    scratch = prove.Scratch(Path("/run/fpmjail/scratch-x"))
    command = prove.command(scratch, Path("/images/x"), (), BOUND_SITE.profile)
    assert "--property=BindReadOnlyPaths=/usr:/usr" in command and "/usr/sbin/php-fpm8.4" in command


def test_a_master_with_the_servers_usr_shows_no_generation_so_it_counts_as_outdated() -> None:
    master = Master(BOUND_SITE, os.getpid())
    assert masters.outdated([master], "d" * 16) == (master,)


def test_the_mount_of_the_servers_usr_is_judged() -> None:
    usr = replace(IMAGE, target=f"{JAIL}/usr", root="/usr")
    assert [finding.good for finding in judges.judge_mounts(BOUND_SITE, [IMAGE, usr])] == [True, True, True]
    assert judges.judge_mounts(BOUND_SITE, [IMAGE, replace(usr, root="/")])[1].good  # /usr on a disk of its own
    for wrong in ([IMAGE], [IMAGE, replace(usr, options=("ro", "nodev"))], [IMAGE, replace(usr, root="/home")]):
        assert judges.judge_mounts(BOUND_SITE, wrong)[1].level is Level.BAD


def test_a_master_with_the_servers_usr_maps_no_deleted_file() -> None:
    master = replace(MASTER, mapped=("/usr/lib/libc.so.6", "/dev/zero (deleted)"))
    assert judges.judge_master(BOUND_SITE, master, "d" * 16).good
    stale = replace(master, mapped=("/usr/lib/libc.so.6 (deleted)",))
    assert "maps /usr/lib/libc.so.6 (deleted)" in judges.judge_master(BOUND_SITE, stale, "d" * 16).seen


def test_what_is_visible_is_said(tmp_path: Path) -> None:
    world.put(tmp_path, "bin/ls", mode=0o755)
    world.put(tmp_path, "sbin/su", mode=0o4755)
    world.put(tmp_path, "lib/helper", mode=0o2755)
    world.link(tmp_path, "bin/dir", "ls")
    seen = check_holdings.visible(tmp_path)
    assert seen == Visible(2, (f"{tmp_path}/lib/helper", f"{tmp_path}/sbin/su"))
    finding = check_holdings.judge_visible(BOUND_SITE, seen)
    assert finding.good and "2 programs" in finding.seen and "2 of them set-uid or set-gid" in finding.seen


def test_a_speller_without_a_dictionary_is_a_warning_with_a_way_out() -> None:
    (finding,) = check_holdings.judge_dictionaries(SPELLING, {"hunspell": ["en_US"], "aspell": []})
    assert (finding.level, finding.fix) == (Level.WARNING, "apt install aspell-LANGUAGE")
    assert finding.origin == "example.yaml:9"
    (finding,) = check_holdings.judge_dictionaries(SPELLING, {"hunspell": ["de_DE"], "aspell": ["de"]})
    assert finding.good and finding.seen == "de, de_DE"
    assert check_holdings.judge_dictionaries(SITE, None) == ()


def test_probes_are_told_what_the_generation_holds() -> None:
    paths = (
        "/usr/share/fonts/truetype/a.ttf", "/usr/share/fonts/b.pfb", "/usr/lib/x/ImageMagick-7/modules/coders/png.la",
        "/usr/share/hunspell/de_DE.dic", "/usr/share/hunspell/hyph_de.dic", "/usr/lib/aspell/en.multi",
        "/usr/lib/aspell/en-w_accents.multi", "/usr/lib/locale/it_IT.utf8/LC_CTYPE", "/usr/lib/locale/C.utf8/LC_CTYPE",
    )  # fmt: skip
    assert holdings.fonts(paths) == ["/usr/share/fonts/truetype/a.ttf"]
    assert holdings.coders(paths) == ["png"]
    assert holdings.dictionaries(paths) == {"hunspell": ["de_DE"], "aspell": ["en"]}
    assert holdings.locales(paths, Path("/nowhere")) == ["it_IT.utf8"]


def test_a_dictionary_that_is_not_built_yet_is_not_asked_for() -> None:
    empty = ["usr/lib/aspell/en-common.rws", "usr/lib/aspell/en_US-w_accents.rws", "usr/share/empty"]
    assert holdings.unbuilt_languages(empty) == {"en"}
    paths = ["/usr/lib/aspell/en_US.multi", "/usr/lib/aspell/en.multi", "/usr/lib/aspell/de.multi"]
    assert holdings.dictionaries(paths, frozenset({"en"}))["aspell"] == ["de"]


def test_locales_of_the_archive_are_asked_of_localedef(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "run", lambda *_: Answer(0, "fr_FR.utf8\nit_IT.utf8\nsome words: here\n"))
    assert holdings.locales(["/usr/lib/locale/locale-archive"], Path("/nowhere")) == ["fr_FR.utf8", "it_IT.utf8"]
    monkeypatch.setattr(systemd, "run", lambda *_: Answer(1, "cannot"))
    assert holdings.locales(["/usr/lib/locale/locale-archive"], Path("/nowhere")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [(CONFIGURATION, "/etc/ssl/own.pem"), ("TLS_CACERT /a\nTLS_CACERT\t/b\n", "/b"), ("#TLS_CACERT /a\n", "")],
)
def test_the_last_authority_of_ldap_conf_counts(tmp_path: Path, text: str, found: str) -> None:
    world.put(tmp_path, "etc/ldap/ldap.conf", text)
    assert holdings.authority(tmp_path) == found


def test_a_generation_that_is_not_there_tells_nothing(layout: Layout) -> None:
    assert holdings.told(layout, world.profile("fonts"), "none") == {}


def test_a_shell_is_only_expected_where_the_image_has_one(layout: Layout) -> None:
    profile = world.profile("php")
    place = layout.image(profile.id) / ("d" * 16) / "usr/bin"
    place.mkdir(parents=True)
    assert probe.arguments("php", probe.of_server(layout, profile, "d" * 16))["shell"] is False
    (place / "sh").symlink_to("dash")
    assert probe.arguments("php", probe.of_server(layout, profile, "d" * 16))["shell"] is True


def test_an_implied_capability_leads_to_the_extension_that_brought_it() -> None:
    finding = judges.judge_capability(SITE, probe.Result("imagick", False, ("formats: none",)))
    assert finding.origin == "example.yaml:9" and "php8.4-imagick" in finding.fix


def test_the_chosen_definitions_find_what_debian_ships(layout: Layout) -> None:
    for path in (
        "usr/share/fonts/truetype/a.ttf", "etc/fonts/fonts.conf", "usr/share/php/PEAR.php", "etc/ldap/ldap.conf",
        "usr/share/git-core/templates/description", "etc/ImageMagick-7/policy.xml",
        f"{LIB}/ImageMagick-7.1.1/modules-Q16/coders/png.la", "usr/share/hunspell/de_DE.dic",
    ):  # fmt: skip
        world.put(layout.root, path)
    for path in ("usr/bin/git", "usr/lib/git-core/git-remote-http", "usr/lib/git-core/git-daemon"):
        world.put(layout.root, path, mode=0o755)
    world.put(layout.root, f"usr/lib/{ARCH}/ImageMagick-7.1.1/modules-Q16/coders/png.so")
    chosen = ("fonts", "git", "imagick", "ldap", "pear", "spelling")
    found = wanted(world.profile(*chosen), load(layout), layout)
    assert found.missing == ()
    assert "usr/lib/git-core/git-remote-http" in items(found) and "usr/lib/git-core/git-daemon" not in items(found)


@pytest.mark.parametrize("name", ["fonts", "git", "imagick", "ldap", "pear"])
def test_a_chosen_capability_that_the_server_lacks_is_missing_with_its_package(layout: Layout, name: str) -> None:
    missing = [str(one) for one in wanted(world.profile(name), load(layout), layout).missing]
    assert missing and all("(package " in words for words in missing)


@pytest.mark.parametrize(
    ("libraries", "stands", "gone"),
    [("bind", "link", True), ("bind", "directory", False), ("image", "link", False), ("image", "directory", True)],
)
@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
def test_what_stands_in_the_place_of_usr_goes_when_it_is_of_the_other_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libraries: str, stands: str, gone: bool, isolation: str
) -> None:
    monkeypatch.setattr(systemd, "running", lambda: False)
    usr = tmp_path / "usr"
    usr.symlink_to(".image/current/usr") if stands == "link" else usr.mkdir()
    site = replace(SITE, paths=replace(SITE.paths, jail=tmp_path), profile=replace(SITE.profile, libraries=libraries))
    site = replace(site, isolation=isolation)
    mounting.make_room(site)
    assert os.path.lexists(usr) is not gone
    mounting.make_room(site)
