# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites in Debian's own PHP-FPM, each in a chroot around its data. The tests tell their life in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import HOMEPAGE, Page, Server

DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
isolation: shared
php:
  extensions: [intl, mbstring, mysql, xml]
  settings: {{memory_limit: 64M}}
writable: [uploads]
"""
WHO = (
    "<?php echo 'code of {site} in ', __FILE__, ' of ', $_SERVER['DOCUMENT_ROOT'], ' memory ', ini_get('memory_limit');"
)
DROP_IN = "/etc/fpmjail/sites/one/fpm.d/memory.conf"
STATE = "/var/lib/fpmjail/sites"


def base(site: str) -> str:
    return f"/var/www/{site}/var/www/{site}"


def unit(server: Server) -> str:
    return f"php{server.php}-fpm.service"


def pool_directory(server: Server) -> str:
    return f"/etc/php/{server.php}/fpm/pool.d"


def put(server: Server, path: str, code: str, site: str = "one") -> None:
    server.write_page(path, code, site, f"var/www/{site}/htdocs")


def get(server: Server, path: str = "/who.php", site: str = "one") -> Page:
    return server.get(path, f"{site}.example.org")


def master(server: Server) -> str:
    return server.run("systemctl", "show", "--value", "--property=MainPID", unit(server)).stdout.strip()


def begun(server: Server) -> str:
    """What changes whenever the master executes itself again."""
    return server.shell(f"sha256sum /proc/{master(server)}/auxv").stdout.split()[0]


def warnings(server: Server, site: str = "one") -> str:
    return "\n".join(words for row in server.status()["sites"] if row["name"] == site for words in row["warnings"])


def eventually(true: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.2)
    return true()


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows of two shared sites, and nothing of ours installed."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site in ("one", "two"):
        there.publish(DESCRIPTION.format(site=site), f"{site}.yaml")
    yield there


def test_apt_installs_two_sites_that_answer_with_one_reload(server: Server) -> None:
    before = server.container.journal("-u", unit(server)).count("Reloading")
    answer = server.install("site-one-jail", "site-two-jail")
    assert "one: is ready; put its files into /var/www/one/var/www/one/htdocs" in answer.output
    assert "APCu, the loopback interface and abstract sockets stay shared" in answer.output
    for site in ("one", "two"):
        put(server, "index.php", HOMEPAGE, site)
        put(server, "who.php", WHO.format(site=site), site)
        page = get(server, "/", site)
        assert (page.status, page.body) == (200, "hello from fpm-fcgi own\n"), page
    assert server.container.journal("-u", unit(server)).count("Reloading") <= before + 1
    assert server.faults("one") == [] and server.faults("two") == []
    assert server.run("fpmjail", "status", check=False).good


def test_php_sees_its_paths_as_if_there_were_no_chroot(server: Server) -> None:
    assert get(server).body == ("code of one in /var/www/one/htdocs/who.php of /var/www/one/htdocs memory 64M")


def test_nothing_of_the_site_lies_in_the_runtimes_directory_but_its_state(server: Server) -> None:
    found = server.shell("find /var/lib/fpmjail -name images -prune -o -path '*/one/*' -type f -print").stdout.split()
    assert set(found) <= {f"{STATE}/one/{name}" for name in ("state.json", "pool.conf", "apache.conf")}
    assert not server.exists("/var/lib/fpmjail/jails/one")


def test_no_mount_of_a_site_is_writable_or_shared(server: Server) -> None:
    lines = [line.split() for line in server.read("/proc/self/mountinfo").splitlines() if "/var/www/" in line]
    assert [line[4] for line in lines] == ["/var/www/two/.image", "/var/www/one/.image"] or len(lines) == 2
    for line in lines:
        assert {"ro", "nosuid", "nodev"} <= set(line[5].split(",")) and "shared:" not in " ".join(line[6:9]), line


def test_the_site_sees_its_own_chroot_and_writes_only_where_it_may(server: Server) -> None:
    code = """<?php
    foreach (['/x', '/etc/x', '/usr/x', '/var/www/one/x', '/dev/x', '/run/x'] as $path) {
        if (@file_put_contents($path, 'x') !== false) { echo "$path is writable "; }
    }
    foreach (['/tmp/x', '/var/www/one/htdocs/x', '/var/www/one/htdocs/uploads/x'] as $path) {
        if (@file_put_contents($path, 'x') === false) { echo "$path is not writable "; }
    }
    echo json_encode([scandir('/var/www'), file_exists('/etc/shadow'), file_put_contents('/dev/null', 'x'),
        strlen(file_get_contents('/dev/urandom', false, null, 0, 8)), count(file('/etc/passwd')), @shell_exec('id')]);
    """
    put(server, "reach.php", code)
    assert get(server, "/reach.php").body == '[[".","..","one"],false,1,8,1,false]'


def age(server: Server) -> None:
    """Make every script older than what OPcache leaves alone (opcache.file_update_protection)."""
    server.shell("touch -d '1 hour ago' /var/www/*/var/www/*/htdocs/*.php /var/www/*/tmp/*.php /var/www/*/etc/*.php")


def mixed_up(server: Server) -> bool:
    """Whether one of the sites runs the other's script of the same path in its chroot."""
    seen = [(site, get(server, "/same.php", site).body) for _ in range(12) for site in ("two", "one")]
    return any(body != f"own code of {site}" for site, body in seen)


