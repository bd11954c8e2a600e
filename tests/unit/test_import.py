# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server has already becomes a description: pools and virtual hosts in the manner of panels, and any bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpmjail_deb.description import read_site
from fpmjail_deb.errors import DescriptionError, UsageError
from fpmjail_deb.importing.existing import Imported, Wanted, import_site
from fpmjail_deb.importing.pool import SEEN_TO as POOL_SEEN_TO
from fpmjail_deb.site import Htaccess, ProcessManager, ServerSocket, Site, WebServer

EXISTING = Path(__file__).parents[1] / "existing"
ANN = "Ann Other <ann@example.org>"
POOL = "[shop]\nuser = shop\nlisten = /run/php/shop.sock\npm = ondemand\npm.max_children = 5\n"
VHOST = (
    "<VirtualHost *:80>\nServerName shop.example.org\nDocumentRoot /srv/www/shop/htdocs\n"
    '<FilesMatch "\\.php$">\nSetHandler "proxy:unix:/run/php/shop.sock|fcgi://localhost"\n</FilesMatch>\n'
    "%s\n</VirtualHost>\n"
)
BLOCK = "server {\nlisten 80;\nserver_name shop.example.org;\nroot /srv/www/shop/htdocs;\n%s\n}\n"


def imported(*texts: str | Path, **options: str) -> Imported:
    """The result for some files, which are called a, b, ... if they are given as text."""
    files = {
        (text.name if isinstance(text, Path) else "abc"[number]): (
            text.read_bytes() if isinstance(text, Path) else text.encode()
        )
        for number, text in enumerate(texts)
    }
    return import_site(files, Wanted(ANN, **options))


def panel(name: str) -> Imported:
    """The result for the files in the manner of a panel."""
    return imported(*sorted(EXISTING.glob(f"{name}-*.conf")))


def site_of(result: Imported) -> Site:
    """The site that the description means."""
    return read_site(result.description.encode(), "site.yaml")


def site(*texts: str, **options: str) -> Site:
    return site_of(imported(*texts, **options))


def test_a_pool_alone_is_a_site_whose_host_names_are_to_be_written() -> None:
    found = imported(POOL)
    assert site_of(found).domains == ("shop.example.org",)
    assert "write the site's names" in found.description


def test_the_pool_of_an_ispconfig_site_is_taken_over() -> None:
    found = site_of(panel("ispconfig"))
    pool = found.php.pool
    assert (pool.process_manager, pool.max_children, pool.start_servers) == (ProcessManager.DYNAMIC, 10, 2)
    assert (pool.max_requests, pool.slow_log, pool.request_timeout) == (0, 0, 300)
    assert dict(found.php.settings)["auto_prepend_file"] == "/var/www/shop/private/prepend.php"
    assert dict(found.php.env)["TMP"] == "/var/www/shop/tmp"
    assert found.jail.mail and found.jail.mail.sender == "webmaster@shop.example.org"


def test_the_virtual_host_of_an_ispconfig_site_is_taken_over() -> None:
    result = panel("ispconfig")
    found = site_of(result)
    assert found.domains == ("shop.example.org", "www.shop.example.org")
    assert (found.web.document_root, found.web.htaccess, found.web.tls) == ("web", Htaccess.SAFE, None)
    assert found.web.headers == (("X-Frame-Options", "SAMEORIGIN"),)
    assert 'AuthName "Members only"' in result.drop_in
    assert "AuthUserFile /var/www/shop/private/.htpasswd" in result.drop_in
    assert "RewriteCond %{HTTP_HOST} ^www" in result.drop_in
    assert "ispconfig-extra.conf: not followed" in unwrapped(result)
    assert "ExecCGI" not in result.description and "SetHandler" not in result.drop_in


def test_both_virtual_hosts_of_a_virtualmin_site_are_one_site() -> None:
    result = panel("virtualmin")
    found = site_of(result)
    assert found.domains[-1] == "*.dev.shop.example.org"
    assert found.web.tls and found.web.tls.redirect
    assert found.web.tls.certificate == "/etc/ssl/virtualmin/16912345678/ssl.cert"
    assert found.writable == ("uploads",) and found.jail.mysql is ServerSocket.SOCKET
    assert (found.php.pool.request_timeout, found.php.pool.slow_log) == (120, 5)
    assert "a jail runs no CGI programs" in unwrapped(result)
    assert "RedirectMatch" not in result.drop_in


