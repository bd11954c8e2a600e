# SPDX-License-Identifier: GPL-2.0-or-later
"""The bar of a long build."""

from io import StringIO

import pytest

from fpmjail_deb.progress import Progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_bar_tells_how_far_it_is_and_how_long_it_takes() -> None:
    clock, terminal = Clock(), StringIO()
    progress = Progress(4, terminal, clock)
    clock.now = 60.0
    progress.step("site-a-jail")
    assert terminal.getvalue() == f"\r[{'#' * 7}{'.' * 23}] 1/4 3:00 left site-a-jail\x1b[K"


def test_no_guess_is_made_in_the_first_seconds() -> None:
    clock = Clock()
    progress = Progress(2, StringIO(), clock)
    clock.now = 1.0
    progress.step("a")
    assert progress.bar("a").endswith("] 1/2 a")


def test_quick_steps_are_drawn_together_but_the_last_always() -> None:
    terminal = StringIO()
    progress = Progress(1000, terminal, Clock())
    for _ in range(1000):
        progress.step("a")
    assert terminal.getvalue().count("\r") == 2
    assert "1000/1000" in terminal.getvalue()


def test_a_line_finds_room_and_the_bar_comes_back() -> None:
    terminal = StringIO()
    progress = Progress(3, terminal, Clock())
    progress.step("a")
    progress.clear()
    progress.step("b")
    assert terminal.getvalue().endswith(f"\r\x1b[K\r{progress.bar('b')}\x1b[K")


def test_a_narrow_terminal_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert len(Progress(3, StringIO(), Clock()).bar("a" * 30)) == 19


def test_nothing_is_drawn_without_a_terminal() -> None:
    progress = Progress(3, None, Clock())
    progress.step("a")
    progress.clear()
    assert progress.done == 1
