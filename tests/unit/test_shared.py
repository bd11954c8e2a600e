# SPDX-License-Identifier: GPL-2.0-or-later
"""`isolation: shared`: a pool with a chroot in Debian's PHP-FPM, and what the description may not say with it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from fpmjail_deb.contents import Directory, Symlink
from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.site_names import site_names
from fpmjail_deb.site_warnings import warnings
from tests.sites import planned, setting_lines, shop, text

SHARED = "isolation: shared\n"
JAIL = "/var/www/shop"
BASE = "/var/www/shop/var/www/shop"
PLAN = planned(shop(SHARED))
UNITS = "usr/lib/systemd/system/"


def described(more: str = "") -> dict[str, Any]:
    return dict(json.loads(text(planned(shop(SHARED + more)), "/site.json")))


def lines(ending: str, more: str = "", release: str = "trixie") -> list[str]:
    return setting_lines(text(planned(shop(SHARED + more), release), ending))


def refused(more: str) -> str:
    with pytest.raises(DescriptionError) as error:
        shop(more)
    (problem,) = error.value.problems
    return str(problem)


def test_a_package_ships_no_master_of_its_own() -> None:
    assert [entry.path for entry in PLAN.entries if not isinstance(entry, Directory)] == [
        "etc/apache2/sites-available/site-shop-jail.conf",
        "etc/logrotate.d/site-shop-jail",
        UNITS + "fpmjail-shop.slice",
        UNITS + "php8.4-fpm.service.wants/var-www-shop-.image.mount",
        UNITS + "site-shop-jail-certificate.path",
        UNITS + "var-www-shop-.image.mount",
        "usr/lib/sysusers.d/site-shop-jail.conf",
        "usr/lib/tmpfiles.d/site-shop-jail.conf",
        "usr/share/doc/site-shop-jail/changelog.gz",
        "usr/share/doc/site-shop-jail/copyright",
        "usr/share/fpmjail/sites/shop/apache.conf",
        "usr/share/fpmjail/sites/shop/pool.conf",
        "usr/share/fpmjail/sites/shop/site.json",
    ]


def test_the_data_lies_in_the_chroot_and_php_sees_it_at_the_dedicated_path() -> None:
    read, dedicated = described(), json.loads(text(planned(shop()), "/site.json"))
    assert read["paths"] == {
        "base": BASE, "document_root": f"{BASE}/htdocs", "jail": JAIL, "logs": f"{JAIL}/var/log/fpmjail/shop",
        "socket": "/run/fpmjail/shop.sock", "pool": "/usr/share/fpmjail/sites/shop/pool.conf",
        "vhost": "/usr/share/fpmjail/sites/shop/apache.conf", "inside": dedicated["paths"]["inside"],
    }  # fmt: skip
    inside = dedicated["paths"].pop("inside")
    assert {**dedicated["paths"], **inside} == dedicated["paths"]
    assert read["user"]["home"] == BASE
    assert read["environment"] == dedicated["environment"]
    assert read["filesystem"] == {"bind": [], "read_only": [], "writable": dedicated["filesystem"]["writable"]}


def test_it_is_debians_service_that_runs_php() -> None:
    units = described()["units"]
    assert (units["service"], units["socket"]) == ("php8.4-fpm.service", None)
    assert "Before=php8.2-fpm.service" in lines(".image.mount", release="bookworm")


def test_a_shared_and_a_dedicated_site_have_the_same_image() -> None:
    assert described()["profile"] == json.loads(text(planned(shop()), "/site.json"))["profile"]


def test_the_pool_is_a_chroot_with_an_account_and_a_socket_of_its_own() -> None:
    pool = lines("/pool.conf")
    assert pool[:9] == [
        "[site-shop-jail]", "user = _site-shop", "group = _site-shop", "listen = /run/fpmjail/shop.sock",
        "listen.owner = www-data", "listen.group = www-data", "listen.mode = 0600", "chroot = /var/www/shop",
        "chdir = /",
    ]  # fmt: skip
    assert {
        "php_admin_flag[opcache.validate_root] = on", "php_admin_flag[opcache.validate_permission] = on",
        "php_admin_value[opcache.restrict_api] = /nonexistent", "env[HOME] = /var/www/shop",
        "php_admin_value[error_log] = /var/log/fpmjail/shop/php.log",
    } <= set(pool)  # fmt: skip
    assert not [line for line in pool if "[global]" in line or "process_control_timeout" in line]


def test_root_opens_no_log_where_the_site_can_write() -> None:
    slow = "php: {pool: {slow_log: 5s}}\n"
    assert "slowlog = /var/log/fpmjail/shop.slow.log" in lines("/pool.conf", slow)
    rotated = lines("logrotate.d/site-shop-jail", slow)
    assert rotated[0] == f"{JAIL}/var/log/fpmjail/shop/*.log {{"
    assert rotated.index("su _site-shop _site-shop") < rotated.index("/var/log/fpmjail/shop.slow.log {")
    assert not any(".slow.log" in line for line in lines("logrotate.d/site-shop-jail"))


def test_the_image_is_mounted_before_php_starts_and_stops_nobody() -> None:
    profile = described()["profile"]["id"]
    assert lines(".image.mount") == [
        "[Unit]", "Description=Image in the jail of the site shop", "Documentation=man:fpmjail(8)",
        "Before=php8.4-fpm.service", f"AssertPathExists=/var/lib/fpmjail/images/{profile}/current",
        "[Mount]", f"What=/var/lib/fpmjail/images/{profile}", "Where=/var/www/shop/.image", "Type=none",
        "Options=bind,ro,nosuid,nodev,private",
    ]  # fmt: skip


def test_every_mount_is_wanted_and_none_required_by_debians_php() -> None:
    package = planned(shop(SHARED + "jail: {proc: private, mysql: socket, postgresql: socket, redis: socket}\n"))
    mounts = json.loads(text(package, "/site.json"))["units"]["mounts"]
    assert mounts == [
        "var-www-shop-.image.mount", "var-www-shop-proc.mount", "var-www-shop-run-mysqld.mount",
        "var-www-shop-run-postgresql.mount", "var-www-shop-run-redis.mount",
    ]  # fmt: skip
    links = {entry.path: entry.target for entry in package.entries if isinstance(entry, Symlink)}
    for unit in mounts:
        assert links[f"{UNITS}php8.4-fpm.service.wants/{unit}"] == f"../{unit}"
        written = text(package, f"/{unit}")
        assert "RequiredBy" not in written and "[Install]" not in written
        options = set(re.findall(r"^Options=(.*)", written, re.MULTILINE)[0].split(","))
        assert {"ro", "nosuid", "nodev", "private"} <= options


@pytest.mark.parametrize(
    ("server", "directory", "units"),
    [
        ("mysql", "mysqld", "mariadb.service mysql.service"),
        ("postgresql", "postgresql", "postgresql.service"),
        ("redis", "redis", "redis-server.service"),
    ],
)
def test_a_servers_directory_comes_and_goes_with_the_server(server: str, directory: str, units: str) -> None:
    package = planned(shop(SHARED + f"jail: {{{server}: socket}}\n"))
    unit = f"var-www-shop-run-{directory}.mount"
    written = setting_lines(text(package, f"/{unit}"))
    assert {f"After={units}", f"PartOf={units}", f"ConditionPathIsDirectory=/run/{directory}"} <= set(written)
    assert f"Where=/var/www/shop/run/{directory}" in written
    assert not [line for line in written if line.startswith("Before=")], "one site's database must not delay all of PHP"
    links = {entry.path for entry in package.entries if isinstance(entry, Symlink)}
    assert {f"{UNITS}{name}.wants/{unit}" for name in units.split()} < links


@pytest.mark.parametrize(("choice", "hidepid"), [("private", "invisible"), ("host", "off")])
def test_proc_is_a_mount_with_options_of_its_own(choice: str, hidepid: str) -> None:
    written = lines("-proc.mount", f"jail: {{proc: {choice}}}\n")
    assert {"Type=proc", f"Options=ro,nosuid,nodev,noexec,private,hidepid={hidepid}"} <= set(written)


def test_without_proc_nothing_is_mounted_there() -> None:
    assert described()["units"]["mounts"] == ["var-www-shop-.image.mount"]


def test_jobs_enter_the_chroot_behind_the_walls_of_site_json() -> None:
    more = "cron: [{name: a, schedule: daily, command: php a.php}]\njail: {mysql: socket}\n"
    job = lines("-cron-a.service", more)
    assert {"RootDirectory=/var/www/shop", "WorkingDirectory=/var/www/shop/htdocs", "User=_site-shop"} <= set(job)
    assert "Wants=var-www-shop-.image.mount var-www-shop-run-mysqld.mount" in job
    assert not [line for line in job if line.startswith("BindPaths")]
    writable = next(line for line in job if line.startswith("NoExecPaths="))
    assert writable == "NoExecPaths=-+/var/www/shop -+/var/log/fpmjail/shop -+/tmp -+/var/lib/php/sessions"
    walls = [f"{name}={value}" for name, value in described(more)["sandbox"]]
    assert job[-len(walls) :] == walls


def test_sftp_shows_the_data_and_not_the_chroot() -> None:
    assert f"ChrootDirectory {BASE}" in lines("/sshd.conf", "sftp: true\n")


def test_apache_tells_php_the_paths_of_inside_and_shows_nothing_else_of_the_chroot() -> None:
    host = lines("/apache.conf")
    assert host[:5] == [
        f'<Directory "{JAIL}">', "Options None", "AllowOverride None", "AllowOverrideList None", "Require all denied",
    ]  # fmt: skip
    assert f"DocumentRoot {BASE}/htdocs" in host
    assert [line for line in host if line.startswith('ProxyFCGISetEnvIf "') and "!" not in line] == [
        "ProxyFCGISetEnvIf \"reqenv('SCRIPT_FILENAME') =~ m#^(proxy:fcgi://[^/]+)/var/www/shop(/.*)$#\" "
        'SCRIPT_FILENAME "$1$2"',
        'ProxyFCGISetEnvIf "reqenv(\'PATH_TRANSLATED\') =~ m#^/var/www/shop(/.*)$#" PATH_TRANSLATED "$1"',
        'ProxyFCGISetEnvIf "true" DOCUMENT_ROOT "/var/www/shop/htdocs"',
        'ProxyFCGISetEnvIf "true" CONTEXT_DOCUMENT_ROOT "/var/www/shop/htdocs"',
    ]


def test_nginx_tells_php_the_paths_of_inside() -> None:
    site = shop(SHARED + "web: {server: nginx}\n")
    block = setting_lines(text(planned(replace(site, web=replace(site.web, document_root="my app"))), "/nginx.conf"))
    assert f'root "{BASE}/my app";' in block
    assert 'fastcgi_param DOCUMENT_ROOT "/var/www/shop/my app";' in block
    assert 'fastcgi_param SCRIPT_FILENAME "/var/www/shop/my app$fastcgi_script_name";' in block
    assert "if (!-f $document_root$fastcgi_script_name) {" in block


def test_scripts_never_touch_debians_php() -> None:
    package = planned(shop(SHARED + "jail: {proc: private, mysql: socket}\n"))
    for name, script in package.scripts:
        assert "-fpm.service" not in script and (".mount" not in script or name == "postrm"), name


def test_a_site_without_units_of_its_own_says_nothing_of_units() -> None:
    scripts = dict(planned(shop(SHARED + "web: {tls: none}\n")).scripts)
    assert "enable_unit" not in scripts["postinst"]
    assert "begin purge-units" not in scripts["postrm"]


@pytest.mark.parametrize(("mine", "other"), [("shared", "dedicated"), ("dedicated", "shared")])
def test_another_isolation_is_refused_before_anything_is_unpacked(mine: str, other: str) -> None:
    script = dict(planned(shop(f"isolation: {mine}\n")).scripts)["preinst"]
    assert f"""grep -qs '"isolation": "{other}"' "$DPKG_ROOT"/usr/share/fpmjail/sites/shop/site.json""" in script
    assert "apt purge site-shop-jail" in script
    assert f"usermod --home {site_names(shop(f'isolation: {mine}')).base} _site-shop" in script


def test_a_restricted_shell_that_is_no_wall_is_told() -> None:
    restricted = "jail: {shell: restricted}\n"
    (warning,) = warnings(shop(SHARED + restricted))
    assert str(warning).startswith("shop.yaml:5:8: jail.shell: in shared isolation the site can run what it uploads")
    assert warnings(shop(restricted)) == warnings(shop(SHARED)) == ()


def test_the_compatibility_link_is_made_only_when_asked_for() -> None:
    assert described()["compat_link"] is False
    assert described("compat_link: true\n")["compat_link"] is True
    assert shop("compat_link: false\n").compat_link is False


def test_the_paragraphs_name_the_place_of_the_data() -> None:
    assert f" lies in {BASE}/htdocs;" in dict(PLAN.control)["Description"].replace("\n ", " ")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            SHARED + "php: {limits: {memory: 1G}}\n",
            "shop.yaml:5:16: php.limits.memory: in shared isolation PHP's processes belong to Debian's PHP-FPM, which "
            "has no limits for one site; leave it out: memory_limit in php.settings times php.pool.max_children is "
            "the limit there is",
        ),
        (SHARED + "php: {limits: {tasks: 99}}\n", "php.limits.tasks: in shared isolation PHP's processes"),
        (
            SHARED + "php: {limits: {temporary: 64M}}\n",
            "shop.yaml:5:16: php.limits.temporary: in shared isolation /tmp is a directory beside the site's data",
        ),
        (
            "compat_link: true\n",
            "shop.yaml:4:1: compat_link: only means something with isolation: shared; leave it out",
        ),
        (
            SHARED + "compat_link: true\nweb: {document_root: var/html}\n",
            "shop.yaml:5:1: compat_link: the link would be where the document root begins, in var",
        ),
        (
            SHARED + "php: {settings: {opcache.validate_root: 0}}\n",
            "shop.yaml:5:18: php.settings.opcache.validate_root: in shared isolation it is one of the walls",
        ),
        (SHARED + "php: {settings: {opcache.restrict_api: ''}}\n", "one of the walls between the sites"),
        (SHARED + "php: {env: {A: $B}}\n", 'php.env.A: FPM would put a variable of its own in place of the "$B"'),
        (SHARED + "php: {env: {A: x$pool}}\n", "take isolation: dedicated"),
    ],
)
def test_what_cannot_be_in_shared_isolation_is_refused_with_its_line(more: str, complaint: str) -> None:
    assert complaint in refused(more)


def test_the_same_is_fine_in_dedicated_isolation() -> None:
    php = shop("php: {limits: {tasks: 99}, settings: {opcache.validate_root: 0}, env: {A: $B}}\n").php
    assert php.limits.tasks == 99 and ("opcache.validate_root", "0") in php.settings and ("A", "$B") in php.env


def test_more_children_than_the_default_of_tasks_are_fine_where_there_is_no_such_limit() -> None:
    pool = "php: {pool: {max_children: 500}}\n"
    assert shop(SHARED + pool).php.pool.max_children == 500
    assert "php.limits.tasks" in refused(pool)
    assert lines(".slice", pool)[-1] == "[Slice]"


def test_a_broken_isolation_is_told_once() -> None:
    assert "isolation: expected dedicated or shared" in refused("isolation: none\nphp: {limits: {memory: 1G}}\n")


@pytest.mark.parametrize("names", [("a", "a-b"), ("var", "www"), ("a", "fpmjail")])
def test_no_site_of_either_kind_lies_in_another(names: tuple[str, str]) -> None:
    for first in ("dedicated", "shared"):
        for second in ("dedicated", "shared"):
            one, other = (
                site_names(replace(shop(f"isolation: {isolation}\n"), name=name))
                for name, isolation in zip(names, (first, second), strict=True)
            )
            places, others = ({PurePosixPath(x) for x in (y.jail, y.walled, y.logs)} for y in (one, other))
            assert not [(a, b) for a in places for b in others if a.is_relative_to(b) or b.is_relative_to(a)]
            assert {one.socket, one.package, one.slow_log}.isdisjoint({other.socket, other.package, other.slow_log})
