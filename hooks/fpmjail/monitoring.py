# SPDX-License-Identifier: MIT
"""A check for monitoring: one line for Nagios and its kin, metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fpmjail.finding import Finding, Level
from fpmjail.probe import printable
from fpmjail.report import Checked, Report

OK, WARNING, CRITICAL, UNKNOWN = range(4)  # Monitoring Plugins Development Guidelines, "Plugin Return Codes"
STATES = {Level.GOOD: OK, Level.WARNING: WARNING, Level.BAD: CRITICAL}
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
NAMED = 3  # findings that the status line names; the rest is counted

Labels = Mapping[str, str]


def nagios(report: Report) -> tuple[int, str]:
    """The exit status and the line with performance data (Monitoring Plugins Development Guidelines)."""
    state = STATES[report.level]
    return state, nagios_line(state, f"{said(report)} | {' '.join(performance(report))}")


def nagios_line(state: int, text: str) -> str:
    """One line; what comes before `|` must not have one."""
    return f"FPMJAIL {WORDS[state]} - {text}"


def nagios_unknown(text: str) -> tuple[int, str]:
    """Nothing could be checked."""
    return UNKNOWN, nagios_line(UNKNOWN, unpiped(text.removeprefix("fpmjail: ").removeprefix("error: ")))


def unpiped(text: str) -> str:
    """A text that cannot be taken for performance data."""
    return printable(text).replace("|", "/")


def said(report: Report) -> str:
    """What is wrong, worst first, or that nothing is."""
    count = sum(one.copies is not None for one in report.checked)
    sites = f"{count} {'site' if count == 1 else 'sites'}"
    wrong = [*report.problems, *(f"{name}: {brief(finding)}" for name, finding in worst_first(report))]
    if not wrong:
        return f"{sites}, {sum(len(one.findings) for one in report.checked)} checks"
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return unpiped(f"{sites}, {'; '.join(wrong[:NAMED])}") + more


def brief(finding: Finding) -> str:
    """A finding in a few words."""
    return f"{finding.name} {finding.verdict}" if finding.verdict else f"{finding.name}: {finding.seen}"


def worst_first(report: Report) -> Iterator[tuple[str, Finding]]:
    """What is not good, with the name of its site."""
    for level in (Level.BAD, Level.WARNING):
        yield from ((one.name, found) for one in report.checked for found in one.findings if found.level is level)


def performance(report: Report) -> Iterator[str]:
    """'label'=value[unit];[warn];[crit];[min];[max]"""
    ages = [report.when - one.copies.built for one in report.checked if one.copies and one.copies.built]
    yield f"bad={report.count(Level.BAD) + len(report.problems)};;0;0"
    yield f"warning={report.count(Level.WARNING)};0;;0"
    yield f"good={report.count(Level.GOOD)};;;0"
    yield f"sites={sum(one.copies is not None for one in report.checked)};;;0"
    yield f"held={sum(one.copies is not None and one.copies.held for one in report.checked)};;;0"
    yield f"oldest={max(ages, default=0):.0f}s;;;0"
    yield f"time={sum(one.seconds for one in report.checked):.3f}s;;;0"


@dataclass(frozen=True, slots=True)
class Metric:
    """One gauge with its samples."""

    name: str
    help: str
    samples: tuple[tuple[Labels, float], ...]


def prometheus(report: Report) -> str:
    """Gauges in Prometheus' text format, as node_exporter's textfile collector reads them."""
    return "".join(f"{line}\n" for metric in metrics(report) for line in exposition(metric))


def exposition(metric: Metric) -> Iterator[str]:
    """The lines of one metric; without samples there are none."""
    if not metric.samples:
        return
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} gauge"
    for labels, value in metric.samples:
        inside = ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())
        yield f"{metric.name}{{{inside}}} {value:.15g}" if inside else f"{metric.name} {value:.15g}"


def escaped(text: str) -> str:
    """The value of a label."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def metrics(report: Report) -> tuple[Metric, ...]:
    """Everything that a check can be watched by."""
    return (
        Metric("fpmjail_check_ok", "Whether a declared capability works in the jail of a site.", capabilities(report)),
        Metric("fpmjail_rule_ok", "Whether a rule is kept; a warning counts as kept.", rules(report)),
        Metric("fpmjail_findings", "Findings of the check of a site, by level.", counts(report)),
        *image_metrics(report),
        Metric(
            "fpmjail_check_duration_seconds",
            "How long the check of a site took.",
            tuple((site_label(one), one.seconds) for one in report.checked),
        ),
        Metric("fpmjail_unreadable_sites", "Sites whose site.json cannot be read.", (({}, len(report.problems)),)),
        Metric("fpmjail_check_timestamp_seconds", "When the check was made.", (({}, report.when),)),
        Metric(
            "fpmjail_refresh_timestamp_seconds",
            "When the images were last compared with the server.",
            (({}, report.refreshed),) if report.refreshed is not None else (),
        ),
    )


def image_metrics(report: Report) -> tuple[Metric, ...]:
    """The generation in each site's jail."""
    pairs = [({**site_label(one), "profile": one.copies.profile}, one.copies) for one in report.checked if one.copies]
    ages = tuple((labels, max(0.0, report.when - seen.built)) for labels, seen in pairs if seen.built is not None)
    return (
        Metric("fpmjail_generation_age_seconds", "Time since the copies in the jail of a site were made.", ages),
        Metric(
            "fpmjail_image_stale",
            "Whether the server has newer files than the jail of a site.",
            tuple((labels, float(not seen.fresh)) for labels, seen in pairs),
        ),
        Metric(
            "fpmjail_image_held",
            "Whether the copies of a site are held on a generation.",
            tuple((labels, float(seen.held)) for labels, seen in pairs),
        ),
    )


def site_label(one: Checked) -> dict[str, str]:
    """Which site, or the server."""
    return {"site": one.name}


def capabilities(report: Report) -> tuple[tuple[Labels, float], ...]:
    """1 for each capability that works, 0 for one that does not, whoever is to blame."""
    return unique(
        ({**site_label(one), "capability": found.name}, float(found.good))
        for one in report.checked
        for found in one.findings
        if found.topic == "capability"
    )


def rules(report: Report) -> tuple[tuple[Labels, float], ...]:
    """0 for each rule that is broken."""
    return unique(
        ({**site_label(one), "topic": found.topic, "rule": found.name}, float(found.level is not Level.BAD))
        for one in report.checked
        for found in one.findings
        if found.topic != "capability"
    )


def unique(samples: Iterable[tuple[Labels, float]]) -> tuple[tuple[Labels, float], ...]:
    """One sample for each set of labels, the worst: a second one would make the whole file unreadable."""
    worst: dict[tuple[tuple[str, str], ...], float] = {}
    for labels, value in samples:
        key = tuple(labels.items())
        worst[key] = min(value, worst.get(key, value))
    return tuple((dict(key), value) for key, value in worst.items())


def counts(report: Report) -> tuple[tuple[Labels, float], ...]:
    """Findings by level."""
    return tuple(
        ({**site_label(one), "level": level.value}, float(one.count(level)))
        for one in report.checked
        for level in Level
    )
