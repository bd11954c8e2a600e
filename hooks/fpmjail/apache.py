# SPDX-License-Identifier: MIT
"""Apache: modules, virtual hosts, the admin's drop-ins, and reloads that are tested first."""

from __future__ import annotations

import errno
import os
import re
import socket
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail import dropin, files, ports, state, systemd, vhost
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.systemd import Answer
from fpmjail.vhost import Applied, Lacks, Result, VirtualHostFault, certified

NAME = "Apache"
CONFIGURATION = Path("/etc/apache2")
STATE = Path("/var/lib/apache2")
SERVICE = "apache2.service"
HTTP, HTTPS = 80, 443
NO_DROPINS = "/nonexistent/*.conf"

Texts = Mapping[str, str]
"""Virtual hosts, by their names in sites-enabled."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Sites whose virtual hosts are tested in place of those that Apache has now; those that are `on` it will have."""

    layout: Layout
    sites: tuple[Site, ...]
    on: frozenset[str]

    def verdict(self, texts: Texts) -> Answer:
        """Test the server's whole configuration with these and nothing else of the sites."""
        return verdict_with(texts, [f"{site.web.site}.conf" for site in self.sites])


@dataclass(frozen=True, slots=True)
class Granted:
    """What a site gets among others: a virtual host with the drop-ins that are `included`, or None when Apache refuses
    it even without any; `said` is what is wrong with those that the admin has now."""

    site: Site
    included: str | None
    said: str = ""


def installed() -> bool:
    """True when Apache is there to be asked."""
    return Path("/usr/sbin/apache2").exists() and (CONFIGURATION / "apache2.conf").exists()


def verdict(main: Path) -> Answer:
    """`apache2 -t` on a main configuration file, with environment and run directory as apache2ctl(8) makes them."""
    script = '. /etc/apache2/envvars && mkdir -p "$APACHE_RUN_DIR" && exec apache2 -t -f "$1"'
    return systemd.run(["sh", "-c", script, "sh", str(main)])


def verdict_with(texts: Texts, without: Collection[str]) -> Answer:
    """Test the server's whole configuration with these virtual hosts and without some files of sites-enabled."""
    with tempfile.TemporaryDirectory(prefix="fpmjail-apache-") as directory:
        place = Path(directory)
        mirror(place, without)
        for name, text in texts.items():
            (place / "sites-enabled" / f"{name}.conf").write_text(text)
        answer = verdict(place / "apache2.conf")
        return Answer(answer.status, answer.words.replace(f"{place}/", f"{CONFIGURATION}/"))


def mirror(place: Path, without: Collection[str]) -> None:
    """Make a main configuration in `place` that reads another sites-enabled, of links; all else is what is live."""
    (place / "sites-enabled").mkdir()
    for entry in CONFIGURATION.glob("sites-enabled/*"):
        if entry.name not in without:
            (place / "sites-enabled" / entry.name).symlink_to(entry)
    main = (CONFIGURATION / "apache2.conf").read_text(errors="surrogateescape")
    include = rf"^(\s*Include(?:Optional)?\s+[\"']?)(?:{re.escape(str(CONFIGURATION))}/)?sites-enabled(?=/)"
    text, found = re.subn(include, rf"\g<1>{place}/sites-enabled", main, flags=re.MULTILINE | re.IGNORECASE)
    added = "" if found else f"\nIncludeOptional {place}/sites-enabled/*.conf\n"  # what is enabled is read twice then
    (place / "apache2.conf").write_text(text + added, errors="surrogateescape")


def complaint(words: str) -> str:
    """The lines of Apache's test that say what is wrong, without its advice about ServerName."""
    lines = [re.sub(r"^AH\d+: ", "", line) for line in words.splitlines() if "AH00558" not in line]
    return " ".join(line.strip() for line in lines if line.strip()) or "apache2 -t failed and said nothing"


def module_on(name: str) -> bool:
    """True when the module's link stands in mods-enabled."""
    return (CONFIGURATION / "mods-enabled" / f"{name}.load").exists()


def disabled_by_admin(kind: str, name: str) -> bool:
    """True when an administrator switched this module or site off with a2dismod or a2dissite (a2enmod(8))."""
    return (STATE / kind / "disabled_by_admin" / name).exists()


