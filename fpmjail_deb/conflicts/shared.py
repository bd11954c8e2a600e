# SPDX-License-Identifier: GPL-2.0-or-later
"""What cannot be had in shared isolation, and what only there."""

from __future__ import annotations

from fpmjail_deb import rules
from fpmjail_deb.document import join
from fpmjail_deb.errors import quote
from fpmjail_deb.pool import needs_unit
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import jail_keys, php_keys, site_keys, web_keys
from fpmjail_deb.site import Mounts
from fpmjail_deb.values import Check, Values, is_shared, place_of


def _check_limits(values: Values, reading: Reading) -> None:
    for row in (php_keys.MEMORY, php_keys.TASKS, php_keys.CPU_WEIGHT, php_keys.IO_WEIGHT):
        if is_shared(values) and row.path in reading.origins:
            message = "in shared isolation PHP's processes belong to Debian's PHP-FPM, which has no limits for one site"
            hint = "leave it out: memory_limit in php.settings times php.pool.max_children is the limit there is"
            reading.refuse(reading.origins[row.path], row.path, message, hint)


def _check_shared_master(values: Values, reading: Reading) -> None:
    master = "in shared isolation the pages come from Debian's PHP-FPM, which never stops"
    chroot = "in shared isolation Debian's PHP-FPM sees what the host has mounted, and nothing else"
    profile = "in shared isolation the pages come from Debian's PHP-FPM, whose profile would be that of all sites"
    rows = ((php_keys.IDLE_AFTER, master), (jail_keys.MOUNTS, chroot), (jail_keys.APPARMOR, profile))
    for row, message in rows:
        if is_shared(values) and row.path in reading.origins:
            reading.refuse(reading.origins[row.path], row.path, message, "leave it out")


def _check_temporary(values: Values, reading: Reading) -> None:
    rows = (php_keys.TEMPORARY, php_keys.MEMORY)
    if not values.have(*rows) or values[php_keys.TEMPORARY] is None:
        return
    quota = "leave it out; what bounds it there is a quota of the site's user, for blocks and for files"
    if is_shared(values):
        message = "in shared isolation /tmp is a directory beside the site's data, on the same disk"
        reading.refuse(reading.origins[rows[0].path], rows[0].path, message, quota)
    elif values.have(jail_keys.MOUNTS) and values[jail_keys.MOUNTS] is Mounts.PRIVATE:
        message = "with jail.mounts: private nothing is mounted that pages, jobs and commands could share"
        reading.refuse(reading.origins[rows[0].path], rows[0].path, message, quota)
    else:
        _check_temporary_is_part_of_memory(values[php_keys.TEMPORARY], values[php_keys.MEMORY], reading)


def _check_temporary_is_part_of_memory(size: str | None, whole: str, reading: Reading) -> None:
    rows = (php_keys.TEMPORARY, php_keys.MEMORY)
    if size and rules.in_bytes(size) >= rules.in_bytes(whole):
        message = f"expected less than php.limits.memory, {whole}, of which it is a part, found {size}"
        reading.refuse(place_of(reading, *rows), rows[0].path, message, "lower it, or raise php.limits.memory")


def _check_compat_link(values: Values, reading: Reading) -> None:
    if not values.have(site_keys.COMPAT_LINK, site_keys.ISOLATION) or not values[site_keys.COMPAT_LINK]:
        return
    place, path = reading.origins[site_keys.COMPAT_LINK.path], site_keys.COMPAT_LINK.path
    if not is_shared(values):
        message = "only means something with isolation: shared"
        reading.refuse(place, path, message, "leave it out: the path is the same inside and outside")
    elif values.have(web_keys.DOCUMENT_ROOT) and values[web_keys.DOCUMENT_ROOT].split("/")[0] == "var":
        message = "the link would be where the document root begins, in var"
        reading.refuse(place, path, message, "leave it out, or choose another web.document_root")


SHARED_SETTINGS = ("opcache.restrict_api", "opcache.validate_permission", "opcache.validate_root")
"""What keeps the sites of one master from running each other's code."""


def _check_shared_settings(values: Values, reading: Reading) -> None:
    if not is_shared(values) or not values.have(php_keys.SETTINGS):
        return
    for name, _ in values[php_keys.SETTINGS]:
        if name in SHARED_SETTINGS:
            path = join(php_keys.SETTINGS.path, name)
            message = "in shared isolation it is one of the walls between the sites"
            reading.refuse(reading.origins[path], path, message, "leave it out")


def _check_shared_environment(values: Values, reading: Reading) -> None:
    if not is_shared(values) or not values.have(php_keys.ENVIRONMENT):
        return
    for name, value in values[php_keys.ENVIRONMENT]:
        if needs_unit(value):
            path = join(php_keys.ENVIRONMENT.path, name)
            message = f"FPM would put a variable of its own in place of the {quote(value)}"
            reading.refuse(reading.origins[path], path, message, "write it without $, or take isolation: dedicated")


CHECKS: tuple[Check, ...] = (
    _check_limits,
    _check_shared_master,
    _check_temporary,
    _check_compat_link,
    _check_shared_settings,
    _check_shared_environment,
)
