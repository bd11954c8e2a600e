# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual host, answered by a real Apache; PHP-FPM reads the real pool, but runs outside of a jail here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fpmjail_deb.deb import build_package
from fpmjail_deb.site import Site
from tests.lifecycle.container import Container
from tests.package.parsers import SEEN_AS, RealParsers
from tests.sites import planned, shop

MORE = r"""
aliases: ["*.example.net"]
version: VERSION
writable: [up/load]
php: {env: {APP: "$x y"}, settings: {memory_limit: 111M}}
web:
  htaccess: HTACCESS
  headers: {X-Frame-Options: DENY, X-Odd: 'a"b\n%t; ''c'''}
"""
ROOT = "/var/www/shop/htdocs"
FILES = {
    "index.php": "<?php echo 'front ', $_SERVER['REQUEST_URI'], ' ', ini_get('memory_limit');",
    "a.php": "<?php echo 'a ', __FILE__, ' ', $_SERVER['PATH_INFO'] ?? '-', ' ', $_SERVER['SCRIPT_FILENAME'];",
    "env.php": "<?php echo getenv('APP'), '|', $_SERVER['HTTP_AUTHORIZATION'], '|', $_SERVER['HTTP_PROXY'] ?? '';",
    "own.php": "<?php header('X-Frame-Options: SAMEORIGIN'); http_response_code(404); echo 'own page';",
    "s.html": "static",
    "x.PHP": "<?php echo 'source';",
    "x.phtml": "<?php echo 'source';",
    "x.php5": "<?php echo 'source';",
    "x.phar": "<?php echo 'source';",
    ".user.ini": "hidden",
    ".htpasswd": "hidden",
    ".git/config": "hidden",
    "sub/.svn/entries": "hidden",
    "index.php.bak": "hidden",
    "index.php~": "hidden",
    "up/load/pic.jpg": "picture",
    "up/load/x.php": "<?php echo 'RUN';",
    "up/load/x.PHP": "<?php echo 'RUN';",
    "up/load/x.phtml": "<?php echo 'RUN';",
    ".well-known/security.txt": "contact",
    ".well-known/acme-challenge/token": "proof",
    ".well-known/acme-challenge/x.php": "<?php echo 'RUN';",
}
ANSWERS = {
    "/": (200, "front / 111M"),
    "/pretty/link?q=1": (200, "front /pretty/link?q=1 111M"),
    "/missing.php": (200, "front /missing.php 111M"),
    "/.well-known/other": (200, "front /.well-known/other 111M"),
    "/sub/": (200, "front /sub/ 111M"),
    "/a.php": (200, f"a {ROOT}/a.php - {ROOT}/a.php"),
    "/a.php/path/info": (200, f"a {ROOT}/a.php /path/info {ROOT}/a.php"),
    "/same.php": (200, f"a {ROOT}/a.php - {ROOT}/same.php"),
    "/s.html": (200, "static"),
    "/s.html/more": (404, ""),
    "/own.php": (404, "own page"),
    "/x.PHP": (403, ""),
    "/x.phtml": (403, ""),
    "/x.php5": (403, ""),
    "/x.phar": (403, ""),
    "/.user.ini": (403, ""),
    "/.htpasswd": (403, ""),
    "/.git/config": (403, ""),
    "/.git/missing": (403, ""),
    "/sub/.svn/entries": (403, ""),
    "/index.php.bak": (403, ""),
    "/index.php~": (403, ""),
    "/foreign.txt": (403, ""),
    "/up/load/pic.jpg": (200, "picture"),
    "/up/load/x.php": (403, ""),
    "/up/load/x.php/info": (403, ""),
    "/up/load/x.PHP": (403, ""),
    "/up/load/x.phtml": (403, ""),
    "/up/load/missing": (404, ""),
    "/.well-known/security.txt": (200, "contact"),
    "/.well-known/acme-challenge/token": (200, "proof"),
    "/.well-known/acme-challenge/x.php": (403, ""),
    "/.well-known/acme-challenge/missing": (404, ""),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What curl got."""

    status: int
    headers: str
    body: str


@dataclass(frozen=True, slots=True)
class Web:
    """A server with the site's virtual host."""

    parsers: RealParsers

    @property
    def server(self) -> Container:
        return self.parsers.server

    def install(self, site: Site) -> None:
        """Unpack the site's package and let Apache read it."""
        package = build_package(planned(site, self.server.release), self.parsers.exchange)
        self.server.shell(
            f"dpkg-deb -x {SEEN_AS}/{package.name} /; a2enmod -q {' '.join(MODULES)}; a2ensite -q site-shop-jail"
        )
        self.reload()

    def reload(self) -> None:
        """Let Apache take up what was changed; its old workers are gone then."""
        self.server.shell("systemctl reset-failed apache2; systemctl restart apache2")

    def get(self, path: str, *options: str, host: str = "shop.example.org", scheme: str = "http") -> Answer:
        """Ask the server as a browser would."""
        ports = [f"{host}:{port}:127.0.0.1" for port in (80, 443)]
        resolve = [word for port in ports for word in ("--resolve", port)]
        command = ["curl", "-sk", "--path-as-is", "--include", *resolve, *options, f"{scheme}://{host}{path}"]
        headers, _, body = self.server.run(*command).stdout.replace("\r\n", "\n").partition("\n\n")
        return Answer(int(headers.split()[1]), headers, body)

    def write(self, name: str, text: str) -> None:
        """Put a file of the site's user into the document root."""
        self.server.write(f"{ROOT}/{name}", text)
        self.server.run("chown", "-R", "_site-shop:", ROOT)

    def remove(self, name: str) -> None:
        self.server.run("rm", f"{ROOT}/{name}")


MODULES = ("proxy_fcgi", "headers", "rewrite", "alias", "dir")


def described(htaccess: str) -> Site:
    return shop(MORE.replace("HTACCESS", htaccess).replace("VERSION", f"1.0+{htaccess}").lstrip("\n"))


@pytest.fixture(scope="module")
def web(real_parsers: RealParsers) -> Iterator[Web]:
    server, web = real_parsers.server, Web(real_parsers)
    server.shell("useradd --system _site-other; mkdir -p /run/fpmjail /var/lib/php/sessions /var/www/other")
    web.install(described("safe"))
    server.shell(
        "systemd-sysusers site-shop-jail.conf; systemd-tmpfiles --create site-shop-jail.conf; chmod 777 /run/fpmjail"
    )
    pool = f"exec php-fpm{server.php} -F -O -y /usr/share/fpmjail/sites/shop/pool.conf"
    server.write("/run/pool.sh", f"export FPMJAIL_ENV_APP='$x y'\n{pool}\n")
    server.write("/etc/secret", "CANARY\n")
    for name, text in FILES.items():
        server.write(f"{ROOT}/{name}", text)
    server.shell(
        "echo secret >/var/www/other/file; chown -R _site-other /var/www/other; "
        f"ln -s /var/www/other/file {ROOT}/foreign.txt; ln -s a.php {ROOT}/same.php; chown -hR _site-shop: {ROOT}; "
        "systemd-run -q --unit=pool -p User=_site-shop sh /run/pool.sh; "
        "until [ -S /run/fpmjail/shop.sock ]; do sleep 0.1; done; chmod 777 /run/fpmjail/shop.sock"
    )
    yield web


@pytest.mark.parametrize("path", ANSWERS)
def test_the_site_answers(web: Web, path: str) -> None:
    status, body = ANSWERS[path]
    answer = web.get(path)
    assert answer.status == status, answer
    assert answer.body == body or (not body and "<?php" not in answer.body and "RUN" not in answer.body), answer


def test_every_name_of_the_site_is_served(web: Web) -> None:
    assert web.get("/s.html", host="any.example.net").body == "static"


def test_workers_get_their_environment_and_no_proxy_from_outside(web: Web) -> None:
    answer = web.get("/env.php", "-H", "Proxy: evil", "-H", "Authorization: Basic Zm9vOmJhcg==")
    assert answer.body == "$x y|Basic Zm9vOmJhcg==|"


def test_headers_are_sent_once_and_as_written(web: Web) -> None:
    for path in ("/", "/s.html", "/.git/config"):
        headers = web.get(path).headers.splitlines()
        assert headers.count("X-Frame-Options: DENY") == 1
        assert "X-Odd: a\"b\\n%t; 'c'" in headers


def test_the_sites_own_header_wins(web: Web) -> None:
    headers = [line for line in web.get("/own.php").headers.splitlines() if line.startswith("X-Frame-Options")]
    assert headers == ["X-Frame-Options: SAMEORIGIN"]


def test_a_missing_front_controller_is_a_plain_404(web: Web) -> None:
    web.server.run("mv", f"{ROOT}/index.php", f"{ROOT}/away.txt")
    try:
        assert web.get("/pretty").status == 404
        assert web.get("/").status in (403, 404)
    finally:
        web.server.run("mv", f"{ROOT}/away.txt", f"{ROOT}/index.php")


@pytest.mark.parametrize(
    "text",
    [
        'SetHandler "proxy:unix:/run/php/php.sock|fcgi://localhost"\n',
        "AddHandler cgi-script .html\nOptions +ExecCGI +FollowSymLinks\n",
        "AddType application/x-httpd-php .html\n",
        "RewriteEngine On\nRewriteRule ^ /etc/passwd\n",
        'SetEnv PHP_ADMIN_VALUE "memory_limit=1M"\n',
        "<IfModule mod_rewrite.c>\nRewriteEngine On\nRewriteRule . /x [L]\n</IfModule>\n",
    ],
)
def test_a_safe_htaccess_changes_no_handler(web: Web, text: str) -> None:
    web.write(".htaccess", text)
    try:
        assert web.get("/s.html").body == "static"
        assert web.get("/a.php").body == ANSWERS["/a.php"][1]
        assert web.get("/").body == "front / 111M"
        assert web.get("/foreign.txt").status == 403
    finally:
        web.remove(".htaccess")


@pytest.mark.parametrize(
    "text",
    [
        'Header set X-Stolen "expr=%{file:/etc/secret}"\n',
        "Header set X-Stolen yes \"expr=file('/etc/secret') =~ /./\"\n",
        'ErrorDocument 404 "%{file:/etc/secret}"\n',
        "<If \"file('/etc/secret') =~ /./\">\nHeader set X-Stolen yes\n</If>\n",
        '<If "true">\nRedirect 302 "http://x/%{file:/etc/secret}"\n</If>\n',
        "Require expr \"file('/etc/secret') =~ /./\"\n",
    ],
)
def test_a_safe_htaccess_reads_no_file_of_the_server(web: Web, text: str) -> None:
    web.write(".htaccess", text)
    try:
        for path in ("/s.html", "/up/load/missing"):
            answer = web.get(path)
            assert "X-Stolen" not in answer.headers and "CANARY" not in answer.body and answer.status == 500
    finally:
        web.remove(".htaccess")


def test_a_safe_htaccess_does_what_sites_need(web: Web) -> None:
    web.write(
        ".htaccess", 'Redirect 302 /old http://new.example.org/\nHeader set X-Mine yes\nErrorDocument 404 "gone"\n'
    )
    try:
        assert web.get("/old").status == 302
        assert "X-Mine: yes" in web.get("/s.html").headers
        assert web.get("/up/load/missing").body == "gone"
        web.write(".htaccess", "Require all denied\n")
        assert [web.get(path).status for path in ("/", "/a.php", "/s.html", "/pretty")] == [403] * 4
        assert web.get("/.well-known/acme-challenge/token").body == "proof"
    finally:
        web.remove(".htaccess")


def test_no_htaccess_makes_php_run_among_uploads(web: Web) -> None:
    grant = "Require all granted\nOrder allow,deny\nAllow from all\nSatisfy Any\n"
    web.write(
        ".htaccess",
        f'{grant}<If "true">\n{grant}</If>\n<FilesMatch .>\n{grant}<If "true">\n{grant}</If>\n</FilesMatch>\n',
    )
    try:
        for path in ("/up/load/x.php", "/up/load/x.phtml", "/.well-known/acme-challenge/x.php"):
            assert web.get(path).status == 403, path
    finally:
        web.remove(".htaccess")


def test_other_virtual_hosts_and_handlers_are_no_way_around(web: Web) -> None:
    web.server.write(
        "/etc/apache2/sites-enabled/other.conf",
        "<VirtualHost *:80>\nServerName other\nDocumentRoot /var/www\nAddHandler application/x-httpd-php .html\n"
        'SetEnv PHP_ADMIN_VALUE "memory_limit=1M"\nOptions FollowSymLinks\n</VirtualHost>\n',
    )
    web.server.write(
        "/etc/apache2/conf-enabled/php-fpm.conf",
        '<FilesMatch ".+\\.ph(?:ar|p|tml)$">\nSetHandler "proxy:unix:/run/php/none.sock|fcgi://localhost"\n</FilesMatch>\n',
    )
    web.reload()
    try:
        seen = {path: web.get(f"/shop/htdocs{path}", host="other") for path in ("/a.php", "/s.html", "/foreign.txt")}
        assert seen["/a.php"].body.startswith(f"a {ROOT}/a.php")
        assert seen["/s.html"].body == "static"
        assert seen["/foreign.txt"].status == 403
        for path in ("/up/load/x.php", "/x.phar", "/.git/config", "/../index.php"):
            assert web.get(f"/shop/htdocs{path}", host="other").status == 403, path
        assert web.get("/a.php").body == ANSWERS["/a.php"][1]
        assert web.get("/missing.php").body == "front /missing.php 111M"
        assert web.get("/").body == "front / 111M"
    finally:
        web.server.run("rm", "/etc/apache2/sites-enabled/other.conf", "/etc/apache2/conf-enabled/php-fpm.conf")
        web.reload()


def test_without_its_modules_apache_starts_and_shows_no_source(web: Web) -> None:
    web.server.shell("a2dismod -q -f proxy_fcgi proxy headers rewrite")
    web.reload()
    try:
        assert web.get("/a.php").status == 403
        assert web.get("/").status == 403
        assert web.get("/s.html").body == "static"
    finally:
        web.server.shell(f"a2enmod -q {' '.join(MODULES)}")
        web.reload()


def test_https_begins_with_the_certificate(web: Web) -> None:
    directory = "/etc/letsencrypt/live/shop.example.org"
    web.server.shell(
        f"a2enmod -q ssl; mkdir -p {directory}; openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=shop.example.org "
        f"-keyout {directory}/privkey.pem -out /tmp/fullchain.pem 2>/dev/null"
    )
    web.reload()
    assert web.get("/s.html").body == "static"
    web.server.run("mv", "/tmp/fullchain.pem", directory)
    web.reload()
    try:
        for path in ("/s.html?a=b&c=%20d", "/caf%C3%A9", "/a%0d%0aX-Split:yes"):
            answer = web.get(path)
            assert answer.status == 301 and "\nX-Split" not in answer.headers
            assert f"Location: https://shop.example.org{path}" in answer.headers.replace("%c3%a9", "%C3%A9")
        assert "Location: https://any.example.net/x" in web.get("/x", host="any.example.net").headers
        assert web.get("/.well-known/acme-challenge/token").body == "proof"
        assert web.get("/.well-known/acme-challenge/x.php").status == 403
        assert web.get("/.well-known/acme-challenge/../../a.php").status == 301
        assert web.get("/a.php", scheme="https").body == ANSWERS["/a.php"][1]
        assert web.get("/pretty", scheme="https").body == "front /pretty 111M"
    finally:
        web.server.shell("rm -r /etc/letsencrypt; a2dismod -q ssl")
        web.reload()


def test_all_of_htaccess_still_follows_no_foreign_link(web: Web) -> None:
    web.install(described("all"))
    try:
        web.write(".htaccess", "RewriteEngine On\nRewriteRule ^rewritten /a.php\n")
        assert web.get("/rewritten").body.startswith("a ")
        assert web.get("/up/load/x.php").status == 403
        for option in ("Options +FollowSymLinks\n", "Options All\n"):
            web.write(".htaccess", option)
            assert web.get("/foreign.txt").status == 500
        web.remove(".htaccess")
        assert web.get("/foreign.txt").status == 403
    finally:
        web.install(described("safe"))


def test_without_htaccess_the_file_is_not_even_read(web: Web) -> None:
    web.install(described("none"))
    try:
        web.write(".htaccess", "no directive of Apache's\n")
        assert web.get("/s.html").body == "static"
    finally:
        web.remove(".htaccess")
        web.install(described("safe"))


def test_the_admins_proven_directives_are_part_of_the_virtual_host(web: Web) -> None:
    web.server.write("/var/lib/fpmjail/sites/shop/apache.conf", "Redirect 410 /admins-own\n")
    web.reload()
    try:
        assert web.get("/admins-own").status == 410
    finally:
        web.server.run("rm", "/var/lib/fpmjail/sites/shop/apache.conf")
        web.reload()
