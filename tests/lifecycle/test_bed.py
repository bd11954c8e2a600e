# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed itself: if it lied, every lifecycle test would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lifecycle import load, repack, trees
from tests.lifecycle.bed import Bed
from tests.lifecycle.container import CommandFailed, Container
from tests.lifecycle.load import Load, Report

UPGRADED = "{} upgraded, 0 newly installed, 0 to remove and 0 not upgraded."
SEES_UPGRADES = r"""
date_default_timezone_set('Antarctica/Troll');
$bundle = file_get_contents('/etc/ssl/certs/ca-certificates.crt');
$end = '-----END CERTIFICATE-----';
$subjects = array_map(fn($pem) => openssl_x509_parse($pem . $end)['name'] ?? '', explode($end, $bundle));
echo date('P'), ' ', iconv('CP1252', 'UTF-8', "\x80"), ' ', setlocale(LC_ALL, 'C.UTF-8'), ' ',
    (new NumberFormatter('fr_FR', NumberFormatter::DECIMAL))->format(1.5), ' ',
    count(preg_grep('/fpmjail test authority/', $subjects));
"""


@pytest.fixture(scope="module")
def page(bed: Bed) -> str:
    """The load generator's page, served by Debian's own FPM."""
    bed.server.write("/var/www/html/load.php", load.PAGE)
    bed.server.shell(
        f"a2enmod -q proxy_fcgi setenvif && a2enconf -q php{bed.server.php}-fpm && systemctl restart apache2"
    )
    return "/load.php"


def send_during(bed: Bed, page: str, action: str) -> Report:
    with Load(bed.server, host="localhost", path=page, slow_seconds=1) as requests:
        bed.server.shell(action)
    return requests.report()


def hashes(container: Container, packages: list[str]) -> set[str]:
    """`sha256  path` of every regular file of installed packages, their documentation left out."""
    script = """dpkg -L "$@" | sort -u | grep -v /usr/share/doc/ |
        while read -r file; do [ ! -f "$file" ] || [ -L "$file" ] || echo "$file"; done | xargs -d '\\n' sha256sum"""
    return set(container.run("sh", "-euc", script, "hashes", *packages).stdout.splitlines())


def package_names(release: str, name: str) -> list[str]:
    return [deb.name.partition("_")[0] for deb in repack.upgrade(release, name)]


def test_the_booted_server_is_the_release_with_its_services_up(bed: Bed) -> None:
    assert f"VERSION_CODENAME={bed.release}" in bed.server.read("/etc/os-release")
    assert bed.server.run("systemctl", "is-active", "apache2", f"php{bed.server.php}-fpm").stdout == "active\nactive\n"
    assert bed.server.run("systemctl", "list-units", "--failed", "--no-legend").stdout == ""


def test_the_server_reaches_nothing_but_itself(bed: Bed) -> None:
    links = bed.server.run("ip", "-brief", "link").stdout
    assert [line.split()[0] for line in links.splitlines()] == ["lo"]


def test_a_failed_command_raises_all_that_it_wrote(bed: Bed) -> None:
    with pytest.raises(CommandFailed) as failure:
        bed.server.shell("echo one; echo two >&2; exit 3")
    completed = failure.value.completed
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "one\n", "two\n")
    assert "one" in str(failure.value) and "two" in str(failure.value)


def test_a_command_that_lasts_too_long_is_killed(bed: Bed) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        bed.server.run("sleep", "4321", timeout=0.5)
    assert time.monotonic() - started < 5
    assert not bed.server.run("pgrep", "-f", "sleep 4321", check=False).good


def test_written_files_are_read_back_byte_for_byte(bed: Bed) -> None:
    text = "a \"quoted\" 'word' $HOME %s\nä €\n"
    bed.server.write("/srv/some where/new/file", text, mode=0o640)
    assert bed.server.read("/srv/some where/new/file") == text
    assert bed.server.run("stat", "-c", "%a %U:%G", "/srv/some where/new/file").stdout == "640 root:root\n"


def test_nothing_of_a_container_reaches_the_base_tree_or_stays(release: str) -> None:
    with Container(release, boot=False) as container:
        container.write("/etc/planted", "x")
        name = container.name
    assert not (trees.base_tree(release).root / "etc/planted").exists()
    assert name not in Path("/proc/self/mountinfo").read_text()
    assert not [top for top, names, _ in os.walk("/sys/fs/cgroup") if name in names]


