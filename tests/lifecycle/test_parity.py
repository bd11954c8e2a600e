# SPDX-License-Identifier: GPL-2.0-or-later
"""A site gives the answers that it would give without a jail: the same requests to PHP outside and in jails of both
kinds, behind Apache first, then behind nginx. All of $_SERVER is compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle import load
from tests.lifecycle.bed import Bed
from tests.lifecycle.load import Load
from tests.lifecycle.server import Page, Server
from tests.lifecycle.test_nginx import DENIED, DESCRIPTION, FILES, REQUESTS, SHOW, ask, eventually, values

MISSING = ("/missing.php", "/x.jpg/y.php", "/missing/x.php/y")
PLAIN = "unjailed"
SITES = {
    "sealedapache": ("dedicated", "apache"),
    "sharedapache": ("shared", "apache"),
    "sealednginx": ("dedicated", "nginx"),
    "sharednginx": ("shared", "nginx"),
}
WEBS = ("apache", "nginx")
# Of the process and not of the request: its user, its home, its port, its time.
OWN = ("USER", "HOME", "TMPDIR", "PATH", "REMOTE_PORT", "REQUEST_TIME", "REQUEST_TIME_FLOAT", "FCGI_ROLE")
# What virtual hosts of jails do otherwise on purpose. nginx as Debian has it tells a REMOTE_USER whom nobody has asked
# for a password, and a REDIRECT_STATUS that Apache does not.
OTHERWISE = ("HTTP_PROXY", "REMOTE_USER", "REDIRECT_STATUS")
RANDOM = ("HTTP_CONTENT_TYPE",)  # the boundary of an upload
WHOLE = f"""<?php
ini_set('serialize_precision', '-1');
$server = array_diff_key($_SERVER, array_flip({[*OWN, *OTHERWISE, *RANDOM]}));
$server = array_filter($server, fn ($value) => $value !== ''); // which nginx as Debian has it passes on as well
$server['CONTENT_TYPE'] = strtok($server['CONTENT_TYPE'] ?? 'none', ';');
ksort($server);
$body = file_get_contents('php://input');
echo json_encode(['file' => __FILE__, 'directory' => getcwd(), 'get' => $_GET, 'post' => $_POST,
    'body' => [strlen($body), md5($body)], 'limit' => ini_get('memory_limit'),
    'files' => array_map(fn ($f) => [$f['name'], $f['size'], $f['error']], $_FILES), 'server' => $server]);
"""
REWRITTEN = ("path", "query", "bare")
PAGES = {name: WHOLE if text == SHOW else text for name, text in FILES.items()} | {
    f"{name}/index.php": WHOLE for name in REWRITTEN
}
REWRITES = ("/path/some/page?x=1", "/path/a%20b/%C3%BC", "/query/some/page?y=2", "/bare/some/page?z=3", "/path/")
ASKED = {**REQUESTS, **dict.fromkeys((*MISSING, *REWRITES), ())}
# What is refused in a jail and not outside, and what PHP outside is left to say.
DIFFERENT = {"Proxy header", *MISSING}
APACHE_RULES = """\
<Directory "ROOT/path">
	RewriteEngine On
	RewriteCond %{REQUEST_FILENAME} !-f
	RewriteRule ^(.*)$ index.php/$1 [L]
</Directory>
<Directory "ROOT/query">
	RewriteEngine On
	RewriteCond %{REQUEST_FILENAME} !-f
	RewriteRule ^(.*)$ index.php?q=$1 [QSA,L]
</Directory>
<Directory "ROOT/bare">
	RewriteEngine On
	RewriteCond %{REQUEST_FILENAME} !-f
	RewriteRule ^ index.php [L]
