# SPDX-License-Identifier: GPL-2.0-or-later
"""The same site's package from builders of both releases, by other users, elsewhere, at other settings: one content.

Nobody of them has a network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.trees import CHECKOUT, RELEASES
from tests.package.debian_critics import network_interfaces
from tests.package.differences import explain

SOMEBODY = """
useradd --create-home somebody
mkdir -p "$1"
cp -r /srv/checkout/examples "$1"
chown -R somebody: "$1"
cd "$1"
exec setpriv --reuid somebody --regid somebody --init-groups sh -euc '
    umask "$1"
    for description in examples/*.yaml; do fpmjail-deb build "$description" -o debs; done
    SOURCE_DATE_EPOCH=1795435200 fpmjail-deb build examples/fleet -o debs -j 2' sh "$2"
"""
BUILDERS: Mapping[str, tuple[tuple[str, str], Mapping[str, str]]] = {
    "trixie": (("/srv/one", "022"), {"TZ": "UTC", "LC_ALL": "C.UTF-8"}),
    "bookworm": (
        ("/home/somebody/deep/er/a place", "077"),
        {"TZ": "Pacific/Auckland", "LC_ALL": "POSIX", "LANGUAGE": "de", "HOME": "/nowhere", "PYTHONHASHSEED": "7"},
    ),
}


def built_on(release: str, target: Path) -> list[Path]:
    """The packages of all examples, built by the installed generator of a release."""
    arguments, environment = BUILDERS[release]
    binds: dict[str | Path, str] = {build_debs(release): "/srv/debs", CHECKOUT: "/srv/checkout"}
    with Container(release, "builder", binds=binds, writable={target: "/srv/target"}, boot=False) as bench:
        assert network_interfaces(bench) == ["lo"]
        bench.shell("dpkg --install /srv/debs/fpmjail-deb_*.deb")
        bench.run("sh", "-euc", SOMEBODY, "sh", *arguments, env=environment, timeout=900)
        bench.run("sh", "-euc", 'cp "$1"/debs/*.deb /srv/target', "sh", arguments[0])
    return sorted(target.glob("*.deb"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Path]]:
    """All packages by the release of their builder."""
    return {release: built_on(release, tmp_path_factory.mktemp(release)) for release in RELEASES}


def test_every_example_has_the_same_bytes_from_both_releases(built: Mapping[str, list[Path]]) -> None:
    one, other = built["trixie"], built["bookworm"]
    assert [path.name for path in one] == [path.name for path in other]
    examples = {path.stem for path in (CHECKOUT / "examples").rglob("*.yaml") if path.stem != "defaults"}
    assert {path.name.split("_")[0] for path in one} == {f"site-{name}-jail" for name in examples}
    for ours, theirs in zip(one, other, strict=True):
        assert digest(ours) == digest(theirs), explain(ours, theirs)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