def test_a_froxlor_site_behind_nginx_is_taken_over() -> None:
    result = panel("froxlor")
    found = site_of(result)
    assert (found.web.server, found.web.front_controller) == (WebServer.NGINX, "index.php")
    assert found.web.document_root == "htdocs" and found.writable == ("uploads", "files")
    assert found.web.tls and found.web.tls.key == "/etc/ssl/froxlor-custom/shop.example.org.key"
    chosen = dict(found.php.settings)
    assert (chosen["post_max_size"], chosen["max_input_vars"], chosen["allow_url_fopen"]) == ("20M", "3000", "0")
    assert dict(found.php.env) == {"APP_ENV": "production", "APP_MODE": "live"}
    assert found.jail.redis is ServerSocket.SOCKET and found.php.limits.tasks > 200
    assert 'auth_basic "Restricted \\"Area\\"";' in result.drop_in
    assert "proxy_pass" in result.description and "proxy_pass" not in result.drop_in


@pytest.mark.parametrize("file", sorted(EXISTING.glob("*-pool.conf")), ids=lambda file: file.stem)
def test_every_line_of_a_panels_pool_is_a_key_or_a_remark_or_what_the_package_makes(file: Path) -> None:
    described = unwrapped(imported(file))
    lost = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        key = line.partition("=")[0].strip()
        if key and key[0] not in ";[" and key not in POOL_SEEN_TO and f"{file.name}:{number}" not in described:
            lost.append(line)
    assert lost in ([], ['security.limit_extensions = ".php"']), described


def test_what_a_panels_virtual_host_has_for_other_programs_is_named() -> None:
    told = unwrapped(panel("ispconfig"))
    for words in (
        "RemoteIPProxyProtocol On: ", "SSLHonorCipherOrder on: ", "Alias /error/ ", "Options +Includes: ", "DavLockDB ",
        "AddOutputFilter INCLUDES .shtml", 'FilesMatch "\\.(cgi|pl)$"> SetHandler cgi-script: not kept',
    ):  # fmt: skip
        assert words in told


@pytest.mark.parametrize(
    ("lines", "remarks"),
    [
        ("AddHandler cgi-script .cgi .pl", 1),
        ('<FilesMatch "\\.sh$">\nSetHandler cgi-script\n</FilesMatch>', 1),
        ("<Location /server-status>\nSetHandler server-status\n</Location>", 1),
        ("AddHandler application/x-httpd-php .php", 0),
        ("AddHandler fcgid-script .php", 0),
        ("<FilesMatch x>\nSetHandler None\n</FilesMatch>", 0),
    ],
)
def test_a_handler_that_is_not_phps_is_named(lines: str, remarks: int) -> None:
    assert imported(VHOST % lines).remarks - imported(VHOST % "").remarks == remarks


def test_a_directory_for_temporary_files_that_the_jail_does_not_have_is_left_out() -> None:
    variables = "env[TMP] = /var/tmp/shop/\nenv[TEMP] = /tmp\nenv[TMPDIR] = /srv/www/shop/tmp\n"
    result = imported(POOL + variables, VHOST % "")
    assert dict(site_of(result).php.env) == {"TEMP": "/tmp", "TMPDIR": "/var/www/shop/tmp"}
    assert "env[TMP] = /var/tmp/shop/: the jail has a /tmp of its own" in unwrapped(result)


def test_a_secret_in_the_pool_reaches_no_package() -> None:
    result = panel("froxlor")
    assert "hunter2" not in result.description + result.drop_in
    assert "env[DB_PASSWORD]" in result.description


def test_debians_own_pool_is_taken_over() -> None:
    www = (
        "; Start a new pool named 'www'.\n[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.4-fpm.sock\n"
        "listen.owner = www-data\nlisten.group = www-data\npm = dynamic\npm.max_children = 5\npm.start_servers = 2\n"
        "pm.min_spare_servers = 1\npm.max_spare_servers = 3\n;php_admin_value[memory_limit] = 32M\n"
    )
    found = site(www)
    assert found.name == "www" and found.php.pool.max_children == 5 and found.php.pool.start_servers == 2


