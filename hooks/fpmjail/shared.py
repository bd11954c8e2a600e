# SPDX-License-Identifier: MIT
"""What a shared site has instead of a service of its own: a pool of Debian's FPM, proven first and linked last.

A pool is tried out in a namespace of its own, by Debian's php-fpm, and PHP is asked in there before any visitor can.
Linking it changes nothing yet: the master is reloaded once for all sites of a run (`take_up`), and who keeps it from
coming back, or does not answer, goes back to what he was.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fpmjail import dropin, facts, files, fpm, jail, mounts, pools, probe, systemd
from fpmjail.dropin import Part
from fpmjail.layout import Layout
from fpmjail.mounts import Mount
from fpmjail.places import SiteFault
from fpmjail.site import BIND, Site

Say = Callable[[str], None]

PATIENCE = 30.0  # seconds for a pool to answer after a reload
GUARDS = frozenset({"opcache.validate_root", "opcache.validate_permission", "opcache.restrict_api"})
OPENED_BY_ROOT = re.compile(r"\s*(slowlog|access\.log)\s*=\s*[\"']?([^\"';\s]+)")


@dataclass(frozen=True, slots=True)
class Fresh:
    """A pool for which the master has to be reloaded; `loaded` is the text that it has now, empty for none."""

    site: str
    loaded: str


def apply(layout: Layout, site: Site, provable: bool, on: bool, remounted: bool = False) -> fpm.Applied:
    """Prove the pool with the administrator's drop-ins and, if the site is `on`, link it; reloads nothing.

    After another image was mounted, `remounted`, workers that go on would look where the one before was: PHP remembers
    where links led. Raises SiteFault, and fpm.PoolFault for the package's own text.
    """
    version = site.php.version
    if not pools.directory(layout, version).is_dir():
        raise SiteFault(f"PHP-FPM {version} is not installed", f"apt install php{version}-fpm")
    text = pools.text_file(layout, site)
    known = pools.linked(layout, site)
    loaded = text.read_text() if known and text.is_file() else ""
    new = mark(layout, version, Fresh(site.name, loaded))
    needed = False
    try:
        applied = fpm.bring(layout, site, text, lambda parts: proven(layout, site, parts, provable))
        needed = on and (applied.changed or not known or remounted) and systemd.running()
    finally:
        if new and not needed:
            place_of(layout, version, site.name).unlink()
    if on:
        files.replace_link(pools.link(layout, site), str(text))
        pools.set_grace(layout, version)
    return applied


def proven(layout: Layout, site: Site, parts: tuple[Part, ...], provable: bool) -> str | None:
    """Why a candidate cannot go live, or None."""
    refused = next(filter(None, (fpm.forbidden(part) or weakening(site, part) for part in parts[1:])), None)
    if refused:
        return refused
    text = fpm.text(parts)
    others = pools.standing(layout, site.php.version, frozenset({pools.link(layout, site)}))
    own = pools.parse(parts[0].source, text)
    fault = next(filter(None, (pools.clash_of(pool, others) for pool in own)), None)
    return fault or tried(layout, site, parts, text, provable)


def weakening(site: Site, part: Part) -> str | None:
    """What makes a drop-in unfit for a pool whose master is root and serves others as well."""
    for number, line in enumerate(part.text.splitlines(), 1):
        setting = fpm.setting(line)
        opened = OPENED_BY_ROOT.match(line)
        if setting and setting[1] in GUARDS:
            return f"{part.source}:{number}: {setting[1]} keeps this master's sites apart and cannot be changed"
        if opened and not outside(site, opened[2]):
            return f"{part.source}:{number}: {opened[1]} is opened by root, so it must lie outside of {site.paths.jail}"
    return None


def outside(site: Site, path: str) -> bool:
    """True for a path at which the site's user can play no tricks."""
    return path.startswith("/") and ".." not in Path(path).parts and not Path(path).is_relative_to(site.paths.jail)


def tried(layout: Layout, site: Site, parts: tuple[Part, ...], text: str, provable: bool) -> str | None:
    """What Debian's php-fpm says to the pool alone, and PHP behind it."""
    with tempfile.TemporaryDirectory(prefix="fpmjail-pool-") as name:
        directory = Path(name)
        candidate, main = directory / "pool.conf", directory / "php-fpm.conf"
        candidate.write_text(text)
        main.write_text(f"[global]\nerror_log = /dev/null\ndaemonize = no\ninclude = {candidate}\n")
        test = systemd.run([pools.program(site.php.version), "--test", "--fpm-config", str(main)])
        if not test.good:
            return located(parts, candidate, test.words)
        return trial(layout, site, main, directory / "log") if provable else None


