# SPDX-License-Identifier: GPL-2.0-or-later
"""A site in shared isolation, read by the real Apache, nginx, PHP-FPM of Debian, systemd, tmpfiles and logrotate.

The runtime is not here: the chroot is an empty one, made by hand. What it holds is shown in tests/lifecycle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fpmjail_deb.deb import build_package
from tests.package.parsers import SEEN_AS, RealParsers
from tests.package.test_virtual_host import ANSWERS, FILES, MODULES, Web
from tests.sites import planned, shop

JAIL = "/var/www/shop"
BASE = f"{JAIL}{JAIL}"
INSIDE = f"{JAIL}/htdocs"
NGINX_ALONE = ("/s.html/more", "/missing.php", "/sub/", "/foreign.txt")
"""Where nginx's answer is its own, in both isolations."""
SLOW_LOG = "/var/log/fpmjail/shop.slow.log"
DESCRIBED = """\
isolation: shared
version: 1.0+SERVER
writable: [up/load]
sftp: true
cron: [{name: tick, schedule: daily, command: php tick.php}]
php: {env: {APP: "x y"}, settings: {memory_limit: 111M}, pool: {slow_log: 1s}}
jail: {mysql: socket, redis: socket, proc: private}
web: {server: SERVER, tls: none}
"""
PAGES = {
    "paths.php": """<?php
        $keys = ['SCRIPT_FILENAME', 'DOCUMENT_ROOT', 'CONTEXT_DOCUMENT_ROOT', 'PATH_TRANSLATED', 'PATH_INFO'];
        $seen = array_intersect_key($_SERVER, array_flip($keys));
        $outside = array_filter($_SERVER, fn ($value) => str_contains((string) json_encode($value), 'shop\\/var'));
        echo json_encode([...$seen, 'file' => __FILE__, 'root' => scandir('/'), 'outside' => array_keys($outside),
            'home' => getenv('HOME'), 'app' => getenv('APP')]);""",
    "slow page.php": "<?php sleep(3); echo 'slow';",
    "log.php": "<?php error_log('a word'); echo 'logged';",
    "greet.php": """<?php
        $socket = @stream_socket_client('unix://' . $_GET['path'], $number, $words, 5);
        echo $socket ? 'said ' . strlen(fread($socket, 5)) : $words;""",
    "proc.php": """<?php
        $processes = array_filter(scandir('/proc'), is_numeric(...));
        echo count($processes), ' ', is_readable('/proc/loadavg') ? 'load' : 'no load', ' ',
            @file_put_contents('/proc/self/comm', 'x') === false ? 'read-only' : 'writable';""",
}
REDIS = """\
[Service]
Type=exec
RuntimeDirectory=redis
UMask=0
ExecStart=/usr/bin/python3 -c "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/run/redis/redis.sock');\
 s.listen(); [s.accept()[0].send(b'hello') for _ in iter(int, 1)]"
"""


@pytest.fixture(scope="module")
def web(real_parsers: RealParsers) -> Iterator[Web]:
    """A server with the site unpacked, its chroot made, its pool in Debian's PHP-FPM, and Apache in front."""
    server, web = real_parsers.server, Web(real_parsers)
    plans = [planned(shop(DESCRIBED.replace("SERVER", name)), server.release) for name in ("nginx", "apache")]
    for plan in plans:
        server.shell(f"dpkg-deb -x {SEEN_AS}/{build_package(plan, real_parsers.exchange).name} /")
    for name, text in {**FILES, **PAGES}.items():
        server.write(f"{BASE}/htdocs/{name}", text)
    profile = json.loads(server.read("/usr/share/fpmjail/sites/shop/site.json"))["profile"]["id"]
    image = f"/var/lib/fpmjail/images/{profile}"
    server.shell(
        f"""useradd --system _site-other; systemd-sysusers site-shop-jail.conf
        install -d /run/fpmjail /var/www/other {image}/one {JAIL}/.image {JAIL}/proc {JAIL}/usr/share/zoneinfo
        cp /usr/share/zoneinfo/UTC {JAIL}/usr/share/zoneinfo
        install -d -o _site-shop -m 700 {JAIL}/tmp {JAIL}/var/lib/php/sessions
        install -d -o root -g _site-shop -m 770 {JAIL}/var/log/fpmjail/shop
        ln -s one {image}/current; touch {image}/one/marker
        echo secret >/var/www/other/file; chown -R _site-other /var/www/other
        ln -s /var/www/other/file {BASE}/htdocs/foreign.txt; ln -s a.php {BASE}/htdocs/same.php
        chown -hR _site-shop: {BASE}/htdocs
        systemd-tmpfiles --create site-shop-jail.conf; systemctl daemon-reload
        cp /usr/share/fpmjail/sites/shop/pool.conf /etc/php/{server.php}/fpm/pool.d/site-shop-jail.conf
        php-fpm{server.php} -t; systemctl restart php{server.php}-fpm
        a2enmod -q {" ".join(MODULES)}; a2ensite -q site-shop-jail; apache2ctl -t"""
    )
    web.reload()
    yield web


