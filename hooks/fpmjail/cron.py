# SPDX-License-Identifier: MIT
"""The jobs of a site: their timers are switched on and off with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fpmjail import inside, systemd
from fpmjail.layout import Layout
from fpmjail.site import Job, Site

WANTS = systemd.LINKS / "timers.target.wants"
RUNNING = frozenset({"active", "activating", "deactivating"})


@dataclass(frozen=True, slots=True)
class Fate:
    """How a job fares: `result` is systemd's word for the last run, times are as systemctl prints them."""

    job: Job
    enabled: bool
    waiting: bool
    running: bool
    last: str
    result: str
    status: str
    next: str

    @property
    def failed(self) -> bool:
        """True when the last run ended badly."""
        return self.result not in ("", "success")

    @property
    def outcome(self) -> str:
        """The last run in a few words."""
        if self.running:
            return "running"
        if not self.last:
            return "never ran"
        return f"{self.result}, status {self.status}" if self.failed else "good"


def units(site: Site) -> tuple[str, ...]:
    """All units of the jobs, timers first: what they would start is then stopped after them."""
    return (*(job.timer for job in site.cron), *(job.service for job in site.cron))


def start(site: Site) -> tuple[str, ...]:
    """Start every timer that an administrator has not disabled; returns what is in the way."""
    timers = [job.timer for job in site.cron if enabled(job)]
    answer = systemd.systemctl("start", *timers) if timers else None
    return (f"a job's timer does not start: {answer.words}",) if answer and not answer.good else ()


def enabled(job: Job) -> bool:
    """False for a timer that an administrator disabled by systemctl(1)."""
    return systemd.run(["systemctl", "is-enabled", job.timer]).good


def stop(site: Site) -> None:
    """Stop every timer, and every job that runs."""
    for kind in ("timer", "service"):
        found = [unit for unit in units(site) if unit.endswith(f".{kind}")]
        if found:
            end(*found)


def end(*units: str) -> None:
    """Stop units and let systemd forget how they ended, or it would keep those that are gone."""
    systemd.systemctl("stop", *units)
    systemd.systemctl("reset-failed", *units)


def forget_former(site: Site, wants: Path = WANTS) -> tuple[str, ...]:
    """Stop and forget the timers of jobs that an older version of the package had; returns their units."""
    known = {job.timer for job in site.cron}
    links = (path for path in wants.glob(f"{site.package}-cron-*.timer") if path.name not in known)
    former = tuple(sorted(path.name for path in links if not path.exists()))
    for timer in former:
        end(timer)
        end(timer.removesuffix("timer") + "service")
        (wants / timer).unlink(missing_ok=True)
        for action in ("purge", "unmask"):
            systemd.run(["env", f"DPKG_MAINTSCRIPT_PACKAGE={site.package}", "deb-systemd-helper", action, timer])
    if former and systemd.running():
        systemd.systemctl("daemon-reload")
    return former


def missing(layout: Layout, site: Site) -> tuple[str, ...]:
    """What is wrong with the commands of the jobs, seen without running them."""
    words = []
    for job in site.cron:
        try:
            inside.find_program(layout, site, job.command[0], str(site.inside.document_root))
        except inside.NotInside as error:
            words.append(f"the job {job.name} cannot run: {error}")
    return tuple(words)


def fates(site: Site) -> tuple[Fate, ...]:
    """How the jobs fare now."""
    return tuple(map(fate, site.cron)) if systemd.running() else ()


def fate(job: Job) -> Fate:
    """How one job fares."""
    timer = systemd.properties(job.timer, "ActiveState", "NextElapseUSecRealtime")
    service = systemd.properties(job.service, "ActiveState", "Result", "ExecMainStatus", "ExecMainStartTimestamp")
    return Fate(
        job=job,
        enabled=enabled(job),
        waiting=timer["ActiveState"] == "active",
        running=service["ActiveState"] in RUNNING,
        last=service["ExecMainStartTimestamp"],
        result=service["Result"],
        status=service["ExecMainStatus"],
        next=timer["NextElapseUSecRealtime"],
    )
