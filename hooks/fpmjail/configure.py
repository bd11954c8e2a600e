# SPDX-License-Identifier: MIT
"""Brings one site to life or takes it down: what the maintainer scripts and an admin call.

Every step looks first; what is already true costs nothing, and a site that is up stays up. A fault in the site's own
things stops here, is said in one sentence with a way out, and leaves a new site switched off entirely.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fpmjail import (
    apparmor,
    checked,
    cron,
    dropin,
    facts,
    files,
    fpm,
    handover,
    image,
    inside,
    jail,
    mail,
    masters,
    mounts,
    places,
    probe,
    release,
    sftp,
    state,
    systemd,
    temporary,
    vhost,
    web,
)
from fpmjail import refresh as refreshing
from fpmjail import site as sites
from fpmjail.finding import Level
from fpmjail.image import Manifest
from fpmjail.layout import Layout
from fpmjail.places import SiteFault
from fpmjail.refresh import Decision, Mode, Task
from fpmjail.site import Site
from fpmjail.state import State

Say = Callable[[str], None]
UNITS = Path("/usr/lib/systemd/system")
IN_COMMON = "APCu, the loopback interface and abstract sockets stay shared with the other sites of this PHP"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What this host allows: `live` means that systemd runs and that policy-rc.d lets services start."""

    systemd: bool
    live: bool


def surroundings(site: Site) -> Surroundings:
    """Look at the host."""
    running = systemd.running()
    return Surroundings(running, running and systemd.permitted(site.units.service, "start"))


def configure(layout: Layout, name: str, say: Say) -> None:
    """Make a site true on this host. Raises SiteFault, sites.SiteError."""
    site = sites.load(layout.sites / name / "site.json")
    before = state.read(layout, name)
    refuse_another_isolation(site, before)
    owner = places.check_account(site, sites.naming(layout, site.user.name))
    try:
        for words in places.make(layout, site, owner):
            say(words)
        with files.lock(layout.lock_file):
            after = bring_up(layout, site, before or State(), say)
    except (SiteFault, fpm.PoolFault, vhost.VirtualHostFault, OSError) as error:
        if before is None:
            withdraw(layout, site)
        raise as_fault(site, error) from error
    state.write(layout, name, after)
    files.make_directory(layout.run / "announce", 0, 0, 0o755)
    files.touch(layout.run / "announce" / name)


def check_again(layout: Layout, site: Site) -> tuple[str, ...]:
    """PHP works, but does all that the description declares? What does not is said, and keeps no page from anybody.

    A shared site has its pool only after the reload that follows its configuration.
    """
    from fpmjail import check

    known = state.read(layout, site.name)
    if known is None or known.disabled or not surroundings(site).live:
        return ()
    findings = check.check_jail(layout, site)
    checked.remember(layout, site.name, findings)
    return tuple(
        f"{one.topic} {one.name}{f' ({one.origin})' if one.origin else ''}: {one.seen}; {one.fix}"
        for one in findings
        if one.level is Level.BAD
    )


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


def as_fault(site: Site, error: Exception) -> SiteFault:
    """Any failure as one sentence with a way out."""
    again = f"then finish the installation: dpkg --configure {site.package}"
    match error:
        case SiteFault():
            return error
        case fpm.PoolFault():
            return SiteFault(
                f"PHP-FPM refuses the pool {site.paths.pool}: {error}", f"correct {site.source}, build it again"
            )
        case vhost.VirtualHostFault():
            server = web.server(site).NAME
            return SiteFault(f"{server} refuses the virtual host: {error}", f"correct {site.source}, build it again")
        case _:
            return SiteFault(str(error), f"put that right, {again}")


