# SPDX-License-Identifier: MIT
"""nginx: server blocks, the admin's drop-ins, certificates, and reloads that are tested first.

nginx has no "if there is such a file". So what a server block can only have at times (IPv6, TLS) are files of their own
in the package; links to them below /var/lib/fpmjail/sites/NAME, made here, are what the server block includes.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from fpmjail import dropin, files, ports, state, systemd, vhost
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.systemd import Answer
from fpmjail.vhost import Applied, Lacks, VirtualHostFault

NAME = "nginx"
CONFIGURATION = Path("/etc/nginx")
PROGRAM = Path("/usr/sbin/nginx")
SERVICE = "nginx.service"
HTTP, HTTPS = 80, 443
TLS = "nginx-tls.conf"
PIECES = ("nginx-ipv6.conf", "nginx-tls-ipv6.conf", TLS)
"""The files of the package that a server block includes only while links lead to them."""
PATIENCE = 10.0  # seconds that a reload may take to start new workers
COMPLAINT = re.compile(r"^.*?\[(?:emerg|alert|crit|error)\] (?:\d+#\d+: )?(.*)$", re.MULTILINE)
UNREAD = "nginx.conf does not include sites-enabled/*, so nothing serves this site"
HANDOVER = 0.3  # seconds: the old workers are told to stop 0.1 s after the new ones were started

Pieces = frozenset[str]


def installed() -> bool:
    """True when nginx is there to be asked."""
    return PROGRAM.exists() and (CONFIGURATION / "nginx.conf").exists()


def verdict(site: Site | None = None, text: str | None = None) -> Answer:
    """`nginx -t` on a copy of the main configuration: without the site, or with this text in its place.

    Everything else is what is live. With `site` None it is the live configuration, as it stands.
    """
    if site is None:
        return systemd.run([str(PROGRAM), "-t", "-q"])
    with tempfile.TemporaryDirectory(prefix="fpmjail-nginx-") as directory:
        place = Path(directory)
        mirror(place, site.web.site)
        if text is not None:
            (place / "sites-enabled" / site.web.site).write_text(text)
        answer = systemd.run([str(PROGRAM), "-t", "-c", str(place / "nginx.conf")])
        return Answer(answer.status, answer.words.replace(f"{place}/", f"{CONFIGURATION}/"))


def mirror(place: Path, left_out: str) -> None:
    """Make `place` another /etc/nginx, of links, without one of the enabled sites."""
    for entry in CONFIGURATION.iterdir():
        if entry.name not in {"nginx.conf", "sites-enabled"}:
            (place / entry.name).symlink_to(entry)
    (place / "sites-enabled").mkdir()
    for entry in CONFIGURATION.glob("sites-enabled/*"):
        if entry.name != left_out:
            (place / "sites-enabled" / entry.name).symlink_to(entry)
    main = (CONFIGURATION / "nginx.conf").read_text(errors="surrogateescape")
    text = main.replace(f"{CONFIGURATION}/", f"{place}/")
    (place / "nginx.conf").write_text(text, errors="surrogateescape")


def complaint(words: str) -> str:
    """What is wrong according to `nginx -t`: file and line are in it."""
    return " ".join(COMPLAINT.findall(words)) or words.strip() or "nginx -t failed and said nothing"


def includes_sites() -> bool:
    """True when the main configuration reads sites-enabled, as Debian's does."""
    text = (CONFIGURATION / "nginx.conf").read_text(errors="replace")
    place = rf"({re.escape(str(CONFIGURATION))}/)?sites-enabled/"
    return re.search(rf"^[^#\n]*\binclude\s+[\"']?{place}", text, re.MULTILINE) is not None


def dropin_directory(layout: Layout, site: Site) -> Path:
    """Where the admin puts his own directives for the server block."""
    return layout.admin_sites / site.name / "nginx.d"


def proven_dropins(layout: Layout, site: Site) -> Path:
    """The copy of the admin's drop-ins that the server block includes."""
    return layout.state / site.name / "nginx.conf"


def candidate(layout: Layout, site: Site, pieces: Pieces, dropins: Path | None) -> str:
    """The server block's text with these pieces and drop-ins (a directory or a file) in place of the live ones."""
    state = layout.state / site.name
    included = f"include {dropins / '*.conf' if dropins and dropins.is_dir() else dropins};" if dropins else ""
    lines = "\n".join(f"include {site.paths.vhost.with_name(piece)};" for piece in sorted(pieces))
    text = site.paths.vhost.read_text().replace(f"include {state}/nginx-*.conf;", lines)
    return text.replace(f"include {state}/nginx[.]conf;", included)