def kept_off(site: Site) -> bool:
    """True when an administrator keeps the site out of Apache."""
    return disabled_by_admin("site", site.web.site)


def port_taken(port: int) -> bool:
    """True when another program listens there, so that Apache would die on its way to it."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("::", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def modules_needed(site: Site) -> tuple[str, ...]:
    """What the virtual host needs now: TLS only once there is a certificate for it."""
    return tuple(name for name in site.web.modules if name != "ssl" or certified(site))


def enable_module(name: str) -> str | None:
    """Switch a module on unless an administrator switched it off; returns what is in the way."""
    if module_on(name):
        return None
    if disabled_by_admin("module", name):
        return f"Apache's module {name} is off because an administrator disabled it; the site needs it: a2enmod {name}"
    if name == "ssl" and port_taken(HTTPS):
        return (
            f"port {HTTPS} is taken by another program, so Apache's module ssl stays off; free it, then: fpmjail reload"
        )
    answer = systemd.run(["a2enmod", "--quiet", "--maintmode", name])
    return None if answer.good else f"a2enmod {name}: {answer.words}"


def enable_modules(site: Site) -> tuple[str, ...]:
    """Switch on what the virtual host needs; returns what is in the way."""
    return tuple(words for words in map(enable_module, modules_needed(site)) if words)


def dropin_directory(layout: Layout, site: Site) -> Path:
    """Where the admin puts his own directives for the virtual host."""
    return layout.admin_sites / site.name / "apache.d"


def proven_dropins(layout: Layout, site: Site) -> Path:
    """The copy of the admin's drop-ins that the virtual host includes."""
    return layout.state / site.name / "apache.conf"


def candidate(site: Site, included: str, live: Path) -> str:
    """The virtual host's text with another file in place of the proven drop-ins."""
    return site.paths.vhost.read_text().replace(str(live), included)


def apply(layout: Layout, site: Site, on: bool) -> Applied:
    """Prove the virtual host and the admin's drop-ins, take them over, and, if it is `on`, enable the site unless an
    administrator disabled it.

    Never reloads. A bad drop-in leaves the proven ones in place, if these still fit. Raises VirtualHostFault for the
    package's own text.
    """
    result = apply_all(layout, ((site, on),))[site.name]
    if isinstance(result, Exception):
        raise result
    return result


def apply_all(layout: Layout, wanted: Sequence[tuple[Site, bool]]) -> dict[str, Result]:
    """The same for several sites, which share one test as long as nothing is wrong with any of them."""
    if not installed():
        words = "Apache is not installed, so nothing serves this site: apt install apache2"
        return {site.name: Applied((words,)) for site, _ in wanted}
    if not wanted:
        return {}
    sites = tuple(site for site, _ in wanted)
    missing = {site.name: enable_modules(site) for site in sites}
    trial = Trial(layout, sites, frozenset(site.name for site, on in wanted if seen(site, on)))
    whole = trial.verdict(wishes(layout, sites))
    # With many sites each test takes long, and one that passes with a site says that all is well without it.
    foreign = whole if whole.good else trial.verdict({})
    if not foreign.good:
        return {site.name: broken_before(layout, site, missing[site.name], foreign) for site in sites}
    granted = spread(trial, sites if whole.good else ranked(trial), whole, {})
    refused = {one.site.name: taken(layout, one) for one in granted}
    off = {site.name: enable(site) for site, on in wanted if on and not isinstance(refused[site.name], Exception)}
    return {
        name: result
        if isinstance(result, Exception)
        else Applied((*missing[name], *filter(None, (result, off.get(name)))), result)
        for name, result in refused.items()
    }


def broken_before(layout: Layout, site: Site, missing: tuple[str, ...], foreign: Answer) -> Applied:
    """What becomes of a site while Apache refuses the rest of its configuration."""
    said = complaint(foreign.words)
    one = vhost.broken_before(NAME, said, dropin_directory(layout, site), proven_dropins(layout, site))
    return Applied((*missing, *one.words), one.refused)


def seen(site: Site, on: bool) -> bool:
    """True when Apache will have the virtual host."""
    return enabled(site) or (on and not kept_off(site))


def ranked(trial: Trial) -> tuple[Site, ...]:
    """The sites in the order in which they are accepted when not all are: nobody loses what he has to a newcomer."""
    return tuple(sorted(trial.sites, key=lambda site: (site.name not in trial.on, changed(trial.layout, site))))


