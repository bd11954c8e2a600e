# SPDX-License-Identifier: MIT
"""`fpmjail check`: what it is asked for, and the forms in which it answers."""

from __future__ import annotations

import argparse
from pathlib import Path

from fpmjail import monitoring, report, table
from fpmjail.files import replace_file
from fpmjail.finding import Level
from fpmjail.layout import Layout
from fpmjail.output import complain, show_json
from fpmjail.report import Report


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Check what the arguments name, and show it as they ask; the exit status."""
    if arguments.isolation:
        return try_isolation(arguments, layout)
    if not arguments.site and not arguments.all:
        return refuse(arguments, "name a site that is installed, or --all")
    target = arguments.prometheus
    if target and target != "-" and not target.endswith(".prom"):
        return refuse(arguments, f"{target} must end in .prom: node_exporter reads no other file")
    try:
        seen = report.gather(layout, arguments.site, all_sites=arguments.all, compare=not arguments.jail_only)
    except report.UnknownSite as error:
        return refuse(arguments, str(error))
    return show_report(arguments, seen)


def try_isolation(arguments: argparse.Namespace, layout: Layout) -> int:
    """Let sites try to reach each other."""
    from fpmjail import isolation_run

    if len(arguments.site) not in (0, 2) or len(set(arguments.site)) != len(arguments.site):
        return refuse(arguments, "--isolation takes two sites, the one that tries and the one that is tried, or none")
    if arguments.nagios or arguments.prometheus:
        return refuse(arguments, "--isolation has no form for monitoring: its exit status is 1 if one was reached")
    try:
        wanted = isolation_run.chosen(layout, arguments.site)
    except (report.UnknownSite, isolation_run.TooFew) as error:
        return refuse(arguments, str(error))
    met = []
    for one in isolation_run.run(layout, wanted, complain):
        met.append(one)
        if not arguments.json:
            print(isolation_run.text(one, table.paper().width, whole=bool(arguments.site)), end="\n\n", flush=True)
    if arguments.json:
        show_json(isolation_run.as_json(met))
    return 0 if all(one.good for one in met) else 1


def refuse(arguments: argparse.Namespace, words: str) -> int:
    """A check that cannot be made: for monitoring its outcome is unknown, else the command line is wrong."""
    if not arguments.nagios:
        complain(words)
        return 2
    status, line = monitoring.nagios_unknown(words)
    print(line)
    return status


def show_report(arguments: argparse.Namespace, seen: Report) -> int:
    """A check in the form that was asked for; its exit status."""
    if arguments.prometheus:
        expose(arguments.prometheus, monitoring.prometheus(seen))
    if arguments.nagios:
        status, line = monitoring.nagios(seen)
        print(line)
        return status
    for problem in seen.problems:
        complain(problem)
    if arguments.json:
        show_json(report.as_json(seen))
    elif not arguments.prometheus:
        print("\n\n".join(f"{one.name}\n{table.findings(one.findings)}" for one in seen.checked))
    return 1 if seen.level is Level.BAD else 0


def expose(target: str, text: str) -> None:
    """Write metrics: node_exporter may read the file at any moment, so it changes by one rename. Raises OSError."""
    if target == "-":
        print(text, end="")
        return
    replace_file(Path(target), text.encode())
