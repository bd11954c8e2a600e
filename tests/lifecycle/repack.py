# SPDX-License-Identifier: GPL-2.0-or-later
"""Newer versions of Debian's own packages: the real .deb with a higher version and changed, still valid files.

Every set is upgraded as Debian would upgrade it: all its packages of one source at once. What changes:

    every ELF file      bytes behind its end, which no loader reads
    tzdata              Antarctica/Troll is `round` hours behind UTC all year; a comment in zone.tab
    ca-certificates     one more authority, mozilla/fpmjail_tests_<round>.crt, trusted by default
    C.UTF-8             bytes behind LC_IDENTIFICATION
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lifecycle import trees

SETS = {
    "libc6": r"libc6|libc-bin|libc-l10n|locales",
    "tzdata": r"tzdata",
    "ca-certificates": r"ca-certificates",
    "php-opcache": r"php[0-9.]+-opcache",
    "php-common": r"php[0-9.]+-[a-z]+",
    "libicu": r"libicu[0-9]+",
}
NOT_IN_THE_TREES = {"poppler-utils": r"poppler-utils"}
ZONE = "Antarctica/Troll"
TEXTS_TO_EXTEND = ("usr/share/zoneinfo/zone.tab", "usr/share/doc/*/copyright")
DATA_TO_EXTEND = ("usr/lib/locale/C.utf8/LC_IDENTIFICATION",)


def upgrade(release: str, name: str, round: int = 1, debs: Path | None = None) -> list[Path]:
    """The newer packages of a set, made once and kept beside the base tree; `debs` has those that the tree has not.

    A higher `round` is a newer version. php-opcache alone fits only the installed php-common: upgrade it first, and
    php-common, whose set includes it, with a higher round (or together with it).
    """
    tree = trees.base_tree(release)
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    finished = tree.directory / "repacked" / recipe / f"{name}-{round}"
    with trees.locked(f"{tree.name}-repacked-{name}-{round}"):
        if not finished.exists():
            building = finished.with_name(f"building-{finished.name}")
            shutil.rmtree(building, ignore_errors=True)
            _repack_set(originals(debs or tree.debs, name), round, building)
            building.rename(finished)
    return sorted(finished.glob("*.deb"))


def originals(debs: Path, name: str) -> list[Path]:
    """Debian's packages of a set; raises LookupError if the tree has none."""
    pattern = (SETS | NOT_IN_THE_TREES)[name]
    found = [deb for deb in sorted(debs.glob("*.deb")) if re.fullmatch(pattern, deb.name.partition("_")[0])]
    if not found:
        raise LookupError(f"no package of the set {name} in {debs}")
    return found


def newer(version: str, round: int) -> str:
    """A version above `version`, below Debian's next one, and higher for a higher round."""
    return f"{version}+sp{round}"


def with_newer_version(control: str, siblings: Iterable[str], round: int) -> str:
    """A control file with the newer version, in its strict relations to `siblings` (`= VERSION`) as well."""
    found = re.search(r"^Version: (.+)$", control, re.MULTILINE)
    assert found, "every binary package has a version"
    old, new = found[1], newer(found[1], round)
    names = "|".join(re.escape(name) for name in siblings)
    text = re.sub(rf"\b({names})((?::any)?) \(= {re.escape(old)}\)", rf"\1\2 (= {new})", control)
    return re.sub(r"^Version: .+$", f"Version: {new}", text, count=1, flags=re.MULTILINE)


def _repack_set(debs: list[Path], round: int, target: Path) -> None:
    target.mkdir(parents=True)
    names = [deb.name.partition("_")[0] for deb in debs]
    for deb in debs:
        stage = target / "stage"
        subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(stage)], check=True)
        control = stage / "DEBIAN/control"
        control.write_text(with_newer_version(control.read_text(), names, round))
        _write_md5sums(stage, change(stage, round))
        subprocess.run(
            ["dpkg-deb", "-Zgzip", "-z1", "--build", str(stage), str(target)], check=True, stdout=subprocess.DEVNULL
        )
        shutil.rmtree(stage)


def change(stage: Path, round: int) -> list[Path]:
    """Change the files of an unpacked package; the changed ones. Raises AssertionError if nothing could be changed."""
    mark = f"repacked {round}\n"
    changed = [*_extend_binaries(stage, f"\0{mark}".encode())]
    for pattern in TEXTS_TO_EXTEND:
        changed += [
            _extend(file, f"# {mark}".encode())
            for file in stage.glob(pattern)
            if file.is_file() and not file.is_symlink()
        ]
    changed += _move_zone(stage, round)
    changed += _add_authority(stage, round)
    assert changed, f"{stage} holds nothing to change"
    return changed


def _extend(file: Path, data: bytes) -> Path:
    with file.open("ab") as handle:
        handle.write(data)
    return file


def _extend_binaries(stage: Path, data: bytes) -> list[Path]:
    """Write behind the end of every ELF file and of the locale data; files of several names only once."""
    candidates = [*stage.rglob("*"), *(stage / name for name in DATA_TO_EXTEND)]
    files = {
        path.stat().st_ino: path
        for path in candidates
        if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
    }
    wanted = [path for path in files.values() if _is_elf(path) or str(path.relative_to(stage)) in DATA_TO_EXTEND]
    return [_extend(path, data) for path in wanted]


def _is_elf(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"


def _move_zone(stage: Path, round: int) -> list[Path]:
    """Give one zone the data of a zone `round` hours behind UTC: bytes behind a zone's end would not be ignored."""
    zones = stage / "usr/share/zoneinfo"
    if not (zones / ZONE).exists():
        return []
    (zones / ZONE).write_bytes((zones / f"Etc/GMT+{round}").read_bytes())
    return [zones / ZONE]


def _add_authority(stage: Path, round: int) -> list[Path]:
    """One more certification authority, in the list that the package's debconf script trusts."""
    folder = stage / "usr/share/ca-certificates/mozilla"
    if not folder.is_dir():
        return []
    file = folder / f"fpmjail_tests_{round}.crt"
    subject = f"/O=fpmjail tests/CN=fpmjail test authority {round}"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
         "-subj", subject, "-keyout", "/dev/null", "-out", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    file.chmod(0o644)
    config = stage / "DEBIAN/config"
    config.write_text(config.read_text().replace('CERTS_LIST="', f'CERTS_LIST="mozilla/{file.name}, ', 1))
    return [file]


def _write_md5sums(stage: Path, changed: list[Path]) -> None:
    """Bring DEBIAN/md5sums in line with the changed files (dpkg --verify reads it)."""
    sums = stage / "DEBIAN/md5sums"
    names = {str(file.relative_to(stage)): hashlib.md5(file.read_bytes()).hexdigest() for file in changed}
    kept = [line for line in sums.read_text().splitlines() if line.split("  ", 1)[1] not in names]
    sums.write_text(
        "".join(f"{line}\n" for line in [*kept, *(f"{value}  {name}" for name, value in sorted(names.items()))])
    )
