# SPDX-License-Identifier: GPL-2.0-or-later
"""What FPM's pool says beyond the site description: the workers' environment and PHP's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fpmjail_deb import mail
from fpmjail_deb.capabilities import capabilities
from fpmjail_deb.render import ini
from fpmjail_deb.site import Site

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": "/tmp"}
"""What every program expects; the site description may say otherwise."""

PROGRAMS = {"XDG_CACHE_HOME": "/tmp/.cache", "XDG_RUNTIME_DIR": "/tmp"}
"""What programs of the server look for: fontconfig finds no fonts in time without a cache it can write."""

CACHE = {"XDG_CACHE_HOME": "/tmp/.cache"}
"""Where fontconfig remembers what it saw; it would else read every font in every process, and complain."""

SETTINGS = {"sendmail_path": "/nonexistent/no-mail-from-this-jail"}
"""No program in the jail could send mail: mail() returns false, and PHP's log says why."""

PREFIX = "FPMJAIL_ENV_"


@dataclass(frozen=True, slots=True)
class PoolValues:
    """`environment` holds finished right-hand sides of env[], `unit_environment` the variables those refer to."""

    environment: tuple[tuple[str, str], ...]
    unit_environment: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]


def environment(site: Site, home: str) -> tuple[tuple[str, str], ...]:
    """Return the environment of everything that runs for a site, in the order of the names."""
    fonts = CACHE if "fonts" in capabilities(site) else {}
    programs = PROGRAMS if site.jail.programs else {}
    return tuple(sorted({"HOME": home, **ENVIRONMENT, **fonts, **programs, **dict(site.php.env)}.items()))


def settings(site: Site) -> Mapping[str, str]:
    """Return the settings that follow from the rest of a description."""
    return {"sendmail_path": mail.SENDMAIL} if site.jail.mail else SETTINGS


def pool_values(site: Site, home: str) -> PoolValues:
    """Return the values in the order of their names. Raises BuildError for one that FPM cannot hold."""
    variables = environment(site, home)
    return PoolValues(
        tuple((name, f"${PREFIX}{name}" if needs_unit(value) else ini(value)) for name, value in variables),
        tuple((f"{PREFIX}{name}", value) for name, value in variables if needs_unit(value)),
        tuple(sorted({**settings(site), **dict(site.php.settings)}.items())),
    )


def needs_unit(value: str) -> bool:
    """Whether FPM would take a value for something else: `$NAME` is a variable, `$pool` the pool's name, in quotes too.

    (fpm_env_conf_wp and fpm_conf_expand_pool_name.) What comes out of a variable is not looked at again.
    """
    return value.startswith("$") or "$pool" in value
