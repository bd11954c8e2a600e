# SPDX-License-Identifier: GPL-2.0-or-later
"""What nginx is given and when: a stand-in for `nginx -t` that refuses what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from test_check import SITE
from world import put

from fpmjail import apache, dropin, nginx, ports, state, systemd, vhost, web
from fpmjail.layout import Layout
from fpmjail.site import Site, Tls
from fpmjail.systemd import Answer

MAIN = "http {\n\tinclude CONF/conf.d/*.conf;\n\tinclude CONF/sites-enabled/*;\n}\n"
BLOCK = "server {\n\tinclude STATE/nginx-*.conf;\n\tinclude STATE/nginx[.]conf;\n}\n"
ALL = frozenset(nginx.PIECES)
PLAIN = frozenset({"nginx-ipv6.conf"})


@dataclass
class Host:
    """A server with nginx below a temporary directory; `refuses` says what its test does not like in a text."""

    root: Path
    site: Site
    refuses: Callable[[str], bool] = lambda text: False
    holders: tuple[str, ...] = ()
    tested: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    @property
    def link(self) -> Path:
        return nginx.link_of(self.site)

    def run(self, command: list[str]) -> Answer:
        """`nginx -t`: the text of the candidate decides."""
        main = Path(command[-1])
        candidate = main.parent / "sites-enabled" / self.site.web.site
        text = candidate.read_text() if candidate.exists() else ""
        self.tested.append(text)
        if self.refuses(text):
            return Answer(1, f"nginx: [emerg] refused in {candidate}:7\nnginx: configuration file test failed")
        return Answer(0, "")

    def certify(self) -> None:
        for name in ("cert.pem", "key.pem"):
            put(self.root, name)

    def drop_in(self, text: str) -> None:
        put(self.root, "etc/fpmjail/sites/example/nginx.d/a.conf", text)

    def apply(self, on: bool = True) -> vhost.Applied:
        return nginx.apply(self.layout, self.site, on)

    def live(self) -> str:
        return nginx.proven_dropins(self.layout, self.site).read_text()

    def pieces(self) -> frozenset[str]:
        return nginx.linked(self.layout, self.site)

    def configured(self) -> None:
        state.write(self.layout, "example", state.State(version="1"))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    share, conf = tmp_path / "share", tmp_path / "etc/nginx"
    site = replace(
        SITE,
        paths=replace(SITE.paths, vhost=share / "nginx.conf"),
        web=replace(SITE.web, server="nginx", tls=Tls(tmp_path / "cert.pem", tmp_path / "key.pem", True)),
    )
    put(share, "nginx.conf", BLOCK.replace("STATE", str(tmp_path / "var/lib/fpmjail/sites/example")))
    for piece in nginx.PIECES:
        put(share, piece)
    put(conf, "nginx.conf", MAIN.replace("CONF", str(conf)))
    put(conf, "sites-enabled/default")
    put(conf, "sites-available/site-example-jail")
    put(tmp_path, "usr/sbin/nginx")
    (tmp_path / "var/lib/fpmjail/sites/example").mkdir(parents=True)
    one = Host(tmp_path, site)
    monkeypatch.setattr(nginx, "CONFIGURATION", conf)
    monkeypatch.setattr(nginx, "PROGRAM", tmp_path / "usr/sbin/nginx")
    monkeypatch.setattr(systemd, "run", lambda command, timeout=0: one.run(command))
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(ports, "holders", lambda port: one.holders)
    monkeypatch.setattr(ports, "ipv6", lambda: True)
    return one


def test_a_fresh_site_is_linked_with_what_the_host_allows(host: Host) -> None:
    assert host.apply() == vhost.Applied()
    assert host.link.readlink() == nginx.CONFIGURATION / "sites-available/site-example-jail"
    assert host.pieces() == PLAIN


def test_without_ipv6_no_address_of_it_is_asked_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "ipv6", lambda: False)
    host.apply()
    assert host.pieces() == frozenset()


def test_what_is_tested_is_the_candidate_among_all_that_is_live(host: Host) -> None:
    host.drop_in("allow all;\n")
    host.apply()
    assert host.tested[0] == ""
    assert f"include {host.site.paths.vhost.with_name('nginx-ipv6.conf')};" in host.tested[1]
    assert "nginx.d/*.conf" in host.tested[2] and "nginx-tls" not in host.tested[2]


def test_the_mirror_holds_everything_but_the_site(host: Host, tmp_path: Path) -> None:
    place = tmp_path / "mirror"
    place.mkdir()
    put(nginx.CONFIGURATION, "sites-enabled/site-example-jail")
    put(nginx.CONFIGURATION, "conf.d/a.conf")
    nginx.mirror(place, "site-example-jail")
    assert [path.name for path in (place / "sites-enabled").iterdir()] == ["default"]
    assert (place / "conf.d/a.conf").exists()
    assert f"include {place}/sites-enabled/*;" in (place / "nginx.conf").read_text()


def test_tls_begins_when_certificate_and_key_are_there_and_ends_with_them(host: Host) -> None:
    host.apply()
    host.configured()
    put(host.root, "cert.pem")
    assert nginx.settle(host.layout, [host.site]) == () and host.pieces() == PLAIN
    host.certify()
    assert nginx.settle(host.layout, [host.site]) == () and host.pieces() == ALL
    (host.root / "key.pem").unlink()
    assert nginx.settle(host.layout, [host.site]) == () and host.pieces() == PLAIN


def test_a_reload_with_nothing_to_settle_tests_nothing(host: Host) -> None:
    host.apply()
    host.configured()
    host.tested.clear()
    nginx.settle(host.layout, [host.site])
    assert host.tested == []


def test_a_certificate_that_nginx_refuses_is_left_out_and_named(host: Host) -> None:
    host.certify()
    host.refuses = lambda text: "nginx-tls.conf" in text
    (words,) = host.apply().words
    assert words.startswith("there is no HTTPS, nginx refuses the certificate: refused in ")
    assert host.pieces() == PLAIN and host.link.is_symlink()
    assert "the certificate is there and not used" in nginx.lacks(host.layout, host.site).words


def test_a_taken_port_keeps_the_site_off_until_it_is_free(host: Host) -> None:
    host.holders = ("apache2",)
    assert "port 80 is taken by apache2" in host.apply().words[0]
    host.configured()
    assert not host.link.is_symlink()
    assert "the virtual host is off" in nginx.lacks(host.layout, host.site).words
    host.holders = ("nginx",)
    assert nginx.settle(host.layout, [host.site]) == ()
    assert host.link.is_symlink() and nginx.lacks(host.layout, host.site).words == ()


def test_a_taken_tls_port_leaves_http_alone(host: Host) -> None:
    host.certify()
    host.apply()
    host.link.unlink()
    nginx.link_pieces(host.layout, host.site, PLAIN)
    nginx.mark_of(host.layout, host.site).unlink()
    host.holders = ("haproxy",)
    words = host.apply().words
    assert any("port 443 is taken by haproxy, so there is no HTTPS" in text for text in words)
    assert host.pieces() == PLAIN


def test_a_port_matters_to_nobody_while_a_host_is_being_built(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.holders = ("apache2",)
    monkeypatch.setattr(systemd, "running", lambda: False)
    host.apply()
    assert host.link.is_symlink()


def test_a_bad_drop_in_is_named_and_the_one_before_stays(host: Host) -> None:
    host.drop_in("good;\n")
    host.apply()
    host.drop_in("bad;\n")
    host.refuses = lambda text: "nginx.d/*.conf" in text
    applied = host.apply()
    assert applied.refused and "refused in" in applied.refused
    assert "good;" in host.live() and host.link.is_symlink()


def test_a_drop_in_that_fits_a_new_version_no_more_is_left_out(host: Host) -> None:
    host.drop_in("good;\n")
    host.apply()
    host.refuses = lambda text: "nginx.d/*.conf" in text or "sites/example/nginx.conf;" in text
    applied = host.apply()
    assert applied.refused and "do not fit any more" in applied.refused
    assert host.live() == ""


def test_a_server_block_that_fails_alone_is_the_packages_fault(host: Host) -> None:
    host.refuses = lambda text: text != ""
    with pytest.raises(vhost.VirtualHostFault, match="refused in"):
        host.apply()
    assert not host.link.is_symlink()


def test_what_was_broken_before_is_not_the_sites_fault(host: Host) -> None:
    host.refuses = lambda text: text == ""
    applied = host.apply()
    (words,) = applied.words
    assert words.startswith("nginx's configuration was broken before: refused")
    assert words.endswith("; mend that, then: fpmjail reload") and applied.refused is None


def test_drop_ins_that_wait_for_others_to_mend_their_mistake_are_applied_at_the_reload_after_it(host: Host) -> None:
    host.drop_in("# before;\n")
    host.apply()
    host.drop_in("# now;\n")
    host.refuses = lambda text: text == ""
    applied = host.apply()
    assert applied.refused == applied.words[0] and "# before;" in host.live()
    state.write(host.layout, "example", state.State(version="1", web_refused=applied.refused))
    host.layout.lock_file.parent.mkdir(parents=True)
    assert nginx.settle(host.layout, [host.site]) == () and "# before;" in host.live(), "the reload says why"
    host.refuses = lambda text: False
    assert nginx.settle(host.layout, [host.site]) == () and "# now;" in host.live()
    known = state.read(host.layout, "example")
    parts = dropin.read(nginx.dropin_directory(host.layout, host.site))
    assert known and (known.web_refused, known.web_dropins) == (None, dropin.fingerprint(parts))
    host.tested.clear()
    assert nginx.settle(host.layout, [host.site]) == () and host.tested == []


def test_a_new_site_that_was_kept_back_is_linked_with_its_drop_ins_unless_they_are_bad(host: Host) -> None:
    host.drop_in("bad;\n")
    host.refuses = lambda text: text == ""
    state.write(host.layout, "example", state.State(version="1", web_refused=host.apply().refused))
    host.layout.lock_file.parent.mkdir(parents=True)
    host.refuses = lambda text: "nginx.d/*.conf" in text
    (words,) = nginx.settle(host.layout, [host.site])
    assert words.startswith("example: drop-in not applied: refused in ") and host.link.is_symlink()
    assert nginx.settle(host.layout, [host.site]) == ()


def test_a_site_that_fails_by_itself_after_it_was_kept_back_is_named(host: Host) -> None:
    host.drop_in("fine;\n")
    host.refuses = lambda text: text == ""
    state.write(host.layout, "example", state.State(version="1", web_refused=host.apply().refused))
    host.layout.lock_file.parent.mkdir(parents=True)
    host.refuses = lambda text: text != ""
    (words,) = nginx.settle(host.layout, [host.site])
    assert words.startswith("example: its virtual host stays as it was: refused in ") and not host.link.is_symlink()


def test_a_link_that_an_admin_removed_is_not_made_again_unless_we_removed_it(host: Host) -> None:
    host.apply()
    host.link.unlink()
    assert "an administrator removed its link: ln -s" in host.apply().words[0]
    assert nginx.disable(host.layout, host.site) is None and not nginx.enabled(host.site)
    assert "an administrator removed its link" in host.apply().words[0]
    host.link.symlink_to("../sites-available/site-example-jail")
    assert host.apply().words == ()
    nginx.disable(host.layout, host.site)
    assert host.apply().words == () and host.link.is_symlink()


def test_a_file_that_an_admin_put_in_place_of_the_link_stays(host: Host) -> None:
    put(nginx.CONFIGURATION, "sites-enabled/site-example-jail", "# mine\n")
    assert "it stays" in str(nginx.disable(host.layout, host.site))
    assert host.link.read_text() == "# mine\n"


def test_a_site_that_is_switched_off_is_not_settled(host: Host) -> None:
    state.set_disabled(host.layout, "example", True)
    nginx.settle(host.layout, [host.site])
    assert host.apply(on=False) == vhost.Applied()
    assert not nginx.enabled(host.site)


def test_a_main_configuration_without_the_sites_is_named(host: Host) -> None:
    put(nginx.CONFIGURATION, "nginx.conf", "http {\n# include /etc/nginx/sites-enabled/*;\n}\n")
    assert host.apply().words == (nginx.UNREAD,)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("nginx: [emerg] no x in /a:3\nnginx: configuration file /a test failed", "no x in /a:3"),
        ("2026/11/23 17:05:40 [emerg] 7#7: bind() failed\nnginx: test failed", "bind() failed"),
        ("nginx: [warn] conflicting server name\nnginx: [emerg] a", "a"),
        ("", "nginx -t failed and said nothing"),
    ],
)
def test_a_complaint_is_what_nginx_says_without_its_frame(words: str, meant: str) -> None:
    assert nginx.complaint(words) == meant


def test_a_site_that_comes_from_the_other_web_server_leaves_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []
    monkeypatch.setattr(apache, "enabled", lambda site: True)
    monkeypatch.setattr(apache, "disable", lambda layout, site: left.append(site.name))
    monkeypatch.setattr(systemd, "active", lambda unit: False)
    results = web.apply_all(host.layout, [(host.site, True)])
    assert results == {"example": vhost.Applied()} and left == ["example"] and host.link.is_symlink()


def test_only_web_servers_with_sites_are_reloaded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    reloaded: list[str] = []
    monkeypatch.setattr(nginx, "reload", lambda: reloaded.append("nginx"))
    monkeypatch.setattr(apache, "reload", lambda: reloaded.append("apache"))
    assert web.reload_all(host.layout, [host.site]) == ((), None)
    assert reloaded == ["nginx"]


def test_every_web_server_of_the_format_has_its_module(host: Host) -> None:
    assert web.server(host.site).NAME == "nginx"
    assert web.server(SITE).NAME == "Apache"


def test_the_mark_survives_what_forgets_the_state(host: Host) -> None:
    host.apply()
    host.configured()
    host.link.unlink()
    state.forget(host.layout, "example")
    assert "an administrator removed its link" in host.apply().words[0]
