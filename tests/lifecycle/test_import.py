# SPDX-License-Identifier: GPL-2.0-or-later
"""A site that ran by a pool and a virtual host made by hand is imported, built, installed, and answers as before."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lifecycle import trees
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Page, Server
from tests.lifecycle.test_nginx import eventually, values

HOST = "shop.example.org"
OLD, NEW = "/srv/www/shop", "/var/www/shop"
POOL = """\
; made by hand
[shop]
user = shop
group = shop
listen = /run/php/$pool.sock
listen.owner = www-data
listen.mode = 0600
pm = dynamic
pm.max_children = 4
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
request_slowlog_timeout = 5s
slowlog = /var/log/shop.slow
env[APP_ENV] = production
env[DATA] = /srv/www/shop/data
php_admin_value[open_basedir] = /srv/www/shop:/tmp
php_admin_value[memory_limit] = 96M
php_admin_value[date.timezone] = "Europe/Berlin"
php_value[max_input_vars] = 1234
php_admin_value[include_path] = ".:/srv/www/shop/lib"
php_admin_flag[display_errors] = on
"""
APACHE = """\
<VirtualHost *:80>
    ServerName shop.example.org
    ServerAlias www.shop.example.org \\
        shop.example.net
    DocumentRoot "/srv/www/shop/public"
    <Directory /srv/www/shop/public>
        Options FollowSymLinks
        AllowOverride None
        Require all granted
        DirectoryIndex index.php index.html
        RewriteEngine On
        RewriteCond %{REQUEST_FILENAME} !-f
        RewriteCond %{REQUEST_FILENAME} !-d
        RewriteRule ^ /index.php [L]
    </Directory>
    <Directory "/srv/www/shop/public/uploads">
        <FilesMatch "\\.php">
            Require all denied
        </FilesMatch>
    </Directory>
    <FilesMatch "\\.php$">
        SetHandler "proxy:unix:/run/php/shop.sock|fcgi://localhost"
    </FilesMatch>
    <Location "/private">
        AuthType Basic
        AuthName "Members"
        AuthUserFile /srv/www/shop/passwords
        Require valid-user
    </Location>
    Redirect 302 /old http://shop.example.org/static.txt
    ErrorDocument 403 "no, thank you"
    RewriteEngine On
    RewriteCond %{HTTP_HOST} ^www\\. [NC]
    RewriteRule ^/?(.*)$ http://shop.example.org/$1 [R=301,L]
    Header always set X-Frame-Options "SAMEORIGIN"
    SetEnv APP_MODE live
    CustomLog ${APACHE_LOG_DIR}/shop.log combined
