# SPDX-License-Identifier: MIT
"""Brings sites to life: what the maintainer scripts and an admin call.

Every step looks first; what is already true costs nothing, and a site that is up stays up. Each step is taken for all
sites that are configured before the next one, so that systemd and the web server are told once for all of them. A
fault in one site's own things stops that one there, is said in one sentence with a way out, and leaves a new site
switched off entirely; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fpmjail import (
    announcing,
    apparmor,
    cron,
    dropin,
    files,
    fpm,
    image,
    jail,
    mail,
    mounting,
    places,
    sftp,
    starting,
    state,
    systemd,
    takedown,
    vhost,
    web,
)
from fpmjail import refresh as refreshing
from fpmjail import site as sites
from fpmjail.arrival import (
    Arrival,
    Failures,
    Say,
    each,
    kept,
    socket_fingerprint,
    surroundings,
    unexpected,
    unit_fingerprint,
)
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.places import SiteFault
from fpmjail.refresh import Decision, Mode, Outcome, Task
from fpmjail.site import Site
from fpmjail.starting import Progress
from fpmjail.state import State

NOT_RUNNING = "not started: systemd is not running here"
NOT_ALLOWED = "not started, what runs is left as it is: policy-rc.d forbids it; when it allows that: fpmjail configure"
IN_COMMON = "APCu, the loopback interface and abstract sockets stay shared with the other sites of this PHP"


def configure(layout: Layout, name: str, say: Say) -> None:
    """Apply a site's description to this server. Raises SiteFault, sites.SiteError."""
    failures = configure_all(layout, {name: say})
    if name in failures:
        raise failures[name]


def configure_all(layout: Layout, tellers: Mapping[str, Say]) -> Failures:
    """Make sites true on this host, each with whom to tell about it; returns what keeps sites from that.

    Who is told of the first one waits, and is told how far all are.
    """
    failures: Failures = {}
    progress = next(iter(tellers.values()))
    files.make_run(layout.run)
    with files.lock(layout.lock_file):  # also while an administrator could switch one of them off
        known = looked_at(layout, tellers, failures)
        placed = each(lambda one: place(layout, one), known, failures)
        up = bring_up(layout, placed, failures, progress)
        each(lambda one: withdrawn(layout, one), [one for one in known if one.site.name in failures], failures)
        each(lambda one: recorded(layout, one), up, failures)
    return failures


def looked_at(layout: Layout, tellers: Mapping[str, Say], failures: Failures) -> tuple[Arrival, ...]:
    """The sites that can be configured at all."""
    arrivals = []
    users = sites.by_user(layout) if len(tellers) > 1 else None
    for name, say in tellers.items():
        try:
            arrivals.append(arriving(layout, name, say, users))
        except (SiteFault, sites.SiteError) as fault:
            failures[name] = fault
        except (OSError, files.UnsafePath) as error:
            failures[name] = SiteFault(str(error), f"put that right, then: fpmjail configure {name}")
        except Exception as error:  # whatever it is, it stops no other site
            failures[name] = unexpected(error)
    return tuple(arrivals)


def withdrawn(layout: Layout, one: Arrival) -> Arrival:
    """Take back what was done for a new site that cannot be configured; one that was there before stays up."""
    if one.known is None:
        takedown.withdraw(layout, one.site)
    return one


def arriving(layout: Layout, name: str, say: Say, users: Mapping[str, tuple[Site, ...]] | None) -> Arrival:
    """What is known of a site, with all sites of each user if that is known. Raises SiteFault, sites.SiteError."""
    site = sites.load(layout.sites / name / "site.json")
    before = state.read(layout, name)
    refuse_another_isolation(site, before)
    owner = places.check_account(site, sites.with_same_user(layout, site, users))
    return Arrival(site, owner, before, surroundings(site), say, off=state.marked(layout, name))


def place(layout: Layout, one: Arrival) -> Arrival:
    """Make the site's directories. Raises SiteFault."""
    for words in places.make(layout, one.site, one.owner):
        one.say(words)
    return one


def refuse_another_isolation(site: Site, before: State | None) -> None:
    """A site's data lies elsewhere with another isolation, and moving it is not for a package to do. Raises SiteFault.

    The package's preinst says the same, before anything is unpacked.
    """
    if before is None or before.isolation == site.isolation:
        return
    former, base = (dedicated_base(site) if site.shared else shared_base(site)), site.paths.base
    raise SiteFault(
        f"the site is installed with isolation: {before.isolation}, this version has isolation: {site.isolation}",
        f"to stay: install a version with isolation: {before.isolation}; to change: apt purge {site.package} (it keeps "
        f"the data), move what lies in {former} to {base}, usermod --home {base} {site.user.name}, "
        f"apt install {site.package}",
    )


