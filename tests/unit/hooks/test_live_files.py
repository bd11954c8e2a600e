# SPDX-License-Identifier: GPL-2.0-or-later
"""resolv.conf, hosts and localtime follow the host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import world
from images import ID, PROFILE, build, change, renew

from fpmjail import image_build, live_files
from fpmjail.layout import Layout
from fpmjail.wanted import Live


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


def live(layout: Layout, name: str) -> str:
    return (layout.image(ID) / "live" / name).read_text()


def test_live_files_follow_the_host(layout: Layout) -> None:
    found = world.want(layout, PROFILE)
    image_build.build(layout, PROFILE, found, {})
    first = live_files.follow(layout, ID, found.live)
    assert (first.changed, first.problems) == (("hosts", "localtime", "resolv.conf"), ())
    assert live(layout, "resolv.conf") == "nameserver 192.0.2.1\n"
    assert live_files.follow(layout, ID).changed == ()
    change(layout, "run/resolve/resolv.conf", "nameserver 192.0.2.2\n")
    assert live_files.follow(layout, ID).changed == ("resolv.conf",)
    assert live(layout, "resolv.conf") == "nameserver 192.0.2.2\n"


def test_the_directory_of_live_files_is_made_again(layout: Layout) -> None:
    renew(layout)
    shutil.rmtree(layout.image(ID) / "live")
    assert "hosts" in live_files.follow(layout, ID).changed
    assert (layout.image(ID) / "live").stat().st_mode & 0o777 == 0o755


def test_a_minimal_server_without_hosts_gets_localhost(layout: Layout) -> None:
    build(layout)
    (layout.root / "etc/hosts").unlink()
    assert live_files.follow(layout, ID).problems == ()
    assert live(layout, "hosts") == "127.0.0.1 localhost\n::1 localhost\n"


def test_a_server_without_localtime_is_no_problem(layout: Layout) -> None:
    build(layout)
    (layout.root / "etc/localtime").unlink()
    followed = live_files.follow(layout, ID)
    assert ("localtime" not in followed.changed, followed.problems) == (True, ())


def test_a_resolv_conf_that_leads_nowhere_keeps_its_last_content(layout: Layout) -> None:
    build(layout)
    (layout.root / "run/resolve/resolv.conf").rename(layout.root / "run/away")
    followed = live_files.follow(layout, ID)
    assert live(layout, "resolv.conf") == ""
    assert followed.problems == (
        "/etc/resolv.conf cannot be followed, /run/resolve/resolv.conf is no file; there is no older content",
    )
    (layout.root / "run/away").rename(layout.root / "run/resolve/resolv.conf")
    live_files.follow(layout, ID)
    (layout.root / "run/resolve/resolv.conf").unlink()
    assert live_files.follow(layout, ID).problems[0].endswith("its last content stays")
    assert live(layout, "resolv.conf") == "nameserver 192.0.2.1\n"


def test_a_pipe_in_the_place_of_a_live_file_does_not_block(layout: Layout) -> None:
    build(layout)
    os.mkfifo(layout.root / "etc/pipe")
    followed = live_files.follow(layout, ID, (Live("pipe", "/etc/pipe", None),))
    assert (followed.changed, len(followed.problems)) == ((), 1)


def test_nothing_is_followed_before_the_first_build(layout: Layout) -> None:
    assert live_files.follow(layout, ID) == live_files.Followed((), ())