def test_sites_with_scripts_of_the_same_path_run_their_own(server: Server) -> None:
    for site in ("one", "two"):
        put(server, "same.php", "<?php include '/tmp/same.php';", site)
        server.write(f"/var/www/{site}/tmp/same.php", f"<?php echo 'own code of {site}';")
        server.run("chown", f"_site-{site}:", f"/var/www/{site}/tmp/same.php")
    code = "<?php var_dump(@include '/var/www/two/htdocs/secret.php', @opcache_get_status(), @opcache_reset());"
    put(server, "steal.php", code)
    put(server, "secret.php", "<?php return 'of two';", "two")
    server.shell(f"chmod 600 {base('two')}/htdocs/secret.php")
    age(server)
    assert not mixed_up(server)
    assert get(server, "/secret.php", "two").status == 200
    assert get(server, "/steal.php").body.split() == ["bool(false)"] * 3


def test_without_the_guards_they_would_run_each_others_and_check_says_so(server: Server) -> None:
    server.shell(f"sed -i '/opcache\\./d' {STATE}/one/pool.conf {STATE}/two/pool.conf")
    server.run("systemctl", "restart", unit(server))
    age(server)
    assert mixed_up(server)
    assert get(server, "/secret.php", "two").status == 200
    stolen = get(server, "/steal.php").body
    assert "of two" in stolen and "/var/www/two/htdocs/same.php" in stolen, stolen
    found = [one for site in ("one", "two") for one in server.faults(site) if one["name"] == "own code"]
    assert found and all("not both on" in one["seen"] for one in found), found
    assert any("is the code of the site" in one["seen"] for one in found), found
    for site in ("one", "two"):
        server.run("fpmjail", "configure", site)
    age(server)
    assert not mixed_up(server)
    assert server.faults("one") == [] and server.faults("two") == []


def test_a_drop_in_is_proven_and_taken_up(server: Server) -> None:
    server.write(DROP_IN, "php_admin_value[memory_limit] = 77M\n")
    assert "is not applied" in warnings(server)
    before = master(server)
    server.run("fpmjail", "configure", "one")
    assert get(server).body.endswith("memory 77M") and master(server) == before
    assert warnings(server) == ""


BAD = {
    "; fine\nnonsense = 1\n": "zz.conf:2: unknown entry 'nonsense'",
    ";\nphp_admin_value[memory_limit = 5\n": "zz.conf:2: syntax error",
    "listen = /tmp/x.sock\n": "zz.conf:1: 'listen = /tmp/x.sock' cannot be set",
    "\nphp_admin_flag[opcache.validate_root] = off\n": "zz.conf:2: opcache.validate_root keeps",
    "slowlog = /var/www/one/var/www/one/htdocs/x.log\n": "zz.conf:1: slowlog is opened by root",
    "access.log = /nonexistent/x.log\n": "/nonexistent/x.log",
    "php_admin_value[disable_functions] = json_encode\n": "PHP does not work in the chroot",
}


def test_a_bad_drop_in_is_named_and_the_proven_text_stays(server: Server) -> None:
    place, before = "/etc/fpmjail/sites/one/fpm.d/zz.conf", begun(server)
    for text, words in BAD.items():
        server.write(place, text)
        answer = server.run("fpmjail", "configure", "one")
        assert words in answer.output, answer.output
    assert get(server).body.endswith("memory 77M") and "not applied" in warnings(server)
    server.run("rm", place)
    server.run("fpmjail", "configure", "one")
    assert warnings(server) == "" and begun(server) == before