def dedicated_base(site: Site) -> Path:
    """Where the data of this site lies with isolation: dedicated."""
    return Layout().chroot(site.name)


def shared_base(site: Site) -> Path:
    """Where the data of this site lies with isolation: shared."""
    return Layout().chroot(site.name) / "var/www" / site.name


def bring_up(layout: Layout, arrivals: Sequence[Arrival], failures: Failures, progress: Say) -> tuple[Arrival, ...]:
    """The steps from the image to the web server, in their order; returns those that went through all of them."""
    images: dict[str, Manifest] = {}
    seen = starting.look(layout, arrivals)
    with_image = each(lambda one: imaged(layout, one, images), seen, failures)
    made = each(lambda one: furnish(layout, one), with_image, failures)
    mounted = mounting.mount(layout, made, failures)
    running = run_php(layout, mounted, failures, progress)
    results = web.apply_all(layout, [(one.site, one.on) for one in running])
    served = kept(((one.site, hosted(one, results[one.site.name])) for one in running), failures)
    return each(lambda one: beside_the_web(layout, one), served, failures)


def imaged(layout: Layout, one: Arrival, known: dict[str, Manifest]) -> Arrival:
    """A fit generation of the site's profile, built when there is none; one that is `known` is not looked at again.
    Raises SiteFault."""
    profile = one.site.profile.id
    if profile not in known:
        outcome = ensured(layout, one.site)
        manifest = image.read_manifest(layout, profile, outcome.after)
        if manifest is None:
            reason = f"its image cannot be built: {'; '.join(outcome.words)}"
            raise SiteFault(reason, way_out(one.site, outcome.words))
        if outcome.decision is not Decision.CURRENT:
            one.say(refreshing.line(outcome))
        known[profile] = manifest
    return replace(one, manifest=known[profile])


def ensured(layout: Layout, site: Site) -> Outcome:
    """What became of the site's profile."""
    task = Task(layout, site.profile, (site,), Mode(final=False, needed=True))
    if outcome := refreshing.look(task):
        return outcome
    members = tuple(one for one in sites.installed(layout)[0] if one.profile.id == site.profile.id)
    return refreshing.run(replace(task, sites=members))


def way_out(site: Site, words: Sequence[str]) -> str:
    """What to do about an image that cannot be built."""
    named = [one for one in site.programs if any(one.path in text for text in words)]
    lost = [one for one in named if any(f"{one.path} is not there" in text for text in words)]
    packages = sorted({package.partition(" ")[0] for one in lost for package in one.packages})
    if not named:
        return "install or correct what is named there"
    install = f"apt install {' '.join(packages)}, or " if packages else ""
    return f"{install}correct `jail.programs` in {places.origin(site, 'jail.programs')}"


def furnish(layout: Layout, one: Arrival) -> Arrival:
    """Make the jail itself, and load what walls it in. Raises SiteFault."""
    mounting.make_room(one.site)
    if one.manifest:
        jail.make(layout, one.site, one.manifest)
    if fault := mail.password(layout, one.site)[1]:
        one.say(f"mail cannot be sent: {fault}")
    for words in apparmor.apply(one.site):
        one.say(words)
    return one


def run_php(layout: Layout, arrivals: Sequence[Arrival], failures: Failures, progress: Say) -> tuple[Arrival, ...]:
    """Prove what PHP-FPM is told, and start it unless the site is switched off or nothing may be started here."""
    alone = [one for one in arrivals if not one.site.shared]
    in_common = [one for one in arrivals if one.site.shared]
    tested = Progress("PHP-FPM tested the pools of", progress)
    told = (
        *starting.several(lambda one: applied(layout, one), alone, failures, tested),
        *each(lambda one: applied(layout, one), in_common, failures),
    )
    dedicated = [one for one in told if one.started and not one.site.shared]
    others = [one for one in told if not (one.started and not one.site.shared)]
    return (*starting.start(layout, dedicated, failures, progress), *each(leave, others, failures))


