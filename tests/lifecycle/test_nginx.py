# SPDX-License-Identifier: GPL-2.0-or-later
"""A site behind nginx: it waits for its port, answers as a site behind Apache does, and keeps every wall."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.lifecycle import load
from tests.lifecycle.bed import Bed
from tests.lifecycle.load import Load
from tests.lifecycle.server import Page, Server

DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org, www.{site}.example.org]
php:
  settings: {{upload_max_filesize: 32M, post_max_size: 32M}}
web:
  server: {server}
  headers:
    X-Content-Type-Options: nosniff
    Referrer-Policy: strict-origin-when-cross-origin
    X-Odd: 'a "b" \\n {{c}}; # }} e'
writable: [uploads, deep/er]
"""
PACKAGE = "site-example-jail"
LINK = f"/etc/nginx/sites-enabled/{PACKAGE}"
STATE = "/var/lib/fpmjail/sites/example"
CERTIFICATE = "/etc/letsencrypt/live/example.example.org"

SHOW = """<?php
$keys = ['REQUEST_METHOD', 'REQUEST_URI', 'QUERY_STRING', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PHP_SELF', 'PATH_INFO',
    'DOCUMENT_ROOT', 'SERVER_NAME', 'SERVER_PORT', 'HTTPS', 'PHP_AUTH_USER', 'PHP_AUTH_PW', 'REMOTE_ADDR',
    'REMOTE_USER', 'CONTENT_TYPE', 'CONTENT_LENGTH', 'SERVER_PROTOCOL', 'REDIRECT_STATUS'];
$server = array_intersect_key($_SERVER, array_flip($keys));
$server['CONTENT_TYPE'] = strtok($server['CONTENT_TYPE'] ?? 'none', ';');
ksort($server);
$body = file_get_contents('php://input');
echo json_encode(['file' => __FILE__, 'get' => $_GET, 'post' => count($_POST), 'body' => [strlen($body), md5($body)],
    'files' => array_map(fn ($f) => [$f['name'], $f['size'], $f['error']], $_FILES),
    'proxy' => getenv('HTTP_PROXY') ?: 'none', 'limit' => ini_get('memory_limit'),
    'server' => $server]);
"""
FILES = {
    "index.php": SHOW,
    "show.php": SHOW,
    "sp ace/sh ow.php": SHOW,
    "dir/index.php": SHOW,
    "üml/ä.php": SHOW,
    "plus+name.php": SHOW,
    "a&b.php": SHOW,
    "404.php": "<?php http_response_code(404); echo 'own page';",
    "500.php": "<?php http_response_code(500); echo 'own fault';",
    "own.php": "<?php header('Referrer-Policy: origin'); echo 'own';",
    "html/index.html": "<p>index</p>\n",
    "static.txt": "0123456789\n",
    "f ü.txt": "ümlaut\n",
    "x.jpg": "<?php echo 'run';",
    "x.phtml": "<?php echo 'run';",
    "x.PHP": "<?php echo 'run';",
    "x.php7": "<?php echo 'run';",
    "x.php.bak": "<?php echo 'source';",
    "x.php~": "<?php echo 'source';",
    "#x.php#": "<?php echo 'source';",
    ".env": "secret",
    ".user.ini": "memory_limit = 99M\n",
    ".git/config": "secret",
    "uploads/x.php": "<?php echo 'run';",
    "uploads/x.txt": "uploaded\n",
    "deep/er/x.php": "<?php echo 'run';",
    ".well-known/acme-challenge/token": "token\n",
    ".well-known/acme-challenge/x.php": "<?php echo 'run';",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What both sites said to the same requests."""

    apache: dict[str, Page]
    nginx: dict[str, Page]
    words: str


REQUESTS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (
        "/", "/index.php", "/show.php", "/show.php?a=1&b=%20x&c=%C3%BC", "/show.php/extra/path?q=1", "/dir/",
        "/static.txt", "/f%20%C3%BC.txt", "/sp%20ace/sh%20ow.php?x=1", "/%C3%BCml/%C3%A4.php", "/plus+name.php",
        "/a&b.php?c=d", "/permalink/2026/a-post/?page=2", "/index.php/permalink/2026", "/missing.txt", "//show.php",
        "/404.php", "/500.php", "/own.php", "/html/", "/.well-known/acme-challenge/token", "/uploads/x.txt",
    ),
    (),
)  # fmt: skip
REQUESTS |= {
    "HEAD of PHP": ("--head",),
    "HEAD of a file": ("--head",),
    "range": ("--range", "2-4"),
    "Basic auth": ("--user", "ann:s3:cret"),
    "form": ("--data", "a=1&b=2"),
    "20 MB": ("--data-binary", "@/root/20M", "-H", "Content-Type: application/octet-stream"),
    "chunked": ("-T", "-", "-X", "POST", "-H", "Transfer-Encoding: chunked"),
    "upload": ("-F", "file=@/root/20M"),
    "Proxy header": ("-H", "Proxy: http://evil.example.org/"),
    "PHP_VALUE header": ("-H", "PHP_ADMIN_VALUE: memory_limit=1M", "-H", "PHP-VALUE: memory_limit=1M"),
    "other name": (),
}
PLACES = {"HEAD of a file": "/static.txt", "range": "/static.txt"}
DENIED = (
    "/.env", "/.user.ini", "/.git/config", "/x.php.bak", "/x.php~", "/%23x.php%23", "/x.phtml", "/x.PHP", "/x.php7",
    "/uploads/x.php", "/uploads/x.php/y", "/uploads//x.php", "//uploads/x.php", "/deep/er/x.php", "/deep//er/x.php",
    "/.well-known/acme-challenge/x.php", "/uploads/./x.php", "/dir/../uploads/x.php", "/%75ploads/x.php",
)  # fmt: skip


def ask(server: Server, site: str, name: str, options: tuple[str, ...] = ()) -> Page:
    """One of the requests; a name that is no URL goes to show.php."""
    path = name if name.startswith("/") else PLACES.get(name, "/show.php")
    if name == "chunked":
        return chunked(server, site)
    host = f"www.{site}.example.org" if name == "other name" else f"{site}.example.org"
    return server.get(path, host, "--path-as-is", "-H", "Expect:", *REQUESTS.get(name, options))


def chunked(server: Server, site: str) -> Page:
    """A request whose length nobody knows before its end."""
    answer = server.shell(
        f"head -c 3000000 /root/20M | curl -s -m 60 -T - -X POST -H 'Host: {site}.example.org' -H 'Expect:' "
        "-H 'Content-Type: text/plain' -w '\\n%{http_code}' http://127.0.0.1/show.php"
    )
    body, _, status = answer.stdout.rpartition("\n")
    return Page(int(status), body, "")


def eventually(true: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.2)
    return true()


def get(server: Server, path: str, *options: str) -> Page:
    return server.get(path, "example.example.org", "--path-as-is", *options)


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which Apache has port 80 and a site, and nginx is installed."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site, name in (("example", "nginx"), ("classic", "apache")):
        there.publish(DESCRIPTION.format(site=site, server=name), f"{site}.yaml")
    there.shell("head -c 20971520 /dev/urandom >/root/20M; systemctl unmask nginx")
    there.install("site-classic-jail")
    yield there


@pytest.fixture(scope="module")
def answers(server: Server) -> Answers:
    """The same files in both sites, asked through Apache first, then through nginx."""
    for site in ("classic", "example"):
        root = f"/var/www/{site}/htdocs"
        for name, text in FILES.items():
            server.shell(f"mkdir -p '{root}/{name.rpartition('/')[0]}'")
            server.write(f"{root}/{name}", text)
        server.shell(f"chown -R _site-{site}: {root}")
    apache = {name: ask(server, "classic", name) for name in REQUESTS}
    server.shell("systemctl disable -q --now apache2; systemctl start nginx")
    words = server.run("fpmjail", "reload", check=False).output
    server.apt("purge", "site-classic-jail")
    return Answers(apache, {name: ask(server, "example", name) for name in REQUESTS}, words)


def test_a_site_waits_while_another_web_server_has_its_port(server: Server) -> None:
    answer = server.install(PACKAGE)
    assert "port 80 is taken by apache2, so the virtual host stays off" in answer.output, answer.output
    assert not server.exists(LINK)
    assert server.get("/", "classic.example.org").status < 500
    assert server.run("systemctl", "is-active", "apache2").stdout.strip() == "active"
    assert any("port 80 is taken" in finding["seen"] or "is off" in finding["seen"] for finding in server.faults())


def test_it_answers_once_the_port_is_free(server: Server, answers: Answers) -> None:
    assert server.exists(LINK)
    assert answers.nginx["/"].status == 200
    assert server.faults() == []
    assert "Apache is not running, port 80 is taken by nginx" in answers.words


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "chunked"])
def test_nginx_and_apache_give_the_same_answer(answers: Answers, name: str) -> None:
    one, other = answers.apache[name], answers.nginx[name]
    assert one.status == other.status
    assert one.body.replace("classic", "example") == other.body
    for header in ("content-type", "x-content-type-options", "referrer-policy", "x-odd", "content-range"):
        assert values(one, header) == values(other, header) or not values(one, header)


def values(page: Page, header: str) -> list[str]:
    """The values of a response header, without what stands behind a semicolon: nginx names no character set."""
    lines = [line.lower().partition(":") for line in page.headers.splitlines()]
    return [value.partition(";")[0].strip() for name, _, value in lines if name == header]


def test_php_gets_what_was_sent(server: Server, answers: Answers) -> None:
    shown = {name: json.loads(page.body) for name, page in answers.nginx.items() if page.body.startswith("{")}
    assert shown["20 MB"]["body"][0] == 20971520
    assert shown["upload"]["files"]["file"] == ["20M", 20971520, 0]
    assert shown["chunked"]["body"][0] == 3000000
    assert shown["Basic auth"]["server"]["PHP_AUTH_PW"] == "s3:cret"
    assert shown["other name"]["server"]["SERVER_NAME"] == "www.example.example.org"
    assert "REMOTE_USER" not in shown["Basic auth"]["server"]
    assert shown["Proxy header"]["proxy"] == "none"
    assert 'X-Odd: a "b" \\n {c}; # } e' in answers.nginx["/static.txt"].headers
    assert shown["PHP_VALUE header"]["limit"] == "99M"
    assert get(server, "/html/").body == FILES["html/index.html"]
    assert shown["/show.php/extra/path?q=1"]["server"]["PATH_INFO"] == "/extra/path"


@pytest.mark.parametrize("path", DENIED)
def test_what_is_not_to_be_shown_or_run_is_denied(server: Server, answers: Answers, path: str) -> None:
    page = get(server, path)
    assert page.status == 403
    assert "secret" not in page.body and "run" not in page.body and "<?php" not in page.body


@pytest.mark.parametrize("path", ["/missing.php", "/x.jpg/y.php", "/missing/x.php/y", "/show.php%0a", "/x.jpg/.php"])
def test_a_script_that_is_not_there_is_a_plain_404(server: Server, answers: Answers, path: str) -> None:
    page = get(server, path)
    assert page.status in (403, 404) and (page.status == 404 or path.endswith("/.php"))
    assert "File not found." not in page.body and "run" not in page.body


def test_what_visitors_upload_is_never_run(server: Server, answers: Answers) -> None:
    code = "<?php move_uploaded_file($_FILES['f']['tmp_name'], __DIR__ . '/uploads/' . $_GET['name']); echo 'moved';"
    server.write_page("move.php", code)
    server.write("/root/shell.php", "<?php echo 'ru', 'n';")
    for name in ("new.php", "new.phtml", "new.jpg"):
        assert get(server, f"/move.php?name={name}", "-F", "f=@/root/shell.php").body == "moved"
    assert [get(server, f"/uploads/new.{kind}").status for kind in ("php", "phtml", "jpg")] == [403, 403, 200]
    assert "echo" in get(server, "/uploads/new.jpg").body
    assert get(server, "/uploads/new.jpg/x.php").status == 403


def test_a_link_leads_only_to_what_the_same_user_owns(server: Server, answers: Answers) -> None:
    server.shell("echo foreign >/srv/foreign.txt; ln -s /srv/foreign.txt /srv /var/www/example/htdocs/")
    server.shell("ln -s static.txt /var/www/example/htdocs/own.txt; chown -h _site-example: /var/www/example/htdocs/*")
    assert get(server, "/own.txt").body == "0123456789\n"
    for path in ("/foreign.txt", "/srv/foreign.txt"):
        assert get(server, path).body != "foreign"
    server.shell("rm /var/www/example/htdocs/foreign.txt /var/www/example/htdocs/srv")


def test_a_request_above_post_max_size_is_refused(server: Server, answers: Answers) -> None:
    server.shell("cat /root/20M /root/20M >/root/40M")
    assert get(server, "/show.php", "--data-binary", "@/root/40M", "-H", "Expect:").status == 413


def test_a_good_drop_in_is_used_and_a_bad_one_is_named(server: Server, answers: Answers) -> None:
    server.write("/etc/fpmjail/sites/example/nginx.d/hello.conf", 'add_header X-Hello "world" always;\n')
    assert "x-hello" not in get(server, "/show.php").headers.lower()
    server.run("fpmjail", "configure", "example")
    for path in ("/show.php", "/static.txt"):
        headers = get(server, path).headers.lower()
        assert "x-hello: world" in headers and "x-content-type-options: nosniff" in headers
    bad = "/etc/fpmjail/sites/example/nginx.d/zz-bad.conf"
    for text, line in (("\n\nnonsense on;\n", 3), ("location / {\n", 2), ("root /;\n", 1)):
        server.write(bad, text)
        answer = server.run("fpmjail", "configure", "example")
        assert f"{bad}:{line}" in answer.output, answer.output
        assert any("not applied" in words for row in server.status()["sites"] for words in row["warnings"])
        assert "x-hello: world" in get(server, "/show.php").headers.lower()
        assert server.run("nginx", "-t", "-q").good
    server.run("rm", bad)
    server.run("fpmjail", "configure", "example")


def make_certificate(server: Server) -> None:
    new = f"{CERTIFICATE}.new"
    server.shell(
        f"mkdir -p {new}; openssl req -x509 -newkey ed25519 -nodes -subj /CN=example -days 9 "
        f"-keyout {new}/privkey.pem -out {new}/fullchain.pem 2>/dev/null; mv {new} {CERTIFICATE}"
    )


def test_https_appears_with_its_certificate_and_goes_with_it(server: Server, answers: Answers) -> None:
    assert get(server, "/show.php").status == 200
    make_certificate(server)
    assert eventually(lambda: get(server, "/show.php?a=b").status == 301)
    page = get(server, "/show.php?a=%20b")
    assert "location: https://example.example.org/show.php?a=%20b" in page.headers.lower()
    assert get(server, "/.well-known/acme-challenge/token").body == "token\n"
    name = "https://example.example.org"
    body = server.run("curl", "-sk", "--resolve", "example.example.org:443:127.0.0.1", f"{name}/show.php").stdout
    assert json.loads(body)["server"]["HTTPS"] == "on"
    assert server.faults() == []
    server.shell(f"mv {CERTIFICATE} /root/certificate")
    assert eventually(lambda: get(server, "/show.php").status == 200)
    assert server.run("nginx", "-t", "-q").good


def test_a_certificate_that_nginx_refuses_harms_nothing(server: Server, answers: Answers) -> None:
    server.shell(f"mkdir {CERTIFICATE}; echo nonsense | tee {CERTIFICATE}/fullchain.pem >{CERTIFICATE}/privkey.pem")
    answer = server.run("fpmjail", "reload")
    assert "nginx refuses the certificate" in answer.output, answer.output
    assert get(server, "/show.php").status == 200 and server.run("nginx", "-t", "-q").good
    assert any("certificate is there and not used" in finding["seen"] for finding in server.faults())
    server.shell(f"rm -r {CERTIFICATE}; fpmjail reload")


def test_a_refresh_under_load_loses_no_request(server: Server, answers: Answers) -> None:
    server.write_page("load.php", load.PAGE)
    with Load(server.container, host="example.example.org", path="/load.php") as requests:
        for number in range(2):
            server.shell(f"echo '; {number}' >>/etc/php/{server.php}/fpm/php.ini; fpmjail refresh; fpmjail reload")
    report = requests.report()
    assert report.requests > 50 and not report.failed, report
    server.assert_true_to_host()


def test_a_link_that_the_admin_removed_stays_removed(server: Server, answers: Answers) -> None:
    server.run("rm", LINK)
    for command in (("apt-get", "install", "-y", "--reinstall", PACKAGE), ("fpmjail", "reload")):
        assert "stays off because an administrator removed its link" in server.run(*command).output
        assert not server.exists(LINK)
    server.shell(f"ln -s ../sites-available/{PACKAGE} {LINK} && fpmjail reload")
    assert get(server, "/show.php").status == 200


def test_fpmjail_disable_takes_it_out_and_enable_brings_it_back(server: Server, answers: Answers) -> None:
    server.run("fpmjail", "disable", "example")
    server.apt("install", "--reinstall", PACKAGE)
    server.run("fpmjail", "reload")
    assert not server.exists(LINK)
    server.run("fpmjail", "enable", "example")
    assert get(server, "/show.php").status == 200 and server.faults() == []


def test_a_broken_configuration_of_the_admins_is_named_and_nothing_reloaded(server: Server, answers: Answers) -> None:
    server.write("/etc/nginx/conf.d/broken.conf", "nonsense;\n")
    answer = server.apt("install", "--reinstall", PACKAGE)
    assert "nginx's configuration was broken before" in answer.output and "broken.conf:1" in answer.output
    assert get(server, "/show.php").status == 200
    server.run("rm", "/etc/nginx/conf.d/broken.conf")


def test_remove_and_purge_leave_a_working_nginx_and_the_data(server: Server, answers: Answers) -> None:
    server.apt("remove", PACKAGE)
    assert not server.exists(LINK) and server.run("nginx", "-t", "-q").good
    assert get(server, "/show.php").status in (404, 200) and "SCRIPT_NAME" not in get(server, "/show.php").body
    answer = server.install(PACKAGE)
    assert "http://example.example.org/ answers 200" in answer.output
    assert "x-hello: world" in get(server, "/show.php").headers.lower()
    server.apt("purge", PACKAGE)
    assert not server.exists(LINK) and not server.exists(STATE)
    assert server.read("/var/www/example/htdocs/static.txt") == FILES["static.txt"]
    server.install(PACKAGE)
    assert get(server, "/show.php").status == 200 and server.faults() == []


def test_a_site_moves_to_the_other_web_server_and_back(server: Server, answers: Answers) -> None:
    description = DESCRIPTION.format(site="example", server="apache")
    server.publish(description.replace("domains", "version: 1.1.0\ndomains"), "example.yaml")
    answer = server.apt("upgrade")
    assert "Apache is not running, port 80 is taken by nginx" in answer.output, answer.output
    assert not server.exists(LINK) and server.run("nginx", "-t", "-q").good
    server.shell("systemctl stop nginx; systemctl start apache2")
    assert get(server, "/show.php").status == 200 and server.faults() == []
    server.publish(description.replace("domains", "version: 1.2.0\ndomains").replace("apache", "nginx"), "example.yaml")
    server.apt("upgrade")
    assert server.run("apache2ctl", "-t").good
    assert not server.exists(f"/etc/apache2/sites-enabled/{PACKAGE}.conf")