def test_a_killed_test_process_leaves_no_container(release: str) -> None:
    code = (
        "import os, sys\nfrom tests.lifecycle.container import Container\n"
        f"container = Container('{release}', boot=False)\ncontainer.__enter__()\n"
        "print(container.init, flush=True)\nos.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=trees.CHECKOUT, capture_output=True, text=True)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{killed.stdout.strip()}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert killed.stdout.strip().isdigit()
    assert not Path(f"/proc/{killed.stdout.strip()}").exists()


def test_containers_that_run_at_once_do_not_see_each_other(bed: Bed) -> None:
    with Container(bed.release) as other:
        other.run("systemctl", "stop", "apache2")
        other.write("/etc/only-here", "x")
        assert bed.server.run("systemctl", "is-active", "apache2").stdout == "active\n"
        assert not bed.server.exists("/etc/only-here")


def test_a_chroot_has_no_service_manager(release: str) -> None:
    with Container(release, boot=False) as chroot:
        assert not chroot.exists("/run/systemd/system")


def test_the_load_generator_counts_good_answers(bed: Bed, page: str) -> None:
    report = send_during(bed, page, "sleep 2.5")
    assert report.failed == 0, report
    assert report.requests > 50 and report.slow_requests >= 2
    assert 1 <= report.slowest < 10


def test_the_load_generator_counts_requests_that_nobody_answers(bed: Bed, page: str) -> None:
    report = send_during(bed, page, "sleep 1; systemctl stop apache2; sleep 0.5; systemctl start apache2; sleep 1")
    assert 0 < report.failed < report.requests
    assert "ConnectionRefusedError" in " ".join(report.failures)


def test_the_load_generator_counts_error_pages_and_wrong_words(bed: Bed, page: str) -> None:
    bed.server.write("/var/www/html/broken.php", "<?php http_response_code(500);")
    bed.server.write("/var/www/html/wrong.php", "<?php echo 'token 0123456789abcdef';")
    for path, words in (("/broken.php", "status 500"), ("/missing.php", "status 404"), ("/wrong.php", "wrong body")):
        report = send_during(bed, path, "sleep 0.5")
        assert report.failed == report.requests > 0
        assert words in report.failures[0]


def test_the_load_generator_counts_requests_cut_off_by_a_restart(bed: Bed, page: str) -> None:
    report = send_during(bed, page, f"sleep 1; systemctl kill --signal=KILL php{bed.server.php}-fpm; sleep 2")
    assert report.failed > 0


@pytest.mark.parametrize("name", [name for name in repack.SETS if name != "php-common"])
def test_newer_packages_of_one_set_install_alone_and_work(fresh_bed: Bed, name: str) -> None:
    packages = package_names(fresh_bed.release, name)
    before = hashes(fresh_bed.server, packages)
    fresh_bed.publish_upgrade(name)
    assert UPGRADED.format(len(packages)) in fresh_bed.server.apt("upgrade").stdout
    assert hashes(fresh_bed.server, packages) - before
    assert fresh_bed.server.run("dpkg", "--audit").stdout == ""
    assert fresh_bed.server.run("php", "-r", "echo intdiv(6, 2);").stdout == "3"


def test_newer_packages_of_every_set_install_at_once_and_php_sees_them(fresh_bed: Bed) -> None:
    fresh_bed.publish_upgrade(*repack.SETS)
    expected = {package for name in repack.SETS for package in package_names(fresh_bed.release, name)}
    assert UPGRADED.format(len(expected)) in fresh_bed.server.apt("upgrade").stdout
    assert fresh_bed.server.run("php", "-r", SEES_UPGRADES).stdout == "-01:00 € C.UTF-8 1,5 1"
    assert fresh_bed.server.run("systemctl", "is-system-running").stdout == "running\n"
    assert fresh_bed.server.run("dpkg", "--verify", *sorted(expected - {"ca-certificates"})).stdout == ""


def test_a_higher_round_is_a_newer_version_again(fresh_bed: Bed) -> None:
    for round_number, offset in ((1, "-01:00"), (2, "-02:00")):
        fresh_bed.publish_upgrade("tzdata", round=round_number)
        fresh_bed.server.apt("upgrade")
        assert fresh_bed.server.run("php", "-r", SEES_UPGRADES).stdout.startswith(offset)


def test_unattended_upgrades_takes_what_it_is_allowed_to(fresh_bed: Bed) -> None:
    fresh_bed.publish_upgrade("tzdata", "libicu")
    fresh_bed.server.run("unattended-upgrade", "-v")
    assert "+sp1" not in fresh_bed.server.run("dpkg-query", "-W", "tzdata").stdout
    fresh_bed.upgrades.allow_unattended(fresh_bed.server)
    fresh_bed.server.run("unattended-upgrade", "-v")
    assert "+sp1" in fresh_bed.server.run("dpkg-query", "-W", "tzdata").stdout


def test_apt_refuses_a_repository_that_another_key_signed(fresh_bed: Bed) -> None:
    source = f"/etc/apt/sources.list.d/{fresh_bed.sites.origin}.sources"
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    text = fresh_bed.server.read(source).replace(f"/usr/share/keyrings/{fresh_bed.sites.origin}.asc", keyring)
    fresh_bed.server.write(source, text)
    assert not fresh_bed.server.run("apt-get", "update", "--error-on=any", check=False).good


def test_the_tests_of_a_release_are_kept_together_on_one_worker(request: pytest.FixtureRequest, release: str) -> None:
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith(f"@test_bed-{release}")
