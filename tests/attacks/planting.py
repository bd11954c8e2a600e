# SPDX-License-Identifier: GPL-2.0-or-later
"""Links that a site's user plants in the way of root, what root does meanwhile, and what became of their targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.cases import DEDICATED, OPEN, SHARED, STOPPED, expected
from tests.lifecycle.server import Server

PLACES = (SHARED, DEDICATED)
SABOTEUR = Path(__file__).parent / "payloads/saboteur.py"
BAIT = """
cd /srv; mkdir -p bait/directory/uploads/deep bait/directory/deep bait/directory/sessions bait/directory/empty
cd /srv/bait; echo bait >file; echo bait >directory/php.log; echo bait >directory/uploads/bait.txt
for size in 1 2 3; do head -c 200000 /dev/zero >directory/large$size.log; done
chmod 600 file directory/php.log; find . -exec touch -h -d '90 days ago' {} +
"""
LOOK = """
find /srv/bait /var/www/bystander /etc/passwd /etc/shadow /etc/group \\
    -printf '%p %y %U %G %m %n %s %T@ %l\\n' 2>/dev/null | sort
find /srv/bait /var/www/bystander /etc/shadow -type f -exec md5sum {} + | sort
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that root does; `command` is a shell script, in which @ is the site."""

    name: str
    tried: str
    command: str
    note: str = ""

    @property
    def expected(self) -> Mapping[str, str]:
        return expected(PLACES, "ss")


CONFIGURE = Step("configure", "fpmjail configure", "fpmjail configure @")
STEPS = (
    CONFIGURE,
    Step("refresh", "fpmjail refresh", "fpmjail refresh"),
    Step("check", "fpmjail check, files and status", "fpmjail check @; fpmjail files @; fpmjail status"),
    Step("switching", "fpmjail disable and enable", "fpmjail disable @; fpmjail enable @"),
    Step("tmpfiles", "systemd-tmpfiles --create and --clean with every age at nothing",
        "sed 's/ [0-9]*d$/ 0/' /usr/lib/tmpfiles.d/site-@-jail.conf >/run/t.conf; sleep 0.1; "
        "systemd-tmpfiles --create --clean /run/t.conf"),
    Step("logrotate", "logrotate, forced", "logrotate --force /etc/logrotate.d/site-@-jail"),
    Step("upgrade", "apt upgrades the package", "dpkg -i --force-confold /root/site-@-jail.deb"),
    Step("remove", "apt removes the package, and installs it again",
        "dpkg --remove site-@-jail; dpkg -i /root/site-@-jail.deb"),
)  # fmt: skip
LAST = Step("purge", "apt purges the package", "dpkg --purge site-@-jail")
CASES = {f"planted-{step.name}": step for step in (*STEPS, LAST)}
RACES = {f"racing-{step.name}": step for step in (*STEPS, LAST)}


class Plot:
    """One site's user against root."""

    def __init__(self, server: Server, site: str) -> None:
        self.server, self.site = server, site
        self.roots = [f"/var/www/{site}", f"/var/lib/fpmjail/jails/{site}", f"/var/log/fpmjail/{site}/"]

    def act(self, deed: str) -> None:
        """Plant the links, or take them away."""
        self.server.run("python3", "-c", SABOTEUR.read_text(), f"_site-{self.site}", deed, *self.roots)

    def look(self) -> str:
        """All that is to be seen of what root must not have touched."""
        return self.server.shell(LOOK, check=False).stdout

    def root_does(self, command: str) -> None:
        """Whether it succeeds does not matter: a site may break itself."""
        self.server.shell(f"( {command.replace('@', self.site)} ) >>/run/root-did 2>&1 || true", check=False)

    def planted(self, step: Step) -> str:
        """The outcome of a step while links are in its way."""
        before = self.look()
        self.act("plant")
        self.root_does(step.command)
        after = self.look()
        self.act("unplant")
        return STOPPED if before == after else OPEN

    def raced(self, step: Step) -> str:
        """The outcome of a step while names are exchanged. The racer begins again whenever root ends it."""
        before = self.look()
        self.server.shell("rm -f /run/race-over")
        again = 'while [ ! -e /run/race-over ]; do python3 -c "$0" "$@" || true; done'
        asked = (SABOTEUR.read_text(), f"_site-{self.site}", "race", *self.roots)
        racer = self.server.container.popen("sh", "-c", again, *asked)
        assert racer.stdout is not None and racer.stdout.readline() == "racing\n"
        self.root_does(step.command)
        self.server.shell("touch /run/race-over")
        racer.communicate(timeout=60)
        self.act("calm")
        return STOPPED if before == self.look() else OPEN
