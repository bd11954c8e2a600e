# SPDX-License-Identifier: MIT
"""Sites on their way to being configured: what is known of each, and steps in which one that fails stops no other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail import files, fpm, systemd, vhost, web
from fpmjail.output import UNDER_DPKG
from fpmjail.places import Account, SiteFault
from fpmjail.site import Site, SiteError
from fpmjail.state import State

if TYPE_CHECKING:
    from fpmjail.manifest import Manifest

Say = Callable[[str], None]
Failure = SiteFault | SiteError
Failures = dict[str, Failure]
"""What keeps each site from being configured, by name."""

UNITS = Path("/usr/lib/systemd/system")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What this host allows: `live` means that systemd runs and that policy-rc.d lets services start."""

    systemd: bool
    live: bool

    @property
    def forbidden(self) -> bool:
        """Whether what runs has to be left as it is, by the word of policy-rc.d."""
        return self.systemd and not self.live


@dataclass(frozen=True, slots=True)
class Arrival:
    """A site that is being configured. `known` is what was remembered of it, None for a new one; what the steps have
    brought so far comes after it. `idle`: it could have had a process and had none when that began; `off`: it was
    switched off when its package was removed."""

    site: Site
    owner: Account
    known: State | None
    around: Surroundings
    say: Say
    manifest: Manifest | None = None
    applied: fpm.Applied = field(default_factory=lambda: fpm.Applied(changed=False))
    host: vhost.Applied = field(default_factory=vhost.Applied)
    transfer_refused: str | None = None
    remounted: bool = False
    idle: bool = False
    off: bool = False

    @property
    def before(self) -> State:
        """What was remembered of it, an empty state for a new one."""
        return self.known or State()

    @property
    def on(self) -> bool:
        """False for a site that an administrator switched off."""
        return not (self.off or self.before.disabled)

    @property
    def slept(self) -> bool:
        """True for an idle site of which dpkg brings a new version: that is no reason for it to have a process."""
        return self.idle and self.known is not None and under_dpkg()

    @property
    def started(self) -> bool:
        """True when its units are to be up after this."""
        return self.on and self.around.live


def surroundings(site: Site) -> Surroundings:
    """Look at the host."""
    running = systemd.running()
    return Surroundings(running, running and systemd.permitted(site.units.service, "start"))


def each(step: Callable[[Arrival], Arrival], arrivals: Iterable[Arrival], failures: Failures) -> tuple[Arrival, ...]:
    """Take a step with each site; those with which it went well go on, what is wrong with the others is kept."""
    return kept(((one.site, attempt(step, one)) for one in arrivals), failures)


def attempt(step: Callable[[Arrival], Arrival], one: Arrival) -> Arrival | Exception:
    """Take a step, or say why it failed: whatever that is, it stops no other site."""
    try:
        return step(one)
    except Exception as error:
        return error


def kept(results: Iterable[tuple[Site, Arrival | Exception]], failures: Failures) -> tuple[Arrival, ...]:
    """Those that go on; what is wrong with the others goes to `failures`."""
    good = []
    for site, result in results:
        if isinstance(result, Exception):
            failures[site.name] = as_fault(site, result)
        else:
            good.append(result)
    return tuple(good)


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
        case OSError() | files.UnsafePath():
            return SiteFault(str(error), f"put that right, {again}")
        case _:
            return unexpected(error)


def unexpected(error: Exception) -> SiteFault:
    """What nobody thought of, with its place in the code."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == Path(__file__).parent]
    place = (own or frames)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return SiteFault(f"{type(error).__name__}: {error} ({where})", "that is a mistake in fpmjail: please report it")


def under_dpkg() -> bool:
    """True in a maintainer script: what an administrator has changed, systemd reads anew whenever he asks for it."""
    return UNDER_DPKG in os.environ


def fingerprint(*paths: Path) -> str:
    """A short name for what systemd reads in units, to see whether a new version of the package brought others: their
    comments tell which generator made them of which line."""
    digest = hashlib.sha256()
    for path in paths:
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else [b"\0"]
        digest.update(b"".join(line for line in lines if not line.startswith(b"#")))
    return digest.hexdigest()[:16]


def unit_fingerprint(site: Site) -> str:
    """A short name for the units whose change asks for a restart."""
    service = () if site.shared else (site.units.service,)
    return fingerprint(*(UNITS / unit for unit in (*service, *site.units.mounts)))


def socket_fingerprint(site: Site) -> str:
    """A short name for the unit whose change asks for a new socket."""
    return fingerprint(*((UNITS / site.units.socket,) if site.units.socket else ()))
