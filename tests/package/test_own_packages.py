# SPDX-License-Identifier: GPL-2.0-or-later
"""fpmjail-deb and fpmjail themselves, built once more as somebody else would, without a network: the same bytes,
nothing for lintian to say, every hardening flag, licences that are told to machines."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from debian.copyright import Copyright

from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs, packaged_files
from tests.lifecycle.trees import CHECKOUT
from tests.package.debian_critics import lintian, network_interfaces
from tests.package.differences import explain

ELSEWHERE = "/var/tmp/some/where/else"
BUILD = f"""
useradd --create-home --home-dir /home/somebody somebody
mkdir -p {ELSEWHERE}
cp -r /srv/checkout {ELSEWHERE}/fpmjail
chown -R somebody: {ELSEWHERE}
cd {ELSEWHERE}/fpmjail
exec setpriv --reuid somebody --regid somebody --init-groups sh -c 'umask 027; exec dpkg-buildpackage -us -uc'
"""
STRANGE = {
    "DEB_BUILD_OPTIONS": "nocheck noautodbgsym parallel=3", "HOME": "/home/somebody", "TZ": "Pacific/Auckland",
    "LC_ALL": "POSIX", "USER": "somebody", "PYTHONHASHSEED": "7",
}  # fmt: skip
LICENCES = {"GPL-2.0-or-later": "GPL-2+", "MIT": "Expat"}


@dataclass(frozen=True, slots=True)
class Workshop:
    """A builder in which the source package was built; `log` is what the build said."""

    bench: Container
    log: str
    place: Path


@pytest.fixture(scope="module")
def workshop(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The source package and both binary ones, built by another user, elsewhere, at other settings."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in packaged_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((CHECKOUT / name).read_bytes())
        (source / name).chmod((CHECKOUT / name).stat().st_mode & 0o777)
    binds: dict[str | Path, str] = {source: "/srv/checkout", build_debs(release): "/srv/usual"}
    with Container(release, "builder", binds=binds, writable={place: "/srv/built"}, boot=False) as bench:
        assert network_interfaces(bench) == ["lo"]
        log = bench.run("sh", "-euc", BUILD, env=STRANGE, timeout=900).output
        bench.shell(f"cp {ELSEWHERE}/fpmjail*_* /srv/built; chmod -R a+rX /srv/built")
        yield Workshop(bench, log, place)


def test_the_bytes_do_not_depend_on_user_path_umask_time_zone_and_locale(workshop: Workshop, release: str) -> None:
    usual = sorted(build_debs(release).glob("*.deb"))
    assert [path.name.partition("_")[0] for path in usual] == ["fpmjail-deb", "fpmjail"]
    for path in usual:
        other = workshop.place / path.name
        assert digest(path) == digest(other), explain(path, other)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_lintian_has_nothing_to_say(workshop: Workshop) -> None:
    [changes] = workshop.place.glob("*.changes")
    assert {path.suffix for path in workshop.place.iterdir()} >= {".dsc", ".deb", ".changes", ".buildinfo"}
    assert lintian(workshop.bench, f"/srv/built/{changes.name}") == ""


def test_the_shell_for_jails_is_compiled_with_every_hardening_flag(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text(workshop.log)
    # A static program is no `-pie` but a `-static-pie`, which blhc does not know.
    seen = subprocess.run(["blhc", "--all", "--ignore-flag", "-pie", log], capture_output=True, text=True)
    assert seen.returncode == 0 and seen.stdout == "", seen.stdout + seen.stderr
    workshop.bench.shell("dpkg-deb --extract /srv/usual/fpmjail_*.deb /srv/extracted")
    program = "/srv/extracted/usr/lib/fpmjail/restricted-sh"
    dynamic = workshop.bench.run("readelf", "--wide", "--dynamic", program).stdout
    segments = workshop.bench.run("readelf", "--wide", "--segments", program).stdout
    assert "Flags: NOW PIE" in dynamic and "(NEEDED)" not in dynamic
    assert "GNU_RELRO" in segments
    assert [line.split()[6] for line in segments.splitlines() if "GNU_STACK" in line] == ["RW"]


def test_debian_copyright_says_of_every_file_what_the_file_says_itself() -> None:
    with (CHECKOUT / "debian/copyright").open() as file:
        told = Copyright(file)
    wrong = []
    for name in packaged_files():
        if (CHECKOUT / name).is_symlink():
            continue  # it has the licence of what it leads to
        head = (CHECKOUT / name).read_bytes()[:400].decode(errors="replace")
        paragraph = told.find_files_paragraph(name)
        licence = paragraph["License"].partition("\n")[0] if paragraph else None
        spoken = [debian for spdx, debian in LICENCES.items() if f"SPDX-License-Identifier: {spdx}" in head]
        if licence is None or spoken not in ([], [licence]):
            wrong.append((name, licence, spoken))
    assert wrong == []
