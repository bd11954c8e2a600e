# SPDX-License-Identifier: MIT
"""What a generation holds for the capabilities that differ from server to server: their probes are told, and ask
PHP for just that. So a server without a dictionary has no fault, and an administrator's own rules count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fpmjail import image, systemd
from fpmjail.layout import Layout
from fpmjail.manifest import BOUND, DIRECTORY, FILE
from fpmjail.site import Profile

FONTS_ASKED = 3
LOCALES_ASKED = 20
CHARSETS = ("BIG5", "CP1251", "EUC-JP", "GB18030", "ISO-8859-7", "KOI8-R", "SJIS", "UHC")
AUTHORITY = re.compile(r"^[ \t]*TLS_CACERT[ \t]+(\S+)", re.IGNORECASE | re.MULTILINE)  # ldap.conf(5)
TOLD = frozenset({"fonts", "full", "imagick", "ldap", "spelling"})

Arguments = Mapping[str, object]


def told(layout: Layout, profile: Profile, generation: str) -> dict[str, Arguments]:
    """What these probes are told of a generation, by capability; nothing of one that is not there."""
    names = TOLD & set(profile.capabilities)
    manifest = image.read_manifest(layout, profile.id, generation) if names else None
    if manifest is None:
        return {}
    paths = [f"/{entry.path}" for entry in manifest.entries if entry.type != DIRECTORY]
    empty = [entry.path for entry in manifest.entries if entry.type in (FILE, BOUND) and not entry.size]
    place = layout.image(profile.id) / generation
    return {name: _told(name, paths, place, unbuilt_languages(empty)) for name in names}


def _told(name: str, paths: Sequence[str], place: Path, unbuilt: frozenset[str]) -> Arguments:
    match name:
        case "fonts":
            return {"fonts": fonts(paths)}
        case "imagick":
            return {"coders": coders(paths), "fonts": fonts(paths)}
        case "spelling":
            return dictionaries(paths, unbuilt)
        case "ldap":
            return {"authority": authority(place)}
        case _:
            return {"charsets": list(CHARSETS), "locales": locales(paths, place)}


def fonts(paths: Iterable[str]) -> list[str]:
    """Some fonts that GD and ImageMagick can both write with."""
    return [path for path in paths if "/fonts/" in path and path.lower().endswith((".ttf", ".otf"))][:FONTS_ASKED]


def coders(paths: Iterable[str]) -> list[str]:
    """ImageMagick's coders by the names of their modules."""
    return [path.rpartition("/")[2].removesuffix(".la") for path in paths if re.search(r"/coders/[^/]+\.la$", path)]


def unbuilt_languages(empty: Iterable[str]) -> frozenset[str]:
    """aspell's languages whose files are still empty: a trigger of dpkg fills them at the end of their installation."""
    names = (path.rpartition("/")[2] for path in empty if path.endswith(".rws"))
    return frozenset(re.split("[-_.]", name)[0] for name in names)


def dictionaries(paths: Iterable[str], unbuilt: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """The languages that enchant has from hunspell, and those that pspell has from aspell."""
    hunspell, aspell = set(), set()
    for path in paths:
        directory, _, name = path.rpartition("/")
        if directory in ("/usr/share/hunspell", "/usr/share/myspell", "/usr/share/myspell/dicts"):
            hunspell |= {name.removesuffix(".dic")} if re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?\.dic", name) else set()
        elif directory == "/usr/lib/aspell":
            aspell |= {name.removesuffix(".multi")} if re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?\.multi", name) else set()
    finished = {language for language in aspell if language.partition("_")[0] not in unbuilt}
    return {"hunspell": sorted(hunspell), "aspell": sorted(finished)}


def authority(place: Path) -> str:
    """The file of certificate authorities that the generation's ldap.conf names; the last one counts."""
    try:
        text = (place / "etc/ldap/ldap.conf").read_text(errors="replace")
    except OSError:
        return ""
    found = AUTHORITY.findall(text)
    return str(found[-1]) if found else ""


def locales(paths: Iterable[str], place: Path) -> list[str]:
    """Some locales of the server: directories, and what locale-gen(8) put into its archive."""
    pattern = r"/usr/lib/locale/([a-z]{2,3}_[A-Z]{2}[^/]*)/LC_CTYPE"
    directories = [found[1] for path in paths if (found := re.fullmatch(pattern, path))]
    archives = [path for path in paths if path == "/usr/lib/locale/locale-archive"]
    listed: list[str] = []
    for path in archives:
        inside = place / path.lstrip("/")
        archive = str(inside if inside.is_file() else path)
        answer = systemd.run(["/usr/bin/env", "-i", "LC_ALL=C", "/usr/bin/localedef", "--list-archive", archive], 10)
        listed += [line for line in answer.words.splitlines() if answer.good and re.fullmatch(r"[\w.@-]+", line)]
    return sorted({*directories, *listed})[:LOCALES_ASKED]