def located(parts: tuple[Part, ...], candidate: Path, words: str) -> str:
    """FPM's complaint with the line of the file that an administrator can edit."""
    found = re.search(rf"\[{re.escape(str(candidate))}:(\d+)\]\s*(.*)", words)
    if found:
        return f"{dropin.place(parts, int(found[1]))}: {found[2]}"
    return fpm.misspelt(parts, words) or re.sub(r"^\[pool [^]]+\] ", "", pools.complaint(words, ()))


def trial(layout: Layout, site: Site, main: Path, log: Path) -> str | None:
    """Start php-fpm with this one pool where nobody else can reach it, and ask PHP."""
    with started(site, main, log) as fault:
        if fault:
            return fault
        pid = systemd.main_pid(trial_unit(main))
        socket = Path(f"/proc/{pid}/root{site.paths.socket}")
        expected = replace(probe.of_site(layout, site), patience=probe.UNHURRIED)
        (asked,) = probe.ask_all(socket, ("php",), expected)
        if asked.answered and fpm.has_code_around((main.parent / "pool.conf").read_text()):
            return None  # which may not be there yet
        return "; ".join(f"PHP does not work in the chroot: {words}" for words in asked.findings) or None


def trial_unit(main: Path) -> str:
    """A unit for one trial."""
    return f"{main.parent.name}.service"


@contextmanager
def started(site: Site, main: Path, log: Path) -> Iterator[str | None]:
    """A master of its own, with sockets that nobody sees; what keeps it from starting."""
    unit = trial_unit(main)
    properties = (
        "Type=notify",
        f"TemporaryFileSystem={site.paths.socket.parent}",
        "PrivateNetwork=yes",
        "StandardOutput=null",
        f"StandardError=truncate:{log}",
        f"TimeoutStartSec={probe.UNHURRIED:g}",
        "TimeoutStopSec=5",
    )
    command = ["systemd-run", "--quiet", f"--unit={unit}", *(f"--property={one}" for one in properties)]
    php = [pools.program(site.php.version), "--nodaemonize", "--force-stderr", "--fpm-config", str(main)]
    try:
        answer = systemd.run([*command, "--", *php], 2 * probe.UNHURRIED)
        yield None if answer.good else words_of(log, answer.words)
    finally:
        systemd.systemctl("stop", unit)
        systemd.systemctl("reset-failed", unit)


def words_of(log: Path, otherwise: str) -> str:
    """Why php-fpm did not start."""
    with suppress(OSError):
        if said := log.read_text(errors="replace"):
            return probe.printable(re.sub(r"^\[pool [^]]+\] ", "", pools.complaint(said, ())))
    return probe.printable(otherwise)


def place_of(layout: Layout, version: str, name: str) -> Path:
    """Where the mark of a fresh pool stands."""
    return layout.fresh_pools / version / name


def mark(layout: Layout, version: str, fresh: Fresh) -> bool:
    """Remember that the master has to be reloaded; False if that was known: what it has loaded stays the same then."""
    place = place_of(layout, version, fresh.site)
    if place.exists():
        return False
    files.make_run(layout.run)
    for directory in (layout.fresh_pools, place.parent):
        files.make_directory(directory, 0, 0, 0o755)
    return files.replace_file(place, fresh.loaded.encode())


def marked(layout: Layout, version: str) -> tuple[Fresh, ...]:
    """The pools for which the master has to be reloaded."""
    places = sorted((layout.fresh_pools / version).glob("[a-z0-9]*"))
    return tuple(Fresh(place.name, place.read_text(errors="replace")) for place in places)


def withdraw(layout: Layout, site: Site) -> None:
    """Unlink the pool; the master forgets it at its next reload."""
    place = place_of(layout, site.php.version, site.name)
    never_loaded = place.exists() and not place.read_text()
    if pools.linked(layout, site):
        pools.link(layout, site).unlink()
        if not never_loaded and systemd.running():
            mark(layout, site.php.version, Fresh(site.name, "removed"))
    if never_loaded:
        place.unlink()
    pools.set_grace(layout, site.php.version)


def settle(layout: Layout, sites: Iterable[Site], outdated: bool = False) -> tuple[str, ...]:
    """Reload each of Debian's masters that has fresh pools, or with `outdated` maps files that are gone; what is in
    the way. The caller holds the lock."""
    known = {site.name: site for site in sites if site.shared}
    versions = {place.name for place in layout.fresh_pools.glob("[0-9]*") if any(place.iterdir())}
    if outdated:
        live = {site.php.version for site in known.values() if pools.linked(layout, site)}
        versions |= {version for version in live if pools.outdated(version)}
    words = (take_up(layout, version, known) for version in sorted(versions))
    return tuple(said for said in words if said)


