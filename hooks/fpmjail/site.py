# SPDX-License-Identifier: MIT
"""Reads site.json, the only thing that the generator and this runtime share (format 1).

The file comes out of a package, so it is read as a stranger's: every field is checked, and one broken site never
hides another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fpmjail.json_fields import Fields, Problem
from fpmjail.layout import Layout

FORMAT = 1
IMAGE, BIND = "image", "bind"  # where programs and libraries come from
NAME = r"[a-z0-9][a-z0-9-]{0,24}"
_LARGEST = 1 << 20
DEDICATED, SHARED = "dedicated", "shared"
SERVER_DIRECTORIES = {"mysql": Path("/run/mysqld"), "postgresql": Path("/run/postgresql"), "redis": Path("/run/redis")}


class SiteError(Exception):
    """A site.json that cannot be used; `site` is the name of its directory."""

    def __init__(self, site: str, problem: str) -> None:
        super().__init__(f"site {site}: site.json: {problem}")
        self.site = site
        self.problem = problem


class NoSuchSite(SiteError):
    """No package has brought a site of this name."""

    def __str__(self) -> str:
        return self.problem


def within(jail: Path, path: Path) -> Path:
    """A path of the host as the chroot `jail` shows it."""
    return Path("/") / path.relative_to(jail)


@dataclass(frozen=True, slots=True)
class User:
    """The site's account."""

    name: str
    group: str
    home: Path
    uid: int | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What an image must hold; sites with the same profile share one image. `id` is the digest of all the rest.

    No `timezones` means all of them. `programs` are paths; `program_files` are patterns of what some of them need.
    """

    id: str
    php: str
    capabilities: tuple[str, ...]
    charsets: tuple[str, ...]
    locales: tuple[str, ...]
    programs: tuple[str, ...]
    libraries: str
    timezones: tuple[str, ...] = ()
    program_files: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def master(self) -> str:
        """PHP-FPM as the jail has it: an image has a link for its one version, a server none."""
        return f"/usr/sbin/php-fpm{self.php}" if self.libraries == BIND else "/usr/sbin/php-fpm"

    def content(self) -> dict[str, object]:
        """The profile without its id, as it stands in site.json."""
        names = ("php", "capabilities", "charsets", "locales", "programs", "libraries", "timezones")
        found = {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in names}
        files = {program: list(patterns) for program, patterns in self.program_files}
        return {**found, "program_files": files} if files else found


@dataclass(frozen=True, slots=True)
class Program:
    """A program that the site declares, and the packages that the site's own depends on for it."""

    path: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the site's things lie, all absolute."""

    base: Path
    document_root: Path
    jail: Path
    logs: Path
    socket: Path
    pool: Path
    vhost: Path


@dataclass(frozen=True, slots=True)
class Inside:
    """Where the same things lie for PHP."""

    base: Path
    document_root: Path
    logs: Path


@dataclass(frozen=True, slots=True)
class Units:
    """The systemd units of the site: its package's own, but for the `service` of a shared site, which is Debian's.

    `socket` is empty for a shared site: its pool listens itself. `standby` is the template of the services that have
    the socket while the first one is replaced; empty where there is none.
    """

    service: str
    socket: str
    mounts: tuple[str, ...]
    paths: tuple[str, ...]
    standby: str = ""

    @property
    def standbys(self) -> tuple[str, ...]:
        """All services that may stand by, as systemctl(1) takes a pattern."""
        return (self.standby.replace("@.", "@*."),) if self.standby else ()


@dataclass(frozen=True, slots=True)
class Filesystem:
    """What the service binds into the jail, and what it may write there; `read_only` are pairs of source and place."""

    bind: tuple[Path, ...]
    writable: tuple[Path, ...]
    read_only: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mail:
    """The relay that takes the site's mail; `timeout` in seconds, `user` None where nobody logs in.

    `sender` is that of the envelope unless the script names one, always with `fixed`; `domain` is the jail's own name.
    """

    host: str
    port: int
    tls: str
    sender: str
    fixed: bool
    user: str | None
    timeout: int
    domain: str


@dataclass(frozen=True, slots=True)
class Jail:
    """What the jail reaches and sees outside of its image; `sockets` are directories of servers, by their names.

    `shell` is what the description asks for; a site with mail has at least a restricted one.
    """

    dns: str
    proc: str
    sockets: tuple[tuple[str, Path], ...]
    shell: str = "none"
    mail: Mail | None = None


@dataclass(frozen=True, slots=True)
class Php:
    """The PHP of the site; `request_timeout` and `idle_after` in seconds, 0 in that means that it never stops."""

    version: str
    extensions: tuple[str, ...]
    request_timeout: int
    idle_after: int = 0


@dataclass(frozen=True, slots=True)
class Tls:
    """Where the certificate will be."""

    certificate: Path
    key: Path
    redirect: bool


@dataclass(frozen=True, slots=True)
class Web:
    """The virtual host: `site` is its name in sites-available, `modules` what it needs of the web server."""

    server: str
    site: str
    domains: tuple[str, ...]
    modules: tuple[str, ...]
    htaccess: str
    tls: Tls | None