def apply(layout: Layout, site: Site, on: bool) -> Applied:
    """Prove the server block and the admin's drop-ins, take them over, and, if it is `on`, enable the site unless an
    administrator disabled it.

    Never reloads. A bad drop-in leaves the proven ones in place. Raises VirtualHostFault for the package's own text.
    """
    if not installed():
        return Applied(("nginx is not installed, so nothing serves this site: apt install nginx",))
    foreign = verdict(site)
    if not foreign.good:
        said = complaint(foreign.words)
        return vhost.broken_before(NAME, said, dropin_directory(layout, site), proven_dropins(layout, site))
    pieces, words = provable_pieces(layout, site, None)
    refused = take_dropins(layout, site, pieces)
    link_pieces(layout, site, pieces)
    off = enable(layout, site) if on else None
    unread = None if includes_sites() else UNREAD
    return Applied((*words, *filter(None, (refused, off, unread))), refused)


def wanted_pieces(layout: Layout, site: Site) -> tuple[Pieces, tuple[str, ...]]:
    """What this host lets the server block have now, and what is in the way of the rest."""
    shipped = {piece for piece in PIECES if site.paths.vhost.with_name(piece).exists()}
    if not ports.ipv6():
        shipped -= {"nginx-ipv6.conf", "nginx-tls-ipv6.conf"}
    if not vhost.certified(site):
        return without_tls(shipped), ()
    taken = None if TLS in linked(layout, site) else taken_port(HTTPS)
    if taken:
        return without_tls(shipped), (f"{taken}, so there is no HTTPS; free it, then: fpmjail reload",)
    return frozenset(shipped), ()


def without_tls(pieces: Iterable[str]) -> Pieces:
    """The pieces that need no certificate."""
    return frozenset(piece for piece in pieces if "tls" not in piece)


def taken_port(port: int) -> str | None:
    """What to say when another program has the port: a reload of nginx would fail for all of its sites."""
    others = set(ports.holders(port)) - {"nginx"} if systemd.running() else set()
    return f"port {port} is taken by {', '.join(sorted(others))}" if others else None


def provable_pieces(layout: Layout, site: Site, dropins: Path | None) -> tuple[Pieces, tuple[str, ...]]:
    """The wanted pieces that nginx accepts: without TLS if it refuses the certificate. Raises VirtualHostFault."""
    pieces, words = wanted_pieces(layout, site)
    answer = verdict(site, candidate(layout, site, pieces, dropins))
    if answer.good:
        return pieces, words
    without = verdict(site, candidate(layout, site, without_tls(pieces), dropins))
    if not without.good:
        raise VirtualHostFault(complaint(without.words))
    return without_tls(pieces), (*words, f"there is no HTTPS, nginx refuses the certificate: {complaint(answer.words)}")


def take_dropins(layout: Layout, site: Site, pieces: Pieces) -> str | None:
    """Replace the proven drop-ins by the admin's when nginx accepts them; returns why not."""
    live, directory = proven_dropins(layout, site), dropin_directory(layout, site)
    parts = dropin.read(directory)
    answer = verdict(site, candidate(layout, site, pieces, directory)) if parts else None
    if answer is None or answer.good:
        files.replace_file(live, dropin.join(parts, "#").encode())
        return None
    if live.exists() and not verdict(site, candidate(layout, site, pieces, live)).good:
        files.replace_file(live, b"")
        return f"{complaint(answer.words)}; the ones before do not fit any more either"
    return complaint(answer.words)


def link_pieces(layout: Layout, site: Site, pieces: Pieces) -> None:
    """Make the links that the server block includes, and no others."""
    for piece in PIECES:
        link = layout.state / site.name / piece
        if piece in pieces:
            files.replace_link(link, str(site.paths.vhost.with_name(piece)))
        elif os.path.lexists(link):
            link.unlink()


def link_of(site: Site) -> Path:
    """What makes the server block live."""
    return CONFIGURATION / "sites-enabled" / site.web.site


def mark_of(layout: Layout, site: Site) -> Path:
    """Says that we made that link; nginx keeps no such record, so a link that is missing was removed by an admin."""
    return layout.state / site.name / "nginx.linked"


def enabled(site: Site) -> bool:
    """True when the server block stands in sites-enabled."""
    return os.path.lexists(link_of(site))


def enable(layout: Layout, site: Site) -> str | None:
    """Link the server block; returns why it stays off."""
    link, mark = link_of(site), mark_of(layout, site)
    available = CONFIGURATION / "sites-available" / site.web.site
    if not enabled(site):
        if mark.exists():
            return f"the virtual host stays off because an administrator removed its link: ln -s {available} {link}"
        if taken := taken_port(HTTP):
            return f"{taken}, so the virtual host stays off; leave that port to nginx, then: fpmjail reload"
        files.replace_link(link, str(available))
    files.touch(mark)
    return None


