# SPDX-License-Identifier: GPL-2.0-or-later
"""What a site's package is, decided without a disk, a clock or an environment."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from fpmjail_deb.contents import Directory, Symlink
from fpmjail_deb.errors import BuildError
from fpmjail_deb.pool import pool_values
from fpmjail_deb.site_names import made_directories
from tests.sites import file, planned, setting_lines, shop, text

PLAN = planned(shop())
UNITS = "usr/lib/systemd/system/"


def description(more: str = "", release: str = "trixie") -> dict[str, object]:
    read = json.loads(text(planned(shop(more), release), "/site.json"))
    assert isinstance(read, dict)
    return read


def lines(ending: str, more: str = "") -> list[str]:
    return setting_lines(text(planned(shop(more)), ending))


def test_a_package_ships_this_and_nothing_else() -> None:
    assert [entry.path for entry in PLAN.entries if not isinstance(entry, Directory)] == [
        "etc/apache2/sites-available/site-shop-jail.conf",
        "etc/logrotate.d/site-shop-jail",
        UNITS + "fpmjail-shop.slice",
        UNITS + "site-shop-jail-certificate.path",
        UNITS + "site-shop-jail-standby@.service",
        UNITS + "site-shop-jail-standby@.service.d",
        UNITS + "site-shop-jail.service",
        UNITS + "site-shop-jail.socket",
        UNITS + "var-lib-fpmjail-jails-shop-.image.mount",
        "usr/lib/sysusers.d/site-shop-jail.conf",
        "usr/lib/tmpfiles.d/site-shop-jail.conf",
        "usr/share/doc/site-shop-jail/changelog.gz",
        "usr/share/doc/site-shop-jail/copyright",
        "usr/share/fpmjail/sites/shop/apache.conf",
        "usr/share/fpmjail/sites/shop/pool.conf",
        "usr/share/fpmjail/sites/shop/site.json",
        "usr/share/lintian/overrides/site-shop-jail",
    ]


def test_the_virtual_host_is_a_link_and_no_conffile() -> None:
    links = {entry.path: entry.target for entry in PLAN.entries if isinstance(entry, Symlink)}
    assert links.pop("etc/apache2/sites-available/site-shop-jail.conf") == "/usr/share/fpmjail/sites/shop/apache.conf"
    assert PLAN.conffiles == ("/etc/logrotate.d/site-shop-jail",)


def test_the_administrators_drop_ins_for_the_service_are_the_standbys_too() -> None:
    links = {entry.path: entry.target for entry in PLAN.entries if isinstance(entry, Symlink)}
    assert links[UNITS + "site-shop-jail-standby@.service.d"] == "/etc/systemd/system/site-shop-jail.service.d"
    shared = planned(shop("isolation: shared\n"))
    assert not [entry.path for entry in shared.entries if entry.path.endswith("service.d")]


def test_a_site_without_tls_waits_for_no_certificate() -> None:
    package = planned(shop("web: {tls: none}\n"))
    assert not any("certificate" in entry.path for entry in package.entries)
    assert "SSLEngine" not in text(package, "/apache.conf")
    assert "443" not in text(package, "/apache.conf")


@pytest.mark.parametrize(("release", "suffix", "php"), [("trixie", "+deb13", "8.4"), ("bookworm", "+deb12", "8.2")])
def test_each_release_has_its_own_version_and_php(release: str, suffix: str, php: str) -> None:
    package = planned(shop("php: {extensions: [mysql, curl]}\n"), release)
    control = dict(package.control)
    assert control["Version"] == f"1.0.0{suffix}"
    assert control["Depends"] == (
        f"fpmjail (>= 0.1~), php{php}-fpm, php{php}-curl, php{php}-mysql, apache2 (>= 2.4.69~)"
    )
    assert f"Environment=PHP_INI_SCAN_DIR=/etc/php/{php}/fpm/conf.d" in text(package, "-jail.service")
    assert package.file_name == f"site-shop-jail_1.0.0{suffix}_all.deb"


def test_the_same_input_makes_the_same_plan() -> None:
    assert planned(shop()) == planned(shop())


def test_the_directory_of_the_description_leaves_no_trace() -> None:
    elsewhere = replace(
        shop(), origins=tuple((key, replace(place, file="/home/ann/shop.yaml")) for key, place in shop().origins)
    )
    assert planned(elsewhere) == PLAN


def test_the_plan_as_json_is_whole() -> None:
    shown = json.loads(json.dumps(PLAN.to_json()))
    assert shown["file"] == PLAN.file_name
    assert [entry["path"] for entry in shown["entries"]] == [entry.path for entry in PLAN.entries]
    pool = next(entry for entry in shown["entries"] if entry["path"].endswith("/pool.conf"))
    assert pool["text"] == text(PLAN, "/pool.conf")
    assert pool["sha256"] == hashlib.sha256(pool["text"].encode()).hexdigest()


def test_site_json_is_the_contract() -> None:
    read = description()
    assert list(read) == [
        "format", "generator", "source", "site", "package", "version", "release", "isolation", "user", "profile",
        "paths", "compat_link", "units", "sandbox", "filesystem", "jail", "php", "web", "writable", "environment",
        "cron", "programs", "sftp", "origins",
    ]  # fmt: skip
    assert (read["format"], read["source"], read["package"]) == (1, "shop.yaml", "site-shop-jail")
    assert read["origins"] == {
        "domains": "shop.yaml:3:1", "domains[0]": "shop.yaml:3:11", "maintainer": "shop.yaml:2:1",
        "site": "shop.yaml:1:1",
    }  # fmt: skip


def test_the_profile_is_named_after_its_content() -> None:
    profile = description("jail: {charsets: [SJIS, CP1252]}\n")["profile"]
    assert isinstance(profile, dict)
    identity = profile.pop("id")
    canonical = json.dumps(profile, sort_keys=True, separators=(",", ":"))
    assert identity == hashlib.sha256(canonical.encode()).hexdigest()[:12]
    assert profile["charsets"] == ["CP1252", "SJIS"]
    assert profile["capabilities"] == sorted(profile["capabilities"])


def test_sites_that_need_the_same_share_a_profile() -> None:
    assert description("php: {limits: {tasks: 64}}\n")["profile"] == description()["profile"]
    assert description("jail: {charsets: []}\n")["profile"] != description()["profile"]
    assert description(release="bookworm")["profile"] != description()["profile"]


def test_the_image_of_the_profile_is_mounted() -> None:
    profile = description()["profile"]
    assert isinstance(profile, dict)
    assert lines(".mount") == [
        "[Unit]",
        "Description=Image in the jail of the site shop",
        "Documentation=man:fpmjail(8)",
        "Before=site-shop-jail.service",
        f"AssertPathExists=/var/lib/fpmjail/images/{profile['id']}/current",
        "[Mount]",
        f"What=/var/lib/fpmjail/images/{profile['id']}",
        "Where=/var/lib/fpmjail/jails/shop/.image",
        "Type=none",
        "Options=bind,ro,nosuid,nodev,private",
    ]


def test_the_service_has_the_walls_of_site_json() -> None:
    service = lines("-jail.service")
    walls = [f"{name}={value}" for name, value in description()["sandbox"]]  # type: ignore[attr-defined]
    start = service.index(walls[0])
    assert service[start:] == walls


def test_the_walls_name_no_path_of_the_site() -> None:
    assert not [value for _, value in description()["sandbox"] if "/" in value]  # type: ignore[attr-defined]


def test_a_mount_that_fails_does_not_make_the_socket_start_the_service_in_a_loop() -> None:
    service = lines("-jail.service")
    image = "var-lib-fpmjail-jails-shop-.image.mount"
    assert f"Wants={image}" in service
    assert f"After=network.target {image} var-www-shop.mount var-www.mount var.mount" in service
    assert not any(line.startswith("Requires") for line in service)
    assert "Restart=on-failure" in service


def test_only_a_slow_log_needs_to_look_into_workers() -> None:
    wanted = "php: {pool: {slow_log: 5s}}\n"
    assert "SystemCallFilter=ptrace process_vm_readv" in lines("-jail.service", wanted)
    assert "SystemCallFilter=ptrace process_vm_readv" not in lines("-jail.service")
    assert not any("slowlog" in line for line in lines("/pool.conf"))


def test_all_processes_of_a_site_share_its_limits() -> None:
    limits = "php: {limits: {memory: 2G, tasks: 99, cpu_weight: 50, io_weight: 20, open_files: 2048}}\n"
    assert lines(".slice", limits)[-4:] == ["MemoryMax=2G", "TasksMax=99", "CPUWeight=50", "IOWeight=20"]
    assert {"LimitNPROC=99", "LimitNOFILE=2048", "LimitCORE=0"} <= set(lines("-jail.service", limits))
    assert "Slice=fpmjail-shop.slice" in lines("-jail.service")
    assert not any(line.startswith(("MemoryMax", "TasksMax")) for line in lines("-jail.service"))


def test_a_limited_tmp_is_a_file_system_of_the_site_s_user_that_its_service_and_jobs_want() -> None:
    limited = "php: {limits: {temporary: 64M}}\ncron: [{name: a, schedule: daily, command: php a.php}]\n"
    unit = "var-lib-fpmjail-jails-shop-tmp.mount"
    place = "Where=/var/lib/fpmjail/jails/shop/tmp"
    assert lines(unit, limited)[-5:-1] == ["[Mount]", "What=tmpfs", place, "Type=tmpfs"]
    options = "size=64M,nr_inodes=4096,uid=_site-shop,gid=_site-shop,mode=0700,nosuid,nodev,noexec,private"
    assert lines(unit, limited)[-1] == f"Options={options}"
    for service in ("-jail.service", "-standby@.service", "-cron-a.service"):
        assert any(line.startswith("Wants=") and unit in line for line in lines(service, limited))
    assert unit in json.loads(text(planned(shop(limited)), "/site.json"))["units"]["mounts"]
    assert not any(unit in file.path for file in PLAN.files)


def test_a_small_tmp_has_room_for_a_thousand_files_all_the_same() -> None:
    options = lines("-tmp.mount", "php: {limits: {temporary: 2M}}\n")[-1]
    assert options.startswith("Options=size=2M,nr_inodes=1024,")


def test_only_with_jit_is_memory_executed_that_was_written() -> None:
    php = next(line for line in lines("-jail.service") if line.startswith("ExecStart="))
    assert php.endswith("-d pcre.jit=0 -d opcache.jit=disable -d opcache.jit_buffer_size=0")
    assert "MemoryDenyWriteExecute=yes" in lines("-jail.service")
    jit = lines("-jail.service", "php: {jit: true, settings: {pcre.jit: 1}}\n")
    assert "MemoryDenyWriteExecute=yes" not in jit and not any("jit" in line for line in jit)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("{}", ["RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"]),
        ("{deny: all}", ["RestrictAddressFamilies=AF_UNIX", "PrivateNetwork=yes", "IPAddressDeny=any"]),
        (
            "{deny: all, allow: [localhost, 192.0.2.7]}",
            [
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
                "IPAddressDeny=any",
                "IPAddressAllow=localhost",
                "IPAddressAllow=192.0.2.7",
            ],
        ),
    ],
)
def test_the_network_is_what_the_description_leaves_of_it(network: str, expected: list[str]) -> None:
    names = ("RestrictAddressFamilies=", "PrivateNetwork=", "IPAddress")
    found = [line for line in lines("-jail.service", f"jail: {{network: {network}}}\n") if line.startswith(names)]
    assert found == expected


def test_a_dash_in_the_name_nests_no_slice() -> None:
    package = planned(replace(shop(), name="my-shop"))
    assert file(package, ".slice").path == UNITS + "fpmjail-my\\x2dshop.slice"
    assert "Slice=fpmjail-my\\x2dshop.slice" in text(package, "-jail.service")


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ("ondemand", {"pm.process_idle_timeout"}),
        ("dynamic", {"pm.start_servers", "pm.min_spare_servers", "pm.max_spare_servers"}),
        ("static", set()),
    ],
)
def test_a_pool_says_only_what_its_process_manager_reads(manager: str, expected: set[str]) -> None:
    keys = {line.split(" = ")[0] for line in lines("/pool.conf", f"php: {{pool: {{process_manager: {manager}}}}}\n")}
    assert {key for key in keys if key.startswith("pm.")} == expected | {"pm.max_children", "pm.max_requests"}


def test_settings_of_the_site_replace_those_of_the_jail() -> None:
    pool = lines("/pool.conf", "php: {settings: {sendmail_path: /bin/true, memory_limit: 1G}}\n")
    assert [line for line in pool if "sendmail" in line] == ["php_admin_value[sendmail_path] = /bin/true"]
    assert "php_admin_value[memory_limit] = 1G" in pool


def test_the_environment_of_the_site_replaces_that_of_the_jail() -> None:
    pool = lines("/pool.conf", "php: {env: {TMPDIR: /somewhere, APP: it's}}\n")
    assert [line for line in pool if line.startswith("env[")] == [
        "env[APP] = 'it'\"'\"'s'",
        "env[HOME] = /var/www/shop",
        "env[PATH] = /usr/local/bin:/usr/bin:/bin",
        "env[TMPDIR] = /somewhere",
    ]


def test_a_value_that_fpm_would_replace_takes_the_way_through_the_unit() -> None:
    site = replace(shop(), php=replace(shop().php, env=(("A", "$HOME 100%"), ("B", "x$pool"))))
    values = pool_values(site, "/home")
    assert values.environment[:2] == (("A", "$FPMJAIL_ENV_A"), ("B", "$FPMJAIL_ENV_B"))
    assert 'Environment="FPMJAIL_ENV_A=$HOME 100%%"' in setting_lines(text(planned(site), "-jail.service"))


def test_a_fixed_uid_is_asked_for() -> None:
    assert lines("/sysusers.d/site-shop-jail.conf", "uid: 4001\n") == [
        'u _site-shop 4001 "Website shop" /var/www/shop /usr/sbin/nologin'
    ]
    assert lines("/sysusers.d/site-shop-jail.conf")[0].startswith("u _site-shop - ")


def test_logs_are_rotated_as_the_sites_user() -> None:
    assert "su _site-shop _site-shop" in lines("logrotate.d/site-shop-jail")


def test_certificate_and_key_are_watched_with_their_directories() -> None:
    more = "web: {tls: {certificate: /etc/ssl/a/cert.pem, key: /etc/ssl/b/key.pem}}\n"
    assert [line for line in lines("certificate.path", more) if line.startswith("PathChanged=")] == [
        "PathChanged=/etc/ssl/a",
        "PathChanged=/etc/ssl/a/cert.pem",
        "PathChanged=/etc/ssl/b",
        "PathChanged=/etc/ssl/b/key.pem",
    ]


def test_all_host_names_are_served_once() -> None:
    host = lines("/apache.conf", "aliases: [www.example.net]\n")
    assert host.count("ServerName shop.example.org") == 2
    assert host.count("ServerAlias www.example.net") == 2
    assert "ServerAlias shop.example.org" not in host


def test_only_the_needed_modules_are_asked_for() -> None:
    def modules(more: str) -> object:
        web = description(more)["web"]
        assert isinstance(web, dict)
        return web["modules"]

    always = {"dir", "headers", "proxy_fcgi", "setenvif"}
    assert modules("") == sorted({*always, "alias", "rewrite", "ssl"})
    assert modules("web: {tls: none, htaccess: none}\n") == sorted(always)
    assert modules("web: {tls: {redirect: false}, htaccess: none}\n") == sorted({*always, "ssl"})


def test_php_in_a_writable_directory_is_denied_last() -> None:
    host = text(planned(shop("writable: [a, b/c]\n")), "/apache.conf")
    for directory in ("a", "b/c", ".well-known/acme-challenge"):
        block = host.split(f'<Directory "/var/www/shop/htdocs/{directory}">')[1].split("</Directory>")[0]
        assert "AllowOverride None" in block
        assert '<If "true">\n\t\t\tRequire all denied\n\t\t\tSetHandler default-handler\n' in block


def test_links_lead_to_nothing_of_another_site_in_any_mode() -> None:
    for mode in ("none", "safe", "all"):
        host = text(planned(shop(f"web: {{htaccess: {mode}}}\n")), "/apache.conf")
        assert "\tOptions SymLinksIfOwnerMatch\n" in host
        assert "FollowSymLinks" not in host


def test_the_safe_htaccess_changes_no_handler() -> None:
    allowed = " ".join(line for line in lines("/apache.conf") if line.startswith("AllowOverride"))
    assert "FileInfo" not in allowed
    assert "Options" not in allowed
    assert "SetHandler" not in allowed


def test_without_a_front_controller_there_is_no_fallback() -> None:
    assert "FallbackResource disabled" in lines("/apache.conf", "web: {front_controller: none}\n")
    assert "FallbackResource /app/main.php" in lines("/apache.conf", "web: {front_controller: app/main.php}\n")
    assert "DirectoryIndex app.php index.php index.html" in lines("/apache.conf", "web: {front_controller: app.php}\n")


def test_a_site_that_logs_no_requests_is_not_logged_elsewhere_either() -> None:
    assert lines("/apache.conf", "web: {access_log: false}\n").count("CustomLog /dev/null common") == 2


def test_a_header_name_that_is_none_is_refused() -> None:
    site = replace(shop(), web=replace(shop().web, headers=(('X"y', "z"),)))
    with pytest.raises(BuildError, match="not the name of a header"):
        planned(site)


def test_every_part_of_the_pool_names_its_lines() -> None:
    pool = text(planned(shop("php:\n  pool:\n    max_children: 3\n  settings: {a: b}\n")), "/pool.conf")
    assert "; php.pool: shop.yaml:6\npm = ondemand\npm.max_children = 3\n" in pool
    assert "; php.pool.request_timeout: default, php.pool.slow_log: default\n" in pool
    assert "php.settings: shop.yaml:7" in pool


def test_directories_are_removed_children_first() -> None:
    site = shop("web: {document_root: app/public}\nwritable: [up/load]\n")
    assert made_directories(site) == ("app/public/up/load", "app/public/up", "app/public", "app")


def test_generated_text_has_no_stray_blanks() -> None:
    for site in (shop(), shop("web: {tls: none, htaccess: all}\nwritable: [a]\n")):
        for entry in planned(site).files:
            if entry.path.endswith(".gz"):
                continue
            written = entry.content.decode()
            assert written.endswith("\n") and not written.endswith("\n\n"), entry.path
            assert "\n\n\n" not in written, entry.path
            assert not any(line != line.rstrip() for line in written.splitlines()), entry.path
