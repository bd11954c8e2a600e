# SPDX-License-Identifier: MIT
"""Configures, with the first site of a run of dpkg, all that are waiting, new ones and new versions: systemd, Apache
and the account database are told once for all of them, and PHP starts in several at a time.

Only those with the same dependencies wait for nothing else. What there is to say about each is left for its own
postinst (foregone.py), which fails for its own site alone.
"""

from __future__ import annotations

import os
import syslog
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail import apparmor, foregone, packages, places, state, systemd
from fpmjail import configure as configuring
from fpmjail import site as sites
from fpmjail.arrival import Say
from fpmjail.glance import WEB_RELOAD
from fpmjail.layout import Layout
from fpmjail.site import Site

PATTERN = "site-*-jail"
WANTED = frozenset({"install", "hold"})
BEING_CONFIGURED, WAITING = "half-configured", "unpacked"
SHARE = "/usr/share/fpmjail"
RANGES = ("system-accounts.conf", "further-accounts.conf")
ALONE = ".alone"  # no name of a site: in this run each has to be configured by itself
ALL = frozenset({"--pending", "-a"})


@dataclass(frozen=True, slots=True)
class Package:
    """A site's package as dpkg has it now; `known` is the version that was configured before, empty for none."""

    name: str
    want: str
    state: str
    known: str
    needs: str

    @property
    def site(self) -> str:
        """The site's name."""
        return self.name.removeprefix("site-").removesuffix("-jail")


def configure(layout: Layout, name: str, say: Say) -> None:
    """Make a site true on this host, and with it those that wait. Raises SiteFault, sites.SiteError."""
    run = foregone.run_of_dpkg()
    waiting = with_it(layout, name, run) if run else ()
    if not waiting:
        configuring.configure(layout, name, say)
        return
    say(f"with it {len(waiting)} more that wait for dpkg are configured")
    foregone.begin(layout, run)
    prepare(layout, waiting)
    lines: dict[str, list[str]] = {one.site: [] for one in waiting}
    tellers = {name: say, **{site: teller(site, kept) for site, kept in lines.items()}}
    try:
        failures = configuring.configure_all(layout, tellers)
    except Exception as error:  # whatever it is, the next ones need not meet it
        say(f"the others are configured one after another: {type(error).__name__}: {error}")
        foregone.leave(layout, ALONE, run, fault=True, lines=())
        configuring.configure(layout, name, say)
        return
    for site, kept in lines.items():
        if fault := failures.get(site):
            kept.append(f"fpmjail: {site}: {fault}")
        foregone.leave(layout, site, run, fault is not None, kept)
    systemd.run(["dpkg-trigger", "--no-await", WEB_RELOAD])  # the others do not, nor does a first one that fails
    if name in failures:
        raise failures[name]


def with_it(layout: Layout, name: str, run: str) -> tuple[Package, ...]:
    """The sites that are configured with this one: none if that would keep this one down for longer."""
    if not keeps_image(layout, name) or foregone.told(layout, ALONE, run):
        return ()
    waiting = companions(name, found(layout), named(run))
    return tuple(one for one in waiting if can_go_along(layout, one.site) and not foregone.told(layout, one.site, run))


def teller(name: str, lines: list[str]) -> Say:
    """Keep what there is to say about a site for its own postinst; the journal has it at once."""

    def tell(text: str) -> None:
        lines.append(f"fpmjail: {name}: {text}")
        syslog.openlog("fpmjail")
        syslog.syslog(syslog.LOG_NOTICE, f"{name}: {text}")

    return tell


def found(layout: Layout) -> tuple[Package, ...]:
    """The packages of sites that dpkg knows; none where it cannot be asked."""
    try:
        return tuple(Package(*fields) for fields in packages.states(PATTERN, layout.root))
    except packages.PackageError:
        return ()


