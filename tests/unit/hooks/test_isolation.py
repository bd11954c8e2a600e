# SPDX-License-Identifier: GPL-2.0-or-later
"""What the outcomes of attempts mean: who meets whom, what is shared by design, whom to believe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_check import SITE

from fpmjail import isolation, isolation_run
from fpmjail.fastcgi import Response
from fpmjail.isolation import ATTEMPTS, Fate, Met, Row
from fpmjail.site import Site

OTHER = replace(SITE, name="other", user=replace(SITE.user, name="_site-other"))
NONCE = "ab" * 16
SHARED = "shared"
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 1 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0A0000C6:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
   4: 0100007F:9C40 0100007F:0CEA 01 00000000:00000000 00:00000000 00000000     0        0 5 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1A0A 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A
"""


def shared(site: Site) -> Site:
    units = replace(site.units, service="php8.4-fpm.service", socket="")
    return replace(site, isolation=SHARED, units=units, filesystem=replace(site.filesystem, bind=()))


def row(name: str, page: str = "", command: str = "", a: Site = SITE, b: Site = OTHER) -> Row:
    """The row of one attempt; all others were kept out."""
    (found,) = (one for one in isolation.judge(a, b, {name: page}, {name: command}) if one.name == name)
    return found


def answer(checks: object, nonce: str = NONCE) -> bytes:
    return json.dumps({"nonce": nonce, "checks": checks}).encode()


def test_every_site_meets_every_other_one_as_long_as_they_are_few() -> None:
    few = [replace(SITE, name=name) for name in "abcd"]
    assert len(isolation.pairs(few)) == len({(a.name, b.name) for a, b in isolation.pairs(few)}) == 12
    assert isolation.pairs([SITE]) == isolation.pairs([]) == ()


def test_of_many_each_is_once_at_either_side_and_its_like_is_its_neighbour() -> None:
    many = [replace(SITE, name=name, isolation=SHARED if name in "bd" else "dedicated") for name in "abcdef"]
    found = [(a.name, b.name) for a, b in isolation.pairs(many)]
    assert found == [("a", "c"), ("c", "e"), ("e", "f"), ("f", "b"), ("b", "d"), ("d", "a")]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_stays_out_of_reach_is_kept_out_and_what_could_not_be_tried_says_so(name: str) -> None:
    assert row(name).fate is Fate.KEPT
    assert row(name, "untried: no such thing", "untried: no such thing").fate is Fate.UNTRIED
    assert row(name, "untried: no such thing").fate is Fate.KEPT


@pytest.mark.parametrize("name", [name for name in ATTEMPTS if name not in isolation.NETWORK])
@pytest.mark.parametrize("way", ["page", "command"])
def test_whatever_is_reached_of_a_site_with_a_master_of_its_own_is_a_fault_with_a_way_to_mend_it(
    name: str, way: str
) -> None:
    found = row(name, "reached it") if way == "page" else row(name, command="reached it")
    if name in ("notify socket", "journal's sockets"):
        assert found.fate is Fate.DESIGN and "nothing to do" in found.fix
    else:
        assert found.fate is Fate.OPEN and found.fix and "{" not in found.fix


@pytest.mark.parametrize("name", isolation.NETWORK)
def test_the_network_is_shared_by_design_unless_the_description_denies_it(name: str) -> None:
    assert row(name, "connected").fate is Fate.DESIGN
    closed = replace(SITE, sandbox=(("PrivateNetwork", "yes"), ("IPAddressDeny", "any")))
    assert row(name, "connected", a=closed).fate is Fate.OPEN
    allowed = (("IPAddressDeny", "any"), ("IPAddressAllow", "localhost"))
    assert row(name, "connected", a=replace(SITE, sandbox=allowed)).fate is Fate.DESIGN
    elsewhere = (("IPAddressDeny", "any"), ("IPAddressAllow", "192.0.2.7"))
    found = row(name, "connected", a=replace(SITE, sandbox=elsewhere))
    assert found.fate is (Fate.DESIGN if name == "abstract sockets" else Fate.OPEN)


@pytest.mark.parametrize("name", ["APCu", *isolation.SYSV])
def test_pages_of_one_shared_master_have_memory_in_common_and_commands_never_do(name: str) -> None:
    a, b = shared(SITE), shared(OTHER)
    assert row(name, "read it", a=a, b=b).fate is Fate.DESIGN and "dedicated" in row(name, "read it", a=a, b=b).fix
    assert row(name, "", "read it", a=a, b=b).fate is Fate.OPEN
    assert row(name, "read it", a=a).fate is Fate.OPEN