def take_up(layout: Layout, version: str, sites: dict[str, Site]) -> str | None:
    """Let the master take up what is there now; what is in the way. Never reloads what would end it."""
    unit = pools.service(version)
    if not systemd.running():
        return None
    if not pools.has_pools(layout, version):
        return stop(layout, version)
    action = "reload" if systemd.active(unit) else "start"
    if not systemd.permitted(unit, action):
        return f"policy-rc.d forbids to {action} {unit}; do it yourself: systemctl {action} {unit}"
    fault = pools.fault(layout, version)
    if fault:
        return f"{unit} is not {action}ed, because it would end: {fault}; correct that, then: fpmjail reload"
    fresh = marked(layout, version)
    good = pools.reload(layout, version) if action == "reload" else pools.start(version)
    if not good:
        return undo(layout, version, fresh, f"{unit} did not come back")
    mute = [one for one in fresh if (site := sites.get(one.site)) and not answers(layout, site)]
    if mute:
        return undo(layout, version, mute, f"PHP does not answer in {unit}")
    forget(layout, version, fresh)
    return None


def stop(layout: Layout, version: str) -> str | None:
    """Without any pool the master would only fail."""
    unit = pools.service(version)
    forget(layout, version, marked(layout, version))
    if not systemd.active(unit):
        return None
    systemd.systemctl("stop", unit)
    return f"{unit} is stopped: it has no pool left"


def answers(layout: Layout, site: Site) -> bool:
    """Whether PHP answers in a site's chroot; one that is not linked has nothing to answer."""
    if not pools.linked(layout, site):
        return True
    deadline = time.monotonic() + PATIENCE
    while not probe.run(layout, site, "php").passed:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True


def undo(layout: Layout, version: str, fresh: Sequence[Fresh], why: str) -> str:
    """Give the pools back what they had before, and bring the master back with that."""
    for one in fresh:
        if one.loaded in ("", "removed"):
            (pools.directory(layout, version) / f"site-{one.site}-jail.conf").unlink(missing_ok=True)
        else:
            files.replace_file(layout.site_state(one.site) / "pool.conf", one.loaded.encode())
    back = pools.reload(layout, version) if systemd.active(pools.service(version)) else pools.start(version)
    forget(layout, version, marked(layout, version) if back else fresh)
    names = ", ".join(one.site for one in fresh) or "nothing new"
    state = "it runs as before" if back else f"see: journalctl -u {pools.service(version)}"
    return f"{why} with the new pools ({names}), so they were taken back: {state}; see: fpmjail check"


def forget(layout: Layout, version: str, fresh: Iterable[Fresh]) -> None:
    """The master has what it should have."""
    for one in fresh:
        place_of(layout, version, one.site).unlink(missing_ok=True)


def waiting(layout: Layout, site: Site) -> str | None:
    """Why Debian's master does not have the pool as it should, or None."""
    unit = site.units.service
    if not pools.linked(layout, site):
        return f"its pool is off: fpmjail configure {site.name}"
    if not place_of(layout, site.php.version, site.name).exists():
        return None
    return f"{unit} has not taken up its pool: {pools.fault(layout, site.php.version) or 'fpmjail reload'}"


def mounted(site: Site) -> tuple[Mount, ...]:
    """Our own mounts in the chroot, the deepest first; others' below the data are not ours to touch."""
    own = {str(site.paths.jail / path) for path in (*mount_points(site), "usr")}  # of a former version, too
    return tuple(mount for mount in mounts.mounts_below(site.paths.jail) if mount.target in own)


def mount_points(site: Site) -> tuple[str, ...]:
    """Where something is mounted in the chroot."""
    servers = (str(directory.relative_to("/")) for _, directory in site.jail.sockets)
    usr = ("usr",) if site.profile.libraries == BIND else ()
    return (".image", *usr, *(("proc",) if site.jail.proc != "none" else ()), *servers)


def heal(site: Site, say: Say) -> None:
    """Show the chroot a server's socket directory that arrived, or came back as another one."""
    for _, directory in site.jail.sockets:
        place = site.paths.jail / directory.relative_to("/")
        if facts.identity(directory) not in (None, facts.identity(place)):
            answer = remount(site, place)
            say(f"{site.name}: {directory} is mounted anew" + (f": {answer}" if answer else ""))


def remount(site: Site, place: Path) -> str:
    """Mount one of our mounts again, however busy it is; what went wrong."""
    unit = mounts.unit(place)
    systemd.systemctl("stop", unit)
    for mount in (mount for mount in mounted(site) if mount.target == str(place)):
        systemd.run(["umount", "--lazy", "--", mount.target])
    answer = systemd.systemctl("start", unit)
    return "" if answer.good else answer.words


def clear(layout: Layout, site: Site) -> None:
    """Take away what a pool that is out leaves behind: the file for `fpmjail check`, and a socket of a held master."""
    if not pools.linked(layout, site):
        (site.paths.jail / jail.WITNESS).unlink(missing_ok=True)
        site.paths.socket.unlink(missing_ok=True)