</Directory>
"""
NGINX_RULES = r"""
rewrite ^/path/(?!index\.php)(.*)$ /path/index.php/$1;
rewrite ^/query/(?!index\.php)(.*)$ /query/index.php?q=$1;
rewrite ^/bare/(?!index\.php) /bare/index.php;
"""
PLAIN_POOL = """\
[plain]
user = www-data
group = www-data
listen = /run/plain.sock
listen.owner = www-data
pm = ondemand
pm.max_children = 5
php_admin_value[upload_max_filesize] = 32M
php_admin_value[post_max_size] = 32M
"""
PLAIN_APACHE = f"""\
<Directory /var/www/unjailed/htdocs>
	Require all granted
	CGIPassAuth On
	DirectoryIndex index.php index.html
	FallbackResource /index.php
	<FilesMatch "\\.php$">
		<If "-f %{{REQUEST_FILENAME}}">
			SetHandler "proxy:unix:/run/plain.sock|fcgi://plain"
		</If>
	</FilesMatch>
</Directory>
<Directory /var/www/unjailed/htdocs/html>
	FallbackResource disabled
</Directory>
<VirtualHost *:80>
	ServerName unjailed.example.org
	ServerAlias www.unjailed.example.org
	DocumentRoot /var/www/unjailed/htdocs
	SetEnvIf Transfer-Encoding chunked proxy-sendcl=1
{APACHE_RULES.replace("ROOT", "/var/www/unjailed/htdocs")}
</VirtualHost>
"""
PLAIN_NGINX = rf"""
server {{
	listen 80;
	server_name unjailed.example.org www.unjailed.example.org;
	root /var/www/unjailed/htdocs;
	index index.php index.html;
	client_max_body_size 32M;
	{NGINX_RULES}
	location / {{ try_files $uri $uri/ /index.php$is_args$args; }}
	location ~ [^/]\.php(/|$) {{
		fastcgi_split_path_info ^(.+?\.php)(/.*)$;
		if (!-f $document_root$fastcgi_script_name) {{ return 404; }}
		set $kept $fastcgi_path_info;
		include fastcgi_params;
		fastcgi_param SERVER_NAME $host;
		fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
		fastcgi_param PATH_INFO $kept if_not_empty;
		fastcgi_param HTTP_PROXY "";
		fastcgi_pass unix:/run/plain.sock;
	}}
}}
"""

Said = dict[str, dict[str, Page]]


def description(site: str) -> str:
    isolation, web = SITES[site]
    return DESCRIPTION.format(site=site, server=web).replace("domains", f"isolation: {isolation}\ndomains")


def root(site: str) -> str:
    """The document root as the web server knows it."""
    shared = site != PLAIN and SITES[site][0] == "shared"
    return f"/var/www/{site}/var/www/{site}/htdocs" if shared else f"/var/www/{site}/htdocs"


def fill(server: Server, site: str, owner: str) -> None:
    """The same files for everybody."""
    for name, text in {**PAGES, "load.php": load.PAGE}.items():
        server.shell(f"mkdir -p '{root(site)}/{name.rpartition('/')[0]}'")
        server.write(f"{root(site)}/{name}", text)
    server.shell(f"chown -R {owner}: {root(site)}")


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Four sites, and the same files outside of any jail, as Debian's documentation would have it."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.shell("head -c 20971520 /dev/urandom >/root/20M; systemctl unmask nginx")
    for site in SITES:
        there.publish(description(site), f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in SITES))
    for site, (_, web) in SITES.items():
        fill(there, site, f"_site-{site}")
        rules = {"apache": APACHE_RULES.replace("ROOT", root(site)), "nginx": NGINX_RULES}[web]
        there.write(f"/etc/fpmjail/sites/{site}/{web}.d/rewrite.conf", rules)
        there.run("fpmjail", "configure", site)
    fill(there, PLAIN, "www-data")
    there.write(f"/etc/php/{there.php}/fpm/pool.d/plain.conf", PLAIN_POOL)
    there.write("/etc/apache2/sites-enabled/plain.conf", PLAIN_APACHE)
    there.write("/etc/nginx/sites-enabled/plain", PLAIN_NGINX)
    there.shell(f"a2enmod -q rewrite; systemctl restart php{there.php}-fpm apache2")
    yield there


@pytest.fixture(scope="module")
def answers(server: Server) -> dict[str, Said]:
    """What everybody said to the same requests, by web server."""
    behind_apache = {site: said(server, site) for site in (PLAIN, "sealedapache", "sharedapache")}
    denied(server, "sharedapache")
    server.shell("systemctl stop apache2; systemctl start nginx")
    server.run("fpmjail", "reload", check=False)
    assert eventually(lambda: server.get("/show.php", "sharednginx.example.org").status == 200)
    for site in ("sealednginx", "sharednginx"):
        server.run("fpmjail", "configure", site)
    return {
        "apache": behind_apache,
        "nginx": {site: said(server, site) for site in (PLAIN, "sealednginx", "sharednginx")},
    }


def said(server: Server, site: str) -> dict[str, Page]:
    """What a site says to all requests."""
    return {name: ask(server, site, name, ASKED.get(name, ())) for name in ASKED}


def denied(server: Server, site: str) -> None:
    """Nothing that must not be shown or run is."""
    for path in DENIED:
        page = server.get(path, f"{site}.example.org", "--path-as-is")
        assert page.status == 403 and "secret" not in page.body and "run" not in page.body, (path, page)


def told(page: Page, site: str) -> Any:
    """An answer without the site's name: what PHP was told, or the text of a file."""
    text = page.body.replace(site, "SITE")
    return json.loads(text) if text.startswith("{") else text