def bring_up(layout: Layout, site: Site, before: State, say: Say) -> State:
    """The steps that need the lock, in their order; returns what to remember."""
    around = surroundings(site)
    manifest = ensure_image(layout, site, say)
    make_room(site)
    jail.make(layout, site, manifest)
    for fault in filter(None, (mail.password(layout, site)[1],)):
        say(f"mail cannot be sent: {fault}")
    prepare_units(layout, site, before, around)
    for words in apparmor.apply(site):
        say(words)
    applied = run_php(layout, site, before, around, say)
    host = web.apply(layout, site, on=not before.disabled)
    for words in host.words:
        say(words)
    transfer = beside_the_web(layout, site, before.disabled, around, say)
    return replace(remember(layout, site, before, applied, host), sftp_refused=transfer.refused)


def run_php(layout: Layout, site: Site, before: State, around: Surroundings, say: Say) -> fpm.Applied:
    """Prove what PHP-FPM is told, and start it unless the site is switched off or nothing may be started here."""
    on = not before.disabled
    if site.shared:
        from fpmjail import shared

        remounted = before.profile not in ("", site.profile.id)
        applied = shared.apply(layout, site, provable=around.live, on=on, remounted=remounted)
    else:
        applied = fpm.apply(layout, site, provable=around.live)
    if applied.refused:
        say(applied.refused)
    if not on:
        say(f"stays switched off; to switch it on: fpmjail enable {site.name}")
    elif not around.live:
        say("not started: " + ("policy-rc.d forbids it" if around.systemd else "systemd is not running here"))
    elif site.shared:
        start_shared(site, before, say)
    else:
        start(layout, site, before, applied, say)
    return applied


def start_shared(site: Site, before: State, say: Say) -> None:
    """What is on beside the pool, which Debian's master takes up at the reload for all."""
    watch_certificate(site, say)
    if systemd.properties(site.units.service, "UnitFileState")["UnitFileState"] in ("disabled", "masked"):
        unit = site.units.service
        say(f"{unit} is off, so the site is down after a boot: systemctl unmask {unit}; systemctl enable {unit}")
    if not before.configured:
        say(IN_COMMON)


def beside_the_web(layout: Layout, site: Site, off: bool, around: Surroundings, say: Say) -> sftp.Applied:
    """Jobs and SFTP: on with the site, off with it. What is wrong there is said and keeps no page from anybody."""
    cron.mark(layout, site.name, off)
    for timer in cron.forget_former(site):
        say(f"{timer} is gone, as its job is")
    transfer = sftp.apply(layout, site, off)
    words = (*cron.start(site), *cron.missing(layout, site)) if around.live and not off else ()
    for text in (*words, *transfer.words, *((f"SFTP not applied: {transfer.refused}",) if transfer.refused else ())):
        say(text)
    return transfer


def remember(layout: Layout, site: Site, before: State, applied: fpm.Applied, host: vhost.Applied) -> State:
    """The state after a successful run."""
    pool = dropin.read(fpm.dropin_directory(layout, site))
    directives = dropin.read(web.dropin_directory(layout, site))
    now = state.now()
    return State(
        version=site.version,
        profile=site.profile.id,
        configured=now,
        arrivals=state.arrived(before, site.version, now),
        units=unit_fingerprint(site),
        socket=fingerprint(*((UNITS / site.units.socket,) if site.units.socket else ())),
        isolation=site.isolation,
        pool_dropins=before.pool_dropins if applied.refused else dropin.fingerprint(pool),
        web_dropins=before.web_dropins if host.refused else dropin.fingerprint(directives),
        pool_refused=applied.refused,
        web_refused=host.refused,
        disabled=before.disabled,
    )


def ensure_image(layout: Layout, site: Site, say: Say) -> Manifest:
    """The manifest of a fit generation of the site's profile, built when there is none. Raises SiteFault."""
    task = Task(layout, site.profile, (site,), Mode(final=False, needed=True))
    outcome = refreshing.look(task)
    if outcome is None:
        members = tuple(one for one in sites.installed(layout)[0] if one.profile.id == site.profile.id)
        outcome = refreshing.run(replace(task, sites=members))
    manifest = image.read_manifest(layout, site.profile.id, outcome.after)
    if manifest is None:
        raise SiteFault(f"its image cannot be built: {'; '.join(outcome.words)}", way_out(site, outcome.words))
    if outcome.decision is not Decision.CURRENT:
        say(refreshing.line(outcome))
    return manifest