@pytest.mark.parametrize("path", ANSWERS)
def test_the_site_answers_as_a_dedicated_one_does(web: Web, path: str) -> None:
    status, body = ANSWERS[path]
    answer = web.get(path)
    assert answer.status == status, answer
    assert answer.body == body or (not body and "<?php" not in answer.body and "RUN" not in answer.body), answer


def test_php_knows_no_path_of_outside(web: Web) -> None:
    seen = json.loads(web.get("/paths.php/more/path?q=1").body)
    assert seen["SCRIPT_FILENAME"] == seen["file"] == f"{INSIDE}/paths.php"
    assert (seen["DOCUMENT_ROOT"], seen["CONTEXT_DOCUMENT_ROOT"]) == (INSIDE, INSIDE)
    # What Apache would answer for the rest of the path alone: the front controller.
    assert (seen["PATH_INFO"], seen["PATH_TRANSLATED"]) == ("/more/path", f"{INSIDE}/index.php")
    assert {*seen["root"]} == {".", "..", ".image", "proc", "run", "tmp", "usr", "var"}
    assert (seen["outside"], seen["home"], seen["app"]) == ([], JAIL, "x y")


def test_nothing_else_of_the_chroot_is_shown_by_any_virtual_host(web: Web) -> None:
    web.server.write(
        "/etc/apache2/sites-enabled/other.conf",
        "<VirtualHost *:80>\nServerName other\nDocumentRoot /var/www\n</VirtualHost>\n",
    )
    web.server.write(f"{JAIL}/etc/passwd", "x")
    web.server.write(f"{BASE}/notes.txt", "x")
    web.reload()
    try:
        for path in ("/shop/etc/passwd", "/shop/.image/current/marker", "/shop/tmp/", "/shop/var/www/shop/notes.txt"):
            assert web.get(path, host="other").status == 403, path
    finally:
        web.server.run("rm", "/etc/apache2/sites-enabled/other.conf", f"{BASE}/notes.txt")
        web.reload()


def test_links_out_of_the_document_root_lead_nowhere_through_apache(web: Web) -> None:
    web.server.shell(
        f"cd {BASE}/htdocs; ln -s {JAIL}/.image/current/marker image.txt; ln -s /etc/hostname host.txt; "
        "chown -h _site-shop: image.txt host.txt"
    )
    assert [web.get(path).status for path in ("/image.txt", "/host.txt")] == [403, 403]


def test_phps_errors_go_into_the_chroot(web: Web) -> None:
    assert web.get("/log.php").body == "logged"
    assert "a word" in web.server.read(f"{JAIL}/var/log/fpmjail/shop/php.log")


def test_the_slow_log_is_roots_and_goes_on_after_its_rotation(web: Web) -> None:
    for _ in range(2):
        assert web.get("/slow%20page.php").body == "slow"
        assert f"{INSIDE}/slow page.php" in web.server.read(SLOW_LOG)
        web.server.run("logrotate", "--force", "/etc/logrotate.d/site-shop-jail")
        assert web.server.shell(f"stat -c '%U %s' {SLOW_LOG}").stdout == "root 0\n"


