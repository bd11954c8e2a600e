# SPDX-License-Identifier: GPL-2.0-or-later
"""What `fpmjail exec` makes of a command, before systemd gets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import cli, inside
from fpmjail.layout import Layout
from fpmjail.site import Site

SITE: Site = read(EXAMPLE)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server with a jail: php as a link into the image, a text file, a directory, a link that leads out."""
    layout = Layout(tmp_path)
    jail = layout.jail("example")
    image = jail / ".image/current/usr/bin"
    image.mkdir(parents=True)
    (jail / "usr").symlink_to(".image/current/usr")
    (jail / "bin").symlink_to("usr/bin")
    for name, mode in (("php8.4", 0o755), ("text", 0o644)):
        (image / name).write_text("")
        (image / name).chmod(mode)
    (image / "php").symlink_to("php8.4")
    (image / "sh").symlink_to("/bin/dash")
    (image / "directory").mkdir()
    (jail / "tmp").mkdir()
    return layout


@pytest.mark.parametrize(("word", "found"), [("php", "/usr/bin/php"), ("/bin/php8.4", "/bin/php8.4")])
def test_a_program_is_found_as_the_jail_will_see_it(layout: Layout, word: str, found: str) -> None:
    assert inside.find_program(layout, SITE, word, "/var/www/example/htdocs") == found


@pytest.mark.parametrize("word", ["sh", "/bin/sh", "/usr/bin/text", "/usr/bin/directory", "ls", "/bin/../bin/ls", "*"])
def test_what_the_jail_cannot_run_is_named_with_what_it_can(layout: Layout, word: str) -> None:
    with pytest.raises(inside.NotInside) as caught:
        inside.find_program(layout, SITE, word, "/var/www/example/htdocs")
    assert str(caught.value) == f"the jail has no {word}; its programs: php, php8.4"


@pytest.mark.parametrize("word", ["./a.php", "vendor/bin/tool", "/var/www/example/htdocs/a", "/tmp/x"])
def test_a_file_of_the_sites_is_no_program(layout: Layout, word: str) -> None:
    with pytest.raises(inside.NotInside, match=rf"fpmjail exec example -- php {word}"):
        inside.find_program(layout, SITE, word, "/var/www/example/htdocs")


def test_a_directory_is_looked_for_where_the_jail_has_it(layout: Layout) -> None:
    assert inside.find_directory(layout, SITE, "/tmp") == "/tmp"
    with pytest.raises(inside.NotInside, match="the jail has no directory /etc"):
        inside.find_directory(layout, SITE, "/etc")


def test_a_site_that_is_not_there_is_named(layout: Layout) -> None:
    with pytest.raises(inside.NotInside, match="no such site"):
        inside.ready(layout, "nobody")


def test_the_call_has_the_walls_and_hides_dollars() -> None:
    command = inside.Command("/usr/bin/php", ("-r", "echo $a ${b} %h;", "$$"), "/var/www/example/htdocs", False)
    call = inside.call(SITE, command, "x.service", (("A", "$b"),))
    assert call[call.index("--") :] == ["--", "/usr/bin/php", "-r", "echo $$a $${b} %h;", "$$$$"]
    assert "--pipe" in call and "--pty" not in call and "--setenv=A=$b" in call
    options = call[: call.index("--")]
    assert [f"--property={name}={value}" for name, value in SITE.sandbox] == [
        option for option in options if option.partition("=")[2].split("=")[0] in dict(SITE.sandbox)
    ]
    assert "--property=User=_site-example" in options
    assert "--property=RootDirectory=/var/lib/fpmjail/jails/example" in options


@pytest.mark.parametrize(("term", "known"), [("xterm-256color", True), (None, False), ("x\ny", False), ("", False)])
def test_only_a_kind_of_terminal_is_taken_from_outside(term: str | None, known: bool) -> None:
    assert (("TERM", term) in inside.variables(SITE, term)) == known
    assert set(SITE.environment) <= set(inside.variables(SITE, term))


def test_units_of_sites_with_similar_names_do_not_match() -> None:
    assert inside.unit_name(SITE).startswith("fpmjail-exec:example:")


def test_nothing_of_the_command_is_read_as_an_option_of_ours() -> None:
    words = ["exec", "example", "--cwd", "x", "--", "php", "--json", "--", "-h"]
    assert cli.split(words) == (["exec", "example", "--cwd", "x"], ["php", "--json", "--", "-h"])
    assert cli.split(["check", "--", "example"]) == (["check", "--", "example"], ())
