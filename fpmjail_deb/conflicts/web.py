# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of the virtual host that contradict each other."""

from __future__ import annotations

from fpmjail_deb.document import join
from fpmjail_deb.errors import quote
from fpmjail_deb.nginx_host import body_size
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import php_keys, site_keys, web_keys
from fpmjail_deb.site import Htaccess, WebServer
from fpmjail_deb.values import Check, Values, place_of


def _check_certificate(values: Values, reading: Reading) -> None:
    given = [row for row in (web_keys.CERTIFICATE, web_keys.KEY) if row.path in reading.origins]
    if len(given) == 1:
        message = "certificate and key belong together, found one of them"
        reading.refuse(place_of(reading, *given), given[0].path, message, "give both, or none for those of certbot")


def _check_domains(values: Values, reading: Reading) -> None:
    if values.have(site_keys.DOMAINS) and values[site_keys.DOMAINS][0].startswith("*."):
        path = f"{site_keys.DOMAINS.path}[0]"
        hint = "put another one first: it names the site and its certificate"
        reading.refuse(reading.origins[path], path, "the first host name cannot have a *.", hint)


def _check_aliases(values: Values, reading: Reading) -> None:
    if not values.have(site_keys.DOMAINS, site_keys.ALIASES):
        return
    for index, alias in enumerate(values[site_keys.ALIASES]):
        if alias in values[site_keys.DOMAINS]:
            path = f"{site_keys.ALIASES.path}[{index}]"
            reading.refuse(reading.origins[path], path, f"{alias} is one of the domains already", "keep one")


def _check_front_controller(values: Values, reading: Reading) -> None:
    if not values.have(web_keys.FRONT_CONTROLLER, site_keys.WRITABLE):
        return
    script = values[web_keys.FRONT_CONTROLLER] or ""
    for directory in values[site_keys.WRITABLE]:
        if script.startswith(f"{directory}/"):
            place = place_of(reading, web_keys.FRONT_CONTROLLER)
            message = f"it is below the writable directory {directory}, where PHP never runs"
            reading.refuse(place, web_keys.FRONT_CONTROLLER.path, message, "move the script, or the uploads")


def _check_htaccess(values: Values, reading: Reading) -> None:
    if not values.have(web_keys.SERVER, web_keys.HTACCESS):
        return
    if values[web_keys.SERVER] is WebServer.NGINX and values[web_keys.HTACCESS] is not Htaccess.SAFE:
        place = place_of(reading, web_keys.HTACCESS)
        reading.refuse(place, web_keys.HTACCESS.path, "nginx reads no .htaccess files", "leave it out")


def _check_nginx_headers(values: Values, reading: Reading) -> None:
    rows = (web_keys.SERVER, web_keys.HEADERS)
    if not values.have(*rows) or values[web_keys.SERVER] is not WebServer.NGINX:
        return
    for name, value in values[web_keys.HEADERS]:
        path = join(web_keys.HEADERS.path, name)
        if "$" in value:
            reading.refuse(reading.origins[path], path, 'nginx puts a variable in place of a "$"', "write it without")
        if name.lower() == "content-type":
            reading.refuse(reading.origins[path], path, "nginx would send it a second time", "leave it to the site")


def _check_body_size(values: Values, reading: Reading) -> None:
    rows = (web_keys.SERVER, php_keys.SETTINGS)
    if not values.have(*rows) or values[web_keys.SERVER] is not WebServer.NGINX:
        return
    given = dict(values[php_keys.SETTINGS]).get("post_max_size")
    if given is not None and body_size(given) is None:
        path = join(php_keys.SETTINGS.path, "post_max_size")
        message = f"expected a size that nginx can follow, found {quote(given)}"
        reading.refuse(reading.origins[path], path, message, "write it like 64M")


CHECKS: tuple[Check, ...] = (
    _check_certificate,
    _check_domains,
    _check_aliases,
    _check_front_controller,
    _check_htaccess,
    _check_nginx_headers,
    _check_body_size,
)