def applied(layout: Layout, one: Arrival) -> Arrival:
    """Bring the pool up to date. Raises SiteFault, PoolFault."""
    site = one.site
    if site.shared:
        from fpmjail import shared

        remounted = one.before.profile not in ("", site.profile.id)
        taken = shared.apply(layout, site, provable=one.around.live, on=one.on, remounted=remounted)
    else:
        # The start of a new site proves more than a test does.
        taken = fpm.apply(layout, site, provable=one.around.live, started=one.known is None and one.started)
    if taken.refused:
        instead = "runs without any drop-in" if taken.changed else "goes on with what it had"
        one.say(f"drop-in not applied: {taken.refused}; until that is mended PHP-FPM {instead}")
    return replace(one, applied=taken)


def leave(one: Arrival) -> Arrival:
    """What is said and done about a site that no master of its own is started for."""
    if not one.on:
        one.say(f"stays switched off; to switch it on: fpmjail enable {one.site.name}")
    elif not one.around.live:
        one.say(f"{NOT_ALLOWED} {one.site.name}" if one.around.forbidden else NOT_RUNNING)
    else:
        start_shared(one)
    return one


def start_shared(one: Arrival) -> None:
    """What is on beside the pool, which Debian's master takes up at the reload for all."""
    starting.watch_certificate(one.site, one.say)
    unit = one.site.units.service
    if systemd.properties(unit, "UnitFileState")["UnitFileState"] in ("disabled", "masked"):
        one.say(f"{unit} is off, so the site is down after a boot: systemctl unmask {unit}; systemctl enable {unit}")
    if not one.before.configured:
        one.say(IN_COMMON)


def hosted(one: Arrival, result: vhost.Result) -> Arrival | Exception:
    """What the web server said to the site."""
    if isinstance(result, Exception):
        return result
    for words in result.words:
        one.say(f"drop-in not applied: {words}" if words == result.refused else words)
    return replace(one, host=result)


def beside_the_web(layout: Layout, one: Arrival) -> Arrival:
    """Jobs and SFTP: on with the site, off with it. What is wrong there is said and keeps no page from anybody."""
    site = one.site
    state.mark(layout, site.name, not one.on)
    for timer in cron.forget_former(site):
        one.say(f"{timer} is gone, as its job is")
    transfer = sftp.apply(layout, site, not one.on)
    words = (*cron.start(site), *cron.missing(layout, site)) if one.started else ()
    for text in (*words, *transfer.words, *((f"SFTP not applied: {transfer.refused}",) if transfer.refused else ())):
        one.say(text)
    return replace(one, transfer_refused=transfer.refused)


def recorded(layout: Layout, one: Arrival) -> Arrival:
    """Write down that the site was configured; the next reload of the web servers announces it."""
    state.write(layout, one.site.name, remember(layout, one))
    announcing.expect(layout, one.site.name, one.slept)
    return one


def remember(layout: Layout, one: Arrival) -> State:
    """The state after a successful run."""
    site, before = one.site, one.before
    pool = dropin.read(fpm.dropin_directory(layout, site))
    directives = dropin.read(web.dropin_directory(layout, site))
    now = state.now()
    return State(
        version=site.version,
        profile=site.profile.id,
        configured=now,
        arrivals=state.arrived(before, site.version, now),
        units=before.units if one.around.forbidden else unit_fingerprint(site),
        socket=before.socket if one.around.forbidden else socket_fingerprint(site),
        isolation=site.isolation,
        apparmor=apparmor.fingerprint(site) if one.started else before.apparmor,
        pool_dropins=before.pool_dropins if one.applied.refused else dropin.fingerprint(pool),
        web_dropins=before.web_dropins if one.host.refused else dropin.fingerprint(directives),
        pool_refused=one.applied.refused,
        web_refused=one.host.refused,
        sftp_refused=one.transfer_refused,
        disabled=not one.on,
    )


def switch(layout: Layout, name: str, on: bool, say: Say) -> None:
    """`fpmjail enable` and `disable`: the admin's switch, which later configurations honour."""
    site = sites.load(layout.sites / name / "site.json")
    with files.lock(layout.lock_file):
        state.set_disabled(layout, name, not on)
        if not on:
            takedown.withdraw(layout, site)
            takedown.settle_pools(layout, site, say)
            takedown.end_commands(layout, site, say)
    if on:
        configure(layout, name, say)
        with files.lock(layout.lock_file):
            takedown.settle_pools(layout, site, say)
    trouble = web.reload(site) or sftp.reload(layout)
    say(trouble or ("switched on" if on else "switched off"))
