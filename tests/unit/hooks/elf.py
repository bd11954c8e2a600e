# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the smallest ELF objects that say what they need: no compiler, and nothing of the machine's own."""

from __future__ import annotations

import struct
from pathlib import Path

NULL, NEEDED, STRTAB, STRSZ, RPATH, RUNPATH = 0, 1, 5, 10, 15, 29
LOAD, DYNAMIC, INTERP = 1, 2, 3
HEADER, SEGMENT = 64, 56


def write(
    path: Path,
    needed: tuple[str, ...] = (),
    rpath: str = "",
    runpath: str = "",
    interpreter: str = "",
    machine: int = 62,
    mode: int = 0o644,
) -> Path:
    """A 64-bit little-endian object; `machine` 62 is x86-64, 183 is arm64."""
    strings, offsets = b"\0", []
    for name in (*needed, rpath, runpath):
        offsets.append(len(strings))
        strings += name.encode() + b"\0"
    segments = 3 if interpreter else 2
    interp_at = HEADER + segments * SEGMENT
    interp = interpreter.encode() + b"\0" if interpreter else b""
    strings_at = interp_at + len(interp)
    dynamic_at = strings_at + len(strings)
    tags = [(NEEDED, offset) for offset in offsets[: len(needed)]]
    tags += [(RPATH, offsets[-2])] if rpath else []
    tags += [(RUNPATH, offsets[-1])] if runpath else []
    tags += [(STRTAB, strings_at), (STRSZ, len(strings)), (NULL, 0)]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)
    header = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, HEADER, 0, 0, HEADER, SEGMENT, segments, 64, 0, 0)
    table = struct.pack("<IIQQQQQQ", LOAD, 4, 0, 0, 0, size, size, 4096)
    table += struct.pack("<IIQQQQQQ", DYNAMIC, 4, dynamic_at, dynamic_at, 0, len(dynamic), len(dynamic), 8)
    if interpreter:
        table += struct.pack("<IIQQQQQQ", INTERP, 4, interp_at, interp_at, 0, len(interp), len(interp), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + table + interp + strings + dynamic)
    path.chmod(mode)
    return path