def named(run: str) -> frozenset[str]:
    """What this run of dpkg was told to configure, by its command line: ALL, or names of packages, or of files."""
    try:
        words = Path(f"/proc/{run.partition(' ')[0]}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return frozenset()
    return frozenset({*words, *(os.path.basename(word).partition("_")[0].partition(":")[0] for word in words)})  # noqa: PTH119


def companions(name: str, known: Iterable[Package], asked: Collection[str]) -> tuple[Package, ...]:
    """The sites that wait like this one: dpkg will come to them in this run, and they need what it needs, which dpkg
    has seen to."""
    own = next((one for one in known if one.site == name and one.state == BEING_CONFIGURED), None)
    if own is None:
        return ()
    ready = (one for one in known if one.want in WANTED and one.state == WAITING and one.needs == own.needs)
    return tuple(one for one in ready if not ALL.isdisjoint(asked) or one.name in asked)


def can_go_along(layout: Layout, name: str) -> bool:
    """False for a site that has to wait for its own postinst: with another image, and with conffiles that count for it,
    a profile of AppArmor or drop-ins, which dpkg puts in place just before."""
    site = known(layout, name)
    if any((layout.admin_sites / name).rglob("*.dpkg-new")):
        return False
    return site is None or (not apparmor.name_of(site) and keeps_image(layout, name))


def keeps_image(layout: Layout, name: str) -> bool:
    """False for a site that gets another image: it is down from the first step of its configuration to the last."""
    site, before = known(layout, name), state.read(layout, name)
    return site is None or before is None or before.profile in ("", site.profile.id)


def prepare(layout: Layout, waiting: Sequence[Package]) -> None:
    """What the postinst of each would do first: accounts, and units."""
    pairs = [(one, site) for one in waiting if (site := known(layout, one.site))]
    make_accounts({one.name: site.user.name for one, site in pairs})
    off = disabled([unit for one, site in pairs if one.known for unit in enabled(site)])
    enable([unit for _, site in pairs for unit in enabled(site) if unit not in off])
    if off:
        systemd.run(["deb-systemd-helper", "update-state", *off])


def disabled(units: Iterable[str]) -> list[str]:
    """Of the units of sites that were there before those that an administrator switched off."""
    there = systemd.enabled()
    absent = (unit for unit in units if unit not in there)
    return [unit for unit in absent if not systemd.run(["deb-systemd-helper", "--quiet", "was-enabled", unit]).good]


def make_accounts(users: Mapping[str, str]) -> None:
    """Make the accounts of some packages, by name. systemd-sysusers(8) ends well even when it has no number left."""
    for numbers in RANGES:
        lacking = [f"{package}.conf" for package, user in users.items() if places.account(user) is None]
        if lacking and not systemd.run(["systemd-sysusers", f"{SHARE}/{numbers}", *lacking]).good:
            for one in lacking:
                systemd.run(["systemd-sysusers", f"{SHARE}/{numbers}", one])


def enable(units: Sequence[str]) -> None:
    """Enable units as deb-systemd-helper(1) does, which asks systemctl about one after another: here that is asked
    once, and the helper finds and records it. What is not enabled then, because one of them is masked or for an
    administrator's systemd.preset(5), it is told one by one."""
    before = systemd.enabled()
    if absent := [unit for unit in units if unit not in before]:
        systemd.run(["systemctl", "--system", "--preset-mode=enable-only", "preset", *absent])
    now = systemd.enabled()
    if done := [unit for unit in units if unit in now]:
        for action in ("update-state", "enable"):
            systemd.run(["deb-systemd-helper", action, *done])
    for unit in units:
        if unit not in now:
            systemd.run(["deb-systemd-helper", "enable", unit])


def known(layout: Layout, name: str) -> Site | None:
    """A site as its package describes it; None where that cannot be read."""
    try:
        return sites.load(layout.sites / name / "site.json")
    except sites.SiteError:
        return None


def enabled(site: Site) -> tuple[str, ...]:
    """The units that the package of a site enables, in the order of its postinst."""
    return (*filter(None, (site.units.socket, *site.units.paths)), *(job.timer for job in site.cron))
