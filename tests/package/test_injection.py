# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a string field holds, the programs that read our files take it for that string or we refuse it.

Many sites go through one run of a parser. What is checked is the shape: as many directives, keys and words as for a
harmless site, and the values as they were given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fpmjail_deb.contents import PackagePlan
from fpmjail_deb.location import Location
from fpmjail_deb.site import Site, Tls
from tests.package.parsers import SEEN_AS, RealParsers
from tests.sites import planned, shop, text

NASTY = (
    "a", "${HOME}", "$HOME", "$pool", "$1", "%{REQUEST_URI}e", "%n", "%%", "%t", "\\", "\\n", "\\\\", '"', "'",
    "`id`", "$(id)", ";", "#", "<If>", "</VirtualHost>", "</IfFile>", "{{ 1 }}", "{% raw %}", "expr=", " ", "  ",
    "|", "&&", ">", "*", "[x]", "é", "=", "!", "~", "on", "none", "-", "\\x41", "[global]", "include=/etc/passwd",
    "DPKG_ROOT",
)  # fmt: skip
REFUSED = re.compile(r"\$\{|\$pool|^expr=", re.IGNORECASE)
"""What BuildError is for: tests/unit/test_render.py."""
HEADER = re.compile(r'Header always set X-A (".*") "expr=-z %\{resp:X-A\}"')
TOLD = re.compile(r'ProxyFCGISetEnvIf "?true"? (?:CONTEXT_)?DOCUMENT_ROOT (".*")')
CALM = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # one batch takes seconds, and says itself which site it was
    suppress_health_check=list(HealthCheck),
)


