# SPDX-License-Identifier: MIT
"""Apache: modules, virtual hosts, the admin's drop-ins, and reloads that are tested first."""

from __future__ import annotations

import errno
import re
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fpmjail import dropin, files, ports, systemd
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.systemd import Answer
from fpmjail.vhost import Applied, Lacks, Result, VirtualHostFault, certified

NAME = "Apache"
CONFIGURATION = Path("/etc/apache2")
STATE = Path("/var/lib/apache2")
SERVICE = "apache2.service"
HTTP, HTTPS = 80, 443


def installed() -> bool:
    """True when Apache is there to be asked."""
    return Path("/usr/sbin/apache2").exists() and (CONFIGURATION / "apache2.conf").exists()


def verdict(main: Path) -> Answer:
    """`apache2 -t` on a main configuration file, with environment and run directory as apache2ctl(8) makes them."""
    script = '. /etc/apache2/envvars && mkdir -p "$APACHE_RUN_DIR" && exec apache2 -t -f "$1"'
    return systemd.run(["sh", "-c", script, "sh", str(main)])


def verdict_with(text: str) -> Answer:
    """Test the server's whole configuration with some text added that is not live."""
    with tempfile.TemporaryDirectory(prefix="fpmjail-apache-") as directory:
        main = Path(directory) / "apache2.conf"
        added = Path(directory) / "candidate.conf"
        main.write_text(f"ServerRoot {CONFIGURATION}\nInclude {CONFIGURATION}/apache2.conf\nInclude {added}\n")
        added.write_text(text)
        return verdict(main)


def complaint(words: str) -> str:
    """The lines of Apache's test that say what is wrong, without its advice about ServerName."""
    lines = [re.sub(r"^AH\d+: ", "", line) for line in words.splitlines() if "AH00558" not in line]
    return " ".join(line.strip() for line in lines if line.strip()) or "apache2 -t failed and said nothing"


def module_on(name: str) -> bool:
    """True when the module's link stands in mods-enabled."""
    return (CONFIGURATION / "mods-enabled" / f"{name}.load").exists()


def disabled_by_admin(kind: str, name: str) -> bool:
    """True when an administrator switched this module or site off with a2dismod or a2dissite (a2enmod(8))."""
    return (STATE / kind / "disabled_by_admin" / name).exists()


def port_taken(port: int) -> bool:
    """True when another program listens there, so that Apache would die on its way to it."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("::", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def modules_needed(site: Site) -> tuple[str, ...]:
    """What the virtual host needs now: TLS only once there is a certificate for it."""
    return tuple(name for name in site.web.modules if name != "ssl" or certified(site))


def enable_module(name: str) -> str | None:
    """Switch a module on unless an administrator switched it off; returns what is in the way."""
    if module_on(name):
        return None
    if disabled_by_admin("module", name):
        return f"Apache's module {name} is off because an administrator disabled it; the site needs it: a2enmod {name}"
    if name == "ssl" and port_taken(HTTPS):
        return (
            f"port {HTTPS} is taken by another program, so Apache's module ssl stays off; free it, then: fpmjail reload"
        )
    answer = systemd.run(["a2enmod", "--quiet", "--maintmode", name])
    return None if answer.good else f"a2enmod {name}: {answer.words}"


def enable_modules(site: Site) -> tuple[str, ...]:
    """Switch on what the virtual host needs; returns what is in the way."""
    return tuple(words for words in map(enable_module, modules_needed(site)) if words)


def dropin_directory(layout: Layout, site: Site) -> Path:
    """Where the admin puts his own directives for the virtual host."""
    return layout.admin_sites / site.name / "apache.d"


def proven_dropins(layout: Layout, site: Site) -> Path:
    """The copy of the admin's drop-ins that the virtual host includes."""
    return layout.state / site.name / "apache.conf"


def candidate(site: Site, included: Path | str, live: Path) -> str:
    """The virtual host's text with another file in place of the proven drop-ins."""
    return site.paths.vhost.read_text().replace(str(live), str(included))


def apply(layout: Layout, site: Site, on: bool) -> Applied:
    """Prove the virtual host and the admin's drop-ins, take them over, and, if it is `on`, enable the site unless an
    administrator disabled it.

    Never reloads. A bad drop-in leaves the proven ones in place. Raises VirtualHostFault for the package's own text.
    """
    result = apply_all(layout, ((site, on),))[site.name]
    if isinstance(result, Exception):
        raise result
    return result


def apply_all(layout: Layout, wanted: Sequence[tuple[Site, bool]]) -> dict[str, Result]:
    """The same for several sites, which share one test as long as nothing is wrong with any of them."""
    if not installed():
        words = "Apache is not installed, so nothing serves this site: apt install apache2"
        return {site.name: Applied((words,)) for site, _ in wanted}
    if not wanted:
        return {}
    sites = [site for site, _ in wanted]
    missing = {site.name: enable_modules(site) for site in sites}
    whole = verdict_on(layout, sites)
    # With many sites each test takes long, and one that passes with a site says that all is well without it.
    foreign = whole if whole.good else verdict(CONFIGURATION / "apache2.conf")
    if not foreign.good:
        broken = f"Apache's configuration was broken before: {complaint(foreign.words)}"
        return {name: Applied((*words, broken)) for name, words in missing.items()}
    answers = spread(layout, sites, whole)
    refused = {site.name: taken(layout, site, answers[site.name]) for site, _ in wanted}
    off = {site.name: enable(site) for site, on in wanted if on and not isinstance(refused[site.name], Exception)}
    return {
        name: result
        if isinstance(result, Exception)
        else Applied((*missing[name], *filter(None, (result, off.get(name)))), result)
        for name, result in refused.items()
    }


