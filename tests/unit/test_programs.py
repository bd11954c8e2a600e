# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of the server: how they are declared, and what comes of them in the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fpmjail_deb import programs
from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.metadata import control_files
from fpmjail_deb.site_warnings import warnings
from tests.sites import planned, shop, text

SHIPPED = Path(__file__).parents[2] / "hooks/programs"


def declared(listed: str, more: str = "") -> str:
    return f"jail: {{programs: [{listed}]}}\n{more}"


def described(listed: str, more: str = "") -> dict[str, Any]:
    return dict(json.loads(text(planned(shop(declared(listed, more))), "/site.json")))


def refused(listed: str, more: str = "") -> str:
    with pytest.raises(DescriptionError) as error:
        shop(declared(listed, more))
    return str(error.value)


def depends(listed: str, release: str) -> str:
    return dict(planned(shop(declared(listed, f"releases: [{release}]\n")), release).control)["Depends"]


def triggers(listed: str) -> list[str]:
    lines = {name: text for name, text, _ in control_files(planned(shop(declared(listed))))}["triggers"]
    return [line.removeprefix("interest-noawait ") for line in lines.splitlines()]


def test_a_program_is_its_path_on_a_merged_usr() -> None:
    read = described("gs, /bin/tar, /usr/bin/pdftotext, /usr/local/bin/own")
    assert read["profile"]["programs"] == ["/usr/bin/gs", "/usr/bin/pdftotext", "/usr/bin/tar", "/usr/local/bin/own"]
    assert "programs" in read["profile"]["capabilities"]
    assert read["programs"][3] == {"path": "/usr/local/bin/own", "packages": []}


def test_a_site_without_programs_has_the_profile_and_the_environment_that_it_had() -> None:
    assert described("") == json.loads(text(planned(shop()), "/site.json")) | {"origins": described("")["origins"]}
    assert "program_files" not in described("gs")["profile"]
    assert "XDG_CACHE_HOME" not in described("")["environment"]
    assert described("gs")["environment"]["XDG_CACHE_HOME"] == "/tmp/.cache"
    assert described("gs", "php: {env: {XDG_CACHE_HOME: /x}}\n")["environment"]["XDG_CACHE_HOME"] == "/x"


def test_files_are_part_of_the_profile() -> None:
    read = described("{name: tool, packages: [tool], files: [/usr/share/tool/**, /etc/tool/*]}")
    assert read["profile"]["program_files"] == {"/usr/bin/tool": ["/etc/tool/*", "/usr/share/tool/**"]}
    assert read["profile"]["id"] != described("{name: tool, packages: [tool]}")["profile"]["id"]


def test_the_package_depends_on_the_packages_of_the_programs() -> None:
    assert depends("gs, pdfinfo, pdftotext", "trixie").endswith(", ghostscript, poppler-utils")
    assert depends("wkhtmltopdf", "bookworm").endswith(", wkhtmltopdf")
    assert depends("/usr/local/bin/own", "trixie") == depends("", "trixie")
    assert depends('{name: tool, packages: [one, "two | three"]}', "trixie").endswith(", one, two | three")
    assert depends("{name: gs, packages: []}", "trixie") == depends("", "trixie")


def test_dpkg_tells_of_programs_as_both_releases_spell_them_and_of_their_packages() -> None:
    assert triggers("tar") == ["/bin/tar", "/usr/bin/tar", "/usr/share/doc/tar"]
    found = triggers('{name: tool, packages: ["tool-6 | tool-7"], files: [/usr/share/tool/**, /etc/tool/a-*.conf]}')
    assert found == [
        "/bin/tool", "/etc/tool", "/usr/bin/tool", "/usr/share/doc/tool-6", "/usr/share/doc/tool-7", "/usr/share/tool",
    ]  # fmt: skip
    assert "/usr/share/doc/libgs10-common" in triggers("gs")
    assert triggers("/usr/local/bin/own") == ["/usr/local/bin/own"]
    assert planned(shop()).triggers == ()


def test_a_program_that_a_release_does_not_ship_is_refused_with_the_release() -> None:
    words = refused("wkhtmltopdf")
    assert "jail.programs[0]: trixie does not ship wkhtmltopdf" in words
    assert "releases: [bookworm]" in words and "/usr/local/bin/wkhtmltopdf" in words
    assert "bookworm does not ship magick" in refused("gs, magick")
    assert described("{name: wkhtmltopdf, packages: [wkhtmltox]}")["programs"][0]["packages"] == ["wkhtmltox"]


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ("pdf2text", 'Debian package "/usr/bin/pdf2text" is in is not known here; did you mean "pdftotext"? else'),
        ("zzz", "name it: {name: zzz, packages: [...]}; where it is installed, `dpkg -S /usr/bin/zzz` tells"),
        ("sudo", '"sudo" cannot be declared here; it lives on root\'s rights'),
        ("/usr/sbin/sendmail", "mail() has another key: jail.mail"),
        ("sh", "the shell of exec() is another key: jail.shell"),
        ("/bin/sh", "the shell of exec() is another key: jail.shell"),
        ("/opt/x/run", "put it, or a copy of it, into /usr/local/bin: /usr/local/bin/run"),
        ('"gs -q"', "arguments are the caller's"),
        ("bin/gs", "write its name, or its path from the root"),
        ("/usr/bin/../sbin/x", "use a-z, A-Z, 0-9"),
        ("[gs]", "expected the name of a program"),
        ("gs, gs", "jail.programs[1]: found again"),
        ("gs, {name: /usr/bin/gs, packages: [other]}", "jail.programs[1]: /usr/bin/gs again; keep one"),
        ("{packages: [x]}", "jail.programs[0].name: is missing"),
        ("{name: gs, file: []}", 'jail.programs[0].file: unknown key; did you mean "files"?'),
        ("{name: gs, packages: ghostscript}", "expected a list of Debian packages"),
        ('{name: gs, packages: ["ghostscript (>= 1)"]}', "apt needs no version here"),
        ("{name: gs, files: [/var/lib/x]}", "a jail has files of /usr and /etc only"),
        ("{name: gs, files: [/usr/share/*/x]}", "is half of the system; name the program's own directory"),
        ("{name: gs, files: [/usr/share/../../root]}", "expected a path below /usr or /etc"),
    ],
)
def test_what_cannot_be_declared_is_told_with_a_way_out(listed: str, words: str) -> None:
    assert words in refused(listed)


def test_a_shell_among_the_programs_is_a_warning() -> None:
    [warning] = warnings(shop(declared("gs, {name: bash, packages: [bash]}")))
    assert warning.key_path == "jail.programs[1]" and "a shell with everything else in the jail" in warning.message
    assert warnings(shop(declared("gs"))) == ()


def test_the_runtime_knows_only_programs_whose_packages_are_known_here() -> None:
    for file in sorted(SHIPPED.glob("*.json")):
        shipped = json.loads(file.read_text())
        for path in shipped["programs"]:
            known = programs.KNOWN.get(path.rpartition("/")[2])
            named = {shipped["package"]} if "package" in shipped else set()
            assert known is None or (known.path == path and named <= {name for _, name in known.packages})
