# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of the server in a jail: with libraries, data and fonts, as new as the server's. The tests tell it in order.

`example` declares them, `minimal` declares none; on both the same page runs what it is told.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lifecycle import extras, manual, repack, trees
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

PACKAGES = {
    "trixie": ("composer", "ghostscript", "poppler-data", "poppler-utils"),
    "bookworm": ("composer", "ghostscript", "poppler-data", "poppler-utils", "wkhtmltopdf"),
}
PROGRAMS = {
    "trixie": "composer, gs, pdftotext, /usr/local/bin/report, {name: gzip, packages: [gzip]}",
    "bookworm": "composer, gs, pdftotext, /usr/local/bin/report, {name: gzip, packages: [gzip]}, wkhtmltopdf",
}
HOSTS = {"example": "example.org", "minimal": "minimal.example.org", "third": "third.example.org"}
HEAD = "maintainer: Ann Other <ann@example.org>\nphp: {extensions: [gd, mbstring, xml]}\n"
MINIMAL = f"site: minimal\ndomains: [minimal.example.org]\n{HEAD}"
EXAMPLE = f"""site: example
domains: [example.org]
{HEAD}releases: [RELEASE]
version: VERSION
jail:
  programs: [PROGRAMS]
  shell: SHELL
"""

PAGE = r"""<?php
$asked = json_decode(file_get_contents('php://input'), true);
foreach ($asked['files'] ?? [] as $name => $content) {
    file_put_contents($name, base64_decode($content));
}
$said = '';
$status = null;
set_error_handler(function ($level, $words) use (&$said) { $said .= $words; return true; });
if ($asked['escaped'] ?? false) {
    $asked['command'] = implode(' ', array_map('escapeshellarg', $asked['command'])) . ' 2>&1';
}
if (is_array($asked['command'])) {
    $process = proc_open($asked['command'], [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes);
    if ($process) {
        $said .= stream_get_contents($pipes[1]);
        $status = proc_close($process);
    }
} else {
    exec($asked['command'], $lines, $status);
    $said .= implode("\n", $lines);
}
$made = array_map(fn ($name) => base64_encode((string) @file_get_contents($name)), $asked['made'] ?? []);
echo json_encode(['said' => $said, 'status' => $status, 'made' => $made], JSON_INVALID_UTF8_SUBSTITUTE);
"""
DRAWING = """%!PS
/Helvetica findfont 36 scalefont setfont 72 700 moveto (Hello fpmjail) show
/Times-Roman findfont 36 scalefont setfont 72 600 moveto (More) show showpage
"""
HTML = """<html><head><meta charset="utf-8"></head><body>
<h1>Grüße from fpmjail</h1><p style="font-family: 'DejaVu Serif'">text</p></body></html>
"""
PROBE = """
import json, pathlib, sys
sys.path.insert(0, "/usr/share/fpmjail")
from fpmjail import probe
told = {"programs": [{"path": "/usr/bin/gs", "arguments": ["--version"], "input": "", "output": ""}]}
print(json.dumps(probe.ask(pathlib.Path(sys.argv[1]), "programs", told).findings))
"""
REPORT = """#!/usr/bin/perl
use strict;
use List::Util qw(sum);
print "sum ", sum(@ARGV), "\\n";
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did in a jail."""

    status: int | None
    said: str
    made: tuple[bytes, ...]


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both sites, installed by apt together with the programs."""
    bed.publish_own_packages()
    bed.upgrades.publish(*extras.debs(bed.release, PACKAGES[bed.release]))
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.write("/usr/local/bin/report", REPORT, mode=0o755)
    there.publish(MINIMAL, "minimal.yaml")
    there.publish(described(bed.release), "example.yaml")
    print(there.install("site-minimal-jail", "site-example-jail").output)
    for site in ("example", "minimal"):
        there.write_page("run.php", PAGE, site)
    yield there


def described(release: str, version: str = "1.0.0", programs: str = "", shell: str = "none") -> str:
    """The description of `example`."""
    text = EXAMPLE.replace("RELEASE", release).replace("VERSION", version).replace("SHELL", shell)
    return text.replace("PROGRAMS", programs or PROGRAMS[release])


def run(
    server: Server,
    command: list[str] | str,
    site: str = "example",
    files: dict[str, bytes | str] | None = None,
    made: tuple[str, ...] = (),
    escaped: bool = False,
) -> Run:
    """What PHP in the site's jail gets when it runs a command, by proc_open() a list, by exec() a text, or a list that
    is `escaped` to be one, with 2>&1 behind it."""
    content = {
        name: base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
        for name, text in (files or {}).items()
    }
    asked = json.dumps({"command": command, "files": content, "made": made, "escaped": escaped})
    page = server.get("/run.php", HOSTS[site], "--data-binary", asked, "-H", "Content-Type: application/json")
    assert page.status == 200, page
    answer = json.loads(page.body)
    return Run(answer["status"], answer["said"], tuple(map(base64.b64decode, answer["made"])))


def finding(server: Server, name: str, site: str = "example") -> dict[str, Any]:
    """What `fpmjail check` says about one thing."""
    return next(one for one in server.check(site) if one["name"] == name)


def probed(server: Server, site: str) -> set[str]:
    """What the probe of programs finds wrong with Ghostscript in a jail, whatever that declares."""
    return set(json.loads(server.run("python3", "-c", PROBE, f"/run/fpmjail/{site}.sock").stdout))


def version_in_jail(server: Server, path: str) -> str:
    """The version of the package that a file of the image was copied from."""
    entries = json.loads(server.run("fpmjail", "files", "example", "--json").stdout)
    return str(next(entry["version"] for entry in entries if entry["path"] == path))


def test_ghostscript_draws_a_picture_and_pdftotext_reads_the_text(server: Server) -> None:
    gs = ["gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE"]
    pdf = run(
        server,
        [*gs, "-sDEVICE=pdfwrite", "-o", "/tmp/a.pdf", "/tmp/a.ps"],
        files={"/tmp/a.ps": DRAWING},
        made=("/tmp/a.pdf",),
    )
    assert pdf.status == 0 and pdf.made[0].startswith(b"%PDF-"), pdf
    png = run(server, [*gs, "-sDEVICE=png16m", "-r50", "-o", "/tmp/a.png", "/tmp/a.pdf"], made=("/tmp/a.png",))
    assert png.status == 0 and png.made[0].startswith(b"\x89PNG") and len(png.made[0]) > 2000, png
    text = run(server, ["/usr/bin/pdftotext", "/tmp/a.pdf", "-"])
    assert text.status == 0 and "Hello fpmjail" in text.said and "More" in text.said, text
    print(finding(server, "programs"))
    print(server.run("fpmjail", "files", "example", "--by-capability").stdout)
    assert finding(server, "programs")["level"] == "good"
    assert server.faults() == []


def test_wkhtmltopdf_makes_a_pdf_with_the_servers_fonts(server: Server) -> None:
    if server.release == "trixie":  # it is not in trixie, and the build says so
        file = server.directory / "wkhtmltopdf.yaml"
        file.write_text(described("trixie", programs="wkhtmltopdf"))
        command = [sys.executable, "-m", "fpmjail_deb", "check", str(file)]
        refused = subprocess.run(command, cwd=trees.CHECKOUT, capture_output=True, text=True)
        assert refused.returncode == 2 and "trixie does not ship wkhtmltopdf" in refused.stderr, refused
        return
    made = run(server, ["wkhtmltopdf", "/tmp/a.html", "/tmp/b.pdf"], files={"/tmp/a.html": HTML}, made=("/tmp/b.pdf",))
    assert made.status == 0 and made.made[0].startswith(b"%PDF-") and b"DejaVuSerif" in made.made[0], made
    assert "ontconfig" not in made.said and "QStandardPaths" not in made.said, made
    # Else each run would look through all fonts again.
    assert server.exists("/var/lib/fpmjail/jails/example/tmp/.cache/fontconfig")
    assert "Grüße" in run(server, ["pdftotext", "/tmp/b.pdf", "-"]).said


def test_a_shared_site_runs_them_as_well(server: Server) -> None:
    text = described(server.release).replace("site: example", "site: third").replace("example.org", "third.example.org")
    server.publish(f"{text}isolation: shared\n", "third.yaml")
    server.install("site-third-jail")
    server.write_page("run.php", PAGE, "third", "var/www/third/htdocs")
    gs = ["gs", "-q", "-dSAFER", "-sDEVICE=pdfwrite", "-o", "/tmp/a.pdf", "/tmp/a.ps"]
    assert run(server, gs, "third", files={"/tmp/a.ps": DRAWING}) == Run(0, "", ())
    assert "Hello fpmjail" in run(server, ["pdftotext", "/tmp/a.pdf", "-"], "third").said
    assert run(server, ["report", "1", "2"], "third").said == "sum 3\n"
    assert finding(server, "programs", "third")["level"] == "good" and server.faults("third") == []


def test_a_script_has_its_interpreter_and_an_unknown_program_its_libraries(server: Server) -> None:
    assert run(server, ["report", "1", "2", "3"]) == Run(0, "sum 6\n", ())
    assert run(server, ["gzip", "--version"]).status == 0
    assert server.run("fpmjail", "exec", "example", "--", "report", "4", "5").stdout == "sum 9\n"


def test_the_manual_says_what_each_costs(server: Server) -> None:
    costs = server.costs()
    print(costs)
    rows = {"Ghostscript": "gs", "pdftotext": "pdftotext", "Composer": "composer"}
    seen = {row: costs[f"programs/{name}"] for row, name in rows.items()}
    wrong = {row: one for row, one in seen.items() if not manual.near(server.release, row, *one)}
    assert not wrong, wrong


def test_without_the_capability_there_is_no_program_and_the_probe_says_so(server: Server) -> None:
    seen = run(server, ["/usr/bin/gs", "--version"], site="minimal")
    assert seen.status in (None, 127) and (seen.status == 127 or "No such file or directory" in seen.said), seen
    assert probed(server, "minimal") == {"/usr/bin/gs: No such file or directory"}
    assert probed(server, "example") == set()
    assert "Unable to fork" in run(server, "gs --version", site="minimal").said


def test_a_program_without_its_data_is_found_out_before_any_site_gets_it(server: Server) -> None:
    bare = {"format": 1, "name": "bare", "programs": ["/usr/bin/gs"], "rules": [], "replace": True}
    bare["trial"] = {"arguments": ["-q", "-dNODISPLAY", "-dBATCH", "-c", "quit"]}
    server.write("/etc/fpmjail/programs.d/bare.json", json.dumps(bare))
    said = server.run("fpmjail", "refresh", check=False)
    assert not said.good and "keeps its generation: the new one failed its test" in said.output, said
    assert "gs_init.ps" in said.output, said
    assert run(server, ["gs", "--version"]).status == 0
    server.run("rm", "/etc/fpmjail/programs.d/bare.json")
    server.run("fpmjail", "refresh")
    assert server.faults() == []


def test_an_upgrade_of_its_package_reaches_the_jail_in_the_same_apt_run(server: Server) -> None:
    debs = extras.debs(server.release, PACKAGES[server.release])[0].parent
    server.bed.upgrades.publish(*repack.upgrade(server.release, "poppler-utils", debs=debs))
    server.apt("update")
    before = server.truth()["generation"]
    said = server.apt("upgrade").output
    assert "poppler-utils" in said and version_in_jail(server, "usr/bin/pdftotext").endswith("+sp1"), said
    assert server.assert_true_to_host() != before
    assert b"repacked 1" in run(server, ["pdftotext", "/tmp/a.pdf", "/tmp/a.txt"], made=("/usr/bin/pdftotext",)).made[0]


def test_a_program_that_vanishes_stays_in_the_jail_and_is_named(server: Server) -> None:
    server.run("mv", "/usr/local/bin/report", "/root/report")
    said = server.run("fpmjail", "refresh", check=False)
    assert not said.good and "programs/report: /usr/local/bin/report is not there" in said.output, said
    assert run(server, ["report", "1", "2", "3"]).said == "sum 6\n"
    server.run("mv", "/root/report", "/usr/local/bin/report")
    server.run("fpmjail", "refresh")
    assert server.faults() == []


def test_the_restricted_shell_runs_what_is_declared_and_escaped(server: Server) -> None:
    server.publish(described(server.release, "1.1.0", shell="restricted"), "example.yaml")
    server.apt("upgrade")
    drawing = "/tmp/it's a $(drawing).ps"
    gs = ["gs", "-q", "-dSAFER", "-sDEVICE=pdfwrite", "-o", "/tmp/c.pdf", drawing]
    assert run(server, gs, files={drawing: DRAWING}, escaped=True) == Run(0, "", ())
    assert "Hello fpmjail" in run(server, ["/usr/bin/pdftotext", "/tmp/c.pdf", "-"], escaped=True).said
    assert run(server, "report 1 2 2>&1") == Run(0, "sum 3", ())
    lost = run(server, ["pdftotext", "/tmp/none.pdf"], escaped=True)
    assert lost.status == 1 and "none.pdf" in lost.said, lost
    assert run(server, "perl -e 'print 1'").status == 126  # the interpreter of a script is no declared program
    if server.release == "bookworm":
        page = ["wkhtmltopdf", "/tmp/page's.html", "/tmp/d.pdf"]
        made = run(server, page, files={page[1]: HTML}, made=("/tmp/d.pdf",), escaped=True)
        assert made.status == 0 and made.made[0].startswith(b"%PDF-") and "Done" in made.said, made
    assert server.faults() == []


def test_composer_works_on_the_sites_files_by_command(server: Server) -> None:
    """It is a script for PHP with libraries of its own, and asks a shell for git, which need not be there."""
    root = "/var/www/example/htdocs"
    server.write(f"{root}/composer.json", '{"autoload": {"psr-4": {"Own\\\\": "src/"}}}')
    server.write(f"{root}/src/Thing.php", "<?php namespace Own; class Thing { const NAME = 'of the site'; }")
    server.write(f"{root}/own.php", "<?php require __DIR__ . '/vendor/autoload.php'; echo Own\\Thing::NAME;")
    server.run("chown", "-R", "_site-example:", root)
    assert "Composer" in server.run("fpmjail", "exec", "example", "--", "composer", "--no-ansi", "--version").stdout
    server.run("fpmjail", "exec", "example", "--", "composer", "--no-interaction", "dump-autoload")
    assert server.get("/own.php").body == "of the site"
    assert server.run("stat", "-c", "%U", f"{root}/vendor/autoload.php").stdout == "_site-example\n"


def test_a_shell_joins_programs(server: Server) -> None:
    server.write("/usr/local/bin/shout", '#!/bin/sh\necho "$1!"\n', mode=0o755)
    programs = "pdftotext, /usr/local/bin/shout, {name: gzip, packages: [gzip]}"
    server.publish(described(server.release, "1.2.0", programs, "sh"), "example.yaml")
    server.apt("upgrade")
    text = run(server, "pdftotext /tmp/a.pdf - 2>&1 | gzip -c >/tmp/e.gz && gzip -dc /tmp/e.gz")
    assert text.status == 0 and "Hello fpmjail" in text.said, text
    assert run(server, ["shout", "hey"]) == Run(0, "hey!\n", ())
    assert server.faults() == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("printf '#!/bin/sh\\n' >$1; chmod 755 $1", "is a script for /usr/bin/sh: that takes `jail.shell: sh`"),
        ("cp /usr/bin/gzip $1; chmod 4755 $1", "is set-id (mode 4755) and lives on rights"),
        ("printf '#!/opt/x/lua -q\\n' >$1; chmod 755 $1", "/opt/x/lua is not there, and /usr/local/bin/own needs it"),
        ("rm -f $1", "/usr/local/bin/own is not there"),
        ("printf x >$1; chmod 755 $1", "is neither an ELF program nor a script"),
        ("cp /usr/bin/gzip $1; chmod 700 $1", "is not readable for everybody (mode 0700)"),
    ],
)
def test_a_program_that_cannot_be_in_a_jail_is_refused_with_the_reason(server: Server, make: str, words: str) -> None:
    server.run("sh", "-c", make, "sh", "/usr/local/bin/own")
    if not server.exists("/usr/share/fpmjail/sites/refused/site.json"):
        text = described(server.release, programs="/usr/local/bin/own").replace("example", "refused")
        server.publish(text, "refused.yaml")
        said = server.install("site-refused-jail", check=False)
    else:
        said = server.run("dpkg", "--configure", "site-refused-jail", check=False)
    assert not said.good and words in said.output, said
    assert "correct `jail.programs` in refused.yaml:8:" in said.output, said
    assert server.exists("/run/fpmjail/refused.sock") is False
