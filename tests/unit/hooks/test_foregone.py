# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left about a site for its own postinst, and what the postinst makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fpmjail import (
    foregone,
)
from fpmjail.layout import Layout
from tests.lifecycle import trees
from tests.sites import planned, shop

POSTINST = dict(planned(shop()).scripts)["postinst"]
BEGIN, END = "# begin foregone", "# end foregone"


def said(directory: Path, content: str, argument: str = "configure", former: str = "") -> tuple[int, str]:
    """Run the postinst's snippet as dpkg would; its exit status, 77 for one that went on, and what it said. In the
    content RUN is what the snippet must find there."""
    snippet = POSTINST[POSTINST.index(BEGIN) : POSTINST.index(END)].replace("/run/fpmjail/foregone", str(directory))
    script = directory / "script"
    script.write_text(f"set -e\n{snippet}\nexit 77\n")
    stat = 'IFS= read -r stat </proc/$$/stat; rest=${stat##*) }; set -- $rest; run="$$ ${20}"'
    (directory / "template").write_text(content)
    dpkg = (
        f'{stat}; sed "s/RUN/$run/" {directory}/template >{directory}/shop; sh {script} {argument} "{former}"; exit $?'
    )
    done = subprocess.run(["bash", "-c", dpkg], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_postinst_says_what_became_of_its_site_and_does_nothing_else(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\ngood\n") == (0, "")
    assert said(tmp_path, "RUN\ngood\nfpmjail: shop: a \\ b\n  c\n") == (0, "fpmjail: shop: a \\ b\n  c\n")


def test_a_postinst_fails_for_the_fault_of_its_own_site(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\nbad\nfpmjail: shop: no\n  do that\n") == (1, "fpmjail: shop: no\n  do that\n")


@pytest.mark.parametrize("run", ["1 1", "RUN1", "", "$PPID 1"])
def test_what_another_run_of_dpkg_left_does_not_count(tmp_path: Path, run: str) -> None:
    assert said(tmp_path, f"{run}\ngood\nfpmjail: shop: words\n") == (77, "")


def test_a_new_version_says_what_became_of_its_site_as_a_new_site_does(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\ngood\nfpmjail: shop: words\n", former="1.0") == (0, "fpmjail: shop: words\n")
    assert said(tmp_path, "RUN\nbad\nfpmjail: shop: no\n", former="1.0") == (1, "fpmjail: shop: no\n")
    assert said(tmp_path, "7 8\ngood\n", former="1.0") == (77, "")


def test_what_an_old_version_had_is_looked_after_before_a_new_one_says_what_became_of_its_site() -> None:
    postinst = dict(planned(shop("web: {tls: none}\n")).scripts)["postinst"]
    assert postinst.index("# begin former-units") < postinst.index("# begin foregone")


def test_a_site_whose_upgrade_was_given_up_is_configured_by_its_own_postinst(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\ngood\n", "abort-upgrade", "1.0") == (77, "")


def test_what_is_left_is_what_a_postinst_reads(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "run").mkdir()
    foregone.begin(layout, "RUN")
    foregone.leave(layout, "shop", "RUN", fault=True, lines=["fpmjail: shop: no\n  do that"])
    foregone.leave(layout, "other", "RUN", fault=False, lines=[])
    there = tmp_path / "there"
    there.mkdir()
    assert said(there, (layout.foregone / "shop").read_text()) == (1, "fpmjail: shop: no\n  do that\n")
    assert said(there, (layout.foregone / "other").read_text()) == (0, "")
    foregone.begin(layout, "RUN")
    assert len(list(layout.foregone.iterdir())) == 2, "other sites of the same run, with other needs"
    foregone.begin(layout, "RUN2")
    assert list(layout.foregone.iterdir()) == []


def test_the_run_of_dpkg_is_found_two_steps_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nsys.path.insert(0, 'hooks')\nfrom fpmjail import foregone\n"
        "print(foregone.run_of_dpkg(), sys.argv[1], foregone.fields(sys.argv[1])[foregone.START])\n"
    )
    script = f"sh -c 'python3 -I {program} $1; :' postinst $$; :"
    monkeypatch.setenv("DPKG_MAINTSCRIPT_NAME", "postinst")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, cwd=trees.CHECKOUT)
    *found, number, start = done.stdout.split()
    assert found == [number, start]
    monkeypatch.delenv("DPKG_MAINTSCRIPT_NAME")
    assert foregone.run_of_dpkg() == ""