def way_out(site: Site, words: Sequence[str]) -> str:
    """What to do about an image that cannot be built."""
    named = [one for one in site.programs if any(one.path in text for text in words)]
    lost = [one for one in named if any(f"{one.path} is not there" in text for text in words)]
    packages = sorted({package.partition(" ")[0] for one in lost for package in one.packages})
    if not named:
        return "install or correct what is named there"
    install = f"apt install {' '.join(packages)}, or " if packages else ""
    return f"{install}correct `jail.programs` in {site.source}{places.origin(site, 'jail.programs')}"


def make_room(site: Site) -> None:
    """The jail's /usr is a link into the image, or has the server's /usr mounted over it: the other kind goes, and so
    does a limited /tmp of the version before.

    Nothing runs in a dedicated site's jail meanwhile; systemd keeps the socket. A shared one's workers go on without it
    until the other kind is there. Raises SiteFault.
    """
    unmount(temporary.former(site, mounts.current()))
    place = site.paths.jail / "usr"
    bound = site.profile.libraries == sites.BIND
    if not (place.is_symlink() if bound else place.is_dir() and not place.is_symlink()):
        return
    if systemd.running() and not site.shared:
        handover.stop(site)
    unmount(mounts.mounts_below(place))
    if mounts.mounts_below(place):
        raise SiteFault(f"{place} is still mounted", f"umount it; {site.name} has another way to its programs now")
    place.unlink() if bound else place.rmdir()