def spread(layout: Layout, sites: Sequence[Site], answer: Answer) -> dict[str, Answer]:
    """What Apache says to each of these sites: what it said to all when that was good, else each half is asked by
    itself, down to the sites that are not good."""
    if answer.good or len(sites) == 1:
        return dict.fromkeys((site.name for site in sites), answer)
    middle = len(sites) // 2
    halves = (sites[:middle], sites[middle:])
    return {name: one for half in halves for name, one in spread(layout, half, verdict_on(layout, half)).items()}


def verdict_on(layout: Layout, sites: Sequence[Site]) -> Answer:
    """Test the server's whole configuration with these sites and the admin's drop-ins."""
    return verdict_with("\n".join(with_dropins(layout, site) for site in sites))


def with_dropins(layout: Layout, site: Site) -> str:
    """The virtual host's text with what the admin has now instead of the proven drop-ins."""
    return candidate(site, dropin_directory(layout, site) / "*.conf", proven_dropins(layout, site))


def taken(layout: Layout, site: Site, answer: Answer) -> str | VirtualHostFault | OSError | None:
    """Why the admin's drop-ins were not taken over, or what is wrong with the site itself."""
    try:
        return take_dropins(layout, site, answer)
    except (VirtualHostFault, OSError) as error:
        return error


def take_dropins(layout: Layout, site: Site, answer: Answer) -> str | None:
    """Replace the proven drop-ins by the admin's when Apache accepts them, as `answer` tells; returns why not."""
    live = proven_dropins(layout, site)
    parts = dropin.read(dropin_directory(layout, site))
    if answer.good:
        files.replace_file(live, dropin.join(parts, "#").encode())
        return None
    if parts:
        prove_alone(site, live)
        return complaint(answer.words)
    raise VirtualHostFault(complaint(answer.words))


def prove_alone(site: Site, live: Path) -> None:
    """Raise VirtualHostFault when the package's text fails even without any drop-in."""
    answer = verdict_with(candidate(site, "/nonexistent/*.conf", live))
    if not answer.good:
        raise VirtualHostFault(complaint(answer.words))


def enabled(site: Site) -> bool:
    """True when the virtual host is linked into sites-enabled."""
    return (CONFIGURATION / "sites-enabled" / f"{site.web.site}.conf").is_symlink()


def settle(layout: Layout, sites: Sequence[Site]) -> tuple[str, ...]:
    """What has to be true before a reload: the modules of the sites that are on; returns what is in the way."""
    return tuple(f"{site.name}: {words}" for site in sites if enabled(site) for words in enable_modules(site))


def lacks(layout: Layout, site: Site) -> Lacks:
    """The modules that are missing: without them PHP is served as text."""
    missing = [name for name in modules_needed(site) if not module_on(name)]
    words = tuple(f"the module {name} is off" for name in missing)
    return Lacks(words, f"a2enmod {' '.join(missing)} && systemctl restart {SERVICE.removesuffix('.service')}")


def enable(site: Site) -> str | None:
    """Link the virtual host; returns why it stays off. Link and record are those of `a2ensite --maintmode`, which
    starts four programs for each site: a2query(1) and a2dissite(1) know no difference."""
    name = site.web.site
    available = CONFIGURATION / "sites-available" / f"{name}.conf"
    if enabled(site):
        return None
    if disabled_by_admin("site", name):
        return f"the virtual host stays off because an administrator disabled it: a2ensite {name}"
    if not available.exists():
        return f"the virtual host stays off because {available} is not there: apt install --reinstall {site.package}"
    record = STATE / "site" / "enabled_by_maint" / name
    for directory in (record.parent.parent, record.parent):
        files.make_directory(directory, 0, 0, 0o755)
    for former in record.parent.parent.glob(f"*/{name}"):
        former.unlink()
    files.touch(record)
    files.replace_link(CONFIGURATION / "sites-enabled" / available.name, f"../sites-available/{available.name}")
    return None


def disable(layout: Layout, site: Site) -> str | None:
    """Take the virtual host out; returns what went wrong."""
    if not enabled(site):
        return None
    answer = systemd.run(["a2dissite", "--quiet", "--maintmode", site.web.site])
    return None if answer.good else f"a2dissite {site.web.site}: {answer.words}"


def reload() -> str | None:
    """Reload a running Apache if its configuration passes the test; returns what is in the way."""
    if not installed() or not systemd.running():
        return None
    if not systemd.active(SERVICE):
        taken = "".join(f", port {HTTP} is taken by {name}" for name in ports.holders(HTTP))
        return f"Apache is not running{taken}; the sites answer once it is: systemctl start apache2"
    answer = verdict(CONFIGURATION / "apache2.conf")
    if not answer.good:
        return f"Apache keeps its old configuration, the new one is broken: {complaint(answer.words)}"
    if not systemd.permitted(SERVICE, "reload"):
        return "policy-rc.d forbids reloading Apache; do it yourself: systemctl reload apache2"
    answer = systemd.systemctl("reload", SERVICE)
    return None if answer.good else f"systemctl reload apache2: {answer.words}"
