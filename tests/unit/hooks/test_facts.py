# SPDX-License-Identifier: GPL-2.0-or-later
"""What is seen of an installed site from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail import facts
from fpmjail.facts import Process

STATUS = """\
Name:\tphp-fpm8.4
Uid:\t990\t991\t990\t990
Gid:\t7\t8\t7\t7
Groups:\t9
CapEff:\t0000000000001000
NoNewPrivs:\t1
Seccomp:\t2
"""


def test_a_process_is_read_by_its_effective_uid() -> None:
    assert facts.parse_status(7, STATUS) == Process(7, "php-fpm8.4", 991, 0x1000, True, 2, groups=frozenset({7, 8, 9}))


def test_mapped_files_keep_the_mark_of_the_deleted() -> None:
    maps = (
        "7f00-7f01 r-xp 00000000 08:01 42                         /usr/lib/a b.so (deleted)\n"
        "7f01-7f02 rw-p 00000000 00:00 0 \n"
        "7f02-7f03 r-xp 00000000 00:00 0                          [vdso]\n"
        "7f03-7f04 r--p 00000000 08:01 42                         /usr/lib/a b.so (deleted)\n"
    )
    assert facts.mapped_files(maps) == ("/usr/lib/a b.so (deleted)",)


def test_a_tree_is_seen_without_entering_what_is_closed_or_not_root_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("etc/inside", "tmp/hidden", "open/hidden"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("/etc")
    monkeypatch.setattr(facts, "ROOT", tmp_path.stat().st_uid)
    seen = {str(Path(found.path).relative_to(tmp_path)) for found in facts.tree(tmp_path, frozenset({"tmp"}))}
    assert seen == {".", "etc", "etc/inside", "tmp", "open", "link"}


def test_a_tree_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert facts.tree(tmp_path / "none") == ()
    assert facts.entry(tmp_path / "none") is None
