# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command of the README, the tutorial and the pages of docs/ about servers that exist, mod_php and publishing,
in the order in which somebody reads them. WordPress' and DokuWiki's pages have tests of their own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lifecycle import extras, trees
from tests.lifecycle.container import Container
from tests.lifecycle.reader import CHECKOUT, Reader, missing

README, TUTORIAL, EXISTING, MOD_PHP, PUBLISHING = (
    "README.md", "docs/tutorial.md", "docs/existing-server.md", "docs/mod-php.md", "docs/publishing.md",
)  # fmt: skip
OLD = "/var/www/clients/client1/web1"
ANN = "Ann Other <ann@example.org>"
HANDED_OVER = (f"cp -R --preserve=links,timestamps {OLD}/. /var/www/shop/", "chown -hR _site-shop: /var/www/shop/*")
MOD_PHP_HOST = """\
<VirtualHost *:80>
    ServerName shop.example.org
    DocumentRoot /srv/shop
    php_admin_value memory_limit 77M
</VirtualHost>
"""
HOST = """\
<VirtualHost *:443>
    ServerName deb.example.org
    DocumentRoot /srv/repository/public
    SSLEngine on
    SSLCertificateFile /usr/local/share/ca-certificates/deb.crt
    SSLCertificateKeyFile /etc/ssl/private/deb.pem
    <Directory /srv/repository/public>
        Require all granted
        Options FollowSymLinks
    </Directory>
</VirtualHost>
"""