def test_two_masters_have_no_apcu_in_common() -> None:
    older = replace(shared(OTHER), units=replace(shared(OTHER).units, service="php8.2-fpm.service"))
    assert isolation.common(shared(SITE), shared(OTHER)) and not isolation.common(shared(SITE), older)
    assert row("APCu", "read it", a=shared(SITE), b=older).fate is Fate.OPEN


def test_a_jail_that_shall_see_every_process_does() -> None:
    assert row("processes of others", "sees 9").fate is Fate.OPEN
    host = replace(SITE, jail=replace(SITE.jail, proc="host"))
    assert row("processes of others", "sees 9", a=host).fate is Fate.DESIGN


def test_the_attempts_know_where_the_host_has_what_the_neighbour_made() -> None:
    made: dict[str, object] = {"session": "/var/lib/php/sessions/sess_x", "loopback": "127.0.0.1:99"}
    told = isolation.arguments(SITE, OTHER, made, "fpmjail-x", ["/run/php/php.sock"], ["127.0.0.1:99", "127.0.0.1:22"])
    assert told["files"] == [f"{OTHER.paths.jail}/tmp/fpmjail-x"]
    assert told["sessions"] == [f"{OTHER.paths.jail}/var/lib/php/sessions/sess_x"]
    assert told["fastcgi"] == [str(OTHER.paths.socket)] and told["services"] == ["127.0.0.1:22"]
    assert told["user"] == "" and told["common"] is False
    assert isolation.outside(OTHER, "/var/www/example/x") == "/var/www/example/x"
    assert isolation.outside(shared(OTHER), "/var/www/example/x") == f"{OTHER.paths.jail}/var/www/example/x"


def test_an_account_in_the_database_is_tried_where_the_site_reaches_the_server() -> None:
    reaching = replace(SITE, jail=replace(SITE.jail, sockets=(("mysql", Path("/run/mysqld")),)))
    assert isolation.arguments(reaching, OTHER, {}, "x", [], [])["user"] == "_site-other"


def test_what_listens_on_loopback_is_found_but_the_web_server() -> None:
    assert isolation.services(TCP, TCP6) == ("127.0.0.1:22", "127.0.0.1:3306", "[::1]:6666")
    assert isolation.services("", "nonsense\n1 2\n") == ()


def test_an_answer_counts_only_whole_and_with_its_nonce() -> None:
    good = dict.fromkeys(ATTEMPTS, True)
    assert set(isolation.read(NONCE, answer(good)).values()) == {""}
    assert isolation.read(NONCE, answer({**good, "files": "read\n\x1b[2J it"}))["files"] == "read [2J it"
    assert isolation.read(NONCE, answer({**good, "files": False}))["files"] == "False"
    without = {name: True for name in ATTEMPTS if name != "files"}
    for wrong in (answer(good, "cd" * 16), answer(without), answer({**good, "x": True}), answer([]), b"[]", b"<html>"):
        with pytest.raises(ValueError):
            isolation.read(NONCE, wrong)


def test_what_a_neighbour_says_that_it_made_is_read_from_its_first_line() -> None:
    body = json.dumps({"nonce": NONCE, "made": {"pid": 7, "file": "/tmp/x", "odd": [1]}}).encode() + b"\n   "
    assert isolation.made(NONCE, Response(200, (), body, b"")) == {"pid": 7, "file": "/tmp/x"}
    for status, wrong in ((500, body), (200, b'{"nonce": "x"}\n'), (200, b"")):
        with pytest.raises(ValueError):
            isolation.made(NONCE, Response(status, (), wrong, b""))


def test_the_table_shows_all_of_two_sites_and_of_many_only_what_was_reached() -> None:
    rows = (
        Row("files", Fate.KEPT, "", ""),
        Row("APCu", Fate.DESIGN, "read it", "", "isolation: dedicated"),
        Row("signals", Fate.OPEN, "may signal 7", "may signal 7", "a user of its own"),
    )
    met = Met("a", "b", rows)
    whole, short = (isolation_run.text(met, 100, whole=whole) for whole in (True, False))
    assert "kept out" in whole.splitlines()[2] and "files" not in short
    assert "page: read it -> isolation: dedicated" in short and "may signal 7 -> a user of its own" in short
    assert short.splitlines()[-1] == "1 kept out, 1 by design, 1 REACHED" and not met.good
    assert not Met("a", "b", (), "could not be tried: x").good and Met("a", "b", rows[:2]).good
    assert isolation_run.text(Met("a", "b", (), "could not be tried: x"), 100, whole=False).endswith("tried: x")
