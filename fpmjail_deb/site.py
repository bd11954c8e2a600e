# SPDX-License-Identifier: GPL-2.0-or-later
"""What a site description means once every rule has been checked: plain, frozen values.

Nothing here reads, prints or decides. `description.py` makes a `Site`, `plan.py` reads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fpmjail_deb.location import Location

AUTOMATIC = "auto"
"""What a description says instead of a version that its author raises."""


class Isolation(Enum):
    """How PHP is kept apart: `dedicated` is an FPM master of the site's own, sealed by systemd; `shared` is a pool with
    a chroot in the FPM of Debian that all shared sites have in common."""

    DEDICATED = "dedicated"
    SHARED = "shared"


class ProcessManager(Enum):
    """FPM's `pm`: how many workers wait for requests."""

    ONDEMAND = "ondemand"
    DYNAMIC = "dynamic"
    STATIC = "static"


class WebServer(Enum):
    """The web server whose virtual host the package carries."""

    APACHE = "apache"
    NGINX = "nginx"


class Htaccess(Enum):
    """What the site's own .htaccess files may say; `all` opens a way around the jail."""

    NONE = "none"
    SAFE = "safe"
    ALL = "all"


class ServerSocket(Enum):
    """Whether the jail has the directory in which a database server of this host has its socket."""

    NONE = "none"
    SOCKET = "socket"


class Dns(Enum):
    """Which host names the jail can resolve; `hosts` are those of the server's /etc/hosts."""

    RESOLVER = "resolver"
    HOSTS = "hosts"
    NONE = "none"


class NetworkDeny(Enum):
    """What network the jail does not reach."""

    NONE = "none"
    ALL = "all"


class Proc(Enum):
    """What the jail sees in /proc; `host` shows every process of the server."""

    NONE = "none"
    PRIVATE = "private"
    HOST = "host"


class Shell(Enum):
    """What exec(), popen() and mail() of PHP start as /bin/sh; `restricted` knows the site's programs alone."""

    NONE = "none"
    RESTRICTED = "restricted"
    SH = "sh"


class MailTls(Enum):
    """How the jail speaks to its mail relay: in the clear, encrypted after a word in the clear, or from the start."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Sender(Enum):
    """Who chooses the sender of a mail: the site (`any`), or the description alone."""

    ANY = "any"
    FIXED = "fixed"


class Libraries(Enum):
    """Where the jail has its programs and libraries from; `bind` is the server's own /usr, read-only."""

    IMAGE = "image"
    BIND = "bind"


class Mounts(Enum):
    """Who mounts the image: a unit of the host, or the site's own service, where nobody else sees it."""

    HOST = "host"
    PRIVATE = "private"


class AppArmor(Enum):
    """What AppArmor makes of what the site's profile does not allow; `complain` only writes it down."""

    ENFORCE = "enforce"
    COMPLAIN = "complain"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Pool:
    """FPM's process settings; times in seconds, 0 in `slow_log` means no slow log."""

    process_manager: ProcessManager
    max_children: int
    start_servers: int
    min_spare_servers: int
    max_spare_servers: int
    idle_timeout: int
    max_requests: int
    request_timeout: int
    slow_log: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What systemd allows the whole site: memory as systemd writes it (`1G`), processes and threads, its weights.

    `open_files` counts for each process. `temporary` is the size of /tmp, None is as much as its disk has.
    """

    memory: str
    tasks: int
    cpu_weight: int
    io_weight: int
    open_files: int
    temporary: str | None


@dataclass(frozen=True, slots=True)
class Php:
    """PHP for this site; `version` None means the release's own. `idle_after` in seconds, 0 means that it stays."""

    version: str | None
    extensions: tuple[str, ...]
    pool: Pool
    settings: tuple[tuple[str, str], ...]
    env: tuple[tuple[str, str], ...]
    jit: bool
    limits: Limits
    idle_after: int


@dataclass(frozen=True, slots=True)
class Tls:
    """Where the certificate will be; the site is HTTP only until it is there."""

    certificate: str
    key: str
    redirect: bool


@dataclass(frozen=True, slots=True)
class Web:
    """The virtual host. `document_root` is relative to the site's base directory; `tls` None means HTTP only."""

    server: WebServer
    document_root: str
    front_controller: str | None
    htaccess: Htaccess
    tls: Tls | None
    headers: tuple[tuple[str, str], ...]
    access_log: bool


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the server that the jail has. `packages` None are those that Debian is known to have it in, by
    release; `files` are patterns of what it needs beside its libraries."""

    path: str
    packages: tuple[str, ...] | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mail:
    """The relay that takes the site's mail; `timeout` in seconds, `user` None for a relay that asks for no name.

    `sender` is the address of the envelope, and of a message without From; `fixed` means of every message.
    """

    host: str
    port: int
    tls: MailTls
    sender: str
    fixed: bool
    user: str | None
    timeout: int


@dataclass(frozen=True, slots=True)
class Network:
    """What the jail reaches; `allow` are exceptions from `deny`, as IPAddressAllow= takes them."""

    deny: NetworkDeny
    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Jail:
    """What the jail holds and reaches beside PHP; `timezones` None means all of them, `mail` None no mail."""

    charsets: tuple[str, ...]
    locales: tuple[str, ...]
    timezones: tuple[str, ...] | None
    mysql: ServerSocket
    postgresql: ServerSocket
    redis: ServerSocket
    dns: Dns
    network: Network
    proc: Proc
    shell: Shell
    programs: tuple[Program, ...]
    mail: Mail | None
    capabilities: tuple[str, ...]
    libraries: Libraries
    mounts: Mounts
    apparmor: AppArmor


@dataclass(frozen=True, slots=True)
class Job:
    """A command that runs in the jail by the clock: `schedule` as OnCalendar has it, the delay in seconds."""

    name: str
    schedule: str
    command: tuple[str, ...]
    randomized_delay: int


@dataclass(frozen=True, slots=True)
class Sftp:
    """SFTP for the site's owner; more keys than these may lie on the server."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """One website. `writable` is relative to the document root: PHP never runs from there.

    `code` is the directory with the code that the package brings along, None if it brings none.

    `origins` maps the key path of each given field (`php.pool.max_children`, `domains[0]`) to its place.
    """

    name: str
    version: str
    maintainer: str
    description: str
    releases: tuple[str, ...]
    domains: tuple[str, ...]
    aliases: tuple[str, ...]
    user: str
    uid: int | None
    isolation: Isolation
    compat_link: bool
    php: Php
    web: Web
    jail: Jail
    code: str | None
    writable: tuple[str, ...]
    cron: tuple[Job, ...]
    sftp: Sftp | None
    origins: tuple[tuple[str, Location], ...]

    @property
    def file(self) -> str:
        """Return the name of the description."""
        return dict(self.origins)["site"].file
