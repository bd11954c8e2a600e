# SPDX-License-Identifier: GPL-2.0-or-later
"""What nginx's server block says beyond the site description and beyond `virtual_host`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fpmjail_deb.errors import BuildError, quote
from fpmjail_deb.render import nginx
from fpmjail_deb.site import Site

POST_MAX_SIZE = "8M"
"""PHP's own (main.c); Debian's php.ini says the same."""

_QUANTITY = re.compile(r"\s*([0-9]{1,12})\s*([kKmMgG]?)\s*")


@dataclass(frozen=True, slots=True)
class Header:
    """A response header that is set unless PHP sent one: `given` is nginx's variable for PHP's, `variable` ours."""

    name: str
    value: str
    given: str
    variable: str


@dataclass(frozen=True, slots=True)
class NginxValues:
    """`body_size` is client_max_body_size's argument: 0 is no limit, as it is for PHP.

    `otherwise` is where try_files ends when there is no such file.
    """

    headers: tuple[Header, ...]
    body_size: str
    otherwise: str


def nginx_values(site: Site) -> NginxValues:
    """Return the values. Raises BuildError for a size that PHP would not read as it looks."""
    stem = f"fpmjail_{site.name.replace('-', '_')}_header"
    headers = (
        Header(name, value, f"upstream_http_{name.lower().replace('-', '_')}", f"{stem}_{index}")
        for index, (name, value) in enumerate(site.web.headers)
    )
    given = dict(site.php.settings).get("post_max_size", POST_MAX_SIZE)
    size = body_size(given)
    if size is None:
        raise BuildError(f"php.settings.post_max_size: {quote(given)} is not a size", "write it like 64M")
    return NginxValues(tuple(headers), size, _otherwise(site.web.front_controller))


def _otherwise(front_controller: str | None) -> str:
    if front_controller is None:
        return "=404"
    script, query = nginx(f"/{front_controller}"), "$is_args$args"
    return f'{script[:-1]}{query}"' if script.startswith('"') else f"{script}{query}"


def body_size(quantity: str) -> str | None:
    """Return nginx's way to write a size of php.ini (zend_ini_parse_quantity), None for what is none."""
    found = _QUANTITY.fullmatch(quantity)
    return f"{int(found[1])}{found[2].lower()}" if found else None