POOL = "pm = static\npm.max_children = 1\n"
FOREIGN = {
    "[foreign]\nnonsense = 1\n": "foreign.conf:2: unknown entry 'nonsense'",
    f"[foreign]\nuser = nobody-here\nlisten = /run/php/f.sock\n{POOL}": "foreign.conf:1",
    f"[foreign]\nuser = www-data\nlisten = /nonexistent/f.sock\n{POOL}": "foreign.conf:1: there is no directory for",
    f"[site-two-jail]\nuser = www-data\nlisten = /run/php/f.sock\n{POOL}": "[site-two-jail] is in /etc/php/",
}


def test_a_broken_pool_of_others_never_ends_the_master(server: Server) -> None:
    before, foreign = begun(server), f"{pool_directory(server)}/foreign.conf"
    server.write(foreign, "nonsense")
    server.write(DROP_IN, "php_admin_value[memory_limit] = 78M\n")
    answer = server.run("fpmjail", "configure", "one", check=False)
    assert "is not reloaded, because it would end" in answer.output, answer.output
    for text, words in FOREIGN.items():
        server.write(foreign, text)
        answer = server.run("fpmjail", "reload", check=False)
        assert not answer.good and words in answer.output, answer.output
        assert begun(server) == before
    assert get(server).body.endswith("memory 77M") and get(server, site="two").status == 200
    assert "has not taken up its pool" in warnings(server) and foreign in warnings(server)
    assert any(one["topic"] == "pool" and foreign in one["seen"] for one in server.faults("two"))
    server.run("rm", foreign)
    server.run("fpmjail", "reload")
    assert get(server).body.endswith("memory 78M") and server.faults("one") == []


def test_a_pool_that_clashes_with_another_is_never_linked(server: Server) -> None:
    foreign = f"{pool_directory(server)}/foreign.conf"
    server.write(
        foreign, "[mine]\nuser = www-data\nlisten = /run/fpmjail/three.sock\npm = static\npm.max_children = 1\n"
    )
    server.publish(DESCRIPTION.format(site="three"), "three.yaml")
    answer = server.install("site-three-jail", check=False)
    assert not answer.good and f"/run/fpmjail/three.sock is in {foreign}:1 already" in answer.output, answer.output
    assert not server.exists(f"{pool_directory(server)}/site-three-jail.conf")
    server.run("rm", foreign)
    assert "three: is ready" in server.apt("-f", "install").output
    assert server.faults("three") == []
    server.apt("purge", "site-three-jail")
    assert not server.exists("/var/www/three"), server.shell("find /var/www/three").stdout


def test_a_newer_version_with_the_same_pool_reloads_nothing(server: Server) -> None:
    before = begun(server)
    server.apt("install", "--reinstall", "site-one-jail")
    server.publish(DESCRIPTION.format(site="one") + "version: 1.1.0\n", "one.yaml")
    server.apt("upgrade")
    assert begun(server) == before
    assert get(server).body.endswith("memory 78M") and server.faults("one") == []


def test_disable_takes_the_pool_out_and_enable_brings_it_back(server: Server) -> None:
    server.run("fpmjail", "disable", "one")
    assert not server.exists(f"{pool_directory(server)}/site-one-jail.conf")
    assert not server.exists("/run/fpmjail/one.sock")
    assert server.run("pgrep", "-u", "_site-one", check=False).stdout == ""
    server.apt("install", "--reinstall", "site-one-jail")
    assert "code of one" not in get(server).body and get(server, site="two").status == 200
    server.run("fpmjail", "enable", "one")
    assert get(server).body.endswith("memory 78M") and server.faults("one") == []


def test_both_sites_are_up_after_a_reboot(server: Server) -> None:
    server.container.reboot()
    for site in ("one", "two"):
        assert eventually(lambda site=site: get(server, site=site).body.startswith(f"code of {site} "))  # type: ignore[misc]
        assert server.faults(site) == []


def test_another_isolation_is_refused_before_anything_changes(server: Server) -> None:
    dedicated = DESCRIPTION.format(site="one").replace("isolation: shared\n", "") + "version: 2.0.0\n"
    server.publish(dedicated, "one.yaml")
    answer = server.apt("upgrade", check=False)
    assert not answer.good and "apt purge site-one-jail" in answer.output, answer.output
    assert get(server).body.endswith("memory 78M") and server.faults("one") == []
    server.run("apt-mark", "hold", "site-one-jail")


