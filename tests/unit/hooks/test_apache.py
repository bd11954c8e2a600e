# SPDX-License-Identifier: GPL-2.0-or-later
"""What Apache is given and when: a stand-in for `apache2 -t` that reads what it is told to include."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from arrivals import arriving, named
from world import link, put

from fpmjail import apache, configure, dropin, files, state, status, systemd, web
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.systemd import Answer
from fpmjail.vhost import Applied, VirtualHostFault

MAIN = "Include ports.conf\nIncludeOptional sites-enabled/*.conf\n"
BEFORE = "Apache's configuration was broken before: "
INCLUDE = re.compile(r"^Include(?:Optional)? (/.*)$")


@dataclass
class Host:
    """A server with Apache below a temporary directory. Its test refuses the line `Nonsense`, and a line `Once` that is
    there twice, as WSGIDaemonProcess with one name."""

    root: Path
    tested: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def run(self, command: list[str]) -> Answer:
        """`apache2 -t -f FILE`."""
        lines = self.lines(Path(command[-1]))
        self.tested.append(tuple(dict.fromkeys(file.stem for file, _, _ in lines if file.parent.name[:6] == "sites-")))
        once: set[str] = set()
        for file, number, line in lines:
            if line == "Nonsense" or (line.startswith("Once") and line in once):
                return Answer(1, f"AH00526: Syntax error on line {number} of {file}:\n{line} is refused")
            once.add(line)
        return Answer(0, "Syntax OK")

    def lines(self, file: Path) -> list[tuple[Path, int, str]]:
        found = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found.append((file, number, line))
            if include := INCLUDE.match(line):
                found += [one for name in sorted(Path("/").glob(include[1][1:])) for one in self.lines(name)]
        return found

    def site(self, name: str, text: str = "") -> Site:
        """What dpkg unpacks."""
        included = f"IncludeOptional {self.root}/var/lib/fpmjail/sites/{name}/apache.conf\n"
        vhost = put(self.root, f"usr/share/fpmjail/sites/{name}/apache.conf", f"{text}\n{included}")
        available = self.root / f"etc/apache2/sites-available/site-{name}-jail.conf"
        if not available.is_symlink():
            link(self.root, str(available.relative_to(self.root)), str(vhost))
        (self.root / f"var/lib/fpmjail/sites/{name}").mkdir(parents=True, exist_ok=True)
        site = named(name)
        return replace(site, paths=replace(site.paths, vhost=vhost))

    def drop_in(self, name: str, text: str) -> None:
        put(self.root, f"etc/fpmjail/sites/{name}/apache.d/a.conf", f"{text}\n")

    def live(self, site: Site) -> str:
        place = apache.proven_dropins(self.layout, site)
        return place.read_text() if place.exists() else ""

    def apply(self, *sites: Site, on: bool = True) -> dict[str, Applied | Exception]:
        self.tested.clear()
        return apache.apply_all(self.layout, [(site, on) for site in sites])

    def configured(self, site: Site, refused: str | None = None) -> None:
        state.write(self.layout, site.name, state.State(version="1", configured="now", web_refused=refused))

    def good(self) -> bool:
        """Whether what is live passes the test."""
        return not apache.verdict_with({}, ()).status

    def break_it(self) -> Path:
        return put(self.root, "etc/apache2/sites-enabled/foreign.conf", "Nonsense\n")

    def record(self, kind: str, site: Site) -> None:
        put(self.root, f"var/lib/apache2/site/{kind}/{site.web.site}", "")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path)
    put(tmp_path, "etc/apache2/apache2.conf", MAIN)
    put(tmp_path, "etc/apache2/sites-enabled/default.conf", "# default\n")
    (tmp_path / "run/fpmjail").mkdir(parents=True)
    monkeypatch.setattr(apache, "CONFIGURATION", tmp_path / "etc/apache2")
    monkeypatch.setattr(apache, "STATE", tmp_path / "var/lib/apache2")
    monkeypatch.setattr(apache, "installed", lambda: True)
    monkeypatch.setattr(apache, "enable_modules", lambda site: ())
    monkeypatch.setattr(systemd, "run", lambda command, timeout=0: one.run(command))
    monkeypatch.setattr(files, "make_directory", lambda path, *_: path.mkdir(parents=True, exist_ok=True))
    return one


def refused(result: Applied | Exception) -> str:
    assert isinstance(result, Applied) and result.refused
    return result.refused


def test_what_is_tested_is_the_candidate_among_all_that_is_live_once(host: Host) -> None:
    one, other = host.site("one", "Once x"), host.site("other")
    host.drop_in("one", "Once a")
    host.apply(one, other)
    assert host.apply(one) == {"one": Applied()}, "Apache has both already"
    assert host.tested == [("default", "site-one-jail", "site-other-jail")]


def test_sites_that_the_main_configuration_does_not_read_are_tested_all_the_same(host: Host) -> None:
    put(host.root, "etc/apache2/apache2.conf", "# IncludeOptional sites-enabled/*.conf\n")
    assert isinstance(host.apply(host.site("one", "Nonsense"))["one"], VirtualHostFault)


@pytest.mark.parametrize(
    "line", ["Include sites-enabled/", 'includeOptional "CONF/sites-enabled/*.conf"', "\tInclude CONF/sites-enabled/a*"]
)
def test_however_sites_enabled_is_included_another_takes_its_place(host: Host, tmp_path: Path, line: str) -> None:
    put(host.root, "etc/apache2/apache2.conf", line.replace("CONF", str(apache.CONFIGURATION)))
    place = tmp_path / "place"
    place.mkdir()
    apache.mirror(place, ("default.conf",))
    text = (place / "apache2.conf").read_text()
    assert f"{place}/sites-enabled/" in text and "etc/apache2" not in text and text.count("sites-enabled") == 1
    assert list((place / "sites-enabled").iterdir()) == []


def test_a_new_version_that_fails_is_the_packages_fault_though_its_site_is_enabled(host: Host) -> None:
    one, other = host.site("one"), host.site("other")
    host.apply(one, other)
    results = host.apply(host.site("one", "Nonsense"), other)
    assert results["other"] == Applied() and isinstance(results["one"], VirtualHostFault)
    assert f"line 1 of {apache.link_of(one)}: Nonsense is refused" in str(results["one"])


def test_drop_ins_that_wait_for_others_to_mend_their_mistake_are_not_said_to_be_applied(host: Host) -> None:
    one, other = host.site("one"), host.site("other")
    host.drop_in("one", "# before")
    host.apply(one, other)
    host.drop_in("one", "# now")
    host.break_it()
    results = host.apply(one, other)
    words = refused(results["one"])
    assert results == {"one": Applied((words,), words), "other": Applied((words,))}, "nothing of the other one waits"
    assert words.startswith(f"{BEFORE}Syntax error on line 1 of {apache.CONFIGURATION}/sites-enabled/foreign.conf")
    assert words.endswith("; mend that, then: fpmjail reload")
    assert "# before" in host.live(one)


def test_drop_ins_that_wait_are_named_once_and_in_the_status(host: Host) -> None:
    host.drop_in("one", "# now")
    host.break_it()
    result, said = host.apply(host.site("one"))["one"], list[str]()
    one = configure.hosted(arriving("one", said.append), result)
    assert not isinstance(one, Exception) and said == [f"drop-in not applied: {refused(result)}"]
    known = configure.remember(host.layout, one)
    assert known.web_dropins == "" and status.refusals(known) == tuple(said)


def test_a_site_that_could_not_be_linked_is_linked_at_the_next_reload_with_its_drop_ins(host: Host) -> None:
    one, other = host.site("one"), host.site("other")
    host.drop_in("one", "# mine")
    foreign = host.break_it()
    for site, result in zip((one, other), host.apply(one, other).values(), strict=True):
        assert isinstance(result, Applied)
        host.configured(site, result.refused)
    assert apache.settle(host.layout, [one, other]) == () and not apache.enabled(one), "the reload says why"
    foreign.unlink()
    host.tested.clear()
    assert apache.settle(host.layout, [one, other]) == () and len(host.tested) == 1
    assert apache.enabled(one) and apache.enabled(other) and "# mine" in host.live(one)
    known = state.read(host.layout, "one")
    assert known and known.web_refused is None
    assert known.web_dropins == dropin.fingerprint(dropin.read(apache.dropin_directory(host.layout, one)))
    assert apache.settle(host.layout, [one, other]) == () and len(host.tested) == 1, "nothing is left to do"


def test_drop_ins_that_waited_and_are_bad_are_named_at_the_reload_and_asked_no_more(host: Host) -> None:
    one = host.site("one")
    host.apply(one)
    host.drop_in("one", "Nonsense")
    foreign = host.break_it()
    host.configured(one, refused(host.apply(one)["one"]))
    foreign.unlink()
    (words,) = apache.settle(host.layout, [one])
    assert words.startswith("one: drop-in not applied: Syntax error on line 1 of ") and apache.enabled(one)
    assert apache.settle(host.layout, [one]) == ()


def test_a_site_whose_own_text_fails_is_not_linked_at_a_reload(host: Host) -> None:
    one, other = host.site("one", "Nonsense"), host.site("other")
    for site in (one, other):
        host.configured(site)
    (words,) = apache.settle(host.layout, [one, other])
    assert words.startswith("one: its virtual host stays as it was: Syntax error on line 1 of ")
    assert not apache.enabled(one) and apache.enabled(other)


def test_a_virtual_host_that_is_gone_keeps_nobody_from_a_reload(host: Host) -> None:
    one = host.site("one")
    host.configured(one)
    one.paths.vhost.unlink()
    (words,) = apache.settle(host.layout, [one])
    assert str(one.paths.vhost) in words


@pytest.mark.parametrize("kind", ["disabled_by_admin", "enabled_by_maint", "enabled_by_admin"])
def test_a_site_that_an_administrator_took_out_stays_out_at_a_reload(host: Host, kind: str) -> None:
    one = host.site("one")
    host.configured(one)
    host.record(kind, one)
    assert apache.settle(host.layout, [one]) == () and not apache.enabled(one) and host.tested == []


@pytest.mark.parametrize(
    "known", [None, state.State(), state.State(configured="now", disabled=True)], ids=["unknown", "failed", "disabled"]
)
def test_only_a_site_that_is_on_and_configured_is_linked_at_a_reload(host: Host, known: state.State | None) -> None:
    one = host.site("one")
    if known:
        state.write(host.layout, "one", known)
    host.record("disabled_by_maint", one)
    assert apache.settle(host.layout, [one]) == () and not apache.enabled(one) and host.tested == []


def test_a_site_that_is_switched_off_meanwhile_is_not_linked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    one = host.site("one")
    host.configured(one)
    real = files.lock

    def lock(path: Path) -> object:
        state.set_disabled(host.layout, "one", True)
        return real(path)

    monkeypatch.setattr(files, "lock", lock)
    assert apache.settle(host.layout, [one]) == () and not apache.enabled(one)


def test_of_drop_ins_that_are_good_alone_and_not_together_one_is_refused(host: Host) -> None:
    sites = [host.site(name) for name in "abcd"]
    for name in "bc":
        host.drop_in(name, "Once worker")
    results = host.apply(*sites)
    assert len(host.tested) == 1 + 1 + 2 + 2 + 1, "all, all without any, halves twice, c without its drop-in"
    assert "Once worker is refused" in refused(results.pop("c"))
    assert results == {name: Applied() for name in "abd"} and host.good()
    assert all(map(apache.enabled, sites)) and host.live(sites[2]) == ""


def test_nobody_loses_a_drop_in_to_one_that_is_newer(host: Host) -> None:
    one, other = host.site("a"), host.site("b")
    host.drop_in("b", "Once worker")
    host.apply(one, other)
    host.drop_in("a", "Once worker")
    results = host.apply(one, other)
    assert results["b"] == Applied() and "Once worker is refused" in refused(results["a"]) and host.good()


def test_a_refused_drop_in_leaves_the_one_before_which_others_have_beside_them(host: Host) -> None:
    one, other = host.site("a"), host.site("b")
    host.drop_in("a", "Once worker")
    host.apply(one, other)
    host.drop_in("a", "Nonsense")
    host.drop_in("b", "Once worker")
    results = host.apply(one, other)
    assert "Nonsense is refused" in refused(results["a"]) and "Once worker" in host.live(one)
    assert "Once worker is refused" in refused(results["b"]) and host.good()


def test_a_drop_in_that_fits_a_new_version_no_more_is_left_out(host: Host) -> None:
    one = host.site("a")
    host.drop_in("a", "Once worker")
    host.apply(one)
    one = host.site("a", "Once worker")
    assert refused(host.apply(one)["a"]).endswith("is refused; the ones before do not fit any more either")
    assert host.live(one) == "" and host.good()


def test_a_site_that_stays_off_is_in_nobodys_way(host: Host) -> None:
    off, kept_off, on = host.site("a"), host.site("b"), host.site("c")
    for name in "abc":
        host.drop_in(name, "Once worker")
    host.record("disabled_by_admin", kept_off)
    results = apache.apply_all(host.layout, [(off, False), (kept_off, True), (on, True)])
    assert results["c"] == Applied() and host.good()
    assert [apache.enabled(site) for site in (off, kept_off, on)] == [False, False, True]


def test_a_reload_of_all_links_what_was_kept_back_first(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    one = host.site("one")
    host.configured(one)
    linked: list[bool] = []
    monkeypatch.setattr(apache, "reload", lambda: linked.append(apache.enabled(one)))
    assert web.reload_all(host.layout, [one]) == ((), None) and linked == [True]
