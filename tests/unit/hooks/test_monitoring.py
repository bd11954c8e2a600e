# SPDX-License-Identifier: GPL-2.0-or-later
"""What monitoring reads: Nagios' line and Prometheus' text, by their own grammars."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail import cli, monitoring, report
from fpmjail.finding import Finding, Level, Verdict
from fpmjail.report import Checked, Copies, Report

NOW = 1_795_000_000.0
GOOD = Finding("capability", "php", Level.GOOD, "works", verdict=Verdict.OK)
BAD = Finding("capability", "tls", Level.BAD, "bundle: missing", "fix", verdict=Verdict.JAIL)
RULE = Finding("files", "jail", Level.BAD, "/j (uid 0, mode 0777)", "chmod")
WARNING = Finding("generation", "hold", Level.WARNING, "held", "release")
COPIES = Copies("a1b2c3d4e5f6", NOW - 90, True, False)

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
HELP = re.compile(rf"# HELP ({NAME}) [^\\\n]+")
TYPE = re.compile(rf"# TYPE ({NAME}) gauge")
SAMPLE = re.compile(rf"({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? [0-9.e+-]+")
PERFORMANCE = re.compile(r"[a-z]+=[0-9.]+s?;[0-9.]*;[0-9.]*;0")


def made(*findings: Finding, problems: tuple[str, ...] = (), name: str = "example") -> Report:
    return Report((Checked(name, findings, 0.25, COPIES),), problems, NOW)


def parsed(text: str) -> dict[str, list[str]]:
    """Strictly what node_exporter accepts: HELP, TYPE, then samples of that name, none twice."""
    found: dict[str, list[str]] = {}
    lines = text.split("\n")
    assert lines.pop() == ""
    while lines:
        help_ = HELP.fullmatch(lines.pop(0))
        type_ = TYPE.fullmatch(lines.pop(0))
        assert help_ and type_ and help_[1] == type_[1] and help_[1] not in found
        samples = found[help_[1]] = []
        while lines and not lines[0].startswith("#"):
            sample = SAMPLE.fullmatch(lines.pop(0))
            assert sample and sample[1] == help_[1]
            samples.append(sample[0])
        series = [sample.rpartition(" ")[0] for sample in samples]
        assert samples and len(series) == len(set(series))
    return found


@pytest.mark.parametrize(
    ("findings", "problems", "status", "word"),
    [
        ((GOOD,), (), 0, "OK"),
        ((GOOD, WARNING), (), 1, "WARNING"),
        ((WARNING, BAD), (), 2, "CRITICAL"),
        ((GOOD,), ("site x: site.json: is not JSON",), 2, "CRITICAL"),
    ],
)
def test_the_worst_finding_decides_the_state(
    findings: tuple[Finding, ...], problems: tuple[str, ...], status: int, word: str
) -> None:
    code, line = monitoring.nagios(made(*findings, problems=problems))
    assert code == status
    assert line.startswith(f"FPMJAIL {word} - 1 site, ")


def test_the_line_names_the_worst_first_and_counts_the_rest() -> None:
    _, line = monitoring.nagios(made(WARNING, GOOD, RULE, BAD, RULE))
    said, _, performance = line.partition(" | ")
    assert said == (
        "FPMJAIL CRITICAL - 1 site, example: jail: /j (uid 0, mode 0777); example: tls broken in the jail; "
        "example: jail: /j (uid 0, mode 0777) and 1 more"
    )
    assert performance.startswith("bad=3;;0;0 warning=1;0;;0 good=1;;;0 sites=1;;;0 held=0;;;0 oldest=90s;;;0 ")


@given(st.text(), st.text())
def test_nothing_that_a_probe_says_breaks_the_line_or_its_performance_data(seen: str, problem: str) -> None:
    rule = Finding("files", "jail", Level.BAD, seen, "fix")
    _, line = monitoring.nagios(made(rule, problems=(problem,)))
    _, _, performance = line.partition(" | ")
    assert line.isprintable() and line.count("|") == 1
    assert all(PERFORMANCE.fullmatch(word) for word in performance.split(" "))


def test_metrics_keep_to_the_grammar_and_say_what_was_found() -> None:
    found = parsed(monitoring.prometheus(made(GOOD, BAD, RULE, WARNING)))
    assert found["fpmjail_check_ok"] == [
        'fpmjail_check_ok{site="example",capability="php"} 1',
        'fpmjail_check_ok{site="example",capability="tls"} 0',
    ]
    assert 'fpmjail_rule_ok{site="example",topic="files",rule="jail"} 0' in found["fpmjail_rule_ok"]
    assert found["fpmjail_generation_age_seconds"] == [
        'fpmjail_generation_age_seconds{site="example",profile="a1b2c3d4e5f6"} 90'
    ]
    assert found["fpmjail_image_held"][0].endswith(" 0")
    assert 'fpmjail_findings{site="example",level="bad"} 2' in found["fpmjail_findings"]


def test_a_rule_that_was_looked_at_twice_is_one_series_with_the_worse_value() -> None:
    kept = Finding("files", "jail", Level.GOOD, "fine")
    (series,) = parsed(monitoring.prometheus(made(kept, RULE, kept)))["fpmjail_rule_ok"]
    assert series.endswith(" 0")


@given(st.text(), st.text(), st.floats(0, 1e12))
def test_no_name_breaks_the_grammar(site: str, name: str, seconds: float) -> None:
    finding = Finding("capability", name, Level.GOOD, "works")
    one = Checked(site, (finding,), seconds, Copies("p", None, False, True))
    assert parsed(monitoring.prometheus(Report((one,), (), NOW)))


def test_a_server_without_sites_has_metrics_too() -> None:
    found = parsed(monitoring.prometheus(Report((), (), NOW)))
    assert found["fpmjail_unreadable_sites"] == ["fpmjail_unreadable_sites 0"]


def test_json_has_every_field_of_a_finding_by_site() -> None:
    (row,) = report.as_json(made(BAD))["example"]
    assert set(row) == {"topic", "name", "level", "seen", "fix", "origin", "outside", "verdict"}
    assert (row["verdict"], row["level"]) == ("broken in the jail", "bad")


@pytest.mark.parametrize("words", [["check", "--nagios"], ["check", "--nagios", "--bad"], ["check", "x", "--nagios"]])
def test_a_plugin_that_cannot_look_is_unknown_and_not_a_warning(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(*_: object, **__: object) -> Report:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(report, "gather", gather)
    assert cli.main(words) == 3
    printed = capsys.readouterr()
    assert printed.out.startswith("FPMJAIL UNKNOWN - ") and printed.out.count("\n") == 1
    assert printed.err == ""


def test_help_of_a_plugin_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["check", "--nagios", "--help"])
    assert end.value.code == 0
    assert "--prometheus FILE" in capsys.readouterr().out
