# SPDX-License-Identifier: GPL-2.0-or-later
"""A small server below a temporary directory: PHP, libraries, time zones, as Debian lays them out."""

from __future__ import annotations

import json
from pathlib import Path

import elf

from fpmjail.capability import Definitions, load
from fpmjail.host import multiarch
from fpmjail.layout import Layout
from fpmjail.site import Profile, profile_id
from fpmjail.wanted import Wanted, wanted

ARCH = multiarch()
LIB = f"usr/lib/{ARCH}"
SHIPPED = Path(__file__).parents[3] / "hooks/capabilities"
GCONV = "alias MS-ANSI// CP1252//\nmodule CP1252// INTERNAL CP1252 1\nmodule INTERNAL CP1252// CP1252 1\n"
EVERYTHING = ("charsets", "dns", "locale-c", "php", "services", "sessions", "timezones", "tls")


def put(root: Path, path: str, content: str = "content\n", mode: int = 0o644) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    place.chmod(mode)
    return place


def link(root: Path, path: str, target: str) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def make(root: Path, shipped: bool = True) -> Layout:
    """The server; `shipped` False leaves the runtime's definitions out."""
    layout = Layout(root)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        link(root, name, f"usr/{name}")
    if shipped:
        for path in SHIPPED.glob("*.json"):
            put(root, f"usr/share/fpmjail/capabilities/{path.name}", path.read_text())
    _libraries(root)
    _php(root)
    put(root, "usr/share/fpmjail/probes/php.php", "<?php")
    put(root, "usr/share/zoneinfo/UTC")
    put(root, "usr/share/zoneinfo/Europe/Paris")
    put(root, "usr/share/zoneinfo/right/UTC")
    link(root, "usr/share/zoneinfo/Zulu", "UTC")
    link(root, "etc/localtime", "/usr/share/zoneinfo/Europe/Paris")
    for name in ("etc/services", "etc/protocols", "usr/lib/locale/C.utf8/LC_CTYPE", "etc/ssl/openssl.cnf"):
        put(root, name)
    put(root, "etc/ssl/certs/ca-certificates.crt", "certificates\n")
    link(root, "usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")
    link(root, "usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf")
    link(root, "usr/lib/ssl/certs", "/etc/ssl/certs")
    put(root, "etc/hosts", "127.0.0.1 localhost me\n")
    put(root, "run/resolve/resolv.conf", "nameserver 192.0.2.1\n")
    link(root, "etc/resolv.conf", "../run/resolve/resolv.conf")
    return layout


def _libraries(root: Path) -> None:
    elf.write(root / LIB / "ld.so.2", mode=0o755)
    link(root, "usr/lib64/ld.so.2", f"/lib/{ARCH}/ld.so.2")
    elf.write(root / LIB / "libc.so.6", ("ld.so.2",), mode=0o755)
    elf.write(root / LIB / "libgd.so.3.1", ("libc.so.6",))
    link(root, f"{LIB}/libgd.so.3", "libgd.so.3.1")
    elf.write(root / LIB / "gconv/CP1252.so", ("libc.so.6",))
    put(root, f"{LIB}/gconv/gconv-modules", GCONV)
    put(root, f"{LIB}/gconv/gconv-modules.cache")


def _php(root: Path) -> None:
    for name in ("usr/sbin/php-fpm8.4", "usr/bin/php8.4"):
        program = elf.write(root / name, ("libc.so.6",), interpreter="/lib64/ld.so.2", mode=0o755)
        program.write_bytes(program.read_bytes() + b"\0/usr/lib/php/20240924\0")
    elf.write(root / "usr/lib/php/20240924/gd.so", ("libgd.so.3",))
    put(root, "etc/php/8.4/mods-available/gd.ini", "extension=gd.so\n")
    for variant in ("fpm", "cli"):
        put(root, f"etc/php/8.4/{variant}/php.ini", "; nothing\n")
        link(root, f"etc/php/8.4/{variant}/conf.d/20-gd.ini", "/etc/php/8.4/mods-available/gd.ini")


def profile(
    *capabilities: str,
    charsets: tuple[str, ...] = ("CP1252",),
    php: str = "8.4",
    locales: tuple[str, ...] = (),
    timezones: tuple[str, ...] = (),
    libraries: str = "image",
) -> Profile:
    content: dict[str, object] = {
        "php": php,
        "capabilities": sorted(capabilities),
        "charsets": list(charsets),
        "locales": list(locales),
        "programs": [],
        "libraries": libraries,
        "timezones": list(timezones),
    }
    names = tuple(sorted(capabilities))
    return Profile(profile_id(content), php, names, charsets, locales, (), libraries, timezones)


def want(layout: Layout, one: Profile) -> Wanted:
    return wanted(one, load(layout), layout)


def define(layout: Layout, name: str, *rules: dict[str, object]) -> Definitions:
    """An administrator's definition, and all definitions with it."""
    put(layout.root, f"etc/fpmjail/capabilities.d/{name}.json", json.dumps({"format": 1, "name": name, "rules": rules}))
    return load(layout)
