# SPDX-License-Identifier: GPL-2.0-or-later
"""lintian of each release, asked for everything that it knows."""

from __future__ import annotations

from collections.abc import Sequence

from tests.lifecycle.container import Container

LINTIAN = (
    "lintian", "--allow-root", "--display-info", "--display-experimental", "--pedantic", "--tag-display-limit=0",
    "--fail-on=error,warning,info,pedantic,experimental,override",
)  # fmt: skip
# What the later release's lintian no longer says: it knows a newer policy, and that nobody owes an init script.
TAKEN_BACK = {"bookworm": ("newer-standards-version", "package-supports-alternative-init-but-no-init.d-script")}


def lintian(bench: Container, *packages: str) -> str:
    """All that lintian has to say of .deb or .changes files, nothing if they are good."""
    suppressed = [f"--suppress-tags={','.join(tags)}"] if (tags := TAKEN_BACK.get(bench.release)) else []
    return bench.run(*LINTIAN, *suppressed, *packages, check=False, timeout=900).output


def network_interfaces(bench: Container) -> Sequence[str]:
    """The network that a container has: `lo` alone."""
    lines = bench.read("/proc/net/dev").splitlines()[2:]
    return [line.partition(":")[0].strip() for line in lines]