</VirtualHost>
"""
NGINX = """\
server {
    listen 80;
    server_name shop.example.org www.shop.example.org;
    root /srv/www/shop/public;
    index index.php;
    add_header X-Frame-Options "SAMEORIGIN" always;
    client_max_body_size 16m;
    if ($host = www.shop.example.org) { return 301 http://shop.example.org$request_uri; }
    location / { try_files $uri $uri/ /index.php?$query_string; }
    location ~* ^/uploads/.*\\.php$ { deny all; }
    location = /old { return 302 http://shop.example.org/static.txt; }
    location ^~ /private/ {
        auth_basic "Members";
        auth_basic_user_file /srv/www/shop/passwords;
    }
    location ~ \\.php$ {
        include snippets/fastcgi-php.conf;
        fastcgi_param APP_MODE live;
        fastcgi_pass unix:/run/php/shop.sock;
    }
}
"""
SHOW = """<?php
$keys = ['REQUEST_URI', 'QUERY_STRING', 'SCRIPT_NAME', 'DOCUMENT_ROOT', 'SERVER_NAME', 'REQUEST_METHOD', 'HTTP_HOST'];
$limits = ['memory_limit', 'date.timezone', 'max_input_vars', 'display_errors', 'include_path'];
require 'part.php';
$server = array_intersect_key($_SERVER, array_flip($keys));
ksort($server);
echo json_encode(['file' => __FILE__, 'part' => $part, 'get' => $_GET, 'post' => $_POST,
    'server' => $server, 'ini' => array_map('ini_get', $limits),
    'env' => [getenv('APP_ENV'), getenv('DATA'), $_SERVER['APP_MODE'] ?? 'none'],
    'data' => file_get_contents(getenv('DATA') . '/written')]);
file_put_contents(getenv('DATA') . '/written', 'again');
"""
FILES = {
    "public/index.php": SHOW,
    "public/show.php": SHOW,
    "public/dir/index.php": SHOW,
    "public/own.php": "<?php http_response_code(410); header('X-Own: yes'); echo 'gone';",
    "public/static.txt": "0123456789\n",
    "public/uploads/x.php": "<?php echo 'run';",
    "public/uploads/x.txt": "uploaded\n",
    "public/private/a.txt": "members\n",
    "public/.htpasswd": "secret",
    "lib/part.php": "<?php $part = 'of ' . basename(__DIR__);",
    "data/written": "again",
}
REQUESTS: Mapping[str, tuple[str, ...]] = {
    "/": (),
    "/index.php?a=1": (),
    "/show.php?b=%C3%BC": (),
    "/dir/": (),
    "/permalink/2026/post?page=2": (),
    "/own.php": (),
    "/static.txt": (),
    "/uploads/x.txt": (),
    "/uploads/x.php": (),
    "/private/a.txt": (),
    "/private/a.txt?login": ("--user", "ann:secret"),
    "/private/a.txt?wrong": ("--user", "ann:wrong"),
    "/old": (),
    "/show.php?www": (),
    "/show.php?form": ("--data", "a=1&b=2"),
    "/static.txt?head": ("--head",),
}
HEADERS = ("location", "x-frame-options", "content-type", "www-authenticate", "x-own")
KINDS = {"apache": APACHE, "nginx": NGINX}


@dataclass(frozen=True, slots=True)
class Parity:
    """What both sites said, the descriptions and what the command said."""

    before: Mapping[str, Mapping[str, Page]]
    after: Mapping[str, Mapping[str, Page]]
    descriptions: Mapping[str, str]


@pytest.fixture(scope="module")
def parity(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parity]:
    """The same site, behind Apache and behind nginx, before and after."""
    bed.publish_own_packages()
    server = Server(bed, tmp_path_factory.mktemp("dist"))
    make_by_hand(server)
    before = {kind: answers(server, kind) for kind in KINDS}
    imported = {kind: import_site(server, kind) for kind in KINDS}
    server.shell("rm /etc/apache2/sites-enabled/shop.conf /etc/nginx/sites-enabled/shop")
    after = {kind: answers_of_the_package(server, kind, imported[kind]) for kind in KINDS}
    yield Parity(before, after, {kind: path.read_text() for kind, path in imported.items()})


def make_by_hand(server: Server) -> None:
    """The site as an administrator has made it: an account, files, a pool, a virtual host for either server."""
    server.shell(f"useradd --system --home-dir {OLD} shop; systemctl unmask nginx; mkdir -p /etc/nginx/sites-enabled")
    for name, text in FILES.items():
        server.shell(f"mkdir -p {OLD}/{name.rpartition('/')[0]}")
        server.write(f"{OLD}/{name}", text)
    server.shell(f"echo ann:$(openssl passwd -apr1 secret) >{OLD}/passwords; chown -R shop: {OLD}")
    server.write(f"/etc/php/{server.php}/fpm/pool.d/shop.conf", POOL)
    server.write("/etc/apache2/sites-available/shop.conf", APACHE)
    server.write("/etc/nginx/sites-enabled/shop", NGINX)
    server.shell("rm -f /etc/nginx/sites-enabled/default; a2enmod -q proxy_fcgi rewrite headers; a2ensite -q shop")
    server.run("systemctl", "restart", f"php{server.php}-fpm")


def answers(server: Server, kind: str) -> dict[str, Page]:
    """What the site says behind one of the servers."""
    listen(server, kind)
    asked = ("curl", "-s", "-f", "-H", f"Host: {HOST}", "http://127.0.0.1/static.txt")
    assert eventually(lambda: server.run(*asked, check=False).good)
    return {path: server.get(path, host(path), *options) for path, options in REQUESTS.items()}


def host(path: str) -> str:
    """The name that a request is for."""
    return f"www.{HOST}" if path.endswith("?www") else HOST


def listen(server: Server, kind: str) -> None:
    """Give the port to one of the servers."""
    other = "nginx" if kind == "apache" else "apache2"
    server.shell(f"systemctl stop {other}; systemctl restart {'apache2' if kind == 'apache' else 'nginx'}")


def import_site(server: Server, kind: str) -> Path:
    """Import the files of the server on the machine that builds; returns the description, the drop-in beside it."""
    pool, host = server.directory / f"{kind}-pool.conf", server.directory / f"{kind}-host.conf"
    pool.write_text(server.read(f"/etc/php/{server.php}/fpm/pool.d/shop.conf"))
    source = "/etc/apache2/sites-available/shop.conf" if kind == "apache" else "/etc/nginx/sites-enabled/shop"
    host.write_text(server.read(source))
    target = server.directory / f"{kind}.yaml"
    run("import", str(pool), str(host), "-o", str(target), "--drop-in", str(target.with_suffix(".conf")))
    run("check", str(target))
    return target


def run(*arguments: str) -> None:
    """Run fpmjail-deb of this checkout."""
    command = [sys.executable, "-m", "fpmjail_deb", *arguments]
    done = subprocess.run(command, cwd=trees.CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def answers_of_the_package(server: Server, kind: str, description: Path) -> dict[str, Page]:
    """Do what the description's comments say, and ask the same."""
    version = {"apache": "1", "nginx": "2"}[kind]
    server.publish(f"{description.read_text()}\nversion: {version}\n", f"{kind}-{version}.yaml")
    listen(server, kind)
    server.install("site-shop-jail")
    steps = re.findall(r"^#     ((?:cp|chown) .*)$", description.read_text(), re.MULTILINE)
    assert len(steps) == 2
    server.shell(" && ".join(steps))
    server.write(f"/etc/fpmjail/sites/shop/{kind}.d/import.conf", description.with_suffix(".conf").read_text())
    configured = server.run("fpmjail", "configure", "shop")
    assert "drop-in" not in configured.output, configured.output
    server.shell(f"rm -f /etc/php/{server.php}/fpm/pool.d/shop.conf; systemctl restart php{server.php}-fpm")
    return answers(server, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", REQUESTS)
def test_an_imported_site_answers_as_before(parity: Parity, path: str, kind: str) -> None:
    before, after = parity.before[kind][path], parity.after[kind][path]
    assert before.status == after.status, (before, after)
    assert before.body.replace("srv\\/www", "var\\/www").replace(OLD, NEW) == after.body
    for header in HEADERS:
        assert values(before, header) == values(after, header), header


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_asked_was_answered_by_php_in_both(parity: Parity, kind: str) -> None:
    """The parity of two broken sites proves nothing."""
    for pages in (parity.before[kind], parity.after[kind]):
        shown = json.loads(pages["/permalink/2026/post?page=2"].body)
        assert shown["get"] == {"page": "2"} and shown["env"][0] == "production" and shown["part"] == "of lib"
        assert shown["ini"][:3] == ["96M", "Europe/Berlin", "1234"] and shown["data"] == "again"
        statuses = [pages[path].status for path in ("/uploads/x.php", "/private/a.txt", "/old", "/show.php?www")]
        assert statuses == [403, 401, 302, 301]


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_names_what_the_jail_replaces(parity: Parity, kind: str) -> None:
    assert "open_basedir" in parity.descriptions[kind]
    assert f" {OLD}/. {NEW}/" in parity.descriptions[kind]