def test_every_value_says_where_it_comes_from_and_every_remark_where_it_stood() -> None:
    text = panel("ispconfig").description
    assert "max_children: 10  # ispconfig-pool.conf:12" in text
    assert re.search(r"^# ispconfig-vhost.conf:40: ErrorDocument 404 /missing.html", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^ index.php [L]", "index.php"),
        ("RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . /app/front.php [L]", "app/front.php"),
        ("FallbackResource /front.php", "front.php"),
        ("FallbackResource disabled", None),
        ("RewriteEngine On\nRewriteRule ^x$ index.php [L]", None),
        ("", None),
    ],
)
def test_apaches_front_controller_is_found(lines: str, expected: str | None) -> None:
    assert site(VHOST % lines).web.front_controller == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("location / { try_files $uri $uri/ /index.php$is_args$args; }", "index.php"),
        ("location / { try_files $uri /app/front.php?$query_string; }", "app/front.php"),
        ("location / { try_files $uri $uri/ =404; }", None),
    ],
)
def test_nginxs_front_controller_is_found(lines: str, expected: str | None) -> None:
    assert site(BLOCK % lines).web.front_controller == expected


@pytest.mark.parametrize(
    "line",
    [
        "ProxyPass /x http://127.0.0.1:3000/", "RewriteRule ^/x http://127.0.0.1/ [P]",
        'RewriteRule ^/x - [H="proxy:unix:/run/other.sock|fcgi://x"]', "ScriptAlias /cgi-bin/ /srv/www/shop/cgi/",
        '<Location /x>\nSetHandler "proxy:unix:/run/other.sock|fcgi://x"\n</Location>',
        "<FilesMatch x>\nSetHandler cgi-script\nRequire all granted\n</FilesMatch>", "Action x /cgi", "Use Everything",
    ],
)  # fmt: skip
def test_nothing_that_runs_code_outside_of_the_jail_is_kept(line: str) -> None:
    kept = imported(VHOST % line).drop_in
    assert not re.search(r"proxy|cgi|SetHandler|\[P\]|Use ", kept, re.IGNORECASE), kept


def test_a_redirect_to_another_name_is_kept_and_one_to_https_is_the_key() -> None:
    both = VHOST.replace("*:80", "*:443") % "SSLCertificateFile /etc/x.pem" + (
        "<VirtualHost *:80>\nServerName shop.example.org\nRedirect permanent / https://shop.example.org/\n</VirtualHost>"
    )
    found = site(both)
    assert found.web.tls and found.web.tls.redirect and found.web.tls.certificate == "/etc/x.pem"
    assert "Redirect / https://other.example.org/" in imported(VHOST % "Redirect / https://other.example.org/").drop_in


def test_a_certificate_of_certbot_needs_no_key() -> None:
    live = "/etc/letsencrypt/live/shop.example.org"
    text = VHOST % f"SSLCertificateFile {live}/fullchain.pem\nSSLCertificateKeyFile {live}/privkey.pem"
    assert "certificate" not in imported(text.replace("*:80", "*:443")).description


def test_the_settings_of_mod_php_are_taken_over() -> None:
    found = site(VHOST % "php_admin_value memory_limit 99M\nphp_flag display_errors On\nSetEnv APP_ENV live")
    assert dict(found.php.settings) == {"memory_limit": "99M", "display_errors": "1"}
    assert dict(found.php.env) == {"APP_ENV": "live"}


def test_one_of_several_sites_is_chosen_by_its_host_name() -> None:
    two = VHOST % "" + (VHOST % "").replace("shop", "other")
    with pytest.raises(UsageError, match=r"other\.example\.org, shop\.example\.org"):
        imported(two)
    assert site(two, domain="other.example.org").domains == ("other.example.org",)