def differences(one: Any, other: Any) -> dict[str, tuple[Any, Any]]:
    """What PHP was told differently, by its name; both texts when they are no such answers."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return {} if one == other else {"text": (one, other)}
    first, second = ({**page, **page.get("server", {}), "server": 0} for page in (one, other))
    return {
        key: (first.get(key), second.get(key))
        for key in first.keys() | second.keys()
        if first.get(key) != second.get(key)
    }


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
@pytest.mark.parametrize("web", WEBS)
@pytest.mark.parametrize("name", [name for name in ASKED if name not in DIFFERENT])
def test_a_site_in_a_jail_gives_the_answer_of_one_without(
    answers: dict[str, Said], name: str, web: str, isolation: str
) -> None:
    site = next(site for site, kind in SITES.items() if kind == (isolation, web))
    one, other = answers[web][PLAIN][name], answers[web][site][name]
    assert one.status == other.status
    assert differences(told(one, PLAIN), told(other, site)) == {}
    for header in ("content-type", "content-range"):
        assert values(one, header) == values(other, header)


@pytest.mark.parametrize("web", WEBS)
def test_what_was_compared_was_answered_by_php(answers: dict[str, Said], web: str) -> None:
    """The parity of two sites that do not work proves nothing."""
    for site, pages in answers[web].items():
        rewritten = {name: json.loads(pages[name].body) for name in REWRITES}
        assert rewritten["/path/some/page?x=1"]["server"]["PATH_INFO"] == "/some/page", site
        assert rewritten["/path/a%20b/%C3%BC"]["server"]["PATH_INFO"] == "/a b/ü", site
        assert rewritten["/query/some/page?y=2"]["get"] == {"q": "some/page", "y": "2"}, site
        inside = f"/var/www/{site}/htdocs"
        for shown in rewritten.values():
            assert shown["file"].startswith(f"{inside}/") and shown["server"]["DOCUMENT_ROOT"] == inside
            assert shown["server"]["SCRIPT_FILENAME"] == shown["file"]
        assert json.loads(pages["20 MB"].body)["body"][0] == 20971520
        assert json.loads(pages["chunked"].body)["body"][0] == 3000000
        assert json.loads(pages["Basic auth"].body)["server"]["PHP_AUTH_PW"] == "s3:cret"


@pytest.mark.parametrize("path", MISSING)
def test_a_script_that_is_not_there_is_never_phps_to_say(answers: dict[str, Said], path: str) -> None:
    """Apache gives such an address to the front controller, nginx a 404, for shared sites as for dedicated ones."""
    one, other = answers["apache"]["sealedapache"][path], answers["apache"]["sharedapache"][path]
    assert (one.status, told(one, "sealedapache")) == (other.status, told(other, "sharedapache"))
    assert {answers["nginx"][site][path].status for site in ("sealednginx", "sharednginx")} == {404}
    jails = [answers[web][site][path] for site, (_, web) in SITES.items()]
    assert all("File not found." not in page.body and "Primary script" not in page.body for page in jails)


@pytest.mark.parametrize("site", ["sealednginx", "sharednginx"])
def test_behind_nginx_nothing_is_shown_or_run_that_must_not_be(
    server: Server, answers: dict[str, Said], site: str
) -> None:
    denied(server, site)
    assert server.faults(site) == []


@pytest.mark.parametrize("name", ["/show.php", "/static.txt", "/own.php"])
def test_the_headers_of_the_description_are_the_same_everywhere(answers: dict[str, Said], name: str) -> None:
    for header in ("x-content-type-options", "referrer-policy", "x-odd"):
        seen = {tuple(values(answers[web][site][name], header)) for site, (_, web) in SITES.items()}
        assert len(seen) == 1 and seen != {()}, (header, seen)


def test_drop_ins_of_nginx_are_proven_and_used(server: Server, answers: dict[str, Said]) -> None:
    place = "/etc/fpmjail/sites/sharednginx/nginx.d"
    server.write(f"{place}/hello.conf", 'add_header X-Hello "world" always;\n')
    server.run("fpmjail", "configure", "sharednginx")
    assert "x-hello: world" in server.get("/show.php", "sharednginx.example.org").headers.lower()
    server.write(f"{place}/zz-bad.conf", "\nnonsense on;\n")
    answer = server.run("fpmjail", "configure", "sharednginx")
    assert f"{place}/zz-bad.conf:2" in answer.output, answer.output
    assert "x-hello: world" in server.get("/show.php", "sharednginx.example.org").headers.lower()
    server.run("rm", f"{place}/zz-bad.conf")


def test_a_link_of_the_site_shows_nothing_of_others(server: Server, answers: dict[str, Said]) -> None:
    server.shell(f"ln -s /etc/passwd {root('sharednginx')}/passwd; ln -s / {root('sharednginx')}/root")
    server.shell(f"chown -h _site-sharednginx: {root('sharednginx')}/passwd {root('sharednginx')}/root")
    for path in ("/passwd", "/root/etc/passwd"):
        assert "_site-sharednginx" not in server.get(path, "sharednginx.example.org").body


def test_a_refresh_of_a_shared_site_behind_nginx_loses_no_request(server: Server, answers: dict[str, Said]) -> None:
    with Load(server.container, host="sharednginx.example.org", path="/load.php") as requests:
        for number in range(2):
            server.shell(f"echo '; {number}' >>/etc/php/{server.php}/fpm/php.ini; fpmjail refresh")
    report = requests.report()
    assert report.requests > 50 and not report.failed, report


def test_https_of_a_shared_site_behind_nginx_comes_with_its_certificate(
    server: Server, answers: dict[str, Said]
) -> None:
    place, name = "/etc/letsencrypt/live/sharednginx.example.org", "sharednginx.example.org"
    server.shell(
        f"mkdir -p {place}.new; openssl req -x509 -newkey ed25519 -nodes -subj /CN=example -days 9 "
        f"-keyout {place}.new/privkey.pem -out {place}.new/fullchain.pem 2>/dev/null; mv {place}.new {place}"
    )
    assert eventually(lambda: server.get("/show.php", name).status == 301)
    body = server.run("curl", "-sk", "--resolve", f"{name}:443:127.0.0.1", f"https://{name}/show.php/x").stdout
    shown = json.loads(body)
    assert (shown["server"]["HTTPS"], shown["server"]["PATH_INFO"]) == ("on", "/x")
    assert shown["server"]["SCRIPT_FILENAME"] == "/var/www/sharednginx/htdocs/show.php"
    assert server.faults("sharednginx") == []