@pytest.fixture(scope="module")
def place(release: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both machines see as /srv: a new one for each release, though one process may try both."""
    return tmp_path_factory.mktemp(f"machines-{release}-")


@pytest.fixture(scope="module")
def reader(release: str, place: Path) -> Iterator[Reader]:
    """Both machines."""
    with (
        Container(release, "builder", writable={place: "/srv"}, boot=False) as builder,
        Container(release, writable={place: "/srv"}) as server,
    ):
        there = Reader(builder, server)
        there.prepare(place)
        yield there


def test_the_readme_brings_a_stranger_to_a_checked_site_and_a_repository(reader: Reader, place: Path) -> None:
    write_folder(reader, place)
    said = reader.follow(README, "Use it")
    assert "site-example-jail_1.0.0+deb13_all.deb".replace("deb13", reader.suffix) in said
    for words in ("http://example.org/ answers", "publish 2: 5 added", "3 packages without a change"):
        assert words in said


def write_folder(reader: Reader, place: Path) -> None:
    """Put the example of a folder where the README has one, for this release."""
    shutil.copytree(trees.CHECKOUT / "examples/fleet", place / "checkout/sites")
    defaults = place / "checkout/sites/defaults.yaml"
    defaults.write_text(defaults.read_text().replace("[trixie]", f"[{reader.release}]"))


def test_the_tutorial_works_to_its_end(reader: Reader) -> None:
    sections = ("1. The packages", "2. A description", "3. The package", "4. The web server", "5. What the site sees")
    said = "".join(reader.follow(TUTORIAL, section) for section in sections)
    assert "_site-first, used by nothing else" in said and re.search(r"^first +.* active ", said, re.MULTILINE)
    assert "=> usr\n" in said and "=> home\n" not in said
    assert "http://first.example.org/ answers 200" in reader.follow(TUTORIAL, "6. A change")
    reader.follow(TUTORIAL, "8. The end")
    assert reader.server.exists("/var/www/first/htdocs/index.php")
    assert not reader.server.exists("/var/log/fpmjail/first")


def test_a_site_of_a_panel_moves_into_a_jail(reader: Reader, place: Path) -> None:
    make_by_hand(reader, place)
    assert ask(reader.server) == f"shop {OLD}/web/index.php 256M"
    reader.follow(EXISTING, "The description")
    written = (place / "checkout/shop.yaml").read_text()
    [shown] = [block.text for block in reader.blocks(EXISTING, "The description") if block.kind == "yaml"]
    assert missing(shown.replace(ANN, f'"{ANN}"'), written) == []
    assert all(f"#     {command}\n" in written for command in HANDED_OVER)
    said = reader.follow(EXISTING, "The move")
    assert all(f"$ {command}\n" in said for command in HANDED_OVER)
    assert "drop-ins              all applied" in said
    assert ask(reader.server) == "shop /var/www/shop/web/index.php 256M"


def make_by_hand(reader: Reader, place: Path) -> None:
    """A site as ISPConfig makes it, on the server, and its configuration where the packages are built."""
    server, php = reader.server, reader.server.php
    for name, kind in (("pool.d/web1.conf", "pool"), ("sites-available/shop.conf", "vhost")):
        (place / "checkout" / name).parent.mkdir(exist_ok=True)
        shutil.copy(trees.CHECKOUT / f"tests/existing/ispconfig-{kind}.conf", place / "checkout" / name)
    server.shell(
        f"groupadd client1; useradd --system --gid client1 --home-dir {OLD} web1; mkdir -p /var/lib/php8.4-fpm "
        "/var/log/ispconfig/httpd/shop.example.org; touch /etc/apache2/ispconfig-extra.conf"
    )
    server.write(f"{OLD}/web/index.php", "<?php echo $shop, ' ', __FILE__, ' ', ini_get('memory_limit');")
    server.write(f"{OLD}/private/prepend.php", "<?php $shop = 'shop';")
    server.write("/opt/relay.py", (Path(__file__).parent / "relay.py").read_text())
    server.shell(
        f"mkdir {OLD}/tmp; chown -R web1:client1 {OLD}; cp /srv/checkout/pool.d/web1.conf /etc/php/{php}/fpm/pool.d; "
        "cp /srv/checkout/sites-available/shop.conf /etc/apache2/sites-available; "
        f"a2enmod -q proxy_fcgi headers rewrite; a2ensite -q shop; systemctl restart php{php}-fpm apache2; "
        "systemd-run -q python3 /opt/relay.py 25 /opt/mail"
    )


def ask(server: Container) -> str:
    """What the shop answers."""
    return server.run("curl", "-s", "-H", "Host: shop.example.org", "http://127.0.0.1/").stdout


def test_mod_php_is_left_behind(reader: Reader, place: Path) -> None:
    server = reader.server
    (place / "debs").mkdir()
    for deb in extras.debs(reader.release, ["libapache2-mod-phpX"]):
        shutil.copy(deb, place / "debs")
    server.shell(
        "apt-get install -q /srv/debs/*.deb; a2dismod -q mpm_event; "
        f"a2enmod -q mpm_prefork php{server.php}; systemctl restart apache2"
    )
    (place / "checkout/sites-available/shop.conf").write_text(MOD_PHP_HOST)
    (place / "checkout/shop.yaml").unlink()
    assert "Apache's module php" in server.run("fpmjail", "check", "--all", check=False).stdout
    reader.follow(MOD_PHP, "One site after the other")
    assert "memory_limit: 77M" in (place / "checkout/shop.yaml").read_text()
    said = reader.follow(MOD_PHP, "Afterwards", {"# php8.2 on bookworm": ""})
    assert "PHP outside jails" in said and "Apache's module php" not in said


def test_servers_follow_a_published_repository(reader: Reader, place: Path) -> None:
    for name in ("checkout/sites", "repository", "signing"):
        shutil.rmtree(place / name, ignore_errors=True)
    write_shop(place, "64M")
    reader.follow(TUTORIAL, "1. The packages")
    reader.follow(PUBLISHING, "Once: the repository")
    serve(reader)
    assert "publish 2: " in reader.follow(PUBLISHING, "Each time")
    assert "Setting up site-shop-jail" in reader.follow(PUBLISHING, "Once for each server")
    first = version(reader)
    write_shop(place, "96M")
    assert "64M -> 96M" in reader.follow(PUBLISHING, "Each time")
    reader.server.shell("apt-get update; apt-get upgrade")
    assert version(reader) > first
    reader.follow(PUBLISHING, "When something was wrong", {f"20261123.1+{reader.suffix}": first})
    assert version(reader) == first
    for job in pipeline(reader).values():
        for line in job["script"]:
            reader.builder.run("sh", "-euc", f"cd {CHECKOUT}; {line}")
    reader.follow(PUBLISHING, "A time after which servers refuse it")
    assert "Valid-Until: " in (place / "repository/public/dists" / reader.release / "Release").read_text()
    reader.server.apt("update")


def test_the_files_that_publishing_shows_are_taken(reader: Reader) -> None:
    first = version(reader)
    files = {block.kind: block.text for block in reader.blocks(PUBLISHING, "When something was wrong")}
    pin = files["debcontrol"].replace(f"20261123.1+{reader.suffix}", first)
    reader.server.write("/etc/apt/preferences.d/shop", pin)
    assert f"Candidate: {first}\n" in reader.server.run("apt-cache", "policy", "site-shop-jail").stdout
    units = {}
    for block in reader.blocks(PUBLISHING, "A time after which servers refuse it"):
        if block.kind == "ini":
            units[block.text.split()[1]] = block.text
    assert len(units) == 2
    for path, text in units.items():
        reader.builder.write(path, text)
    reader.builder.run("systemd-analyze", "verify", "--man=no", *units)


def write_shop(place: Path, memory: str) -> None:
    """Make a folder of one site."""
    folder = place / "checkout/sites"
    folder.mkdir(exist_ok=True)
    (folder / "defaults.yaml").write_text(f"maintainer: {ANN}\nversion: auto\n")
    settings = f"php: {{settings: {{memory_limit: {memory}}}}}"
    (folder / "shop.yaml").write_text(f"site: shop\ndomains: [shop.example.org]\n{settings}\n")


def version(reader: Reader) -> str:
    """The version of the shop that the server has."""
    return reader.server.run("dpkg-query", "-W", "-f", "${Version}", "site-shop-jail").stdout


def pipeline(reader: Reader) -> dict[str, dict[str, list[str]]]:
    """The jobs of the page's pipeline."""
    [block] = [block for block in reader.blocks(PUBLISHING, "In a pipeline") if block.kind == "yaml"]
    return dict(yaml.safe_load(block.text))


def serve(reader: Reader) -> None:
    """Let Apache serve the repository as the page says, by HTTPS, under the name that it has there."""
    [block] = [block for block in reader.blocks(PUBLISHING, "Once: the repository") if block.kind == "nginx"]
    assert "root /srv/repository/public;" in block.text
    server = reader.server
    server.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=deb.example.org "
        "-addext subjectAltName=DNS:deb.example.org -keyout /etc/ssl/private/deb.pem "
        "-out /usr/local/share/ca-certificates/deb.crt 2>/dev/null; update-ca-certificates; "
        "echo 127.0.0.1 deb.example.org >>/etc/hosts"
    )
    server.write("/etc/apache2/sites-available/deb.conf", HOST)
    server.shell("a2enmod -q ssl; a2ensite -q deb; systemctl restart apache2")