@dataclass(frozen=True, slots=True)
class Job:
    """A command that a timer starts in the jail; `schedule` as OnCalendar has it (systemd.time(7))."""

    name: str
    schedule: str
    command: tuple[str, ...]
    timer: str
    service: str


@dataclass(frozen=True, slots=True)
class Sftp:
    """SFTP for the site's owner: what sshd is told about it."""

    configuration: Path


@dataclass(frozen=True, slots=True)
class Site:
    """One installed website. `writable` is relative to the document root; `sandbox` keeps its order.

    `environment` is that of everything that runs for the site; `sftp` None means that there is none. `compat_link`
    makes the paths of outside good in the chroot of a shared site.
    """

    name: str
    package: str
    version: str
    release: str
    generator: str
    source: str
    isolation: str
    user: User
    profile: Profile
    paths: Paths
    units: Units
    sandbox: tuple[tuple[str, str], ...]
    filesystem: Filesystem
    jail: Jail
    php: Php
    web: Web
    writable: tuple[str, ...]
    origins: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...] = ()
    cron: tuple[Job, ...] = ()
    sftp: Sftp | None = None
    programs: tuple[Program, ...] = ()
    compat_link: bool = False

    @property
    def shared(self) -> bool:
        """True for a pool of Debian's FPM in a chroot, False for a sealed master of its own."""
        return self.isolation == SHARED

    @property
    def inside(self) -> Inside:
        """The site's places as its PHP sees them."""
        places = (self.paths.base, self.paths.document_root, self.paths.logs)
        return Inside(*(within(self.paths.jail, path) if self.shared else path for path in places))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """All that can be asked of this site: what its image has, and what it reaches outside."""
        return (*self.profile.capabilities, "proc", *(name for name, _ in self.jail.sockets))


def profile_id(content: dict[str, object]) -> str:
    """The id of a profile: the first 12 hex digits of SHA-256 over its canonical JSON."""
    import hashlib

    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Problem("the file", "names a key twice")
    return values


def parse(content: bytes) -> Site:
    """A Site from the bytes of site.json. Raises SiteError (with an unknown site name) for anything else."""
    from fpmjail.site_sections import read

    try:
        fields = Fields(json.loads(content.decode("utf-8"), object_pairs_hook=_unique), "")
        version = fields.number("format", 0, 1 << 31)
        if version != FORMAT:
            raise Problem("format", f"is {version}, this fpmjail reads {FORMAT}; the site needs a newer fpmjail")
        return read(fields)
    except Problem as problem:
        raise SiteError("?", ": ".join(problem.args)) from None
    except (ValueError, RecursionError) as error:
        raise SiteError("?", f"is not JSON: {error}") from None


def load(path: Path) -> Site:
    """The site described by `path`, a site.json in a directory of the site's name. Raises SiteError."""
    name = path.parent.name
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        if not path.parent.is_dir():
            raise NoSuchSite(name, "no such site; see: fpmjail status") from None
        raise SiteError(name, f"cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise SiteError(name, f"is larger than {_LARGEST} bytes")
    try:
        site = parse(content)
    except SiteError as error:
        raise SiteError(name, error.problem) from None
    if site.name != name:
        raise SiteError(name, f"describes another site, {site.name}")
    return site


def naming(layout: Layout, word: str, beside: str = "") -> list[Site]:
    """The sites but the one called `beside` whose descriptions have this word between quotes. The others are read and
    not understood, which takes a hundredth of the time: a site that is configured must not cost more because there are
    many."""
    found = []
    for path in layout.sites.glob("*/site.json"):
        with suppress(OSError, SiteError):
            if path.parent.name != beside and f'"{word}"'.encode() in path.read_bytes():
                found.append(load(path))
    return found


def by_user(layout: Layout) -> Mapping[str, tuple[Site, ...]]:
    """The sites by their account, for those who want to know it of many."""
    found: dict[str, list[Site]] = {}
    for site in installed(layout)[0]:
        found.setdefault(site.user.name, []).append(site)
    return {user: tuple(sites) for user, sites in found.items()}


def with_same_user(layout: Layout, site: Site, users: Mapping[str, tuple[Site, ...]] | None) -> list[Site]:
    """The other sites that may have the account of this one; `users` is what `by_user` said, if that was asked."""
    if users is None:
        return naming(layout, site.user.name, beside=site.name)
    return [other for other in users.get(site.user.name, ()) if other.name != site.name]


def with_image(layout: Layout, target: str) -> tuple[Site, ...]:
    """The sites that share the image of a site, or the one that the beginning of its id names. Raises NoSuchSite."""
    found, _ = installed(layout)
    ids = {one.profile.id for one in found if one.name == target} or {
        one.profile.id for one in found if one.profile.id.startswith(target)
    }
    if len(ids) != 1:
        what = "more than one image begins so" if ids else "no such site or image"
        raise NoSuchSite(target, f"{target}: {what}; see: fpmjail status")
    return tuple(one for one in found if one.profile.id in ids)


def installed(layout: Layout) -> tuple[list[Site], list[SiteError]]:
    """Every site whose package is there, and what is wrong with those that cannot be read."""
    sites: list[Site] = []
    errors: list[SiteError] = []
    for path in sorted(layout.sites.glob("*/site.json")):
        try:
            sites.append(load(path))
        except SiteError as error:
            errors.append(error)
    return sites, errors