def changed(layout: Layout, site: Site) -> bool:
    """True when the admin's drop-ins are not the proven ones."""
    return vhost.unlike(dropin_directory(layout, site), proven_dropins(layout, site))


def spread(trial: Trial, sites: Sequence[Site], answer: Answer, beside: Texts) -> tuple[Granted, ...]:
    """What each of these sites gets beside others: what the admin wants when `answer`, to all of them, was good, else
    each half is asked by itself, beside those that were accepted before it, down to the sites that are not good."""
    if answer.good:
        return tuple(Granted(site, wish(trial.layout, site)) for site in sites)
    if len(sites) == 1:
        return (second_best(trial, sites[0], answer, beside),)
    middle = len(sites) // 2
    first = spread_half(trial, sites[:middle], beside)
    return (*first, *spread_half(trial, sites[middle:], {**beside, **accepted(trial, first)}))


def spread_half(trial: Trial, half: Sequence[Site], beside: Texts) -> tuple[Granted, ...]:
    """The same for sites that were not yet asked by themselves."""
    return spread(trial, half, trial.verdict({**beside, **wishes(trial.layout, half)}), beside)


def second_best(trial: Trial, site: Site, answer: Answer, beside: Texts) -> Granted:
    """What is left for a site that is refused with its drop-ins: those before, or none if they do not fit any more."""
    if any(dropin_directory(trial.layout, site).glob("*.conf")):
        live = proven_dropins(trial.layout, site)
        for included in (str(live), NO_DROPINS):
            again = trial.verdict({**beside, site.web.site: candidate(site, included, live)})
            if again.good:
                return Granted(site, included, complaint(answer.words))
        answer = again
    return Granted(site, None, complaint(answer.words))


def accepted(trial: Trial, granted: Iterable[Granted]) -> Texts:
    """What others have beside them: a site that stays off is in nobody's way."""
    return {
        one.site.web.site: candidate(one.site, one.included, proven_dropins(trial.layout, one.site))
        for one in granted
        if one.included is not None and one.site.name in trial.on
    }


def wish(layout: Layout, site: Site) -> str:
    """What the virtual host would include of the drop-ins that the admin has now."""
    return str(dropin_directory(layout, site) / "*.conf")


def wishes(layout: Layout, sites: Iterable[Site]) -> Texts:
    """The virtual hosts with what the admin has now instead of the proven drop-ins."""
    return {site.web.site: candidate(site, wish(layout, site), proven_dropins(layout, site)) for site in sites}


def taken(layout: Layout, one: Granted) -> str | VirtualHostFault | OSError | None:
    """Why the admin's drop-ins were not taken over, or what is wrong with the site itself."""
    try:
        return take_dropins(layout, one)
    except (VirtualHostFault, OSError) as error:
        return error


def take_dropins(layout: Layout, one: Granted) -> str | None:
    """Let the proven drop-ins be those that the site gets; returns why they are not the admin's."""
    live = proven_dropins(layout, one.site)
    if one.included is None:
        raise VirtualHostFault(one.said)
    if one.included == NO_DROPINS:
        files.replace_file(live, b"")
        return f"{one.said}; the ones before do not fit any more either"
    if one.included != str(live):
        parts = dropin.read(dropin_directory(layout, one.site))
        files.replace_file(live, dropin.join(parts, "#").encode())
    return one.said or None


def link_of(site: Site) -> Path:
    """What makes the virtual host live."""
    return CONFIGURATION / "sites-enabled" / f"{site.web.site}.conf"


def enabled(site: Site) -> bool:
    """True when the virtual host is linked into sites-enabled."""
    return link_of(site).is_symlink()


def settle(layout: Layout, sites: Sequence[Site]) -> tuple[str, ...]:
    """What has to be true before a reload: the modules of the sites that are on, and whatever could not be applied when
    they were configured; returns what is in the way. The caller does not hold the lock."""
    late = [site for site in sites if kept_back(layout, site)] if installed() else []
    caught = catch_up(layout, late) if late else ()
    modules = (f"{site.name}: {words}" for site in sites if enabled(site) for words in enable_modules(site))
    return tuple(dict.fromkeys((*caught, *modules)))


