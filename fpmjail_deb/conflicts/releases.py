# SPDX-License-Identifier: GPL-2.0-or-later
"""What one of the releases to build for does not ship."""

from __future__ import annotations

from fpmjail_deb import programs
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import jail_keys, php_keys, site_keys
from fpmjail_deb.values import Check, Values, place_of


def _check_php_version(values: Values, reading: Reading) -> None:
    if not values.have(php_keys.VERSION, site_keys.RELEASE_NAMES):
        return
    version = values[php_keys.VERSION]
    shipping = [name for name in values[site_keys.RELEASE_NAMES] if version in (None, *RELEASES[name].php_versions)]
    for name in values[site_keys.RELEASE_NAMES]:
        if name not in shipping:
            message = f"{name} has PHP {', '.join(RELEASES[name].php_versions)}, not {version}"
            hint = _leave_out_or(shipping)
            reading.refuse(place_of(reading, php_keys.VERSION), php_keys.VERSION.path, message, hint)


def _check_extensions(values: Values, reading: Reading) -> None:
    if not values.have(php_keys.EXTENSIONS, site_keys.RELEASE_NAMES):
        return
    codenames = values[site_keys.RELEASE_NAMES]
    for index, extension in enumerate(values[php_keys.EXTENSIONS]):
        shipping = [codename for codename in codenames if extension in RELEASES[codename].extensions]
        if len(shipping) < len(codenames):
            path = f"{php_keys.EXTENSIONS.path}[{index}]"
            lacking = ", ".join(codename for codename in codenames if codename not in shipping)
            message = f"{lacking} does not ship {extension}"
            reading.refuse(reading.origins[path], path, message, _leave_out_or(shipping))


def _check_programs(values: Values, reading: Reading) -> None:
    if not values.have(jail_keys.PROGRAMS, site_keys.RELEASE_NAMES):
        return
    codenames = values[site_keys.RELEASE_NAMES]
    for index, program in enumerate(values[jail_keys.PROGRAMS]):
        lacking = programs.lacking(program, codenames)
        if lacking:
            path = f"{jail_keys.PROGRAMS.path}[{index}]"
            name = program.path.rpartition("/")[2]
            hint = _leave_out_or([codename for codename in codenames if codename not in lacking])
            own = f"; one that you install yourself is /usr/local/bin/{name}"
            reading.refuse(reading.origins[path], path, f"{', '.join(lacking)} does not ship {name}", hint + own)


def _leave_out_or(shipping: list[str]) -> str:
    only = f", or build for the releases that have it: releases: [{', '.join(shipping)}]" if shipping else ""
    return f"leave it out{only}"


CHECKS: tuple[Check, ...] = (
    _check_php_version,
    _check_extensions,
    _check_programs,
)