def test_the_runtime_refuses_another_isolation_too(server: Server) -> None:
    server.shell(f"""sed -i 's/"isolation": "shared"/"isolation": "dedicated"/' {STATE}/one/state.json""")
    answer = server.run("fpmjail", "configure", "one", check=False)
    assert answer.returncode == 1 and "usermod --home /var/www/one/var/www/one _site-one" in answer.output
    server.shell(f"""sed -i 's/"isolation": "dedicated"/"isolation": "shared"/' {STATE}/one/state.json""")
    assert get(server).body.endswith("memory 78M")


def test_what_stands_in_the_way_of_the_log_link_is_kept(server: Server) -> None:
    assert server.run("readlink", "/var/log/fpmjail/one").stdout.strip() == "/var/www/one/var/log/fpmjail/one"
    put(server, "fail.php", "<?php error_log('a word of the site');")
    get(server, "/fail.php")
    assert "a word of the site" in server.read("/var/log/fpmjail/one/php.log")


def test_remove_leaves_the_data_and_the_other_site(server: Server) -> None:
    server.apt("remove", "--allow-change-held-packages", "site-one-jail")
    assert not server.exists(f"{pool_directory(server)}/site-one-jail.conf")
    assert not server.exists("/run/fpmjail/one.sock")
    assert "/var/www/one" not in server.read("/proc/self/mountinfo")
    assert server.run("pgrep", "-u", "_site-one", check=False).stdout == ""
    assert server.read(f"{base('one')}/htdocs/index.php") == HOMEPAGE
    assert get(server, site="two").body.startswith("code of two") and server.faults("two") == []


def test_a_removed_site_comes_back_with_its_drop_ins(server: Server) -> None:
    server.publish(DESCRIPTION.format(site="one") + "version: 2.1.0\n", "one.yaml")
    answer = server.install("site-one-jail")
    assert "http://one.example.org/ answers 200" in answer.output
    assert get(server).body.endswith("memory 78M") and server.faults("one") == []


def test_purge_keeps_data_and_foreign_files_and_names_them(server: Server) -> None:
    server.shell("touch /var/www/one/etc/own.conf; mkdir -p /mnt/volume && touch /mnt/volume/x")
    before = server.shell(f"cd {base('one')} && find . -type f -exec sha256sum {{}} + | sort").stdout
    answer = server.apt("purge", "site-one-jail")
    assert server.shell(f"cd {base('one')} && find . -type f -exec sha256sum {{}} + | sort").stdout == before
    assert server.exists("/var/www/one/etc/own.conf") and base("one") in answer.output
    left = server.shell(f"find /var/www/one -path {base('one')} -prune -o -print").stdout.split()
    assert set(left) == {f"/var/www/one{path}" for path in ("", "/etc", "/etc/own.conf", "/var", "/var/www")}, left
    assert not server.exists(f"{STATE}/one") and not server.exists("/var/log/fpmjail/one")
    assert get(server, site="two").status == 200


def test_a_purged_site_can_be_installed_again(server: Server) -> None:
    server.install("site-one-jail")
    assert get(server).body.endswith("memory 78M") and server.faults("one") == []


def test_a_failed_start_that_no_test_foresaw_takes_only_the_new_pool_back(server: Server) -> None:
    server.write(DROP_IN, "php_admin_value[memory_limit] = 79M\n")
    override = f"/etc/systemd/system/{unit(server)}.d"
    server.write(f"{override}/override.conf", "[Service]\nExecReload=\nExecReload=/bin/false\n")
    server.run("systemctl", "daemon-reload")
    answer = server.run("fpmjail", "configure", "one", check=False)
    server.shell(f"rm -r {override}; systemctl daemon-reload")
    assert "did not come back with the new pools (one), so they were taken back" in answer.output, answer.output
    assert get(server).body.endswith("memory 78M") and get(server, site="two").status == 200
    server.run("fpmjail", "configure", "one")
    assert get(server).body.endswith("memory 79M") and server.faults("one") == []


def test_the_last_pool_stops_the_master_and_the_next_one_starts_it(server: Server) -> None:
    server.run("mv", f"{pool_directory(server)}/www.conf", "/root/www.conf")
    server.run("systemctl", "reload", unit(server))
    for site in ("one", "two"):
        answer = server.apt("remove", f"site-{site}-jail")
    assert f"{unit(server)} is stopped: it has no pool left" in answer.output
    assert server.shell(f"ls {pool_directory(server)}").stdout == ""
    answer = server.install("site-two-jail")
    assert "http://two.example.org/ answers 200" in answer.output and server.faults("two") == []
    server.apt("purge", "site-two-jail", "site-one-jail")
    assert "/var/www" not in server.read("/proc/self/mountinfo")
