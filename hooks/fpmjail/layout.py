# SPDX-License-Identifier: MIT
"""Where everything lies on the server. Tests use another `root`; nothing here touches the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The places the runtime knows, all below `root`."""

    root: Path = Path("/")

    def host(self, path: str) -> Path:
        """The place of an absolute path of the server below `root`."""
        return self.root / path.lstrip("/")

    def image(self, profile_id: str) -> Path:
        """The directory of one profile: its generations, manifests, `current` and `live`."""
        return self.images / profile_id

    def jail(self, name: str) -> Path:
        """The jail of the site NAME, the root directory of its PHP."""
        return self.jails / name

    def chroot(self, name: str) -> Path:
        """The chroot of the shared site NAME, around its data."""
        return self.root / "var/www" / name

    def logs(self, name: str) -> Path:
        """Where an administrator looks for the logs of PHP of the site NAME."""
        return self.root / "var/log/fpmjail" / name

    def site_state(self, name: str) -> Path:
        """What the runtime remembers of the site NAME."""
        return self.state / name

    @property
    def images(self) -> Path:
        """One directory per profile."""
        return self.root / "var/lib/fpmjail/images"

    @property
    def jails(self) -> Path:
        """One jail per site."""
        return self.root / "var/lib/fpmjail/jails"

    @property
    def state(self) -> Path:
        """One directory per site: state.json and the proven drop-ins."""
        return self.root / "var/lib/fpmjail/sites"

    @property
    def status_file(self) -> Path:
        """The outcome of the last refresh."""
        return self.root / "var/lib/fpmjail/status.json"

    @property
    def run(self) -> Path:
        """Sockets and locks; gone after a reboot. What is made in it belongs to the web server's group (make_run)."""
        return self.root / "run/fpmjail"

    @property
    def fresh_pools(self) -> Path:
        """One mark for each pool that Debian's master has to be reloaded for: what it has now."""
        return self.run / "fresh-pools"

    @property
    def foregone(self) -> Path:
        """What there is to say about sites that were configured together with another one, by name."""
        return self.run / "foregone"

    @property
    def leaving(self) -> Path:
        """One mark for each service whose master was told to end when its last request has: its process id."""
        return self.run / "leaving"

    @property
    def idle_file(self) -> Path:
        """Since when each running site has had no request."""
        return self.run / "idle.json"

    @property
    def lock_file(self) -> Path:
        """Held by flock(2) during every change."""
        return self.run / "lock"

    @property
    def live_lock_file(self) -> Path:
        """Held by flock(2) while live files are written."""
        return self.run / "live.lock"

    @property
    def requested_file(self) -> Path:
        """Touched when a refresh is asked for."""
        return self.run / "requested"

    @property
    def sites(self) -> Path:
        """What the site packages ship."""
        return self.root / "usr/share/fpmjail/sites"

    @property
    def capabilities(self) -> Path:
        """The capability definitions of the runtime."""
        return self.root / "usr/share/fpmjail/capabilities"

    @property
    def programs(self) -> Path:
        """What the runtime knows of programs that sites declare."""
        return self.root / "usr/share/fpmjail/programs"

    @property
    def probes(self) -> Path:
        """The scripts that check a jail from inside."""
        return self.root / "usr/share/fpmjail/probes"

    @property
    def admin_capabilities(self) -> Path:
        """The administrator's capability definitions: they add to the runtime's or replace them."""
        return self.root / "etc/fpmjail/capabilities.d"

    @property
    def admin_programs(self) -> Path:
        """What the administrator knows of programs, in addition or instead."""
        return self.root / "etc/fpmjail/programs.d"

    @property
    def admin_sites(self) -> Path:
        """The administrator's drop-ins, one directory per site."""
        return self.root / "etc/fpmjail/sites"