def test_php_reaches_the_pool_through_no_other_account(web: Web) -> None:
    assert web.server.shell("stat -c '%U %G %a' /run/fpmjail/shop.sock").stdout == "www-data www-data 600\n"


def mount(web: Web, place: str) -> str:
    """The options and the propagation of what is mounted at a place of the chroot, nothing if nothing is."""
    return web.server.run("findmnt", "-n", "-o", "OPTIONS,PROPAGATION", f"{JAIL}/{place}", check=False).stdout


def test_debians_php_brings_the_mounts_and_outlives_them(web: Web) -> None:
    php = f"php{web.server.php}-fpm"
    assert web.server.exists(f"{JAIL}/.image/current/marker")
    for place in (".image", "proc"):
        assert {"ro", "nosuid", "nodev"} <= set(mount(web, place).split()[0].split(","))
        assert mount(web, place).split()[1] == "private"
    before = web.server.run("systemctl", "show", "-P", "MainPID", php).stdout
    web.server.run("systemctl", "stop", "var-www-shop-.image.mount", "var-www-shop-proc.mount")
    assert mount(web, ".image") == mount(web, "proc") == ""
    assert web.server.run("systemctl", "show", "-P", "MainPID", php).stdout == before
    web.server.run("systemctl", "restart", php)
    assert mount(web, ".image") and mount(web, "proc")


def test_a_missing_image_does_not_keep_debians_php_from_starting(web: Web) -> None:
    php = f"php{web.server.php}-fpm"
    web.server.shell("systemctl stop var-www-shop-.image.mount; mv /var/lib/fpmjail/images /var/lib/fpmjail/away")
    try:
        web.server.run("systemctl", "restart", php)
        assert web.get("/a.php").status == 200
        assert not web.server.exists("/var/lib/fpmjail/images")
    finally:
        web.server.shell(f"mv /var/lib/fpmjail/away /var/lib/fpmjail/images; systemctl restart {php}")


def test_a_private_proc_shows_the_load_and_nobody_elses_processes(web: Web) -> None:
    count, *words = web.get("/proc.php").body.split(" ", 1)
    assert words == ["load read-only"]
    assert 0 < int(count) < 10


def seen(socket: str) -> str:
    """A command that ends once a socket is in the chroot: its directory is mounted just after the server's start."""
    return f"for n in $(seq 50); do [ ! -S {JAIL}/run/{socket} ] || exit 0; sleep 0.1; done; exit 1"


def test_a_server_that_comes_later_is_reached_without_a_hand(web: Web) -> None:
    greet = "/greet.php?path=/run/mysqld/mysqld.sock"
    assert web.get(greet).body == "No such file or directory"
    web.server.shell(f"systemctl unmask -q mariadb; systemctl start mariadb; {seen('mysqld/mysqld.sock')}")
    assert web.get(greet).body == "said 5"
    web.server.shell(f"systemctl restart mariadb; {seen('mysqld/mysqld.sock')}")
    assert web.get(greet).body == "said 5"
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(mount(web, "run/mysqld").split()[0].split(","))


def test_a_server_that_makes_its_directory_anew_is_found_again(web: Web) -> None:
    greet = "/greet.php?path=/run/redis/redis.sock"
    web.server.write("/run/systemd/system/redis-server.service", REDIS)
    web.server.shell(f"systemctl daemon-reload; systemctl start redis-server; {seen('redis/redis.sock')}")
    assert web.get(greet).body == "said 5"
    web.server.shell(f"systemctl restart redis-server; {seen('redis/redis.sock')}")
    assert web.get(greet).body == "said 5"
    web.server.run("systemctl", "stop", "redis-server")
    assert not mount(web, "run/redis")
    assert web.get("/a.php").status == 200