def kept_back(layout: Layout, site: Site) -> bool:
    """True for a site that is on and was never linked, or whose drop-ins wait until the configuration is mended."""
    known = state.read(layout, site.name)
    if known is None or known.disabled or not known.configured:
        return False
    return vhost.kept_back(known) or never_linked(site)


def never_linked(site: Site) -> bool:
    """True when the virtual host is off and that was nobody's wish: of a link that an administrator has taken away,
    with a2dissite or by hand, a record is left."""
    records = ("enabled_by_maint", "enabled_by_admin", "disabled_by_admin")
    return not os.path.lexists(link_of(site)) and not any(
        (STATE / "site" / kind / site.web.site).exists() for kind in records
    )


def catch_up(layout: Layout, sites: Sequence[Site]) -> tuple[str, ...]:
    """Apply what could not be when these sites were configured; returns what is in the way."""
    with files.lock(layout.lock_file):  # who switches a site off has it
        late = [site for site in sites if kept_back(layout, site)]
        results = applied_late(layout, late)
        return tuple(f"{site.name}: {words}" for site in late for words in told(layout, site, results[site.name]))


def applied_late(layout: Layout, late: Sequence[Site]) -> Mapping[str, Result]:
    """What became of each of these sites; each by itself when that cannot be said of all at once."""
    try:
        return apply_all(layout, [(site, True) for site in late])
    except Exception as error:  # whatever it is, it stops no other site
        if len(late) == 1:
            return {late[0].name: error}
    return {name: result for site in late for name, result in applied_late(layout, [site]).items()}


def told(layout: Layout, site: Site, result: Result) -> tuple[str, ...]:
    """What is said of a site that was kept back."""
    if isinstance(result, Exception):
        return (f"its virtual host stays as it was: {result}",)
    return vhost.caught_up(layout, site, dropin_directory(layout, site), result)


def lacks(layout: Layout, site: Site) -> Lacks:
    """The modules that are missing: without them PHP is served as text."""
    missing = [name for name in modules_needed(site) if not module_on(name)]
    words = tuple(f"the module {name} is off" for name in missing)
    return Lacks(words, f"a2enmod {' '.join(missing)} && systemctl restart {SERVICE.removesuffix('.service')}")


def enable(site: Site) -> str | None:
    """Link the virtual host; returns why it stays off. Link and record are those of `a2ensite --maintmode`, which
    starts four programs for each site: a2query(1) and a2dissite(1) know no difference."""
    name = site.web.site
    available = CONFIGURATION / "sites-available" / f"{name}.conf"
    if enabled(site):
        return None
    if kept_off(site):
        return f"the virtual host stays off because an administrator disabled it: a2ensite {name}"
    if not available.exists():
        return f"the virtual host stays off because {available} is not there: apt install --reinstall {site.package}"
    record = STATE / "site" / "enabled_by_maint" / name
    for directory in (record.parent.parent, record.parent):
        files.make_directory(directory, 0, 0, 0o755)
    for former in record.parent.parent.glob(f"*/{name}"):
        former.unlink()
    files.touch(record)
    files.replace_link(link_of(site), f"../sites-available/{available.name}")
    return None


def disable(layout: Layout, site: Site) -> str | None:
    """Take the virtual host out; returns what went wrong."""
    if not enabled(site):
        return None
    answer = systemd.run(["a2dissite", "--quiet", "--maintmode", site.web.site])
    return None if answer.good else f"a2dissite {site.web.site}: {answer.words}"


def reload() -> str | None:
    """Reload a running Apache if its configuration passes the test; returns what is in the way."""
    if not installed() or not systemd.running():
        return None
    if not systemd.active(SERVICE):
        taken = "".join(f", port {HTTP} is taken by {name}" for name in ports.holders(HTTP))
        return f"Apache is not running{taken}; the sites answer once it is: systemctl start apache2"
    answer = verdict(CONFIGURATION / "apache2.conf")
    if not answer.good:
        return f"Apache keeps its old configuration, the new one is broken: {complaint(answer.words)}"
    if not systemd.permitted(SERVICE, "reload"):
        return "policy-rc.d forbids reloading Apache; do it yourself: systemctl reload apache2"
    answer = systemd.systemctl("reload", SERVICE)
    return None if answer.good else f"systemctl reload apache2: {answer.words}"
