# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of a site description -> a frozen Site, or all of its problems at once."""

from __future__ import annotations

from collections.abc import Sequence

from fpmjail_deb import document, mail, names
from fpmjail_deb.conflicts import CHECKS
from fpmjail_deb.document import Mapping
from fpmjail_deb.errors import DescriptionError, Problem
from fpmjail_deb.layers import layered, of_one_site
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import jail_keys, php_keys, site_keys, web_keys
from fpmjail_deb.site import Jail, Limits, Mail, Network, Php, Pool, Sender, Sftp, Site, Tls, Web
from fpmjail_deb.values import Values


def read_site(data: bytes, file: str, defaults: Sequence[Mapping] = (), *, whole: bool = True) -> Site:
    """Read one description; `file` names it in messages and origins, `defaults` lie beneath it, the widest first.

    With `whole` false a file of defaults could not be read: then a missing key is no problem, and there is no Site.
    Raises DescriptionError with all problems, sorted by position.
    """
    read = document.read(data, file)
    reading = Reading(list(read.problems), file=file)
    values = Values(layered((*defaults, read.root)), reading, required=whole)
    for check in CHECKS:
        check(values, reading)
    if reading.problems or not whole:
        raise DescriptionError(reading.problems)
    return _site(values, reading)


def problems_of_defaults(root: Mapping) -> tuple[Problem, ...]:
    """Return what is wrong in a file of defaults, whatever its sites make of it."""
    reading = Reading(file=root.location.file)
    Values(root, reading, required=False)
    return tuple(sorted({*reading.problems, *of_one_site(root)}))


def _site(values: Values, reading: Reading) -> Site:
    name, domains = values[site_keys.SITE], values[site_keys.DOMAINS]
    return Site(
        name=name,
        version=values[site_keys.VERSION],
        maintainer=values[site_keys.MAINTAINER],
        description=values[site_keys.DESCRIPTION] or f"PHP website {domains[0]} in a sealed jail",
        releases=values[site_keys.RELEASE_NAMES],
        domains=domains,
        aliases=values[site_keys.ALIASES],
        user=values[site_keys.USER] or names.user(name),
        uid=values[site_keys.UID],
        isolation=values[site_keys.ISOLATION],
        compat_link=values[site_keys.COMPAT_LINK],
        php=_php(values),
        web=_web(values),
        jail=_jail(values),
        code=values[site_keys.CODE],
        writable=values[site_keys.WRITABLE],
        cron=values[site_keys.CRON],
        sftp=_sftp(values, reading),
        origins=tuple(sorted(reading.origins.items())),
    )


def _sftp(values: Values, reading: Reading) -> Sftp | None:
    """Keys without another word mean that SFTP is wanted."""
    wanted = values[site_keys.SFTP] or site_keys.SFTP_KEYS.path in reading.origins
    return Sftp(values[site_keys.SFTP_KEYS]) if wanted else None


def _jail(values: Values) -> Jail:
    return Jail(
        charsets=values[jail_keys.CHARSETS],
        locales=values[jail_keys.LOCALES],
        timezones=values[jail_keys.TIME_ZONES],
        mysql=values[jail_keys.MYSQL],
        postgresql=values[jail_keys.POSTGRESQL],
        redis=values[jail_keys.REDIS],
        dns=values[jail_keys.DNS],
        network=Network(values[jail_keys.NETWORK_DENY], values[jail_keys.NETWORK_ALLOW]),
        proc=values[jail_keys.PROC],
        shell=values[jail_keys.SHELL],
        programs=values[jail_keys.PROGRAMS],
        mail=_mail(values),
        capabilities=values[jail_keys.CAPABILITIES],
        libraries=values[jail_keys.LIBRARIES],
        mounts=values[jail_keys.MOUNTS],
        apparmor=values[jail_keys.APPARMOR],
    )


def _mail(values: Values) -> Mail | None:
    relay, sender = values[jail_keys.MAIL_RELAY], values[jail_keys.MAIL_FROM]
    if relay is None or sender is None:
        return None
    return mail.made(
        relay,
        values[jail_keys.MAIL_TLS],
        sender,
        values[jail_keys.MAIL_SENDER] is Sender.FIXED,
        values[jail_keys.MAIL_USER],
        values[jail_keys.MAIL_TIMEOUT],
    )


def _php(values: Values) -> Php:
    return Php(
        version=values[php_keys.VERSION],
        extensions=values[php_keys.EXTENSIONS],
        pool=_pool(values),
        settings=values[php_keys.SETTINGS],
        env=values[php_keys.ENVIRONMENT],
        jit=values[php_keys.JIT],
        limits=Limits(
            memory=values[php_keys.MEMORY],
            tasks=values[php_keys.TASKS],
            cpu_weight=values[php_keys.CPU_WEIGHT],
            io_weight=values[php_keys.IO_WEIGHT],
            open_files=values[php_keys.OPEN_FILES],
            temporary=values[php_keys.TEMPORARY],
        ),
        idle_after=values[php_keys.IDLE_AFTER],
    )


def _pool(values: Values) -> Pool:
    return Pool(
        process_manager=values[php_keys.PROCESS_MANAGER],
        max_children=values[php_keys.MAX_CHILDREN],
        start_servers=values[php_keys.START_SERVERS],
        min_spare_servers=values[php_keys.MIN_SPARE_SERVERS],
        max_spare_servers=values[php_keys.MAX_SPARE_SERVERS],
        idle_timeout=values[php_keys.IDLE_TIMEOUT],
        max_requests=values[php_keys.MAX_REQUESTS],
        request_timeout=values[php_keys.REQUEST_TIMEOUT],
        slow_log=values[php_keys.SLOW_LOG],
    )


def _web(values: Values) -> Web:
    return Web(
        server=values[web_keys.SERVER],
        document_root=values[web_keys.DOCUMENT_ROOT],
        front_controller=values[web_keys.FRONT_CONTROLLER],
        htaccess=values[web_keys.HTACCESS],
        tls=_tls(values),
        headers=values[web_keys.HEADERS],
        access_log=values[web_keys.ACCESS_LOG],
    )


def _tls(values: Values) -> Tls | None:
    if values[web_keys.TLS] == "none":
        return None
    directory = f"/etc/letsencrypt/live/{values[site_keys.DOMAINS][0]}"
    return Tls(
        certificate=values[web_keys.CERTIFICATE] or f"{directory}/fullchain.pem",
        key=values[web_keys.KEY] or f"{directory}/privkey.pem",
        redirect=values[web_keys.REDIRECT],
    )
