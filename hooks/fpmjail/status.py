# SPDX-License-Identifier: MIT
"""`fpmjail status`: every site and every image of this server at a glance, and what needs an admin's hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fpmjail import capability, checked, cron, doors, dropin, fpm, holds, image, release, run, state, systemd, web
from fpmjail import site as sites
from fpmjail.doors import Door
from fpmjail.layout import Layout
from fpmjail.site import Profile, Site

if TYPE_CHECKING:
    from fpmjail import outside
    from fpmjail.finding import Finding


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site; `service` is systemd's word or `idle`, `check` the last one's outcome, `warnings` say what to do.

    `since` is when this version came, `arrivals` are those before it and itself, each with its time.
    """

    name: str
    version: str
    image: str
    configured: str
    service: str
    isolation: str
    enabled: bool
    jobs: tuple[cron.Fate, ...]
    warnings: tuple[str, ...]
    check: str = "never"
    checked: str = ""
    since: str = "never"
    arrivals: tuple[state.Arrival, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image; `created` is when its generation was built, `decision` what the last refresh decided."""

    profile: str
    php: str
    generation: str
    created: str
    fresh: bool
    decision: str
    hold: str
    sites: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What `fpmjail status` shows; `doors` are ways around every jail that are the host's, not ours, to close;
    `removed` are the sites whose package was removed and not purged."""

    sites: tuple[SiteRow, ...]
    images: tuple[ImageRow, ...]
    warnings: tuple[str, ...]
    doors: tuple[Door, ...]
    removed: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """True when nothing needs an admin's hand."""
        return not (
            self.warnings or any(row.warnings for row in self.sites) or any(row.warnings for row in self.images)
        )


def look(layout: Layout) -> Status:
    """Look at everything; changes nothing."""
    found, errors = sites.installed(layout)
    profiles = {site.profile.id: site.profile for site in found}
    problems = capability.load(layout).problems
    states = unit_states(found)
    return Status(
        tuple(site_row(layout, site, service_word(site, states)) for site in found),
        tuple(image_row(layout, profile, found) for _, profile in sorted(profiles.items())),
        (*map(str, errors), *map(str, problems)),
        doors.look(layout) if systemd.running() else (),
        removed(layout),
    )


def unit_states(found: Iterable[Site]) -> dict[str, str]:
    """systemd's word for each service and socket of the sites that it knows of, all asked for at once."""
    units = {unit for site in found for unit in (site.units.service, site.units.socket, *site.units.standbys) if unit}
    return systemd.states(*sorted(units)) if units and systemd.running() else {}


def service_word(site: Site, states: Mapping[str, str]) -> str:
    """How a site's PHP is: systemd's word, or `idle` when it will start with the next request."""
    beginning = site.units.standby.partition("@")[0]
    if beginning and any(unit.startswith(f"{beginning}@") and word == "active" for unit, word in states.items()):
        return "active"
    word = states.get(site.units.service, "unknown")
    return "idle" if word == "inactive" and states.get(site.units.socket) == "active" else word


def removed(layout: Layout) -> tuple[str, ...]:
    """The sites that dpkg has removed, or a release upgrade has, and that were not purged."""
    from fpmjail import leftovers

    present = {path.parent.name for path in layout.sites.glob("*/site.json")}
    return tuple(sorted(leftovers.packaged(layout) - present))


def site_row(layout: Layout, site: Site, service: str) -> SiteRow:
    """One site."""
    known = state.read(layout, site.name)
    jobs = cron.fates(site)
    last = checked.recall(layout, site.name)
    return SiteRow(
        name=site.name,
        version=site.version,
        image=site.profile.id,
        configured=known.configured if known else "never",
        service=service,
        isolation=site.isolation,
        enabled=web.enabled(site),
        jobs=jobs,
        warnings=(*site_warnings(layout, site, known), *job_warnings(jobs)),
        check=str(last) if last else "never",
        checked=last.when if last else "",
        since=known.since if known else "never",
        arrivals=known.arrivals if known else (),
    )


def site_warnings(layout: Layout, site: Site, known: state.State | None) -> tuple[str, ...]:
    """What an admin should do about a site."""
    foreign = tuple(filter(None, (release.stranger(layout, site),)))
    if known is None:
        return (*foreign, f"not configured: {release.finish(layout, site)}")
    return (*foreign, *unapplied(layout, site, known), *refusals(known), *pool_warnings(layout, site, known))


def pool_warnings(layout: Layout, site: Site, known: state.State) -> tuple[str, ...]:
    """What keeps the pool of a shared site from Debian's master."""
    if not site.shared or known.disabled:
        return ()
    from fpmjail import shared

    words = shared.waiting(layout, site)
    return (words,) if words else ()


def job_warnings(jobs: tuple[cron.Fate, ...]) -> tuple[str, ...]:
    """Jobs whose last run ended badly."""
    return tuple(
        f"the job {fate.job.name} failed ({fate.outcome}): journalctl -u {fate.job.service}"
        for fate in jobs
        if fate.failed
    )


def refusals(known: state.State) -> tuple[str, ...]:
    """Drop-ins that were left out, and why."""
    kept = tuple(f"drop-in not applied: {words}" for words in (known.pool_refused, known.web_refused) if words)
    return (*kept, *((f"SFTP not applied: {known.sftp_refused}",) if known.sftp_refused else ()))


def unapplied(layout: Layout, site: Site, known: state.State) -> tuple[str, ...]:
    """Drop-ins that were changed since they were last taken over."""
    pairs = (
        (fpm.dropin_directory(layout, site), known.pool_dropins, known.pool_refused),
        (web.dropin_directory(layout, site), known.web_dropins, known.web_refused),
    )
    return tuple(
        f"{directory} was changed and is not applied: fpmjail configure {site.name}"
        for directory, applied, refused in pairs
        if not refused and dropin.fingerprint(dropin.read(directory)) != applied
    )


def image_row(layout: Layout, profile: Profile, found: list[Site]) -> ImageRow:
    """One image."""
    current = image.current(layout, profile.id)
    hold = holds.read(layout, profile.id)
    last = run.recall(layout)["latest"].get(profile.id, {})
    fresh = current is not None and image.unchanged(layout, profile.id)
    members = [site for site in found if site.profile.id == profile.id]
    lost = () if fresh else taken_away(layout, members[0])
    return ImageRow(
        profile=profile.id,
        php=profile.php,
        generation=current or "none",
        created=built(layout, profile, current),
        fresh=fresh,
        decision=str(last.get("decision", "")),
        hold=hold.reason if hold else "",
        sites=len(members),
        warnings=(
            *lost,
            *image_warnings(profile, current, fresh or bool(lost), held(hold), tuple(last.get("words", ()))),
        ),
    )


def held(hold: holds.Hold | None) -> str:
    """Since when an image is held, and why; empty when it is not."""
    return f"since {hold.since}, {hold.reason}" if hold else ""


def built(layout: Layout, profile: Profile, current: str | None) -> str:
    """When the generation in use was built."""
    manifest = image.read_manifest(layout, profile.id, current)
    return manifest.created if manifest else ""


def image_warnings(
    profile: Profile, current: str | None, fresh: bool, hold: str, words: tuple[str, ...]
) -> tuple[str, ...]:
    """What an admin should do about an image."""
    if current is None:
        return ("there is no generation: fpmjail refresh",)
    if hold:
        way_out = f"to follow the server again: fpmjail rollback --release-hold {profile.id}"
        return (f"held {hold}; upgrades of the server do not reach it; {way_out}",)
    return () if fresh else ("; ".join(("the server has newer files: fpmjail refresh", *words)),)


def taken_away(layout: Layout, site: Site) -> tuple[str, ...]:
    """The packages without which no image can be made any more, with the way to have them back."""
    from fpmjail import absent

    lost = absent.lost(layout, site)
    return (f"{absent.words(lost)}: {absent.install(lost)}",) if lost else ()


def is_on(layout: Layout, site: Site) -> bool:
    """False for a site that an admin switched off with `fpmjail disable`."""
    known = state.read(layout, site.name)
    return known is None or not known.disabled


def check_site(layout: Layout, site: Site, host: outside.Host | None = None) -> tuple[Finding, ...]:
    """Everything that `fpmjail check` finds about a site; `host` is asked the same outside of the jail.

    One that is switched off has nothing that could be asked.
    """
    from fpmjail import check
    from fpmjail.finding import warning

    known = state.read(layout, site.name) or state.State()
    if known.disabled:
        seen = "it is switched off: no virtual host, no PHP, no jobs"
        return (warning("site", "switched off", seen, f"fpmjail enable {site.name}"),)
    return check.check(layout, site, (*unapplied(layout, site, known), *refusals(known)), host)


def timer_word(fate: cron.Fate) -> str:
    """Whether a job is going to run."""
    return "on" if fate.waiting else "off" if fate.enabled else "disabled"


def as_json(seen: Status) -> dict[str, Any]:
    """The same for machines."""
    return {**asdict(seen), "good": seen.good}


def text(seen: Status) -> str:
    """The same for people."""
    from fpmjail import table

    sites_table = table.render(
        ("SITE", "VERSION", "SINCE", "IMAGE", "ISOLATION", "SERVICE", "VHOST", "LAST CHECK"),
        [
            (r.name, r.version, r.since, r.image, r.isolation, r.service, "on" if r.enabled else "off", r.check)
            for r in seen.sites
        ],
    )
    images_table = table.render(
        ("IMAGE", "PHP", "GENERATION", "BUILT", "FRESH", "SITES"),
        [(r.profile, r.php, r.generation, r.created, "yes" if r.fresh else "NO", str(r.sites)) for r in seen.images],
    )
    jobs_table = table.render(
        ("JOB", "SITE", "TIMER", "LAST RUN", "RESULT", "NEXT RUN"),
        [
            (fate.job.name, row.name, timer_word(fate), fate.last or "-", fate.outcome, fate.next or "-")
            for row in seen.sites
            for fate in row.jobs
        ],
        width=140,
    )
    notes = [
        *(f"site {row.name}: {words}" for row in seen.sites for words in row.warnings),
        *(f"image {row.profile}: {words}" for row in seen.images for words in row.warnings),
        *seen.warnings,
        *(
            f"{door.words} runs as www-data, outside every jail; if nothing needs it: {door.close}"
            for door in seen.doors
        ),
        *(
            f"site {name} was removed, its data stays; to have it back: apt install site-{name}-jail; "
            f"to forget it: apt purge site-{name}-jail"
            for name in seen.removed
        ),
    ]
    words = "\n".join(notes) or "nothing needs your hand"
    return "\n\n".join(filter(None, (sites_table, images_table, jobs_table, words)))
