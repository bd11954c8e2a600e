# SPDX-License-Identifier: MIT
"""Reads site.json, the only thing that the generator and this runtime share (format 1).

The file comes out of a package, so it is read as a stranger's: every field is checked, and one broken site never
hides another.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpmjail.layout import Layout

FORMAT = 1
IMAGE, BIND = "image", "bind"  # where programs and libraries come from
NAME = r"[a-z0-9][a-z0-9-]{0,24}"
_LARGEST = 1 << 20
_USER = r"_[a-z0-9][a-z0-9-]{0,30}"
_WORD = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
_UNIT = r"[A-Za-z0-9:_.\\-]{1,250}\.(service|socket|mount|path)"
_TIMED = r"[a-z0-9-]{1,250}\.(timer|service)"
_VERSION = r"[0-9][A-Za-z0-9.+~-]{0,99}"
_DOMAIN = r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_HOST = r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9:])?"
_ADDRESS = r"[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_RELATIVE = r"[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,1023}"
_PHP = r"[0-9]{1,2}\.[0-9]{1,2}"
_TIME_ZONE = r"[A-Z][A-Za-z0-9_+-]{0,30}(/[A-Za-z][A-Za-z0-9_+-]{0,30}){0,2}"
_LOCALE = r"[a-z]{2,3}(_[A-Z]{2})?\.[A-Z][A-Za-z0-9_-]{0,30}(@[a-z]{1,30})?"
_WEEK = 7 * 86400  # seconds
_PROGRAM = r"/usr(/[A-Za-z0-9._+-]{1,100}){2,20}"
_FILES = r"/(usr|etc)(/[A-Za-z0-9._+*?\[\]@:,~-]{1,100}){1,20}"
_PACKAGES = r"[a-z0-9][a-z0-9+.-]{1,100}( \| [a-z0-9][a-z0-9+.-]{1,100}){0,9}"
_LINE = r"[^\x00-\x1f\x7f]{0,1023}"


DEDICATED, SHARED = "dedicated", "shared"
SERVER_DIRECTORIES = {"mysql": Path("/run/mysqld"), "postgresql": Path("/run/postgresql"), "redis": Path("/run/redis")}


class SiteError(Exception):
    """A site.json that cannot be used; `site` is the name of its directory."""

    def __init__(self, site: str, problem: str) -> None:
        super().__init__(f"site {site}: site.json: {problem}")
        self.site = site
        self.problem = problem


class _Problem(Exception):
    """A field is wrong: (path of the field, what is wrong)."""


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
        return Inside(*(_within(self.paths.jail, path) if self.shared else path for path in places))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """All that can be asked of this site: what its image has, and what it reaches outside."""
        return (*self.profile.capabilities, "proc", *(name for name, _ in self.jail.sockets))


class _Fields:
    """One JSON object whose fields are taken one by one; what is left at the end is unknown."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise _Problem(where or "the file", "must be an object")
        self._values: dict[str, Any] = dict(value)
        self._where = where

    def _name(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _take(self, name: str) -> object:
        if name not in self._values:
            raise _Problem(self._name(name), "is missing")
        return self._values.pop(name)

    def text(self, name: str, pattern: str = _LINE) -> str:
        return _text(self._take(name), self._name(name), pattern)

    def text_or_null(self, name: str, pattern: str) -> str | None:
        if name in self._values and self._values[name] is None:
            return self._values.pop(name)  # type: ignore[no-any-return]
        return self.text(name, pattern)

    def choice(self, name: str, *known: str) -> str:
        value = self.text(name)
        if value not in known:
            raise _Problem(self._name(name), f"`{value}` is not known here; it needs a newer fpmjail")
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _Problem(self._name(name), f"must be a whole number from {low} to {high}")
        return value

    def number_or_null(self, name: str, low: int, high: int) -> int | None:
        if name in self._values and self._values[name] is None:
            return self._values.pop(name)  # type: ignore[no-any-return]
        return self.number(name, low, high)

    def truth(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise _Problem(self._name(name), "must be true or false")
        return value

    def empty_or_null(self, name: str) -> str:
        if self._take(name) is not None:
            raise _Problem(self._name(name), "must be null")
        return ""

    def path(self, name: str) -> Path:
        return _path(self._take(name), self._name(name))

    def texts(self, name: str, pattern: str) -> tuple[str, ...]:
        return self._many(name, lambda value, where: _text(value, where, pattern))

    def path_list(self, name: str) -> tuple[Path, ...]:
        return self._many(name, _path)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        return self._many(name, _pair)

    def path_pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        return self._many(name, _path_pair)

    def relatives(self, name: str) -> tuple[str, ...]:
        return self._many(name, _relative)

    def _many(self, name: str, convert: Callable[[object, str], Any]) -> tuple[Any, ...]:
        values = self._take(name)
        if not isinstance(values, list):
            raise _Problem(self._name(name), "must be a list")
        return tuple(convert(value, f"{self._name(name)}[{index}]") for index, value in enumerate(values))

    def fields(self, name: str) -> _Fields:
        return _Fields(self._take(name), self._name(name))

    def fields_or_null(self, name: str) -> _Fields | None:
        if name in self._values and self._values[name] is None:
            return self._values.pop(name)  # type: ignore[no-any-return]
        return self.fields(name)

    def objects(self, name: str) -> tuple[_Fields, ...]:
        return self._many(name, _Fields)

    def table(self, name: str) -> tuple[tuple[str, str], ...]:
        fields = self.fields(name)
        return tuple((key, fields.text(key)) for key in sorted(fields._values))

    def has(self, name: str) -> bool:
        return name in self._values

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._values))

    def end(self) -> None:
        """A key that this runtime does not know is something it would silently not do."""
        if self._values:
            raise _Problem(self._name(min(self._values)), "is not known here; it needs a newer fpmjail")