def fingerprint(*paths: Path) -> str:
    """A short name for the content of files, to see whether a new version of the package brought others."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.exists() else b"\0")
    return digest.hexdigest()[:16]


def unit_fingerprint(site: Site) -> str:
    """A short name for the units whose change asks for a restart."""
    service = () if site.shared else (site.units.service,)
    return fingerprint(*(UNITS / unit for unit in (*service, *site.units.mounts)))


def prepare_units(layout: Layout, site: Site, before: State, around: Surroundings) -> None:
    """Let systemd read the units and mount the image; another one than before is mounted anew. Raises SiteFault."""
    if not around.live:
        return
    units = (*site.units.mounts, *site.units.paths, *cron.units(site), *filter(None, (site.units.socket,)))
    own = (*units, site.units.standby, *(() if site.shared else (site.units.service,)))
    systemd.follow((UNITS / unit for unit in own if unit), systemd.loaded() if under_dpkg() else 0.0)
    another = bool(before.profile and before.profile != site.profile.id) or displaced(layout, site)
    if another:
        unmount_image(site)
    if site.filesystem.read_only and own_mounts(site):  # the version before had mount units
        handover.stop(site)
        unmount(own_mounts(site))
    mount_all(site)
    if before.units != unit_fingerprint(site):
        resize(site)
    if another and not site.shared:
        systemd.systemctl("try-restart", site.units.service, *site.units.standbys)


def mount_all(site: Site) -> None:
    """Mount what belongs into the jail. Raises SiteFault, which names what cannot be mounted."""
    answer = systemd.start(*site.units.mounts)
    if answer.good:
        return
    failed = next((unit for unit in site.units.mounts if not systemd.active(unit)), site.units.mounts[0])
    what = {site.units.mounts[0]: "the image", temporary.unit(site): "its /tmp"}.get(failed, failed)
    raise SiteFault(f"{what} cannot be mounted: {answer.words}", f"see: systemctl status {failed!r}")


def resize(site: Site) -> None:
    """Give a /tmp that is mounted its new limit. Raises SiteFault: it cannot be smaller than what lies in it."""
    fault = temporary.resize(site, UNITS, mounts.current())
    if fault:
        place = temporary.place(site)
        raise SiteFault(f"the limit of its /tmp cannot be set: {fault}", f"delete what is too much in {place}")


def under_dpkg() -> bool:
    """True in a maintainer script: what an administrator has changed, systemd reads anew whenever he asks for it."""
    return "DPKG_MAINTSCRIPT_NAME" in os.environ


def displaced(layout: Layout, site: Site) -> bool:
    """Whether the jail shows a directory that no longer is the image: it was deleted, and made anew or restored."""
    place = site.paths.jail / ".image"
    shown = any(mount.target == str(place) for mount in own_mounts(site))
    return shown and facts.identity(place) != facts.identity(layout.image(site.profile.id))


def unmount_image(site: Site) -> None:
    """Make way for another image. Debian's master goes on serving others, and this site without an image for as long
    as it takes to mount the other one, so that alone goes, at once and however busy it is. A dedicated site's service
    is stopped, but a request that waits starts it again at once, and with it the mount that was to be stopped."""
    if not site.shared:
        systemd.systemctl("stop", site.units.service, *site.units.standbys, *temporary.others(site))
    for mount in own_mounts(site):
        if mount.target == str(site.paths.jail / ".image"):
            systemd.run(["umount", "--lazy", "--", mount.target])


def own_mounts(site: Site) -> tuple[mounts.Mount, ...]:
    """The mounts that are ours to unmount, the deepest first."""
    if not site.shared:
        return mounts.mounts_below(site.paths.jail)
    from fpmjail import shared

    return shared.mounted(site)


def watch_certificate(site: Site, say: Say) -> None:
    """Have systemd look out for the site's certificate. That it cannot is no reason to keep the site down: the kernel
    allows few inotify instances (sysctl fs.inotify.max_user_instances), and each watched path takes one."""
    for unit in site.units.paths:
        answer = systemd.systemctl("start", unit)
        if not answer.good:
            said = f": {answer.words}" if answer.words else ""
            say(f"nobody looks out for its certificate, {unit} does not start{said}; when it is new: fpmjail reload")


def start(layout: Layout, site: Site, before: State, applied: fpm.Applied, say: Say) -> None:
    """Start, reload or restart what has changed, and prove that PHP answers. Raises SiteFault."""
    systemd.systemctl("reset-failed", site.units.service, site.units.socket)
    changed_socket = before.socket and before.socket != fingerprint(UNITS / site.units.socket)
    if changed_socket:
        systemd.systemctl("stop", site.units.service, *site.units.standbys, site.units.socket)
    listen(site, say)
    # A master that runs although nothing is known of it may have any units and any generation.
    new_units = before.units != unit_fingerprint(site)
    if (new_units or applied.changed) and handover.look(layout, site).serving:
        take_over(layout, site, new_units)
    prove(layout, site, applied, say)


def listen(site: Site, say: Say) -> None:
    """Start the socket, and what looks out for the certificate: all with one call, or each for what it says. Raises
    SiteFault."""
    if systemd.start(site.units.socket, *site.units.paths).good:
        return
    answer = systemd.start(site.units.socket)
    if not answer.good:
        raise SiteFault(f"its socket does not start: {answer.words}", f"see: journalctl -u {site.units.socket}")
    watch_certificate(site, say)


def take_over(layout: Layout, site: Site, new_units: bool) -> None:
    """Let a new master take up new units or a new configuration. When it cannot, the first request tells why."""
    if new_units and not site.units.standby:
        systemd.systemctl("restart", site.units.service)
    elif masters.renew(layout, site):
        handover.stop(site)


def prove(layout: Layout, site: Site, applied: fpm.Applied, say: Say) -> None:
    """The first request. If it fails, the configuration that worked before comes back. Raises SiteFault."""
    result = answer(layout, site)
    if result.passed:
        return
    if loosened := apparmor.loosen(site):
        if answer(layout, site).passed:
            return say(loosened)
        apparmor.tighten(site)
    if applied.changed and applied.before is not None:
        files.replace_file(site.paths.jail / "etc/fpm.conf", applied.before.encode())
        handover.stop(site)
    raise SiteFault(
        f"PHP does not work in the jail: {'; '.join(result.findings)}",
        f"see: journalctl -u {site.units.service}; then: fpmjail check {site.name}",
    )


def answer(layout: Layout, site: Site, patience: float = 60.0) -> probe.Result:
    """The PHP probe's result, asked again for some seconds: a service that restarts needs its second."""
    deadline = time.monotonic() + patience
    while True:
        result = probe.run(layout, site, "php")
        if result.passed or time.monotonic() > deadline:
            return result
        time.sleep(0.3)


