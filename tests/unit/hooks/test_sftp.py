# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of sshd's words; sshd itself is asked in tests/lifecycle."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail import sftp

TEXT = "# made\nMatch User _site-a\n\tForceCommand internal-sftp -u 0022\n\tPermitTTY no\n"


def test_every_setting_of_ours_but_the_match_is_wanted() -> None:
    assert sftp.wanted(TEXT) == {"forcecommand": "internal-sftp -u 0022", "permittty": "no"}


def test_a_setting_that_does_not_count_is_named() -> None:
    found = {"forcecommand": "/bin/sh", "permittty": "no", "usepam": "yes"}
    assert sftp.contradictions(sftp.wanted(TEXT), found) == ("forcecommand is `/bin/sh`",)
    assert sftp.contradictions(sftp.wanted(TEXT), {}) == ("forcecommand is ``", "permittty is ``")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, None),
        ({"allowusers": "root _site-*"}, None),
        ({"allowusers": "root _site-a@10.0.0.0/8"}, None),
        ({"allowusers": "root"}, "AllowUsers does not name _site-a"),
        ({"allowgroups": "admins"}, "AllowGroups does not name _site-a"),
        ({"denyusers": "_site-?"}, "DenyUsers keeps _site-a out"),
        ({"allowusers": "_site-a", "denygroups": "_site-a"}, "DenyGroups keeps _site-a out"),
    ],
)
def test_a_list_that_keeps_the_account_out_is_named(settings: dict[str, str], words: str | None) -> None:
    found = sftp.not_admitted("_site-a", "_site-a", settings)
    assert (found is None) if words is None else words in (found or "")


def test_the_users_own_systemd_is_kept_away_unless_an_administrator_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "UNITS", tmp_path)
    unit = sftp.own_systemd("daemon")
    assert unit == tmp_path / "user@1.service" and sftp.own_systemd("_nobody-at-all") is None
    sftp.keep_systemd_away("daemon")
    assert str(unit.readlink()) == "/dev/null"
    sftp.let_systemd_back("daemon")
    assert not unit.is_symlink()
    unit.symlink_to("/etc/systemd/mine.service")
    sftp.keep_systemd_away("daemon")
    sftp.let_systemd_back("daemon")
    assert str(unit.readlink()) == "/etc/systemd/mine.service"


def test_the_password_of_an_account_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp, "SHADOW", tmp_path / "shadow")
    (tmp_path / "shadow").write_text("root:x:1::::::\n_site-a:!*:1::::::\n_site-ab:*:1::::::\n")
    assert [sftp.password(user) for user in ("_site-a", "_site-ab", "_site")] == ["!*", "*", ""]