def _text(value: object, where: str, pattern: str) -> str:
    if not isinstance(value, str):
        raise _Problem(where, "must be a string")
    if not re.fullmatch(pattern, value) or not value.isprintable():
        raise _Problem(where, f"`{value[:80]!a}` is not allowed")
    return value


def _path(value: object, where: str) -> Path:
    text = _text(value, where, r"/" + _RELATIVE)
    if os.path.normpath(text) != text or text.startswith("//"):
        raise _Problem(where, f"{text!a} must be a plain absolute path")
    return Path(text)


def _relative(value: object, where: str) -> str:
    text = _text(value, where, _RELATIVE)
    if os.path.normpath(text) != text or text.split("/")[0] in ("..", "."):
        raise _Problem(where, f"{text!a} must be a plain relative path")
    return text


def _pair(value: object, where: str) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise _Problem(where, "must be a pair")
    return _text(value[0], where, r"[A-Za-z]+"), _text(value[1], where, _LINE)


def _path_pair(value: object, where: str) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise _Problem(where, "must be a pair")
    return str(_path(value[0], where)), str(_path(value[1], where))


def profile_id(content: dict[str, object]) -> str:
    """The id of a profile: the first 12 hex digits of SHA-256 over its canonical JSON."""
    import hashlib

    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _profile(fields: _Fields) -> Profile:
    profile = Profile(
        id=fields.text("id", r"[0-9a-f]{12}"),
        php=fields.text("php", _PHP),
        capabilities=fields.texts("capabilities", r"[a-z][a-z0-9-]{0,40}"),
        charsets=fields.texts("charsets", r"[A-Za-z0-9][A-Za-z0-9_.:()+-]{0,60}"),
        locales=fields.texts("locales", _LOCALE),
        programs=fields.texts("programs", _PROGRAM),
        libraries=fields.choice("libraries", IMAGE, BIND),
        timezones=fields.texts("timezones", _TIME_ZONE),
        program_files=_program_files(fields.fields("program_files") if fields.has("program_files") else None),
    )
    fields.end()
    for name in ("capabilities", "charsets", "locales", "programs", "timezones"):
        values = getattr(profile, name)
        if list(values) != sorted(set(values)):
            raise _Problem(f"profile.{name}", "must be sorted and without repetition")
    for program in (*profile.programs, *(name for name, _ in profile.program_files)):
        if os.path.normpath(program) != program or program not in profile.programs:
            raise _Problem("profile.programs", f"`{program}` is not one of the programs, or no plain path")
    if profile.id != profile_id(profile.content()):
        raise _Problem("profile.id", "is not the digest of the profile")
    return profile


