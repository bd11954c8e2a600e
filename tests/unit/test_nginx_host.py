# SPDX-License-Identifier: GPL-2.0-or-later
"""What a site behind nginx is made of, and what its description may not say."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail_deb import render
from fpmjail_deb.contents import PackagePlan, Symlink
from fpmjail_deb.errors import BuildError, DescriptionError
from fpmjail_deb.nginx_host import body_size, nginx_values
from fpmjail_deb.site import Site
from tests.sites import planned, setting_lines, shop, text

LINE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "))


def site(more: str = "", web: str = "") -> Site:
    return shop(f"web: {{server: nginx{web}}}\n{more}")


def block(more: str = "", web: str = "") -> list[str]:
    return setting_lines(text(planned(site(more, web)), "/nginx.conf"))


def shipped(package: PackagePlan) -> list[str]:
    return [path for entry in package.entries if "nginx" in (path := entry.path)]


def words(token: str) -> str:
    """A quoted argument as ngx_conf_read_token() takes it."""
    if not token.startswith('"'):
        return token
    return re.sub(r'\\(["\'\\])', r"\1", token[1:-1])


def test_a_package_for_nginx_has_its_server_block_and_nothing_of_apache() -> None:
    package = planned(site())
    assert not any("apache" in entry.path for entry in package.entries)
    share = "usr/share/fpmjail/sites/shop"
    assert [path for path in shipped(package) if path.startswith(share)] == [
        f"{share}/nginx-ipv6.conf", f"{share}/nginx-tls-ipv6.conf", f"{share}/nginx-tls.conf", f"{share}/nginx.conf",
    ]  # fmt: skip
    links = {entry.path: entry.target for entry in package.entries if isinstance(entry, Symlink)}
    assert links["etc/nginx/sites-available/site-shop-jail"] == f"/{share}/nginx.conf"
    assert dict(package.control)["Depends"].endswith(", nginx")


def test_a_site_without_tls_ships_nothing_for_it() -> None:
    package = planned(site(web=", tls: none"))
    assert not any("tls" in path for path in shipped(package))


def test_the_runtime_is_told_which_server_it_is() -> None:
    read = json.loads(text(planned(site()), "/site.json"))
    assert read["paths"]["vhost"] == "/usr/share/fpmjail/sites/shop/nginx.conf"
    web = read["web"]
    assert (web["server"], web["modules"], web["htaccess"]) == ("nginx", [], "none")


def test_the_body_may_be_as_large_as_php_takes_it() -> None:
    assert "client_max_body_size 8m;" in block()
    assert "client_max_body_size 64m;" in block("php: {settings: {post_max_size: 64M}}\n")
    assert [body_size(size) for size in ("0", "2G", "1024", " 5 k ")] == ["0", "2g", "1024", "5k"]
    assert [body_size(size) for size in ("", "M", "-1", "0x10", "1.5G", "64MB", "1;")] == [None] * 7


def test_php_gets_more_time_than_fpm_gives_it() -> None:
    assert "fastcgi_read_timeout 45s;" in block("php: {pool: {request_timeout: 30s}}\n")


def test_the_front_controller_is_where_try_files_ends() -> None:
    assert "try_files $uri $uri/ /app/main.php$is_args$args;" in block(web=", front_controller: app/main.php")
    assert "try_files $uri $uri/ =404;" in block(web=", front_controller: none")


def test_php_never_runs_where_visitors_write_however_the_path_is_spelled() -> None:
    lines = block("writable: [up/load, a.b]\n")
    for directory in (r"^/+up/+load(?:/|$)", r"^/+a\\.b(?:/|$)"):
        assert lines.index(f'location ~ "{directory}" {{') < lines.index(r'location ~ "\.php(?:/|$)" {')


def test_headers_yield_to_those_that_php_sends() -> None:
    lines = block(web=", headers: {X-Frame-Options: SAMEORIGIN}")
    assert "map $upstream_http_x_frame_options $fpmjail_shop_header_0 {" in lines
    assert "add_header X-Frame-Options $fpmjail_shop_header_0 always;" in lines


def test_a_site_that_logs_no_requests_says_so() -> None:
    assert "access_log off;" in block(web=", access_log: false")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("web: {server: nginx, htaccess: none}\n", "web.htaccess: nginx reads no .htaccess files"),
        ("web: {server: nginx, htaccess: all}\n", "web.htaccess: nginx reads no .htaccess files"),
        ("web: {server: nginx, headers: {X-A: a$b}}\n", 'web.headers.X-A: nginx puts a variable in place of a "$"'),
        ("web: {server: nginx, headers: {content-type: a}}\n", "nginx would send it a second time"),
        ("web: {server: nginx}\nphp: {settings: {post_max_size: lots}}\n", "a size that nginx can follow"),
    ],
)
def test_what_has_no_meaning_with_nginx_is_refused_with_its_line(more: str, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        shop(more)
    (problem,) = caught.value.problems
    assert problem.location.line in (4, 5)
    assert message in f"{problem.key_path}: {problem.message}"


def test_the_same_is_fine_with_apache_or_as_the_default() -> None:
    apache = shop("web: {headers: {X-A: a$b}}\nphp: {settings: {post_max_size: lots}}\n")
    assert apache.web.headers == (("X-A", "a$b"),) and ("post_max_size", "lots") in apache.php.settings
    assert site(web=", htaccess: safe").web.htaccess.value == "safe"


def test_a_size_that_slipped_through_is_refused_at_last() -> None:
    one = site()
    broken = replace(one, php=replace(one.php, settings=(("post_max_size", "1; root /"),)))
    with pytest.raises(BuildError, match="post_max_size"):
        nginx_values(broken, "/")


@given(LINE.filter(lambda line: "$" not in line))
def test_nginx_reads_back_every_argument(value: str) -> None:
    token = render.nginx(value)
    assert words(token) == value
    assert token.startswith('"') or re.fullmatch(r"[^\s;{}\"'\\#$]+", token)


def test_nginx_takes_no_variable() -> None:
    with pytest.raises(BuildError, match="variable"):
        render.nginx("a$b")


@given(LINE.filter(lambda line: line.strip("/") == line != "" and "//" not in line))
def test_a_path_in_an_expression_means_itself_and_any_number_of_slashes(value: str) -> None:
    pattern = words(f'"{render.nginx_path(value)}"')
    assert re.fullmatch(pattern, value) and re.fullmatch(pattern, value.replace("/", "///"))
    assert not re.fullmatch(pattern, f"{value}x")