def test_one_of_several_pools_is_chosen_by_its_name() -> None:
    two = POOL + POOL.replace("[shop]", "[other]").replace("= 5", "= 6")
    with pytest.raises(UsageError, match="shop, other"):
        imported(two)
    assert site(two, pool="other").php.pool.max_children == 6


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[shop]\npm = static\nwhat is this\n", "a:3:1"),
        ('[shop]\nenv[A] = "open\n', "a:2:1"),
        ("<VirtualHost *:80>\nServerName x\n", "a:1:1"),
        ("<VirtualHost *:80>\n</Directory>\n</VirtualHost>\n", "a:2:1"),
        ('<VirtualHost *:80>\nServerName "x\n</VirtualHost>\n', "a:2:1"),
        ("server {\n listen 80;\n", "a:1:1"),
        ("server {\n listen 80\n}\n", "a:2:2"),
        ('server {\n server_name "x;\n}\n', "a:2:14"),
        ("hello\n", "a:1:1"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(DescriptionError) as raised:
        imported(text)
    assert str(raised.value).startswith(f"{place}: "), raised.value


def test_all_files_are_complained_about_at_once() -> None:
    with pytest.raises(DescriptionError) as raised:
        imported("[a]\n???\n", "<VirtualHost *:80>\n")
    assert {problem.location.file for problem in raised.value.problems} == {"a", "b"}


def test_the_hosts_that_certbot_writes_are_found_within_their_condition() -> None:
    found = site_of(panel("certbot"))
    assert (found.domains, found.aliases) == (("shop.example.org", "www.shop.example.org"), ())
    assert found.web.tls is not None and found.web.tls.redirect
    assert not re.search(r"^web:.*none", panel("certbot").description)


def test_files_without_a_virtual_host_that_counts_say_so() -> None:
    with pytest.raises(UsageError, match="found no virtual host"):
        imported("<IfModule mod_python.c>\n<VirtualHost *:80>\nServerName a.org\n</VirtualHost>\n</IfModule>\n")


def unwrapped(result: Imported) -> str:
    """The description with each remark on one line."""
    return re.sub(r"\n# (?=\S)", " ", result.description)


WORDS = st.sampled_from(
    [
        "[shop]", "pm = static", "pm.max_children = 999999", "env[A] = ", "php_value[x] = $pool", '"', "'", "\\",
        "{", "}", ";", "\n", " ", "<VirtualHost *:80>", "</VirtualHost>", "<Directory />", "</Directory>",
        "ServerName ", "*.", "example.org", "DocumentRoot ", "/srv/../x", "/srv/ö", "RewriteRule",
        "^ index.php", "RewriteCond", "Header set",
        "server {", "server_name .x.org;", "location / ", "try_files", "$uri", "fastcgi_param", "PHP_VALUE", "=",
        "\u2028",
        "listen 443 ssl;", "SSLEngine on", "SetEnv A", "Redirect /", "https://", "#", "AllowOverride All",
        "request_slowlog_timeout = 9d", "user = _apt", "php_admin_value[sendmail_path] = sendmail -f a@b",
        "root /;", "root /var/www/html;", "add_header A b;", "writable", "\x7f", "\t", "ssl_certificate x;",
    ]
)  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=6), max_size=40).map("".join)
STARTS = st.sampled_from([b"", POOL.encode(), (VHOST % "").encode(), (BLOCK % "").encode()])


def outcome(files: dict[str, bytes]) -> str:
    """The name of the site whose description is good, or what the program explains."""
    try:
        result = import_site(files, Wanted(ANN))
    except (DescriptionError, UsageError) as error:
        return str(error)
    return read_site(result.description.encode(), "site.yaml").name


@settings(max_examples=400, deadline=None)
@given(STARTS, TEXTS, st.integers(0, 300))
def test_whatever_is_put_into_a_file_the_result_is_good_or_an_explanation(start: bytes, text: str, place: int) -> None:
    assert outcome({"a": start[:place] + text.encode(errors="surrogatepass") + start[place:]})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), STARTS)
def test_any_bytes_are_a_description_or_an_explanation(data: bytes, start: bytes) -> None:
    assert outcome({"a": start + data})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(EXISTING.glob("*.conf"))), st.data())
def test_a_file_cut_anywhere_is_a_description_or_an_explanation(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, len(content)))
    assert outcome({"a": content[:begin] + content[end:]})