def _program_files(fields: _Fields | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Patterns by program, both sorted; the key is only there when there are any."""
    if fields is None:
        return ()
    found = tuple((program, fields.texts(program, _FILES)) for program in fields.names())
    fields.end()
    for program, patterns in found:
        if not patterns or list(patterns) != sorted(set(patterns)) or any(".." in text for text in patterns):
            raise _Problem(f"profile.program_files.{program}", "must be sorted, without repetition and without `..`")
    if not found:
        raise _Problem("profile.program_files", "must not be empty")
    return found


def _program(fields: _Fields) -> Program:
    program = Program(fields.text("path", _PROGRAM), fields.texts("packages", _PACKAGES))
    fields.end()
    return program


def _user(fields: _Fields) -> User:
    user = User(
        name=fields.text("name", _USER),
        group=fields.text("group", _USER),
        home=fields.path("home"),
        uid=fields.number_or_null("uid", 1, 59999),
    )
    fields.end()
    return user


def _within(jail: Path, path: Path) -> Path:
    """A path of the host as the chroot `jail` shows it."""
    return Path("/") / path.relative_to(jail)


def _paths(fields: _Fields, name: str, isolation: str) -> Paths:
    inside = fields.fields("inside")
    paths = Paths(**{key: fields.path(key) for key in Paths.__dataclass_fields__})
    fields.end()
    for key, wanted in (_shared_places if isolation == SHARED else _dedicated_places)(name):
        if getattr(paths, key) != wanted:
            raise _Problem(f"paths.{key}", f"must be {wanted}")
    if not paths.document_root.is_relative_to(paths.base):
        raise _Problem("paths.document_root", f"must be {paths.base} or lie below it")
    _inside(inside, paths, isolation)
    return paths


def _dedicated_places(name: str) -> tuple[tuple[str, Path], ...]:
    layout = Layout()
    return (
        ("jail", layout.jail(name)),
        ("socket", layout.run / f"{name}.sock"),
        ("logs", layout.logs(name)),
    )


def _shared_places(name: str) -> tuple[tuple[str, Path], ...]:
    layout = Layout()
    chroot = layout.chroot(name)
    return (
        ("jail", chroot),
        ("base", chroot / "var/www" / name),
        ("socket", layout.run / f"{name}.sock"),
        ("logs", chroot / "var/log/fpmjail" / name),
    )


def _inside(fields: _Fields, paths: Paths, isolation: str) -> None:
    """What the generator tells must be what this runtime would say itself."""
    for key in Inside.__dataclass_fields__:
        outside: Path = getattr(paths, key)
        wanted = _within(paths.jail, outside) if isolation == SHARED else outside
        if fields.path(key) != wanted:
            raise _Problem(f"paths.inside.{key}", f"must be {wanted}")
    fields.end()


def _units(fields: _Fields, package: str, isolation: str) -> Units:
    shared = isolation == SHARED
    units = Units(
        service=fields.text("service", rf"php{_PHP}-fpm\.service" if shared else _UNIT),
        socket=fields.empty_or_null("socket") if shared else fields.text("socket", _UNIT),
        mounts=fields.texts("mounts", _UNIT),
        paths=fields.texts("paths", _UNIT),
        standby=_standby(fields, package, shared),
    )
    fields.end()
    for key in () if shared else ("service", "socket"):
        if getattr(units, key) != f"{package}.{key}":
            raise _Problem(f"units.{key}", f"must be {package}.{key}")
    return units


def _standby(fields: _Fields, package: str, shared: bool) -> str:
    """Packages of before have none."""
    if shared and fields.has("standby"):
        return fields.empty_or_null("standby")
    return fields.text("standby", rf"{package}-standby@\.service") if fields.has("standby") else ""


def _filesystem(fields: _Fields, isolation: str) -> Filesystem:
    read_only = fields.path_pairs("read_only") if fields.has("read_only") else ()
    filesystem = Filesystem(fields.path_list("bind"), fields.path_list("writable"), read_only)
    fields.end()
    if isolation == SHARED and filesystem.bind:
        raise _Problem("filesystem.bind", "must be empty: the data of a shared site lies in its chroot")
    return filesystem


def _mail(fields: _Fields | None) -> Mail | None:
    if fields is None:
        return None
    mail = Mail(
        host=fields.text("host", _HOST),
        port=fields.number("port", 1, 65535),
        tls=fields.choice("tls", "none", "starttls", "tls"),
        sender=fields.text("from", _ADDRESS),
        fixed=fields.truth("fixed"),
        user=fields.text_or_null("user", r'[^"\\\x00-\x1f\x7f]{1,200}'),
        timeout=fields.number("timeout", 1, 600),
        domain=fields.text("domain", _DOMAIN),
    )
    fields.end()
    return mail


def _jail(fields: _Fields) -> Jail:
    jail = Jail(
        dns=fields.choice("dns", "resolver", "hosts", "none"),
        proc=fields.choice("proc", "none", "private", "host"),
        sockets=tuple((name, Path(directory)) for name, directory in fields.table("sockets")),
        shell=fields.choice("shell", "none", "restricted", "sh"),
        mail=_mail(fields.fields_or_null("mail")),
    )
    fields.end()
    for name, directory in jail.sockets:
        if SERVER_DIRECTORIES.get(name) != directory:
            raise _Problem(f"jail.sockets.{name}", f"`{directory}` is not known here; it needs a newer fpmjail")
    return jail


def _php(fields: _Fields) -> Php:
    php = Php(
        version=fields.text("version", _PHP),
        extensions=fields.texts("extensions", _WORD),
        request_timeout=fields.number("request_timeout", 0, _WEEK),
        idle_after=fields.number("idle_after", 0, _WEEK) if fields.has("idle_after") else 0,
    )
    fields.end()
    return php


def _tls(fields: _Fields | None) -> Tls | None:
    if fields is None:
        return None
    tls = Tls(fields.path("certificate"), fields.path("key"), fields.truth("redirect"))
    fields.end()
    return tls


def _web(fields: _Fields) -> Web:
    web = Web(
        server=fields.choice("server", "apache", "nginx"),
        site=fields.text("site", _WORD),
        domains=fields.texts("domains", _DOMAIN),
        modules=fields.texts("modules", r"[a-z][a-z0-9_]{0,40}"),
        htaccess=fields.choice("htaccess", "none", "safe", "all"),
        tls=_tls(fields.fields_or_null("tls")),
    )
    fields.end()
    if not web.domains:
        raise _Problem("web.domains", "must name at least one domain")
    return web


def _environment(variables: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    for name, _ in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise _Problem("environment", f"`{name[:80]!a}` is no name of a variable")
    return variables


def _job(fields: _Fields, package: str) -> Job:
    job = Job(
        name=fields.text("name", r"[a-z0-9][a-z0-9-]{0,29}"),
        schedule=fields.text("schedule"),
        command=fields.texts("command", _LINE),
        timer=fields.text("timer", _TIMED),
        service=fields.text("service", _TIMED),
    )
    fields.end()
    for kind in ("timer", "service"):
        if getattr(job, kind) != f"{package}-cron-{job.name}.{kind}":
            raise _Problem(f"cron.{kind}", f"must be {package}-cron-{job.name}.{kind}")
    if not job.command:
        raise _Problem("cron.command", "must not be empty")
    return job


def _sftp(fields: _Fields | None, name: str) -> Sftp | None:
    if fields is None:
        return None
    sftp = Sftp(fields.path("configuration"))
    fields.end()
    if sftp.configuration != Layout().sites / name / "sshd.conf":
        raise _Problem("sftp.configuration", f"must be {Layout().sites / name / 'sshd.conf'}")
    return sftp


def _site(fields: _Fields) -> Site:
    name = fields.text("site", NAME)
    package = fields.text("package", re.escape(f"site-{name}-jail"))
    isolation = fields.choice("isolation", DEDICATED, SHARED)
    site = Site(
        name=name,
        package=package,
        version=fields.text("version", _VERSION),
        release=fields.text("release", r"[a-z][a-z0-9-]{0,30}"),
        generator=fields.text("generator"),
        source=fields.text("source"),
        isolation=isolation,
        user=_user(fields.fields("user")),
        profile=_profile(fields.fields("profile")),
        paths=_paths(fields.fields("paths"), name, isolation),
        units=_units(fields.fields("units"), package, isolation),
        sandbox=fields.pairs("sandbox"),
        filesystem=_filesystem(fields.fields("filesystem"), isolation),
        jail=_jail(fields.fields("jail")),
        php=_php(fields.fields("php")),
        web=_web(fields.fields("web")),
        writable=fields.relatives("writable"),
        environment=_environment(fields.table("environment")),
        cron=tuple(_job(job, package) for job in fields.objects("cron")),
        sftp=_sftp(fields.fields_or_null("sftp"), name),
        programs=tuple(map(_program, fields.objects("programs"))),
        compat_link=fields.truth("compat_link"),
        origins=fields.table("origins"),
    )
    fields.end()
    _agree(site)
    return site


def _agree(site: Site) -> None:
    """What two fields say about the same thing."""
    if site.shared and site.units.service != f"php{site.php.version}-fpm.service":
        raise _Problem("units.service", f"must be php{site.php.version}-fpm.service")
    if site.compat_link and not site.shared:
        raise _Problem("compat_link", "is for shared sites only")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _Problem("the file", "names a key twice")
    return values


def parse(content: bytes) -> Site:
    """A Site from the bytes of site.json. Raises SiteError (with an unknown site name) for anything else."""
    try:
        fields = _Fields(json.loads(content.decode("utf-8"), object_pairs_hook=_unique), "")
        version = fields.number("format", 0, 1 << 31)
        if version != FORMAT:
            raise _Problem("format", f"is {version}, this fpmjail reads {FORMAT}; the site needs a newer fpmjail")
        return _site(fields)
    except _Problem as problem:
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