def disable(layout: Layout, site: Site) -> str | None:
    """Take the server block out; returns what went wrong. A file that an admin put there instead stays."""
    link = link_of(site)
    if not enabled(site):
        return None
    if not link.is_symlink():
        return f"{link} is not the package's link; it stays"
    link.unlink()
    mark_of(layout, site).unlink(missing_ok=True)
    return None


def settle(layout: Layout, sites: Sequence[Site]) -> tuple[str, ...]:
    """What has to be true before a reload: TLS as the certificates are there or not, links where a port was freed,
    and what a broken configuration kept back. The caller does not hold the lock."""
    if not installed():
        return ()
    on = [site for site in sites if (known := state.read(layout, site.name)) and not known.disabled]
    for site in on:
        if not vhost.certified(site):  # one certificate that is gone would fail the test for all
            link_pieces(layout, site, without_tls(linked(layout, site)))
    return tuple(f"{site.name}: {words}" for site in on for words in settle_one(layout, site))


def settle_one(layout: Layout, site: Site) -> tuple[str, ...]:
    """The same for one site; returns what is in the way."""
    if vhost.kept_back(state.read(layout, site.name)):
        return catch_up(layout, site)
    wanted, words = wanted_pieces(layout, site)
    if wanted != linked(layout, site):
        live = proven_dropins(layout, site)
        try:
            pieces, words = provable_pieces(layout, site, live if live.exists() else None)
        except VirtualHostFault as error:
            return (f"its virtual host stays as it was: {error}",)
        link_pieces(layout, site, pieces)
    return (*words, *filter(None, (enable(layout, site),)))


def catch_up(layout: Layout, site: Site) -> tuple[str, ...]:
    """Apply what could not be when the site was configured; returns what is in the way."""
    with files.lock(layout.lock_file):  # who switches the site off has it
        known = state.read(layout, site.name)
        try:
            applied = apply(layout, site, on=known is not None and not known.disabled)
            return vhost.caught_up(layout, site, dropin_directory(layout, site), applied)
        except Exception as error:  # whatever it is, it stops no other site
            return (f"its virtual host stays as it was: {error}",)


def linked(layout: Layout, site: Site) -> Pieces:
    """The pieces that the server block has now."""
    return frozenset(piece for piece in PIECES if os.path.lexists(layout.state / site.name / piece))


def lacks(layout: Layout, site: Site) -> Lacks:
    """What nginx does not read, or has to do without."""
    if not installed():
        return Lacks(("nginx is not installed",), "apt install nginx")
    pieces, words = wanted_pieces(layout, site)
    unread = () if includes_sites() else (UNREAD,)
    off = () if enabled(site) else ("the virtual host is off",)
    unused = ("the certificate is there and not used",) if TLS in pieces - linked(layout, site) else ()
    return Lacks((*unread, *off, *words, *unused), "fpmjail reload")


def workers(master: int) -> frozenset[str]:
    """The processes that a running nginx has now."""
    try:
        return frozenset(Path(f"/proc/{master}/task/{master}/children").read_text().split())
    except OSError:
        return frozenset()


def reload() -> str | None:
    """Reload a running nginx if its configuration passes the test; returns what is in the way."""
    if not installed() or not systemd.running():
        return None
    if not systemd.active(SERVICE):
        taken = taken_port(HTTP)
        reason = f", {taken}" if taken else ""
        return f"nginx is not running{reason}; the sites answer once it is: systemctl start nginx"
    answer = verdict()
    if not answer.good:
        return f"nginx keeps its old configuration, the new one is broken: {complaint(answer.words)}"
    if not systemd.permitted(SERVICE, "reload"):
        return "policy-rc.d forbids reloading nginx; do it yourself: systemctl reload nginx"
    return take_over()


def take_over() -> str | None:
    """Reload, and wait for new workers: nginx itself answers before it has tried, and says nothing when it fails."""
    master = systemd.main_pid(SERVICE)
    before = workers(master)
    answer = systemd.systemctl("reload", SERVICE)
    if not answer.good:
        return f"systemctl reload nginx: {answer.words}"
    deadline = time.monotonic() + PATIENCE
    while before and not workers(master) - before:
        if time.monotonic() > deadline:
            return "nginx did not take its new configuration: see /var/log/nginx/error.log"
        time.sleep(0.05)
    time.sleep(HANDOVER)
    return None