def test_systemd_finds_no_fault_in_the_units(web: Web) -> None:
    names = json.loads(web.server.read("/usr/share/fpmjail/sites/shop/site.json"))["units"]["mounts"]
    units = [*names, "site-shop-jail-cron-tick.service", "site-shop-jail-cron-tick.timer", "fpmjail-shop.slice"]
    verified = web.server.run("systemd-analyze", "verify", "--man=no", *units, check=False)
    ours = [line for line in verified.output.splitlines() if "shop" in line and "Command php is not" not in line]
    assert ours == [], verified.output


def test_tmpfiles_cleans_the_chroots_own_places_and_no_data(web: Web) -> None:
    # Nobody can make a file's last change older than it is, so the ages are made shorter.
    web.server.shell(
        f"cd {JAIL}; su -s /bin/sh _site-shop -c 'touch tmp/old var/lib/php/sessions/sess_old; "
        f"ln -s {BASE}/htdocs tmp/way'; "
        "sed -E 's/ [0-9]+d$/ 1s/' /usr/lib/tmpfiles.d/site-shop-jail.conf >/run/clean.conf; sleep 2; "
        "systemd-tmpfiles --clean /run/clean.conf"
    )
    assert web.server.run("find", f"{JAIL}/tmp", f"{JAIL}/var/lib/php/sessions", "-mindepth", "1").stdout == ""
    assert web.get("/s.html").body == "static"


def test_logs_are_rotated_as_the_sites_user_who_cannot_lead_root_astray(web: Web) -> None:
    logs = f"{JAIL}/var/log/fpmjail/shop"
    web.server.shell(f"echo x >/etc/precious; cd {logs}; ln -s /etc/precious a.log; ln -s /etc b.log; echo x >c.log")
    web.server.shell(f"chown -h _site-shop: {logs}/?.log")
    web.server.run("logrotate", "--force", "/etc/logrotate.d/site-shop-jail", check=False)
    assert web.server.read("/etc/precious") == "x\n"
    assert web.server.exists(f"{logs}/c.log.1") and not web.server.exists("/etc.1")


@pytest.mark.parametrize(("way", "programs"), [("nocompress", 0), ("compress", 1)])
def test_no_program_runs_as_the_sites_user_outside_of_the_chroot(web: Web, way: str, programs: int) -> None:
    logs = f"{JAIL}/var/log/fpmjail/shop"
    web.server.shell(
        f"rm -f {logs}/*; echo x >{logs}/php.log; chown _site-shop: {logs}/php.log; "
        f"sed -e 's/nocompress/{way}/' -e '/^}}/q' /etc/logrotate.d/site-shop-jail >/run/one.conf; "
        "strace -f -e trace=execve -o /run/trace logrotate --force /run/one.conf"
    )
    _, *others = [line for line in web.server.read("/run/trace").splitlines() if " = 0" in line and "execve" in line]
    assert len(others) == programs, others


@pytest.fixture(scope="module")
def behind_nginx(web: Web) -> Iterator[Web]:
    web.server.shell(
        "systemctl stop apache2; install -d /var/lib/fpmjail/sites/shop; rm -f /etc/nginx/sites-enabled/*; "
        "ln -s ../sites-available/site-shop-jail /etc/nginx/sites-enabled/; nginx -t; systemctl unmask -q nginx; "
        "systemctl start nginx"
    )
    yield web


@pytest.mark.parametrize("path", [path for path in ANSWERS if path not in NGINX_ALONE])
def test_behind_nginx_the_site_answers_the_same(behind_nginx: Web, path: str) -> None:
    status, body = ANSWERS[path]
    answer = behind_nginx.get(path)
    assert answer.status == status, answer
    assert answer.body == body or (not body and "<?php" not in answer.body and "RUN" not in answer.body), answer


def test_behind_nginx_php_knows_no_path_of_outside(behind_nginx: Web) -> None:
    seen = json.loads(behind_nginx.get("/paths.php/more/path?q=1").body)
    assert seen["SCRIPT_FILENAME"] == seen["file"] == f"{INSIDE}/paths.php"
    assert (seen["DOCUMENT_ROOT"], seen["PATH_INFO"], seen["outside"]) == (INSIDE, "/more/path", [])