def withdraw(layout: Layout, site: Site) -> None:
    """Leave nothing of a site switched on."""
    web.disable(layout, site)
    sftp.withdraw(layout, site)
    if systemd.running():
        cron.stop(site)
        own = () if site.shared else (site.units.socket, site.units.service, *site.units.standbys)
        units = (*site.units.paths, *own)
        if units:
            systemd.systemctl("stop", *units)
    if site.shared:
        from fpmjail import shared

        shared.withdraw(layout, site)


def switch(layout: Layout, name: str, on: bool, say: Say) -> None:
    """`fpmjail enable` and `disable`: the admin's switch, which later configurations honour."""
    site = sites.load(layout.sites / name / "site.json")
    with files.lock(layout.lock_file):
        state.set_disabled(layout, name, not on)
        if not on:
            cron.mark(layout, name, off=True)
            withdraw(layout, site)
            settle_pools(layout, site, say)
            end_commands(layout, site, say)
    if on:
        configure(layout, name, say)
        with files.lock(layout.lock_file):
            settle_pools(layout, site, say)
    trouble = web.reload(site) or sftp.reload(layout)
    say(trouble or ("switched on" if on else "switched off"))


def end_commands(layout: Layout, site: Site, say: Say) -> None:
    """Nobody gets in any more, and who is in goes: SFTP, `fpmjail exec`. The account is the site's alone."""
    for words in filter(None, (sftp.reload(layout),)):
        say(words)
    if systemd.running():
        inside.stop_all(site)
        end_processes(site)


def remove(layout: Layout, name: str, say: Say) -> None:
    """What `apt remove` needs: out of the web server, out of systemd, no process and no mount left. Data stays."""
    site = sites.load(layout.sites / name / "site.json")
    with files.lock(layout.lock_file):
        for words in filter(None, (web.disable(layout, site), web.reload(site))):
            say(words)
        withdraw(layout, site)
        settle_pools(layout, site, say)
        end_commands(layout, site, say)
        if systemd.running() and site.units.mounts:
            systemd.systemctl("stop", *site.units.mounts)
        cron.mark(layout, name, off=False)
        unmount(own_mounts(site))
        for mount in own_mounts(site):
            say(f"{mount.target} is still mounted; umount it")
        state.forget(layout, name)
        checked.forget(layout, name)
        drop_image(layout, site, say)
    apparmor.forget(site)
    say(release.way_back(layout, site))


def end_processes(site: Site) -> None:
    """Kill what still runs as the site's user; the account is the site's alone, `configure` saw to that."""
    owner = places.account(site.user.name)
    if owner is None or owner.uid == 0:
        return
    for process in facts.processes(owner.uid):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def unmount(left: Iterable[mounts.Mount]) -> None:
    """Unmount what is left in a jail, by force of MNT_DETACH when it is busy."""
    for mount in left:
        if not systemd.run(["umount", "--", str(mount.target)]).good:
            systemd.run(["umount", "--lazy", "--", str(mount.target)])


def settle_pools(layout: Layout, site: Site, say: Say) -> None:
    """Let Debian's master take up, or forget, the pool of a shared site."""
    if not site.shared:
        return
    from fpmjail import shared

    known, _ = sites.installed(layout)
    for words in shared.settle(layout, known):
        say(words)
    shared.clear(layout, site)


def drop_image(layout: Layout, site: Site, say: Say) -> None:
    """Delete the image when this was the last site that used it; copies are made again when needed.

    A site that cannot be read, because it was made for a newer fpmjail perhaps, may be using it.
    """
    known, unreadable = sites.installed(layout)
    if unreadable or any(one.profile.id == site.profile.id for one in known if one.name != site.name):
        return
    try:
        image.remove(layout, site.profile.id)
    except mounts.Kept as error:
        say(str(error))
