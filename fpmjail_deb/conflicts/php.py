# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys below `php` that contradict each other."""

from __future__ import annotations

from fpmjail_deb.document import join
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import jail_keys, php_keys, site_keys
from fpmjail_deb.site import ProcessManager
from fpmjail_deb.values import Check, Values, is_shared, place_of

_SPARE = (php_keys.START_SERVERS, php_keys.MIN_SPARE_SERVERS, php_keys.MAX_SPARE_SERVERS)


def _check_spare_servers(values: Values, reading: Reading) -> None:
    if not values.have(php_keys.PROCESS_MANAGER, php_keys.MAX_CHILDREN, *_SPARE):
        return
    if values[php_keys.PROCESS_MANAGER] is not ProcessManager.DYNAMIC:
        for row in _SPARE:
            if row.path in reading.origins:
                message = "only means something with process_manager: dynamic"
                reading.refuse(reading.origins[row.path], row.path, message, "leave it out")
        return
    rising = (php_keys.MIN_SPARE_SERVERS, php_keys.START_SERVERS, php_keys.MAX_SPARE_SERVERS, php_keys.MAX_CHILDREN)
    found = [values[row] for row in rising]
    if found != sorted(found):
        words = " <= ".join(row.path.rpartition(".")[2] for row in rising)
        message = f"expected {words}, found {', '.join(map(str, found))}"
        hint = f"the defaults are {', '.join(str(row.default) for row in rising)}"
        reading.refuse(place_of(reading, *rising, php_keys.PROCESS_MANAGER), "php.pool", message, hint)


def _check_slow_log(values: Values, reading: Reading) -> None:
    rows = (php_keys.SLOW_LOG, php_keys.REQUEST_TIMEOUT)
    if values.have(*rows) and values[php_keys.SLOW_LOG] > values[php_keys.REQUEST_TIMEOUT]:
        message = f"expected at most php.pool.request_timeout, {values[php_keys.REQUEST_TIMEOUT]}s"
        found = f"found {values[php_keys.SLOW_LOG]}s"
        reading.refuse(place_of(reading, *rows), php_keys.SLOW_LOG.path, f"{message}, {found}", "0 is no slow log")


def _check_tasks(values: Values, reading: Reading) -> None:
    rows = (php_keys.TASKS, php_keys.MAX_CHILDREN)
    if not values.have(*rows):
        return
    least = values[php_keys.MAX_CHILDREN] + 2
    if not is_shared(values) and values[php_keys.TASKS] < least:
        found = f"found {values[php_keys.TASKS]}"
        message = f"expected at least {least} for {least - 2} processes and their master, {found}"
        hint = "raise it, or lower php.pool.max_children"
        reading.refuse(place_of(reading, *rows), php_keys.TASKS.path, message, hint)


def _check_time_zones(values: Values, reading: Reading) -> None:
    if not values.have(jail_keys.TIME_ZONES, php_keys.SETTINGS):
        return
    zones, key = values[jail_keys.TIME_ZONES], "date.timezone"
    chosen = dict(values[php_keys.SETTINGS]).get(key)
    if zones is not None and chosen and chosen not in (*zones, "UTC"):
        path = join(php_keys.SETTINGS.path, key)
        message = f"{chosen} is not among the time zones of the jail"
        reading.refuse(reading.origins[path], path, message, f"add it to {jail_keys.TIME_ZONES.path}")


JIT_SETTINGS = ("opcache.jit", "opcache.jit_buffer_size", "pcre.jit")
"""What `php.jit` switches on."""


def _check_jit(values: Values, reading: Reading) -> None:
    if not values.have(php_keys.JIT, php_keys.SETTINGS, site_keys.ISOLATION):
        return
    path = php_keys.JIT.path
    if is_shared(values) and path in reading.origins:
        message = "in shared isolation Debian's PHP-FPM decides, for all of its sites"
        reading.refuse(reading.origins[path], path, message, "leave it out")
    for name, _ in values[php_keys.SETTINGS]:
        if name in JIT_SETTINGS and not is_shared(values) and not values[php_keys.JIT]:
            place = join(php_keys.SETTINGS.path, name)
            message = "the jail executes nothing that was written to memory"
            reading.refuse(reading.origins[place], place, message, "leave it out, or add `jit: true` to php")


CHECKS: tuple[Check, ...] = (
    _check_spare_servers,
    _check_slow_log,
    _check_tasks,
    _check_time_zones,
    _check_jit,
)
