# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine has beside its base tree, made where nothing is emulated: packages are installed in a container, and
what is new there since it booted becomes an archive, which the machine unpacks before it boots."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.lifecycle.container import Container

INSTALL = "apt-get -y install --no-install-recommends /srv/debs/*.deb"
# A site's image is mounted in its jail, on the same file system.
ARCHIVE = r"""
sync
find / -mindepth 1 -xdev -path '/var/lib/fpmjail/jails/*/.image/*' -prune -o \
    -cnewer /root/before ! -type s -printf '%P\0' |
    tar --create --file=/srv/made/archive --directory=/ --null --no-recursion --numeric-owner \
        --warning=no-file-changed --exclude='srv/*' --exclude='run/*' --exclude='tmp/*' --exclude='dev/*' \
        --files-from=- || [ $? = 1 ]
"""


def archive(release: str, debs: Iterable[Path], directory: Path, settle: Callable[[Container], None]) -> Path:
    """Install packages in a container, let `settle` do the rest, and return the archive, which is in `directory`."""
    packages = directory / "debs"
    packages.mkdir()
    for deb in debs:
        shutil.copy(deb, packages)
    made = directory / "made"
    made.mkdir()
    with Container(release, binds={packages: "/srv/debs"}, writable={made: "/srv/made"}) as container:
        container.shell("touch /root/before; sleep 0.02")
        container.shell(INSTALL, timeout=600)
        settle(container)
        container.shell(ARCHIVE)
    return made / "archive"
