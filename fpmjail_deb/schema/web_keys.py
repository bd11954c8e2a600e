# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys below `web`: the virtual host."""

from __future__ import annotations

from typing import Any

from fpmjail_deb import rules
from fpmjail_deb.rules import MapRule
from fpmjail_deb.schema.field import Field
from fpmjail_deb.site import Htaccess, WebServer

HEADERS_OF_THE_SERVER = dict.fromkeys(
    ("connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"),
    "the web server writes this header itself",
)

SERVER: Field[WebServer] = Field(
    "web.server",
    rules.choice(WebServer),
    "The web server. nginx reads no .htaccess files and takes no larger request than PHP's post_max_size.",
    example="nginx",
    default="apache",
)
DOCUMENT_ROOT: Field[str] = Field(
    "web.document_root",
    rules.relative_path("/var/www/NAME", start="var/www/[^/]+"),
    "The directory below /var/www/NAME that the web server shows.",
    example="app/public",
    default="htdocs",
)
FRONT_CONTROLLER: Field[str | None] = Field(
    "web.front_controller",
    rules.unless("none", rules.relative_path("the document root", ending=".php", start=rules.HTDOCS)),
    "The script that answers for every path without a file, so that permalinks need no .htaccess; `none` answers 404.",
    example="none",
    default="index.php",
)
HTACCESS: Field[Htaccess] = Field(
    "web.htaccess",
    rules.choice(Htaccess),
    "What .htaccess files may tell Apache: nothing, what is `safe`, or `all`, which opens ways around the jail.",
    example="none",
    default="safe",
)
TLS: Field[str] = Field(
    "web.tls",
    rules.one_of("auto", "none"),
    "`auto` is HTTPS as soon as the certificate is there, `none` is HTTP only. A group of keys changes `auto`.",
    example="none",
    default="auto",
)
CERTIFICATE: Field[str | None] = Field(
    "web.tls.certificate",
    rules.absolute_path(),
    "The file of the certificate and its chain.",
    example="/etc/ssl/example/fullchain.pem",
    otherwise="/etc/letsencrypt/live/DOMAIN/fullchain.pem",
)
KEY: Field[str | None] = Field(
    "web.tls.key",
    rules.absolute_path(),
    "The file of its private key.",
    example="/etc/ssl/example/privkey.pem",
    otherwise="/etc/letsencrypt/live/DOMAIN/privkey.pem",
)
REDIRECT: Field[bool] = Field(
    "web.tls.redirect",
    rules.boolean(),
    "Whether HTTP answers with a redirect to HTTPS.",
    example="false",
    default="true",
)
HEADERS: Field[tuple[tuple[str, str], ...]] = Field(
    "web.headers",
    MapRule(
        rules.header_name(HEADERS_OF_THE_SERVER),
        rules.header_value(),
        "response headers",
        fold=True,
    ),
    "Headers of every response, in place of the default ones.",
    example="{X-Content-Type-Options: nosniff, X-Frame-Options: SAMEORIGIN}",
    default="{X-Content-Type-Options: nosniff, Referrer-Policy: strict-origin-when-cross-origin}",
)
ACCESS_LOG: Field[bool] = Field(
    "web.access_log",
    rules.boolean(),
    "Whether the web server logs each request.",
    example="false",
    default="true",
)

KEYS: tuple[Field[Any], ...] = (
    SERVER, DOCUMENT_ROOT, FRONT_CONTROLLER, HTACCESS, TLS, CERTIFICATE, KEY, REDIRECT, HEADERS, ACCESS_LOG,
)  # fmt: skip
