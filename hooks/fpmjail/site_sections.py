# SPDX-License-Identifier: MIT
"""What each section of a site.json must say: strings of the right form, paths in their places, units of the package."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fpmjail.json_fields import LINE, Fields, Problem
from fpmjail.layout import Layout
from fpmjail.site import (
    BIND,
    DEDICATED,
    IMAGE,
    NAME,
    SERVER_DIRECTORIES,
    SHARED,
    Filesystem,
    Inside,
    Jail,
    Job,
    Mail,
    Paths,
    Php,
    Profile,
    Program,
    Sftp,
    Site,
    Tls,
    Units,
    User,
    Web,
    profile_id,
    within,
)

_USER = r"_[a-z0-9][a-z0-9-]{0,30}"
_WORD = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
_UNIT = r"[A-Za-z0-9:_.\\-]{1,250}\.(service|socket|mount|path)"
_TIMED = r"[a-z0-9-]{1,250}\.(timer|service)"
_VERSION = r"[0-9][A-Za-z0-9.+~-]{0,99}"
_DOMAIN = r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_HOST = r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9:])?"
_ADDRESS = r"[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_PHP = r"[0-9]{1,2}\.[0-9]{1,2}"
_TIME_ZONE = r"[A-Z][A-Za-z0-9_+-]{0,30}(/[A-Za-z][A-Za-z0-9_+-]{0,30}){0,2}"
_LOCALE = r"[a-z]{2,3}(_[A-Z]{2})?\.[A-Z][A-Za-z0-9_-]{0,30}(@[a-z]{1,30})?"
_WEEK = 7 * 86400  # seconds
_PROGRAM = r"/usr(/[A-Za-z0-9._+-]{1,100}){2,20}"
_FILES = r"/(usr|etc)(/[A-Za-z0-9._+*?\[\]@:,~-]{1,100}){1,20}"
_PACKAGES = r"[a-z0-9][a-z0-9+.-]{1,100}( \| [a-z0-9][a-z0-9+.-]{1,100}){0,9}"


def _profile(fields: Fields) -> Profile:
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
            raise Problem(f"profile.{name}", "must be sorted and without repetition")
    for program in (*profile.programs, *(name for name, _ in profile.program_files)):
        if os.path.normpath(program) != program or program not in profile.programs:
            raise Problem("profile.programs", f"`{program}` is not one of the programs, or no plain path")
    if profile.id != profile_id(profile.content()):
        raise Problem("profile.id", "is not the digest of the profile")
    return profile


def _program_files(fields: Fields | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Patterns by program, both sorted; the key is only there when there are any."""
    if fields is None:
        return ()
    found = tuple((program, fields.texts(program, _FILES)) for program in fields.names())
    fields.end()
    for program, patterns in found:
        if not patterns or list(patterns) != sorted(set(patterns)) or any(".." in text for text in patterns):
            raise Problem(f"profile.program_files.{program}", "must be sorted, without repetition and without `..`")
    if not found:
        raise Problem("profile.program_files", "must not be empty")
    return found


def _program(fields: Fields) -> Program:
    program = Program(fields.text("path", _PROGRAM), fields.texts("packages", _PACKAGES))
    fields.end()
    return program


def _user(fields: Fields) -> User:
    user = User(
        name=fields.text("name", _USER),
        group=fields.text("group", _USER),
        home=fields.path("home"),
        uid=fields.number_or_null("uid", 1, 59999),
    )
    fields.end()
    return user


def _paths(fields: Fields, name: str, isolation: str) -> Paths:
    inside = fields.fields("inside")
    paths = Paths(**{key: fields.path(key) for key in Paths.__dataclass_fields__})
    fields.end()
    for key, wanted in (_shared_places if isolation == SHARED else _dedicated_places)(name):
        if getattr(paths, key) != wanted:
            raise Problem(f"paths.{key}", f"must be {wanted}")
    if not paths.document_root.is_relative_to(paths.base):
        raise Problem("paths.document_root", f"must be {paths.base} or lie below it")
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


def _inside(fields: Fields, paths: Paths, isolation: str) -> None:
    """What the generator tells must be what this runtime would say itself."""
    for key in Inside.__dataclass_fields__:
        outside: Path = getattr(paths, key)
        wanted = within(paths.jail, outside) if isolation == SHARED else outside
        if fields.path(key) != wanted:
            raise Problem(f"paths.inside.{key}", f"must be {wanted}")
    fields.end()


def _units(fields: Fields, package: str, isolation: str) -> Units:
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
            raise Problem(f"units.{key}", f"must be {package}.{key}")
    return units


def _standby(fields: Fields, package: str, shared: bool) -> str:
    """Packages of before have none."""
    if shared and fields.has("standby"):
        return fields.empty_or_null("standby")
    return fields.text("standby", rf"{package}-standby@\.service") if fields.has("standby") else ""


def _filesystem(fields: Fields, isolation: str) -> Filesystem:
    read_only = fields.path_pairs("read_only") if fields.has("read_only") else ()
    filesystem = Filesystem(fields.path_list("bind"), fields.path_list("writable"), read_only)
    fields.end()
    if isolation == SHARED and filesystem.bind:
        raise Problem("filesystem.bind", "must be empty: the data of a shared site lies in its chroot")
    return filesystem


def _mail(fields: Fields | None) -> Mail | None:
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


def _jail(fields: Fields) -> Jail:
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
            raise Problem(f"jail.sockets.{name}", f"`{directory}` is not known here; it needs a newer fpmjail")
    return jail


def _php(fields: Fields) -> Php:
    php = Php(
        version=fields.text("version", _PHP),
        extensions=fields.texts("extensions", _WORD),
        request_timeout=fields.number("request_timeout", 0, _WEEK),
        idle_after=fields.number("idle_after", 0, _WEEK) if fields.has("idle_after") else 0,
    )
    fields.end()
    return php


def _tls(fields: Fields | None) -> Tls | None:
    if fields is None:
        return None
    tls = Tls(fields.path("certificate"), fields.path("key"), fields.truth("redirect"))
    fields.end()
    return tls


def _web(fields: Fields) -> Web:
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
        raise Problem("web.domains", "must name at least one domain")
    return web


def _environment(variables: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    for name, _ in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Problem("environment", f"`{name[:80]!a}` is no name of a variable")
    return variables


def _job(fields: Fields, package: str) -> Job:
    job = Job(
        name=fields.text("name", r"[a-z0-9][a-z0-9-]{0,29}"),
        schedule=fields.text("schedule"),
        command=fields.texts("command", LINE),
        timer=fields.text("timer", _TIMED),
        service=fields.text("service", _TIMED),
    )
    fields.end()
    for kind in ("timer", "service"):
        if getattr(job, kind) != f"{package}-cron-{job.name}.{kind}":
            raise Problem(f"cron.{kind}", f"must be {package}-cron-{job.name}.{kind}")
    if not job.command:
        raise Problem("cron.command", "must not be empty")
    return job


def _sftp(fields: Fields | None, name: str) -> Sftp | None:
    if fields is None:
        return None
    sftp = Sftp(fields.path("configuration"))
    fields.end()
    if sftp.configuration != Layout().sites / name / "sshd.conf":
        raise Problem("sftp.configuration", f"must be {Layout().sites / name / 'sshd.conf'}")
    return sftp


def read(fields: Fields) -> Site:
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
        raise Problem("units.service", f"must be php{site.php.version}-fpm.service")
    if site.compat_link and not site.shared:
        raise Problem("compat_link", "is for shared sites only")
