# SPDX-License-Identifier: MIT
"""Ways around every jail that are the server's own: PHP and programs that run as the web server's user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fpmjail import systemd
from fpmjail.layout import Layout

POOL = "www.conf"
RESTART = "systemctl restart apache2"


@dataclass(frozen=True, slots=True)
class Door:
    """What runs outside, and the command that closes it where nothing needs it."""

    words: str
    close: str


def look(layout: Layout) -> tuple[Door, ...]:
    """The doors that stand open now."""
    pools = sorted(layout.host("/etc/php").glob(f"*/fpm/pool.d/{POOL}"))
    modules = sorted(layout.host("/etc/apache2/mods-enabled").glob("*.load"))
    return (
        *(www_pool(pool) for pool in pools if systemd.active(service(pool))),
        *(Door(f"Apache's module {name}", f"a2dismod {name} && {RESTART}") for name in running(modules)),
    )


def service(pool: Path) -> str:
    """The unit of Debian's master that reads a pool's file."""
    return f"php{pool.parts[-4]}-fpm.service"


def www_pool(pool: Path) -> Door:
    """Debian's www pool; its master ends without any pool, and goes on for the others that it has."""
    version, unit = pool.parts[-4], service(pool)
    alone = all(other.name == POOL for other in pool.parent.glob("*.conf"))
    file = f"/etc/php/{version}/fpm/pool.d/{POOL}"
    away = f"mv {file} {file}.off && systemctl reload {unit}"
    return Door(f"Debian's www pool of PHP {version}", f"systemctl disable --now {unit}" if alone else away)


def running(modules: list[Path]) -> tuple[str, ...]:
    """Apache's modules that run PHP, or any program."""
    return tuple(path.stem for path in modules if path.stem.startswith(("php", "cgi")))
