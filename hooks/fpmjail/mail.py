# SPDX-License-Identifier: MIT
"""Mail out of a jail: msmtp as /usr/sbin/sendmail, with a configuration that is the site's own.

The password lies in a file of root's on the server. msmtp runs as the site's user, so its copy in the jail can be read
by the site, and by nobody else.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fpmjail.jail import Absent, File, Piece
from fpmjail.layout import Layout
from fpmjail.site import Mail, Site

CAPABILITY = "mail"
CONFIGURATION = "etc/msmtprc"
LOG = "mail.log"
PASSWORD = "mail-password"
SENDMAIL = "/usr/sbin/sendmail"
LONGEST_PASSWORD = 256
# What a script may say in the fifth argument of mail(): not -X or -C, which would write and read files.
OPTIONS = ("-t", "-i", "-f*", "-F*", "-o*", "-bm", "--", "--version", "--serverinfo", "--timeout=*")


def pieces(layout: Layout, site: Site) -> tuple[Piece, ...]:
    """The configuration in a site's jail."""
    if site.jail.mail is None:
        return (Absent(CONFIGURATION),)
    text = configuration(site, site.jail.mail, password(layout, site)[0])
    return (File(CONFIGURATION, text, 0o640, site.user.group),)


def configuration(site: Site, mail: Mail, password: str) -> str:
    """The text for msmtp(1)."""
    lines = [
        f"# The mail relay of the site {site.name}: made by fpmjail.",
        "account default",
        f"host {mail.host}",
        f"port {mail.port}",
        f"domain {mail.domain}",
        f"timeout {mail.timeout}",
        f"from {mail.sender}",
        f"allow_from_override {'off' if mail.fixed else 'on'}",
        f"set_from_header {'on' if mail.fixed else 'auto'}",
        *encryption(mail.tls),
        *identity(mail.user, password),
        f"logfile {site.inside.logs / LOG}",
        "logfile_time_format [%Y-%m-%dT%H:%M:%S%z]",
    ]
    return "\n".join((*lines, ""))


def encryption(tls: str) -> tuple[str, ...]:
    """The lines about TLS: the certificate has to be good."""
    if tls == "none":
        return ("tls off",)
    start = "on" if tls == "starttls" else "off"
    return ("tls on", f"tls_starttls {start}", "tls_trust_file /etc/ssl/certs/ca-certificates.crt")


def identity(user: str | None, password: str) -> tuple[str, ...]:
    """The lines about the log-in; msmtp takes what stands between the first and the last quote as it is."""
    if user is None:
        return ("auth off",)
    return ("auth on", f'user "{user}"', *((f'password "{password}"',) if password else ()))


def place(layout: Layout, site: Site) -> Path:
    """The file of the password."""
    return layout.admin_sites / site.name / PASSWORD


def password(layout: Layout, site: Site) -> tuple[str, str]:
    """The first line of the file, and what is wrong with it; one of them is empty."""
    path = place(layout, site)
    if site.jail.mail is None or site.jail.mail.user is None:
        return "", ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return "", f"{path}: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            return "", f"{path} is not root's alone: chown root: {path}; chmod 0600 {path}"
        return read(file.read(4096), path)


def read(content: bytes, path: Path) -> tuple[str, str]:
    """The password in the content of its file, and what is wrong with it."""
    line = content.partition(b"\n")[0].decode("utf-8", errors="replace").removesuffix("\r")
    if not line:
        return "", f"{path} is empty"
    if len(line) > LONGEST_PASSWORD or not line.isprintable() or "\ufffd" in line:
        return "", f"{path}: the first line is no password"
    return line, ""


def sendmail() -> str:
    """The line of the restricted shell's list."""
    return " ".join((SENDMAIL, *OPTIONS))