def texts(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lines of text with much that means something somewhere."""
    pieces = st.one_of(st.sampled_from(NASTY), characters)
    return st.lists(pieces, min_size=1, max_size=5).map("".join).map(str.strip).filter(bool)


def taken(text: str) -> bool:
    """Whether Apache and FPM can hold a text at all."""
    return not REFUSED.search(text)


ANY = texts(st.text(st.characters(exclude_categories=("C", "Z")), max_size=6))
TAKEN = ANY.filter(taken)
ASCII = texts(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6)).filter(str.isascii).filter(taken)
FILE_NAMES = TAKEN.map(lambda name: name.replace("/", "")).filter(
    lambda name: name not in ("", ".", "..") and len(name) < 60
)


@dataclass(frozen=True, slots=True)
class Strings:
    """The free strings of one site."""

    setting: str
    error_level: str
    variable: str
    header: str
    certificate: str
    key: str
    root: str
    front: str
    writable: str
    file: str

    def site(self, isolation: str = "dedicated") -> Site:
        """A site that has them."""
        site = shop(f"isolation: {isolation}\n")
        tls = Tls(f"{SEEN_AS}/tls/{self.certificate}", f"{SEEN_AS}/tls/{self.key}", True)
        web = replace(
            site.web,
            document_root=self.root,
            front_controller=f"{self.front}.php",
            tls=tls,
            headers=(("X-A", self.header),),
        )
        php = replace(
            site.php,
            settings=(("a.b", self.setting), ("error_reporting", self.error_level)),
            env=(("A", self.variable),),
        )
        origins = (
            ("site", Location(self.file, 1, 1)),
            ("isolation", Location(self.file, 2, 1)),
            ("writable[0]", Location(f"{self.file}\nx", 1, 1)),
        )
        return replace(site, web=web, php=php, writable=(self.writable,), origins=origins)


STRINGS = st.builds(Strings, TAKEN, TAKEN, ANY, ASCII, FILE_NAMES, FILE_NAMES, FILE_NAMES, FILE_NAMES, FILE_NAMES, ANY)
BATCHES = st.lists(STRINGS, min_size=30, max_size=30)
HARMLESS = Strings("a", "1", "b", "c", "d", "e", "f", "g", "h", "i.yaml")


def with_plans(
    batch: Sequence[Strings], release: str, isolation: str = "dedicated"
) -> list[tuple[Strings, PackagePlan]]:
    """Every site of a batch with its plan."""
    return [(strings, planned(strings.site(isolation), release)) for strings in batch]


def unquoted(argument: str) -> str:
    """An argument as ap_getword_conf() reads it."""
    if not argument.startswith('"'):
        return argument
    return re.sub(r'\\(["\\])', r"\1", argument[1:-1])


def computed(value: str) -> str:
    """What a string of an expression without anything to compute comes to (util_expr_scan.l, <str>)."""
    assert not re.search(r"(?<!\\)(?:\\\\)*[%$]", value), value
    return re.sub(r"\\(.)", r"\1", value)


def sent(header: str) -> str:
    """The value that mod_headers makes of a format string without `%` items (parse_misc_string)."""
    return header.replace("%%", "%").replace("\\\\", "\\")


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
@CALM
@given(BATCHES)
def test_apache_finds_no_directive_that_is_not_ours(
    real_parsers: RealParsers, release: str, isolation: str, batch: list[Strings]
) -> None:
    sites = with_plans([HARMLESS, *batch], release, isolation)
    real_parsers.put("tls", [], "")
    for strings, _ in sites:
        for name in (strings.certificate, strings.key):
            (real_parsers.exchange / "tls" / name).write_text("there")
    model, *others = real_parsers.apache([text(package, "/apache.conf") for _, package in sites])
    assert "SSLEngine on" in model
    for (strings, _), found in zip(sites[1:], others, strict=True):
        assert [line.split()[0] for line in found] == [line.split()[0] for line in model], strings
        headers = [HEADER.fullmatch(line) for line in found if line.startswith("Header ")]
        assert [sent(unquoted(header[1])) for header in headers if header] == [strings.header] * 2
        certificates = {unquoted(line.split(" ", 1)[1]) for line in found if line.startswith("SSLCertificateFile ")}
        assert certificates == {f"{SEEN_AS}/tls/{strings.certificate}"}
        roots = [TOLD.fullmatch(line) for line in found if line.startswith("ProxyFCGISetEnvIf")]
        told = {computed(unquoted(root[1])) for root in roots if root}
        assert told == ({f"/var/www/shop/{strings.root}"} if isolation == "shared" else set()), strings


@CALM
@given(BATCHES)
def test_fpm_reads_every_value_as_it_was_given(real_parsers: RealParsers, release: str, batch: list[Strings]) -> None:
    sites = with_plans([HARMLESS, *batch], release)
    model, *others = real_parsers.fpm([text(package, "/pool.conf") for _, package in sites])
    assert model["php_admin_value[a.b]"] == "a"
    for (strings, _), found in zip(sites[1:], others, strict=True):
        assert found.keys() == model.keys(), strings
        assert found["php_admin_value[a.b]"] == strings.setting
        through_unit = strings.variable.startswith("$") or "$pool" in strings.variable
        assert found["env[A]"] == ("$FPMJAIL_ENV_A" if through_unit else strings.variable)
        changed = {key for key in model if model[key] != found[key]}
        assert changed <= {"php_admin_value[a.b]", "php_admin_value[error_reporting]", "env[A]"}


@CALM
@given(
    st.lists(ANY.map(lambda value: f"${value}").filter(lambda value: "$pool" not in value), min_size=30, max_size=30)
)
def test_systemd_hands_over_every_variable_as_it_was_given(
    real_parsers: RealParsers, release: str, batch: list[str]
) -> None:
    packages = [planned(replace(HARMLESS, variable=value).site(), release) for value in batch]
    services = [text(package, "-jail.service") for package in packages]
    found = real_parsers.units(services, ".service", "org.freedesktop.systemd1.Service", "Environment")
    ours = ["FPM_SOCKETS=/run/fpmjail/shop.sock=3", f"PHP_INI_SCAN_DIR=/etc/php/{real_parsers.server.php}/fpm/conf.d"]
    assert found == [[*ours, f"FPMJAIL_ENV_A={value}"] for value in batch]


@CALM
@given(st.lists(FILE_NAMES, min_size=30, max_size=30))
def test_systemd_watches_the_paths_that_were_given(real_parsers: RealParsers, release: str, batch: list[str]) -> None:
    packages = [planned(replace(HARMLESS, certificate=name, key="key").site(), release) for name in batch]
    paths = [text(package, "certificate.path") for package in packages]
    found = real_parsers.units(paths, ".path", "org.freedesktop.systemd1.Path", "Paths")
    directory = f"{SEEN_AS}/tls"
    for name, watched in zip(batch, found, strict=True):
        assert isinstance(watched, list)
        assert {path for _, path in watched} == {directory, f"{directory}/{name}", f"{directory}/key"}


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
@CALM
@given(BATCHES)
def test_dash_reads_every_path_as_one_word(
    real_parsers: RealParsers, release: str, isolation: str, batch: list[Strings]
) -> None:
    sites = with_plans(batch, release, isolation)
    scripts = [dict(package.scripts)["postrm"] for _, package in sites]
    calls = ["".join(re.findall(r"^\t+(remove_empty .*\n)", script, re.MULTILINE)) for script in scripts]
    printed = real_parsers.dash([f"remove_empty() {{ printf '%s\\0' \"$@\"; }}\n{call}" for call in calls])
    assert printed == [[f"{strings.root}/{strings.writable}", strings.root] for strings, _ in sites]
    everything = [text for _, package in sites for _, text in package.scripts]
    real_parsers.put("scripts", everything, ".sh")
    real_parsers.server.shell(f'for script in {SEEN_AS}/scripts/*; do dash -n "$script"; done')
