# SPDX-License-Identifier: GPL-2.0-or-later
"""What nginx's server block says beyond the site description and beyond `virtual_host`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fpmjail_deb.errors import BuildError, quote
from fpmjail_deb.render import nginx
from fpmjail_deb.site import Isolation, Site

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

    `otherwise` is where try_files ends when there is no such file. `document_root` and `script` are what PHP is told.
    """

    headers: tuple[Header, ...]
    body_size: str
    otherwise: str
    document_root: str
    script: str


def nginx_values(site: Site, inside: str) -> NginxValues:
    """Return the values; `inside` is the document root as PHP sees it.

    Raises BuildError for a size that PHP would not read as it looks.
    """
    stem = f"fpmjail_{site.name.replace('-', '_')}_header"
    headers = (
        Header(name, value, f"upstream_http_{name.lower().replace('-', '_')}", f"{stem}_{index}")
        for index, (name, value) in enumerate(site.web.headers)
    )
    given = dict(site.php.settings).get("post_max_size", POST_MAX_SIZE)
    size = body_size(given)
    if size is None:
        raise BuildError(f"php.settings.post_max_size: {quote(given)} is not a size", "write it like 64M")
    shared = site.isolation is Isolation.SHARED
    return NginxValues(
        headers=tuple(headers),
        body_size=size,
        otherwise=_otherwise(site.web.front_controller),
        document_root=nginx(inside) if shared else "$document_root",
        script=_followed(inside, "$fastcgi_script_name") if shared else "$document_root$fastcgi_script_name",
    )


def _otherwise(front_controller: str | None) -> str:
    if front_controller is None:
        return "=404"
    return _followed(f"/{front_controller}", "$is_args$args")


def _followed(text: str, variables: str) -> str:
    """Return one argument: a text, and what nginx puts behind it."""
    argument = nginx(text)
    return f'{argument[:-1]}{variables}"' if argument.startswith('"') else f"{argument}{variables}"


def body_size(quantity: str) -> str | None:
    """Return nginx's way to write a size of php.ini (zend_ini_parse_quantity), None for what is none."""
    found = _QUANTITY.fullmatch(quantity)
    return f"{int(found[1])}{found[2].lower()}" if found else None
